// The event feed's epochs.
#pragma once

#include "pg/statement.hpp"

namespace kvcrm::crm {

void DefineFeedSettings();

// The epoch that entries of the audit log written now belong to. It rises with the first entry that is
// written in another cluster than the one before: transaction ids, which order the feed, start anew there.
std::int32_t FeedEpoch(const pg::Uuid& organization);

}  // namespace kvcrm::crm
