#include "match/record.hpp"

#include <algorithm>
#include <cstddef>

#include "text/company.hpp"
#include "text/email.hpp"
#include "text/person_name.hpp"
#include "text/utf8.hpp"

namespace kvcrm::match {

namespace {

// Columns of leads hold 255 characters; longer input is cut, so that a stored form stays short whatever a
// candidate form brings. Bytes.
constexpr std::size_t kMaxInput = 1020;
constexpr std::size_t kMaxEmail = 320;
// E.164 has at most 15 digits; numbers as typed, of an unknown plan, may have some more.
constexpr std::size_t kMaxDigits = 20;
// Fewer digits are an extension or a mistake.
constexpr std::size_t kMinDigits = 5;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// At most `limit` bytes of `text`, not ending within a character.
std::string_view Cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t size = limit;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

// No value may break the lines of the stored form, and PostgreSQL's text holds no NUL and no malformed UTF-8.
void AppendLine(std::string_view value, std::string& out) {
  for (std::size_t position = 0; position < value.size();) {
    const std::size_t start = position;
    const char32_t c = text::DecodeCodePoint(value, position);
    if (c == text::kMalformed) {
      out.push_back('?');
    } else if (c < 0x20) {
      out.push_back(' ');
    } else {
      out.append(value.substr(start, position - start));
    }
  }
}

// The digits of a number, with its "+" when it has one; an extension, which follows a letter, "#", "," or
// ";", is left out, and so is what has too few digits to be a number.
std::string PhoneDigits(std::string_view phone) {
  std::string digits;
  for (const char c : phone) {
    if (IsDigit(c)) {
      digits.push_back(c);
      if (digits.size() > kMaxDigits) break;
    } else if (c == '+' && digits.empty()) {
      digits.push_back(c);
    } else if (digits.size() >= kMinDigits && std::string_view(" ().-/").find(c) == std::string_view::npos) {
      break;
    }
  }
  if (static_cast<std::size_t>(std::count_if(digits.begin(), digits.end(), IsDigit)) < kMinDigits) return {};
  return digits;
}

std::string InnDigits(std::string_view inn) {
  std::string digits;
  for (const char c : inn) {
    if (IsDigit(c) && digits.size() < kMaxDigits) digits.push_back(c);
  }
  return digits;
}

// What has no "@" is no address.
std::string Email(std::string_view email) {
  std::string address = text::NormalizeEmail(Cut(email, kMaxEmail));
  return address.find('@') == std::string::npos ? std::string() : address;
}

}  // namespace

std::string Normalize(const Fields& fields) {
  std::string normalized;
  normalized.reserve(160);
  AppendLine(text::NormalizePersonName(Cut(fields.name, kMaxInput)), normalized);
  normalized.push_back('\n');
  AppendLine(text::NormalizeCompany(Cut(fields.company, kMaxInput)), normalized);
  normalized.push_back('\n');
  AppendLine(Email(fields.email), normalized);
  normalized.push_back('\n');
  normalized.append(PhoneDigits(Cut(fields.phone, kMaxInput)));
  normalized.push_back('\n');
  normalized.append(InnDigits(Cut(fields.inn, kMaxInput)));
  return normalized;
}

Record::Record(std::string_view normalized) {
  for (std::string_view* const field : {&name, &company, &email, &phone, &inn}) {
    const std::size_t end = std::min(normalized.find('\n'), normalized.size());
    *field = normalized.substr(0, end);
    normalized.remove_prefix(std::min(end + 1, normalized.size()));
  }
}

std::string_view Subscriber(std::string_view phone) {
  if (!phone.empty() && phone.front() == '+') phone.remove_prefix(1);
  return phone.size() > 10 ? phone.substr(phone.size() - 10) : phone;
}

}  // namespace kvcrm::match
