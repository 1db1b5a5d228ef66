// Activities: what people do with a lead.
#include "crm/errors.hpp"
#include "crm/identity.hpp"
#include "crm/leads.hpp"
#include "crm/members.hpp"
#include "crm/rows.hpp"
#include "crm/scoring.hpp"
#include "pg/security.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using OptionalTime = std::optional<pg::Timestamp>;

const pg::Statement<pg::Uuid, pg::Uuid, std::string, std::string, OptionalText, OptionalTime, OptionalUuid,
                    OptionalTime>
    kInsert{"activities.insert",
            "INSERT INTO kvcrm.lead_activities AS a (organization_id, lead_id, type, title, description, "
            "due_date,"
            " assigned_to, completed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING a"};

const pg::Statement<pg::Uuid, pg::Uuid> kFind{"activities.find",
                                              "SELECT lead_id, created_by, assigned_to FROM "
                                              "kvcrm.lead_activities WHERE id = $1 AND organization_id = $2"
                                              " FOR UPDATE"};

// Where scores count activities, the lead is written next: its lock comes first, as in a merge.
const pg::Statement<pg::Uuid, pg::Uuid> kLockLeadOf{
    "activities.lock_lead_of",
    "SELECT FROM kvcrm.leads l WHERE l.organization_id = $2 AND l.id = (SELECT a.lead_id FROM"
    " kvcrm.lead_activities a WHERE a.id = $1 AND a.organization_id = $2) FOR NO KEY UPDATE"};

// As the foreign key will; $1 may have been merged away while this waited for the lock.
const pg::Statement<pg::Uuid, pg::Uuid> kMergedInto{
    "activities.merged_into",
    "SELECT merged_into_id, erased_at IS NOT NULL, assigned_to FROM kvcrm.leads WHERE id = $1 AND "
    "organization_id = $2 FOR KEY SHARE"};

const pg::Statement<pg::Uuid, pg::Uuid> kErased{
    "activities.erased",
    "SELECT 1 FROM kvcrm.leads WHERE id = $1 AND organization_id = $2 AND erased_at IS NOT NULL"};

const pg::Statement<pg::Uuid> kOrganizationsOf{
    "activities.organizations_of", "SELECT organization_id FROM kvcrm.lead_activities WHERE id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid> kComplete{
    "activities.complete",
    "UPDATE kvcrm.lead_activities AS a SET completed_at = coalesce(completed_at, now())"
    " WHERE id = $1 AND organization_id = $2 RETURNING a"};

const pg::Statement<pg::Uuid, pg::Uuid> kDelete{
    "activities.delete",
    "DELETE FROM kvcrm.lead_activities AS a WHERE id = $1 AND organization_id = $2 RETURNING a"};

enum Column {
  kId,
  kOrganization,
  kLead,
  kType,
  kTitle,
  kDescription,
  kAssignee,
  kCreatedBy,
  kMetadata,
  kCompletedAt,
  kUpdatedAt,
  kColumnCount
};
constexpr const char* kColumnNames[] = {"id",       "organization_id", "lead_id",     "type",
                                        "title",    "description",     "assigned_to", "created_by",
                                        "metadata", "completed_at",    "updated_at"};
pg::Columns columns(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kTitle, crm::kNameLength, true}, {kDescription, crm::kTextLength}};

// An activity that the caller may change, its lead visible and its row locked.
struct Found {
  crm::Lead lead;
  pg::Uuid organization;
};

// Throws PT404 when the activity doesn't exist or its lead isn't visible, 42501 when it is somebody else's.
Found FindActivity(const pg::Uuid& id, const OptionalUuid& given, Permission everybodys) {
  std::vector<crm::Caller> callers = crm::PossibleCallers(given);
  if (callers.empty() && !crm::CurrentUser()) {
    const pg::Rows rows = kOrganizationsOf(id);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  for (const crm::Caller& caller : callers) {
    if (!caller.is_member) continue;
    const pg::Uuid& organization = caller.organization;
    if (crm::ScoringOf(organization)->counts_activities) kLockLeadOf(id, organization);
    const pg::Rows rows = kFind(id, organization);
    if (rows.empty()) continue;
    const auto lead_id = rows.Get<pg::Uuid>(0, 0);
    try {
      Found found{crm::FindLead(lead_id, organization, crm::Lock::kNone), organization};
      const bool mine = caller.Is(rows.Get<OptionalUuid>(0, 1)) || caller.Is(rows.Get<OptionalUuid>(0, 2));
      if (!caller.Can(everybodys) && !(mine && caller.Can(Permission::kActivitiesCreate))) {
        crm::RaiseNotAllowed(everybodys);
      }
      return found;
    } catch (const Error& error) {
      if (error.sqlstate() != crm::kNotFound) throw;
    }
  }
  throw Error(crm::kNotFound, "activity not found");
}

// What was erased doesn't come back with a text that somebody had in hand.
[[noreturn]] void RaiseErased() {
  throw Error(ERRCODE_CHECK_VIOLATION, "the lead was erased").Hint("Nothing more is written about it.");
}

// Reads without a lock: an erasure that has not come to this activity yet waits for its row, and then erases
// what is written now.
void RequireNotErased(const pg::Row& row, const AttrNumber* at) {
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (!kErased.Latest(row.Get<pg::Uuid>(at[kLead]), row.Get<pg::Uuid>(at[kOrganization])).empty())
    RaiseErased();
}

bool SeesLead(const pg::Uuid& organization, const OptionalUuid& assignee) {
  return crm::CurrentUser() && crm::SeesLead(crm::CallerIn(organization), assignee);
}

// An activity of a lead that was merged away goes to the survivor: whoever logs it may have found the lead
// before the merge. Whether the survivor is visible is for row-level security to say, which comes after; so
// is an erased lead that the acting user doesn't see, else it would be told from one that is not there.
void GoToSurvivor(pg::Row& row, const AttrNumber* at, Relation table) {
  if (row.IsNull(at[kLead]) || row.IsNull(at[kOrganization])) return;
  const auto organization = row.Get<pg::Uuid>(at[kOrganization]);
  const bool checked = pg::RowSecurityBinds(table);
  OptionalUuid survivor;
  {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    for (OptionalUuid lead = row.Get<pg::Uuid>(at[kLead]); lead; pg::CheckForInterrupts()) {
      const pg::Rows rows = kMergedInto.Latest(*lead, organization);
      if (!rows.empty() && rows.Get<bool>(0, 1)) {
        if (!checked || SeesLead(organization, rows.Get<OptionalUuid>(0, 2))) RaiseErased();
        return;
      }
      lead = rows.empty() ? OptionalUuid{} : rows.Get<OptionalUuid>(0, 0);
      if (lead) survivor = lead;
    }
  }
  // The session frees what is made inside it.
  if (survivor) row.Set(at[kLead], survivor);
}

}  // namespace

// Trigger before insert or update of lead_activities.
KVCRM_FUNCTION(lead_activities_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const Column column : {kId, kOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    // A merge re-parents activities; nobody else does.
    if (!Authorized::Active()) {
      crm::RequireUnchanged(row, *old, at[kLead]);
      for (const Column column : {kTitle, kDescription, kMetadata}) {
        if (!crm::Changed(row, *old, at[column])) continue;
        RequireNotErased(row, at);
        break;
      }
    }
    row.Set(at[kUpdatedAt], crm::Now());
  } else if (const OptionalUuid user = crm::CurrentUser(); user) {
    row.Set(at[kCreatedBy], user);
  }
  if (!old) GoToSurvivor(row, at, call.table());
  crm::NormalizeTexts(row, old ? &*old : nullptr, kTexts, at, "activity");
  if (!old || crm::Changed(row, *old, at[kMetadata])) crm::NormalizeObject(row, at[kMetadata], "activity");
  const bool assigned = old ? crm::Changed(row, *old, at[kAssignee]) : !row.IsNull(at[kAssignee]);
  const bool reopened = old && !old->IsNull(at[kCompletedAt]) && row.IsNull(at[kCompletedAt]);
  if (!(assigned || reopened) || row.IsNull(at[kAssignee]) || row.IsNull(at[kOrganization])) {
    return call.Proceed(row);
  }
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (!old && !Authorized::Active()) crm::RequireMembership(row.Get<pg::Uuid>(at[kOrganization]));
  if (!crm::LockActiveMember(row.Get<pg::Uuid>(at[kOrganization]), row.Get<pg::Uuid>(at[kAssignee]))) {
    // A suspension takes a member's open tasks away; one that opens again later is nobody's.
    if (!assigned) {
      row.Set(at[kAssignee], OptionalUuid{});
      return call.Proceed(row);
    }
    throw Error(ERRCODE_CHECK_VIOLATION, "an assignee must be an active member of the organization")
        .Column("assigned_to");
  }
  return call.Proceed(row);
}

// log_activity(lead_id, type, title, description, due_date, assigned_to, completed_at, organization_id)
// -> lead_activities. A task without an assignee is its creator's.
// Errors: 22023 for missing arguments or an unknown type; PT404; 42501 without activities:create; 23514 when
// the lead is gone or the assignee no active member; 22001.
KVCRM_FUNCTION(log_activity) {
  const pg::Uuid lead_id = args.Require<pg::Uuid>(0, "lead_id");
  const std::string type = args.Require<std::string>(1, "type");
  const std::string title = args.Require<std::string>(2, "title");
  if (type != "call" && type != "meeting" && type != "email" && type != "task" && type != "note") {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "type must be call, meeting, email, task or note");
  }
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(lead_id, args.Get<OptionalUuid>(7), crm::Lock::kReference);
  lead.caller.Require(Permission::kActivitiesCreate);
  crm::RequireNotGone(lead);
  auto assignee = args.Get<OptionalUuid>(5);
  if (!assignee && type == "task") assignee = lead.caller.user;
  return crm::ReturnFirst(args,
                          kInsert(lead.caller.organization, lead.id, type, title, args.Get<OptionalText>(3),
                                  args.Get<OptionalTime>(4), assignee, args.Get<OptionalTime>(6)),
                          "activity");
}

// complete_activity(activity_id, organization_id) -> lead_activities. Completing twice changes nothing.
// Errors: 22023; PT404; 42501 for somebody else's activity without activities:update.
KVCRM_FUNCTION(complete_activity) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "activity_id");
  pg::Session session(pg::Access::kWrite);
  const Found found = FindActivity(id, args.Get<OptionalUuid>(1), Permission::kActivitiesUpdate);
  return crm::ReturnFirst(args, kComplete(id, found.organization), "activity");
}

// delete_activity(activity_id, organization_id) -> lead_activities: the row as it was; the log keeps its
// content. Errors: 22023; PT404; 42501 for somebody else's activity without activities:delete.
KVCRM_FUNCTION(delete_activity) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "activity_id");
  pg::Session session(pg::Access::kWrite);
  const Found found = FindActivity(id, args.Get<OptionalUuid>(1), Permission::kActivitiesDelete);
  return crm::ReturnFirst(args, kDelete(id, found.organization), "activity");
}
