#include "pg/security.hpp"

#include <cstring>

#include "pg/error.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"
}

namespace kvcrm::pg {

namespace {

bool RoleBypassesRls(Oid role) {
  return Call([&] {
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
    if (!HeapTupleIsValid(tuple)) return false;
    const bool bypasses = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolbypassrls;
    ReleaseSysCache(tuple);
    return bypasses;
  });
}

config_generic* FindSearchPath() {
#if PG_VERSION_NUM >= 160000
  return Call([] { return find_option("search_path", false, false, ERROR); });
#else
  config_generic** variables = get_guc_variables();
  for (int i = 0; i < GetNumConfigOptions(); ++i) {
    if (std::strcmp(variables[i]->name, "search_path") == 0) return variables[i];
  }
  throw kvcrm::Error(ERRCODE_INTERNAL_ERROR, "setting search_path not found");
#endif
}

bool warned_of_restore = false;

}  // namespace

Oid ExtensionOwner() {
  return Call([] {
    HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("kvcrm"));
    if (!HeapTupleIsValid(tuple)) {
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema kvcrm does not exist")));
    }
    const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
    ReleaseSysCache(tuple);
    return owner;
  });
}

Oid CallerRole() { return OidIsValid(AsTableOwner::acting_) ? AsTableOwner::acting_ : GetOuterUserId(); }

bool CallerIsTrusted() {
  const Oid role = CallerRole();
  if (Call([&] { return superuser_arg(role); })) return true;
  return role == ExtensionOwner() || RoleBypassesRls(role);
}

bool RowSecurityBinds(Relation table) {
  return Call([&] { return check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED; });
}

AsOwner::AsOwner(SearchPath path) {
  const Oid owner = ExtensionOwner();
  GetUserIdAndSecContext(&user_, &security_context_);
  if (path == SearchPath::kPin) {
    guc_level_ = NewGUCNestLevel();
    Call([] {
      (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                              GUC_ACTION_SAVE, true, 0, false);
    });
  }
  SetUserIdAndSecContext(owner, security_context_ | SECURITY_LOCAL_USERID_CHANGE);
}

AsOwner::~AsOwner() {
  SetUserIdAndSecContext(user_, security_context_);
  if (guc_level_ != 0) AtEOXact_GUC(false, guc_level_);
}

Oid AsTableOwner::acting_ = InvalidOid;

AsTableOwner::AsTableOwner(Oid owner) : outer_(acting_) {
  GetUserIdAndSecContext(&user_, &security_context_);
  guc_level_ = NewGUCNestLevel();
  Call([] {
    (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                            true, 0, false);
    (void)set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                            false);
  });
  SetUserIdAndSecContext(owner,
                         security_context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  acting_ = owner;
}

AsTableOwner::~AsTableOwner() {
  acting_ = outer_;
  SetUserIdAndSecContext(user_, security_context_);
  AtEOXact_GUC(false, guc_level_);
}

void LockForWriting(const char* table) {
  if (XactReadOnly) return;
  Call([&] {
    const Oid oid = get_relname_relid(table, get_namespace_oid("kvcrm", false));
    if (!OidIsValid(oid))
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %s does not exist", table)));
    LockRelationOid(oid, RowExclusiveLock);
  });
}

const char* CallerSearchPath() {
  static config_generic* const option = FindSearchPath();
  // The SET clause of the running function is the topmost entry; what it hides is what the caller had.
  const GucStack* stack = option->stack;
  if (stack != nullptr && stack->state == GUC_SAVE) return stack->prior.val.stringval;
  return *reinterpret_cast<config_string*>(option)->variable;
}

bool IsRestoring(Oid table_owner) {
  // Cheap tests first: this runs for every row that is written.
  if (check_function_bodies || row_security) return false;
  if (InLocalUserIdChange()) return false;
  const char* path = CallerSearchPath();
  if (path == nullptr || path[0] != '\0') return false;
  const Oid role = CallerRole();
  if (!Call([&] { return superuser_arg(role) || is_member_of_role(role, table_owner); })) return false;
  if (!warned_of_restore) {
    warned_of_restore = true;
    Call([] {
      ereport(WARNING, (errmsg("kvcrm takes rows as they come: this session restores a dump"),
                        errhint("Triggers neither check nor log what is loaded with empty search_path, "
                                "row_security off and check_function_bodies off.")));
    });
  }
  return true;
}

}  // namespace kvcrm::pg
