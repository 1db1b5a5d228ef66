// What an organization's comparisons weigh with: its model, and how common its values are.
#pragma once

#include "match/model.hpp"
#include "pg/types.hpp"

namespace kvcrm::crm {

// The organization's trained model, else the shipped one. Lives until the next call in this backend. Needs an
// open session.
const match::Model& MatcherOf(const pg::Uuid& organization);

// How many of the organization's leads share these values, as the last scan counted them; values that few
// share, and all of them before the first scan, read as not known. Needs an open session.
match::Frequencies FrequenciesOf(const pg::Uuid& organization, const match::ValueHashes& values);

}  // namespace kvcrm::crm
