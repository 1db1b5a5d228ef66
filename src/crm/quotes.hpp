// Quotes, for the tables whose rules concern them.
#pragma once

#include "pg/types.hpp"

namespace kvcrm::crm {

// The quotes of a lead that was just converted get its customer, and the journal of the conversion their ids.
// Needs an open session, the lead's lock, and Authorized.
void GiveCustomerToQuotes(const pg::Uuid& organization, const pg::Uuid& lead, const pg::Uuid& customer);
// The way back: all quotes of the lead, those made since the conversion too.
void TakeCustomerFromQuotes(const pg::Uuid& organization, const pg::Uuid& lead, const pg::Uuid& customer);

}  // namespace kvcrm::crm
