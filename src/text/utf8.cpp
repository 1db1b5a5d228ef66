#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// White space or control character, as Trim understands it.
bool IsTrimmed(char32_t c) {
  if (c <= 0x20) return true;
  if (c < 0x7F) return false;
  return c <= 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

}  // namespace

char32_t DecodeCodePoint(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t offset) { return static_cast<unsigned char>(text[position + offset]); };
  const std::size_t available = text.size() - position;
  const unsigned char first = byte(0);

  if (first < 0x80) {
    position += 1;
    return first;
  }
  if (first >= 0xC2 && first <= 0xDF && available >= 2 && IsContinuation(byte(1))) {
    const char32_t c = ((first & 0x1FU) << 6) | (byte(1) & 0x3FU);
    position += 2;
    return c;
  }
  if (first >= 0xE0 && first <= 0xEF && available >= 3 && IsContinuation(byte(1)) &&
      IsContinuation(byte(2))) {
    const char32_t c = ((first & 0x0FU) << 12) | ((byte(1) & 0x3FU) << 6) | (byte(2) & 0x3FU);
    if (c >= 0x800 && (c < 0xD800 || c > 0xDFFF)) {
      position += 3;
      return c;
    }
  }
  if (first >= 0xF0 && first <= 0xF4 && available >= 4 && IsContinuation(byte(1)) &&
      IsContinuation(byte(2)) && IsContinuation(byte(3))) {
    const char32_t c =
        ((first & 0x07U) << 18) | ((byte(1) & 0x3FU) << 12) | ((byte(2) & 0x3FU) << 6) | (byte(3) & 0x3FU);
    if (c >= 0x10000 && c <= 0x10FFFF) {
      position += 4;
      return c;
    }
  }
  position += 1;
  return kMalformed;
}

bool IsValidUtf8(std::string_view bytes) {
  for (std::size_t position = 0; position < bytes.size();) {
    if (DecodeCodePoint(bytes, position) == kMalformed) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  for (std::size_t position = 0; position < text.size(); position = 0) {
    if (!IsTrimmed(DecodeCodePoint(text, position))) break;
    text.remove_prefix(position);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    // No character that is trimmed has more than three bytes.
    while (start > 0 && text.size() - start < 3 && IsContinuation(static_cast<unsigned char>(text[start])))
      --start;
    std::size_t position = start;
    const char32_t c = DecodeCodePoint(text, position);
    if (position != text.size() || !IsTrimmed(c)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

std::string_view Beginning(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

std::size_t CountCodePoints(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t position = 0; position < text.size(); ++count) DecodeCodePoint(text, position);
  return count;
}

}  // namespace kvcrm::text
