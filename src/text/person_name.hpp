// Names of persons: the form that matching compares.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::text {

// The stored form of a person's name, for match/name_comparison: look-alike letters, case, accents, script
// and transliteration scheme brought to one, titles dropped, patronymics and initials told apart. At most a
// few hundred bytes, no line feed. Empty when nothing is left to compare.
std::string NormalizePersonName(std::string_view utf8);

}  // namespace kvcrm::text
