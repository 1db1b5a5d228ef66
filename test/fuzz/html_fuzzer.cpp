#include "mail/html.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

// A page.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  for (const std::size_t limit : {std::size_t{100}, std::size_t{100'000}}) {
    // A limit is kept roughly: to the end of a word, or of a line with its indentation.
    if (kvcrm::mail::HtmlToText(page, limit).size() > limit + size + 1000) __builtin_trap();
  }
  return 0;
}
