// Text of any encoding as clean UTF-8, whatever its label says.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::mail {

// `bytes` as UTF-8. `label` is what the message calls their encoding, empty when it says nothing. A label
// that is unknown, or that the bytes contradict, is passed over: bytes that are valid UTF-8 are taken for it,
// others for the Cyrillic encoding in which they read best, or for Western European. What can't be decoded
// becomes U+FFFD.
std::string ToUtf8(std::string_view bytes, std::string_view label);

// The label that fits unlabelled bytes: "utf-8", a Cyrillic encoding, "windows-1252"...
const char* GuessCharset(std::string_view bytes);

// Valid UTF-8 with line ends as \n, without other control characters (NUL above all, which no text of
// PostgreSQL holds) than tabs; malformed bytes become U+FFFD.
std::string Clean(std::string_view text);

}  // namespace kvcrm::mail
