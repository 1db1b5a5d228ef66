// Company names: the form that matching compares.
//
// The stored form has five parts, separated by "|" (match/company_comparison.cpp reads it back):
//
//   core      the words of the name as they sound (text/skeleton.hpp), numbers in digits
//   forms     classes of legal forms, a letter each (text/legal_forms.hpp)
//   common    for each word of the core "1" when many companies have it in their names, "2" when it is a city
//   or a
//             word like group, a letter when it is one of several synonyms (company_tables.hpp), else "0"
//   places    words left out of the core: cities (marked "-"), countries ("+"), words like group
//   person    of a sole trader: the stored form of the person's name; the core is then family name and
//   initial
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
        all_tokens[count - 1] =
            std::string_view(all_tokens[count - 1].data(), all_tokens[count - 1].size() + word.folded.size());
      } else {
        first_word[count] = i;
        all_tokens[count++] = std::string_view(buffer).substr(start);
      }
      cyrillic[count - 1] = word.cyrillic;
      dotted[count - 1] = letter && word.dot;
      first_word[count] = i + 1;
      joined = letter;
    }
  }

  std::string buffer;
  std::array<std::string_view, kMaxTokens> all_tokens;
  std::array<bool, kMaxTokens> cyrillic{};
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
  int number = 0;        // that the word spells
  char synonyms = '\0';  // the line of company_tables::kSynonyms, as a letter
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

}  // namespace

std::string NormalizeCompany(std::string_view utf8) {
  const Words words(utf8, WordsOf::kCompany);
  const Tokens tokens(words);
  std::size_t begin = 0, end = tokens.count;

  std::string forms;
  const auto add_form = [&](char form) {
    if (form != 'G' && forms.find(form) == std::string::npos && forms.size() < 6) forms.push_back(form);
  };
  // Forms at either end, the longest phrase first; something must be left.
  for (bool found = true; found;) {
    found = false;
    for (std::size_t size = std::min(kMaxPhrase, end - begin); size > 0 && !found; --size) {
      if (size == end - begin) continue;
      if (const char form = FormOf(tokens, begin, begin + size); form != '\0') {
        add_form(form);
        begin += size;
        found = true;
      } else if (const char last = FormOf(tokens, end - size, end); last != '\0') {
        add_form(last);
        end -= size;
        found = true;
      }
    }
  }
  std::sort(forms.begin(), forms.end());

  std::string core, common, places;
  const auto append = [](std::string_view folded, std::size_t limit, std::string& to,
                         std::string_view mark = "") {
    char sounds[kMaxWord];
    const std::string_view word(sounds, WriteSounds(Beginning(folded, kMaxWord), sounds));
    if (word.empty() || to.size() + word.size() + 2 > limit) return false;
    if (!to.empty()) to.push_back(' ');
    to.append(mark).append(word);
    return true;
  };
  std::array<const Known*, kMaxTokens> known;
  // Places and the like are told apart from the name only when something distinctive is left: not in Bank of
  // China.
  bool distinctive = false;
  for (std::size_t i = begin; i < end; ++i) {
    known[i] = &Know(tokens.all_tokens[i]);
    distinctive = distinctive || (known[i]->kind == Kind::kName && known[i]->number == 0);
  }
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view word = tokens.all_tokens[i];
    if (end - begin > 1 && known[i]->kind == Kind::kFiller) continue;
    const bool digits = word[0] >= '0' && word[0] <= '9';
    if (const bool after_digits =
            i > begin && tokens.all_tokens[i - 1][0] >= '0' && tokens.all_tokens[i - 1][0] <= '9';
        after_digits && known[i]->ordinal_end) {
      continue;
    }
    if (int number = known[i]->number; number > 0) {
      if (number >= 20 && number < 100 && i + 1 < end) {  // forty-four, forty 4
        const int unit = tokens.all_tokens[i + 1].size() == 1 && tokens.all_tokens[i + 1][0] > '0' &&
                                 tokens.all_tokens[i + 1][0] <= '9'
                             ? tokens.all_tokens[i + 1][0] - '0'
                             : known[i + 1]->number;
        if (unit > 0 && unit < 10) {
          number += unit;
          ++i;
        }
      }
      if (append(std::to_string(number), kMaxCore, core)) common.push_back('0');
      continue;
    }
    if (distinctive && IsPlace(known[i]->kind)) {
      append(word, kMaxPlaces, places,
             known[i]->kind == Kind::kCountry ? "+"
             : known[i]->kind == Kind::kCity  ? "-"
                                              : "");
      continue;
    }
    const std::string_view spelled =
        digits ? word.substr(std::min(word.find_first_not_of('0'), word.size() - 1)) : word;
    if (append(spelled, kMaxCore, core)) {
      const Known& it = *known[i];
      common.push_back(it.synonyms != '\0'                                     ? it.synonyms
                       : it.kind == Kind::kCity || it.kind == Kind::kGroup     ? '2'
                       : it.kind == Kind::kCommon || it.kind == Kind::kCountry ? '1'
                                                                               : '0');
    }
  }
  if (core.empty()) return {};
  // A sole trader's company bears a person's name.
  std::size_t name_end = end;
  while (name_end > begin + 1 &&
         (IsPlace(known[name_end - 1]->kind) || known[name_end - 1]->kind == Kind::kFiller)) {
    --name_end;
  }
  const auto name =
      words.all().subspan(tokens.first_word[begin], tokens.first_word[name_end] - tokens.first_word[begin]);
  std::string person;
  if (forms.find(legal_forms::kSoleTrader) != std::string::npos || LooksLikePerson(name)) {
    person = NormalizePersonWords(name);
    if (!person.empty() && person.size() <= kMaxPerson) {
      core = PersonCore(person);
      common.assign(static_cast<std::size_t>(std::count(core.begin(), core.end(), ' ')) + 1, '0');
    } else {
      person.clear();
    }
  }
  return core + "|" + forms + "|" + common + "|" + places + "|" + person;
}

}  // namespace kvcrm::text
