// The registry of permissions, and what one user may do in one organization.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pg/statement.hpp"

namespace kvcrm::crm {

// area, action, what it allows. The SQL function permission_registry() serves the same list to docs and
// tests.
#define KVCRM_PERMISSIONS(X)                                                                           \
  X(kLeadsCreate, "leads:create", "create leads")                                                      \
  X(kLeadsReadOwn, "leads:read_own", "read the leads assigned to oneself")                             \
  X(kLeadsReadTeam, "leads:read_team", "read the leads assigned to active members of one's team")      \
  X(kLeadsReadAll, "leads:read_all", "read all leads")                                                 \
  X(kLeadsUpdateOwn, "leads:update_own", "change and move the leads assigned to oneself")              \
  X(kLeadsUpdateTeam, "leads:update_team", "change and move the leads of one's team")                  \
  X(kLeadsUpdate, "leads:update", "change and move all leads")                                         \
  X(kLeadsDelete, "leads:delete", "delete and restore leads")                                          \
  X(kLeadsErase, "leads:erase", "erase the personal data of leads for good")                           \
  X(kLeadsConvertOwn, "leads:convert_own", "convert the leads assigned to oneself")                    \
  X(kLeadsConvert, "leads:convert", "convert all leads")                                               \
  X(kLeadsAssign, "leads:assign", "assign leads to somebody else")                                     \
  X(kLeadsMerge, "leads:merge", "merge leads and undo it")                                             \
  X(kLeadsImport, "leads:import", "import leads")                                                      \
  X(kLeadsExport, "leads:export", "export leads")                                                      \
  X(kDuplicatesReview, "duplicates:review", "scan for duplicates and dismiss pairs")                   \
  X(kDuplicatesTrain, "duplicates:train", "train the matcher from decisions and reset it")             \
  X(kActivitiesCreate, "activities:create", "log activities; change those one created or is assigned") \
  X(kActivitiesUpdate, "activities:update", "change everybody's activities")                           \
  X(kActivitiesDelete, "activities:delete", "delete everybody's activities")                           \
  X(kStagesRead, "lead_stages:read", "read the pipeline's stages")                                     \
  X(kStagesCreate, "lead_stages:create", "add stages and rules for moves")                             \
  X(kStagesUpdate, "lead_stages:update", "change stages and rules for moves")                          \
  X(kStagesDelete, "lead_stages:delete", "delete stages and rules for moves")                          \
  X(kFieldsManage, "fields:manage", "define custom fields")                                            \
  X(kScoringManage, "scoring:manage", "define scoring rules")                                          \
  X(kCustomersRead, "customers:read", "read customers and their contacts")                             \
  X(kCustomersCreate, "customers:create", "create customers and contacts")                             \
  X(kCustomersUpdate, "customers:update", "change customers and contacts")                             \
  X(kCustomersDelete, "customers:delete", "delete customers and contacts")                             \
  X(kQuotesRead, "quotes:read", "read all quotes")                                                     \
  X(kQuotesCreate, "quotes:create", "create quotes")                                                   \
  X(kQuotesUpdate, "quotes:update", "change quotes")                                                   \
  X(kQuotesDelete, "quotes:delete", "delete quotes")                                                   \
  X(kMembersCreate, "members:create", "invite members")                                                \
  X(kMembersUpdate, "members:update", "change, suspend and reactivate members")                        \
  X(kRolesCreate, "roles:create", "create roles")                                                      \
  X(kRolesUpdate, "roles:update", "change roles")                                                      \
  X(kRolesDelete, "roles:delete", "delete roles")                                                      \
  X(kTeamsCreate, "teams:create", "create teams")                                                      \
  X(kTeamsUpdate, "teams:update", "rename teams and put members into them")                            \
  X(kTeamsDelete, "teams:delete", "delete teams")                                                      \
  X(kSettingsUpdate, "settings:update", "change the organization, its settings and lead sources")      \
  X(kLogsRead, "logs:read", "read the audit log")                                                      \
  X(kLogsAcknowledge, "logs:acknowledge", "acknowledge events of the feed, which moves a consumer on")

enum class Permission : std::uint8_t {
#define KVCRM_PERMISSION_NAME(name, token, description) name,
  KVCRM_PERMISSIONS(KVCRM_PERMISSION_NAME)
#undef KVCRM_PERMISSION_NAME
      kCount
};

const char* TokenOf(Permission permission);
const char* DescriptionOf(Permission permission);

class PermissionSet {
 public:
  constexpr PermissionSet() = default;
  // What "*:*" stands for: every permission, and those that later versions add. No list of areas equals it.
  static PermissionSet All();
  // What one token allows: "area:action", "area:*" or "*:*". Nothing when the token is unknown.
  static std::optional<PermissionSet> OfToken(std::string_view token);
  // Unknown tokens allow nothing.
  static PermissionSet OfTokens(const std::vector<std::string>& tokens);

  bool Has(Permission permission) const { return (bits_ >> static_cast<unsigned>(permission) & 1) != 0; }
  bool HasAll(PermissionSet other) const { return (other.bits_ & ~bits_) == 0; }
  // Whether whoever holds this may do all that `other` allows; unlike HasAll it knows that a wider scope
  // includes the narrower ones.
  bool Covers(PermissionSet other) const;
  bool HasAny(PermissionSet other) const { return (other.bits_ & bits_) != 0; }
  PermissionSet operator|(PermissionSet other) const { return PermissionSet(bits_ | other.bits_); }
  bool operator==(const PermissionSet&) const = default;

 private:
  explicit constexpr PermissionSet(std::uint64_t bits) : bits_(bits) {}
  std::uint64_t bits_ = 0;
  static_assert(static_cast<unsigned>(Permission::kCount) < 64);
};

// The acting side of one call in one organization.
struct Caller {
  pg::Uuid organization;
  std::optional<pg::Uuid> user;  // null: the system
  std::optional<pg::Uuid> team;
  PermissionSet permissions;  // of the system: all
  bool is_member = false;     // an active member, or the system

  bool IsSystem() const { return !user; }
  bool Can(Permission permission) const { return permissions.Has(permission); }
  bool Is(const std::optional<pg::Uuid>& other) const { return user && other && *user == *other; }
  // Throws 42501 naming the permission.
  void Require(Permission permission) const;
};

// Reads what the acting user may do in an organization. A user who is no active member may do nothing there;
// a role that may not act as the system and names no user may do nothing anywhere.
Caller CallerIn(const pg::Uuid& organization);

// Throws 42501 unless the caller is an active member of the organization, or the system. For triggers that
// look into the organization a new row names: row-level security, which refuses strangers, comes after them,
// and their errors would tell a stranger what is there.
void RequireMembership(const pg::Uuid& organization);
void RequireMembership(const Caller& caller);

[[noreturn]] void RaiseNotAllowed(Permission permission);

// The organization a function works in: the given one, else the current one.
// Throws 22023 when there is neither, 42501 when the caller is no active member of it.
Caller CallerInGivenOrCurrent(const std::optional<pg::Uuid>& given);

// The acting user in every organization where they are an active member, read with one statement; none for
// nobody.
std::vector<Caller> Memberships();

// Who may be asking for a row of which only the id is known: the caller in the given organization, else in
// the current one, else in every one of the user's. For the system without a current organization: none, the
// row's own organization is for the asker to find out.
std::vector<Caller> PossibleCallers(const std::optional<pg::Uuid>& given);

}  // namespace kvcrm::crm
