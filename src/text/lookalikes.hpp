// Cyrillic and Latin letters that look alike, from Unicode's confusables (UTS 39), as far as keyboards have
// them.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace kvcrm::text::lookalikes {

inline constexpr std::u32string_view kCyrillic = U"АВЕЅІЈКМНОРСТУХаеѕіјорсух";
inline constexpr std::u32string_view kLatin = U"ABESIJKMHOPCTYXaesijopcyx";
static_assert(kCyrillic.size() == kLatin.size());

// By ASCII letter: the Cyrillic letter that looks like it, or 0.
inline constexpr auto kToCyrillic = [] {
  std::array<char32_t, 128> table{};
  for (std::size_t i = 0; i < kLatin.size(); ++i) table[kLatin[i]] = kCyrillic[i];
  return table;
}();

// By letter from U+0400 on: the Latin letter that looks like it, or 0.
inline constexpr auto kToLatin = [] {
  std::array<char, 0x60> table{};
  for (std::size_t i = 0; i < kLatin.size(); ++i) table[kCyrillic[i] - 0x400] = static_cast<char>(kLatin[i]);
  return table;
}();

}  // namespace kvcrm::text::lookalikes
