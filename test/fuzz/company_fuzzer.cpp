#include "text/company.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/utf8.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view name(reinterpret_cast<const char*>(data), size);
  const std::string stored = kvcrm::text::NormalizeCompany(name);
  if (stored.size() > 512 || stored.find_first_of("\t\n\r") != std::string::npos) std::abort();
  if (!kvcrm::text::IsValidUtf8(stored)) std::abort();
  return 0;
}
