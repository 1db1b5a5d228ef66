// The parts of an e-mail address that say who is behind it.
#pragma once

#include <string_view>

namespace kvcrm::match {

// Views into the address.
struct EmailAddress {
  explicit EmailAddress(std::string_view normalized);

  std::string_view local, domain;
};

// Whether a mail provider gives addresses of the domain to anybody: such a domain says nothing about a firm.
bool IsFreeMail(std::string_view domain);

// Whether a local part names a function of a firm, not a person: info, sales, buh.
bool IsRole(std::string_view local);

}  // namespace kvcrm::match
