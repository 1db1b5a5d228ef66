#include "crm/scoring.hpp"

#include <array>
#include <map>
#include <set>

#include "crm/identity.hpp"
#include "crm/leads.hpp"
#include "crm/permissions.hpp"
#include "crm/remembered.hpp"
#include "crm/rows.hpp"
#include "pg/security.hpp"

using namespace kvcrm;
using crm::Permission;
using crm::Scoring;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;
using OptionalTime = std::optional<pg::Timestamp>;

const pg::Statement<pg::Uuid> kRules{"scoring.rules",
                                     "SELECT id, field, operator, value, points FROM kvcrm.scoring_rules "
                                     "WHERE organization_id = $1 ORDER BY id"};
const pg::Statement<pg::Uuid> kState{
    "scoring.state",
    "SELECT stale_since, reached_at, reached_id FROM kvcrm.scoring_states WHERE organization_id = $1"};

const pg::Statement<> kLockLeads{"scoring.lock_leads", "LOCK TABLE kvcrm.leads IN SHARE ROW EXCLUSIVE MODE"};

// Returns a row when scores were not yet known to be stale from the first lead on. An organization without
// leads has no stale ones.
const pg::Statement<pg::Uuid> kMarkStale{
    "scoring.mark_stale",
    "INSERT INTO kvcrm.scoring_states AS s (organization_id, stale_since)"
    " SELECT $1, CASE WHEN EXISTS (SELECT FROM kvcrm.leads l WHERE l.organization_id = $1) THEN now() END"
    " ON CONFLICT (organization_id) DO UPDATE SET stale_since = coalesce(s.stale_since, "
    "excluded.stale_since),"
    " reached_at = NULL, reached_id = NULL, updated_at = now()"
    " WHERE (s.stale_since IS NULL AND excluded.stale_since IS NOT NULL) OR s.reached_id IS NOT NULL"
    " RETURNING stale_since"};

#define COLUMN_OF_LEAD(symbol, name) ", l." name
// Column c of leads is at kFirstColumn + c, what activities come to behind them; $2: whether that is asked.
#define FACTS                                                                                     \
  "SELECT 1" KVCRM_LEAD_COLUMNS(                                                                  \
      COLUMN_OF_LEAD) ", a.* FROM kvcrm.leads l CROSS JOIN LATERAL (SELECT " KVCRM_ACTIVITY_FACTS \
                      " FROM kvcrm.lead_activities a WHERE $2 AND a.lead_id = l.id"               \
                      " AND a.organization_id = $1) a WHERE l.organization_id = $1"
constexpr AttrNumber kFirstColumn = 2;
constexpr int kFirstFact = 1 + crm::kLeadColumnCount;

const pg::Statement<pg::Uuid, bool, std::vector<pg::Uuid>> kFactsOf{"scoring.facts_of",
                                                                    FACTS " AND l.id = ANY ($3)"};
// In the order of creation, from the lead behind the one of $3 and $4 on.
const pg::Statement<pg::Uuid, bool, pg::Timestamp, pg::Uuid, std::int32_t> kNextFacts{
    "scoring.next_facts", FACTS " AND (l.created_at, l.id) > ($3, $4) ORDER BY l.created_at, l.id LIMIT $5"};

const pg::Statement<pg::Uuid, bool> kAllFacts{"scoring.all_facts", FACTS, pg::Plan::kCustom};

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kLock{
    "scoring.lock",
    "SELECT FROM kvcrm.leads WHERE organization_id = $1 AND id = ANY ($2) ORDER BY id"
    " FOR NO KEY UPDATE"};
const pg::Statement<pg::Uuid, pg::Uuid, std::int32_t> kSetScore{
    "scoring.set_score", "UPDATE kvcrm.leads SET score = $3 WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kActivityFacts{
    "scoring.activity_facts",
    "SELECT " KVCRM_ACTIVITY_FACTS
    " FROM kvcrm.lead_activities a WHERE a.lead_id = $1 AND a.organization_id = $2"};

// One round after the other: whoever comes second waits.
const pg::Statement<pg::Uuid> kLockState{
    "scoring.lock_state",
    "SELECT stale_since, reached_at, reached_id FROM kvcrm.scoring_states"
    " WHERE organization_id = $1 FOR UPDATE"};
const pg::Statement<pg::Uuid, pg::Timestamp, pg::Uuid> kReach{
    "scoring.reach",
    "UPDATE kvcrm.scoring_states SET reached_at = $2, reached_id = $3, updated_at = now()"
    " WHERE organization_id = $1"};
const pg::Statement<pg::Uuid> kFinish{"scoring.finish",
                                      "UPDATE kvcrm.scoring_states SET stale_since = NULL, reached_at = "
                                      "NULL, reached_id = NULL, scored_at = now(),"
                                      " updated_at = now() WHERE organization_id = $1"};
// Those whose rules changed, that are in the middle of a round, or whose scores depend on time and are an
// hour old.
const pg::Statement<> kDue{
    "scoring.due",
    "SELECT s.organization_id FROM kvcrm.scoring_states s WHERE s.stale_since IS NOT NULL OR s.reached_id IS "
    "NOT "
    "NULL OR (coalesce(s.scored_at, '-infinity') < now() - interval '1 hour' AND EXISTS (SELECT FROM "
    "kvcrm.scoring_rules r WHERE r.organization_id = s.organization_id AND r.operator = 'older_than'))"
    " ORDER BY s.organization_id"};

// $3: the rules whose points count; $4: what is derived: {"field": value}.
const pg::Statement<pg::Uuid, pg::Uuid, std::vector<pg::Uuid>, pg::Json> kExplain{
    "scoring.explain",
    "SELECT jsonb_build_object('lead_id', l.id, 'score', l.score, 'sum', coalesce(r.sum, 0), 'difference', "
    "l.score - "
    "coalesce(r.sum, 0), 'stale', coalesce((SELECT s.stale_since IS NOT NULL AND (s.reached_id IS NULL OR"
    "   (l.created_at, l.id) > (s.reached_at, s.reached_id)) FROM kvcrm.scoring_states s"
    "   WHERE s.organization_id = $2), false), 'rules', coalesce(r.rules, '[]')) FROM kvcrm.leads l CROSS "
    "JOIN LATERAL"
    " (SELECT sum(x.points) FILTER (WHERE x.id = ANY ($3))::int AS sum, jsonb_agg(jsonb_build_object('id', "
    "x.id, "
    "'field', x.field, 'operator', x.operator, 'value', x.value, 'points', x.points, 'applies', x.id = ANY "
    "($3),"
    " 'actual', CASE WHEN x.field LIKE 'custom\\_fields.%' THEN l.custom_fields -> substr(x.field, 15)"
    "   WHEN $4 ? x.field THEN $4 -> x.field ELSE to_jsonb(l) -> x.field END) ORDER BY x.points DESC, x.id) "
    "AS rules"
    "   FROM kvcrm.scoring_rules x WHERE x.organization_id = $2) r WHERE l.id = $1 AND l.organization_id = "
    "$2"};

enum Column { kId, kOrganization, kField, kOperator, kValue, kUpdatedAt, kColumnCount };
constexpr const char* kColumnNames[] = {"id", "organization_id", "field", "operator", "value", "updated_at"};
pg::Columns columns_of_rules(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kField, crm::kShortLength, true}, {kOperator, crm::kShortLength, true}};

enum ActivityColumn { kAId, kAOrganization, kALead, kAType, kACompletedAt, kACreatedAt, kACount };
constexpr const char* kActivityColumns[] = {"id",   "organization_id", "lead_id",
                                            "type", "completed_at",    "created_at"};
pg::Columns columns_of_activities(kActivityColumns, kACount);

constexpr std::int32_t kMostRules = 200;

Scoring ScoringIn(const pg::Rows& rules, bool in_use) {
  Scoring scoring;
  scoring.in_use = in_use || !rules.empty();
  for (std::uint64_t i = 0; i < rules.size(); ++i) {
    auto condition = crm::Condition::Read(crm::ViewText(rules.At(i, 1)), crm::ViewText(rules.At(i, 2)),
                                          rules.Get<pg::Json>(i, 3));
    if (!condition) continue;
    scoring.counts_activities |= condition->LooksAtActivities();
    scoring.depends_on_time |= condition->DependsOnTime();
    scoring.rules.push_back(
        {rules.Get<pg::Uuid>(i, 0), std::move(*condition), rules.Get<std::int32_t>(i, 4)});
  }
  return scoring;
}

const AttrNumber* PlacesOfFacts() {
  static const auto places = [] {
    std::array<AttrNumber, crm::kLeadColumnCount> made{};
    for (int i = 0; i < crm::kLeadColumnCount; ++i) made[i] = static_cast<AttrNumber>(kFirstColumn + i);
    return made;
  }();
  return places.data();
}

// A lead with all that rules look at, from a statement with FACTS.
struct Candidate {
  Candidate(const pg::Rows& rows, std::uint64_t index)
      : row(rows.tuple(index), rows.descriptor()),
        activities(crm::ActivityFactsAt(rows, index, kFirstFact)) {}
  crm::LeadFacts Facts() const { return {row, PlacesOfFacts(), activities, crm::Now()}; }
  template <typename T>
  T Get(crm::LeadColumn column) const {
    return row.Get<T>(PlacesOfFacts()[column]);
  }

  pg::Row row;
  crm::ActivityFacts activities;
};

// Brings the scores of leads up to date, in the order of their ids.
void Rescore(const Scoring& scoring, const pg::Uuid& organization, const std::vector<pg::Uuid>& leads) {
  if (leads.empty()) return;
  // What others have written for the lead is known once they have let go of it.
  kLock.Latest(organization, leads);
  const pg::Rows rows = kFactsOf.Latest(organization, scoring.counts_activities, leads);
  std::map<pg::Uuid, std::int32_t> scores;
  pg::Scratch scratch;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    pg::CheckForInterrupts();
    scratch.Reset();
    const Candidate lead(rows, i);
    const std::int32_t score = crm::ScoreOf(scoring, lead.Facts());
    if (score != lead.Get<std::int32_t>(crm::kScore)) scores.emplace(lead.Get<pg::Uuid>(crm::kId), score);
  }
  const crm::ScoresGiven given;
  for (const auto& [id, score] : scores) kSetScore.Latest(id, organization, score);
}

// One batch of an organization; returns how many leads it looked at, 0 at the end of a round.
std::int32_t RescoreBatch(const pg::Uuid& organization, std::int32_t most) {
  const pg::Rows state = kLockState.Latest(organization);
  if (state.empty()) return 0;
  const auto scoring = crm::ScoringOf(organization);
  const bool stale = !state.IsNull(0, 0), begun = !state.IsNull(0, 2);
  if (!stale && !begun && !scoring->depends_on_time) return 0;
  const auto at = state.Get<OptionalTime>(0, 1).value_or(pg::Timestamp{DT_NOBEGIN});
  const auto id = state.Get<OptionalUuid>(0, 2).value_or(pg::Uuid{});
  const pg::Rows rows = kNextFacts.Latest(organization, scoring->counts_activities, at, id, most);
  if (rows.empty()) {
    kFinish(organization);
    return 0;
  }
  std::vector<pg::Uuid> outdated;
  pg::Scratch scratch;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    pg::CheckForInterrupts();
    scratch.Reset();
    const Candidate lead(rows, i);
    if (crm::ScoreOf(*scoring, lead.Facts()) != lead.Get<std::int32_t>(crm::kScore))
      outdated.push_back(lead.Get<pg::Uuid>(crm::kId));
  }
  // Only those are locked. Whoever writes another one meanwhile goes by the same rules.
  Rescore(*scoring, organization, outdated);
  const Candidate last(rows, rows.size() - 1);
  kReach(organization, last.Get<pg::Timestamp>(crm::kCreatedAt), last.Get<pg::Uuid>(crm::kId));
  return static_cast<std::int32_t>(rows.size());
}

using LeadsByOrganization = std::map<pg::Uuid, std::set<pg::Uuid>>;

void Collect(const pg::TransitionReader& row, const AttrNumber* at, LeadsByOrganization& leads) {
  const auto organization = row.Get<pg::Uuid>(at[kAOrganization]);
  if (crm::ScoringOf(organization)->counts_activities)
    leads[organization].insert(row.Get<pg::Uuid>(at[kALead]));
}

// Leads whose activities come to something else.
LeadsByOrganization AffectedLeads(const pg::TriggerCall& call) {
  const AttrNumber* at = columns_of_activities.In(call.table());
  LeadsByOrganization leads;
  if (!call.OnUpdate()) {
    pg::TransitionReader row(call.OnDelete() ? call.OldTable() : call.NewTable(), call.descriptor());
    while (row.Next()) Collect(row, at, leads);
    return leads;
  }
  pg::TransitionReader old(call.OldTable(), call.descriptor()), row(call.NewTable(), call.descriptor());
  while (old.Next() && row.Next()) {
    for (const ActivityColumn column : {kALead, kAType, kACompletedAt, kACreatedAt}) {
      if (pg::SameValue(row.At(at[column]), old.At(at[column]), call.descriptor(), at[column])) continue;
      Collect(old, at, leads);
      Collect(row, at, leads);
      break;
    }
  }
  return leads;
}

std::string JsonOf(const std::optional<std::string>& text) { return text ? pg::QuoteJson(*text) : "null"; }

// What conditions look at and to_jsonb(lead) doesn't have.
pg::Json DerivedFacts(const crm::LeadFacts& lead) {
  constexpr const char* kCounts[] = {"count", "calls", "meetings", "emails", "tasks", "notes", "completed"};
  std::string json = "{\"company_domain\": " + JsonOf(lead.CompanyDomain()) +
                     ", \"phone_country\": " + JsonOf(lead.PhoneCountry());
  for (int i = 0; i < crm::ActivityFacts::kCounts; ++i)
    json += std::string(", \"activities.") + kCounts[i] + "\": " + std::to_string(lead.activities.counts[i]);
  std::optional<std::string> last;
  if (const auto& at = lead.activities.last; at) {
    last = pg::Call([at] { return const_cast<const char*>(timestamptz_to_str(at->value)); });
    if (const auto space = last->find(' '); space != std::string::npos) (*last)[space] = 'T';
  }
  return pg::ParseJson(json + ", \"last_activity_at\": " + JsonOf(last) + "}");
}

}  // namespace

namespace kvcrm::crm {

int ScoresGiven::depth_ = 0;

std::shared_ptr<const Scoring> ScoringOf(const pg::Uuid& organization) {
  static Remembered<Scoring> remembered;
  return remembered.Of(organization, [&] {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    const pg::Rows rules = kRules.Latest(organization);
    return ScoringIn(rules, !kState.Latest(organization).empty());
  });
}

std::int32_t ScoreOf(const Scoring& scoring, const LeadFacts& lead) {
  std::int32_t score = 0;
  for (const ScoringRule& rule : scoring.rules) {
    if (rule.condition.Holds(lead)) score += rule.points;
  }
  return score;
}

void FindWrongScores(const pg::Uuid& organization, const std::function<void(const pg::Uuid&)>& wrong) {
  const pg::Rows state = kState(organization);
  const Scoring scoring = ScoringIn(kRules(organization), !state.empty());
  const bool stale = !state.empty() && !state.IsNull(0, 0);
  if (!scoring.in_use || scoring.depends_on_time || stale) return;
  pg::Cursor cursor = kAllFacts.Open(organization, scoring.counts_activities);
  pg::Scratch scratch;
  for (;;) {
    const pg::Rows rows = cursor.Fetch(1000);
    if (rows.empty()) return;
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      const Candidate lead(rows, i);
      if (ScoreOf(scoring, lead.Facts()) != lead.Get<std::int32_t>(crm::kScore))
        wrong(lead.Get<pg::Uuid>(crm::kId));
    }
    pg::CheckForInterrupts();
    scratch.Reset();
  }
}

ActivityFacts ReadActivityFacts(const pg::Uuid& organization, const pg::Uuid& lead) {
  return ActivityFactsAt(kActivityFacts.Latest(lead, organization), 0, 0);
}

}  // namespace kvcrm::crm

// Trigger before insert, update or delete of scoring_rules: a condition that can be met. Locks writers of
// leads out, since they go by rules that are about to change.
KVCRM_FUNCTION(scoring_rules_before) {
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
  if (!call.OnDelete()) {
    crm::NormalizeTexts(row, old ? &*old : nullptr, kTexts, at, "rule");
    // A stranger learns nothing about custom fields.
    if (call.OnInsert() && !crm::Authorized::Active()) {
      const pg::AsOwner owner;
      const pg::Session session(pg::Access::kWrite);
      crm::CallerIn(organization).Require(Permission::kScoringManage);
    }
    crm::CheckCondition(row, at, kField, organization, crm::ConditionScope::kScoring);
  }
  {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    kLockLeads();
    if (call.OnInsert() && kRules.Latest(organization).size() >= kMostRules) {
      throw Error(ERRCODE_CHECK_VIOLATION,
                  "an organization has at most " + std::to_string(kMostRules) + " scoring rules");
    }
  }
  return call.Proceed(row);
}

// Trigger after each row of scoring_rules: the scores of the organization are stale, and it says so.
KVCRM_FUNCTION(scoring_rules_stale) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const AttrNumber* at = columns_of_rules.In(call.table());
  const auto organization = call.New().Get<pg::Uuid>(at[kOrganization]);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const pg::Rows marked = kMarkStale.Latest(organization);
  if (!marked.empty() && !marked.IsNull(0, 0)) {
    pg::Call([] {
      ereport(NOTICE, (errmsg("scores of leads written before are stale"),
                       errhint("Call rescore_leads() until it returns 0.")));
    });
  }
  return call.Done();
}

// Trigger after each statement on lead_activities: scores that count them.
KVCRM_FUNCTION(lead_activities_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  // As a writer of leads: no rule that counts activities comes unseen, before this transaction ends.
  pg::LockForWriting("leads");
  const LeadsByOrganization affected = AffectedLeads(call);
  if (affected.empty()) return call.Done();
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  for (const auto& [organization, leads] : affected)
    Rescore(*crm::ScoringOf(organization), organization, {leads.begin(), leads.end()});
  return call.Done();
}

// explain_score(lead_id, organization_id) -> jsonb: {"lead_id", "score", "sum", "difference", "stale",
// "rules":
// [{"id", "field", "operator", "value", "points", "applies", "actual"}]}. `sum` is that of the points of the
// rules that apply now, and `score` = `sum` + `difference`: 0 unless rules changed (`stale`) or time has
// passed since the lead was scored. Errors: 22023; PT404.
KVCRM_FUNCTION(explain_score) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(1), crm::Lock::kNone);
  const pg::Uuid& home = lead.caller.organization;
  const Scoring scoring = ScoringIn(kRules(home), true);
  const pg::Rows rows = kFactsOf(home, true, std::vector{lead.id});
  if (rows.empty()) throw Error(ERRCODE_INTERNAL_ERROR, "the lead is gone");
  const Candidate candidate(rows, 0);
  const crm::LeadFacts facts = candidate.Facts();
  std::vector<pg::Uuid> applying;
  for (const crm::ScoringRule& rule : scoring.rules) {
    if (rule.condition.Holds(facts)) applying.push_back(rule.id);
  }
  return args.Return(kExplain(lead.id, home, applying, DerivedFacts(facts)).Get<pg::Json>(0, 0));
}

// rescore_leads(batch, organization_id) -> int. Brings the scores of up to `batch` leads up to date, going on
// where the last call stopped, and returns how many it looked at; 0 = a round through all leads is over, the
// next call begins another if scores depend on time. The system without an organization does those that are
// due in turn. Errors: 22023 for a batch that is not positive; 42501 without scoring:manage.
KVCRM_FUNCTION(rescore_leads) {
  const auto batch = args.Get<std::optional<std::int32_t>>(0).value_or(1000);
  if (batch < 1 || batch > 1'000'000) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "batch must be 1 to 1000000");
  }
  const auto given = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  // As a writer of leads: rules don't change meanwhile.
  pg::LockForWriting("leads");
  if (!given && crm::ActsAsSystem() && !crm::CurrentOrganization()) {
    const pg::Rows due = kDue();
    for (std::uint64_t i = 0; i < due.size(); ++i) {
      if (const std::int32_t done = RescoreBatch(due.Get<pg::Uuid>(i, 0), batch); done > 0)
        return args.Return(done);
    }
    return args.Return(std::int32_t{0});
  }
  const crm::Caller caller = crm::CallerInGivenOrCurrent(given);
  caller.Require(Permission::kScoringManage);
  return args.Return(RescoreBatch(caller.organization, batch));
}
