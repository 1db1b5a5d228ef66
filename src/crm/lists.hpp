// Whose leads a caller reads, as the statements of lists and pages take it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "crm/permissions.hpp"
#include "pg/entry.hpp"
#include "pg/statement.hpp"

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

// The columns of leads l that EachLead gives.
#define KVCRM_EXPORTED_COLUMNS                                                                               \
  "l.id, l.name, l.email, l.phone, l.company, l.\"position\", l.inn, l.source, l.stage_id, l.status,"        \
  " l.assigned_to, l.estimated_value, l.currency::text, l.score, l.lost_reason, l.created_at, l.updated_at," \
  " l.stage_entered_at, l.qualified_at, l.converted_at, l.converted_to_customer_id, l.merged_into_id,"       \
  " l.deleted_at, l.created_by, l.custom_fields"

// Gives all leads that list_leads lists, newest first, a piece at a time. The first nine arguments of the
// call are the filters. Throws 22023 for a wrong one, 42501 as ReadScopeOf.
void EachLead(const pg::Args& args, const Caller& caller, const std::function<void(const pg::Rows&)>& take);

// The size of a page, 50 when not given. Throws 22023 beyond 1..1000.
std::int32_t PageSize(std::optional<std::int32_t> given);

}  // namespace kvcrm::crm
