// The timelines of leads and customers.
#include "crm/timeline.hpp"

#include "crm/errors.hpp"
#include "crm/identity.hpp"
#include "crm/leads.hpp"
#include "crm/lists.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;

namespace {

using OptionalTime = std::optional<pg::Timestamp>;
using OptionalUuid = std::optional<pg::Uuid>;

using OptionalMembers = std::optional<std::vector<pg::Uuid>>;

const pg::Statement<pg::Uuid, pg::Uuid, OptionalTime, std::int32_t> kPage{"timeline.page", KVCRM_TIMELINE};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalTime, std::int32_t, OptionalMembers, bool> kCustomerPage{
    "timeline.customer_page", KVCRM_CUSTOMER_TIMELINE};

const pg::Statement<pg::Uuid> kOrganizationsOf{"timeline.organizations_of_customer",
                                               "SELECT organization_id FROM kvcrm.customers WHERE id = $1"};
const pg::Statement<pg::Uuid, pg::Uuid> kIsCustomer{
    "timeline.is_customer", "SELECT 1 FROM kvcrm.customers WHERE id = $1 AND organization_id = $2"};

// The caller in the organization of a customer that they may read. Throws PT404 when there is none.
crm::Caller ReaderOfCustomer(const pg::Uuid& id, const OptionalUuid& organization) {
  std::vector<crm::Caller> callers = crm::PossibleCallers(organization);
  if (callers.empty() && !crm::CurrentUser()) {
    const pg::Rows rows = kOrganizationsOf(id);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  std::optional<crm::Caller> found;
  for (const crm::Caller& caller : callers) {
    if (!caller.Can(crm::Permission::kCustomersRead) || kIsCustomer(id, caller.organization).empty())
      continue;
    if (found) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the customer id exists in several organizations")
          .Hint("Pass organization_id.");
    }
    found = caller;
  }
  if (!found) throw Error(crm::kNotFound, "customer not found");
  return *found;
}

// Null for all; nobody's for who reads no leads.
OptionalMembers VisibleMembers(const crm::Caller& caller) {
  const auto readers = crm::PermissionSet::OfTokens({"leads:read_own", "leads:read_team", "leads:read_all"});
  if (!caller.permissions.HasAny(readers)) return std::vector<pg::Uuid>{};
  crm::ReadScope scope = crm::ReadScopeOf(caller);
  if (scope.all) return std::nullopt;
  return std::move(scope.members);
}

}  // namespace

// lead_timeline(lead_id, before, page_size, organization_id) -> (at, kind, title, body, actor_id, ref_id,
// details): newest first; the next page's `before` is the last entry's `at`. Errors: 22023 without lead_id or
// for a page size beyond 1..1000; PT404.
KVCRM_FUNCTION(lead_timeline) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const auto before = args.Get<OptionalTime>(1);
  const std::int32_t size = crm::PageSize(args.Get<std::optional<std::int32_t>>(2));
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(3), crm::Lock::kNone);
  result.AddAll(kPage(lead.id, lead.caller.organization, before, size));
  return result.Done();
}

// customer_timeline(customer_id, before, page_size, organization_id): as lead_timeline. Of leads that the
// caller doesn't see nothing is told. Errors: 22023; PT404 without customers:read too.
KVCRM_FUNCTION(customer_timeline) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "customer_id");
  const auto before = args.Get<OptionalTime>(1);
  const std::int32_t size = crm::PageSize(args.Get<std::optional<std::int32_t>>(2));
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = ReaderOfCustomer(id, args.Get<OptionalUuid>(3));
  result.AddAll(kCustomerPage(id, caller.organization, before, size, VisibleMembers(caller),
                              caller.Can(crm::Permission::kQuotesRead)));
  return result.Done();
}
