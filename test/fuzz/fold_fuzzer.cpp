#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/fold.hpp"
#include "text/utf8.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string folded = kvcrm::text::Fold(text);
  if (!kvcrm::text::IsValidUtf8(folded)) std::abort();
  if (kvcrm::text::Fold(folded) != folded) std::abort();
  return 0;
}
