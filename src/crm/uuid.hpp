// Time-ordered identifiers.
#pragma once

#include "pg/types.hpp"

namespace kvcrm::crm {

// A UUID of version 7 (RFC 9562): milliseconds since 1970 in the first 48 bits, then a fraction of the
// millisecond in 12 bits (method 3 of section 6.2), then 62 random bits. Monotonic inside a backend: when the
// clock stands still or goes back, the fraction counts on from the last one given out.
pg::Uuid NewUuid();

}  // namespace kvcrm::crm
