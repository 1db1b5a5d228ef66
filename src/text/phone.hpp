// Phone numbers, by libphonenumber.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvcrm::text {

// Longer input is not looked at. Bytes.
inline constexpr std::size_t kMaxPhoneInput = 250;

// `raw` in E.164 ("+74951234567"), or nullopt when it isn't a valid number. A number without country code is
// read as one of `region` (ISO 3166-1 alpha-2, upper case, such as "RU"); with an unknown region only
// international numbers are understood. "00" stands for "+" everywhere, also where the region dials something
// else abroad. Extensions ("ext. 12", "доб. 12") aren't part of E.164 and are left out. Never throws on bad
// input.
std::optional<std::string> ToE164(std::string_view raw, std::string_view region);

// The country (ISO 3166-1 alpha-2) of a number in E.164; nullopt for numbers of no country, such as +800.
std::optional<std::string> CountryOf(std::string_view e164);

// Whether libphonenumber has a numbering plan for `region` (upper case).
bool IsKnownRegion(std::string_view region);

// Loads the metadata, which otherwise delays the first call by several milliseconds.
void WarmUpPhones();

}  // namespace kvcrm::text
