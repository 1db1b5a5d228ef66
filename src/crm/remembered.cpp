#include "crm/remembered.hpp"

#include "pg/entry.hpp"
#include "pg/trigger.hpp"

namespace {

// Trigger after each row of a table that backends keep something of, while a dump is restored too: every
// backend reads it anew once the change is committed, this one at once.
KVCRM_FUNCTION(remembered_changed) {
  const kvcrm::pg::TriggerCall call(args);
  kvcrm::pg::InvalidateRelation(RelationGetRelid(call.table()));
  return call.Done();
}

}  // namespace
