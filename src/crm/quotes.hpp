// Quotes, for the tables whose rules concern them.
#pragma once

#include "pg/types.hpp"

namespace kvcrm::crm {

// Throws 23514 unless the setting quote_accepted_wins, if there is one, is a boolean.
void CheckQuoteSettings(pg::Json settings);

}  // namespace kvcrm::crm
