// Names of persons: the form that matching compares.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/words.hpp"

namespace kvcrm::text {

// The stored form of a person's name, for match/name_comparison: look-alike letters, case, accents, script
// and transliteration scheme brought to one, titles dropped, patronymics and initials told apart. At most a
// few hundred bytes, no line feed. Empty when nothing is left to compare.
std::string NormalizePersonName(std::string_view utf8);

// The same of words that were split already.
std::string NormalizePersonWords(std::span<const Word> words);

// Whether few words look like a person's name: with a patronymic, or a family name with two initials.
bool LooksLikePerson(std::span<const Word> words);

}  // namespace kvcrm::text
