// Company names: the form that matching compares.
//
// The stored form has five parts, separated by "|" (match/company_comparison.cpp reads it back):
//
//   core      the words of the name as they sound (text/skeleton.hpp), numbers in digits
//   forms     classes of legal forms, a letter each (text/legal_forms.hpp)
//   common    for each word of the core "1" when many companies have it in their names, else "0"
//   places    words left out of the core: cities, countries, words like group
//   person    of a sole trader: the stored form of the person's name; the core is then family name and
//   initial
//
// For example "ООО «Вектор-2» (Москва)" is "vektor 2|L|00|moskva|".
#include "text/company.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "text/company_tables.hpp"
#include "text/legal_forms.hpp"
#include "text/person_name.hpp"
#include "text/skeleton.hpp"
#include "text/words.hpp"

namespace kvcrm::text {

namespace {

constexpr std::size_t kMaxCore = 180, kMaxPlaces = 80, kMaxPerson = 180;  // bytes
constexpr std::size_t kMaxWord = 40;
constexpr std::size_t kMaxTokens = 24;
constexpr std::size_t kMaxPhrase = 8;  // words

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Set = std::unordered_set<std::string, Hash, std::equal_to<>>;

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
      if (i > 0 && i + 1 < all.size() && word.folded == "i" && letter && !word.dot) continue;
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
      first_word[count] = i + 1;
      joined = letter;
    }
  }

  std::string buffer;
  std::array<std::string_view, kMaxTokens> all_tokens;
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

// Class by phrase.
const std::unordered_map<std::string, char, Hash, std::equal_to<>>& Forms() {
  static const auto forms = [] {
    std::unordered_map<std::string, char, Hash, std::equal_to<>> map;
    for (const legal_forms::Form& form : legal_forms::kForms) {
      Split(form.phrases, ';', [&](std::string_view phrase) {
        const Words words(phrase, WordsOf::kCompany);
        const Tokens tokens(words);
        std::string key;
        for (std::size_t i = 0; i < tokens.count; ++i)
          key.append(i > 0 ? " " : "").append(tokens.all_tokens[i]);
        map.emplace(key, form.type);
      });
    }
    return map;
  }();
  return forms;
}

template <std::size_t count>
Set MakeSet(const std::string_view (&lists)[count]) {
  Set set;
  for (const std::string_view list : lists) {
    const std::string text(list);
    Split(text, ' ', [&](std::string_view word) {
      const Words words(word, WordsOf::kCompany);
      for (const Word& part : words.all()) set.emplace(part.folded);
    });
  }
  return set;
}

bool IsWeak(std::string_view folded) {
  static const Set words = MakeSet(company_tables::kWeakWords);
  return words.find(folded) != words.end();
}

bool IsCommon(std::string_view folded) {
  static const Set words = MakeSet(company_tables::kCommonWords);
  return words.find(folded) != words.end();
}

bool IsFiller(std::string_view folded) {
  return std::find(std::begin(company_tables::kFillers), std::end(company_tables::kFillers), folded) !=
         std::end(company_tables::kFillers);
}

// The class of the form that words [begin, end) spell, or NUL.
char FormOf(const Tokens& tokens, std::size_t begin, std::size_t end) {
  char key[128];
  std::size_t size = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view word = tokens.all_tokens[i];
    if (size + word.size() + 1 > sizeof key) return '\0';
    if (size > 0) key[size++] = ' ';
    size += word.copy(key + size, word.size());
  }
  const auto found = Forms().find(std::string_view(key, size));
  return found == Forms().end() ? '\0' : found->second;
}

// Family name and the given name's initial.
std::string PersonCore(std::string_view person) {
  std::string family, initial;
  Split(person, ' ', [&](std::string_view word) {
    const std::size_t end = word.find('=');
    if (word[0] == 'F' && family.empty()) family = word.substr(1);
    if ((word[0] == 'N' || word[0] == 'I' || word[0] == 'G') && initial.empty() && word.size() > 1) {
      initial = word.substr(end == std::string_view::npos ? 1 : end + 1, 1);
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
  const auto append = [](std::string_view folded, std::size_t limit, std::string& to) {
    char sounds[kMaxWord];
    const std::string_view word(sounds, WriteSounds(folded.substr(0, kMaxWord), sounds));
    if (word.empty() || to.size() + word.size() + 1 > limit) return false;
    if (!to.empty()) to.push_back(' ');
    to.append(word);
    return true;
  };
  // Places and the like are told apart from the name only when something distinctive is left: not in Bank of
  // China.
  bool distinctive = false;
  for (std::size_t i = begin; i < end; ++i) {
    distinctive = distinctive || !(IsWeak(tokens.all_tokens[i]) || IsCommon(tokens.all_tokens[i]));
  }
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view word = tokens.all_tokens[i];
    if (IsFiller(word) && end - begin > 1) continue;
    if (distinctive && IsWeak(word)) {
      append(word, kMaxPlaces, places);
    } else if (append(word, kMaxCore, core)) {
      common.push_back(IsCommon(word) ? '1' : '0');
    }
  }
  if (core.empty()) return {};
  // A sole trader's company bears a person's name.
  const auto name =
      words.all().subspan(tokens.first_word[begin], tokens.first_word[end] - tokens.first_word[begin]);
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
