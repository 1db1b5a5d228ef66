// The timeline of a lead.
#include "crm/timeline.hpp"

#include "crm/leads.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;

namespace {

using OptionalTime = std::optional<pg::Timestamp>;
using OptionalUuid = std::optional<pg::Uuid>;

constexpr std::int32_t kMaxPageSize = 1000;

const pg::Statement<pg::Uuid, pg::Uuid, OptionalTime, std::int32_t> kPage{"timeline.page", KVCRM_TIMELINE};

}  // namespace

// lead_timeline(lead_id, before, page_size, organization_id) -> (at, kind, title, body, actor_id, ref_id,
// details): newest first; the next page's `before` is the last entry's `at`. Errors: 22023 without lead_id or
// for a page size beyond 1..1000; PT404.
KVCRM_FUNCTION(lead_timeline) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const auto before = args.Get<OptionalTime>(1);
  const std::int32_t size = args.Get<std::optional<std::int32_t>>(2).value_or(50);
  if (size < 1 || size > kMaxPageSize) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "page_size must be between 1 and 1000");
  }
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(3), crm::Lock::kNone);
  result.AddAll(kPage(lead.id, lead.caller.organization, before, size));
  return result.Done();
}
