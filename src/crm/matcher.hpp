// What matching goes by in one organization: its trained model or the shipped one, and how common values are
// there.
#pragma once

#include "match/keys.hpp"
#include "match/model.hpp"
#include "pg/statement.hpp"

namespace kvcrm::crm {

// The organization's model. Kept by the backend and read again only when it was trained anew: one look-up by
// key. Valid until the next call. Needs an open session with the owner's rights.
const match::Model& MatcherOf(const pg::Uuid& organization);

// How common the values of one record are in the organization, as its last scan counted them; before the
// first scan nothing is known. One look-up by index for all of them. Needs a session as above.
match::Frequencies FrequenciesOf(const pg::Uuid& organization, const match::ValueHashes& hashes);

// The row of match_common_values that counts all records has this hash, which no value has.
inline constexpr std::int64_t kAllRecords = 0;

}  // namespace kvcrm::crm
