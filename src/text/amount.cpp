#include "text/amount.hpp"

#include <algorithm>
#include <array>

#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

// What may stand before or after a number. Longer ones before those that they begin with.
constexpr std::array<std::string_view, 14> kUnits = {"рублей", "рубля", "руб.", "руб", "р.",  "RUB", "USD",
                                                     "EUR",    "₽",   "$",    "€",   "KZT", "₸",   "£"};

std::string_view WithoutUnit(std::string_view text) {
  for (const std::string_view unit : kUnits) {
    if (text.ends_with(unit)) return Trim(text.substr(0, text.size() - unit.size()));
    if (text.starts_with(unit)) return Trim(text.substr(unit.size()));
  }
  return text;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Spaces inside a number: also no-break, narrow no-break, thin and figure ones; apostrophes of both kinds.
bool Groups(char32_t c) {
  return c == ' ' || c == 0xA0 || c == 0x202F || c == 0x2009 || c == 0x2007 || c == '\'' || c == 0x2019;
}

// Digits in groups of three but for the first, which has one to three.
bool IsGrouped(std::string_view text, char separator) {
  std::size_t start = 0;
  for (bool first = true;; first = false) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    const std::size_t size = end - start;
    if (first ? size < 1 || size > 3 : size != 3) return false;
    if (end == text.size()) return true;
    start = end + 1;
  }
}

std::string Without(std::string_view text, char c) {
  std::string rest(text);
  std::erase(rest, c);
  return rest;
}

std::optional<std::string> Join(const std::string& sign, const std::string& whole,
                                std::string_view fraction) {
  if (whole.empty() && fraction.empty()) return std::nullopt;
  std::string number = sign + (whole.empty() ? "0" : whole);
  if (!fraction.empty()) number += "." + std::string(fraction);
  return number;
}

}  // namespace

std::optional<std::string> ParseAmount(std::string_view typed) {
  typed = WithoutUnit(Trim(typed));
  std::string sign, digits;
  for (std::size_t at = 0; at < typed.size();) {
    const std::size_t start = at;
    const char32_t c = DecodeCodePoint(typed, at);
    if (c < 0x80 && (IsDigit(static_cast<char>(c)) || c == '.' || c == ',')) {
      digits += static_cast<char>(c);
    } else if (start == 0 && (c == '-' || c == '+' || c == 0x2212)) {
      if (c != '+') sign = "-";
    } else if (!Groups(c)) {
      return std::nullopt;
    }
  }
  const auto commas = std::count(digits.begin(), digits.end(), ',');
  const auto points = std::count(digits.begin(), digits.end(), '.');
  if (commas == 0 && points == 0) return Join(sign, digits, {});
  if (commas > 0 && points > 0) {
    const std::size_t last = digits.find_last_of(",.");
    const char decimal = digits[last];
    const char group = decimal == ',' ? '.' : ',';
    const std::string_view whole = std::string_view(digits).substr(0, last);
    if (whole.find(decimal) != std::string_view::npos || !IsGrouped(whole, group)) return std::nullopt;
    return Join(sign, Without(whole, group), std::string_view(digits).substr(last + 1));
  }
  const char kind = commas > 0 ? ',' : '.';
  if (commas + points > 1) {
    if (!IsGrouped(digits, kind)) return std::nullopt;
    return Join(sign, Without(digits, kind), {});
  }
  const std::size_t at = digits.find(kind);
  // Three digits after a comma: thousands to some, decimals to others. "0,123" is nobody's thousands.
  if (kind == ',' && IsGrouped(digits, kind) && digits[0] != '0') return std::nullopt;
  return Join(sign, digits.substr(0, at), std::string_view(digits).substr(at + 1));
}

}  // namespace kvcrm::text
