// Which customer owns an INN, e-mail or phone.
//
// The first customer that has a value owns it (customer_identities); the others that have it stand in line
// (customer_identity_heirs). When the owner gives it up, the oldest of these owns it. Whoever stands in line
// or gives up holds the row of customer_identities until the end of the transaction, so that nobody is
// missed. Rows are taken in the order of kind and value, after the customer's own.
#pragma once

#include <optional>
#include <string>

#include "pg/types.hpp"

namespace kvcrm::crm {

// A value in the form in which it is owned.
struct Identity {
  std::string kind;  // email, inn or phone
  std::string value;
  auto operator<=>(const Identity&) const = default;
};

// The form in which a customer's value is owned; nothing when it identifies nobody. Phones are in E.164 if
// they can be understood.
std::optional<std::string> OwnedForm(std::string_view kind, std::optional<std::string> value);

// The customer owns the value, or stands in line for it.
void ClaimIdentity(const pg::Uuid& organization, const pg::Uuid& customer, const Identity& identity);
// It has the value no more.
void GiveUpIdentity(const pg::Uuid& organization, const pg::Uuid& customer, const Identity& identity);
// It has nothing any more.
void GiveUpAllIdentities(const pg::Uuid& organization, const pg::Uuid& customer);

}  // namespace kvcrm::crm
