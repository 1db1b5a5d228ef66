#include "match/company_comparison.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "match/edit_distance.hpp"
#include "match/name_comparison.hpp"

namespace kvcrm::match {

namespace {

constexpr int kMaxTokens = 24;

struct Token {
  std::string_view text;
  std::uint32_t letters;
  bool matched;
  bool number;
  char synonyms;  // words with the same letter are synonyms; NUL when it has none
  double weight;
};

// A stored form (text/company.cpp describes it).
struct Company {
  std::string_view core, forms, common, places, person;
  Token tokens[kMaxTokens];
  int count = 0;
  std::uint32_t letters = 0;  // of the core
  std::size_t size = 0;       // of the core without spaces
  bool synonyms = false;

  explicit Company(std::string_view stored) {
    // Parts are short: a loop beats memchr.
    for (std::string_view* part : {&core, &forms, &common, &places}) {
      std::size_t end = 0;
      while (end < stored.size() && stored[end] != '|') ++end;
      *part = stored.substr(0, end);
      stored.remove_prefix(std::min(end + 1, stored.size()));
    }
    person = stored;
  }

  void Split() {
    const char* at = core.data();
    const char* const end = at + core.size();
    while (at < end && count < kMaxTokens) {
      Token& token = tokens[count];
      const char* const start = at;
      token.letters = 0;
      while (at < end && *at != ' ') token.letters |= LetterBit(*at++);
      token.text = std::string_view(start, static_cast<std::size_t>(at++ - start));
      if (token.text.empty()) continue;
      token.matched = false;
      token.number = *start >= '0' && *start <= '9';
      const char mark =
          static_cast<std::size_t>(count) < common.size() ? common[static_cast<std::size_t>(count)] : '0';
      token.synonyms = mark > '9' ? mark : '\0';
      token.weight = (mark == '0'   ? 1.0
                      : mark == '2' ? 0.3
                                    : 0.6) *
                     (token.text.size() > 3 || token.number ? 1.0 : 0.7);
      synonyms |= token.synonyms != '\0';
      letters |= token.letters;
      size += token.text.size();
      ++count;
    }
  }
};

// How well legal forms agree, 1 when they don't contradict: nothing known of one, one of them within the
// other, or one that is any form's name abroad (corporation, Ltd).
double FormsAgree(std::string_view a, std::string_view b) {
  if (a == b || a.empty() || b.empty() || a == "C" || b == "C") return 1;
  const auto covers = [](std::string_view x, std::string_view y) {
    return std::all_of(y.begin(), y.end(), [&](char c) {
      return c == 'C' || (c == 'E' ? x.find('L') : c == 'L' ? x.find_first_of("LE") : x.find(c)) != x.npos;
    });
  };
  if (covers(a, b) || covers(b, a)) return 1;
  // Ltd is what many a company calls itself abroad; НПО and the like are no more than parts of a name.
  const auto loose = [](std::string_view x) { return x.find_first_not_of("CERT") == x.npos; };
  return loose(a) || loose(b) ? 0.85 : 0.72;
}

// How well the words beside the name agree.
double PlacesAgree(std::string_view a, std::string_view b) {
  if (a == b) return 1;
  const auto rest = [](std::string_view x, std::string_view y) {
    char kind = '\0';
    for (std::size_t i = 0; i < x.size();) {
      const std::size_t end = std::min(x.find(' ', i), x.size());
      const std::string_view word = x.substr(i, end - i);
      const std::size_t found = y.find(word);
      const bool shared = found != y.npos && (found == 0 || y[found - 1] == ' ') &&
                          (found + word.size() == y.size() || y[found + word.size()] == ' ');
      if (!shared && kind != '+')
        kind = word[0] == '+' || word[0] == '-' ? word[0] : kind == '\0' ? 'g' : kind;
      i = end + 1;
    }
    return kind;
  };
  const char left = rest(a, b), right = rest(b, a);
  if (left == '\0' && right == '\0') return 1;
  if (left == '\0' || right == '\0') return left == '+' || right == '+' ? 0.85 : 0.93;
  return left != 'g' && right != 'g' ? 0.5 : 0.85;
}

double Closeness(const Token& a, const Token& b) {
  if (a.number || b.number) return 0;
  const std::size_t longer = std::max(a.text.size(), b.text.size());
  // Of three letters only a transposition is a slip.
  const bool transposed = longer == 3 && a.letters == b.letters && a.text.size() == b.text.size();
  const int limit = longer >= 6 ? 2 : longer >= 4 || transposed ? 1 : 0;
  if (limit == 0) return 0;
  const std::uint32_t differing = a.letters ^ b.letters;
  if (limit == 1 ? !AtMostTwoBits(differing) : !AtMostFourBits(differing)) return 0;
  const int distance = EditDistance(a.text, b.text, limit);
  if (distance > limit) return 0;
  if (EqualLoosely(a.text, b.text)) return 0.92;
  return 1.0 - 1.2 * distance / static_cast<double>(longer);
}

// Pairs the words of two cores, the surest pairs first, and adds up what agrees.
class Alignment {
 public:
  Alignment(Company& a, Company& b) : a_(a), b_(b) {
    a.Split();
    b.Split();
  }

  CompanyComparison Compare() {
    bool close = false;  // some words may be within an edit distance of two
    for (int i = 0; i < a_.count; ++i) {
      Token& x = a_.tokens[i];
      for (int j = 0; j < b_.count; ++j) {
        Token& y = b_.tokens[j];
        const std::uint32_t differing = x.letters ^ y.letters;
        if (differing == 0 && !y.matched && x.text == y.text) {
          Match(x, y, 1);
          break;
        }
        close |= AtMostFourBits(differing);
      }
    }
    if (a_.synonyms && b_.synonyms) {
      Pair([](const Token& x, const Token& y) {
        return x.synonyms != '\0' && x.synonyms == y.synonyms ? 0.97 : 0.0;
      });
    }
    if (close) {
      for (const double bar : {0.8, 0.01}) {
        Pair([&](const Token& x, const Token& y) {
          const double closeness = Closeness(x, y);
          if (closeness < bar) return 0.0;
          typo_ = true;
          return closeness;
        });
      }
    }
    if (weight_ == 0) return {CompanyLevel::kDifferent, 0};
    bool number = false;
    const double left = Left(a_, number), right = Left(b_, number);
    const double conflict = std::min(left, right), extra = std::max(left, right) - conflict;
    const double similarity = agreed_ / (weight_ + 1.5 * conflict + 0.8 * extra);
    if (number) return {CompanyLevel::kDifferent, 0.6 * similarity};
    if (conflict > 0)
      return {similarity > 0.6 ? CompanyLevel::kPartial : CompanyLevel::kDifferent, similarity};
    if (extra > 0) return {CompanyLevel::kPartial, similarity};
    return {typo_ ? CompanyLevel::kTypo : CompanyLevel::kExact, similarity};
  }

 private:
  template <typename ClosenessOf>
  void Pair(const ClosenessOf& closeness_of) {
    for (int i = 0; i < a_.count; ++i) {
      Token& x = a_.tokens[i];
      for (int j = 0; j < b_.count && !x.matched; ++j) {
        Token& y = b_.tokens[j];
        if (y.matched) continue;
        const double closeness = closeness_of(x, y);
        if (closeness > 0) Match(x, y, closeness);
      }
    }
  }

  void Match(Token& x, Token& y, double closeness) {
    x.matched = y.matched = true;
    const double weight = std::max(x.weight, y.weight);
    weight_ += weight;
    agreed_ += weight * closeness;
  }

  static double Left(const Company& company, bool& number) {
    double weight = 0;
    for (int i = 0; i < company.count; ++i) {
      if (company.tokens[i].matched) continue;
      weight += company.tokens[i].weight;
      number |= company.tokens[i].number;
    }
    return weight;
  }

  Company &a_, &b_;
  double agreed_ = 0, weight_ = 0;
  bool typo_ = false;
};

// A name without spaces.
struct RunTogether {
  static constexpr std::size_t kMax = 96;

  char letters[kMax];
  std::size_t size = 0;

  RunTogether(std::string_view core, std::string_view places) {
    for (const std::string_view part : {core, places}) {
      for (const char c : part) {
        // Doubled letters are one across words too, as in words.
        if (c != ' ' && size < kMax && (size == 0 || letters[size - 1] != c || (c >= '0' && c <= '9')))
          letters[size++] = c;
      }
    }
  }
  std::string_view text() const { return {letters, size}; }
};

bool HasDigit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// TechSolutions and Tech Solutions, with a slip perhaps; 0 when they aren't one.
double ClosenessRunTogether(std::string_view a, std::string_view b) {
  const std::size_t longer = std::max(a.size(), b.size());
  const int limit = longer >= 10 && !HasDigit(a) && !HasDigit(b) ? 2 : 0;
  if (a == b) return 0.98;
  if (limit == 0) return 0;
  const int distance = EditDistance(a, b, limit);
  return distance > limit ? 0 : 0.98 - 1.2 * distance / static_cast<double>(longer);
}

// PLA and People's Liberation Army.
bool IsAcronym(std::string_view word, std::string_view core) {
  if (word.size() < 3 || word.size() > 6 || word.find(' ') != std::string_view::npos) return false;
  std::size_t i = 0;
  for (std::size_t at = 0; at < core.size(); ++at) {
    if (at > 0 && core[at - 1] != ' ') continue;
    if (i == word.size() || core[at] != word[i]) return false;
    ++i;
  }
  return i == word.size();
}

CompanyComparison CompareCores(Company& a, Company& b) {
  CompanyComparison result = Alignment(a, b).Compare();
  if (result.similarity < 0.9) {
    const std::size_t shorter = std::min(a.size, b.size), longer = std::max(a.size, b.size);
    double closeness = 0;
    if (longer - shorter <= 3 && AtMostFourBits(a.letters ^ b.letters)) {
      closeness = ClosenessRunTogether(RunTogether(a.core, {}).text(), RunTogether(b.core, {}).text());
    } else if (a.places.empty() != b.places.empty() && a.core[0] == b.core[0]) {
      closeness =
          ClosenessRunTogether(RunTogether(a.core, a.places).text(), RunTogether(b.core, b.places).text());
    }
    if (closeness > result.similarity) return {CompanyLevel::kTypo, closeness};
  }
  if ((a.count == 1 && b.count > 2 && IsAcronym(a.core, b.core)) ||
      (b.count == 1 && a.count > 2 && IsAcronym(b.core, a.core))) {
    return {CompanyLevel::kPartial, std::max(0.7, result.similarity)};
  }
  return result;
}

// Two sole traders, or a sole trader and a name that looks like one.
CompanyComparison ComparePersons(std::string_view a, std::string_view b) {
  const NameComparison names = CompareNames(a, b);
  switch (names.level) {
    case NameLevel::kExact:
    case NameLevel::kEquivalent:
      return {CompanyLevel::kExact, names.similarity};
    case NameLevel::kTypo:
      return {CompanyLevel::kTypo, names.similarity};
    case NameLevel::kInitials:
    case NameLevel::kPartial:
      return {CompanyLevel::kPartial, names.similarity};
    default:
      return {CompanyLevel::kDifferent, names.similarity};
  }
}

}  // namespace

CompanyComparison CompareCompanies(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return {CompanyLevel::kMissing, 0};
  if (a == b) return {CompanyLevel::kExact, 1};
  if (a.size() > b.size() || (a.size() == b.size() && a > b)) std::swap(a, b);
  Company first(a), second(b);
  if (!first.person.empty() && !second.person.empty()) return ComparePersons(first.person, second.person);
  CompanyComparison result{CompanyLevel::kExact, 1};
  if (first.core != second.core) result = CompareCores(first, second);
  if (const double forms = FormsAgree(first.forms, second.forms); forms < 1) {
    result.similarity *= forms;
    if (result.level == CompanyLevel::kExact) result.level = CompanyLevel::kOtherForm;
  }
  const double places = PlacesAgree(first.places, second.places);
  result.similarity *= places;
  if (places <= 0.5 && result.level != CompanyLevel::kDifferent) result.level = CompanyLevel::kPartial;
  return result;
}

std::string_view CompanyCore(std::string_view stored) { return stored.substr(0, stored.find('|')); }

}  // namespace kvcrm::match
