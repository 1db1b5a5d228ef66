#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/inn.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view digits(reinterpret_cast<const char*>(data), size);
  if (kvcrm::text::IsValidInn(digits) && size != 10 && size != 12) std::abort();
  return 0;
}
