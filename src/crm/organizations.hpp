// Organizations as the rules of other tables need them.
#pragma once

#include <string>

#include "pg/statement.hpp"

namespace kvcrm::crm {

struct OrganizationRules {
  std::string default_country;
  std::string currency;
  bool blocks_duplicates = false;
  bool checks_inn = true;
};

// Read with a snapshot taken now: whoever switches the duplicate policy locks writers of leads out first, so
// a writer that waited for that lock must see the switch. Nothing when there is no such organization.
std::optional<OrganizationRules> ReadOrganizationRules(const pg::Uuid& organization);

// Makes those who change members, roles or stages of the organization, or its own row, take turns. Taken
// after the row of the member, role or stage, and before leads are locked, the table or any of them. Whoever
// adds a row that refers to the organization doesn't wait.
void LockOrganization(const pg::Uuid& organization);

}  // namespace kvcrm::crm
