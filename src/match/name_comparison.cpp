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
  return Ends(b, "ay") && Ends(a, "i") && b.substr(0, b.size() - 2) == a.substr(0, a.size() - 1);
}

// How well two different words agree, 0 to 1; below kAgreement they rather contradict each other.
constexpr double kAgreement = 0.6;

double Closeness(const Token& a, const Token& b) {
  const std::size_t longer = std::max(a.text.size(), b.text.size());
  const int limit = longer >= 6 ? 2 : longer >= 4 ? 1 : 0;
  if (limit == 0 || std::popcount(a.letters ^ b.letters) > 2 * limit) return 0;
  if ((a.kind == 'P') != (b.kind == 'P')) return 0;
  const int distance = EditDistance(a.text, b.text, limit);
  if (distance > limit) return 0;
  if (DifferInGender(a.text, b.text)) return 0.45;
  // Two names that both are known and have no name in common are two names: Maria and Marina.
  if (a.kind == 'N' && b.kind == 'N') return 0.3;
  if (distance == 2 && longer < 8) return 0.5;
  return 1.0 - 1.2 * distance / static_cast<double>(longer);
}

// Pairs the words of two names, the surest pairs first, and adds up what agrees.
class Alignment {
 public:
  Alignment(std::string_view a, std::string_view b) : first_(a), second_(b) {}

  NameComparison Compare() {
    Pair([](const Token& x, const Token& y) {
      return x.text == y.text && (x.kind == 'I') == (y.kind == 'I') ? 1.0 : 0.0;
    });
    const bool exact = Left(first_) == 0 && Left(second_) == 0;
    if (!exact) PairRest();
    const int left = Left(first_), right = Left(second_);
    const double left_weight = LeftWeight(first_), right_weight = LeftWeight(second_);
    const double conflict = std::min(left_weight, right_weight);
    const double extra = std::max(left_weight, right_weight) - conflict;
    double similarity = agreed_ / (weight_ + 1.5 * conflict + 0.12 * extra);
    if (words_ == 0) return {NameLevel::kDifferent, 0.3 * similarity};
    if ((left > 0 && right > 0) || contradicted_) {
      if (family_) return {NameLevel::kFamilyOnly, similarity};
      return {given_ ? NameLevel::kGivenOnly : NameLevel::kDifferent, similarity};
    }
    if (exact) return {NameLevel::kExact, similarity};
    if (words_ == 1 && initials_ == 0 && (left > 0 || right > 0))
      return {NameLevel::kPartial, 0.7 * similarity};
    if (typo_) return {NameLevel::kTypo, similarity};
    if (initials_ > 0) return {family_ ? NameLevel::kInitials : NameLevel::kPartial, similarity};
    return {NameLevel::kEquivalent, similarity};
  }

 private:
  static int Left(const Name& name) {
    int count = 0;
    for (int i = 0; i < name.count; ++i) count += !name.tokens[i].matched && name.tokens[i].kind != 'X';
    return count;
  }

  static double LeftWeight(const Name& name) {
    double weight = 0;
    for (int i = 0; i < name.count; ++i) weight += name.tokens[i].matched ? 0 : WeightOf(name.tokens[i].kind);
    return weight;
  }

  template <typename ClosenessOf>
  void Pair(const ClosenessOf& closeness_of) {
    for (int i = 0; i < first_.count; ++i) {
      for (int j = 0; j < second_.count && !first_.tokens[i].matched; ++j) {
        if (second_.tokens[j].matched) continue;
        const double closeness = closeness_of(first_.tokens[i], second_.tokens[j]);
        if (closeness > 0) Match(first_.tokens[i], second_.tokens[j], closeness);
      }
    }
  }

  void Match(Token& x, Token& y, double closeness) {
    x.matched = y.matched = true;
    const bool initial = x.kind == 'I' || y.kind == 'I';
    const double weight = initial ? 0.5 : std::max(WeightOf(x.kind), WeightOf(y.kind));
    weight_ += weight;
    agreed_ += weight * closeness;
    if (initial) {
      ++initials_;
    } else if (closeness < kAgreement) {
      contradicted_ = true;
    } else if (x.kind != 'X' && y.kind != 'X') {
      ++words_;
      if (x.kind == 'F' || y.kind == 'F') {
        family_ = true;
      } else if (x.kind != 'P') {
        given_ = true;
      }
    }
  }

  void PairRest() {
    Pair([](const Token& x, const Token& y) {
      return x.kind == 'N' && y.kind == 'N' && ShareName(x.full, y.full) ? 0.95 : 0.0;
    });
    const auto are_words = [](const Token& x, const Token& y) {
      return x.kind != 'I' && y.kind != 'I' && x.kind != 'X' && y.kind != 'X';
    };
    for (const double bar : {0.85, kAgreement}) {
      Pair([&](const Token& x, const Token& y) {
        const double closeness = are_words(x, y) ? Closeness(x, y) : 0;
        if (closeness < bar) return 0.0;
        typo_ = true;
        return closeness;
      });
    }
    Pair([&](const Token& x, const Token& y) {
      return (x.kind == 'I') != (y.kind == 'I') && x.kind != 'X' && y.kind != 'X' && x.text[0] == y.text[0]
                 ? 0.7
                 : 0.0;
    });
    if (Left(first_) > 0 && Left(second_) > 0) {
      PairRunTogether(first_, second_);
      PairRunTogether(second_, first_);
    }
    Pair([&](const Token& x, const Token& y) { return are_words(x, y) ? Closeness(x, y) : 0.0; });
  }

  // Abdulrahman and Abdul Rahman; JC and Jean-Claude.
  void PairRunTogether(Name& whole, Name& parts) {
    for (int i = 0; i < whole.count; ++i) {
      Token& word = whole.tokens[i];
      if (word.matched || word.kind == 'I' || word.kind == 'X') continue;
      for (int j = 0; j < parts.count && !word.matched; ++j) {
        for (int k = 0; k < parts.count && !word.matched; ++k) {
          Token &x = parts.tokens[j], &y = parts.tokens[k];
          if (j == k || x.matched || y.matched || x.kind == 'I' || y.kind == 'I') continue;
          if (word.text.size() == 2 && word.text[0] == x.text[0] && word.text[1] == y.text[0] &&
              x.kind != 'X' && y.kind != 'X' && x.text.size() > 2 && y.text.size() > 2) {
            x.matched = y.matched = word.matched = true;
            initials_ += 2;
            weight_ += 1;
            agreed_ += 0.6;
            continue;
          }
          const std::size_t size = x.text.size() + y.text.size();
          if (size > word.text.size() + 1 || size + 1 < word.text.size() || size > kMaxRunTogether) continue;
          char both[kMaxRunTogether];
          x.text.copy(both, x.text.size());
          y.text.copy(both + x.text.size(), y.text.size());
          if (EditDistance(word.text, std::string_view(both, size), 1) > 1) continue;
          x.matched = y.matched = word.matched = true;
          const double weight = WeightOf(x.kind) + WeightOf(y.kind);
          weight_ += weight;
          agreed_ += 0.95 * weight;
          words_ += 2;
          family_ |= word.kind == 'F' || x.kind == 'F' || y.kind == 'F';
          given_ = true;
        }
      }
    }
  }

  static constexpr std::size_t kMaxRunTogether = 40;

  Name first_, second_;
  double agreed_ = 0, weight_ = 0;
  int words_ = 0;     // that agree, without initials and particles
  int initials_ = 0;  // that agree with a word
  bool family_ = false, given_ = false, typo_ = false, contradicted_ = false;
};

}  // namespace

NameComparison CompareNames(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return {NameLevel::kMissing, 0};
  if (a == b) return {NameLevel::kExact, 1};
  // One order of the two, so that ties and rounding are the same both ways.
  if (a.size() > b.size() || (a.size() == b.size() && a > b)) std::swap(a, b);
  return Alignment(a, b).Compare();
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
