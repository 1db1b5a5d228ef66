// Cells of CSV that a spreadsheet would take for formulas.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::text {

// Whether a spreadsheet could take the cell for a formula: it begins with = + - @ (also in their full-width
// forms), a tab or a line end, whatever spaces and apostrophes come before. A number is none: an optional
// sign, digits and at most one point or comma between them, as +79161234567 and -120.5.
bool LooksLikeFormula(std::string_view cell);

// The cell with an apostrophe before it if it looks like a formula, which makes it a text. What is guarded
// already gets one more, so that Unguard gives back exactly what was there.
std::string Guard(std::string_view cell);

// What Guard was given; any other cell as it is.
std::string_view Unguard(std::string_view cell);

}  // namespace kvcrm::text
