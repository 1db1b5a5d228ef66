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

constexpr std::size_t kMaxCore = 200, kMaxPlaces = 100;  // bytes
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
    buffer.reserve(64);  // never grows past one reservation below, so that views stay
    std::size_t total = 0;
    for (const Word& word : words.all()) total += word.folded.size();
    buffer.reserve(total);
    bool joined = false;
    const auto all = words.all();
    for (std::size_t i = 0; i < all.size() && count < kMaxTokens; ++i) {
      const Word& word = all[i];
      const bool letter = word.single || (word.folded.size() == 1 && word.folded[0] >= 'a');
      if (i > 0 && i + 1 < all.size() && word.folded == "i" && letter && !word.dot) continue;
      if (word.folded == "and" || word.folded == "und") continue;
      const std::size_t start = buffer.size();
      buffer.append(word.folded);
      if (letter && joined) {
        all_tokens[count - 1] =
            std::string_view(all_tokens[count - 1].data(), all_tokens[count - 1].size() + word.folded.size());
      } else {
        all_tokens[count++] = std::string_view(buffer).substr(start);
      }
      joined = letter;
    }
  }

  std::string buffer;
  std::array<std::string_view, kMaxTokens> all_tokens;
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

// II to XX, in digits; empty for all else. A single I, V or X is taken for a letter.
std::string_view RomanNumber(std::string_view folded) {
  // As Fold spells them: x is ks.
  static constexpr struct {
    std::string_view roman, digits;
  } kNumbers[] = {{"ii", "2"},     {"iii", "3"},  {"iv", "4"},    {"vi", "6"},     {"vii", "7"},
                  {"viii", "8"},   {"iks", "9"},  {"ksi", "11"},  {"ksii", "12"},  {"ksiii", "13"},
                  {"ksiv", "14"},  {"ksv", "15"}, {"ksvi", "16"}, {"ksvii", "17"}, {"ksviii", "18"},
                  {"ksiks", "19"}, {"ksks", "20"}};
  for (const auto& number : kNumbers) {
    if (number.roman == folded) return number.digits;
  }
  return {};
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
    std::string_view word = RomanNumber(folded);
    if (word.empty()) word = {sounds, WriteSounds(folded.substr(0, kMaxWord), sounds)};
    if (word.empty() || to.size() + word.size() + 1 > limit) return false;
    if (!to.empty()) to.push_back(' ');
    to.append(word);
    return true;
  };
  bool only_weak = true;
  for (std::size_t i = begin; i < end; ++i) only_weak = only_weak && IsWeak(tokens.all_tokens[i]);
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view word = tokens.all_tokens[i];
    if (!only_weak && IsWeak(word)) {
      append(word, kMaxPlaces, places);
    } else if (append(word, kMaxCore, core)) {
      common.push_back(IsCommon(word) ? '1' : '0');
    }
  }
  if (core.empty()) return {};
  return core + "|" + forms + "|" + common + "|" + places + "|";
}

}  // namespace kvcrm::text
