#include "mail/quote.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// A text, which mail/charset.hpp has cleaned or not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::mail;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Split split = SplitQuoted(input);
  if (split.text.size() + split.quoted.size() > size + 2) std::abort();
  return 0;
}
