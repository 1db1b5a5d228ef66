#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/amount.hpp"

// What comes out is a number as SQL writes it; a point in it stays where it is when it is read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view typed(reinterpret_cast<const char*>(data), size);
  const auto number = kvcrm::text::ParseAmount(typed);
  if (!number) return 0;
  if (number->empty() || number->find_first_not_of("-.0123456789") != std::string::npos) std::abort();
  if (number->find('.') != number->rfind('.') || number->rfind('-') + 1 > 1) std::abort();
  if (kvcrm::text::ParseAmount(*number) != number) std::abort();
  return 0;
}
