// Duplicates among many records at once: candidates come from sorting keys, not from joining rows, and are
// scored in memory. A million records take some hundred MiB and seconds, near-linearly.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "match/model.hpp"

namespace kvcrm::match {

struct Pair {
  std::uint32_t first, second;  // numbers of records, in the order of Add, first < second
  double weight;                // bits
};

struct CommonValue {
  std::int64_t hash;
  std::uint32_t records;
};

class PairFinder {
 public:
  PairFinder(const Model& model, std::string_view organization);
  ~PairFinder();

  // Copies a stored form (match::Normalize) and its blocking keys; records are numbered from 0.
  void Add(std::string_view normalized, const std::int64_t* keys, std::size_t key_count);

  // Reports each pair of at least `least_weight` once, in no particular order. `progress` is called at least
  // every few milliseconds with the work done and the work there is, in no particular unit, and may throw to
  // stop.
  void Find(double least_weight, const std::function<void(const Pair&)>& found,
            const std::function<void(double done, double total)>& progress);

  // After Find: values that at least LeastCommon() records share, and the frequencies of one record's values.
  std::vector<CommonValue> CommonValues() const;
  Frequencies FrequenciesOf(std::uint32_t record) const;
  std::string_view NormalizedAt(std::uint32_t record) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcrm::match
