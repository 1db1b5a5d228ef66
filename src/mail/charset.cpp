#include "mail/charset.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>

#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>
#include <unicode/unistr.h>

#include "text/utf8.hpp"

namespace kvcrm::mail {

namespace {

struct Close {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
  void operator()(UCharsetDetector* detector) const { ucsdet_close(detector); }
};
using Converter = std::unique_ptr<UConverter, Close>;

// A guess is made by the beginning of a text.
constexpr std::size_t kSample = 4096;

// Runs of so many bytes above ASCII are no Western European word.
constexpr int kForeignRun = 3;

bool IsHigh(char c) { return static_cast<unsigned char>(c) >= 0x80; }

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char c : text) lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  return lower;
}

// Nothing when nobody knows the label. ICU takes "default" and the empty string for the machine's encoding.
Converter Open(const std::string& label) {
  if (label.empty() || label.size() > 60 || label.find(',') != std::string::npos) return nullptr;
  UErrorCode error = U_ZERO_ERROR;
  // ISO-8859-1 in mail means what Windows makes of it.
  const bool latin = label == "iso-8859-1" || label == "latin1" || label == "us-ascii" || label == "ascii";
  Converter converter(ucnv_open(latin ? "windows-1252" : label.c_str(), &error));
  return U_SUCCESS(error) ? std::move(converter) : nullptr;
}

icu::UnicodeString Decode(std::string_view bytes, UConverter* converter) {
  UErrorCode error = U_ZERO_ERROR;
  icu::UnicodeString text(bytes.data(), static_cast<std::int32_t>(bytes.size()), converter, error);
  return U_SUCCESS(error) ? text : icu::UnicodeString();
}

std::string Convert(std::string_view bytes, UConverter* converter) {
  std::string text;
  Decode(bytes, converter).toUTF8String(text);
  return text;
}

// How often each letter from а to я occurs in Russian, per mille.
constexpr int kFrequencies[32] = {80, 16, 45, 17, 30, 85, 9, 16, 74, 12, 35, 44, 32, 67, 110, 28,
                                  47, 55, 63, 26, 3,  10, 5, 14, 7,  4,  1,  19, 17, 3,  6,   20};

// How well bytes above ASCII read as Cyrillic in an encoding, per byte: about 60 for Russian, far below
// for anything else. The wrong encoding gives rare letters, signs, and capitals inside words.
double Readability(std::string_view bytes, const char* label) {
  const Converter converter = Open(label);
  if (!converter) return -1000;
  const icu::UnicodeString text = Decode(bytes, converter.get());
  double sum = 0;
  int count = 0;
  bool after_small = false;
  for (std::int32_t i = 0; i < text.length(); ++i) {
    const char16_t c = text[i];
    if (c < 0x80) {
      after_small = c >= 'a' && c <= 'z';
      continue;
    }
    ++count;
    const bool small = (c >= 0x430 && c <= 0x45F), capital = c >= 0x400 && c <= 0x42F;
    if (c >= 0x410 && c <= 0x44F) {
      sum += kFrequencies[(c - 0x410) % 32] + (small ? 10 : 0);
    } else if (!small && !capital && c != 0xA0 && c != 0xAB && c != 0xBB && c != 0x2013 && c != 0x2014 &&
               c != 0x2116) {
      sum -= 50;
    }
    if (capital && after_small) sum -= 60;
    after_small = small;
  }
  return count == 0 ? -1000 : sum / count;
}

constexpr const char* kCyrillic[] = {"windows-1251", "koi8-r", "ibm866", "iso-8859-5"};
constexpr double kReadable = 25;

struct Guess {
  const char* label = nullptr;
  double readability = -1000;
};

Guess BestCyrillic(std::string_view bytes) {
  Guess best;
  for (const char* label : kCyrillic) {
    const double readability = Readability(bytes, label);
    if (readability > best.readability) best = {label, readability};
  }
  return best;
}

int LongestRun(std::string_view bytes) {
  int longest = 0, run = 0;
  for (const char c : bytes) {
    run = IsHigh(c) ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

// The part by which to guess: around the first byte above ASCII.
std::string_view Sample(std::string_view bytes) {
  const auto first = std::find_if(bytes.begin(), bytes.end(), IsHigh);
  const auto start = static_cast<std::size_t>(first - bytes.begin());
  return bytes.substr(start > 16 ? start - 16 : 0, kSample);
}

// For encodings of the Far East. Nothing when ICU isn't sure.
const char* Detect(std::string_view bytes) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UCharsetDetector, Close> detector(ucsdet_open(&error));
  if (U_FAILURE(error)) return nullptr;
  ucsdet_setText(detector.get(), bytes.data(), static_cast<std::int32_t>(bytes.size()), &error);
  const UCharsetMatch* match = ucsdet_detect(detector.get(), &error);
  if (U_FAILURE(error) || match == nullptr || ucsdet_getConfidence(match, &error) < 60) return nullptr;
  const char* name = ucsdet_getName(match, &error);
  for (const char* known : {"Shift_JIS", "GB18030", "EUC-JP", "EUC-KR", "Big5"}) {
    if (U_SUCCESS(error) && std::string_view(name) == known) return known;
  }
  return nullptr;
}

bool IsWestern(const std::string& label) {
  return label.empty() || label == "us-ascii" || label == "ascii" || label.starts_with("iso-8859-1") ||
         label == "latin1" || label == "windows-1252" || label == "cp1252";
}

bool IsCyrillic(const std::string& label) {
  for (const char* known : {"windows-1251", "cp1251", "koi8-r", "koi8-u", "ibm866", "cp866", "iso-8859-5"}) {
    if (label == known) return true;
  }
  return false;
}

// UTF-8 in which a few characters are damaged, cut through by a mailer say.
bool IsNearlyUtf8(std::string_view bytes) {
  int good = 0, bad = 0;
  for (std::size_t i = 0; i < bytes.size();) {
    const bool high = IsHigh(bytes[i]);
    if (text::DecodeCodePoint(bytes, i) == text::kMalformed)
      ++bad;
    else if (high)
      ++good;
  }
  return good > 2 * bad;
}

}  // namespace

const char* GuessCharset(std::string_view bytes) {
  if (text::IsValidUtf8(bytes) || IsNearlyUtf8(Sample(bytes))) return "utf-8";
  const std::string_view sample = Sample(bytes);
  if (LongestRun(sample) < kForeignRun) return "windows-1252";
  const Guess guess = BestCyrillic(sample);
  if (guess.readability >= kReadable) return guess.label;
  if (const char* detected = Detect(sample)) return detected;
  return guess.readability > 0 ? guess.label : "windows-1252";
}

std::string ToUtf8(std::string_view bytes, std::string_view given) {
  const std::string label = Lower(text::Trim(given));
  const bool wide = label.starts_with("utf-16") || label.starts_with("utf-32") || label == "unicode";
  const bool stateful = label.starts_with("iso-2022") || label.starts_with("hz") || label == "utf-7";
  if (wide || stateful) {
    if (const Converter converter = Open(label)) return Convert(bytes, converter.get());
  }
  if (text::IsValidUtf8(bytes)) return std::string(bytes);
  Converter converter = Open(label);
  if (IsWestern(label) || !converter || label.starts_with("utf")) {
    const char* guess = GuessCharset(bytes);
    // A Western label stands unless the text looks Cyrillic or like UTF-8.
    const bool western = IsWestern(label) && std::string_view(guess) == "windows-1252";
    if (!western || !converter) converter = Open(guess);
  } else if (IsCyrillic(label)) {
    // Mislabelled when another one makes much more of it, of more than a word or two.
    const std::string_view sample = Sample(bytes);
    const Guess best = BestCyrillic(sample);
    if (std::count_if(sample.begin(), sample.end(), IsHigh) >= 10 && best.readability >= kReadable &&
        best.readability > 1.4 * Readability(sample, label.c_str())) {
      converter = Open(best.label);
    }
  }
  if (!converter) return std::string(bytes);
  return Convert(bytes, converter.get());
}

std::string Clean(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t c = text::DecodeCodePoint(text, i);
    if (c == text::kMalformed) {
      clean += "\uFFFD";
    } else if (c == '\r') {
      clean += '\n';
      if (i < text.size() && text[i] == '\n') ++i;
    } else if (c == 0x2028 || c == 0x2029) {
      clean += '\n';
    } else if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) || c == 0xFEFF) {
      // Dropped.
    } else {
      clean.append(text.substr(start, i - start));
    }
  }
  return clean;
}

}  // namespace kvcrm::mail
