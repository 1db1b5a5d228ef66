#include "text/libraries.hpp"

#include <cstddef>

#include <unicode/uversion.h>

namespace i18n::phonenumbers {

// libphonenumber doesn't tell its version, nor would that tell of what it knows. These two are in every build
// of it, but in no header that it installs. Weak, so that a build without them would do: its plans are then
// taken never to change.
__attribute__((weak, visibility("default"))) int metadata_size();
__attribute__((weak, visibility("default"))) const void* metadata_get();

}  // namespace i18n::phonenumbers

namespace kvcrm::text {

std::string_view NumberingPlans() {
  using namespace i18n::phonenumbers;
  if (metadata_size == nullptr || metadata_get == nullptr) return {};
  return {static_cast<const char*>(metadata_get()), static_cast<std::size_t>(metadata_size())};
}

std::uint32_t LibrariesHash() {
  static const std::uint32_t hash = [] {
    // FNV-1a.
    std::uint64_t h = 0xcbf29ce484222325ULL;
    const auto add = [&h](unsigned char byte) {
      h ^= byte;
      h *= 0x100000001b3ULL;
    };
    UVersionInfo icu;
    u_getVersion(icu);
    for (const std::uint8_t part : icu) add(part);
    for (const char c : NumberingPlans()) add(static_cast<unsigned char>(c));
    return static_cast<std::uint32_t>(h ^ (h >> 32));
  }();
  return hash;
}

}  // namespace kvcrm::text
