// INN, the Russian taxpayer number (ИНН).
#pragma once

#include <string_view>

namespace kvcrm::text {

// True for the INN of an organization (10 ASCII digits, the last a check digit) or of a person (12, the last
// two check digits). A row of zeros, which satisfies the sums, is refused.
bool IsValidInn(std::string_view digits);

}  // namespace kvcrm::text
