#include "text/words.hpp"

#include <algorithm>
#include <string>

#include "text/fold.hpp"
#include "text/fold_tables.hpp"
#include "text/lookalikes.hpp"
#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

constexpr std::size_t kMaxInput = 600;  // bytes; leads' columns hold 255 characters

// Marks behind a word that survive Fold.
constexpr char kSingle = '_', kDot = '.', kComma = '+', kHyphen = '-', kCyrillicScript = '@';

constexpr bool IsAsciiLetter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
constexpr bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }
constexpr bool IsCyrillic(char32_t c) { return c >= 0x400 && c <= 0x52F; }
constexpr bool IsLower(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 0x430 && c <= 0x45F); }
constexpr bool IsUpper(char32_t c) { return (c >= 'A' && c <= 'Z') || (c >= 0x400 && c <= 0x42F); }

// What leaves no trace in the fold and doesn't end a word.
constexpr bool IsInvisible(char32_t c) {
  return c == '\'' || c == '`' ||
         fold_tables::kSymbolSpellings[0].code_points.find(c) != std::u32string_view::npos;
}

constexpr bool IsHyphen(char32_t c) { return c == '-' || c == 0x2010 || c == 0x2011 || c == 0x2212; }

void AppendUtf8(char32_t c, std::string& out) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else {  // only Cyrillic comes here
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

// II to XXXIX, in capitals; 0 for all else. A single I, V or X may as well be a letter.
int RomanNumber(std::string_view word) {
  if (word.size() < 2 || word.size() > 7 || word.find_first_not_of("IVX") != std::string_view::npos) return 0;
  static constexpr std::string_view kUnits[] = {"", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"};
  static constexpr std::string_view kTens[] = {"", "X", "XX", "XXX"};
  for (int number = 2; number < 40; ++number) {
    const std::string_view tens = kTens[number / 10];
    if (word.starts_with(tens) && word.substr(tens.size()) == kUnits[number % 10]) return number;
  }
  return 0;
}

// Rewrites a name into words with marks, ready to be folded.
class Scanner {
 public:
  Scanner(std::string_view text, WordsOf kind, bool all_cyrillic)
      : text_(text), kind_(kind), all_cyrillic_(all_cyrillic) {
    out_.reserve(text.size() + text.size() / 2 + 8);
  }

  void Run() {
    std::size_t position = 0;
    while (position < text_.size()) {
      const std::size_t start = position;
      const auto byte = static_cast<unsigned char>(text_[position]);
      const char32_t c = byte < 0x80 ? ++position, byte : DecodeCodePoint(text_, position);
      if (IsAsciiLetter(c) || IsCyrillic(c)) {
        Letter(c, start, position);
      } else if (IsDigit(c)) {
        Digit(start);
      } else if (c >= 0x80 ? !fold_tables::IsSeparator(c) || IsFoldedSymbol(c) : false) {
        if (IsHyphen(c)) {
          End(position);
          Mark(kHyphen);
        } else if (!IsInvisible(c)) {
          // Japanese writes words without spaces, but its scripts tell where some of them end.
          const Script script = ScriptOf(c);
          if (other_ && script != script_) End(start);
          if (letters_ + digits_ == 0) word_ = start;
          ++letters_;
          other_ = true;
          script_ = script;
        }
      } else if (c < 0x80 && IsInvisible(c)) {
        continue;
      } else {
        End(start);
        if (c == '.') Mark(kDot);
        if (c == ',') Mark(kComma);
        if (c == '-') Mark(kHyphen);
      }
    }
    End(text_.size());
    // At its end, Fold holds back what the next letter would decide: here nothing follows.
    out_.push_back(' ');
  }

  bool RepairedToCyrillic() const { return repaired_to_cyrillic_; }
  bool HasDoubtful() const { return has_doubtful_; }
  const std::string& out() const { return out_; }

 private:
  static constexpr bool IsFoldedSymbol(char32_t c) {
    return c == 0xAA || c == 0xBA || IsHyphen(c) || (c >= 0x80 && IsInvisible(c));
  }

  enum class Script : std::uint8_t { kOther, kHan, kKana };

  static constexpr Script ScriptOf(char32_t c) {
    if (c >= 0x3041 && c <= 0x30FF) return Script::kKana;
    return c >= 0x3400 && c <= 0x9FFF ? Script::kHan : Script::kOther;
  }

  void Letter(char32_t c, std::size_t start, std::size_t next) {
    if (letters_ + digits_ == 0) word_ = start;
    if (kind_ == WordsOf::kCompany && digits_ > 0 && letters_ == 0) {
      End(start);
      word_ = start;
    } else if (lower_run_ >= 2 && letters_ >= 3 && IsUpper(c) && IsLetterAt(next)) {
      // SergeiLavrov, TechSolutions; not GmbH
      End(start);
      word_ = start;
    }
    ++letters_;
    lower_run_ = IsLower(c) ? lower_run_ + 1 : 0;
    if (c < 0x80) {
      ++(lookalikes::kToCyrillic[c] != 0 ? latin_doubtful_ : latin_);
    } else {
      ++(c < 0x460 && lookalikes::kToLatin[c - 0x400] != 0 ? cyrillic_doubtful_ : cyrillic_);
    }
  }

  // Whether a Latin or Russian letter starts at byte `position`.
  bool IsLetterAt(std::size_t position) const {
    if (position >= text_.size()) return false;
    const auto byte = static_cast<unsigned char>(text_[position]);
    return IsAsciiLetter(byte) || byte == 0xD0 || byte == 0xD1;
  }

  void Digit(std::size_t start) {
    if (kind_ == WordsOf::kCompany && letters_ > 0) End(start);
    if (letters_ + digits_ == 0) word_ = start;
    ++digits_;
  }

  void Mark(char mark) {
    if (!out_.empty() && out_.back() != ' ') out_.push_back(mark);
  }

  // Ends the word before byte `end`.
  void End(std::size_t end) {
    if (letters_ + digits_ == 0) return;
    if (!out_.empty()) out_.push_back(' ');
    const std::string_view word = text_.substr(word_, end - word_);
    const int latin = latin_ + latin_doubtful_, cyrillic = cyrillic_ + cyrillic_doubtful_;
    const int number = kind_ == WordsOf::kCompany ? RomanNumber(word) : 0;
    // 1C is written in either script.
    const bool behind_digit = letters_ == 1 && digits_ == 0 && word_ > 0 && IsDigit(text_[word_ - 1]);
    if (number > 0) {
      out_.append(std::to_string(number));
    } else if (behind_digit && cyrillic_doubtful_ == 1) {
      Write(word, false, true);
    } else if (latin > 0 && cyrillic > 0) {
      const bool to_cyrillic = cyrillic_ != latin_ ? cyrillic_ > latin_ : cyrillic >= latin;
      repaired_to_cyrillic_ |= to_cyrillic;
      Write(word, to_cyrillic, !to_cyrillic);
    } else if (latin > 0 && latin_ == 0 && !other_) {
      has_doubtful_ = true;
      Write(word, all_cyrillic_, false);
    } else {
      Write(word, false, false);
    }
    if (letters_ == 1 && digits_ == 0) out_.push_back(kSingle);
    if (cyrillic > 0) out_.push_back(kCyrillicScript);
    letters_ = digits_ = latin_ = latin_doubtful_ = cyrillic_ = cyrillic_doubtful_ = lower_run_ = 0;
    other_ = false;
  }

  void Write(std::string_view word, bool to_cyrillic, bool to_latin) {
    for (std::size_t i = 0; i < word.size();) {
      const auto byte = static_cast<unsigned char>(word[i]);
      if (byte < 0x80) {
        if (to_cyrillic && lookalikes::kToCyrillic[byte] != 0) {
          AppendUtf8(lookalikes::kToCyrillic[byte], out_);
        } else if (const std::size_t read = Respell(word, i)) {
          i += read;
          continue;
        } else if (kind_ == WordsOf::kPerson && letters_ >= 2 && (byte == '0' || byte == '1')) {
          out_.push_back(byte == '0' ? 'o' : 'i');
        } else {
          out_.push_back(word[i]);
        }
        ++i;
        continue;
      }
      const std::size_t start = i;
      const char32_t c = DecodeCodePoint(word, i);
      if (to_latin && c >= 0x400 && c < 0x460 && lookalikes::kToLatin[c - 0x400] != 0) {
        out_.push_back(lookalikes::kToLatin[c - 0x400]);
      } else {
        out_.append(word.substr(start, i - start));
      }
    }
  }

  // Spells letters of a Latin word at `i` as the same sounds are spelled in Russian words; returns how many
  // it read. Here, before Fold, because folded text doesn't tell any more from which script it came.
  std::size_t Respell(std::string_view word, std::size_t i) {
    const auto at = [&](std::size_t j) { return j < word.size() ? static_cast<char>(word[j] | 0x20) : '\0'; };
    const char letter = at(i), next = at(i + 1), third = at(i + 2), previous = i > 0 ? at(i - 1) : '\0';
    const auto write = [&](std::string_view letters, std::size_t read) {
      out_.append(letters);
      return read;
    };
    switch (letter) {
      case 'c':  // ц: Kuznecov, Cvetkov; Polish cz
        if (next == 'e' || next == 'i' || next == 'y' || next == 'j' || (i == 0 && next == 'v'))
          return write("ts", 1);
        if (next == 'o' && third == 'v' && (previous == 'e' || previous == 'n' || previous == 'r')) {
          return write("ts", 1);
        }
        return next == 'z' ? write("ch", 2) : 0;
      case 's':
        return next == 'z' ? write("sh", 2) : 0;
      case 't':
        if (next == 'z') return write("ts", 2);
        if (next == 's' && third == 'c' && at(i + 3) == 'h') return write("ch", 4);
        if (next == 'c' && third == 'h') return write("ch", 3);
        return next == 'h' ? write("t", 2) : 0;
      case 'p':
        return next == 'h' ? write("f", 2) : 0;
      case 'b':
      case 'd':
      case 'g':
        return next == 'h' && !IsConsonant(third) && third != '\0' ? write(std::string_view(&letter, 1), 2)
                                                                   : 0;
      case 'o':
        if (next == 'u' || (next == 'o' && kind_ == WordsOf::kPerson)) return write("u", 2);
        [[fallthrough]];
      case 'u':  // Mueller, Schroeder
        if (kind_ == WordsOf::kPerson && next == 'e' && IsConsonant(previous) && IsConsonant(third)) {
          return write(std::string_view(&letter, 1), 2);
        }
        return 0;
      case 'y':
      case 'j':  // ё: Semyonov
        return next == 'o' && IsConsonant(previous) ? write("e", 2) : 0;
      default:
        return 0;
    }
  }

  static bool IsConsonant(char letter) {
    return letter >= 'b' && letter <= 'z' &&
           std::string_view("eiouyj").find(letter) == std::string_view::npos;
  }

  std::string_view text_;
  WordsOf kind_;
  bool all_cyrillic_;  // take words of nothing but look-alike letters for Cyrillic
  std::string out_;
  std::size_t word_ = 0;  // the current word's first byte
  int letters_ = 0, digits_ = 0, lower_run_ = 0;
  int latin_ = 0, latin_doubtful_ = 0, cyrillic_ = 0, cyrillic_doubtful_ = 0;
  bool other_ = false;              // has letters of other scripts
  Script script_ = Script::kOther;  // of the last of them
  bool repaired_to_cyrillic_ = false, has_doubtful_ = false;
};

}  // namespace

Words::Words(std::string_view utf8, WordsOf kind) {
  std::string_view text = utf8.substr(0, kMaxInput);
  Scanner scanner(text, kind, false);
  scanner.Run();
  if (scanner.RepairedToCyrillic() && scanner.HasDoubtful()) {
    Scanner again(text, kind, true);
    again.Run();
    folded_ = Fold(again.out());
  } else {
    folded_ = Fold(scanner.out());
  }
  // A fold of other scripts may bring hyphens and full stops of its own: they part words too.
  const std::string_view folded = folded_;
  for (std::size_t i = 0; i < folded.size();) {
    switch (folded[i]) {
      case ' ':
        break;
      case kSingle:
        if (count_ > 0) words_[count_ - 1].single = true;
        break;
      case kDot:
        if (count_ > 0) words_[count_ - 1].dot = true;
        break;
      case kComma:
        if (count_ > 0) words_[count_ - 1].comma = true;
        break;
      case kHyphen:
        if (count_ > 0) words_[count_ - 1].hyphen = true;
        break;
      case kCyrillicScript:
        if (count_ > 0) words_[count_ - 1].cyrillic = true;
        break;
      default: {
        if (count_ == kMaxWords) return;
        const std::size_t end = std::min(folded.find_first_of(" _.+-@", i), folded.size());
        words_[count_++].folded = folded.substr(i, end - i);
        i = end;
        continue;
      }
    }
    ++i;
  }
}

}  // namespace kvcrm::text
