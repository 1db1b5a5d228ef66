#include "match/training.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

// Decisions: a byte that says which and how many, and two records of five lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::match;
  if (size > 4096) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto record = [&] {
    Fields fields;
    for (std::string_view* field :
         {&fields.name, &fields.company, &fields.email, &fields.phone, &fields.inn}) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      *field = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return Normalize(fields);
  };
  std::vector<Label> labels;
  while (!rest.empty()) {
    const auto decision = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    const std::string a = record(), b = record();
    Frequencies frequencies;
    frequencies.records = decision * 1000U;
    const Comparison comparison = Compare(Record(a), Record(b), frequencies, ShippedModel());
    labels.insert(labels.end(), 1 + decision / 8, LabelOf(comparison, ShippedModel(), decision % 2 == 1));
  }
  const Training training = Train(labels, ShippedModel());
  if (training.duplicates + training.others > static_cast<int>(labels.size())) std::abort();
  if (training.model.weights.size() != Levels().size() || !std::isfinite(training.model.prior)) std::abort();
  for (const double weight : training.model.weights) {
    if (!std::isfinite(weight)) std::abort();
  }
  return 0;
}
