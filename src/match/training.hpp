// Learning from decisions: merges are duplicates, dismissals are not.
#pragma once

#include <vector>

#include "match/model.hpp"

namespace kvcrm::match {

// One decided pair, reduced to the level each field was on.
struct Label {
  std::vector<int> levels;  // indexes into Levels()
  bool duplicate;
  double offset = 0;  // bits that aren't learnt: how common the values are, how many records there are
};

// The label of a pair that was compared under `model`.
Label LabelOf(const Comparison& comparison, const Model& model, bool duplicate);

// Fewer decisions of either kind than this say too little.
inline constexpr int kLeastLabels = 20;

struct Training {
  Model model;
  int duplicates = 0, others = 0;  // labels used
  double largest_move = 0;         // bits, of any weight away from `start`
  double mean_move = 0;
};

// Re-estimates the weights from labels, pulled towards `start` as by a number of imaginary labels, so that a
// level that few decisions touch stays where it was. Labels come from pairs that were candidates already, so
// only relative weights are learnt; the prior moves with the share of duplicates among them.
Training Train(const std::vector<Label>& labels, const Model& start);

}  // namespace kvcrm::match
