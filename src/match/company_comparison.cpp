#include "match/company_comparison.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "match/edit_distance.hpp"
#include "match/name_comparison.hpp"

namespace kvcrm::match {

namespace {

constexpr int kMaxTokens = 24;

struct Token {
  std::string_view text;
  std::uint32_t letters;
  double weight;
  bool number;
  bool matched = false;
};

// A stored form (text/company.cpp describes it).
struct Company {
  std::string_view core, forms, common, places, person;
  Token tokens[kMaxTokens];
  int count = 0;

  explicit Company(std::string_view stored) {
    for (std::string_view* part : {&core, &forms, &common, &places, &person}) {
      const std::size_t end = std::min(stored.find('|'), stored.size());
      *part = stored.substr(0, end);
      stored.remove_prefix(std::min(end + 1, stored.size()));
    }
  }

  void Split() {
    for (std::size_t i = 0; i < core.size() && count < kMaxTokens;) {
      const std::size_t end = std::min(core.find(' ', i), core.size());
      if (end > i) {
        Token& token = tokens[count];
        token.text = core.substr(i, end - i);
        token.letters = LettersOf(token.text);
        token.number = token.text[0] >= '0' && token.text[0] <= '9';
        const bool is_common =
            static_cast<std::size_t>(count) < common.size() && common[static_cast<std::size_t>(count)] == '1';
        token.weight = (is_common ? 0.6 : 1.0) * (token.text.size() > 3 || token.number ? 1.0 : 0.7);
        ++count;
      }
      i = end + 1;
    }
  }
};

// Whether forms agree: nothing known of one, one of them within the other, or a corporation, which may be
// anything.
bool FormsAgree(std::string_view a, std::string_view b) {
  if (a == b || a.empty() || b.empty() || a == "C" || b == "C") return true;
  if (a.size() > b.size()) std::swap(a, b);
  return std::all_of(a.begin(), a.end(),
                     [&](char c) { return c == 'C' || b.find(c) != std::string_view::npos; });
}

// Equal but for spaces.
bool EqualRunTogether(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (true) {
    while (i < a.size() && a[i] == ' ') ++i;
    while (j < b.size() && b[j] == ' ') ++j;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i++] != b[j++]) return false;
  }
}

double Closeness(const Token& a, const Token& b) {
  if (a.number || b.number) return 0;
  const std::size_t longer = std::max(a.text.size(), b.text.size());
  const int limit = longer >= 8 ? 2 : longer >= 4 ? 1 : 0;
  if (limit == 0 || std::popcount(a.letters ^ b.letters) > 2 * limit) return 0;
  const int distance = EditDistance(a.text, b.text, limit);
  if (distance > limit) return 0;
  return 1.0 - 1.2 * distance / static_cast<double>(longer);
}

CompanyComparison CompareCores(Company& a, Company& b) {
  a.Split();
  b.Split();
  double agreed = 0, weight = 0;
  bool typo = false;
  const auto pairs = [&](auto&& closeness_of) {
    for (int i = 0; i < a.count; ++i) {
      Token& x = a.tokens[i];
      for (int j = 0; j < b.count && !x.matched; ++j) {
        Token& y = b.tokens[j];
        if (y.matched) continue;
        if (const double closeness = closeness_of(x, y); closeness > 0) {
          x.matched = y.matched = true;
          const double w = std::max(x.weight, y.weight);
          weight += w;
          agreed += w * closeness;
        }
      }
    }
  };
  pairs([](const Token& x, const Token& y) { return x.text == y.text ? 1.0 : 0.0; });
  for (const double bar : {0.8, 0.01}) {
    pairs([&](const Token& x, const Token& y) {
      const double closeness = Closeness(x, y);
      if (closeness < bar) return 0.0;
      typo = true;
      return closeness;
    });
  }
  double left = 0, right = 0;
  bool number = false;
  for (int i = 0; i < a.count; ++i) {
    if (a.tokens[i].matched) continue;
    left += a.tokens[i].weight;
    number |= a.tokens[i].number;
  }
  for (int j = 0; j < b.count; ++j) {
    if (b.tokens[j].matched) continue;
    right += b.tokens[j].weight;
    number |= b.tokens[j].number;
  }
  if (weight == 0) return {CompanyLevel::kDifferent, 0};
  const double conflict = std::min(left, right), extra = std::max(left, right) - conflict;
  double similarity = agreed / (weight + 1.5 * conflict + 0.5 * extra);
  if (number) return {CompanyLevel::kDifferent, 0.6 * similarity};
  if (conflict > 0) return {similarity > 0.6 ? CompanyLevel::kPartial : CompanyLevel::kDifferent, similarity};
  if (extra > 0) return {CompanyLevel::kPartial, similarity};
  if (typo) return {CompanyLevel::kTypo, similarity};
  return {CompanyLevel::kExact, similarity};
}

}  // namespace

CompanyComparison CompareCompanies(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return {CompanyLevel::kMissing, 0};
  if (a == b) return {CompanyLevel::kExact, 1};
  if (a.size() > b.size() || (a.size() == b.size() && a > b)) std::swap(a, b);
  Company first(a), second(b);
  CompanyComparison result{CompanyLevel::kExact, 1};
  if (first.core != second.core) {
    result = EqualRunTogether(first.core, second.core) ? CompanyComparison{CompanyLevel::kTypo, 0.98}
                                                       : CompareCores(first, second);
  }
  if (result.level != CompanyLevel::kDifferent && !FormsAgree(first.forms, second.forms)) {
    result.similarity *= 0.75;
    if (result.level == CompanyLevel::kExact) result.level = CompanyLevel::kOtherForm;
  }
  if (first.places != second.places) {
    result.similarity *= first.places.empty() || second.places.empty() ? 0.97 : 0.8;
  }
  return result;
}

std::string_view CompanyCore(std::string_view stored) { return stored.substr(0, stored.find('|')); }

}  // namespace kvcrm::match
