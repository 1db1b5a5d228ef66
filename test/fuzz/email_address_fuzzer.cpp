#include "match/email_address.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// A stored e-mail address, which may be anything.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::match;
  const std::string_view address(reinterpret_cast<const char*>(data), size);
  const EmailAddress parts(address);
  if (parts.local.size() + parts.domain.size() > size) std::abort();
  // Read, so that views which leave the address show.
  if (IsFreeMail(parts.domain) && parts.domain.empty()) std::abort();
  if (IsRole(parts.local) && parts.local.empty()) std::abort();
  IsFreeMail(address);
  IsRole(address);
  return 0;
}
