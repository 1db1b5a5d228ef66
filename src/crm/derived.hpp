// What is derived by libraries that get replaced under the data, derived anew.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pg/types.hpp"

namespace kvcrm::crm {

// Reads the phones of an organization's rows as they would be read if they were written now.
class PhoneReader {
 public:
  PhoneReader(const pg::Uuid& organization, std::string_view country);

  // In E.164, or nothing when it isn't understood. Without a country code it may have been typed when the
  // organization was in another country: once that has changed, such phones stay as they are.
  std::optional<std::string> Read(std::string_view typed) const;

 private:
  std::string country_;
  bool country_changed_;
};

// Marks the statements by which refresh_derived() writes what comes out of the same phones and addresses now:
// nobody changed them, so neither version nor updated_at nor the log tells of it.
class DerivedAnew {
 public:
  DerivedAnew() { ++depth_; }
  ~DerivedAnew() { --depth_; }
  DerivedAnew(const DerivedAnew&) = delete;
  DerivedAnew& operator=(const DerivedAnew&) = delete;
  static bool Active() { return depth_ > 0; }

 private:
  static int depth_;
};

}  // namespace kvcrm::crm
