#include "text/skeleton.hpp"

#include <array>

namespace kvcrm::text {

namespace {

constexpr bool IsVowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }
constexpr bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }

// What a consonant is in a skeleton; NUL for what has no place in it.
constexpr auto kSkeleton = [] {
  std::array<char, 256> table{};
  for (int c = 0; c < 256; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  const std::string_view from = "bdgzvjcq", to = "ptksfwss";
  for (std::size_t i = 0; i < from.size(); ++i) table[static_cast<unsigned char>(from[i])] = to[i];
  table['w'] = 's';
  table['j'] = 's';
  for (const char c : std::string_view("aeiouyh")) table[static_cast<unsigned char>(c)] = '\0';
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
        } else if (next == 'h' || next == 'z') {
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
        } else if (next == 'z') {
          sound = 'c';
          read = 2;
        }
        break;
      case 't':
        if ((next == 's' || next == 'z') && third != 'h') {
          sound = 'q';
          read = 2;
        } else if (rest.substr(0, 4) == "tkch") {
          sound = 'c';
          read = 4;
        } else if (rest.substr(0, 6) == "tshkch") {
          sound = 'c';
          read = 6;
        } else if (next == 's' && third == 'h') {
          sound = 'c';
          read = 3;
        } else if (next == 'k' && third == 'h') {
          read = 3;
        }
        break;
      case 'p':
        if (next == 'k' && third == 'h') {
          sound = 'f';
          read = 3;
        }
        break;
      case 'g':
      case 'd':
        if (next == 'k' && third == 'h') read = 3;
        break;
      case 'o':
        if (next == 'u' || next == 'o') {
          sound = 'u';
          read = 2;
        } else if (next == 'e') {
          read = 2;
        }
        break;
      case 'u':
      case 'a':
        if (next == 'e') read = 2;
        if (next == 'i' && third == 'e') read = 3;
        break;
      case 'e':
        if (next == 'i' && third == 'e') read = 3;
        break;
      case 'i':
        if (next == 'e' || next == 'o') {
          sound = 'e';
          read = 2;
        } else if (next == 'u' && size > 0) {
          sound = 'u';
          read = 2;
        }
        break;
      case 'f':
        if (size > 0 && rest.find_first_not_of('f') == std::string_view::npos) sound = 'v';
        break;
      default:
        break;
    }
    i += read;
    if (!IsLetter(sound) || last() != sound) out[size++] = sound;
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
