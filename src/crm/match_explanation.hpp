// How a comparison is told to people: as jsonb, the same wherever one is shown or stored.
#pragma once

#include "match/model.hpp"
#include "pg/json.hpp"

namespace kvcrm::crm {

// {"prior": -9.5, "fields": [{"field": "name", "level": "exact", "weight": 8.25, "adjustment": -0.75}, ...],
//  "weight": 3.125, "probability": 0.897}, weights in bits, in the current memory context. The waterfall:
// prior plus the fields' weights is the weight, up to rounding to three digits.
pg::Json ExplanationOf(const match::Comparison& comparison);

// Two records beside each other as people typed them: each field then has "values": ["Иванов И.", null].
struct Compared {
  match::Fields a, b;
};
pg::Json ExplanationOf(const match::Comparison& comparison, const Compared& records);

}  // namespace kvcrm::crm
