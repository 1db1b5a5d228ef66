// Members, roles and teams: who may make whom what.
//
// The rules live in triggers, whichever way a row is written: nobody creates, edits, assigns, changes or
// suspends a role or member whose permissions, before or after, exceed their own; nobody changes their own
// role, team or status; only the invited user accepts an invitation; an organization never loses its last
// active owner.
#include "crm/members.hpp"

#include "crm/errors.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "pg/security.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

const pg::Statement<pg::Uuid, std::string> kRolePermissions{
    "members.role_permissions",
    "SELECT permissions FROM kvcrm.roles WHERE organization_id = $1 AND slug = $2"};

const pg::Statement<pg::Uuid> kActiveOwners{
    "members.active_owners",
    "SELECT 1 FROM kvcrm.organization_members"
    " WHERE organization_id = $1 AND role_slug = 'owner' AND status = 'active' LIMIT 1"};

const pg::Statement<pg::Uuid, pg::Uuid, std::string, OptionalText, OptionalText, OptionalUuid, std::string>
    kAddMember{"members.add",
               "INSERT INTO kvcrm.organization_members AS m (organization_id, user_id, role_slug, "
               "display_name, email, team_id,"
               " status) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING m"};

// FOR UPDATE: an assignment to the member holds KEY SHARE until it commits, see leads.
const pg::Statement<pg::Uuid, pg::Uuid> kLockMember{
    "members.lock",
    "SELECT status, role_slug FROM kvcrm.organization_members WHERE organization_id = $1 AND user_id = $2 "
    "FOR UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid, std::string> kSetStatus{
    "members.set_status",
    "UPDATE kvcrm.organization_members AS m SET status = $3 WHERE organization_id = $1 AND user_id = $2 "
    "RETURNING m"};

const pg::Statement<pg::Uuid, pg::Uuid, std::string> kSetRole{
    "members.set_role",
    "UPDATE kvcrm.organization_members AS m SET role_slug = $3 WHERE organization_id = $1 AND user_id = $2 "
    "RETURNING m"};

const pg::Statement<pg::Uuid, pg::Uuid> kDeleteInvitation{
    "members.delete_invitation",
    "DELETE FROM kvcrm.organization_members AS m WHERE organization_id = $1 AND user_id = $2 AND status = "
    "'invited'"
    " RETURNING m"};

const pg::Statement<pg::Uuid> kInvitations{
    "members.invitations",
    "SELECT organization_id FROM kvcrm.organization_members WHERE user_id = $1 AND status = 'invited'"
    " ORDER BY organization_id"};

const pg::Statement<pg::Uuid, pg::Uuid> kTeamExists{
    "members.team_exists", "SELECT 1 FROM kvcrm.teams WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockActive{
    "members.lock_active",
    "SELECT 1 FROM kvcrm.organization_members WHERE organization_id = $1 AND user_id = $2 AND status = "
    "'active'"
    " FOR KEY SHARE"};

// Locked in the order of ids, as the bulk functions do, so that the two don't deadlock.
const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kReassignLeads{
    "members.reassign_leads",
    "WITH open AS MATERIALIZED (SELECT id FROM kvcrm.leads WHERE organization_id = $1 AND assigned_to = $2"
    "   AND converted_at IS NULL AND merged_into_id IS NULL AND deleted_at IS NULL AND status <> 'lost'"
    "   ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE kvcrm.leads l SET assigned_to = $3 FROM open WHERE l.id = open.id AND l.organization_id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kReassignTasks{
    "members.reassign_tasks",
    "UPDATE kvcrm.lead_activities SET assigned_to = $3 WHERE organization_id = $1 AND assigned_to = $2"
    " AND completed_at IS NULL"};

enum MemberColumn {
  kMId,
  kMOrganization,
  kMUser,
  kMRole,
  kMTeam,
  kMStatus,
  kMName,
  kMEmail,
  kMUpdatedAt,
  kMWeight,
  kMCapacity,
  kMCount
};
constexpr const char* kMemberColumns[] = {"id",
                                          "organization_id",
                                          "user_id",
                                          "role_slug",
                                          "team_id",
                                          "status",
                                          "display_name",
                                          "email",
                                          "updated_at",
                                          "assignment_weight",
                                          "assignment_capacity"};
pg::Columns columns_of_members(kMemberColumns, kMCount);
constexpr crm::TextRule kMemberTexts[] = {{kMName, crm::kNameLength}, {kMEmail, crm::kNameLength}};

enum RoleColumn { kRId, kROrganization, kRSlug, kRName, kRPermissions, kRUpdatedAt, kRCount };
constexpr const char* kRoleColumns[] = {"id", "organization_id", "slug", "name", "permissions", "updated_at"};
pg::Columns columns_of_roles(kRoleColumns, kRCount);
constexpr crm::TextRule kRoleTexts[] = {{kRName, crm::kNameLength, true}};

enum TeamColumn { kTId, kTOrganization, kTName, kTUpdatedAt, kTCount };
constexpr const char* kTeamColumns[] = {"id", "organization_id", "name", "updated_at"};
pg::Columns columns_of_teams(kTeamColumns, kTCount);
constexpr crm::TextRule kTeamTexts[] = {{kTName, crm::kNameLength, true}};

[[noreturn]] void Refuse(const char* message) { throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, message); }

// What a role allows; nothing for an unknown one, which the foreign key refuses.
crm::PermissionSet PermissionsOfRole(const pg::Uuid& organization, const std::string& slug) {
  const pg::Rows rows = kRolePermissions(organization, slug);
  if (rows.empty()) return {};
  return crm::PermissionSet::OfTokens(rows.Get<std::vector<std::string>>(0, 0));
}

void RequireWithinOwn(const crm::Caller& caller, crm::PermissionSet permissions) {
  if (!caller.permissions.Covers(permissions)) Refuse("the role allows more than one's own");
}

// Rules for a member row written by a user (not by the system).
void AuthorizeMember(const crm::Caller& caller, const pg::Row& row, const pg::Row* old,
                     const AttrNumber* at) {
  const auto role = row.Get<std::string>(at[kMRole]);
  const auto status = row.Get<std::string>(at[kMStatus]);
  if (old == nullptr) {
    caller.Require(Permission::kMembersCreate);
    RequireWithinOwn(caller, PermissionsOfRole(caller.organization, role));
    if (status != "invited") Refuse("a user can only invite members");
    return;
  }
  const bool role_changes = crm::Changed(row, *old, at[kMRole]);
  const bool team_changes = crm::Changed(row, *old, at[kMTeam]);
  const bool status_changes = crm::Changed(row, *old, at[kMStatus]);
  const auto old_status = old->Get<std::string>(at[kMStatus]);
  if (caller.Is(old->Get<OptionalUuid>(at[kMUser]))) {
    const bool accepts = old_status == "invited" && status == "active";
    if (role_changes || team_changes || (status_changes && !accepts)) {
      Refuse("nobody changes their own role, team or status");
    }
    if (old_status == "suspended") Refuse("a suspended member changes nothing");
    // Whoever shares the leads out may say how many are theirs.
    if ((crm::Changed(row, *old, at[kMWeight]) || crm::Changed(row, *old, at[kMCapacity])) &&
        !caller.Can(Permission::kMembersUpdate)) {
      caller.Require(Permission::kTeamsUpdate);
    }
    return;
  }
  const bool only_team = !role_changes && !status_changes && !crm::Changed(row, *old, at[kMName]) &&
                         !crm::Changed(row, *old, at[kMEmail]);
  if (!(only_team && caller.Can(Permission::kTeamsUpdate))) caller.Require(Permission::kMembersUpdate);
  RequireWithinOwn(caller, PermissionsOfRole(caller.organization, old->Get<std::string>(at[kMRole])));
  if (role_changes) RequireWithinOwn(caller, PermissionsOfRole(caller.organization, role));
  if (status_changes && (old_status == "invited" || status == "invited")) {
    Refuse("only the invited user answers an invitation");
  }
}

// A member row removed by a user; clients have no right to, but a backend may act for one.
void AuthorizeRemoval(const crm::Caller& caller, const pg::Row& old, const AttrNumber* at) {
  if (caller.Is(old.Get<OptionalUuid>(at[kMUser]))) Refuse("nobody changes their own role, team or status");
  caller.Require(Permission::kMembersUpdate);
  RequireWithinOwn(caller, PermissionsOfRole(caller.organization, old.Get<std::string>(at[kMRole])));
}

bool IsActive(const pg::Row& row, const AttrNumber* at) {
  return row.Get<std::string>(at[kMStatus]) == "active";
}

bool IsActiveOwner(const pg::Row& row, const AttrNumber* at) {
  return IsActive(row, at) && row.Get<std::string>(at[kMRole]) == "owner";
}

// The caller for a trigger: the system when nobody acts and the role is trusted; a user when it is their
// turn, by what the one before left: else two could demote each other.
crm::Caller CallerForTrigger(const pg::Uuid& organization) {
  crm::Caller caller = crm::CallerIn(organization);
  if (caller.IsSystem()) return caller;
  crm::LockOrganization(organization);
  return crm::CallerIn(organization);
}

// The organization of an invitation to answer: the given or current one, else the only one that invites.
pg::Uuid InvitingOrganization(const OptionalUuid& given, const pg::Uuid& user) {
  if (given) return *given;
  if (const OptionalUuid named = crm::NamedOrganization(); named) return *named;
  const pg::Rows rows = kInvitations(user);
  if (rows.size() > 1) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "several invitations are open")
        .Hint("Pass organization_id to say which one.");
  }
  if (rows.empty()) throw Error(crm::kNotFound, "invitation not found");
  return rows.Get<pg::Uuid>(0, 0);
}

pg::Uuid RequireUser() {
  const OptionalUuid user = crm::CurrentUser();
  if (!user) Refuse("nobody is signed in");
  return *user;
}

// Locks the member's row and the organization; throws PT404 when there is none. Returns its status.
std::string LockMember(const pg::Uuid& organization, const pg::Uuid& user) {
  const pg::Rows rows = kLockMember(organization, user);
  if (rows.empty()) throw Error(crm::kNotFound, "member not found");
  crm::LockOrganization(organization);
  return rows.Get<std::string>(0, 0);
}

// Gives the open leads and tasks of a member whose row is locked to the successor, or to nobody. Work given
// to the member since this transaction took its snapshot must go too.
void HandOver(const pg::Uuid& organization, const pg::Uuid& user, const OptionalUuid& successor) {
  const Authorized authorized;
  kReassignLeads.Latest(organization, user, successor);
  kReassignTasks.Latest(organization, user, successor);
}

}  // namespace

namespace kvcrm::crm {

bool LockActiveMember(const pg::Uuid& organization, const pg::Uuid& user) {
  return !kLockActive(organization, user).empty();
}

}  // namespace kvcrm::crm

// Trigger before insert, update or delete of organization_members.
KVCRM_FUNCTION(organization_members_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_members.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnDelete()) {
    if (Authorized::Active()) return call.Proceed();
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    const crm::Caller caller = CallerForTrigger(row.Get<pg::Uuid>(at[kMOrganization]));
    if (!caller.IsSystem()) AuthorizeRemoval(caller, row, at);
    return call.Proceed();
  }
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const MemberColumn column : {kMId, kMOrganization, kMUser})
      crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kMUpdatedAt], crm::Now());
  }
  crm::NormalizeTexts(row, old ? &*old : nullptr, kMemberTexts, at, "member");
  if (!old || crm::Changed(row, *old, at[kMEmail])) crm::CheckEmail(row, at[kMEmail], "member");
  // Nulls are for the table's own constraints to name.
  for (const MemberColumn column : {kMOrganization, kMUser, kMRole, kMStatus}) {
    if (row.IsNull(at[column])) return call.Proceed(row);
  }
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const pg::Uuid organization = row.Get<pg::Uuid>(at[kMOrganization]);
  if (!Authorized::Active()) {
    const crm::Caller caller = CallerForTrigger(organization);
    if (!caller.IsSystem()) AuthorizeMember(caller, row, old ? &*old : nullptr, at);
  }
  // Suspending waits for assignments under way, which hold KEY SHARE on this row.
  if (old && crm::Changed(row, *old, at[kMStatus])) LockMember(organization, row.Get<pg::Uuid>(at[kMUser]));
  return call.Proceed(row);
}

// Trigger after update or delete of organization_members: who is no longer active has no open work, and the
// last active owner stays.
KVCRM_FUNCTION(organization_members_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const AttrNumber* at = columns_of_members.In(call.table());
  const pg::Row old = call.Old();
  const bool leaves = IsActive(old, at) && !(call.OnUpdate() && IsActive(call.New(), at));
  const bool was_owner = IsActiveOwner(old, at) && !(call.OnUpdate() && IsActiveOwner(call.New(), at));
  if (!leaves && !was_owner) return call.Done();
  const auto organization = old.Get<pg::Uuid>(at[kMOrganization]);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (was_owner) {
    crm::LockOrganization(organization);
    if (kActiveOwners.Latest(organization).empty()) {
      throw Error(ERRCODE_CHECK_VIOLATION, "an organization keeps at least one active owner")
          .Hint("Make another member owner first.");
    }
  }
  if (leaves) HandOver(organization, old.Get<pg::Uuid>(at[kMUser]), std::nullopt);
  return call.Done();
}

// Trigger before insert, update or delete of roles.
KVCRM_FUNCTION(roles_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_roles.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (!call.OnInsert()) old.emplace(call.Old());
  if (old) {
    if (call.OnUpdate() && !crm::AnyChanged(row, *old)) return call.Proceed();
    if (old->Get<std::string>(at[kRSlug]) == "owner") {
      throw Error(ERRCODE_CHECK_VIOLATION, "the role owner is immutable");
    }
  }
  if (!call.OnDelete()) {
    if (call.OnUpdate()) {
      for (const RoleColumn column : {kRId, kROrganization, kRSlug})
        crm::RequireUnchanged(row, *old, at[column]);
      row.Set(at[kRUpdatedAt], crm::Now());
    }
    crm::NormalizeTexts(row, call.OnUpdate() ? &*old : nullptr, kRoleTexts, at, "role");
    for (const RoleColumn column : {kROrganization, kRPermissions}) {
      if (row.IsNull(at[column])) return call.Proceed(row);
    }
    for (const std::string& token : row.Get<std::vector<std::string>>(at[kRPermissions])) {
      if (crm::PermissionSet::OfToken(token)) continue;
      throw Error(ERRCODE_CHECK_VIOLATION, "unknown permission in role")
          .Detail("Token: " + token)
          .Hint("kvcrm.permission_registry() lists the tokens.")
          .Column("permissions");
    }
  }
  if (Authorized::Active()) return call.Proceed(row);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = CallerForTrigger(row.Get<pg::Uuid>(at[kROrganization]));
  if (!caller.IsSystem()) {
    caller.Require(call.OnInsert()   ? Permission::kRolesCreate
                   : call.OnUpdate() ? Permission::kRolesUpdate
                                     : Permission::kRolesDelete);
    RequireWithinOwn(caller,
                     crm::PermissionSet::OfTokens(row.Get<std::vector<std::string>>(at[kRPermissions])));
    if (old) {
      RequireWithinOwn(caller,
                       crm::PermissionSet::OfTokens(old->Get<std::vector<std::string>>(at[kRPermissions])));
    }
  }
  return call.Proceed(row);
}

// Trigger before insert or update of teams.
KVCRM_FUNCTION(teams_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_teams.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const TeamColumn column : {kTId, kTOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kTUpdatedAt], crm::Now());
  }
  crm::NormalizeTexts(row, old ? &*old : nullptr, kTeamTexts, at, "team");
  return call.Proceed(row);
}

// add_member(user_id, role_slug, display_name, email, team_id, organization_id) -> organization_members.
// Called by a user it invites; the system may add active members.
// Errors: 22023 for missing arguments or an unknown role or team; 42501; 23505 when already a member.
KVCRM_FUNCTION(add_member) {
  const pg::Uuid user = args.Require<pg::Uuid>(0, "user_id");
  const std::string role = args.Require<std::string>(1, "role_slug");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(5));
  caller.Require(Permission::kMembersCreate);
  if (kRolePermissions(caller.organization, role).empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown role");
  }
  const auto team = args.Get<OptionalUuid>(4);
  if (team && kTeamExists(*team, caller.organization).empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown team");
  }
  const std::string status = caller.IsSystem() ? "active" : "invited";
  const pg::Rows rows = kAddMember(caller.organization, user, role, args.Get<OptionalText>(2),
                                   args.Get<OptionalText>(3), team, status);
  return args.ReturnRow(rows.At(0, 0).datum);
}

// accept_invitation(organization_id) -> organization_members. Errors: PT404 without an open invitation.
KVCRM_FUNCTION(accept_invitation) {
  pg::Session session(pg::Access::kWrite);
  const pg::Uuid user = RequireUser();
  const pg::Uuid organization = InvitingOrganization(args.Get<OptionalUuid>(0), user);
  const pg::Rows locked = kLockMember(organization, user);
  if (locked.empty() || locked.Get<std::string>(0, 0) != "invited") {
    throw Error(crm::kNotFound, "invitation not found");
  }
  const Authorized authorized;
  return crm::ReturnFirst(args, kSetStatus(organization, user, "active"), "invitation");
}

// decline_invitation(organization_id) -> organization_members: the row as it was; it is deleted, so that
// nobody can turn a declined invitation into a membership. Errors: PT404 without an open invitation.
KVCRM_FUNCTION(decline_invitation) {
  pg::Session session(pg::Access::kWrite);
  const pg::Uuid user = RequireUser();
  const pg::Uuid organization = InvitingOrganization(args.Get<OptionalUuid>(0), user);
  const Authorized authorized;
  return crm::ReturnFirst(args, kDeleteInvitation(organization, user), "invitation");
}

// set_member_role(user_id, role_slug, organization_id) -> organization_members.
// Errors: PT404; 22023 for an unknown role; 42501 for oneself or beyond one's own permissions.
KVCRM_FUNCTION(set_member_role) {
  const pg::Uuid user = args.Require<pg::Uuid>(0, "user_id");
  const std::string role = args.Require<std::string>(1, "role_slug");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  caller.Require(Permission::kMembersUpdate);
  LockMember(caller.organization, user);
  if (kRolePermissions(caller.organization, role).empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown role");
  }
  return crm::ReturnFirst(args, kSetRole(caller.organization, user, role), "member");
}

// suspend_member(user_id, reassign_to, organization_id) -> organization_members. Hands the member's open
// leads and tasks to `reassign_to` (null: to nobody) in the same transaction; withdraws an invitation not
// accepted yet. Errors: PT404; 22023 when reassign_to is no other active member; 42501, also without
// leads:assign when there is a reassign_to; 23514 for the last owner.
KVCRM_FUNCTION(suspend_member) {
  const pg::Uuid user = args.Require<pg::Uuid>(0, "user_id");
  const OptionalUuid successor = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  caller.Require(Permission::kMembersUpdate);
  // Else whoever may suspend could take over leads that they don't see.
  if (successor) caller.Require(Permission::kLeadsAssign);
  if (successor && (*successor == user || !crm::LockActiveMember(caller.organization, *successor))) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "reassign_to must be another active member");
  }
  if (LockMember(caller.organization, user) == "invited") {
    const pg::Rows role = kLockMember(caller.organization, user);
    RequireWithinOwn(caller, PermissionsOfRole(caller.organization, role.Get<std::string>(0, 1)));
    return crm::ReturnFirst(args, kDeleteInvitation(caller.organization, user), "member");
  }
  // Before the suspension, whose trigger leaves to nobody what the member still has.
  if (successor) HandOver(caller.organization, user, successor);
  return crm::ReturnFirst(args, kSetStatus(caller.organization, user, "suspended"), "member");
}

// reactivate_member(user_id, organization_id) -> organization_members. Errors: PT404; 42501; 23514 when
// invited.
KVCRM_FUNCTION(reactivate_member) {
  const pg::Uuid user = args.Require<pg::Uuid>(0, "user_id");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(1));
  caller.Require(Permission::kMembersUpdate);
  if (LockMember(caller.organization, user) == "invited") {
    throw Error(ERRCODE_CHECK_VIOLATION, "the invitation has not been accepted yet")
        .Hint("Only the invited user can accept it, with accept_invitation().");
  }
  return crm::ReturnFirst(args, kSetStatus(caller.organization, user, "active"), "member");
}
