#include "crm/search.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "pg/entry.hpp"
#include "text/fold.hpp"
#include "text/phone.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "utils/array.h"
}

namespace kvcrm::crm {

namespace {

constexpr std::size_t kGram = 4;
constexpr unsigned kSymbolBits = 6;
constexpr unsigned kGramBits = kGram * kSymbolBits;

using Symbol = std::uint8_t;
constexpr Symbol kDigits = 26, kSigns = 36, kPad = 41, kOthers = 42, kSymbols = 46;
constexpr std::string_view kSignsText = "@.-_+";

// A word that no folded text contains: see IsFolded.
constexpr std::string_view kNeverFolded = "cjqx";

// Longer words add grams without making the search more precise.
constexpr std::size_t kMaxGrams = 24;
// To skip through the long list of a frequent gram costs more than what it rules out: such grams are left
// out, as long as a few others remain.
constexpr std::size_t kFewKeys = 3, kEnoughKeys = 4;
constexpr std::ptrdiff_t kRareInSample = 2;
// Of a pasted text only the longest words are compared with each other.
constexpr std::size_t kComparedWords = 64;

constexpr std::array<Symbol, 128> kClassOfAscii = [] {
  std::array<Symbol, 128> classes{};
  for (auto& entry : classes) entry = kPad;
  for (unsigned c = 'a'; c <= 'z'; ++c) classes[c] = static_cast<Symbol>(c - 'a');
  for (unsigned c = '0'; c <= '9'; ++c) classes[c] = static_cast<Symbol>(kDigits + (c - '0'));
  for (std::size_t i = 0; i < kSignsText.size(); ++i) {
    classes[static_cast<unsigned char>(kSignsText[i])] = static_cast<Symbol>(kSigns + i);
  }
  return classes;
}();

// The symbols of one word, one per character.
void AppendSymbols(std::string_view word, std::vector<Symbol>& symbols) {
  for (std::size_t i = 0; i < word.size();) {
    const auto first = static_cast<unsigned char>(word[i++]);
    if (first < 0x80) {
      symbols.push_back(kClassOfAscii[first]);
      continue;
    }
    unsigned hash = first;
    while (i < word.size() && (static_cast<unsigned char>(word[i]) & 0xC0) == 0x80) {
      hash = hash * 31 + static_cast<unsigned char>(word[i++]);
    }
    symbols.push_back(static_cast<Symbol>(kOthers + hash % (kSymbols - kOthers)));
  }
}

// Letters that Fold never leaves: c, j, q, w, x, y each become another one.
constexpr bool IsFolded(Symbol symbol) {
  constexpr std::string_view kGone = "cjqwxy";
  return symbol >= 26 || kGone.find(static_cast<char>('a' + symbol)) == std::string_view::npos;
}

// Where the characters of a word begin, and where it ends.
std::vector<std::size_t> Starts(std::string_view word) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if ((static_cast<unsigned char>(word[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(word.size());
  return starts;
}

std::ptrdiff_t CountWith(const std::vector<std::string>& texts, std::string_view part) {
  return std::count_if(texts.begin(), texts.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

std::uint64_t Mix(std::uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ value >> 33;
}

// The part of a key that says whose it is.
std::uint64_t Prefix(const pg::Uuid& organization) {
  std::uint64_t high, low;
  std::memcpy(&high, organization.bytes.data(), sizeof high);
  std::memcpy(&low, organization.bytes.data() + sizeof high, sizeof low);
  return Mix(high ^ Mix(low)) << kGramBits;
}

std::int64_t Key(std::uint64_t prefix, const Symbol* gram, std::size_t size) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kGram; ++i) bits = bits << kSymbolBits | (i < size ? gram[i] : kPad);
  return static_cast<std::int64_t>(prefix | bits);
}

void SortUnique(std::vector<std::int64_t>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

// All grams that begin with these symbols.
void AppendExpansions(std::uint64_t prefix, std::vector<Symbol>& gram, std::vector<std::int64_t>& keys) {
  if (gram.size() == kGram) {
    keys.push_back(Key(prefix, gram.data(), kGram));
    return;
  }
  const bool at_end = gram.back() == kPad;
  for (Symbol next = 0; next < kSymbols; ++next) {
    if (at_end ? next != kPad : !IsFolded(next)) continue;
    gram.push_back(next);
    AppendExpansions(prefix, gram, keys);
    gram.pop_back();
  }
}

// The folded words of a text, each once, without those that another one contains; longest first, since the
// longest tends to refuse a text soonest.
Words WordsOf(std::string_view text) {
  const std::string folded = text::Fold(text);
  Words words, kept;
  for (std::size_t begin = 0; begin < folded.size();) {
    const std::size_t end = std::min(folded.find(' ', begin), folded.size());
    if (end > begin) words.push_back(folded.substr(begin, end - begin));
    begin = end + 1;
  }
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (std::string& word : words) {
    const auto compared = static_cast<std::ptrdiff_t>(std::min(kept.size(), kComparedWords));
    const bool contained = std::any_of(kept.begin(), kept.begin() + compared, [&](const std::string& longer) {
      return longer.find(word) != std::string::npos;
    });
    if (!contained) kept.push_back(std::move(word));
  }
  return kept;
}

// A stretch of a query: what stands between spaces, or several such that read like one phone number.
struct Part {
  std::string text;
  bool is_phone = false;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string DigitsOf(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), IsDigit);
  return digits;
}

// A number may be typed with dashes and spaces that ASCII doesn't have.
std::string PlainPunctuation(std::string_view text) {
  static constexpr std::pair<std::string_view, char> kOdd[] = {
      {"\u00A0", ' '}, {"\u2009", ' '}, {"\u202F", ' '}, {"\u2010", '-'}, {"\u2011", '-'}, {"\u2012", '-'},
      {"\u2013", '-'}, {"\u2014", '-'}, {"\u2212", '-'}, {"\t", ' '},     {"\n", ' '}};
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = 1;
    char c = text[i];
    for (const auto& [odd, plain] : kOdd) {
      if (text.substr(i, odd.size()) == odd) {
        size = odd.size();
        c = plain;
      }
    }
    result += c;
    i += size;
  }
  return result;
}

// Splits at spaces, and joins again what reads like one number: tokens of digits and their usual punctuation.
// Only a number with punctuation or spaces inside is one, since plain digits need no second reading - unless
// there are enough of them for the trunk prefix to matter.
std::vector<Part> SplitPhones(std::string_view query) {
  constexpr std::string_view kMarks = "()+-./";
  constexpr std::size_t kTrunkMatters = 5;
  const std::string text = PlainPunctuation(query);
  std::vector<Part> parts;
  bool joins = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string token = text.substr(begin, end - begin);
    begin = end + 1;
    if (token.empty()) continue;
    const bool numeric = std::all_of(token.begin(), token.end(), [&](char c) {
      return IsDigit(c) || kMarks.find(c) != std::string_view::npos;
    });
    if (numeric && joins) {
      parts.back().text += ' ' + token;
    } else {
      parts.push_back({token, false});
    }
    joins = numeric;
    Part& part = parts.back();
    if (!numeric) continue;
    const std::string digits = DigitsOf(part.text);
    part.is_phone = !digits.empty() && (digits != part.text || digits.size() >= kTrunkMatters);
  }
  return parts;
}

// The digits of a number as E.164 writes them; of a part of one, with the trunk prefix replaced.
std::string InternationalDigits(std::string_view text, const std::string& digits, std::string_view country) {
  if (const auto e164 = text::ToE164(text, country); e164) return DigitsOf(*e164);
  if (text.find('+') != std::string_view::npos) return digits;
  if ((country == "RU" || country == "KZ") && digits.front() == '8') return '7' + digits.substr(1);
  if (digits.front() == '0') return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

}  // namespace

std::vector<std::int64_t> SearchKeys(const pg::Uuid& organization, std::string_view search_text) {
  const std::uint64_t prefix = Prefix(organization);
  std::vector<std::int64_t> keys;
  keys.reserve(search_text.size());
  std::vector<Symbol> symbols;
  for (std::size_t begin = 0; begin < search_text.size();) {
    const std::size_t end = std::min(search_text.find_first_of(" \n", begin), search_text.size());
    symbols.clear();
    AppendSymbols(search_text.substr(begin, end - begin), symbols);
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      keys.push_back(Key(prefix, &symbols[i], std::min(kGram, symbols.size() - i)));
    }
    begin = end + 1;
  }
  SortUnique(keys);
  return keys;
}

SearchQuery::SearchQuery(std::string_view text, std::string_view country) {
  variants_.push_back(WordsOf(text));
  // Nothing but signs that texts don't keep, such as "%": asked for, but nowhere to be found.
  if (variants_.front().empty() && !text::Trim(text).empty()) {
    variants_.front().emplace_back(kNeverFolded);
    return;
  }
  std::string digits_only, dialled;
  bool has_phone = false;
  for (const Part& part : SplitPhones(text)) {
    if (!part.is_phone) {
      digits_only += std::string(part.text) + ' ';
      dialled += std::string(part.text) + ' ';
      continue;
    }
    has_phone = true;
    const std::string digits = DigitsOf(part.text);
    digits_only += digits + ' ';
    dialled += InternationalDigits(part.text, digits, country) + ' ';
  }
  if (!has_phone) return;
  for (const std::string& variant : {digits_only, dialled}) {
    Words words = WordsOf(variant);
    if (std::find(variants_.begin(), variants_.end(), words) == variants_.end()) {
      variants_.push_back(std::move(words));
    }
  }
}

bool SearchQuery::Matches(std::string_view search_text) const {
  return std::any_of(variants_.begin(), variants_.end(), [&](const Words& words) {
    return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
      return search_text.find(word) != std::string_view::npos;
    });
  });
}

bool LooksLikePhone(std::string_view query) {
  const auto parts = SplitPhones(query);
  return std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.is_phone; });
}

SearchPlan PlanSearch(const pg::Uuid& organization, const Words& words,
                      const std::vector<std::string>& sample) {
  struct Gram {
    std::int64_t key;
    std::ptrdiff_t texts;  // of the sample, that have it
  };
  const std::uint64_t prefix = Prefix(organization);
  std::vector<Gram> grams;
  std::vector<Symbol> symbols, longest_short;
  for (const std::string& word : words) {
    symbols.clear();
    AppendSymbols(word, symbols);
    if (symbols.size() < kGram && symbols.size() > longest_short.size()) longest_short = symbols;
    const std::vector<std::size_t> starts = Starts(word);
    for (std::size_t i = 0; i + kGram <= symbols.size() && grams.size() < kMaxGrams; ++i) {
      const std::string_view text = std::string_view(word).substr(starts[i], starts[i + kGram] - starts[i]);
      grams.push_back({Key(prefix, &symbols[i], kGram), CountWith(sample, text)});
    }
  }
  SearchPlan plan;
  if (grams.empty()) {
    if (longest_short.size() < 2) return plan;
    plan.kind = SearchPlan::Kind::kAny;
    AppendExpansions(prefix, longest_short, plan.keys);
  } else {
    plan.kind = SearchPlan::Kind::kAll;
    std::stable_sort(grams.begin(), grams.end(),
                     [](const Gram& a, const Gram& b) { return a.texts < b.texts; });
    for (const Gram& gram : grams) {
      if (plan.keys.size() >= (gram.texts > kRareInSample ? kFewKeys : kEnoughKeys)) break;
      plan.keys.push_back(gram.key);
    }
  }
  SortUnique(plan.keys);
  return plan;
}

pg::Value KeysValue(const std::vector<std::int64_t>& keys) {
  const auto* values = keys.data();
  const auto count = static_cast<int>(keys.size());
  const Datum array = pg::Call([&] {
    auto* datums = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<std::size_t>(count)));
    for (int i = 0; i < count; ++i) datums[i] = Int64GetDatum(values[i]);
    ArrayType* result =
        construct_array(datums, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
    pfree(datums);
    return PointerGetDatum(result);
  });
  return {array, false};
}

}  // namespace kvcrm::crm

using namespace kvcrm;

// search_keys(organization_id uuid, search_text text) -> bigint[]: the keys of the search index. Immutable:
// what it returns for a text changes only together with a rebuild of that index.
KVCRM_TIMELESS_FUNCTION(search_keys) {
  const auto organization = args.Require<pg::Uuid>(0, "organization_id");
  if (args.IsNull(1)) pg::Args::RaiseMissing("search_text");
  const pg::Value text{args.call()->args[1].value, false};
  const auto keys = crm::SearchKeys(organization, pg::ViewText(text));
  args.call()->isnull = false;
  return crm::KeysValue(keys).datum;
}
