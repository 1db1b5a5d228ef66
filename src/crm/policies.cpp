// The functions that row-level security policies call, and nothing else should.
//
// They are bare (no SET, no SECURITY DEFINER), because either would cost several times a scan under the
// policy. Each keeps its answer for one execution in fn_extra; on a miss it switches to the owner and a fixed
// search_path by itself.
#include <algorithm>
#include <utility>

#include "crm/identity.hpp"
#include "crm/permissions.hpp"
#include "pg/memo.hpp"
#include "pg/security.hpp"

using namespace kvcrm;

namespace {

using Pair = std::pair<pg::Uuid, pg::Uuid>;  // organization, user

const pg::Statement<pg::Uuid, pg::Uuid> kTeamMembers{
    "policies.team_members",
    "SELECT user_id FROM kvcrm.organization_members WHERE organization_id = $1 AND team_id = $2 AND status = "
    "'active'"};

const pg::Statement<pg::Uuid, pg::Uuid> kLeadAssignee{
    "policies.lead_assignee", "SELECT assigned_to FROM kvcrm.leads WHERE id = $1 AND organization_id = $2"};

// The token that stands for being an active member, whatever the role allows.
constexpr std::string_view kMember = "member";

crm::PermissionSet ParseToken(const std::string& token) {
  if (token == kMember) return {};
  const auto asked = crm::PermissionSet::OfToken(token);
  if (!asked) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown permission");
  return *asked;
}

// The organizations where the acting user has all of `asked`.
std::vector<pg::Uuid> OrganizationsWith(crm::PermissionSet asked) {
  std::vector<pg::Uuid> organizations;
  for (const crm::Caller& caller : crm::Memberships()) {
    if (caller.permissions.HasAll(asked)) organizations.push_back(caller.organization);
  }
  return organizations;
}

// The members of the acting user's teams, where the user has `asked`; sorted.
std::vector<Pair> TeammatesWith(crm::PermissionSet asked) {
  std::vector<Pair> pairs;
  for (const crm::Caller& caller : crm::Memberships()) {
    if (!caller.team || !caller.permissions.HasAll(asked)) continue;
    const pg::Rows rows = kTeamMembers(caller.organization, *caller.team);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      pairs.emplace_back(caller.organization, rows.Get<pg::Uuid>(i, 0));
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

bool Contains(const std::vector<pg::Uuid>& sorted, const pg::Uuid& id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}
bool Contains(const std::vector<Pair>& sorted, const Pair& pair) {
  return std::binary_search(sorted.begin(), sorted.end(), pair);
}

crm::PermissionSet SetOf(const char* token) { return *crm::PermissionSet::OfToken(token); }

// Runs `look_up` with the owner's rights and a snapshot of the calling query.
template <typename LookUp>
auto Privileged(LookUp look_up) {
  const pg::AsOwner owner(pg::SearchPath::kPin);
  const pg::Session session(pg::Access::kRead);
  return look_up();
}

// Which leads the acting user sees or may change, in the three scopes.
struct LeadScope {
  std::optional<pg::Uuid> user;
  std::vector<pg::Uuid> all, own;
  std::vector<Pair> team;
  std::optional<Pair> last;  // the lead asked for last, and the answer
  bool last_answer = false;

  bool Covers(const pg::Uuid& organization, const std::optional<pg::Uuid>& assignee) const {
    if (Contains(all, organization)) return true;
    if (!assignee) return false;
    if (user && *assignee == *user && Contains(own, organization)) return true;
    return Contains(team, {organization, *assignee});
  }
};

struct IdArray {
  Datum array;
};

struct Teammates {
  std::vector<Pair> pairs;
};

struct User {
  std::optional<pg::Uuid> id;
};

// The array as a value that lives as long as the call site.
Datum KeepArray(const pg::Args& args, const std::vector<pg::Uuid>& ids) {
  const MemoryContext current = MemoryContextSwitchTo(args.call()->flinfo->fn_mcxt);
  const Datum array = pg::ToValue(ids).datum;
  MemoryContextSwitchTo(current);
  return array;
}

// Whether the lead is in the scope of the memo's permissions; looks its assignee up, one lead at a time.
bool LeadInScope(LeadScope& scope, const pg::Uuid& organization, const pg::Uuid& lead) {
  if (Contains(scope.all, organization)) return true;
  if (scope.own.empty() && scope.team.empty()) return false;
  const Pair key{organization, lead};
  if (scope.last == key) return scope.last_answer;
  scope.last_answer = Privileged([&] {
    const pg::Rows rows = kLeadAssignee(lead, organization);
    return !rows.empty() && scope.Covers(organization, rows.Get<std::optional<pg::Uuid>>(0, 0));
  });
  scope.last = key;
  return scope.last_answer;
}

LeadScope ReadScope() {
  return Privileged([] {
    LeadScope scope;
    scope.user = crm::CurrentUser();
    scope.all = OrganizationsWith(SetOf("leads:read_all"));
    scope.own = OrganizationsWith(SetOf("leads:read_own"));
    scope.team = TeammatesWith(SetOf("leads:read_team"));
    return scope;
  });
}

// A policy function runs for every row: what it kept is looked at before anything else, outside the guard.
// `hit` is an expression over `kept`, the object of type `Memo` kept by this call site.
#define KVCRM_POLICY_FUNCTION(name, Memo, hit)                             \
  static Datum name##_miss(kvcrm::pg::Args& args);                         \
  extern "C" {                                                             \
  PG_FUNCTION_INFO_V1(name);                                               \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS) {                               \
    const auto* kept = static_cast<const Memo*>(fcinfo->flinfo->fn_extra); \
    if (kept != nullptr) return hit;                                       \
    return kvcrm::pg::Enter(fcinfo, name##_miss);                          \
  }                                                                        \
  }                                                                        \
  static Datum name##_miss(kvcrm::pg::Args& args)

}  // namespace

// policy_user() -> uuid: the acting user.
KVCRM_POLICY_FUNCTION(policy_user, User,
                      kept->id ? PointerGetDatum(kept->id->bytes.data())
                               : (fcinfo->isnull = true, Datum{0})) {
  const User* user = pg::Keep(args, User{crm::CurrentUser()});
  if (!user->id) return args.ReturnNull();
  return PointerGetDatum(user->id->bytes.data());
}

// policy_organizations(permission text) -> uuid[]: the organizations where the acting user has the
// permission; 'member' asks for active membership alone. The permission must be the same in every call of a
// site.
KVCRM_POLICY_FUNCTION(policy_organizations, IdArray, kept->array) {
  const crm::PermissionSet asked = ParseToken(args.Require<std::string>(0, "permission"));
  const std::vector<pg::Uuid> organizations = Privileged([&] { return OrganizationsWith(asked); });
  return pg::Keep(args, IdArray{KeepArray(args, organizations)})->array;
}

// policy_teammates(permission text) -> uuid[]: the users for whom policy_team may say yes, for an index to
// look up.
KVCRM_POLICY_FUNCTION(policy_teammates, IdArray, kept->array) {
  const crm::PermissionSet asked = ParseToken(args.Require<std::string>(0, "permission"));
  std::vector<pg::Uuid> users;
  for (const Pair& pair : Privileged([&] { return TeammatesWith(asked); })) users.push_back(pair.second);
  return pg::Keep(args, IdArray{KeepArray(args, users)})->array;
}

// policy_team(organization_id uuid, user_id uuid, permission text) -> boolean: whether the user is an active
// member of the acting user's team in that organization, where the acting user has the permission.
KVCRM_FUNCTION(policy_team) {
  if (args.IsNull(0) || args.IsNull(1)) return args.Return(false);
  Teammates* kept = pg::Kept<Teammates>(args);
  if (kept == nullptr) {
    const crm::PermissionSet asked = ParseToken(args.Require<std::string>(2, "permission"));
    kept = pg::Keep(args, Teammates{Privileged([&] { return TeammatesWith(asked); })});
  }
  if (kept->pairs.empty()) return args.Return(false);
  return args.Return(Contains(kept->pairs, {args.Get<pg::Uuid>(0), args.Get<pg::Uuid>(1)}));
}

// policy_lead(organization_id uuid, lead_id uuid) -> boolean: whether the acting user sees the lead.
KVCRM_FUNCTION(policy_lead) {
  if (args.IsNull(0) || args.IsNull(1)) return args.Return(false);
  LeadScope* scope = pg::Kept<LeadScope>(args);
  if (scope == nullptr) scope = pg::Keep(args, ReadScope());
  return args.Return(LeadInScope(*scope, args.Get<pg::Uuid>(0), args.Get<pg::Uuid>(1)));
}
