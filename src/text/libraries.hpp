// The libraries that texts, addresses and phones are normalised with. They are replaced under the data, by an
// upgrade of the operating system or a restore elsewhere.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvcrm::text {

// The numbering plans that libphonenumber has been built with, serialised; empty when that build doesn't
// tell.
std::string_view NumberingPlans();

// A number for what is loaded: the version of ICU and those numbering plans. Processes for which it is the
// same normalise alike. The same on every machine, for it is stored.
std::uint32_t LibrariesHash();

}  // namespace kvcrm::text
