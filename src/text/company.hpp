// Company names: the form that matching compares.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::text {

// The stored form of a company name, for match/company_comparison: look-alike letters, case, accents, script
// and legal forms brought to one; what it holds is said in company.cpp. At most a few hundred bytes, no line
// feed. Empty when nothing is left to compare.
std::string NormalizeCompany(std::string_view utf8);

}  // namespace kvcrm::text
