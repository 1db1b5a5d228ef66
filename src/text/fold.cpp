#include "text/fold.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "text/fold_tables.hpp"
#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

// Transliterating edits text in place, at a cost that grows with the square of its length: it is done in
// pieces of this many bytes.
constexpr std::size_t kMaxRun = 512;

// Each round of Fold can uncover something for the next, in theory; none is known to need more than two.
constexpr int kMaxRounds = 4;

// Writes the folded form letter by letter. Letters come lower-case and without accents; the rules that
// fold.hpp lists look back at what was written and hold back what the next letter decides.
class Folder {
 public:
  explicit Folder(std::size_t expected_size) { out_.reserve(expected_size + expected_size / 4 + 8); }

  void Letter(char letter) {
    if (soft_) {
      soft_ = false;
      if (letter == 'e' || letter == 'o') Letter('i');
    }
    switch (letter) {
      case 'i':
      case 'j':
      case 'y':
        Release(/*before_vowel=*/true);
        if (letter == 'y' && last_ == '\0') {
          held_ = Held::kY;
        } else if (last_ != 'i') {
          Put('i');
        }
        return;
      case 'e':
        if (held_ == Held::kY) held_ = Held::kNothing;
        [[fallthrough]];
      case 'a':
      case 'o':
      case 'u':
        Release(/*before_vowel=*/true);
        Put(letter);
        return;
      case 'c':
        LetterC();
        return;
      case 'h':
        LetterH();
        return;
      case 'k':
      case 'q':
        Release();
        PutK();
        return;
      case 'w':
        Release();
        Put('v');
        return;
      case 'x':
        Release();
        PutK();
        Put('s');
        return;
      default:
        Release();
        Put(letter);
    }
  }

  // One entry of the ASCII table: a letter, a mark (digit or kept punctuation), a space or nothing.
  void Ascii(char c) {
    if (c >= 'a' && c <= 'z') {
      Letter(c);
    } else if (c == ' ') {
      EndWord();
      space_ = true;
    } else if (c != '\0') {
      EndWord();
      PutSpace();
      out_.push_back(c);
    }
  }

  // A spelling of the other tables.
  void Spell(std::string_view spelling) {
    for (const char c : spelling) {
      if (c == fold_tables::kSoft) {
        soft_ = true;
      } else if (c == fold_tables::kChe) {
        Che();
      } else if (c == fold_tables::kShcha) {
        Letter('s');
        Letter('h');
        held_ = Held::kChAfterSh;
      } else {
        Ascii(c);
      }
    }
  }

  // A letter that has no Latin spelling.
  void Foreign(std::string_view bytes) {
    soft_ = false;
    Release();
    PutSpace();
    out_.append(bytes);
    before_last_ = last_;
    last_ = kForeign;
  }

  std::string Finish() && {
    if (held_ == Held::kY) Put('i');
    return std::move(out_);
  }

 private:
  // What was read but not written.
  enum class Held : std::uint8_t {
    kNothing,
    kY,          // y at the beginning of a word: i, but nothing before e
    kCAfterS,    // c after s: sch, or else k
    kCAfterSh,   // c after sh: shch, or else k
    kChAfterSh,  // sch or shch, of which sh is written: the rest is written before a vowel
    kHOfCh,      // nothing, but the k that was written last was a c, and an h would make it ch
  };

  static constexpr char kForeign = '?';

  void PutSpace() {
    if (space_ && !out_.empty()) out_.push_back(' ');
    space_ = false;
  }

  void Put(char letter) {
    PutSpace();
    out_.push_back(letter);
    before_last_ = last_;
    last_ = letter;
  }

  void PutK() {
    if (last_ != 'k') Put('k');
  }

  void Release(bool before_vowel = false) {
    const Held held = held_;
    held_ = Held::kNothing;
    switch (held) {
      case Held::kNothing:
      case Held::kHOfCh:
        return;
      case Held::kY:
        Put('i');
        return;
      case Held::kCAfterS:
      case Held::kCAfterSh:
        PutK();
        return;
      case Held::kChAfterSh:
        if (!before_vowel) return;
        Put('k');
        Put('c');
        Put('h');
    }
  }

  void LetterC() {
    Release();
    if (last_ == 's') {
      held_ = Held::kCAfterS;
    } else if (last_ == 'h' && before_last_ == 's') {
      held_ = Held::kCAfterSh;
    } else {
      PutK();
      held_ = Held::kHOfCh;
    }
  }

  void LetterH() {
    const Held held = held_;
    if (held == Held::kCAfterS || held == Held::kCAfterSh) {
      if (held == Held::kCAfterS) Put('h');
      held_ = Held::kChAfterSh;
      return;
    }
    Release();
    if (held == Held::kHOfCh) {
      Put('c');
    } else if (last_ != 'k' && last_ != 's' && last_ != 'z') {
      Put('k');
    }
    Put('h');
  }

  void Che() {
    soft_ = false;
    Release();
    // So that счёт meets schet.
    if (last_ == 's') Put('h');
    PutK();
    Put('c');
    Put('h');
  }

  void EndWord() {
    soft_ = false;
    Release();
    last_ = before_last_ = '\0';
  }

  std::string out_;
  Held held_ = Held::kNothing;
  char last_ = '\0';  // the last two letters written in this word
  char before_last_ = '\0';
  bool space_ = false;  // a space is due before whatever comes next
  bool soft_ = false;   // the last letter read was ъ or ь
};

const icu::Transliterator* Latinizer() {
  static const std::unique_ptr<const icu::Transliterator> latinizer = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<const icu::Transliterator> created(icu::Transliterator::createInstance(
        UNICODE_STRING_SIMPLE("Any-Latin; Latin-ASCII"), UTRANS_FORWARD, status));
    return U_SUCCESS(status) ? std::move(created) : nullptr;
  }();
  return latinizer.get();
}

icu::UnicodeString ToUnicode(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

std::string CaseFolded(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
  if (U_FAILURE(status)) return std::string(text);
  const icu::UnicodeString folded = normalizer->normalize(ToUnicode(text), status);
  if (U_FAILURE(status)) return std::string(text);
  std::string utf8;
  return folded.toUTF8String(utf8);
}

std::string Latinized(std::string_view text) {
  const icu::Transliterator* latinizer = Latinizer();
  if (latinizer == nullptr) return std::string(text);
  icu::UnicodeString unicode = ToUnicode(text);
  latinizer->transliterate(unicode);
  std::string utf8;
  return unicode.toUTF8String(utf8);
}

enum class Step : std::uint8_t { kTables, kCaseFolded, kLatinized };

bool IsCombiningMark(char32_t c) { return c >= 0x300 && c <= 0x36F; }

// How a code point beyond ASCII is spelled, or nullopt when that is left to ICU.
std::optional<std::string_view> SpellingOf(char32_t c) {
  using namespace fold_tables;
  if (c >= kFirstCyrillic && c <= kLastCyrillic) {
    const std::string_view letters = kCyrillic[c - kFirstCyrillic];
    return letters.empty() ? std::nullopt : std::optional(letters);
  }
  if (c >= kFirstLatin && c <= kLastLatin) {
    const std::string_view letters = kLatin[c - kFirstLatin];
    return letters.empty() ? std::nullopt : std::optional(letters);
  }
  if (IsCombiningMark(c)) return "";
  for (const Spelling& symbol : kSymbolSpellings) {
    if (symbol.code_points.find(c) != std::u32string_view::npos) return symbol.letters;
  }
  if (IsSeparator(c)) return " ";
  return std::nullopt;
}

bool HasType(char32_t c, std::uint32_t types) {
  return (U_MASK(u_charType(static_cast<UChar32>(c))) & types) != 0;
}

// Letters, marks and numbers: what has a sound that can be written in Latin. ICU would spell symbols too ("→"
// as "->").
bool IsSpoken(char32_t c) { return HasType(c, U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK); }

// For what neither the tables nor ICU can spell.
void FoldUnspelled(std::string_view bytes, char32_t c, Folder& folder) {
  const auto point = static_cast<UChar32>(c);
  if (const int32_t digit = u_charDigitValue(point); digit >= 0) {
    folder.Ascii(static_cast<char>('0' + digit));
  } else if (u_isalnum(point)) {
    folder.Foreign(bytes);
  } else if (!HasType(c, U_GC_M_MASK | U_GC_LM_MASK | U_GC_CF_MASK)) {
    folder.Ascii(' ');
  }
}

// The end of the run of code points from `position` on that the step after `step` has to look at.
std::size_t EndOfRun(std::string_view text, std::size_t position, Step step) {
  const std::size_t start = position;
  while (position < text.size() && position - start < kMaxRun) {
    std::size_t next = position;
    const char32_t c = DecodeCodePoint(text, next);
    // Combining marks stay with the letter before them.
    if (c < 0x80 || (!IsCombiningMark(c) && SpellingOf(c))) break;
    if (step == Step::kCaseFolded && !IsSpoken(c)) break;
    position = next;
  }
  return position;
}

// Folds what the tables know, and hands runs of all else to the next step.
void FoldInto(std::string_view text, Step step, Folder& folder) {
  for (std::size_t position = 0; position < text.size();) {
    if (const auto byte = static_cast<unsigned char>(text[position]); byte < 0x80) {
      ++position;
      folder.Ascii(fold_tables::kAscii[byte]);
      continue;
    }
    const std::size_t start = position;
    const char32_t c = DecodeCodePoint(text, position);
    if (const std::optional<std::string_view> spelling = SpellingOf(c)) {
      folder.Spell(*spelling);
    } else if (step == Step::kTables) {
      position = EndOfRun(text, start, step);
      FoldInto(CaseFolded(text.substr(start, position - start)), Step::kCaseFolded, folder);
    } else if (step == Step::kCaseFolded && IsSpoken(c)) {
      position = EndOfRun(text, start, step);
      FoldInto(Latinized(text.substr(start, position - start)), Step::kLatinized, folder);
    } else {
      FoldUnspelled(text.substr(start, position - start), c, folder);
    }
  }
}

std::string FoldOnce(std::string_view text) {
  Folder folder(text.size());
  FoldInto(text, Step::kTables, folder);
  return std::move(folder).Finish();
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string Fold(std::string_view utf8) {
  std::string folded = FoldOnce(utf8);
  // ASCII is folded for good. Foreign letters, brought together, may have something left to fold.
  for (int round = 1; !IsAscii(folded); ++round) {
    std::string again = FoldOnce(folded);
    if (again == folded) break;
    folded = std::move(again);
    if (round == kMaxRounds)
      std::erase_if(folded, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  }
  return folded;
}

void WarmUpFold() { Fold("中"); }

}  // namespace kvcrm::text
