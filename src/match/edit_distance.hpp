// Edit distance of short words: insertions, deletions, substitutions and transpositions of neighbours
// (optimal string alignment), in bits as Hyyrö, A Bit-Vector Algorithm for Computing Levenshtein and Damerau
// Edit Distances (2003).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace kvcrm::match {

// The distance of `a` and `b`, or `limit` + 1 when it is larger. Words of more than 64 bytes (after their
// common ends are taken off) count as different.
inline int EditDistance(std::string_view a, std::string_view b, int limit) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > static_cast<std::size_t>(limit)) return limit + 1;
  while (!a.empty() && a.front() == b.front()) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  while (!a.empty() && a.back() == b.back()) {
    a.remove_suffix(1);
    b.remove_suffix(1);
  }
  if (a.empty()) return static_cast<int>(b.size());
  if (b.size() == 1) return std::min(1, limit + 1);
  if (b.size() == 2 && a.size() == 2) return std::min(a[0] == b[1] && a[1] == b[0] ? 1 : 2, limit + 1);
  if (a.size() > 64 || limit <= 0) return limit + 1;

  // Only entries of letters that occur are ever read.
  std::uint64_t positions[256];
  for (const char c : b) positions[static_cast<unsigned char>(c)] = 0;
  for (std::size_t i = 0; i < a.size(); ++i) positions[static_cast<unsigned char>(a[i])] = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    positions[static_cast<unsigned char>(a[i])] |= std::uint64_t{1} << i;

  std::uint64_t up = ~std::uint64_t{0}, down = 0, diagonal = 0, previous = 0;
  const std::uint64_t last = std::uint64_t{1} << (a.size() - 1);
  int distance = static_cast<int>(a.size());
  for (std::size_t i = 0; i < b.size(); ++i) {
    const std::uint64_t equal = positions[static_cast<unsigned char>(b[i])];
    const std::uint64_t transposed = (((~diagonal) & equal) << 1) & previous;
    diagonal = (((equal & up) + up) ^ up) | equal | down | transposed;
    std::uint64_t plus = down | ~(diagonal | up);
    std::uint64_t minus = diagonal & up;
    if ((plus & last) != 0) ++distance;
    if ((minus & last) != 0) --distance;
    // The rest of `b` can take back at most one a letter.
    if (distance - static_cast<int>(b.size() - 1 - i) > limit) return limit + 1;
    plus = (plus << 1) | 1;
    minus <<= 1;
    up = minus | ~(diagonal | plus);
    down = diagonal & plus;
    previous = equal;
  }
  return std::min(distance, limit + 1);
}

// Letters of a stored form that schemes and keyboards without accents confuse: Žukov and Zhukov, Coj and
// Tsoy, Müller and Мюллер.
constexpr char Loosely(char letter) {
  switch (letter) {
    case 'w':
      return 's';
    case 'j':
      return 'z';
    case 'c':
    case 'q':
      return 'k';
    case 'x':
      return 'u';
    case 'f':
      return 'v';
    default:
      return letter;
  }
}

constexpr bool EqualLoosely(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return x == y || Loosely(x) == Loosely(y); });
}

// The letters of a word as bits, for a first look: words within an edit distance of d differ in at most 2d of
// them.
constexpr std::uint32_t LetterBit(char c) { return std::uint32_t{1} << (static_cast<unsigned char>(c) & 31); }

constexpr bool AtMostTwoBits(std::uint32_t bits) {
  bits &= bits - 1;
  return (bits & (bits - 1)) == 0;
}

constexpr bool AtMostFourBits(std::uint32_t bits) {
  bits &= bits - 1;
  bits &= bits - 1;
  return AtMostTwoBits(bits);
}

}  // namespace kvcrm::match
