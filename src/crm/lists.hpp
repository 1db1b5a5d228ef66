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
  // Leaves what of it is assigned to one member; nothing for nobody.
  void Narrow(const std::optional<pg::Uuid>& member);
};

// Throws 42501 when the caller has no permission leads:read_* at all.
ReadScope ReadScopeOf(const Caller& caller);

// The size of a page, 50 when not given. Throws 22023 beyond 1..1000.
std::int32_t PageSize(std::optional<std::int32_t> given);

}  // namespace kvcrm::crm
