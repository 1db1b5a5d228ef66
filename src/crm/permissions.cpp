#include "crm/permissions.hpp"

#include <array>
#include <string>

#include "crm/identity.hpp"
#include "pg/result_set.hpp"
#include "pg/security.hpp"

namespace kvcrm::crm {

namespace {

struct Entry {
  const char* token;
  const char* description;
};
constexpr Entry kRegistry[] = {
#define KVCRM_PERMISSION_ENTRY(name, token, description) {token, description},
    KVCRM_PERMISSIONS(KVCRM_PERMISSION_ENTRY)
#undef KVCRM_PERMISSION_ENTRY
};

const pg::Statement<pg::Uuid, pg::Uuid> kMembership{
    "permissions.membership",
    "SELECT m.team_id, r.permissions FROM kvcrm.organization_members m"
    " JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND r.slug = m.role_slug"
    " WHERE m.organization_id = $1 AND m.user_id = $2 AND m.status = 'active'"};

const pg::Statement<pg::Uuid> kOrganizationExists{"permissions.organization_exists",
                                                  "SELECT 1 FROM kvcrm.organizations WHERE id = $1"};

const pg::Statement<pg::Uuid> kMemberships{
    "permissions.memberships",
    "SELECT m.organization_id, m.team_id, r.permissions FROM kvcrm.organization_members m"
    " JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND r.slug = m.role_slug"
    " WHERE m.user_id = $1 AND m.status = 'active' ORDER BY m.organization_id"};

const pg::Statement<pg::Uuid> kMyPermissions{
    "permissions.mine",
    "SELECT m.organization_id, o.name, m.role_slug, r.permissions FROM kvcrm.organization_members m"
    " JOIN kvcrm.organizations o ON o.id = m.organization_id"
    " JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND r.slug = m.role_slug"
    " WHERE m.user_id = $1 AND m.status = 'active' ORDER BY o.name, o.id"};

// What a "area:*" token stands for, as the text before the colon.
bool SameArea(std::string_view token, std::string_view area) {
  return token.size() > area.size() && token.substr(0, area.size()) == area && token[area.size()] == ':';
}

PermissionSet ParsePermissions(const pg::Rows& rows, std::uint64_t row, int column) {
  return PermissionSet::OfTokens(rows.Get<std::vector<std::string>>(row, column));
}

}  // namespace

const char* TokenOf(Permission permission) { return kRegistry[static_cast<unsigned>(permission)].token; }
const char* DescriptionOf(Permission permission) {
  return kRegistry[static_cast<unsigned>(permission)].description;
}

PermissionSet PermissionSet::All() {
  // The bit above the permissions is the one for those to come.
  return PermissionSet((std::uint64_t{2} << static_cast<unsigned>(Permission::kCount)) - 1);
}

bool PermissionSet::Covers(PermissionSet other) const {
  struct Scope {
    Permission wide, narrow;
  };
  constexpr Scope kScopes[] = {{Permission::kLeadsReadAll, Permission::kLeadsReadTeam},
                               {Permission::kLeadsReadAll, Permission::kLeadsReadOwn},
                               {Permission::kLeadsUpdate, Permission::kLeadsUpdateTeam},
                               {Permission::kLeadsUpdate, Permission::kLeadsUpdateOwn},
                               {Permission::kLeadsConvert, Permission::kLeadsConvertOwn}};
  PermissionSet closed = *this;
  for (const Scope& scope : kScopes) {
    if (Has(scope.wide)) closed.bits_ |= std::uint64_t{1} << static_cast<unsigned>(scope.narrow);
  }
  return closed.HasAll(other);
}

std::optional<PermissionSet> PermissionSet::OfToken(std::string_view token) {
  if (token == "*:*") return All();
  const bool whole_area = token.size() > 2 && token.substr(token.size() - 2) == ":*";
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < std::size(kRegistry); ++i) {
    const bool matches = whole_area ? SameArea(kRegistry[i].token, token.substr(0, token.size() - 2))
                                    : kRegistry[i].token == token;
    if (matches) bits |= std::uint64_t{1} << i;
  }
  if (bits == 0) return std::nullopt;
  return PermissionSet(bits);
}

PermissionSet PermissionSet::OfTokens(const std::vector<std::string>& tokens) {
  PermissionSet set;
  for (const std::string& token : tokens) {
    if (const std::optional<PermissionSet> part = OfToken(token); part) set = set | *part;
  }
  return set;
}

void Caller::Require(Permission permission) const {
  if (!Can(permission)) RaiseNotAllowed(permission);
}

void RaiseNotAllowed(Permission permission) {
  throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE,
              std::string("permission ") + TokenOf(permission) + " is required");
}

Caller CallerIn(const pg::Uuid& organization) {
  Caller caller;
  caller.organization = organization;
  caller.user = CurrentUser();
  if (!caller.user) {
    if (!pg::CallerIsTrusted()) {
      throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "nobody is signed in")
          .Hint("Set request.jwt.claims or kvcrm.user_id to name the acting user.");
    }
    caller.permissions = PermissionSet::All();
    caller.is_member = true;
    return caller;
  }
  const pg::Rows rows = kMembership(organization, *caller.user);
  if (rows.empty()) return caller;
  caller.team = rows.Get<std::optional<pg::Uuid>>(0, 0);
  caller.permissions = ParsePermissions(rows, 0, 1);
  caller.is_member = true;
  return caller;
}

void RequireMembership(const Caller& caller) {
  if (caller.is_member) return;
  throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "not an active member of this organization");
}

void RequireMembership(const pg::Uuid& organization) { RequireMembership(CallerIn(organization)); }

Caller CallerInGivenOrCurrent(const std::optional<pg::Uuid>& given) {
  const std::vector<Caller> callers = PossibleCallers(given);
  if (callers.size() != 1) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "organization_id is required")
        .Hint("Pass organization_id, set the claim organization_id or the setting kvcrm.organization_id.");
  }
  const Caller& caller = callers.front();
  // An unknown organization and one that the user isn't in give the same answer.
  if (!caller.is_member || (caller.IsSystem() && kOrganizationExists(caller.organization).empty())) {
    throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "not an active member of this organization");
  }
  return caller;
}

std::vector<Caller> Memberships() {
  const std::optional<pg::Uuid> user = CurrentUser();
  std::vector<Caller> callers;
  if (!user) return callers;
  const pg::Rows rows = kMemberships(*user);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    Caller caller;
    caller.organization = rows.Get<pg::Uuid>(i, 0);
    caller.user = user;
    caller.team = rows.Get<std::optional<pg::Uuid>>(i, 1);
    caller.permissions = ParsePermissions(rows, i, 2);
    caller.is_member = true;
    callers.push_back(caller);
  }
  return callers;
}

std::vector<Caller> PossibleCallers(const std::optional<pg::Uuid>& given) {
  const std::optional<pg::Uuid> organization = given ? given : NamedOrganization();
  if (organization) return {CallerIn(*organization)};
  // The user's only membership is the current organization, several are looked through.
  if (CurrentUser()) return Memberships();
  // Nobody at all is told so.
  CallerIn(pg::Uuid{});
  return {};
}

}  // namespace kvcrm::crm

using namespace kvcrm;

// has_permission(permission text, organization_id uuid) -> boolean. Null organization: the current one.
// Errors: 22023 for an unknown token or no organization.
KVCRM_FUNCTION(has_permission) {
  const std::string token = args.Require<std::string>(0, "permission");
  const std::optional<crm::PermissionSet> asked = crm::PermissionSet::OfToken(token);
  if (!asked) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown permission");
  pg::Session session(pg::Access::kRead);
  std::optional<pg::Uuid> organization = args.Get<std::optional<pg::Uuid>>(1);
  if (!organization) organization = crm::CurrentOrganization();
  if (!crm::CurrentUser()) return args.Return(pg::CallerIsTrusted());
  if (!organization) return args.Return(false);
  return args.Return(crm::CallerIn(*organization).permissions.HasAll(*asked));
}

// my_permissions(organization_id uuid) -> setof (organization_id, organization_name, role_slug, permissions).
// The acting user's active memberships, of one organization or of all.
KVCRM_FUNCTION(my_permissions) {
  const std::optional<pg::Uuid> only = args.Get<std::optional<pg::Uuid>>(0);
  pg::ResultSet result(args);
  const std::optional<pg::Uuid> user = crm::CurrentUser();
  if (!user) return result.Done();
  pg::Session session(pg::Access::kRead);
  const pg::Rows rows = crm::kMyPermissions(*user);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (only && rows.Get<pg::Uuid>(i, 0) != *only) continue;
    result.AddTuple(rows.tuple(i));
  }
  return result.Done();
}

// permission_registry() -> setof (permission, description): every token there is.
KVCRM_FUNCTION(permission_registry) {
  pg::ResultSet result(args);
  for (unsigned i = 0; i < static_cast<unsigned>(crm::Permission::kCount); ++i) {
    const auto permission = static_cast<crm::Permission>(i);
    result.Add(std::string_view(crm::TokenOf(permission)), std::string_view(crm::DescriptionOf(permission)));
  }
  return result.Done();
}
