// The check digits of the INN. Its structure (inspectorate, serial number, check digits) is set by order
// ММВ-7-6/435@ of the Federal Tax Service of 29 June 2012, which doesn't print the weights; those in general
// use are in the Russian Wikipedia, "Идентификационный номер налогоплательщика" and "Контрольное число": the
// weighted sum of the preceding digits, modulo 11, modulo 10.
#include "text/inn.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace kvcrm::text {

namespace {

// The digit at index n is weighed by the last n of these: 9, 10 or 11 weights, aligned to the check digit.
constexpr std::array kWeights = {3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8};

bool CheckDigitMatches(std::string_view digits, std::size_t index) {
  int sum = 0;
  for (std::size_t i = 0; i < index; ++i) sum += kWeights[kWeights.size() - index + i] * (digits[i] - '0');
  return sum % 11 % 10 == digits[index] - '0';
}

}  // namespace

bool IsValidInn(std::string_view digits) {
  if (digits.size() != 10 && digits.size() != 12) return false;
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  if (digits.find_first_not_of('0') == std::string_view::npos) return false;
  if (digits.size() == 10) return CheckDigitMatches(digits, 9);
  return CheckDigitMatches(digits, 10) && CheckDigitMatches(digits, 11);
}

}  // namespace kvcrm::text
