// The module: magic block and settings.
#include "crm/drop_guard.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/feed.hpp"
#include "crm/identity.hpp"
#include "crm/installation.hpp"
#include "pg/error.hpp"
#include "text/phone.hpp"

extern "C" {
#include "utils/guc.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "kvcrm", .version = kvcrm::crm::LibraryVersion());  // for pg_get_loaded_modules()
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  kvcrm::crm::DefineSettings();
  kvcrm::crm::DefineFeedSettings();
  kvcrm::crm::GuardDrops();
  kvcrm::crm::CheckVersionOnEntry();
  kvcrm::pg::Error::SetRewording(kvcrm::crm::RewordDuplicate);
  MarkGUCPrefixReserved("kvcrm");
  // Loaded once in the postmaster, the metadata of phone numbers is shared by all backends.
  if (process_shared_preload_libraries_in_progress) kvcrm::text::WarmUpPhones();
}
