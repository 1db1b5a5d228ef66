// Numbers as people type them into spreadsheets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvcrm::text {

// `typed` as SQL writes it: digits with an optional minus sign and a decimal point; nothing when it is no
// number or can be read in two ways.
//
// Spaces of any kind, apostrophes and signs of currencies (₽, руб., $, €, ...) around the number are
// passed over. With both a comma and a point the last one is decimal and the other groups thousands: 1 234,50
// and 1,234.50. Several of one kind group thousands. A single point is decimal, as in SQL, and so is a single
// comma, unless exactly three digits follow one to three others: 1,234 may be 1234 or 1.234.
std::optional<std::string> ParseAmount(std::string_view typed);

}  // namespace kvcrm::text
