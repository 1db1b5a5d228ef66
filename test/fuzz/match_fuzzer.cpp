#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "match/keys.hpp"
#include "match/model.hpp"
#include "match/record.hpp"
#include "text/utf8.hpp"

// Two records, ten lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::match;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto line = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view value = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return value;
  };
  const auto fields = [&] {
    Fields fields;
    for (std::string_view* field : {&fields.name, &fields.company, &fields.email, &fields.phone, &fields.inn})
      *field = line();
    return fields;
  };
  const std::string a = Normalize(fields()), b = Normalize(fields());
  for (const std::string* normalized : {&a, &b}) {
    if (!kvcrm::text::IsValidUtf8(*normalized)) std::abort();
    if (std::count(normalized->begin(), normalized->end(), '\n') != 4) std::abort();
    if (BlockingKeys(Record(*normalized), "0123456789abcdef").size() > 22) std::abort();
  }
  Frequencies frequencies;
  frequencies.records = 1000;
  const double there = Score(Record(a), Record(b), frequencies, ShippedModel());
  const double back = Score(Record(b), Record(a), frequencies, ShippedModel());
  if (!std::isfinite(there) || std::abs(there - back) > 1e-6) std::abort();
  // A stored form may be damaged: whatever it holds is read.
  const Record damaged(std::string_view(reinterpret_cast<const char*>(data), size));
  Score(damaged, Record(a), frequencies, ShippedModel());
  BlockingKeys(damaged, "0123456789abcdef");
  return 0;
}
