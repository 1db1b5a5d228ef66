#include "evaluation.hpp"

#include <algorithm>

namespace quality {

Curve Evaluate(std::vector<ScoredPair> pairs, double duplicates, double shipped) {
  std::sort(pairs.begin(), pairs.end(),
            [](const ScoredPair& a, const ScoredPair& b) { return a.score > b.score; });
  Curve curve;
  double found = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    found += pairs[i].duplicate ? 1 : 0;
    // A threshold can't part pairs of one score.
    if (i + 1 < pairs.size() && pairs[i + 1].score == pairs[i].score) continue;
    Point point;
    point.threshold = pairs[i].score;
    point.precision = found / static_cast<double>(i + 1);
    point.recall = duplicates > 0 ? found / duplicates : 0;
    if (found > 0) point.f1 = 2 * point.precision * point.recall / (point.precision + point.recall);
    if (point.f1 > curve.best.f1) curve.best = point;
    if (point.threshold >= shipped) curve.shipped = point;
    if (point.precision >= 0.95)
      curve.recall_at_precision_95 = std::max(curve.recall_at_precision_95, point.recall);
  }
  return curve;
}

}  // namespace quality
