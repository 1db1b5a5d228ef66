// Company names: the form that matching compares.
//
// The stored form has five parts, separated by "|" (match/company_comparison.cpp reads it back):
//
//   core      the words of the name as they sound (text/skeleton.hpp), numbers in digits
//   forms     classes of legal forms, a letter each (text/legal_forms.hpp)
//   common    for each word of the core "1" when many companies have it in their names, "2" when it is a city
//   or
//             like group, a letter when it is one of several synonyms (text/company_tables.hpp), else "0"
//   places    words left out of the core: cities (marked "-"), countries ("+"), words like group
//   person    of a sole trader: the stored form of the person's name; the core is family name and initial
//   then
//
// For example "ООО «Вектор-2» (Москва)" is "vektor 2|L|00|-moskva|".
#include "text/company.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "text/company_tables.hpp"
#include "text/legal_forms.hpp"
#include "text/person_name.hpp"
#include "text/skeleton.hpp"
#include "text/utf8.hpp"
#include "text/words.hpp"

namespace kvcrm::text {

namespace {

constexpr std::size_t kMaxCore = 180, kMaxPlaces = 80, kMaxPerson = 180;  // bytes
constexpr std::size_t kMaxWord = 40;
constexpr std::size_t kMaxCodePoint = 4;  // bytes in UTF-8
constexpr std::size_t kMaxTokens = 24;
constexpr std::size_t kMaxPhrase = 8;  // words

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// Words of a name, single letters in a row as one word (O.O.O., S. A.), "&" and its like left out.
struct Tokens {
  explicit Tokens(const Words& words) {
    std::size_t total = 0;
    for (const Word& word : words.all()) total += word.folded.size();
    buffer.reserve(total);  // so that views into it stay
    bool joined = false;
    const auto all = words.all();
    for (std::size_t i = 0; i < all.size() && count < kMaxTokens; ++i) {
      const Word& word = all[i];
      const bool letter = word.single || (word.folded.size() == 1 && word.folded[0] >= 'a');
      if (i > 0 && i + 1 < all.size() && word.folded == "i" && word.single && word.cyrillic && !word.dot)
        continue;
      const std::size_t start = buffer.size();
      buffer.append(word.folded);
      // "Fund V L.P.": V isn't part of what has dots.
      if (letter && joined && (all[i - 1].dot || !word.dot)) {
        single[count - 1] = false;
        all_tokens[count - 1] =
            std::string_view(all_tokens[count - 1].data(), all_tokens[count - 1].size() + word.folded.size());
      } else {
        first_word[count] = i;
        single[count] = letter;
        all_tokens[count++] = std::string_view(buffer).substr(start);
      }
      cyrillic[count - 1] = word.cyrillic;
      dotted[count - 1] = letter && word.dot;
      first_word[count] = i + 1;
      joined = letter;
    }
  }

  // Takes words [begin, end) out. What tells of them besides their text isn't asked for any more.
  void Remove(std::size_t begin, std::size_t end) {
    std::copy(all_tokens.begin() + end, all_tokens.begin() + count, all_tokens.begin() + begin);
    std::copy(first_word.begin() + end, first_word.begin() + count + 1, first_word.begin() + begin);
    count -= end - begin;
  }

  std::string buffer;
  std::array<std::string_view, kMaxTokens> all_tokens;
  std::array<bool, kMaxTokens> cyrillic{};
  std::array<bool, kMaxTokens> single{};  // one letter
  std::array<bool, kMaxTokens> dotted{};  // single letters with a full stop
  // The word that a token begins with; behind the last token, the first word that is in none.
  std::array<std::size_t, kMaxTokens + 1> first_word{};
  std::size_t count = 0;
};

template <typename Each>
void Split(std::string_view list, char separator, const Each& each) {
  for (std::size_t i = 0; i < list.size();) {
    const std::size_t end = std::min(list.find(separator, i), list.size());
    if (end > i) each(list.substr(i, end - i));
    i = end + 1;
  }
}

// A phrase with its long words reduced to their skeletons: legal forms spelled out are often misspelled.
// Returns its size, 0 when there is no long word or no room.
constexpr std::size_t kMaxKey = 128, kLongWord = 8;

std::size_t WriteRoughKey(const std::string_view* words, std::size_t count, char* key) {
  std::size_t size = 0;
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_long = words[i].size() >= kLongWord;
    any |= is_long;
    if (size + words[i].size() + 2 > kMaxKey) return 0;
    if (size > 0) key[size++] = ' ';
    if (!is_long) {
      size += words[i].copy(key + size, words[i].size());
      continue;
    }
    char sounds[kMaxKey];
    const std::string skeleton = Skeleton(std::string_view(sounds, WriteSounds(words[i], sounds)));
    key[size++] = '~';
    size += skeleton.copy(key + size, skeleton.size());
  }
  return any ? size : 0;
}

// Forms of one or two letters mean something in one script only: UK isn't УК. Their keys begin with these
// letters.
constexpr std::size_t kShortForm = 2;
constexpr char kCyrillicKey = '<', kLatinKey = '>';

// Class by phrase.
const std::unordered_map<std::string, char, Hash, std::equal_to<>>& Forms() {
  static const auto forms = [] {
    std::unordered_map<std::string, char, Hash, std::equal_to<>> map;
    for (const legal_forms::Form& form : legal_forms::kForms) {
      Split(form.phrases, ';', [&](std::string_view phrase) {
        const Words words(phrase, WordsOf::kCompany);
        const Tokens tokens(words);
        std::string key;
        if (tokens.count == 1 && tokens.all_tokens[0].size() <= kShortForm &&
            form.type != legal_forms::kSoleTrader && form.type != legal_forms::kTradingHouse &&
            tokens.all_tokens[0] != "ao") {
          key.push_back(tokens.cyrillic[0] ? kCyrillicKey : kLatinKey);
        }
        for (std::size_t i = 0; i < tokens.count; ++i)
          key.append(i > 0 ? " " : "").append(tokens.all_tokens[i]);
        if (key.size() < 2 || (key[0] < 'a' && key.size() < 3)) return;
        map.emplace(key, form.type);
        char rough[kMaxKey];
        const std::size_t size = WriteRoughKey(tokens.all_tokens.data(), tokens.count, rough);
        if (size >= kLongWord) map.emplace(std::string(rough, size), form.type);
      });
    }
    return map;
  }();
  return forms;
}

// What is known of words, by their fold.
enum class Kind : std::uint8_t { kName, kGroup, kCity, kCountry, kCommon, kFiller };

struct Known {
  Kind kind = Kind::kName;
  bool ordinal_end = false;
  int number = 0;          // that the word spells
  std::string_view place;  // the fold of the name that stands for a place's names; empty when it has one
  char synonyms = '\0';    // the line of company_tables::kSynonyms, as a letter
};

const std::unordered_map<std::string, Known, Hash, std::equal_to<>>& KnownWords() {
  static const auto words = [] {
    std::unordered_map<std::string, Known, Hash, std::equal_to<>> map;
    const auto each = [&](std::string_view list, const auto& tell) {
      Split(list, ' ', [&](std::string_view word) {
        const Words read(word, WordsOf::kCompany);
        for (const Word& part : read.all()) tell(map[std::string(part.folded)], part.folded);
      });
    };
    const auto kinds = [&](const auto& lists, Kind kind) {
      for (const std::string_view list : lists) {
        each(list, [&](Known& known, std::string_view) { known.kind = kind; });
      }
    };
    kinds(company_tables::kCommonWords, Kind::kCommon);
    kinds(company_tables::kCountries, Kind::kCountry);
    kinds(company_tables::kCities, Kind::kCity);
    kinds(company_tables::kGroupWords, Kind::kGroup);
    kinds(company_tables::kFillers, Kind::kFiller);
    for (const std::string_view list : company_tables::kPlaceNames) {
      std::string_view first;
      each(list, [&](Known& known, std::string_view folded) {
        // A key of the map stays where it is.
        if (first.empty()) first = map.find(folded)->first;
        known.place = first;
      });
    }
    static_assert(std::size(company_tables::kSynonyms) <= 2 * 26);
    for (std::size_t line = 0; line < std::size(company_tables::kSynonyms); ++line) {
      const char letter = static_cast<char>(line < 26 ? 'a' + line : 'A' + line - 26);
      each(company_tables::kSynonyms[line], [&](Known& known, std::string_view) { known.synonyms = letter; });
    }
    for (const auto& number : company_tables::kNumberWords) {
      each(number.words, [&](Known& known, std::string_view) { known.number = number.number; });
    }
    for (const std::string_view list : company_tables::kOrdinalEnds) {
      each(list, [&](Known& known, std::string_view) { known.ordinal_end = true; });
    }
    return map;
  }();
  return words;
}

const Known& Know(std::string_view folded) {
  static const Known unknown;
  const auto found = KnownWords().find(folded);
  return found == KnownWords().end() ? unknown : found->second;
}

bool IsPlace(Kind kind) { return kind == Kind::kGroup || kind == Kind::kCity || kind == Kind::kCountry; }

// The class of the form that words [begin, end) spell, or NUL.
char FormOf(const Tokens& tokens, std::size_t begin, std::size_t end) {
  char key[kMaxKey];
  std::size_t size = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view word = tokens.all_tokens[i];
    if (size + word.size() + 1 > kMaxKey) return '\0';
    if (size > 0) key[size++] = ' ';
    size += word.copy(key + size, word.size());
  }
  if (end - begin == 1 && tokens.single[begin]) return '\0';
  // J.P. Morgan is no ИП.
  if (end - begin == 1 && tokens.dotted[begin] && std::string_view(key, size) == "ip") return '\0';
  const auto& forms = Forms();
  if (const auto found = forms.find(std::string_view(key, size)); found != forms.end()) return found->second;
  if (end - begin == 1 && size <= kShortForm) {
    char short_key[1 + kShortForm] = {tokens.cyrillic[begin] ? kCyrillicKey : kLatinKey};
    std::copy(key, key + size, short_key + 1);
    const auto found = forms.find(std::string_view(short_key, size + 1));
    return found == forms.end() ? '\0' : found->second;
  }
  size = WriteRoughKey(tokens.all_tokens.data() + begin, end - begin, key);
  if (size < kLongWord) return '\0';
  const auto found = forms.find(std::string_view(key, size));
  return found == forms.end() ? '\0' : found->second;
}

// Family name and the given name's initial.
std::string PersonCore(std::string_view person) {
  std::string family, initial;
  Split(person, ' ', [&](std::string_view word) {
    const std::size_t end = word.find('=');
    if (word[0] == 'F' && family.empty()) family = word.substr(1);
    if ((word[0] == 'N' || word[0] == 'I' || word[0] == 'G') && initial.empty() && word.size() > 1) {
      initial = Beginning(word.substr(end == std::string_view::npos ? 1 : end + 1), kMaxCodePoint);
      std::size_t first = 0;
      DecodeCodePoint(initial, first);
      initial.resize(first);
    }
  });
  if (family.empty()) {
    Split(person, ' ', [&](std::string_view word) {
      if (family.empty()) family = word.substr(1, word.find('=') - 1);
    });
    return family;
  }
  return initial.empty() ? family : family + " " + initial;
}

// Whether a word stands beside a name: a place, a word like group, a filler.
bool IsBeside(std::string_view folded) {
  const Kind kind = Know(folded).kind;
  return IsPlace(kind) || kind == Kind::kFiller;
}

// The words [begin, end) between the legal forms, and the classes of these.
struct Range {
  std::size_t begin, end;
  std::string forms;
};

// Takes legal forms off either end, the longest phrases first; something is left.
Range TakeForms(Tokens& tokens) {
  Range range{0, tokens.count, {}};
  const auto add = [&](char form) {
    if (form != legal_forms::kGroup && range.forms.find(form) == std::string::npos)
      range.forms.push_back(form);
  };
  for (bool found = true; found;) {
    found = false;
    const std::size_t words = range.end - range.begin;
    for (std::size_t size = std::min(kMaxPhrase, words > 0 ? words - 1 : 0); size > 0 && !found; --size) {
      if (const char first = FormOf(tokens, range.begin, range.begin + size); first != '\0') {
        add(first);
        range.begin += size;
        found = true;
      } else if (const char last = FormOf(tokens, range.end - size, range.end); last != '\0') {
        add(last);
        range.end -= size;
        found = true;
      }
    }
  }
  // "Romashka OOO Moskva": a form before the places.
  std::size_t name_end = range.end;
  while (name_end > range.begin && IsBeside(tokens.all_tokens[name_end - 1])) --name_end;
  if (name_end < range.end) {
    for (std::size_t size = std::min(kMaxPhrase, name_end - range.begin); size > 0; --size) {
      if (size == name_end - range.begin) continue;
      if (const char form = FormOf(tokens, name_end - size, name_end); form != '\0') {
        add(form);
        tokens.Remove(name_end - size, name_end);
        range.end -= size;
        break;
      }
    }
  }
  std::sort(range.forms.begin(), range.forms.end());
  return range;
}

bool IsNumber(std::string_view word) { return word[0] >= '0' && word[0] <= '9'; }

// What the words between the legal forms say.
struct Parts {
  std::string core, common, places;

  Parts(const Tokens& tokens, const Range& range) {
    std::array<const Known*, kMaxTokens> known;
    // Places and the like are told apart from the name only when something distinctive is left: not in Bank
    // of China.
    bool distinctive = false;
    for (std::size_t i = range.begin; i < range.end; ++i) {
      known[i] = &Know(tokens.all_tokens[i]);
      distinctive = distinctive || (known[i]->kind == Kind::kName && known[i]->number == 0);
    }
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const std::string_view word = tokens.all_tokens[i];
      const Known& it = *known[i];
      if (range.end - range.begin > 1 && it.kind == Kind::kFiller) continue;
      if (i > range.begin && it.ordinal_end && IsNumber(tokens.all_tokens[i - 1])) continue;
      if (it.number > 0) {
        int number = it.number;
        if (number >= 20 && number < 100 && i + 1 < range.end) {  // forty-four, forty 4
          const int unit = UnitOf(tokens.all_tokens[i + 1], *known[i + 1]);
          number += unit;
          i += unit > 0 ? 1 : 0;
        }
        AddToCore(std::to_string(number), '0');
      } else if (distinctive && IsPlace(it.kind)) {
        Append(it.place.empty() ? word : it.place,
               it.kind == Kind::kCountry ? "+"
               : it.kind == Kind::kCity  ? "-"
                                         : "",
               kMaxPlaces, places);
      } else if (IsNumber(word)) {
        AddToCore(word.substr(std::min(word.find_first_not_of('0'), word.size() - 1)), '0');
      } else {
        AddToCore(word, MarkOf(it));
      }
    }
  }

 private:
  // 1 to 9, or 0.
  static int UnitOf(std::string_view word, const Known& known) {
    if (word.size() == 1 && IsNumber(word)) return word[0] - '0';
    return known.number < 10 ? known.number : 0;
  }

  static char MarkOf(const Known& known) {
    if (known.synonyms != '\0') return known.synonyms;
    switch (known.kind) {
      case Kind::kCity:
      case Kind::kGroup:
        return '2';
      case Kind::kCommon:
      case Kind::kCountry:
        return '1';
      default:
        return '0';
    }
  }

  void AddToCore(std::string_view word, char mark) {
    if (Append(word, "", kMaxCore, core)) common.push_back(mark);
  }

  static bool Append(std::string_view folded, std::string_view mark, std::size_t limit, std::string& to) {
    char sounds[kMaxWord];
    const std::string_view word(sounds, WriteSounds(Beginning(folded, kMaxWord), sounds));
    if (word.empty() || to.size() + word.size() + 2 > limit) return false;
    if (!to.empty()) to.push_back(' ');
    to.append(mark).append(word);
    return true;
  }
};

// Of a sole trader's company, which bears a person's name: the stored form of that. Else empty.
std::string PersonOf(const Words& words, const Tokens& tokens, const Range& range) {
  std::size_t end = range.end;
  for (; end > range.begin + 1; --end) {
    if (!IsBeside(tokens.all_tokens[end - 1])) break;
  }
  const std::size_t first = tokens.first_word[range.begin];
  const auto name = words.all().subspan(first, tokens.first_word[end] - first);
  if (range.forms.find(legal_forms::kSoleTrader) == std::string::npos && !LooksLikePerson(name)) return {};
  std::string person = NormalizePersonWords(name);
  return person.size() <= kMaxPerson ? person : "";
}

}  // namespace

std::string NormalizeCompany(std::string_view utf8) {
  const Words words(utf8, WordsOf::kCompany);
  Tokens tokens(words);
  const Range range = TakeForms(tokens);
  Parts parts(tokens, range);
  if (parts.core.empty()) return {};
  const std::string person = PersonOf(words, tokens, range);
  if (!person.empty()) {
    parts.core = PersonCore(person);
    parts.common.assign(static_cast<std::size_t>(std::count(parts.core.begin(), parts.core.end(), ' ')) + 1,
                        '0');
  }
  return parts.core + "|" + range.forms + "|" + parts.common + "|" + parts.places + "|" + person;
}

}  // namespace kvcrm::text
