#include "text/email.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include <unicode/idna.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

// RFC 5321, 4.5.3.1, in bytes; the whole address is bounded by the path's 256 minus its angle brackets.
constexpr std::size_t kMaxLocalPart = 64;
constexpr std::size_t kMaxDomain = 255;
constexpr std::size_t kMaxAddress = 254;
// RFC 1035, 2.3.4.
constexpr std::size_t kMaxLabel = 63;
// Bytes of UTF-8: a domain that fits in punycode has fewer.
constexpr std::size_t kMaxUnicodeDomain = 1024;

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool IsAsciiDigit(char c) { return c >= '0' && c <= '9'; }

bool IsAsciiAlphanumeric(char c) {
  return IsAsciiDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

icu::UnicodeString ToUnicode(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

// The domain in punycode, or nullopt when UTS 46 refuses it.
std::optional<std::string> ToPunycode(std::string_view domain) {
  if (domain.size() > kMaxUnicodeDomain) return std::nullopt;
  static const icu::IDNA* const idna = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::IDNA* created = icu::IDNA::createUTS46Instance(
        UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_USE_STD3_RULES,
        status);
    return U_SUCCESS(status) ? created : nullptr;
  }();
  if (idna == nullptr) return std::nullopt;

  std::string ascii;
  icu::StringByteSink<std::string> sink(&ascii);
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  idna->nameToASCII_UTF8(icu::StringPiece(domain.data(), static_cast<int32_t>(domain.size())), sink, info,
                         status);
  if (U_FAILURE(status) || info.hasErrors() || ascii.empty() || !IsAscii(ascii)) return std::nullopt;
  return ascii;
}

// Letters, marks, numbers, punctuation and symbols beyond ASCII (RFC 6531, 3.3); no separators, controls,
// format characters (which would make two addresses look the same), surrogates, private or unassigned code
// points.
bool IsInternationalAtomText(char32_t c) {
  if (c == kMalformed) return false;
  constexpr uint32_t kRefused = U_GC_Z_MASK | U_GC_C_MASK;
  return (U_MASK(u_charType(static_cast<UChar32>(c))) & kRefused) == 0;
}

bool IsDotAtom(std::string_view local) {
  constexpr std::string_view kAtomSymbols = "!#$%&'*+-/=?^_`{|}~";
  if (local.empty() || local.front() == '.' || local.back() == '.') return false;
  if (local.find("..") != std::string_view::npos) return false;
  for (std::size_t position = 0; position < local.size();) {
    const char32_t c = DecodeCodePoint(local, position);
    if (c >= 0x80) {
      if (!IsInternationalAtomText(c)) return false;
      continue;
    }
    const char ascii = static_cast<char>(c);
    if (ascii != '.' && !IsAsciiAlphanumeric(ascii) && kAtomSymbols.find(ascii) == std::string_view::npos)
      return false;
  }
  return true;
}

bool IsHostName(std::string_view domain) {
  if (domain.size() > kMaxDomain || domain.find('.') == std::string_view::npos) return false;
  std::string_view label;
  for (std::size_t start = 0; start <= domain.size(); start += label.size() + 1) {
    label = domain.substr(start, std::min(domain.find('.', start), domain.size()) - start);
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-')
      return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return c == '-' || IsAsciiAlphanumeric(c); }))
      return false;
  }
  return !std::all_of(label.begin(), label.end(), IsAsciiDigit);
}

// Lower case letter by letter, in NFC (which RFC 6532, 3.1, asks of senders). Full case folding would bring ß
// and ss together, which are different mailboxes.
std::string LowerUnicode(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) return std::string(text);
  const icu::UnicodeString composed = nfc->normalize(ToUnicode(text), status);
  icu::UnicodeString lower;
  for (int32_t i = 0; i < composed.length(); i = composed.moveIndex32(i, 1))
    lower.append(u_tolower(composed.char32At(i)));
  const icu::UnicodeString result = nfc->normalize(lower, status);
  if (U_FAILURE(status)) return std::string(text);
  std::string utf8;
  return result.toUTF8String(utf8);
}

// Malformed text is lower-cased in its ASCII letters only.
std::string Lower(std::string_view text) {
  if (!IsAscii(text) && IsValidUtf8(text)) return LowerUnicode(text);
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

bool IsValidEmail(std::string_view address) {
  if (address.size() > kMaxAddress) return false;
  const std::size_t at = address.find('@');
  if (at == std::string_view::npos || at > kMaxLocalPart || !IsDotAtom(address.substr(0, at))) return false;
  const std::string_view domain = address.substr(at + 1);
  if (IsAscii(domain)) return IsHostName(domain);
  if (!IsValidUtf8(domain)) return false;
  const std::optional<std::string> punycode = ToPunycode(domain);
  return punycode && IsHostName(*punycode);
}

std::string NormalizeEmail(std::string_view address) {
  const std::string_view text = Trim(address);
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return Lower(text);

  std::string domain = Lower(text.substr(at + 1));
  if (!IsAscii(domain) && IsValidUtf8(domain)) domain = ToPunycode(domain).value_or(domain);
  // From the second character on: what starts with a plus has no other name.
  std::string local(text.substr(0, std::min(at, text.find('+', 1))));
  if (domain == "gmail.com" || domain == "googlemail.com") {
    domain = "gmail.com";
    if (local.find_first_not_of('.') != std::string::npos) std::erase(local, '.');
  }
  return Lower(Trim(local)) + '@' + domain;
}

}  // namespace kvcrm::text
