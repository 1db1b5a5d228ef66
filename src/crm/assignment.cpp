#include "crm/assignment.hpp"

#include <algorithm>

#include "crm/errors.hpp"
#include "crm/leads.hpp"
#include "crm/members.hpp"
#include "crm/permissions.hpp"
#include "crm/remembered.hpp"
#include "crm/rows.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

const pg::Statement<pg::Uuid> kIsOn{
    "assignment.is_on",
    "SELECT 1 FROM kvcrm.organizations WHERE id = $1 AND settings -> 'assignment_rules' = 'true'"};
const pg::Statement<pg::Uuid> kRules{
    "assignment.rules",
    "SELECT field, operator, value, team_id, user_id FROM kvcrm.assignment_rules"
    " WHERE organization_id = $1 ORDER BY order_index, id"};

const pg::Statement<pg::Uuid, pg::Uuid> kEnsurePool{
    "assignment.ensure_pool",
    "INSERT INTO kvcrm.assignment_pools (organization_id, pool_id) VALUES ($1, $2)"
    " ON CONFLICT (organization_id, pool_id) DO NOTHING"};
const pg::Statement<pg::Uuid, pg::Uuid> kLockPool{
    "assignment.lock_pool",
    "SELECT turns FROM kvcrm.assignment_pools WHERE organization_id = $1 AND pool_id = $2 FOR UPDATE"};
const pg::Statement<pg::Uuid, pg::Uuid, std::vector<pg::Uuid>, std::vector<double>> kSavePool{
    "assignment.save_pool",
    "UPDATE kvcrm.assignment_pools SET turns = (SELECT coalesce(jsonb_object_agg(t.member, t.turn), '{}')"
    "   FROM unnest($3, $4) AS t (member, turn)), updated_at = now()"
    " WHERE organization_id = $1 AND pool_id = $2"};
const pg::Statement<pg::Json> kTurnsIn{"assignment.turns_in",
                                       "SELECT t.key::uuid, t.value::text::float8 FROM jsonb_each($1) AS t"};

// Active members with a share, how many more leads they can take (null: any number), and what their role may.
// Open leads are counted by the index of the member's board, column by column, and no further than the
// capacity: closed ones, of which there may be thousands, are not looked at.
const pg::Statement<pg::Uuid, OptionalUuid> kCandidates{
    "assignment.candidates",
    "SELECT m.user_id, m.assignment_weight, CASE WHEN m.assignment_capacity IS NOT NULL THEN"
    "   m.assignment_capacity - (SELECT count(*) FROM (SELECT FROM kvcrm.lead_stages s"
    "     CROSS JOIN LATERAL (SELECT FROM kvcrm.leads l WHERE l.organization_id = $1"
    "       AND l.assigned_to = m.user_id AND l.stage_id = s.id AND l.deleted_at IS NULL"
    "       AND l.merged_into_id IS NULL AND l.converted_at IS NULL ORDER BY l.board_rank, l.id"
    "       LIMIT m.assignment_capacity) l"
    "     WHERE s.organization_id = $1 AND s.outcome <> 'lost' LIMIT m.assignment_capacity) AS open) END,"
    " r.permissions"
    " FROM kvcrm.organization_members m JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND "
    "r.slug = "
    "m.role_slug WHERE m.organization_id = $1 AND m.status = 'active' AND m.assignment_weight > 0"
    " AND ($2 IS NULL OR m.team_id = $2) ORDER BY m.user_id"};
const pg::Statement<pg::Uuid, pg::Uuid> kTeamExists{
    "assignment.team_exists", "SELECT 1 FROM kvcrm.teams WHERE id = $1 AND organization_id = $2"};
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kAssign{
    "assignment.assign",
    "UPDATE kvcrm.leads AS l SET assigned_to = $3 WHERE id = $1 AND organization_id = $2 RETURNING l"};

enum Column { kId, kOrganization, kField, kOperator, kValue, kUpdatedAt, kColumnCount };
constexpr const char* kColumnNames[] = {"id", "organization_id", "field", "operator", "value", "updated_at"};
pg::Columns columns_of_rules(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kField, crm::kShortLength, true}, {kOperator, crm::kShortLength, true}};

// Turns are sums of fractions.
constexpr double kSame = 1e-9;

struct Candidate {
  pg::Uuid user;
  std::int32_t weight = 1;
};

std::vector<Candidate> CandidatesOf(const pg::Uuid& organization, const OptionalUuid& team,
                                    const OptionalUuid& except) {
  // Whoever may not work on leads gets none.
  static const crm::PermissionSet works =
      crm::PermissionSet::OfTokens({"leads:update", "leads:update_own", "leads:update_team"});
  const pg::Rows rows = kCandidates.Latest(organization, team);
  std::vector<Candidate> candidates;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto user = rows.Get<pg::Uuid>(i, 0);
    if (except && *except == user) continue;
    const auto room = rows.Get<std::optional<std::int64_t>>(i, 2);
    if (room && *room <= 0) continue;
    if (!crm::PermissionSet::OfTokens(rows.Get<std::vector<std::string>>(i, 3)).HasAny(works)) continue;
    candidates.push_back({user, rows.Get<std::int32_t>(i, 1)});
  }
  return candidates;
}

// A turn that a new lead takes if it gets there.
struct Pending {
  pg::Uuid organization, pool, user;
  double share = 1;
};
std::map<pg::Uuid, Pending> pending;
// Leads that were refused leave theirs behind.
constexpr std::size_t kMostPending = 100'000;

}  // namespace

namespace kvcrm::crm {

std::shared_ptr<const Assignment> AssignmentOf(const pg::Uuid& organization) {
  static Remembered<Assignment> remembered;
  return remembered.Of(organization, [&] {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    Assignment assignment;
    assignment.on = !kIsOn.Latest(organization).empty();
    if (!assignment.on) return assignment;
    const pg::Rows rows = kRules.Latest(organization);
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      auto condition =
          Condition::Read(ViewText(rows.At(i, 0)), ViewText(rows.At(i, 1)), rows.Get<pg::Json>(i, 2));
      if (!condition) continue;
      assignment.rules.push_back(
          {std::move(*condition), rows.Get<OptionalUuid>(i, 3), rows.Get<OptionalUuid>(i, 4)});
    }
    return assignment;
  });
}

Turns LockTurns(const pg::Uuid& organization, const pg::Uuid& pool) {
  if (kLockPool.Latest(organization, pool).empty()) kEnsurePool.Latest(organization, pool);
  const pg::Rows locked = kLockPool.Latest(organization, pool);
  Turns turns;
  const pg::Rows rows = kTurnsIn(locked.Get<pg::Json>(0, 0));
  for (std::uint64_t i = 0; i < rows.size(); ++i) turns[rows.Get<pg::Uuid>(i, 0)] = rows.Get<double>(i, 1);
  return turns;
}

void SaveTurns(const pg::Uuid& organization, const pg::Uuid& pool, const Turns& turns) {
  double least = 0;
  for (const auto& [user, turn] : turns) least = turn < least || user == turns.begin()->first ? turn : least;
  std::vector<pg::Uuid> users;
  std::vector<double> values;
  for (const auto& [user, turn] : turns) {
    users.push_back(user);
    values.push_back(turn - least);
  }
  kSavePool.Latest(organization, pool, users, values);
}

std::optional<Turn> NextMember(const pg::Uuid& organization, const OptionalUuid& team, Turns& turns,
                               const OptionalUuid& except) {
  std::vector<Candidate> candidates = CandidatesOf(organization, team, except);
  // Who joins, or comes back, begins where the last of the others is: nobody is owed what they were away for.
  double least = 0;
  bool any = false;
  for (const Candidate& candidate : candidates) {
    const auto found = turns.find(candidate.user);
    if (found == turns.end()) continue;
    least = any ? std::min(least, found->second) : found->second;
    any = true;
  }
  Turns now;
  for (const Candidate& candidate : candidates) {
    const auto found = turns.find(candidate.user);
    now[candidate.user] = found == turns.end() ? least : found->second;
  }
  if (except && turns.count(*except) != 0) now[*except] = turns[*except];
  while (!candidates.empty()) {
    auto best = candidates.begin();
    const auto end_of = [&](const Candidate& c) { return now[c.user] + 1.0 / c.weight; };
    for (auto c = candidates.begin(); c != candidates.end(); ++c) {
      if (end_of(*c) < end_of(*best) - kSame) best = c;
    }
    // Suspended this moment: the row is locked by whoever did it.
    if (LockActiveMember(organization, best->user)) {
      const Turn turn{best->user, 1.0 / best->weight};
      now[turn.member] += turn.share;
      turns = std::move(now);
      return turn;
    }
    now.erase(best->user);
    candidates.erase(best);
  }
  return std::nullopt;
}

OptionalUuid NewLeadTurns::Choose(const Assignment& assignment, const pg::Uuid& organization,
                                  const LeadFacts& lead) {
  for (const AssignmentRule& rule : assignment.rules) {
    if (!rule.condition.Holds(lead)) continue;
    if (rule.user) {
      if (LockActiveMember(organization, *rule.user)) return rule.user;
      continue;
    }
    const pg::Uuid& pool = *rule.team;
    auto known = pools_.find(pool);
    if (known == pools_.end()) known = pools_.emplace(pool, LockTurns(organization, pool)).first;
    const std::optional<Turn> turn = NextMember(organization, rule.team, known->second, std::nullopt);
    if (!turn) continue;
    if (pending.size() >= kMostPending) pending.clear();
    pending[pg::FromValue<pg::Uuid>(lead.At(kId))] = {organization, pool, turn->member, turn->share};
    return turn->member;
  }
  return std::nullopt;
}

bool NewLeadTurns::Pending() { return !pending.empty(); }

void NewLeadTurns::Count(const std::vector<pg::Uuid>& leads) {
  std::map<std::pair<pg::Uuid, pg::Uuid>, std::map<pg::Uuid, double>> taken;
  for (const pg::Uuid& lead : leads) {
    const auto found = pending.find(lead);
    if (found == pending.end()) continue;
    taken[{found->second.organization, found->second.pool}][found->second.user] += found->second.share;
    pending.erase(found);
  }
  for (const auto& [where, shares] : taken) {
    const auto& [organization, pool] = where;
    Turns turns = LockTurns(organization, pool);
    // As in NextMember.
    std::vector<pg::Uuid> members;
    for (const Candidate& candidate : CandidatesOf(organization, pool, std::nullopt))
      members.push_back(candidate.user);
    for (const auto& [user, share] : shares) members.push_back(user);
    std::optional<double> least;
    for (const pg::Uuid& user : members) {
      const auto found = turns.find(user);
      if (found != turns.end()) least = std::min(least.value_or(found->second), found->second);
    }
    Turns now;
    for (const pg::Uuid& user : members) {
      const auto found = turns.find(user);
      now[user] = found == turns.end() ? least.value_or(0) : found->second;
    }
    for (const auto& [user, share] : shares) now[user] += share;
    SaveTurns(organization, pool, now);
  }
}

}  // namespace kvcrm::crm

// Trigger before insert or update of assignment_rules: a condition that can be met.
KVCRM_FUNCTION(assignment_rules_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_rules.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) {
    old.emplace(call.Old());
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const Column column : {kId, kOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kUpdatedAt], crm::Now());
  }
  if (row.IsNull(at[kOrganization])) return call.Proceed(row);
  const auto organization = row.Get<pg::Uuid>(at[kOrganization]);
  crm::NormalizeTexts(row, old ? &*old : nullptr, kTexts, at, "rule");
  // A stranger learns nothing about custom fields.
  if (call.OnInsert() && !crm::Authorized::Active()) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    crm::CallerIn(organization).Require(Permission::kSettingsUpdate);
  }
  crm::CheckCondition(row, at, kField, organization, crm::ConditionScope::kAssignment);
  return call.Proceed(row);
}

// assign_next(lead_id, team_id, organization_id) -> leads. Gives the lead to the member of the team, or of
// the organization, whose turn it is; not to whoever has it. Errors: 22023, also for an unknown team; PT404;
// 42501 without leads:assign; 23514 when the lead is gone or nobody can take it.
KVCRM_FUNCTION(assign_next) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const auto team = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(2), crm::Lock::kRow);
  lead.caller.Require(Permission::kLeadsAssign);
  crm::RequireNotGone(lead);
  const pg::Uuid& home = lead.caller.organization;
  if (team && kTeamExists(*team, home).empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown team");
  }
  const pg::Uuid pool = team.value_or(home);
  crm::Turns turns = crm::LockTurns(home, pool);
  const std::optional<crm::Turn> turn = crm::NextMember(home, team, turns, lead.assignee);
  if (!turn) {
    throw Error(ERRCODE_CHECK_VIOLATION, "nobody can take the lead")
        .Detail(
            "Whoever is active, has a weight above 0, room below their capacity and a role that changes "
            "leads "
            "can; whoever has it already is passed over.")
        .Hint("Raise assignment_capacity or assignment_weight of a member, or name one with assign_lead.");
  }
  crm::SaveTurns(home, pool, turns);
  const crm::Authorized authorized;
  return crm::ReturnFirst(args, kAssign.Latest(lead.id, home, turn->member), "lead");
}
