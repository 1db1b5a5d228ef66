// Pages: what a screen shows, in one call.
#include <algorithm>
#include <tuple>

#include "crm/identity.hpp"
#include "crm/leads.hpp"
#include "crm/lists.hpp"
#include "crm/timeline.hpp"
#include "pg/json.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalTime = std::optional<pg::Timestamp>;
using OptionalUuid = std::optional<pg::Uuid>;
using OptionalMembers = std::optional<std::vector<pg::Uuid>>;

// As many entries of the timeline as lead_timeline gives by default.
constexpr std::int32_t kTimelineSize = 50;
// Longest of the lists of an overview.
#define LIST_SIZE "10"

// What waits to be done: tasks, and calls, meetings and e-mails with a date.
#define TO_DO "a.completed_at IS NULL AND (a.type = 'task' OR (a.type <> 'note' AND a.due_date IS NOT NULL))"

#define LIVE "l.converted_at IS NULL AND l.merged_into_id IS NULL AND l.deleted_at IS NULL"

// $5: whether the caller may read customers.
const pg::Statement<pg::Uuid, pg::Uuid, OptionalTime, std::int32_t, bool> kLeadPage{
    "pages.lead",
    "SELECT jsonb_build_object('lead', to_jsonb(l),"
    " 'stage', (SELECT to_jsonb(s) FROM kvcrm.lead_stages s WHERE s.id = l.stage_id AND s.organization_id = "
    "$2),"
    " 'assignee', (SELECT jsonb_build_object('user_id', m.user_id, 'display_name', m.display_name, 'email', "
    "m.email,"
    "    'team_id', m.team_id, 'role_slug', m.role_slug, 'status', m.status) FROM kvcrm.organization_members "
    "m"
    "    WHERE m.organization_id = $2 AND m.user_id = l.assigned_to),"
    " 'next_task', (SELECT to_jsonb(a) FROM kvcrm.lead_activities a WHERE a.lead_id = $1 AND "
    "a.organization_id = $2"
    "    AND " TO_DO
    " ORDER BY a.due_date NULLS LAST, a.created_at, a.id LIMIT 1),"
    " 'duplicates', (SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]')"
    "    FROM kvcrm.find_duplicates($1, NULL, 10, $2) d),"
    " 'customer', (SELECT to_jsonb(c) FROM kvcrm.customers c WHERE $5 AND c.id = l.converted_to_customer_id"
    "    AND c.organization_id = $2 AND c.deleted_at IS NULL),"
    " 'quotes', (SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.created_at DESC, q.id DESC), '[]')"
    "    FROM (SELECT * FROM kvcrm.quotes q WHERE q.lead_id = $1 AND q.organization_id = $2"
    "      ORDER BY q.created_at DESC, q.id DESC LIMIT 50) q),"
    " 'merges', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'duplicate_ids', m.duplicate_ids,"
    "    'merged_by', m.merged_by, 'merged_at', m.created_at) ORDER BY m.created_at DESC, m.id DESC), '[]')"
    "    FROM kvcrm.lead_merges m WHERE m.survivor_id = $1 AND m.organization_id = $2 AND m.undone_at IS "
    "NULL),"
    " 'timeline', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.at DESC, t.ref_id DESC), '[]')"
    "    FROM (" KVCRM_TIMELINE
    ") t))"
    " FROM kvcrm.leads l WHERE l.id = $1 AND l.organization_id = $2"};

// $3: members whose leads the caller sees, null for all.
#define MY_TASKS                                                                                          \
  " FROM kvcrm.lead_activities a JOIN kvcrm.leads l ON l.id = a.lead_id AND l.organization_id = $1"       \
  " WHERE a.organization_id = $1 AND a.assigned_to = $2 AND a.completed_at IS NULL AND a.type <> 'note' " \
  "AND " LIVE " AND ($3::uuid[] IS NULL OR l.assigned_to = ANY ($3))"

// By the index of open activities. Overdue ones are the earliest, so the due date is the whole order.
const pg::Statement<pg::Uuid, pg::Uuid, OptionalMembers, OptionalTime> kMyTasks{
    "pages.my_tasks", "SELECT a, a.due_date, a.created_at, a.id" MY_TASKS
                      " AND ($4::timestamptz IS NULL OR a.due_date < $4)"
                      " ORDER BY a.due_date NULLS LAST, a.created_at, a.id"};

// The caller's own leads are read once; everybody sees these.
const pg::Statement<pg::Uuid, OptionalUuid, OptionalMembers> kMine{
    "pages.overview_mine",
    "WITH mine AS MATERIALIZED (SELECT l.id, l.stage_id, l.currency, l.estimated_value FROM kvcrm.leads l"
    "   WHERE l.organization_id = $1 AND l.assigned_to BETWEEN $2 AND $2 AND " LIVE
    "),"
    " per_currency AS (SELECT m.stage_id, m.currency, count(*) AS leads, coalesce(sum(m.estimated_value), 0) "
    "AS value"
    "   FROM mine m GROUP BY m.stage_id, m.currency)"
    " SELECT jsonb_build_object("
    " 'my_tasks', (SELECT coalesce(jsonb_agg(t.task ORDER BY t.due_date NULLS LAST, t.created_at, t.id), "
    "'[]') FROM"
    "    (SELECT to_jsonb(a) || jsonb_build_object('lead_name', l.name) AS task, a.due_date, a.created_at, "
    "a.id" MY_TASKS "    ORDER BY a.due_date NULLS LAST, a.created_at, a.id LIMIT " LIST_SIZE
    ") t),"
    " 'my_pipeline', (SELECT coalesce(jsonb_agg(jsonb_build_object('stage_id', s.id, 'stage_name', s.name,"
    "    'color', s.color, 'outcome', s.outcome, 'order_index', s.order_index, 'lead_count', p.leads,"
    "    'totals', p.totals) ORDER BY s.order_index, s.id), '[]') FROM kvcrm.lead_stages s CROSS JOIN LATERAL"
    "    (SELECT coalesce(sum(c.leads), 0) AS leads, coalesce(jsonb_object_agg(c.currency, "
    "jsonb_build_object("
    "      'value', c.value, 'weighted', round(c.value * s.probability / 100, 2))), '{}') AS totals"
    "      FROM per_currency c WHERE c.stage_id = s.id) p WHERE s.organization_id = $1))"};

#define ROTTING_CARD                                                                               \
  "jsonb_build_object('lead_id', l.id, 'name', l.name, 'company', l.company, 'stage_id', s.id, "   \
  "'stage_name', "                                                                                 \
  "s.name, 'assigned_to', l.assigned_to, 'stage_entered_at', l.stage_entered_at, 'rotting_days', " \
  "s.rotting_days, 'estimated_value', l.estimated_value, 'currency', l.currency)"
#define CONVERSION_CARD                                                                            \
  "jsonb_build_object('lead_id', l.id, 'lead_name', l.name, 'company', l.company, 'assigned_to', " \
  "l.assigned_to, 'converted_at', l.converted_at, 'customer_id', l.converted_to_customer_id, "     \
  "'estimated_value', l.estimated_value, 'currency', l.currency)"

// What rots and what was won, among the leads that the caller sees.
const pg::Statement<pg::Uuid> kRottingOfAll{
    "pages.rotting_of_all",
    "SELECT coalesce(jsonb_agg(r.card ORDER BY r.stage_entered_at, r.id), '[]') FROM"
    " (SELECT q.* FROM kvcrm.lead_stages s CROSS JOIN LATERAL (SELECT " ROTTING_CARD
    " AS card, l.stage_entered_at, l.id"
    "   FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.stage_id = s.id AND " LIVE
    "   AND l.stage_entered_at < now() - make_interval(days => s.rotting_days)"
    "   ORDER BY l.stage_entered_at, l.id LIMIT " LIST_SIZE
    ") q WHERE s.organization_id = $1 AND s.rotting_days IS NOT NULL"
    " ORDER BY q.stage_entered_at, q.id LIMIT " LIST_SIZE ") r"};
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kRottingOfMembers{
    "pages.rotting_of_members",
    "SELECT coalesce(jsonb_agg(r.card ORDER BY r.stage_entered_at, r.id), '[]') FROM"
    " (SELECT " ROTTING_CARD
    " AS card, l.stage_entered_at, l.id FROM unnest($2) AS m (member)"
    "   JOIN kvcrm.leads l ON l.organization_id = $1 AND l.assigned_to BETWEEN m.member AND m.member "
    "AND " LIVE
    "   JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = $1"
    "   WHERE l.stage_entered_at < now() - make_interval(days => s.rotting_days)"
    "   ORDER BY l.stage_entered_at, l.id LIMIT " LIST_SIZE ") r"};

#define CONVERTED "l.converted_at IS NOT NULL AND l.deleted_at IS NULL"
const pg::Statement<pg::Uuid> kConversionsOfAll{
    "pages.conversions_of_all",
    "SELECT coalesce(jsonb_agg(r.card ORDER BY r.converted_at DESC, r.id DESC), '[]') FROM"
    " (SELECT " CONVERSION_CARD
    " AS card, l.converted_at, l.id FROM kvcrm.lead_conversions v"
    "   JOIN kvcrm.leads l ON l.id = v.lead_id AND l.organization_id = $1"
    "   WHERE v.organization_id = $1 AND v.reverted_at IS NULL AND " CONVERTED
    "   ORDER BY v.created_at DESC LIMIT " LIST_SIZE ") r"};
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kConversionsOfMembers{
    "pages.conversions_of_members",
    "SELECT coalesce(jsonb_agg(r.card ORDER BY r.converted_at DESC, r.id DESC), '[]') FROM"
    " (SELECT " CONVERSION_CARD
    " AS card, l.converted_at, l.id FROM unnest($2) AS m (member)"
    "   JOIN kvcrm.leads l ON l.organization_id = $1 AND l.assigned_to BETWEEN m.member AND m.member "
    "AND " CONVERTED "   ORDER BY l.converted_at DESC, l.id DESC LIMIT " LIST_SIZE ") r"};

const pg::Statement<pg::Json, pg::Json, pg::Json> kJoin{
    "pages.overview",
    "SELECT $1::jsonb || jsonb_build_object('rotting_leads', $2::jsonb, 'recent_conversions', $3::jsonb)"};

OptionalMembers Members(const crm::ReadScope& scope) {
  if (scope.all) return std::nullopt;
  return scope.members;
}

// A task of one of several organizations, in the order they are due.
struct Task {
  pg::Timestamp due, created;
  pg::Uuid id;
  Datum row;
  bool operator<(const Task& other) const {
    return std::tie(due, created, id) < std::tie(other.due, other.created, other.id);
  }
};

}  // namespace

// lead_page(lead_id, organization_id) -> jsonb. Errors: 22023 without lead_id; PT404.
KVCRM_FUNCTION(lead_page) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(1), crm::Lock::kNone);
  const pg::Rows rows = kLeadPage(lead.id, lead.caller.organization, std::nullopt, kTimelineSize,
                                  lead.caller.Can(Permission::kCustomersRead));
  return args.ReturnRow(rows.At(0, 0).datum);
}

// my_tasks(due_before, organization_id) -> setof lead_activities. Errors: 42501 for nobody, or in an
// organization one is no active member of.
KVCRM_FUNCTION(my_tasks) {
  const auto due_before = args.Get<OptionalTime>(0);
  const auto given = args.Get<OptionalUuid>(1);
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  // Nobody is told so; the system has no tasks.
  if (!crm::CurrentUser()) {
    crm::CallerIn(pg::Uuid{});
    return result.Done();
  }
  const auto callers = given ? std::vector{crm::CallerInGivenOrCurrent(given)} : crm::Memberships();
  const auto readers = crm::PermissionSet::OfTokens({"leads:read_own", "leads:read_team", "leads:read_all"});
  std::vector<pg::Rows> found;
  std::vector<Task> tasks;
  for (const crm::Caller& caller : callers) {
    if (!caller.permissions.HasAny(readers)) continue;
    found.push_back(
        kMyTasks(caller.organization, *caller.user, Members(crm::ReadScopeOf(caller)), due_before));
    const pg::Rows& rows = found.back();
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      tasks.push_back({rows.Get<OptionalTime>(i, 1).value_or(pg::Timestamp{DT_NOEND}),
                       rows.Get<pg::Timestamp>(i, 2), rows.Get<pg::Uuid>(i, 3), rows.At(i, 0).datum});
    }
  }
  std::sort(tasks.begin(), tasks.end());
  for (const Task& task : tasks) result.AddComposite(task.row);
  return result.Done();
}

// crm_overview(organization_id) -> jsonb. Errors: 22023 without an organization; 42501.
KVCRM_FUNCTION(crm_overview) {
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(0));
  const crm::ReadScope scope = crm::ReadScopeOf(caller);
  const pg::Rows mine = kMine(caller.organization, caller.user, Members(scope));
  const pg::Rows rotting =
      scope.all ? kRottingOfAll(caller.organization) : kRottingOfMembers(caller.organization, scope.members);
  const pg::Rows conversions = scope.all ? kConversionsOfAll(caller.organization)
                                         : kConversionsOfMembers(caller.organization, scope.members);
  const pg::Rows page =
      kJoin(mine.Get<pg::Json>(0, 0), rotting.Get<pg::Json>(0, 0), conversions.Get<pg::Json>(0, 0));
  return args.ReturnRow(page.At(0, 0).datum);
}
