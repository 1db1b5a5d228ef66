// How well scored pairs tell duplicates from others.
#pragma once

#include <cstddef>
#include <vector>

namespace quality {

struct ScoredPair {
  double score;
  bool duplicate;
};

struct Point {
  double threshold = 0;
  double precision = 0, recall = 0, f1 = 0;
};

struct Curve {
  Point shipped;                      // at the given threshold
  Point best;                         // where F1 is highest
  double recall_at_precision_95 = 0;  // the highest recall with a precision of at least .95
};

// `duplicates` is the number of true pairs there are, those that were never scored included.
Curve Evaluate(std::vector<ScoredPair> pairs, double duplicates, double shipped);

}  // namespace quality
