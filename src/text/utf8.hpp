// UTF-8 helpers that need no tables: validity, length and trimming.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvcrm::text {

// True when `bytes` is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates,
// nothing above U+10FFFF). The empty string is valid.
bool IsValidUtf8(std::string_view bytes);

// `text` without white space and control characters on both ends: the Unicode White_Space property, C0 and C1
// controls, and two invisible characters that come with copied text, U+200B (zero width space) and
// U+FEFF (byte order mark). The result is a view into `text`. Malformed bytes are kept: they are no white
// space.
std::string_view Trim(std::string_view text);

// The beginning of `text`: at most `size` bytes of it, and no part of a code point.
std::string_view Beginning(std::string_view text, std::size_t size);

// Number of code points. A byte that belongs to no well-formed sequence counts as one.
std::size_t CountCodePoints(std::string_view text);

// What DecodeCodePoint returns for a malformed sequence; no valid text decodes to it.
inline constexpr char32_t kMalformed = 0xFFFFFFFF;

// The code point that starts at byte `position`, which is advanced past it (by one byte when malformed).
// Requires position < text.size().
char32_t DecodeCodePoint(std::string_view text, std::size_t& position);

}  // namespace kvcrm::text
