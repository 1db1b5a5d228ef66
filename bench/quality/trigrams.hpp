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
  std::size_t sample;       // leads that were compared with all others
  double duplicates;        // true pairs of these leads
  double least_similarity;  // of candidates without an equal key
};

// The best that a query of pg_trgm reaches with its threshold tuned on the very data: pairs of equal e-mail,
// phone or INN or none of these, and similarity() of name, of name and company, or of both as one text.
// Compares the first `sample` leads (they are in no order), or as many of them as two and a half minutes
// suffice for, with all; candidates are pairs with an equal key or a similarity of at least
// `least_similarity` of their texts. The server comes from the environment.
Trigrams MatchByTrigrams(const std::vector<Lead>& leads, std::size_t sample, double least_similarity);

// similarity() of each pair.
Curve CompareByTrigrams(const std::vector<NamePair>& pairs);

}  // namespace quality
