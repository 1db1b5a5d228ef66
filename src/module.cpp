// The module: magic block and settings.
#include "crm/drop_guard.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/feed.hpp"
#include "crm/identity.hpp"
#include "crm/installation.hpp"
#include "pg/error.hpp"
#include "text/phone.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "kvcrm", .version = kvcrm::crm::LibraryVersion());  // for pg_get_loaded_modules()
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);
}

// Loading in the middle of a parallel query can't take over settings that were made before: the acting user
// would be forgotten, and a trusted session without one is the system. Functions that parallel queries may
// run are loaded before they begin; this is for whoever loads the module otherwise.
static void RefuseToForget() {
  if (!IsInParallelMode()) return;
  for (const char* name : {"kvcrm.user_id", "kvcrm.organization_id", "kvcrm.organization_creation"}) {
    if (GetConfigOption(name, true, false) == nullptr) continue;
    ereport(ERROR,
            (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("kvcrm can't be loaded during a parallel query"),
             errhint("Call a function of kvcrm first, or put kvcrm into shared_preload_libraries.")));
  }
}

void _PG_init(void) {
  RefuseToForget();
  kvcrm::crm::DefineSettings();
  kvcrm::crm::DefineFeedSettings();
  kvcrm::crm::GuardDrops();
  kvcrm::crm::CheckVersionOnEntry();
  kvcrm::pg::Error::SetRewording(kvcrm::crm::RewordDuplicate);
  MarkGUCPrefixReserved("kvcrm");
  // Loaded once in the postmaster, the metadata of phone numbers is shared by all backends.
  if (process_shared_preload_libraries_in_progress) kvcrm::text::WarmUpPhones();
}
