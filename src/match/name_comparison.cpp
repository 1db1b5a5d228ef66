#include "match/name_comparison.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "match/edit_distance.hpp"

namespace kvcrm::match {

namespace {

constexpr int kMaxTokens = 12;

// One word of a stored form (text/person_name.cpp describes it).
struct Token {
  char kind;
  bool matched = false;
  std::string_view text;
  std::string_view
      full;  // of a given name: the full names it stands for, with commas; its text when it is one
  std::uint32_t letters;
};

struct Name {
  Token tokens[kMaxTokens];
  int count = 0;

  explicit Name(std::string_view stored) {
    const char* at = stored.data();
    const char* const end = at + stored.size();
    while (at < end && count < kMaxTokens) {
      const char* stop = static_cast<const char*>(std::memchr(at, ' ', static_cast<std::size_t>(end - at)));
      if (stop == nullptr) stop = end;
      if (stop - at > 1) {
        Token& token = tokens[count++];
        token.kind = *at;
        token.text = std::string_view(at + 1, static_cast<std::size_t>(stop - at - 1));
        token.full = {};
        if (token.kind == 'N') {
          const std::size_t equals = token.text.find('=');
          token.full = equals == std::string_view::npos ? token.text : token.text.substr(equals + 1);
          token.text = token.text.substr(0, equals);
        }
        token.letters = LettersOf(token.text);
      }
      at = stop + 1;
    }
  }
};

// Whether two lists with commas share a name.
bool ShareName(std::string_view a, std::string_view b) {
  while (!a.empty()) {
    const std::size_t comma = std::min(a.find(','), a.size());
    const std::string_view name = a.substr(0, comma);
    for (std::string_view rest = b; !rest.empty();) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (rest.substr(0, end) == name) return true;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    a.remove_prefix(std::min(comma + 1, a.size()));
  }
  return false;
}

// What a word weighs in the similarity.
double WeightOf(char kind) {
  switch (kind) {
    case 'F':
      return 1.1;
    case 'P':
      return 0.6;
    case 'I':
      return 0.4;
    case 'X':
      return 0.1;
    default:
      return 1.0;
  }
}

bool Ends(std::string_view text, std::string_view end) { return text.ends_with(end); }

// Ivanov and Ivanova, Zhukovskii and Zhukovskaia: a man's and a woman's form of one family name.
bool DifferInGender(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() == a.size() + 1 && b.back() == 'a' && b.starts_with(a)) {
    return Ends(a, "ov") || Ends(a, "ev") || Ends(a, "in");
  }
  return Ends(b, "aia") && Ends(a, "i") && b.substr(0, b.size() - 3) == a.substr(0, a.size() - 1);
}

// How well two different words agree, 0 to 1.
double Closeness(const Token& a, const Token& b) {
  const std::size_t longer = std::max(a.text.size(), b.text.size());
  const int limit = longer >= 8 ? 2 : longer >= 4 ? 1 : 0;
  if (limit == 0 || std::popcount(a.letters ^ b.letters) > 2 * limit) return 0;
  const int distance = EditDistance(a.text, b.text, limit);
  if (distance > limit) return 0;
  if (DifferInGender(a.text, b.text)) return 0.45;
  // Two names that both are known and have no name in common are two names: Maria and Marina.
  if (a.kind == 'N' && b.kind == 'N') return 0.3;
  if ((a.kind == 'P') != (b.kind == 'P')) return 0;
  return 1.0 - 1.2 * distance / static_cast<double>(longer);
}

}  // namespace

NameComparison CompareNames(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return {NameLevel::kMissing, 0};
  if (a == b) return {NameLevel::kExact, 1};
  // One order of the two, so that rounding and ties are the same both ways.
  if (a.size() > b.size() || (a.size() == b.size() && a > b)) std::swap(a, b);
  Name first(a), second(b);

  double agreed = 0, weight = 0;
  bool exact = true, family = false, given = false, initials = false, typo = false;
  const auto match = [&](Token& x, Token& y, double closeness) {
    x.matched = y.matched = true;
    const double w = std::max(WeightOf(x.kind), WeightOf(y.kind));
    weight += w;
    agreed += w * closeness;
    if (x.kind == 'F' || y.kind == 'F') family = family || closeness > 0.6;
    if ((x.kind == 'N' || x.kind == 'G' || y.kind == 'N' || y.kind == 'G') && x.kind != 'F' && y.kind != 'F')
      given = given || closeness > 0.6;
  };
  const auto pairs = [&](auto&& closeness_of) {
    for (int i = 0; i < first.count; ++i) {
      Token& x = first.tokens[i];
      for (int j = 0; j < second.count && !x.matched; ++j) {
        Token& y = second.tokens[j];
        if (y.matched) continue;
        const double closeness = closeness_of(x, y);
        if (closeness > 0) match(x, y, closeness);
      }
    }
  };
  pairs([](const Token& x, const Token& y) {
    return x.text == y.text && (x.kind == 'I') == (y.kind == 'I') ? 1.0 : 0;
  });
  const auto rest = [](const Name& name) {
    int count = 0;
    for (int i = 0; i < name.count; ++i) count += !name.tokens[i].matched && name.tokens[i].kind != 'X';
    return count;
  };
  int left = rest(first), right = rest(second);
  if (left > 0 && right > 0) {
    exact = false;
    pairs([](const Token& x, const Token& y) {
      return x.kind == 'N' && y.kind == 'N' && ShareName(x.full, y.full) ? 0.95 : 0;
    });
    pairs([&](const Token& x, const Token& y) {
      if ((x.kind == 'I') == (y.kind == 'I') || x.kind == 'X' || y.kind == 'X') return 0.0;
      const bool agree = x.text[0] == y.text[0];
      initials |= agree;
      return agree ? 0.9 : 0.0;
    });
    // The best pairs first.
    for (const double bar : {0.85, 0.5, 0.01}) {
      pairs([&](const Token& x, const Token& y) {
        if (x.kind == 'I' || y.kind == 'I' || x.kind == 'X' || y.kind == 'X') return 0.0;
        const double closeness = Closeness(x, y);
        if (closeness < bar) return 0.0;
        typo = true;
        return closeness;
      });
    }
    left = rest(first), right = rest(second);
  }
  exact = exact && left == 0 && right == 0;
  double left_weight = 0, right_weight = 0;
  for (int i = 0; i < first.count; ++i)
    left_weight += first.tokens[i].matched ? 0 : WeightOf(first.tokens[i].kind);
  for (int j = 0; j < second.count; ++j)
    right_weight += second.tokens[j].matched ? 0 : WeightOf(second.tokens[j].kind);
  const double conflict = std::min(left_weight, right_weight),
               extra = std::max(left_weight, right_weight) - conflict;
  double similarity = agreed / (weight + 1.5 * conflict + 0.12 * extra);
  const bool contradiction = left > 0 && right > 0;
  const bool single = weight < 1.5;
  if (exact) return {NameLevel::kExact, similarity};
  if (contradiction) {
    if (family) return {NameLevel::kFamilyOnly, similarity};
    if (given) return {NameLevel::kGivenOnly, similarity};
    return {NameLevel::kDifferent, similarity};
  }
  if (weight == 0) return {NameLevel::kDifferent, 0};
  if (single && (left > 0 || right > 0)) return {NameLevel::kPartial, 0.7 * similarity};
  if (typo) return {NameLevel::kTypo, similarity};
  if (initials) return {NameLevel::kInitials, similarity};
  return {NameLevel::kEquivalent, similarity};
}

namespace {

std::string_view FirstOf(std::string_view stored, std::string_view kinds) {
  for (const char kind : kinds) {
    for (std::size_t i = 0; i < stored.size();) {
      const std::size_t end = std::min(stored.find(' ', i), stored.size());
      if (end > i + 1 && stored[i] == kind) return stored.substr(i + 1, end - i - 1);
      i = end + 1;
    }
  }
  return {};
}

}  // namespace

std::string_view FamilyName(std::string_view stored) { return FirstOf(stored, "F"); }

std::string_view GivenName(std::string_view stored) {
  std::string_view name = FirstOf(stored, "NG");
  if (const std::size_t equals = name.find('='); equals != std::string_view::npos)
    name.remove_prefix(equals + 1);
  return name.substr(0, name.find(','));
}

}  // namespace kvcrm::match
