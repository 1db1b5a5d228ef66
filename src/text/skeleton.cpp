#include "text/skeleton.hpp"

#include <array>

namespace kvcrm::text {

namespace {

constexpr bool IsVowel(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'x' || c == 'y';
}
constexpr bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }

// What a consonant is in a skeleton; NUL for what has no place in it.
constexpr auto kSkeleton = [] {
  std::array<char, 256> table{};
  for (int c = 0; c < 256; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  const std::string_view from = "bdgzvjcq", to = "ptksfwss";
  for (std::size_t i = 0; i < from.size(); ++i) table[static_cast<unsigned char>(from[i])] = to[i];
  table['w'] = 's';
  table['j'] = 's';
  for (const char c : std::string_view("aeiouxyh")) table[static_cast<unsigned char>(c)] = '\0';
  return table;
}();

constexpr std::size_t kMaxSkeleton = 8;

}  // namespace

std::size_t WriteSounds(std::string_view folded, char* out) {
  std::size_t size = 0;
  const auto last = [&] { return size > 0 ? out[size - 1] : '\0'; };
  for (std::size_t i = 0; i < folded.size();) {
    const std::string_view rest = folded.substr(i);
    const char c = rest[0], next = rest.size() > 1 ? rest[1] : '\0', third = rest.size() > 2 ? rest[2] : '\0';
    char sound = c;
    std::size_t read = 1;
    switch (c) {
      case 's':
        if (rest.substr(0, 5) == "shkch") {
          sound = 'w';
          read = 5;
        } else if (next == 'h') {
          sound = 'w';
          read = 2;
        }
        break;
      case 'z':
        if (next == 'h') {
          sound = 'j';
          read = 2;
        }
        break;
      case 'k':
        if (next == 'c' && third == 'h') {
          sound = 'c';
          read = 3;
        } else if (next == 'h') {
          sound = 'h';
          read = 2;
        }
        break;
      case 't':
        if (next == 's' && third != 'h') {
          sound = 'q';
          read = 2;
        }
        break;
      case 'a':
      case 'e':
      case 'u':  // Nikolayev, Alekseyev
        if (next == 'i' && third == 'e') read = 2;
        break;
      case 'i':
        if (next == 'e') {
          sound = 'e';
          read = 2;
        } else if (next == 'a' || next == 'u') {
          sound = next == 'a' ? 'y' : 'x';
          read = 2;
        }
        break;
      case 'f':
        if (rest.find_first_not_of('f') == std::string_view::npos) {
          sound = size > 0 ? 'v' : 'f';
          read = rest.size();
        }
        break;
      default:
        break;
    }
    i += read;
    // Doubled consonants are one; doubled vowels are left: they are slips more often than spellings.
    if (!IsLetter(sound) || IsVowel(sound) || last() != sound) out[size++] = sound;
  }
  return size;
}

std::string Skeleton(std::string_view token) {
  std::string skeleton;
  for (std::size_t i = 0; i < token.size() && skeleton.size() < kMaxSkeleton; ++i) {
    const char c = i == 0 && IsVowel(token[i]) ? 'a' : kSkeleton[static_cast<unsigned char>(token[i])];
    if (c != '\0' && (skeleton.empty() || skeleton.back() != c)) skeleton.push_back(c);
  }
  return skeleton;
}

}  // namespace kvcrm::text
