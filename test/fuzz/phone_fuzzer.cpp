#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "text/phone.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::text;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  for (const char* region : {"RU", "US", "DE", ""}) {
    const std::optional<std::string> number = ToE164(raw, region);
    if (!number) continue;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (number->size() < 2 || number->front() != '+' ||
        !std::all_of(number->begin() + 1, number->end(), is_digit))
      std::abort();
    if (ToE164(*number, "") != number) std::abort();
  }
  return 0;
}
