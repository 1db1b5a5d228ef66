// The pipeline as a team looks at it: the board, its columns, the report, and the administration of stages.
// docs/pipeline.md says what the figures mean and why the board's counts are kept the way they are.
#include <utility>

#include "crm/board_rank.hpp"
#include "crm/errors.hpp"
#include "crm/identity.hpp"
#include "crm/leads.hpp"
#include "crm/lists.hpp"
#include "crm/organizations.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalInt = std::optional<std::int32_t>;
using OptionalTime = std::optional<pg::Timestamp>;
using OptionalUuid = std::optional<pg::Uuid>;
using OptionalMembers = std::optional<std::vector<pg::Uuid>>;

constexpr std::int32_t kDefaultCards = 20, kMaxCards = 200;

#define LIVE "l.converted_at IS NULL AND l.merged_into_id IS NULL AND l.deleted_at IS NULL"

// The cards of one column, of everybody or of one member. BETWEEN says nothing that = hasn't said; it makes
// the planner expect few rows, and so read them in the index's order up to the limit, instead of sorting a
// column or filtering everybody's, whatever the statistics say.
#define IN_COLUMN(stage) \
  " FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.stage_id = " stage " AND " LIVE
#define OF_ALL(stage) " AND l.stage_id BETWEEN " stage " AND " stage
#define OF_MEMBER " AND l.assigned_to = m.member AND l.assigned_to BETWEEN m.member AND m.member"
#define IN_ORDER(table) " ORDER BY " table ".board_rank, " table ".id"

// --- the board ---

#define CARD                                                                                                \
  "l.id, l.name, l.company, l.assigned_to, l.estimated_value, l.currency, l.score, l.version, l.board_rank" \
  ", l.stage_entered_at"

// Counts are sums over changes (sql/45-board.sql). $1 organization, $2 cards of a column, $3 members.
#define BOARD(counted, cards)                                                                              \
  "WITH counts AS MATERIALIZED (SELECT c.stage_id, c.currency, sum(c.leads)::bigint AS leads,"             \
  "   round(sum(c.value), 2) AS value FROM kvcrm.lead_stage_counts c WHERE c.organization_id = $1" counted \
  "   GROUP BY c.stage_id, c.currency HAVING sum(c.leads) > 0)"                                            \
  " SELECT s.id, s.name, s.color, s.order_index, s.outcome, t.leads, t.totals, k.cards"                    \
  " FROM kvcrm.lead_stages s"                                                                              \
  " CROSS JOIN LATERAL (SELECT coalesce(sum(c.leads), 0)::bigint AS leads,"                                \
  "   coalesce(jsonb_object_agg(c.currency, jsonb_build_object('value', c.value,"                          \
  "     'weighted', round(c.value * s.probability / 100, 2))), '{}') AS totals"                            \
  "   FROM counts c WHERE c.stage_id = s.id) t"                                                            \
  " CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_object('id', q.id, 'name', q.name,"          \
  "     'company', q.company, 'assigned_to', q.assigned_to, 'estimated_value', q.estimated_value,"         \
  "     'currency', q.currency, 'score', q.score, 'version', q.version, 'board_rank', q.board_rank,"       \
  "     'stage_entered_at', q.stage_entered_at,"                                                           \
  "     'rotting', coalesce(q.stage_entered_at < now() - make_interval(days => s.rotting_days), false),"   \
  "     'next_task', (SELECT jsonb_build_object('id', a.id, 'type', a.type, 'title', a.title, 'due_date'," \
  "         a.due_date) FROM kvcrm.lead_activities a WHERE a.lead_id = q.id AND a.organization_id = $1"    \
  "         AND a.completed_at IS NULL AND a.due_date IS NOT NULL AND a.type <> 'note'"                    \
  "         ORDER BY a.due_date, a.created_at, a.id LIMIT 1))" IN_ORDER(                                   \
      "q") "), '[]') AS cards FROM (" cards                                                                \
           ") q) k WHERE s.organization_id = $1 ORDER BY s.order_index, s.id"

const pg::Statement<pg::Uuid, std::int32_t> kBoardOfAll{
    "pipeline.board_of_all",
    BOARD("", "SELECT " CARD IN_COLUMN("s.id") OF_ALL("s.id") IN_ORDER("l") " LIMIT $2")};

// The first cards of each member, merged.
const pg::Statement<pg::Uuid, std::int32_t, std::vector<pg::Uuid>> kBoardOfMembers{
    "pipeline.board_of_members",
    BOARD(" AND c.assigned_to = ANY ($3)",
          "SELECT o.* FROM unnest($3) AS m (member) CROSS JOIN LATERAL (SELECT " CARD IN_COLUMN("s.id")
              OF_MEMBER IN_ORDER("l") " LIMIT $2) o" IN_ORDER("o") " LIMIT $2")};

// --- a column ---

// $2 stage, $3 and $4 the place behind which the page begins, $5 its size.
#define BEHIND " AND (l.board_rank, l.id) > ($3, $4)"
const pg::Statement<pg::Uuid, pg::Uuid, std::string, pg::Uuid, std::int32_t> kColumnOfAll{
    "pipeline.column_of_all", "SELECT l" IN_COLUMN("$2") OF_ALL("$2") BEHIND IN_ORDER("l") " LIMIT $5"};
const pg::Statement<pg::Uuid, pg::Uuid, std::string, pg::Uuid, std::int32_t, std::vector<pg::Uuid>>
    kColumnOfMembers{"pipeline.column_of_members",
                     "SELECT o.lead FROM unnest($6) AS m (member) CROSS JOIN LATERAL (SELECT l AS lead, l.id,"
                     " l.board_rank" IN_COLUMN("$2")
                         OF_MEMBER BEHIND IN_ORDER("l") " LIMIT $5) o" IN_ORDER("o") " LIMIT $5"};

// --- the report ---

// $2 and $3 the period, $4 members. A stay that ends after the period counts as one that goes on.
#define IN_SCOPE                                                                 \
  "l.organization_id = $1 AND l.deleted_at IS NULL AND l.merged_into_id IS NULL" \
  " AND ($4::uuid[] IS NULL OR l.assigned_to = ANY ($4))"
#define WITHIN(time) \
  " AND ($2::timestamptz IS NULL OR " time " >= $2) AND ($3::timestamptz IS NULL OR " time " < $3)"
#define BEFORE_END(time) "(" time " IS NOT NULL AND ($3::timestamptz IS NULL OR " time " < $3))"
#define PERCENTILE(share, days) \
  "round(percentile_cont(" share ") WITHIN GROUP (ORDER BY " days ")::numeric, 2)"
#define DAYS(from, to) "extract(epoch FROM " to " - " from ")::float8 / 86400"
#define RATE "round(r.advanced::numeric / nullif(r.entered, 0), 4)"

// Leads created in the period, by a column of theirs.
#define CREATED_BY(dimension, column, sequence)                                                      \
  "SELECT " sequence " AS sequence, 0::bigint AS place, '" dimension "' AS dimension, c." column     \
  "::text AS id, count(*) AS entered, count(c.days) AS advanced, count(*) FILTER (WHERE c.lost) AS " \
  "lost, " PERCENTILE("0.5", "c.days") " AS median, " PERCENTILE(                                    \
      "0.9", "c.days") " AS p90 FROM created c GROUP BY c." column

const pg::Statement<pg::Uuid, OptionalTime, OptionalTime, OptionalMembers> kReport{
    "pipeline.report",
    "WITH stages AS MATERIALIZED (SELECT s.id, s.name, s.is_qualified, s.outcome,"
    "   row_number() OVER (ORDER BY s.order_index, s.id) AS place FROM kvcrm.lead_stages s"
    "   WHERE s.organization_id = $1),"
    " stays AS (SELECT h.stage_id, h.entered_at, CASE WHEN " BEFORE_END("h.left_at")
    " THEN h.left_at END AS left_at,"
    "   lead(h.stage_id) OVER (PARTITION BY h.lead_id ORDER BY h.entered_at, h.left_at NULLS LAST, h.id) AS next"
    "   FROM kvcrm.lead_stage_history h JOIN kvcrm.leads l ON l.id = h.lead_id AND " IN_SCOPE
    "   WHERE h.organization_id = $1 AND h.merged_from_id IS NULL" WITHIN("h.entered_at") "),"
    " ended AS (SELECT y.stage_id, " DAYS("y.entered_at", "y.left_at") " AS days, y.left_at IS NOT NULL"
    "     AND n.outcome <> 'lost' AND (n.place > s.place OR (n.is_qualified AND NOT s.is_qualified)"
    "     OR (n.outcome = 'won' AND s.outcome <> 'won')) AS advanced,"
    "   y.left_at IS NOT NULL AND n.outcome = 'lost' AS lost"
    "   FROM stays y JOIN stages s ON s.id = y.stage_id LEFT JOIN stages n ON n.id = y.next),"
    " created AS (SELECT l.source, l.assigned_to,"
    "   CASE WHEN " BEFORE_END("l.converted_at") " THEN " DAYS("l.created_at", "l.converted_at") " END AS days,"
    "   l.converted_at IS NULL AND s.outcome = 'lost' AND " BEFORE_END("l.stage_entered_at") " AS lost"
    "   FROM kvcrm.leads l JOIN stages s ON s.id = l.stage_id WHERE " IN_SCOPE WITHIN("l.created_at") "),"
    " rows AS (SELECT 1 AS sequence, s.place, 'stage' AS dimension, s.id::text AS id, count(e.stage_id) AS entered,"
    "   count(*) FILTER (WHERE e.advanced) AS advanced, count(*) FILTER (WHERE e.lost) AS lost, "
    PERCENTILE("0.5", "e.days") " AS median, " PERCENTILE("0.9", "e.days") " AS p90"
    "   FROM stages s LEFT JOIN ended e ON e.stage_id = s.id GROUP BY s.id, s.place"
    " UNION ALL " CREATED_BY("source", "source", "2")
    " UNION ALL " CREATED_BY("assignee", "assigned_to", "3")
    " UNION ALL SELECT 4, 0, 'lost_reason', l.lost_reason, NULL, NULL, count(*), NULL, NULL"
    "   FROM kvcrm.leads l JOIN stages s ON s.id = l.stage_id AND s.outcome = 'lost'"
    "   WHERE l.converted_at IS NULL AND " IN_SCOPE WITHIN("l.stage_entered_at") " GROUP BY l.lost_reason)"
    " SELECT r.dimension, CASE WHEN r.dimension <> 'lost_reason' THEN r.id END, CASE r.dimension"
    "   WHEN 'stage' THEN (SELECT s.name FROM stages s WHERE s.id = r.id::uuid)"
    "   WHEN 'source' THEN coalesce((SELECT o.name FROM kvcrm.lead_sources o WHERE o.organization_id = $1"
    "     AND o.slug = r.id), r.id)"
    "   WHEN 'assignee' THEN (SELECT m.display_name FROM kvcrm.organization_members m"
    "     WHERE m.organization_id = $1 AND m.user_id = r.id::uuid)"
    "   ELSE r.id END, r.entered, r.advanced, r.lost, " RATE ", r.median, r.p90"
    " FROM rows r ORDER BY r.sequence, r.place, coalesce(r.entered, r.lost) DESC, r.id",
    pg::Plan::kCustom};

// --- stages ---

const pg::Statement<pg::Uuid, pg::Uuid> kStage{
    "pipeline.stage", "SELECT name FROM kvcrm.lead_stages WHERE id = $1 AND organization_id = $2"};
// Only for the system without a current organization: it sees all.
const pg::Statement<pg::Uuid> kOrganizationsOf{"pipeline.organizations_of",
                                               "SELECT organization_id FROM kvcrm.lead_stages WHERE id = $1"};

const pg::Statement<pg::Uuid> kStages{
    "pipeline.stages",
    "WITH counts AS MATERIALIZED (SELECT c.stage_id, sum(c.leads)::bigint AS leads FROM"
    "   kvcrm.lead_stage_counts c WHERE c.organization_id = $1 GROUP BY c.stage_id)"
    " SELECT s.id, s.name, s.description, s.is_qualified, s.outcome, s.probability, s.order_index, s.color,"
    "   s.rotting_days, coalesce((SELECT c.leads FROM counts c WHERE c.stage_id = s.id), 0),"
    "   NOT EXISTS (SELECT 1 FROM kvcrm.leads l WHERE l.stage_id = s.id AND l.organization_id = $1)"
    "     AND (s.outcome <> 'open' OR EXISTS (SELECT 1 FROM kvcrm.lead_stages o WHERE o.organization_id = $1"
    "       AND o.outcome = 'open' AND o.id <> s.id)),"
    "   (SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'to_stage_id', t.to_stage_id,"
    "       'to_stage_name', n.name, 'required_fields', t.required_fields) ORDER BY n.order_index, n.id), "
    "'[]')"
    "     FROM kvcrm.lead_stage_transitions t JOIN kvcrm.lead_stages n ON n.id = t.to_stage_id"
    "       AND n.organization_id = $1 WHERE t.organization_id = $1 AND t.from_stage_id = s.id)"
    " FROM kvcrm.lead_stages s WHERE s.organization_id = $1 ORDER BY s.order_index, s.id"};

// Not FOR UPDATE: who writes leads into the stage goes on.
const pg::Statement<pg::Uuid, pg::Uuid> kLockStage{
    "pipeline.lock_stage",
    "SELECT 1 FROM kvcrm.lead_stages WHERE id = $1 AND organization_id = $2 FOR NO KEY UPDATE"};
const pg::Statement<> kLockLeads{"pipeline.lock_leads", "LOCK TABLE kvcrm.leads IN SHARE ROW EXCLUSIVE MODE"};

// What is gone included.
const pg::Statement<pg::Uuid, pg::Uuid> kLeadsOfStage{
    "pipeline.leads_of_stage",
    "SELECT l.id FROM kvcrm.leads l WHERE l.stage_id = $1 AND l.organization_id = $2" IN_ORDER("l")};

// $5: what becomes the lost_reason of leads that have none; null = they are not lost.
const pg::Statement<pg::Uuid, pg::Uuid, std::vector<pg::Uuid>, std::vector<std::string>,
                    std::optional<std::string>>
    kMoveLeads{
        "pipeline.move_leads",
        "UPDATE kvcrm.leads AS l SET stage_id = $2, board_rank = r.rank, lost_reason ="
        " CASE WHEN $5 IS NOT NULL THEN coalesce(l.lost_reason, CASE WHEN l.erased_at IS NULL THEN $5 ELSE "
        "'Erased' END) END"
        " FROM unnest($3, $4) AS r (id, rank) WHERE l.id = r.id AND l.organization_id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid> kDeleteStage{
    "pipeline.delete_stage",
    "DELETE FROM kvcrm.lead_stages AS s WHERE id = $1 AND organization_id = $2 RETURNING s"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kRemoveTransition{
    "pipeline.remove_transition",
    "DELETE FROM kvcrm.lead_stage_transitions AS t WHERE organization_id = $1 AND from_stage_id = $2"
    " AND to_stage_id = $3 RETURNING t"};

[[noreturn]] void RaiseNoStage() { throw Error(crm::kNotFound, "stage not found"); }

// The caller in the organization that has the stage: the given one, else the current one, else the only one
// of theirs.
crm::Caller CallerOfStage(const pg::Uuid& stage, const OptionalUuid& given) {
  std::vector<crm::Caller> callers = crm::PossibleCallers(given);
  if (callers.empty() && !crm::CurrentUser()) {
    const pg::Rows rows = kOrganizationsOf(stage);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  std::optional<crm::Caller> found;
  for (const crm::Caller& caller : callers) {
    if (!caller.is_member || kStage(stage, caller.organization).empty()) continue;
    if (found) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the stage id exists in several organizations")
          .Hint("Pass organization_id.");
    }
    found = caller;
  }
  if (!found) RaiseNoStage();
  return *found;
}

// Moves all leads of a stage to the end of another one, in their order.
void MoveLeads(const pg::Uuid& organization, const pg::Uuid& from, const crm::Stage& to,
               const std::string& name) {
  const pg::Rows rows = kLeadsOfStage.Latest(from, organization);
  if (rows.empty()) return;
  std::vector<pg::Uuid> ids;
  std::vector<std::string> ranks;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    ids.push_back(rows.Get<pg::Uuid>(i, 0));
    ranks.push_back(crm::RankAtEnd());
  }
  std::optional<std::string> reason;
  if (to.outcome == "lost") reason = name;
  const crm::Authorized authorized;
  const crm::UnruledMoves unruled;
  kMoveLeads.Latest(organization, to.id, ids, ranks, reason);
}

bool IsOnlyOpenStage(const crm::Pipeline& pipeline, const pg::Uuid& stage) {
  bool others = false;
  for (const crm::Stage& other : pipeline.stages()) others = others || (other.IsOpen() && other.id != stage);
  return !others && pipeline.Find(stage)->IsOpen();
}

}  // namespace

// pipeline_board(cards_per_stage, assigned_to, organization_id) -> setof (stage_id, stage_name, color,
// order_index, outcome, lead_count, totals, cards). Errors: 22023 for cards_per_stage beyond 0..200 or
// without an organization; 42501 without leads:read_*.
KVCRM_FUNCTION(pipeline_board) {
  const std::int32_t cards = args.Get<OptionalInt>(0).value_or(kDefaultCards);
  const auto assignee = args.Get<OptionalUuid>(1);
  if (cards < 0 || cards > kMaxCards)
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "cards_per_stage must be between 0 and 200");
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  crm::ReadScope scope = crm::ReadScopeOf(caller);
  // The nil UUID stands for nobody in the counts; as an argument it is a member like any other, an unknown
  // one.
  if (assignee) scope.Narrow(*assignee == pg::Uuid{} ? OptionalUuid{} : assignee);
  result.AddAll(scope.all ? kBoardOfAll(caller.organization, cards)
                          : kBoardOfMembers(caller.organization, cards, scope.members));
  return result.Done();
}

// pipeline_column(stage_id, after_lead_id, page_size, organization_id) -> setof leads. Errors: 22023 without
// stage_id or for a page size beyond 1..1000; PT404 for a stage that is unknown, or a lead that is unknown or
// not visible; 42501 without leads:read_*; 23514 when the lead is not in that stage any more.
KVCRM_FUNCTION(pipeline_column) {
  const pg::Uuid stage = args.Require<pg::Uuid>(0, "stage_id");
  const auto after = args.Get<OptionalUuid>(1);
  const std::int32_t size = crm::PageSize(args.Get<OptionalInt>(2));
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = CallerOfStage(stage, args.Get<OptionalUuid>(3));
  const crm::ReadScope scope = crm::ReadScopeOf(caller);
  std::string rank;
  if (after) {
    const crm::Lead lead = crm::FindLead(*after, caller.organization, crm::Lock::kNone, crm::Merged::kStay);
    if (lead.stage != stage) {
      throw Error(ERRCODE_CHECK_VIOLATION, "after_lead_id is not in that stage")
          .Hint("Read the column again: the card may have been moved.");
    }
    rank = lead.board_rank;
  }
  const pg::Uuid behind = after.value_or(pg::Uuid{});
  const pg::Rows rows = scope.all
                            ? kColumnOfAll(caller.organization, stage, rank, behind, size)
                            : kColumnOfMembers(caller.organization, stage, rank, behind, size, scope.members);
  for (std::uint64_t i = 0; i < rows.size(); ++i) result.AddComposite(rows.At(i, 0).datum);
  return result.Done();
}

// pipeline_report(from_date, to_date, organization_id) -> setof (dimension, id, name, entered, advanced,
// lost, conversion_rate, median_days, p90_days). Errors: 22023 when from_date is after to_date or without an
// organization; 42501 without leads:read_*.
KVCRM_FUNCTION(pipeline_report) {
  const auto from = args.Get<OptionalTime>(0), to = args.Get<OptionalTime>(1);
  if (from && to && *from > *to)
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "from_date must not be after to_date");
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  const crm::ReadScope scope = crm::ReadScopeOf(caller);
  result.AddAll(
      kReport(caller.organization, from, to, scope.all ? OptionalMembers{} : OptionalMembers{scope.members}));
  return result.Done();
}

// stage_admin(organization_id) -> setof (stage_id, name, description, is_qualified, outcome, probability,
// order_index, color, rotting_days, lead_count, can_delete, transitions). Errors: 22023 without an
// organization; 42501 for who is no active member.
KVCRM_FUNCTION(stage_admin) {
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  result.AddAll(kStages(crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(0)).organization));
  return result.Done();
}

// delete_stage(stage_id, move_leads_to, organization_id) -> lead_stages: the row that was deleted. Errors:
// 22023 without stage_id or when both stages are one; PT404 for an unknown stage; 42501 without
// lead_stages:delete; 23514 for the last open stage, for a stage that holds leads when there is no target,
// and for converted leads when the target is not qualified, won or lost.
KVCRM_FUNCTION(delete_stage) {
  const pg::Uuid stage = args.Require<pg::Uuid>(0, "stage_id");
  const auto target = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = CallerOfStage(stage, args.Get<OptionalUuid>(2));
  caller.Require(Permission::kStagesDelete);
  if (target && *target == stage)
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "move_leads_to must be another stage");
  // As every change of what leads derive from stages: writers of leads wait, then all is read anew. The stage
  // first, as whoever writes to it directly does.
  kLockStage.Latest(stage, caller.organization);
  crm::LockOrganization(caller.organization);
  kLockLeads();
  const pg::Rows rows = kStage.Latest(stage, caller.organization);
  if (rows.empty()) RaiseNoStage();
  const auto pipeline = crm::PipelineOf(caller.organization);
  const crm::Stage* to = target ? pipeline->Find(*target) : nullptr;
  if (target && to == nullptr) RaiseNoStage();
  if (IsOnlyOpenStage(*pipeline, stage)) {
    throw Error(ERRCODE_CHECK_VIOLATION, "at least one open stage must remain")
        .Hint("Add another stage with outcome open first.");
  }
  if (to != nullptr) MoveLeads(caller.organization, stage, *to, rows.Get<std::string>(0, 0));
  const pg::Rows deleted = kDeleteStage.Latest(stage, caller.organization);
  return args.ReturnRow(deleted.At(0, 0).datum);
}

// remove_transition(from_stage_id, to_stage_id, organization_id) -> lead_stage_transitions: the row that was
// deleted. Errors: 22023; PT404 when there is no such stage or rule; 42501 without lead_stages:delete.
KVCRM_FUNCTION(remove_transition) {
  const pg::Uuid from = args.Require<pg::Uuid>(0, "from_stage_id");
  const pg::Uuid to = args.Require<pg::Uuid>(1, "to_stage_id");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = CallerOfStage(from, args.Get<OptionalUuid>(2));
  caller.Require(Permission::kStagesDelete);
  const pg::Rows rows = kRemoveTransition(caller.organization, from, to);
  if (rows.empty()) throw Error(crm::kNotFound, "transition not found");
  return args.ReturnRow(rows.At(0, 0).datum);
}
