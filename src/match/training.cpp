#include "match/training.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace kvcrm::match {

namespace {

// Labels come from candidates that somebody looked at, where fields depend on one another and few random
// pairs are seen: counting levels among them, as for m and u, would mistake "rare among the rejected" for
// "rare". So the weights are fitted together, as coefficients of a logistic regression whose penalty pulls
// each towards its start: the maximum a posteriori estimate under normal priors (Gelman et al., A weakly
// informative default prior distribution for logistic regression, 2008).

// As many undecided labels as a weight's start is worth. An undecided label (p = 1/2) has curvature 1/4 in
// natural logarithms.
constexpr double kImaginaryLabels = 40;
constexpr double kLn2 = 0.69314718055994531;
constexpr double kPenalty = kImaginaryLabels * 0.25 * kLn2 * kLn2;

constexpr int kMaxRounds = 200;
constexpr double kConverged = 1e-6;  // bits
// No step of a round is longer, which keeps Newton's method from overshooting where all labels agree. Bits.
constexpr double kLongestStep = 2;

double Logistic(double bits) { return 1 / (1 + std::exp2(-bits)); }

}  // namespace

Label LabelOf(const Comparison& comparison, const Model& model, bool duplicate) {
  Label label{.levels = {}, .duplicate = duplicate, .offset = comparison.weight - model.prior};
  for (const Evidence& evidence : comparison.evidence) {
    label.levels.push_back(evidence.level);
    label.offset -= model.weights[static_cast<std::size_t>(evidence.level)];
  }
  return label;
}

Training Train(const std::vector<Label>& labels, const Model& start) {
  Training training;
  training.model = start;
  Model& model = training.model;
  const std::size_t levels = model.weights.size();

  std::vector<const Label*> used;
  std::vector<double> sums;  // bits of each label under the current weights
  std::vector<std::vector<std::size_t>> of_level(levels);
  for (const Label& label : labels) {
    double sum = model.prior + label.offset;
    for (const int level : label.levels) {
      if (level < 0 || static_cast<std::size_t>(level) >= levels) continue;
      of_level[static_cast<std::size_t>(level)].push_back(used.size());
      sum += model.weights[static_cast<std::size_t>(level)];
    }
    used.push_back(&label);
    sums.push_back(sum);
    ++(label.duplicate ? training.duplicates : training.others);
  }
  if (used.empty()) return training;

  // Coordinate-wise Newton steps. `rows` are the labels that weight `w` is part of.
  const auto improve = [&](double& w, double origin, const auto& rows) {
    double gradient = kPenalty * (origin - w), curvature = kPenalty;
    for (const std::size_t row : rows) {
      const double p = Logistic(sums[row]);
      gradient += kLn2 * ((used[row]->duplicate ? 1.0 : 0.0) - p);
      curvature += kLn2 * kLn2 * p * (1 - p);
    }
    const double step = std::clamp(gradient / curvature, -kLongestStep, kLongestStep);
    w += step;
    for (const std::size_t row : rows) sums[row] += step;
    return std::abs(step);
  };

  std::vector<std::size_t> all(used.size());
  for (std::size_t row = 0; row < all.size(); ++row) all[row] = row;
  for (int round = 0; round < kMaxRounds; ++round) {
    double longest = improve(model.prior, start.prior, all);
    for (std::size_t level = 0; level < levels; ++level) {
      // Nothing says nothing: missing values stay neutral.
      if (of_level[level].empty() || Levels()[level].name == "missing") continue;
      longest = std::max(longest, improve(model.weights[level], start.weights[level], of_level[level]));
    }
    if (longest < kConverged) break;
  }

  std::size_t touched = 0;
  for (std::size_t level = 0; level < levels; ++level) {
    if (of_level[level].empty()) continue;
    const double move = std::abs(model.weights[level] - start.weights[level]);
    training.largest_move = std::max(training.largest_move, move);
    training.mean_move += move;
    ++touched;
  }
  if (touched > 0) training.mean_move /= static_cast<double>(touched);
  return training;
}

}  // namespace kvcrm::match
