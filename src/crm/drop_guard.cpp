// Nothing drops the extension while leads or customers exist, unless kvcrm.allow_drop is on.
//
// Many commands drop it: DROP EXTENSION, DROP SCHEMA ... CASCADE, DROP OWNED BY its owner, DROP EXTENSION of
// one that its functions are written in. Which of them will is for PostgreSQL's dependencies to say, so we
// don't guess from the command: PostgreSQL tells of each object that it is about to drop
// (object_access_hook), and by then holds the lock that keeps others from writing. That is heard only where
// this module is loaded, which the event trigger before those commands sees to: its function is ours, so
// calling it loads the module.
#include "crm/drop_guard.hpp"

#include <cstring>

#include "pg/entry.hpp"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

using namespace kvcrm;

namespace {

bool allow_drop = false;
object_access_hook_type next_hook = nullptr;

bool IsGuarded(Oid relation) {
  const char* name = get_rel_name(relation);
  if (name == nullptr || (std::strcmp(name, "leads") != 0 && std::strcmp(name, "customers") != 0))
    return false;
  if (get_rel_relkind(relation) != RELKIND_RELATION) return false;
  // A table that was taken out of the extension is its owner's business.
  const Oid extension = getExtensionOfObject(RelationRelationId, relation);
  return OidIsValid(extension) && extension == get_extension_oid("kvcrm", true);
}

// Whether the table holds a row. By now its indexes and policies may be gone, so no query is planned; and the
// snapshot is new, for the one who held this drop up may have been inserting.
bool HoldsRows(Oid table) {
  const Relation relation = table_open(table, AccessShareLock);
  const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
  TupleTableSlot* slot = table_slot_create(relation, nullptr);
  const bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
  table_close(relation, NoLock);
  return found;
}

// PostgreSQL calls it: nothing in it may throw, and an error may leave it by longjmp.
void OnAccess(ObjectAccessType access, Oid object_class, Oid object, int sub_object, void* argument) {
  if (next_hook != nullptr) next_hook(access, object_class, object, sub_object, argument);
  if (access != OAT_DROP || object_class != RelationRelationId || sub_object != 0 || allow_drop) return;
  if (!IsGuarded(object) || !HoldsRows(object)) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("extension kvcrm can't be dropped while it holds %s", get_rel_name(object)),
           errhint("Their only copy may be here. To drop it with everything in it, a superuser says first: "
                   "SET kvcrm.allow_drop = on;")));
}

}  // namespace

void crm::GuardDrops() {
  DefineCustomBoolVariable("kvcrm.allow_drop",
                           "Whether the extension may be dropped while it holds leads or customers.", nullptr,
                           &allow_drop, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  next_hook = object_access_hook;
  object_access_hook = OnAccess;
}

// Event trigger before the commands that can drop the extension. It has done its work once it is called: the
// module is loaded.
KVCRM_TIMELESS_FUNCTION(guard_drop) {
  if (!CALLED_AS_EVENT_TRIGGER(args.call()))
    throw Error(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                "guard_drop is a function for event triggers");
  return args.ReturnNull();
}
