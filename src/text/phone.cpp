#include "text/phone.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <set>
#include <utility>

#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

#include "text/utf8.hpp"

namespace kvcrm::text {

namespace {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

// No number that can be dialled from another country has fewer digits.
constexpr std::ptrdiff_t kMinDigits = 5;

// Parsing costs about 10 microseconds, most of it regular expressions, and one write of a row asks for the
// same number several times (column, fingerprint, duplicate check): a table of recent answers, one per slot.
constexpr std::size_t kRememberedNumbers = 512;

struct Remembered {
  std::string raw;
  std::string region;
  std::optional<std::string> number;
};

PhoneNumberUtil& Library() {
  static PhoneNumberUtil* const library = [] {
    PhoneNumberUtil* created = PhoneNumberUtil::GetInstance();
    // By default the library writes to standard output, which in a server belongs to somebody else. It owns
    // the logger.
    created->SetLogger(new i18n::phonenumbers::NullLogger());
    return created;
  }();
  return *library;
}

std::optional<std::string> ParseValid(const std::string& raw, const std::string& region) {
  PhoneNumber number;
  if (Library().Parse(raw, region, &number) != PhoneNumberUtil::NO_PARSING_ERROR) return std::nullopt;
  if (!Library().IsValidNumber(number)) return std::nullopt;
  std::string formatted;
  Library().Format(number, PhoneNumberUtil::E164, &formatted);
  return formatted;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// `raw` without the usual separators, which saves the library a third of its time; unchanged when there is
// anything else in it, because a letter, "/", "#" or ";" may introduce an extension or a second number.
std::string WithoutSeparators(std::string_view raw) {
  std::string digits;
  for (const char c : raw) {
    if (IsDigit(c) || (c == '+' && digits.empty())) {
      digits.push_back(c);
    } else if (std::string_view(" ().-").find(c) == std::string_view::npos) {
      return std::string(raw);
    }
  }
  return digits;
}

std::optional<std::string> Understand(const std::string& raw, const std::string& region) {
  if (std::optional<std::string> number = ParseValid(raw, region)) return number;

  // "00" is dialled abroad in most countries, but not in Russia (810) or the USA (011), where people write it
  // all the same.
  const std::size_t first_digit = raw.find_first_of("0123456789+");
  if (first_digit == std::string::npos || raw.compare(first_digit, 2, "00") != 0) return std::nullopt;
  return ParseValid("+" + raw.substr(first_digit + 2), region);
}

}  // namespace

std::optional<std::string> ToE164(std::string_view raw, std::string_view region) {
  if (raw.size() > kMaxPhoneInput || !IsValidUtf8(raw)) return std::nullopt;
  // Digits and, for digits of other scripts, bytes beyond ASCII.
  const auto maybe_digits = std::count_if(
      raw.begin(), raw.end(), [](char c) { return IsDigit(c) || static_cast<unsigned char>(c) >= 0x80; });
  if (maybe_digits < kMinDigits) return std::nullopt;

  static thread_local std::array<Remembered, kRememberedNumbers> remembered;
  std::string key = WithoutSeparators(raw);
  const std::size_t hash = std::hash<std::string_view>()(key) ^ (std::hash<std::string_view>()(region) * 31);
  Remembered& slot = remembered[hash % kRememberedNumbers];
  if (slot.raw != key || slot.region != region) {
    std::string region_code(region);
    std::optional<std::string> number = Understand(key, region_code);
    slot = {std::move(key), std::move(region_code), std::move(number)};
  }
  return slot.number;
}

std::optional<std::string> CountryOf(std::string_view e164) {
  PhoneNumber number;
  if (Library().Parse(std::string(e164), "ZZ", &number) != PhoneNumberUtil::NO_PARSING_ERROR)
    return std::nullopt;
  std::string country;
  Library().GetRegionCodeForNumber(number, &country);
  if (country.size() != 2 || country == "ZZ") return std::nullopt;
  return country;
}

bool IsKnownRegion(std::string_view region) {
  static const std::set<std::string, std::less<>> regions = [] {
    std::set<std::string> supported;
    Library().GetSupportedRegions(&supported);
    return std::set<std::string, std::less<>>(supported.begin(), supported.end());
  }();
  return regions.contains(region);
}

void WarmUpPhones() {
  // Metadata, and the regular expressions of one numbering plan.
  ToE164("+7 495 123-45-67 ext. 1", "RU");
  IsKnownRegion("RU");
}

}  // namespace kvcrm::text
