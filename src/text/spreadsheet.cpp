#include "text/spreadsheet.hpp"

#include <cstddef>

#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNumber(std::string_view cell) {
  if (!cell.empty() && (cell[0] == '+' || cell[0] == '-')) cell.remove_prefix(1);
  if (cell.empty() || !IsDigit(cell.front()) || !IsDigit(cell.back())) return false;
  int points = 0;
  for (const char c : cell) {
    if (c == '.' || c == ',')
      ++points;
    else if (!IsDigit(c))
      return false;
  }
  return points <= 1;
}

// What spreadsheets pass over before they look for a formula. The apostrophe is among it so that a guarded
// cell looks like a formula too.
bool IsPassedOver(char32_t c) {
  return c == ' ' || c == '\'' || c == 0xA0 || c == 0x200B || c == 0xFEFF || c == 0x3000;
}

bool BeginsFormula(char32_t c) {
  switch (c) {
    case '=':
    case '+':
    case '-':
    case '@':
    case '\t':
    case '\r':
    case '\n':
    case 0xFF1D:
    case 0xFF0B:
    case 0xFF0D:
    case 0xFF20:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool LooksLikeFormula(std::string_view cell) {
  for (std::size_t at = 0; at < cell.size();) {
    const char32_t c = DecodeCodePoint(cell, at);
    if (IsPassedOver(c)) continue;
    return BeginsFormula(c) && !IsNumber(cell);
  }
  return false;
}

std::string Guard(std::string_view cell) {
  return LooksLikeFormula(cell) ? "'" + std::string(cell) : std::string(cell);
}

std::string_view Unguard(std::string_view cell) {
  if (cell.empty() || cell[0] != '\'') return cell;
  const std::string_view bare = cell.substr(1);
  return LooksLikeFormula(bare) ? bare : cell;
}

}  // namespace kvcrm::text
