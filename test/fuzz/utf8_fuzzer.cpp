#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/utf8.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::text;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view trimmed = Trim(text);
  if (Trim(trimmed) != trimmed) std::abort();
  if (IsValidUtf8(text) && !IsValidUtf8(trimmed)) std::abort();
  if (CountCodePoints(trimmed) > CountCodePoints(text)) std::abort();
  return 0;
}
