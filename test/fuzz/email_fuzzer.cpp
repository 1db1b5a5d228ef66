#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/email.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::text;
  const std::string_view address(reinterpret_cast<const char*>(data), size);
  const bool valid = IsValidEmail(address);
  const std::string normalized = NormalizeEmail(address);
  if (NormalizeEmail(normalized) != normalized) std::abort();
  if (valid && normalized.find('@') == std::string::npos) std::abort();
  return 0;
}
