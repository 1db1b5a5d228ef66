// Members as the rules of other tables need them.
#pragma once

#include "pg/statement.hpp"

namespace kvcrm::crm {

// Whether the user is an active member, and locks the membership: a suspension waits until this transaction
// has ended, and then sees what it assigned.
bool LockActiveMember(const pg::Uuid& organization, const pg::Uuid& user);

}  // namespace kvcrm::crm
