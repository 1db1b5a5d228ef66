// The module: magic block and settings.
#include "crm/drop_guard.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/identity.hpp"
#include "crm/installation.hpp"
#include "pg/error.hpp"
#include "text/phone.hpp"

extern "C" {
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  kvcrm::crm::DefineSettings();
  kvcrm::crm::GuardDrops();
  kvcrm::crm::CheckVersionOnEntry();
  kvcrm::pg::Error::SetRewording(kvcrm::crm::RewordDuplicate);
#if PG_VERSION_NUM >= 150000
  MarkGUCPrefixReserved("kvcrm");
#endif
  // Loaded once in the postmaster, the metadata of phone numbers is shared by all backends.
  if (process_shared_preload_libraries_in_progress) kvcrm::text::WarmUpPhones();
}
