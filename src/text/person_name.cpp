// Names of persons: the form that matching compares.
//
// The stored form is a list of words, separated by spaces: family names, given names, patronymics, initials,
// particles. Each begins with a letter that says what it is (match/name_comparison.cpp reads it back):
//
//   F  a family name, or what most likely is one     Fivanov
//   G  another word                                  Gjong
//   N  a known given name; behind "=" the full names it stands for, when it isn't one itself
//                                                    Naleksandr   Nsawa=aleksandr,aleksandra
//   P  a patronymic                                  Pivanovic
//   I  an initial                                    Ii
//   X  a particle, as van, bin, al                   Xvan
//
// Words are written as they sound (text/skeleton.hpp).
#include "text/person_name.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "text/given_names.hpp"
#include "text/person_tables.hpp"
#include "text/skeleton.hpp"
#include "text/utf8.hpp"
#include "text/words.hpp"

namespace kvcrm::text {

namespace {

constexpr std::size_t kMaxStored = 500;  // bytes
constexpr std::size_t kMaxTokens = 12;
constexpr std::size_t kMaxWord = 40;  // bytes of a word that are kept
constexpr std::size_t kMaxFullNames = 4;
constexpr std::size_t kMaxTyped = 100;  // bytes; longer names aren't tried in the other keyboard layout

std::string SoundsOf(std::string_view folded) {
  std::string sounds(folded.size(), '\0');
  sounds.resize(WriteSounds(folded, sounds.data()));
  return sounds;
}

// Hashes that are looked up by view.
struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Set = std::unordered_set<std::string, Hash, std::equal_to<>>;
using Map = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;

// By sounds: a given name's own form, "" when it is a full name, else the full names with commas.
const Map& GivenNames() {
  static const Map names = [] {
    Map map;
    const auto split = [](std::string_view line, const auto& each) {
      for (std::size_t i = 0; i < line.size();) {
        const std::size_t end = std::min(line.find(' ', i), line.size());
        each(line.substr(i, end - i));
        i = end + 1;
      }
    };
    for (const std::string_view line : given_names::kForms) {
      std::string full;
      split(line, [&](std::string_view form) {
        std::string sounds;
        // As Words folds it: c before e and i is ц.
        const Words words(form, WordsOf::kPerson);
        for (const Word& word : words.all()) sounds += SoundsOf(word.folded);
        if (full.empty()) full = sounds;
        std::string& names = map[sounds];
        if (("," + names + ",").find("," + full + ",") != std::string::npos) return;
        if (std::count(names.begin(), names.end(), ',') + 1 >= static_cast<long>(kMaxFullNames)) return;
        if (!names.empty()) names += ',';
        names += full;
      });
    }
    for (auto& [form, full] : map) {
      if (full == form) full.clear();
    }
    return map;
  }();
  return names;
}

template <std::size_t count>
Set MakeSet(const std::string_view (&words)[count]) {
  Set set;
  for (const std::string_view list : words) {
    const Words read(list, WordsOf::kPerson);
    for (const Word& word : read.all()) set.emplace(word.folded);
  }
  return set;
}

bool IsTitle(std::string_view folded) {
  static const Set titles = MakeSet(person_tables::kTitles);
  return titles.find(folded) != titles.end();
}

// г-н, г-жа, д-р
bool IsAbbreviatedTitle(std::span<const Word> words) {
  if (words.size() < 2 || !words[0].single || !words[0].hyphen) return false;
  return (words[0].folded == "g" && (words[1].folded == "n" || words[1].folded == "zha")) ||
         (words[0].folded == "d" && words[1].folded == "r");
}

bool IsParticle(std::string_view folded) {
  static const Set particles = MakeSet(person_tables::kParticles);
  return folded.size() <= 5 && particles.find(folded) != particles.end();
}

bool IsPatronymic(std::string_view folded) {
  if (folded.size() < 7) return false;
  for (const std::string_view end : {"ovikch", "evikch", "ovna", "evna", "inikchna", "ovikh", "evikh"}) {
    if (folded.ends_with(end)) return true;
  }
  for (const std::string_view whole : {"iliikch", "ilikch", "kuzmikch", "fomikch", "lukikch", "nikitikch",
                                       "savvikch", "ilinikchna", "fominikchna"}) {
    if (folded == whole) return true;
  }
  return false;
}

// Whether a word that ends like a patronymic is made of a known given name: Petrovich is, Lukashevich isn't
// and most likely is a family name.
bool IsOfKnownName(std::string_view folded) {
  for (const std::string_view end : {"ovikch", "evikch", "ovna", "evna", "inikchna", "ikchna", "ikch"}) {
    if (!folded.ends_with(end)) continue;
    const std::string stem(folded.substr(0, folded.size() - end.size()));
    for (const std::string_view changed : {"pavl", "lv", "iakovl"}) {
      if (stem == changed) return true;
    }
    for (const char* const vowel : {"", "i", "a"}) {
      if (GivenNames().find(SoundsOf(stem + vowel)) != GivenNames().end()) return true;
    }
    return false;
  }
  return true;
}

bool EndsLikeFamily(std::string_view folded) {
  return std::any_of(
      std::begin(person_tables::kFamilyEnds), std::end(person_tables::kFamilyEnds),
      [&](std::string_view end) { return folded.size() > end.size() + 1 && folded.ends_with(end); });
}

struct Token {
  char kind;
  std::string_view folded;
  const std::string* full = nullptr;  // N: the full names
  bool comma = false;
  std::size_t size = 0;
  char sounds[kMaxWord];

  std::string_view text() const { return {sounds, size}; }
};

// A name's words, each with what it is.
class Tokens {
 public:
  explicit Tokens(std::span<const Word> words) {
    const bool titles_only =
        std::all_of(words.begin(), words.end(), [](const Word& word) { return IsTitle(word.folded); });
    for (std::size_t i = 0; i < words.size() && count_ < kMaxTokens; ++i) {
      if (words.size() > i + 2 && IsAbbreviatedTitle(words.subspan(i))) {
        ++i;
      } else if (titles_only || words[i].single || !IsTitle(words[i].folded)) {
        Add(words[i]);
      } else if (words[i].comma && count_ > 0) {
        tokens_[count_ - 1].comma = true;
      }
    }
    if (Count('G') + Count('N') + Count('P') == 0) {
      for (std::size_t i = 0; i < count_; ++i) {
        if (tokens_[i].kind == 'X') tokens_[i].kind = 'G';
      }
    }
    if (Token* const family = FindFamily(); family != nullptr) family->kind = 'F';
  }

  std::size_t Count(char kind) const {
    return static_cast<std::size_t>(std::count_if(tokens_.begin(), tokens_.begin() + count_,
                                                  [&](const Token& token) { return token.kind == kind; }));
  }

  std::string Store() const {
    std::string stored;
    stored.reserve(count_ * 16);
    for (const char kind : {'F', 'G', 'N', 'P', 'I', 'X'}) {
      for (std::size_t i = 0; i < count_; ++i) {
        const Token& token = tokens_[i];
        if (token.kind != kind) continue;
        const std::size_t full = token.full == nullptr || token.full->empty() ? 0 : token.full->size() + 1;
        if (stored.size() + token.size + full + 2 > kMaxStored) continue;
        if (!stored.empty()) stored.push_back(' ');
        stored.push_back(kind);
        stored.append(token.text());
        if (full > 0) stored.append("=").append(*token.full);
      }
    }
    return stored;
  }

 private:
  void Add(const Word& word) {
    Token& token = tokens_[count_];
    token.folded = word.folded;
    token.comma = word.comma;
    token.full = nullptr;
    token.size = WriteSounds(Beginning(word.folded, kMaxWord), token.sounds);
    if (token.size == 0) return;
    if (word.single || (word.dot && token.size <= 2)) {
      token.kind = 'I';
    } else if (IsParticle(word.folded)) {
      token.kind = 'X';
    } else if (IsPatronymic(word.folded)) {
      token.kind = 'P';
    } else {
      const auto found = GivenNames().find(token.text());
      token.kind = found == GivenNames().end() ? 'G' : 'N';
      if (token.kind == 'N') token.full = &found->second;
    }
    // A word typed twice: "Shoigu Shoigu Sergey".
    if (token.kind != 'I' && count_ > 0) {
      Token& previous = tokens_[count_ - 1];
      if (previous.kind == token.kind && previous.text() == token.text()) {
        previous.comma |= token.comma;
        return;
      }
    }
    ++count_;
  }

  // Of the words that are neither given names nor patronymics: the one before a comma, the one that ends like
  // a family name, the last one.
  Token* FindFamily() {
    Token* last = nullptr;
    Token* likely = nullptr;
    for (std::size_t i = 0; i < count_; ++i) {
      Token& token = tokens_[i];
      if (token.kind != 'G') continue;
      if (token.comma) return &token;
      if (likely == nullptr && EndsLikeFamily(token.folded)) likely = &token;
      last = &token;
    }
    if (last != nullptr) return likely != nullptr ? likely : last;
    // Else what only ends like a patronymic.
    for (std::size_t i = 0; i < count_; ++i) {
      if (tokens_[i].kind == 'P' && !IsOfKnownName(tokens_[i].folded)) return &tokens_[i];
    }
    return nullptr;
  }

  std::array<Token, kMaxTokens> tokens_;
  std::size_t count_ = 0;
};

// The stored form; `known` tells whether there are known given names or patronymics.
std::string Store(std::span<const Word> words, bool& known) {
  const Tokens tokens(words);
  known = tokens.Count('N') + tokens.Count('P') > 0;
  return tokens.Store();
}

// What somebody typed with the Latin layout on who meant to write Russian: a name in ASCII with few Latin
// vowels (which are rare letters on a Russian keyboard). Empty for all else.
std::string TypedAsLatin(std::string_view utf8) {
  int letters = 0, vowels = 0;
  for (const char c : utf8) {
    const char lower = static_cast<char>(c | 0x20);
    if (static_cast<unsigned char>(c) >= 0x80) return {};
    if (lower < 'a' || lower > 'z') continue;
    ++letters;
    vowels += lower == 'a' || lower == 'e' || lower == 'i' || lower == 'o' || lower == 'u';
  }
  if (letters < 4 || vowels * 4 > letters) return {};
  std::string russian;
  russian.reserve(2 * utf8.size());
  for (const char c : utf8) {
    const std::size_t key =
        person_tables::kLatinKeys.find(c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c);
    if (key == std::string_view::npos) {
      russian.push_back(c);
    } else {
      russian.append(person_tables::kRussianKeys.substr(2 * key, 2));
    }
  }
  return russian;
}

}  // namespace

std::string NormalizePersonName(std::string_view utf8) {
  bool known = false;
  std::string stored = Store(Words(utf8, WordsOf::kPerson).all(), known);
  if (known) return stored;
  if (const std::string russian = TypedAsLatin(utf8.substr(0, kMaxTyped)); !russian.empty()) {
    std::string other = Store(Words(russian, WordsOf::kPerson).all(), known);
    if (known) return other;
  }
  return stored;
}

std::string NormalizePersonWords(std::span<const Word> words) { return Tokens(words).Store(); }

bool LooksLikePerson(std::span<const Word> words) {
  if (words.size() < 2 || words.size() > 4) return false;
  std::size_t initials = 0, families = 0, patronymics = 0;
  for (const Word& word : words) {
    if (word.single || (word.dot && word.folded.size() <= 2)) {
      ++initials;
    } else if (IsPatronymic(word.folded)) {
      ++patronymics;
    } else if (EndsLikeFamily(word.folded)) {
      ++families;
    }
  }
  return (patronymics == 1 && initials == 0) || (families == 1 && initials == 2 && words.size() == 3);
}

}  // namespace kvcrm::text
