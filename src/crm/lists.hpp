// Whose leads a caller reads, as the statements of lists and pages take it.
#pragma once

#include <optional>
#include <vector>

#include "crm/permissions.hpp"
#include "pg/entry.hpp"

namespace kvcrm::crm {

// All leads of the organization, or those assigned to these members.
struct ReadScope {
  bool all = false;
  std::vector<pg::Uuid> members;

  bool Has(const pg::Uuid& member) const;
};

// Throws 42501 when the caller has no permission leads:read_* at all.
ReadScope ReadScopeOf(const Caller& caller);

// Adds a whole row (a composite) to the result of a function that returns a set of its type.
void PutRow(const ReturnSetInfo* result, Datum row);

}  // namespace kvcrm::crm
