#include "match/name_comparison.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/person_name.hpp"

namespace {

void Check(std::string_view a, std::string_view b) {
  const auto one = kvcrm::match::CompareNames(a, b), other = kvcrm::match::CompareNames(b, a);
  if (one.level != other.level || one.similarity != other.similarity) std::abort();
  if (!(one.similarity >= 0 && one.similarity <= 1)) std::abort();
}

}  // namespace

// Two names, one a line: as stored forms, which may be anything, and as what users type.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos) return 0;
  const std::string_view a = input.substr(0, end), b = input.substr(end + 1);
  Check(a, b);
  Check(kvcrm::text::NormalizePersonName(a), kvcrm::text::NormalizePersonName(b));
  return 0;
}
