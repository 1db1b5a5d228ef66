#include "match/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Records of five lines, each added as often as its first byte says: keys that many records share are capped.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::match;
  constexpr std::size_t kMostRecords = 300;
  const std::string_view organization = "0123456789abcdef";
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto line = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view value = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return value;
  };

  PairFinder finder(ShippedModel(), organization);
  std::vector<std::string> records;
  while (!rest.empty() && records.size() < kMostRecords) {
    const std::size_t copies = 1 + static_cast<unsigned char>(rest.front()) % 4 * 17;
    rest.remove_prefix(1);
    Fields fields;
    for (std::string_view* field : {&fields.name, &fields.company, &fields.email, &fields.phone, &fields.inn})
      *field = line();
    const std::string normalized = Normalize(fields);
    const std::vector<std::int64_t> keys = BlockingKeys(Record(normalized), organization);
    for (std::size_t i = 0; i < copies && records.size() < kMostRecords; ++i) {
      finder.Add(normalized, keys.data(), keys.size());
      records.push_back(normalized);
    }
  }

  constexpr double kLeast = -5;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  finder.Find(
      kLeast,
      [&](const Pair& pair) {
        if (pair.first >= pair.second || pair.second >= records.size()) std::abort();
        if (!std::isfinite(pair.weight) || pair.weight < kLeast) std::abort();
        if (!seen.insert({pair.first, pair.second}).second) std::abort();
      },
      [](double done, double total) {
        if (!(done >= 0 && total >= 0)) std::abort();
      });
  for (const CommonValue& value : finder.CommonValues()) {
    if (value.records < LeastCommon(static_cast<std::uint32_t>(records.size()))) std::abort();
  }
  for (std::size_t i = 0; i < records.size(); i += 1 + records.size() / 8) {
    const auto record = static_cast<std::uint32_t>(i);
    if (finder.NormalizedAt(record) != records[i]) std::abort();
    if (finder.FrequenciesOf(record).records != records.size()) std::abort();
  }
  return 0;
}
