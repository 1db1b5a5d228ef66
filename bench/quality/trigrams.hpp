// What people use today: pg_trgm, with equal keys.
#pragma once

#include <cstddef>
#include <vector>

#include "evaluation.hpp"
#include "sets.hpp"

namespace quality {

struct Trigrams {
  Curve curve;  // its best point is the best of all variants
  const char* variant;
  std::size_t sample;  // leads that were compared with all others
};

// The best that a query of pg_trgm reaches with its threshold tuned on the very data: pairs of equal e-mail,
// phone or INN or none of these, and similarity() of name, of name and company, or of both as one text.
// Compares the first `sample` leads (they are in no order) with all; candidates are pairs whose texts have a
// similarity of .3. The server comes from the environment.
Trigrams MatchByTrigrams(const std::vector<Lead>& leads, std::size_t sample);

// similarity() of each pair.
Curve CompareByTrigrams(const std::vector<NamePair>& pairs);

}  // namespace quality
