// DROP EXTENSION kvcrm, and what comes down to it, does not take leads and customers along by accident.
#pragma once

namespace kvcrm::crm {

// Defines kvcrm.allow_drop and watches, in this backend, what is dropped. Once, when the module is loaded.
void GuardDrops();

}  // namespace kvcrm::crm
