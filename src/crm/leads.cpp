// Functions on single leads: create, assign, move, delete, restore.
#include "crm/leads.hpp"

#include "crm/board_rank.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/duplicate_warnings.hpp"
#include "crm/errors.hpp"
#include "crm/fingerprints.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/rows.hpp"
#include "match/keys.hpp"
#include "pg/security.hpp"
#include "pg/entry.hpp"
#include "text/email.hpp"
#include "text/phone.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

#define LEAD_FIELDS                                                                                \
  "stage_id, assigned_to, version, board_rank, converted_at IS NOT NULL, deleted_at IS NOT NULL, " \
  "converted_to_customer_id, merged_into_id, company, inn, email_normalized, phone_e164, name "    \
  "FROM kvcrm.leads WHERE id = $1 AND organization_id = $2"

const pg::Statement<pg::Uuid, pg::Uuid> kRead{"leads.read", "SELECT " LEAD_FIELDS};
const pg::Statement<pg::Uuid, pg::Uuid> kLock{"leads.lock", "SELECT " LEAD_FIELDS " FOR NO KEY UPDATE"};
const pg::Statement<pg::Uuid, pg::Uuid> kLockReference{"leads.lock_reference",
                                                       "SELECT " LEAD_FIELDS " FOR KEY SHARE"};
const pg::Statement<pg::Uuid, pg::Uuid> kLockRemoval{"leads.lock_removal",
                                                     "SELECT " LEAD_FIELDS " FOR UPDATE"};

// More leads than one was ever merged through, one after the other; a longer chain goes in circles.
constexpr int kLongestChain = 10000;

// Only for the system without a current organization: it sees all.
const pg::Statement<pg::Uuid> kOrganizationsOf{"leads.organizations_of",
                                               "SELECT organization_id FROM kvcrm.leads WHERE id = $1"};

const pg::Statement<std::vector<pg::Uuid>> kOrganizationsOfAll{
    "leads.organizations_of_all", "SELECT DISTINCT organization_id FROM kvcrm.leads WHERE id = ANY ($1)"};

// UNION: ends in a circle, too.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kStandFor{
    "leads.stand_for",
    "WITH RECURSIVE chain AS (SELECT l.id AS given, l.id, l.merged_into_id FROM kvcrm.leads l"
    "   WHERE l.organization_id = $1 AND l.id = ANY ($2)"
    " UNION SELECT c.given, l.id, l.merged_into_id FROM chain c"
    "   JOIN kvcrm.leads l ON l.id = c.merged_into_id AND l.organization_id = $1)"
    " SELECT given, id FROM chain WHERE merged_into_id IS NULL"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kIsTeammate{
    "leads.is_teammate",
    "SELECT 1 FROM kvcrm.organization_members"
    " WHERE organization_id = $1 AND user_id = $2 AND team_id = $3 AND status = 'active'"};

const pg::Statement<pg::Uuid, std::string, OptionalText, OptionalText, OptionalText, OptionalText,
                    OptionalText, OptionalText, OptionalUuid, OptionalUuid, std::optional<pg::Decimal>,
                    OptionalText, std::optional<pg::Json>>
    kInsert{"leads.insert",
            "INSERT INTO kvcrm.leads AS l (organization_id, name, email, phone, company, \"position\", inn, "
            "source,"
            " stage_id, assigned_to, estimated_value, currency, custom_fields)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, '{}')) RETURNING l"};

// The leads that share a blocking key are few, which the planner doesn't know: it must see nothing but the
// key, or else it walks the index of the organization.
#define HAVING_THE_SAME(column)                                                                 \
  "WITH sharing AS MATERIALIZED (SELECT f.id, f.organization_id FROM kvcrm.lead_fingerprints f" \
  "   WHERE f.match_keys @> ARRAY[$3])"                                                         \
  " SELECT l.id, l.assigned_to FROM sharing s"                                                  \
  " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.leads x WHERE x.id = s.id OFFSET 0) l"            \
  " WHERE s.organization_id = $1 AND l.organization_id = $1 AND l." column                      \
  " = $2 AND l.deleted_at IS NULL AND l.merged_into_id IS NULL AND l.converted_at IS NULL LIMIT 1"

using SameContact = pg::Statement<pg::Uuid, std::string, std::int64_t>;
const SameContact kSameEmail{"leads.same_email", HAVING_THE_SAME("email_normalized"), pg::Plan::kGin};
const SameContact kSamePhone{"leads.same_phone", HAVING_THE_SAME("phone_e164"), pg::Plan::kGin};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kAssign{
    "leads.assign",
    "UPDATE kvcrm.leads AS l SET assigned_to = $3 WHERE id = $1 AND organization_id = $2 RETURNING l"};

const pg::Statement<pg::Uuid, pg::Uuid> kDelete{
    "leads.delete",
    "UPDATE kvcrm.leads AS l SET deleted_at = coalesce(deleted_at, now())"
    " WHERE id = $1 AND organization_id = $2 RETURNING l"};

const pg::Statement<pg::Uuid, pg::Uuid> kRestore{
    "leads.restore",
    "UPDATE kvcrm.leads AS l SET deleted_at = NULL WHERE id = $1 AND organization_id = $2 RETURNING l"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, std::string, OptionalText> kMove{
    "leads.move",
    "UPDATE kvcrm.leads AS l SET stage_id = $3, board_rank = $4, lost_reason = coalesce($5, lost_reason)"
    " WHERE id = $1 AND organization_id = $2 RETURNING l"};

// The nearest smaller rank in a column; cards that share a rank with the given one are passed over, since
// there is nothing between equal ranks.
const pg::Statement<pg::Uuid, pg::Uuid, std::string> kRankBelow{
    "leads.rank_below",
    "SELECT board_rank FROM kvcrm.leads WHERE organization_id = $1 AND stage_id = $2 AND board_rank < $3"
    " AND deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL ORDER BY board_rank DESC "
    "LIMIT 1"};

const pg::Statement<pg::Uuid, pg::Uuid> kLastChange{
    "leads.last_change",
    "SELECT g.action, g.created_at, m.display_name, (SELECT string_agg(k, ', ' ORDER BY k)"
    " FROM jsonb_object_keys(g.changes) AS k)"
    " FROM kvcrm.activity_logs g LEFT JOIN kvcrm.organization_members m"
    " ON m.organization_id = g.organization_id AND m.user_id = g.actor_id"
    " WHERE g.entity_id = $1 AND g.organization_id = $2 ORDER BY g.created_at DESC, g.id DESC LIMIT 1"};

const pg::Statement<pg::Uuid, pg::Uuid>& Reader(crm::Lock lock) {
  switch (lock) {
    case crm::Lock::kReference:
      return kLockReference;
    case crm::Lock::kRow:
      return kLock;
    case crm::Lock::kRemoval:
      return kLockRemoval;
    default:
      return kRead;
  }
}

// A lead of the caller's organization, whether visible or not.
std::optional<crm::Lead> ReadAnyLead(const pg::Uuid& id, const crm::Caller& caller, crm::Lock lock) {
  if (lock == crm::Lock::kRow || lock == crm::Lock::kRemoval) pg::LockForWriting("leads");
  const pg::Rows rows = Reader(lock)(id, caller.organization);
  if (rows.empty()) return std::nullopt;
  crm::Lead lead;
  lead.caller = caller;
  lead.id = id;
  lead.stage = rows.Get<pg::Uuid>(0, 0);
  lead.assignee = rows.Get<OptionalUuid>(0, 1);
  lead.version = rows.Get<std::int32_t>(0, 2);
  lead.board_rank = rows.Get<std::string>(0, 3);
  lead.converted = rows.Get<bool>(0, 4);
  lead.deleted = rows.Get<bool>(0, 5);
  lead.customer = rows.Get<OptionalUuid>(0, 6);
  lead.merged_into = rows.Get<OptionalUuid>(0, 7);
  lead.company = rows.Get<OptionalText>(0, 8);
  lead.inn = rows.Get<OptionalText>(0, 9);
  lead.email = rows.Get<OptionalText>(0, 10);
  lead.phone = rows.Get<OptionalText>(0, 11);
  lead.name = rows.Get<std::string>(0, 12);
  return lead;
}

std::optional<crm::Lead> ReadLead(const pg::Uuid& id, const crm::Caller& caller, crm::Lock lock,
                                  crm::Merged merged) {
  if (!caller.is_member) return std::nullopt;
  std::optional<crm::Lead> lead = ReadAnyLead(id, caller, lock);
  if (merged == crm::Merged::kFollow) {
    for (int i = 0; lead && lead->merged_into; ++i) {
      if (i == kLongestChain) throw Error(ERRCODE_DATA_CORRUPTED, "leads are merged in a circle");
      lead = ReadAnyLead(*lead->merged_into, caller, lock);
    }
  }
  if (!lead || !crm::SeesLead(caller, lead->assignee)) return std::nullopt;
  return lead;
}

// The system in the organizations that have such a lead.
std::vector<crm::Caller> SystemWhereExists(const pg::Uuid& id) {
  std::vector<crm::Caller> callers;
  const pg::Rows rows = kOrganizationsOf(id);
  for (std::uint64_t i = 0; i < rows.size(); ++i) callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  return callers;
}

bool IsTeammate(const crm::Caller& caller, const OptionalUuid& user) {
  return caller.team && user && !kIsTeammate(caller.organization, *user, *caller.team).empty();
}

// `contact` has the one field that `value` is the normalised form of.
void RefuseDuplicate(const crm::Caller& caller, const SameContact& same, const std::string& value,
                     const match::Fields& contact, const char* field) {
  const std::string values = match::Normalize(contact);
  for (const std::int64_t key :
       match::KeysOfContacts(match::Record(values), crm::BytesOf(caller.organization))) {
    const pg::Rows rows = same(caller.organization, value, key);
    if (!rows.empty())
      crm::RaiseDuplicate(caller, field, rows.Get<pg::Uuid>(0, 0), rows.Get<OptionalUuid>(0, 1));
  }
}

// on_duplicate = 'block' for one call. It looks at what is committed: under another policy than block nothing
// keeps the next writer from adding a duplicate anyway, so nothing is held here against one that is just
// writing. The organization's policy 'block' is held by the table itself.
void RefuseDuplicates(const crm::Caller& caller, const OptionalText& email, const OptionalText& phone) {
  if (email) {
    RefuseDuplicate(caller, kSameEmail, text::NormalizeEmail(*email), {"", "", *email, "", ""}, "email");
  }
  if (!phone) return;
  const auto rules = crm::ReadOrganizationRules(caller.organization);
  const OptionalText e164 = text::ToE164(*phone, rules ? rules->default_country : "RU");
  if (e164) RefuseDuplicate(caller, kSamePhone, *e164, {"", "", "", *e164, ""}, "phone");
}

void RequireVersion(const crm::Lead& lead, const std::optional<std::int32_t>& expected) {
  if (!expected || *expected == lead.version) return;
  Error error(crm::kStale, "lead was changed by somebody else");
  std::string detail =
      "Version is " + std::to_string(lead.version) + ", not " + std::to_string(*expected) + ".";
  const pg::Rows rows = kLastChange(lead.id, lead.caller.organization);
  if (!rows.empty()) {
    detail += " Last change: " + rows.Get<std::string>(0, 0) + " by " +
              rows.Get<OptionalText>(0, 2).value_or("the system");
    if (const auto fields = rows.Get<OptionalText>(0, 3); fields) detail += " (" + *fields + ")";
    detail += ".";
  }
  throw std::move(error).Detail(detail).Hint("Read the lead again and repeat the move.");
}

}  // namespace

namespace kvcrm::crm {

bool SeesLead(const Caller& caller, const std::optional<pg::Uuid>& assignee) {
  if (caller.Can(Permission::kLeadsReadAll)) return true;
  if (caller.Can(Permission::kLeadsReadOwn) && caller.Is(assignee)) return true;
  return caller.Can(Permission::kLeadsReadTeam) && IsTeammate(caller, assignee);
}

bool MayUpdateLead(const Caller& caller, const std::optional<pg::Uuid>& assignee) {
  if (caller.Can(Permission::kLeadsUpdate)) return true;
  if (caller.Can(Permission::kLeadsUpdateOwn) && caller.Is(assignee)) return true;
  return caller.Can(Permission::kLeadsUpdateTeam) && IsTeammate(caller, assignee);
}

Lead FindLead(const pg::Uuid& id, const std::optional<pg::Uuid>& organization, Lock lock, Merged merged) {
  std::vector<Caller> callers = PossibleCallers(organization);
  if (callers.empty() && !CurrentUser()) callers = SystemWhereExists(id);
  std::optional<Lead> found;
  for (const Caller& caller : callers) {
    std::optional<Lead> lead = ReadLead(id, caller, lock, merged);
    if (!lead) continue;
    if (found) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the lead id exists in several organizations")
          .Hint("Pass organization_id.");
    }
    found = std::move(lead);
  }
  if (!found) throw Error(kNotFound, "lead not found");
  return *found;
}

std::map<pg::Uuid, pg::Uuid> StandsFor(const std::vector<pg::Uuid>& ids, const OptionalUuid& organization) {
  std::vector<pg::Uuid> organizations;
  for (const Caller& caller : PossibleCallers(organization)) {
    if (caller.is_member) organizations.push_back(caller.organization);
  }
  if (organizations.empty() && !CurrentUser()) {
    const pg::Rows rows = kOrganizationsOfAll(ids);
    for (std::uint64_t i = 0; i < rows.size(); ++i) organizations.push_back(rows.Get<pg::Uuid>(i, 0));
  }
  std::map<pg::Uuid, pg::Uuid> found;
  std::vector<pg::Uuid> ambiguous;
  for (const pg::Uuid& home : organizations) {
    const pg::Rows rows = kStandFor(home, ids);
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      if (!found.emplace(rows.Get<pg::Uuid>(i, 0), rows.Get<pg::Uuid>(i, 1)).second)
        ambiguous.push_back(rows.Get<pg::Uuid>(i, 0));
    }
  }
  for (const pg::Uuid& id : ambiguous) found.erase(id);
  return found;
}

void RequireUpdate(const Lead& lead) {
  if (!MayUpdateLead(lead.caller, lead.assignee)) RaiseNotAllowed(Permission::kLeadsUpdate);
}

void RequireNotMerged(const Lead& lead) {
  if (!lead.merged_into) return;
  Error error(ERRCODE_CHECK_VIOLATION, "the lead was merged into another one");
  const auto survivor = ReadLead(lead.id, lead.caller, Lock::kNone, Merged::kFollow);
  if (!survivor) throw error;
  throw std::move(error)
      .Detail("Merged into lead " + survivor->id.Text() + ".")
      .Hint("Use that lead, or undo the merge first, with undo_merge(merge_id).");
}

void RequireNotGone(const Lead& lead) {
  RequireNotMerged(lead);
  if (lead.deleted) {
    throw Error(ERRCODE_CHECK_VIOLATION, "the lead is deleted")
        .Hint("Restore it first, with restore_lead(lead_id).");
  }
}

pg::Rows AssignLead(const pg::Uuid& id, const OptionalUuid& assignee, const OptionalUuid& organization) {
  const Lead lead = FindLead(id, organization, Lock::kRow);
  if (!lead.caller.Can(Permission::kLeadsAssign)) {
    if (!lead.caller.Is(assignee)) RaiseNotAllowed(Permission::kLeadsAssign);
    RequireUpdate(lead);
  }
  RequireNotGone(lead);
  const Authorized authorized;
  return kAssign(lead.id, lead.caller.organization, assignee);
}

pg::Rows DeleteLead(const pg::Uuid& id, const OptionalUuid& organization) {
  const Lead lead = FindLead(id, organization, Lock::kRow, Merged::kStay);
  lead.caller.Require(Permission::kLeadsDelete);
  RequireNotMerged(lead);
  return kDelete(id, lead.caller.organization);
}

pg::Rows MoveLead(const pg::Uuid& id, const Move& move, const OptionalUuid& organization) {
  const Lead lead = FindLead(id, organization, Lock::kRow);
  RequireVersion(lead, move.expected_version);
  RequireUpdate(lead);
  RequireNotGone(lead);
  std::string rank = RankAtEnd();
  std::optional<Lead> neighbour;
  if (move.before) neighbour = FindLead(*move.before, lead.caller.organization, Lock::kNone);
  if (neighbour && neighbour->id == lead.id) {
    rank = lead.board_rank;
  } else if (neighbour) {
    if (neighbour->stage != move.stage) {
      throw Error(ERRCODE_CHECK_VIOLATION, "before_lead_id is not in that stage")
          .Hint("Read the column again: the card may have been moved.");
    }
    const pg::Rows below = kRankBelow(lead.caller.organization, move.stage, neighbour->board_rank);
    rank = RankBetween(below.empty() ? std::string() : below.Get<std::string>(0, 0), neighbour->board_rank);
  }
  return kMove(lead.id, lead.caller.organization, move.stage, rank, move.lost_reason);
}

}  // namespace kvcrm::crm

// create_lead(name, email, phone, company, job_title, inn, source, stage_id, assigned_to, estimated_value,
// currency, custom_fields, on_duplicate, organization_id) -> leads. estimated_value is in `currency` (ISO
// 4217). Errors: 22023 without a name; 42501 without leads:create, or leads:assign for somebody else; 23514
// for a violated rule; 22001 for a text that is too long; 23505 for a blocked duplicate; PT404 for an unknown
// stage.
KVCRM_FUNCTION(create_lead) {
  const std::string name = args.Require<std::string>(0, "name");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(13));
  caller.Require(Permission::kLeadsCreate);
  const auto email = args.Get<OptionalText>(1);
  const auto phone = args.Get<OptionalText>(2);
  const crm::DuplicateChoice choice(crm::ParseOnDuplicate(args.Get<OptionalText>(12)));
  if (choice.choice() == crm::OnDuplicate::kBlock) RefuseDuplicates(caller, email, phone);
  return crm::ReturnFirst(
      args,
      kInsert(caller.organization, name, email, phone, args.Get<OptionalText>(3), args.Get<OptionalText>(4),
              args.Get<OptionalText>(5), args.Get<OptionalText>(6), args.Get<OptionalUuid>(7),
              args.Get<OptionalUuid>(8), args.Get<std::optional<pg::Decimal>>(9), args.Get<OptionalText>(10),
              args.Get<std::optional<pg::Json>>(11)),
      "lead");
}

// assign_lead(lead_id, assignee_id, organization_id) -> leads. A null assignee leaves the lead to nobody.
// Errors: 22023; PT404; 42501 without leads:assign (taking a lead one may update oneself is free); 23514 when
// the assignee is no active member.
KVCRM_FUNCTION(assign_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  return crm::ReturnFirst(args, crm::AssignLead(id, args.Get<OptionalUuid>(1), args.Get<OptionalUuid>(2)),
                          "lead");
}

// delete_lead(lead_id, organization_id) -> leads. Hides the lead from lists; deleting twice changes nothing.
// Errors: 22023; PT404; 42501 without leads:delete; 23514 for a merged lead.
KVCRM_FUNCTION(delete_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  return crm::ReturnFirst(args, crm::DeleteLead(id, args.Get<OptionalUuid>(1)), "lead");
}

// restore_lead(lead_id, organization_id) -> leads. Restoring a lead that isn't deleted changes nothing.
// Errors: 22023; PT404; 42501 without leads:delete; 23505 when its e-mail or phone is taken meanwhile.
KVCRM_FUNCTION(restore_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(1), crm::Lock::kRow, crm::Merged::kStay);
  lead.caller.Require(Permission::kLeadsDelete);
  crm::RequireNotMerged(lead);
  return crm::ReturnFirst(args, kRestore(id, lead.caller.organization), "lead");
}

// move_lead(lead_id, stage_id, before_lead_id, lost_reason, expected_version, organization_id) -> leads.
// Puts the lead into the stage, before another card of it or (null) at its end; writes this one lead.
// Errors: 22023; PT404 for an unknown lead or stage; PT409 when the lead's version is not the expected one;
// 42501; 23514 when the pipeline does not allow the move, or before_lead_id is not in that stage.
KVCRM_FUNCTION(move_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const crm::Move move{args.Require<pg::Uuid>(1, "stage_id"), args.Get<OptionalUuid>(2),
                       args.Get<OptionalText>(3), args.Get<std::optional<std::int32_t>>(4)};
  pg::Session session(pg::Access::kWrite);
  return crm::ReturnFirst(args, crm::MoveLead(id, move, args.Get<OptionalUuid>(5)), "lead");
}
