#include "match/name_comparison.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "match/edit_distance.hpp"

namespace kvcrm::match {

namespace {

constexpr int kMaxTokens = 12;

// One word of a stored form (text/person_name.cpp describes it).
struct Token {
  char kind;
  bool matched;
  std::uint32_t letters;
  std::string_view text;
  std::string_view
      full;  // of a given name: the full names it stands for, with commas; its text when it is one
};

struct Name {
  Token tokens[kMaxTokens];
  int count = 0;
  int known = 0, initials = 0;  // how many tokens are of kind N, I

  explicit Name(std::string_view stored) {
    const char* at = stored.data();
    const char* const end = at + stored.size();
    while (at < end && count < kMaxTokens) {
      Token& token = tokens[count];
      token.kind = *at;
      const char* const start = ++at;
      std::uint32_t letters = 0;
      while (at < end && *at != ' ' && *at != '=') letters |= LetterBit(*at++);
      token.text = std::string_view(start, static_cast<std::size_t>(at - start));
      if (at < end && *at == '=') {
        const char* const full = ++at;
        while (at < end && *at != ' ') ++at;
        token.full = std::string_view(full, static_cast<std::size_t>(at - full));
      } else {
        token.full = token.text;
      }
      ++at;
      if (token.text.empty()) continue;
      token.letters = letters;
      token.matched = false;
      known += token.kind == 'N';
      initials += token.kind == 'I';
      ++count;
    }
  }
};

// Whether two lists with commas share a name.
bool ShareName(std::string_view a, std::string_view b) {
  const auto first = [](std::string_view list) {
    std::size_t end = 0;
    while (end < list.size() && list[end] != ',') ++end;
    return list.substr(0, end);
  };
  while (!a.empty()) {
    const std::string_view name = first(a);
    for (std::string_view rest = b; !rest.empty();) {
      const std::string_view other = first(rest);
      if (other == name) return true;
      rest.remove_prefix(std::min(other.size() + 1, rest.size()));
    }
    a.remove_prefix(std::min(name.size() + 1, a.size()));
  }
  return false;
}

// Whether a word may begin with the sound of an initial. One letter stands for several sounds: S. for Shukin,
// Y. or J. for Yulia and Yakov, K. for Khariton, C. for Charles, Z. for Zhanna, T. for Tsvetkov.
bool BeginsWith(char sound, char initial) {
  if (sound == initial) return true;
  switch (initial) {
    case 'i':
      return sound == 'x' || sound == 'y';
    case 's':
      return sound == 'w';
    case 'k':
      return sound == 'h' || sound == 'c';
    case 'z':
      return sound == 'j';
    case 't':
      return sound == 'q';
    default:
      return false;
  }
}

bool IsInitialOf(const Token& initial, const Token& word) {
  if (BeginsWith(word.text[0], initial.text[0])) return true;
  if (word.kind != 'N') return false;
  // Of Sasha, A. too.
  for (std::size_t i = 0; i < word.full.size(); ++i) {
    if ((i == 0 || word.full[i - 1] == ',') && BeginsWith(word.full[i], initial.text[0])) return true;
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
  // Short family names are too close to each other, short given names only when both are known.
  const bool is_short = longer == 3 && a.kind != 'F' && b.kind != 'F' && (a.kind != 'N' || b.kind != 'N');
  const int limit = longer >= 6 ? 2 : longer >= 4 || is_short ? 1 : 0;
  if (longer >= 3 && a.text.size() == b.text.size() && EqualLoosely(a.text, b.text)) return 0.92;
  if (limit == 0) return 0;
  const std::uint32_t differing = a.letters ^ b.letters;
  if (limit == 1 ? !AtMostTwoBits(differing) : !AtMostFourBits(differing)) return 0;
  if ((a.kind == 'P') != (b.kind == 'P')) return 0;
  const int distance = EditDistance(a.text, b.text, limit);
  if (distance > limit) {
    // Letters in disorder.
    return differing == 0 && longer >= 5 && a.text.size() == b.text.size() ? 0.65 : 0;
  }
  if (DifferInGender(a.text, b.text)) return 0.45;
  // Two names that both are known and have no name in common are two names: Maria and Marina.
  if (a.kind == 'N' && b.kind == 'N') return 0.3;
  // Makarov, Nazarov, Zakharov: slips seldom hit the first letter.
  if (distance == 2 && (longer < 7 || (longer < 10 && a.text[0] != b.text[0]))) return 0.4;
  return 1.0 - 1.2 * distance / static_cast<double>(longer);
}

// Pairs the words of two names, the surest pairs first, and adds up what agrees.
class Alignment {
 public:
  Alignment(std::string_view a, std::string_view b) : first_(a), second_(b) {}

  NameComparison Compare() {
    PairEqual();
    const bool exact = Left(first_) == 0 && Left(second_) == 0;
    if (!exact) PairRest();
    if (weight_ == 0) return {NameLevel::kDifferent, 0};
    const int left = Left(first_), right = Left(second_);
    const double left_weight = LeftWeight(first_), right_weight = LeftWeight(second_);
    const double conflict = std::min(left_weight, right_weight);
    const double extra = std::max(left_weight, right_weight) - conflict;
    double similarity = agreed_ / (weight_ + 1.5 * conflict + 0.12 * extra);
    if (words_ == 0) return {NameLevel::kDifferent, 0.3 * similarity};
    // Pavel Alekseevich and Pavel Petrov: neither says what the other leaves out.
    if (left == 1 && right == 1 && given_ && !contradicted_ &&
        (LeftIs(first_, 'P') ? LeftIs(second_, 'F') : LeftIs(first_, 'F') && LeftIs(second_, 'P'))) {
      return {NameLevel::kPartial, 0.62};
    }
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

  // Whether a word of this kind is left.
  static bool LeftIs(const Name& name, char kind) {
    return std::any_of(name.tokens, name.tokens + name.count,
                       [&](const Token& token) { return !token.matched && token.kind == kind; });
  }

  static double LeftWeight(const Name& name) {
    double weight = 0;
    for (int i = 0; i < name.count; ++i) weight += name.tokens[i].matched ? 0 : WeightOf(name.tokens[i].kind);
    return weight;
  }

  // Pairs words that are equal, and sees whether others are worth a second look.
  void PairEqual() {
    for (int i = 0; i < first_.count; ++i) {
      Token& x = first_.tokens[i];
      for (int j = 0; j < second_.count; ++j) {
        Token& y = second_.tokens[j];
        const std::uint32_t differing = x.letters ^ y.letters;
        if (differing == 0 && !y.matched && x.text == y.text && (x.kind == 'I') == (y.kind == 'I')) {
          Match(x, y, 1);
          break;
        }
        close_ |= AtMostFourBits(differing);
      }
    }
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
    if (first_.known > 0 && second_.known > 0) {
      Pair([](const Token& x, const Token& y) {
        return x.kind == 'N' && y.kind == 'N' && ShareName(x.full, y.full) ? 0.95 : 0.0;
      });
    }
    if (close_) {
      FindSlips();
      PairSlips(kAgreement);
    }
    if (first_.initials != 0 || second_.initials != 0) {
      Pair([&](const Token& x, const Token& y) {
        if ((x.kind == 'I') == (y.kind == 'I') || x.kind == 'X' || y.kind == 'X') return 0.0;
        return (x.kind == 'I' ? IsInitialOf(x, y) : IsInitialOf(y, x)) ? 0.7 : 0.0;
      });
    }
    const int left = Left(first_), right = Left(second_);
    if (left == 0 || right == 0) return;
    if (right > 1) PairRunTogether(first_, second_);
    if (left > 1) PairRunTogether(second_, first_);
    PairSlips(0);
  }

  // Collects the pairs of words that a slip may have parted, the closest first.
  void FindSlips() {
    for (int i = 0; i < first_.count; ++i) {
      Token& x = first_.tokens[i];
      if (x.matched || x.kind == 'I' || x.kind == 'X') continue;
      for (int j = 0; j < second_.count && slip_count_ < kMaxSlips; ++j) {
        Token& y = second_.tokens[j];
        if (y.matched || y.kind == 'I' || y.kind == 'X') continue;
        const double closeness = Closeness(x, y);
        if (closeness <= 0) continue;
        int at = slip_count_++;
        for (; at > 0 && slips_[at - 1].closeness < closeness; --at) slips_[at] = slips_[at - 1];
        slips_[at] = {closeness, &x, &y};
      }
    }
  }

  void PairSlips(double least) {
    for (int i = 0; i < slip_count_; ++i) {
      const Slip& slip = slips_[i];
      if (slip.closeness < least || slip.x->matched || slip.y->matched) continue;
      Match(*slip.x, *slip.y, slip.closeness);
      typo_ = true;
    }
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
          if (!AtMostTwoBits(word.letters & ~(x.letters | y.letters))) continue;
          if (word.text.size() == 2 && word.text[0] == x.text[0] && word.text[1] == y.text[0] &&
              x.kind != 'X' && y.kind != 'X' && x.text.size() > 2 && y.text.size() > 2) {
            x.matched = y.matched = word.matched = true;
            initials_ += 2;
            weight_ += 1;
            agreed_ += 0.6;
            continue;
          }
          if (!AtMostTwoBits(word.letters ^ (x.letters | y.letters))) continue;
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
  static constexpr int kMaxSlips = 16;

  struct Slip {
    double closeness;
    Token *x, *y;
  };

  Name first_, second_;
  double agreed_ = 0, weight_ = 0;
  Slip slips_[kMaxSlips];
  int slip_count_ = 0;
  int words_ = 0;     // that agree, without initials and particles
  int initials_ = 0;  // that agree with a word
  bool family_ = false, given_ = false, typo_ = false, contradicted_ = false;
  bool close_ = false;  // some words may be within an edit distance of two
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
