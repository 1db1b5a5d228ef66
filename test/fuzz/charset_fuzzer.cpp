#include "mail/charset.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/utf8.hpp"

namespace {

// What jsonb and text take.
void Check(std::string_view text) {
  if (!kvcrm::text::IsValidUtf8(text) || text.find('\0') != std::string_view::npos) std::abort();
}

}  // namespace

// What a message calls its encoding, and from the next line on a text in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::mail;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\n'), size);
  const std::string_view label = input.substr(0, end), bytes = input.substr(std::min(end + 1, size));
  Check(Clean(ToUtf8(bytes, label)));
  Check(Clean(ToUtf8(bytes, GuessCharset(bytes))));
  const std::string clean = Clean(input);
  Check(clean);
  if (Clean(clean) != clean) std::abort();
  return 0;
}
