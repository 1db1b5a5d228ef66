// Upkeep of the installation itself.
#include "crm/installation.hpp"

#include "pg/result_set.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace kvcrm::crm {

namespace {

// KVCRM_VERSION is kvcrm.control's default_version.
constexpr const char* kVersion = KVCRM_VERSION;

// That the versions agree, until a function of the database changes, as some do in every update.
bool agrees = false;

void Forget([[maybe_unused]] Datum argument, [[maybe_unused]] int cache, [[maybe_unused]] uint32 hash) {
  agrees = false;
}

// The version of the extension's SQL in this database; empty when there is no extension.
std::string InstalledVersion() {
  const char* version = pg::Call([]() -> const char* {
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("kvcrm"));
    Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(extensions, ExtensionNameIndexId, true, nullptr, 1, &key);
    const char* found = "";
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
      bool is_null = false;
      const Datum value =
          heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &is_null);
      if (!is_null) found = TextDatumGetCString(value);
    }
    systable_endscan(scan);
    table_close(extensions, AccessShareLock);
    return found;
  });
  return version;
}

// The numbers of a version such as 1.10.0.
std::vector<int> Numbers(const std::string& version) {
  std::vector<int> numbers(1, 0);
  for (const char c : version) {
    if (c == '.') numbers.push_back(0);
    if (c >= '0' && c <= '9') numbers.back() = numbers.back() * 10 + (c - '0');
  }
  return numbers;
}

void CheckVersion() {
  // A script of CREATE or ALTER EXTENSION is on its way from one version to another.
  if (agrees || creating_extension) return;
  const std::string installed = InstalledVersion();
  if (!installed.empty() && installed != kVersion) {
    const bool update_waits = Numbers(installed) < Numbers(kVersion);
    throw Error(
        ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "kvcrm in this database is of version " + installed + ", the library of this session of " + kVersion)
        .Hint(update_waits ? "ALTER EXTENSION kvcrm UPDATE"
                           : "Reconnect: kvcrm was updated while this session lasted.");
  }
  agrees = true;
}

}  // namespace

const char* LibraryVersion() { return kVersion; }

void CheckVersionOnEntry() {
  CacheRegisterSyscacheCallback(PROCOID, Forget, 0);
  pg::SetEntryCheck(CheckVersion);
}

}  // namespace kvcrm::crm

using namespace kvcrm;

// prepare_statements() -> setof text: prepares every statement of the registry and returns their names. Fails
// on the first that doesn't fit the tables.
KVCRM_FUNCTION(prepare_statements) {
  pg::ResultSet result(args, pg::ResultSet::Shape::kSingle);
  pg::Session session(pg::Access::kWrite);
  for (const pg::StatementBase* statement = pg::StatementBase::First(); statement != nullptr;
       statement = statement->next()) {
    statement->Prepare();
    result.Add(std::string_view(statement->name()));
  }
  return result.Done();
}
