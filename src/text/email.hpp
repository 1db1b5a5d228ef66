// E-mail addresses: syntax and the form that tells whether two addresses reach the same mailbox.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::text {

// Pragmatic syntax of RFC 5321 and 5322 with the international addresses of RFC 6531: a dot-atom of at most
// 64 bytes, "@", and a domain of at most 255 bytes with at least one dot, whose labels have 1 to 63 letters,
// digits and inner hyphens (for international domains: after conversion to punycode, by UTS 46). No quoted
// local parts, no comments, no address literals, no surrounding white space; the last label isn't all digits.
bool IsValidEmail(std::string_view address);

// The form that is compared: trimmed, lower case, without plus-tag, for gmail.com and googlemail.com without
// dots and with gmail.com as domain; an international domain in punycode, so that both spellings meet. What
// has no "@" is only trimmed and lower-cased. Idempotent.
std::string NormalizeEmail(std::string_view address);

}  // namespace kvcrm::text
