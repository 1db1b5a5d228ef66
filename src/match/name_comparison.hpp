// Comparison of two persons' names on named levels.
#pragma once

#include <string_view>

namespace kvcrm::match {

enum class NameLevel {
  kExact,       // the same tokens in any order
  kEquivalent,  // the same person's name written otherwise: nickname, patronymic left out, transliteration
                // scheme
  kTypo,        // family and given name agree, one with a slip of the pen
  kInitials,    // family name agrees, given names are compatible initials
  kPartial,     // one of them has a single token, which agrees
  kFamilyOnly,  // family name agrees, given names contradict
  kGivenOnly,   // given name agrees, family names contradict
  kDifferent,
  kMissing,
};

struct NameComparison {
  NameLevel level;
  double similarity;  // 0 to 1, finer than the level
};

// Both are stored forms of text::NormalizePersonName. Symmetric.
NameComparison CompareNames(std::string_view a, std::string_view b);

// The first token that most likely is a family name, and the first given name, of a stored form; empty when
// there is none.
std::string_view FamilyName(std::string_view stored);
std::string_view GivenName(std::string_view stored);

}  // namespace kvcrm::match
