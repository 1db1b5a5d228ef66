// check_consistency(): every invariant derived again from the data.
//
// Most invariants are one query each, which returns what breaks them. What only C++ can derive (texts,
// addresses, phones, fingerprints, keys of custom fields) is read row by row and compared. Nothing is locked
// or written: all queries of one call see one snapshot, so that what others are writing meanwhile is there
// whole or not at all. Details name columns and ids, never what a column says of a person.
#include <algorithm>

#include "crm/derived.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/fingerprints.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/ownership.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "crm/scoring.hpp"
#include "pg/result_set.hpp"
#include "text/email.hpp"
#include "text/inn.hpp"
#include "text/utf8.hpp"

using namespace kvcrm;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Ids = std::vector<pg::Uuid>;
using Texts = std::vector<std::string>;

constexpr long kRowsPerFetch = 1000;

// --- invariants that a query finds broken ---

// Returns entity_type, entity_id and detail of what breaks the invariant in the organization $1.
using Finder = pg::Statement<pg::Uuid>;

#define LIVE(lead) \
  lead ".deleted_at IS NULL AND " lead ".merged_into_id IS NULL AND " lead ".converted_at IS NULL"

const Finder kStatus{
    "consistency.status",
    "WITH first AS MATERIALIZED (SELECT s.id FROM kvcrm.lead_stages s WHERE s.organization_id = $1"
    "   AND s.outcome = 'open' ORDER BY s.order_index, s.id LIMIT 1)"
    " SELECT 'lead', d.id, format('status is %s, its stage makes it %s', d.status, d.derived) FROM ("
    "   SELECT l.id, l.status, CASE WHEN l.converted_at IS NOT NULL THEN 'converted' WHEN s.outcome = 'lost' "
    "THEN"
    "     'lost' WHEN s.is_qualified THEN 'qualified' WHEN s.id = (SELECT first.id FROM first) THEN 'new'"
    "     ELSE 'contacted' END AS derived FROM kvcrm.leads l"
    "   JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = $1 WHERE l.organization_id = "
    "$1) d"
    " WHERE d.status <> d.derived",
    pg::Plan::kCustom};

const Finder kQualifiedAt{
    "consistency.qualified_at",
    "SELECT 'lead', l.id, CASE WHEN l.converted_at IS NULL THEN 'it is in a qualified stage' ELSE 'it is "
    "converted'"
    " END FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = $1"
    " WHERE l.organization_id = $1 AND l.qualified_at IS NULL AND (s.is_qualified OR l.converted_at IS NOT "
    "NULL)",
    pg::Plan::kCustom};

const Finder kLostReason{"consistency.lost_reason",
                         "SELECT 'lead', l.id, 'it is in a lost stage' FROM kvcrm.leads l JOIN "
                         "kvcrm.lead_stages s ON s.id = l.stage_id"
                         " AND s.organization_id = $1 WHERE l.organization_id = $1 AND s.outcome = 'lost' "
                         "AND l.lost_reason IS NULL",
                         pg::Plan::kCustom};

const Finder kBoardRank{
    "consistency.board_rank",
    "SELECT 'lead', l.id, 'board_rank is not a rank' FROM kvcrm.leads l WHERE l.organization_id = $1"
    " AND l.board_rank !~ '^[0-9A-Za-z]*[1-9A-Za-z]$'",
    pg::Plan::kCustom};

const Finder kBlockKeys{
    "consistency.block_keys",
    "SELECT 'lead', d.id, concat_ws(', ', CASE WHEN d.block_email IS DISTINCT FROM d.email THEN 'block_email' END,"
    "   CASE WHEN d.block_phone IS DISTINCT FROM d.phone THEN 'block_phone' END) || ' is not what the policy '"
    "   || d.duplicate_policy || ' makes it'"
    " FROM (SELECT l.id, l.block_email, l.block_phone, o.duplicate_policy,"
    "     CASE WHEN b.blocks THEN l.email_normalized END AS email, CASE WHEN b.blocks THEN l.phone_e164 END AS phone"
    "   FROM kvcrm.leads l JOIN kvcrm.organizations o ON o.id = $1"
    "   CROSS JOIN LATERAL (SELECT o.duplicate_policy = 'block' AND " LIVE("l") ") AS b (blocks)"
    "   WHERE l.organization_id = $1) d"
    " WHERE d.block_email IS DISTINCT FROM d.email OR d.block_phone IS DISTINCT FROM d.phone",
    pg::Plan::kCustom};

// A merged lead has given its stays to the survivor; it may have got others since, when its stage was
// deleted.
const Finder kOpenStay{
    "consistency.open_stay",
    "SELECT 'lead', l.id, CASE WHEN h.id IS NULL THEN 'no stay is open' WHEN h.stage_id <> l.stage_id THEN"
    "   'the open stay is in another stage' ELSE 'the open stay did not begin at stage_entered_at' END"
    " FROM kvcrm.leads l LEFT JOIN kvcrm.lead_stage_history h ON h.lead_id = l.id AND h.organization_id = $1"
    "   AND h.left_at IS NULL"
    " WHERE l.organization_id = $1 AND (h.id IS NULL AND l.merged_into_id IS NULL OR h.stage_id <> l.stage_id"
    "   OR h.entered_at <> l.stage_entered_at)",
    pg::Plan::kCustom};

// The lead's own stays. One that a merge was undone of has a gap: it was in no stage meanwhile.
const Finder kStays{
    "consistency.stays",
    "SELECT 'lead', d.lead_id, format('the stay that began at %s %s', d.entered_at, CASE WHEN d.left_at < "
    "d.entered_at"
    "   THEN 'ended before' ELSE 'did not end when the next one began' END)"
    " FROM (SELECT h.lead_id, h.entered_at, h.left_at, lead(h.entered_at) OVER (PARTITION BY h.lead_id"
    "     ORDER BY h.entered_at, h.left_at, h.id) AS next FROM kvcrm.lead_stage_history h"
    "   WHERE h.organization_id = $1 AND h.merged_from_id IS NULL) d"
    " WHERE d.left_at < d.entered_at OR d.left_at IS DISTINCT FROM d.next AND d.next IS NOT NULL"
    "   AND NOT EXISTS (SELECT FROM kvcrm.lead_merges m WHERE m.organization_id = $1 AND m.undone_at IS NOT "
    "NULL"
    "     AND d.lead_id = ANY (m.duplicate_ids))",
    pg::Plan::kCustom};

const Finder kBoardCounts{
    "consistency.board_counts",
    "SELECT 'stage', k.stage_id, format('of %s: %s leads worth %s %s are counted as %s worth %s', CASE WHEN"
    "   k.assigned_to = '00000000-0000-0000-0000-000000000000' THEN 'nobody' ELSE 'user ' || k.assigned_to END,"
    "   sum(k.leads), sum(k.value), k.currency, sum(k.counted), sum(k.counted_value))"
    " FROM (SELECT l.stage_id, coalesce(l.assigned_to, '00000000-0000-0000-0000-000000000000') AS assigned_to,"
    "     l.currency, 1 AS leads, coalesce(l.estimated_value, 0) AS value, 0 AS counted, 0 AS counted_value"
    "   FROM kvcrm.leads l WHERE l.organization_id = $1 AND " LIVE("l")
    "   UNION ALL SELECT c.stage_id, c.assigned_to, c.currency, 0, 0, c.leads, c.value"
    "   FROM kvcrm.lead_stage_counts c WHERE c.organization_id = $1) k"
    " GROUP BY k.stage_id, k.assigned_to, k.currency"
    " HAVING sum(k.leads) <> sum(k.counted) OR sum(k.value) <> sum(k.counted_value)",
    pg::Plan::kCustom};

const Finder kAssignee{
    "consistency.assignee",
    "SELECT a.entity, a.id, 'assigned_to is no active member' FROM ("
    "   SELECT 'lead' AS entity, l.id, l.assigned_to FROM kvcrm.leads l WHERE l.organization_id = $1"
    "     AND l.assigned_to IS NOT NULL AND " LIVE("l") " AND l.status <> 'lost'"
    "   UNION ALL SELECT 'activity', a.id, a.assigned_to FROM kvcrm.lead_activities a WHERE a.organization_id = $1"
    "     AND a.assigned_to IS NOT NULL AND a.completed_at IS NULL) a"
    " WHERE NOT EXISTS (SELECT FROM kvcrm.organization_members m WHERE m.organization_id = $1"
    "   AND m.user_id = a.assigned_to AND m.status = 'active')",
    pg::Plan::kCustom};

const Finder kConversion{
    "consistency.conversion",
    "SELECT 'lead', d.id, d.problem FROM (SELECT l.id, CASE"
    "     WHEN (l.converted_at IS NULL) <> (l.converted_to_customer_id IS NULL) THEN"
    "       'it has only one of converted_at and converted_to_customer_id'"
    "     WHEN l.converted_at IS NULL AND j.id IS NOT NULL THEN 'it is not converted, but the ledger has a "
    "conversion'"
    "     WHEN l.converted_at IS NOT NULL AND j.id IS NULL THEN 'the ledger has no conversion of it'"
    "     WHEN j.customer_id <> l.converted_to_customer_id THEN 'the ledger names another customer' END AS "
    "problem"
    "   FROM kvcrm.leads l LEFT JOIN kvcrm.lead_conversions j ON j.lead_id = l.id AND j.organization_id = $1"
    "     AND j.reverted_at IS NULL WHERE l.organization_id = $1) d WHERE d.problem IS NOT NULL",
    pg::Plan::kCustom};

const Finder kSourceLead{
    "consistency.source_lead",
    "SELECT 'customer', c.id, 'source_lead_id is no lead that became this customer' FROM kvcrm.customers c"
    " WHERE c.organization_id = $1 AND c.source_lead_id IS NOT NULL AND NOT EXISTS (SELECT FROM kvcrm.leads l"
    "   WHERE l.id = c.source_lead_id AND l.organization_id = $1 AND l.converted_to_customer_id = c.id)",
    pg::Plan::kCustom};

const Finder kQuoteCustomer{
    "consistency.quote_customer",
    "SELECT 'quote', q.id, CASE WHEN l.converted_to_customer_id IS NULL THEN 'it has a customer, its lead "
    "has none'"
    "   WHEN q.customer_id IS NULL THEN 'it has no customer, its lead has one'"
    "   ELSE 'its lead became another customer' END"
    " FROM kvcrm.quotes q JOIN kvcrm.leads l ON l.id = q.lead_id AND l.organization_id = $1"
    " WHERE q.organization_id = $1 AND q.customer_id IS DISTINCT FROM l.converted_to_customer_id",
    pg::Plan::kCustom};

// Down from the survivors: what is not reached goes round in a circle.
const Finder kMergeChain{
    "consistency.merge_chain",
    "WITH RECURSIVE reached AS (SELECT m.id FROM kvcrm.leads m JOIN kvcrm.leads l ON l.id = m.merged_into_id"
    "     AND l.organization_id = $1 WHERE m.organization_id = $1 AND m.merged_into_id IS NOT NULL"
    "     AND l.merged_into_id IS NULL"
    "   UNION ALL SELECT m.id FROM reached JOIN kvcrm.leads m ON m.merged_into_id = reached.id"
    "     AND m.organization_id = $1)"
    " SELECT 'lead', l.id, 'the leads it was merged into don''t end at one that was not merged' FROM "
    "kvcrm.leads l"
    " WHERE l.organization_id = $1 AND l.merged_into_id IS NOT NULL"
    "   AND NOT EXISTS (SELECT FROM reached WHERE reached.id = l.id)",
    pg::Plan::kCustom};

const Finder kMerge{
    "consistency.merge",
    "SELECT 'lead', l.id, 'the ledger has no merge into the lead it was merged into' FROM kvcrm.leads l"
    " WHERE l.organization_id = $1 AND l.merged_into_id IS NOT NULL AND NOT EXISTS (SELECT FROM "
    "kvcrm.lead_merges m"
    "   WHERE m.survivor_id = l.merged_into_id AND m.organization_id = $1 AND m.undone_at IS NULL"
    "   AND l.id = ANY (m.duplicate_ids))"
    " UNION ALL SELECT 'lead', l.id, format('merge %s stands, but it is not merged into its survivor', m.id)"
    " FROM kvcrm.lead_merges m CROSS JOIN unnest(m.duplicate_ids) AS d (id)"
    " JOIN kvcrm.leads l ON l.id = d.id AND l.organization_id = $1"
    " WHERE m.organization_id = $1 AND m.undone_at IS NULL AND l.merged_into_id IS DISTINCT FROM "
    "m.survivor_id",
    pg::Plan::kCustom};

const Finder kMergedRows{
    "consistency.merged_rows",
    "SELECT r.entity, r.id, 'its lead was merged into another one' FROM kvcrm.leads l JOIN ("
    "   SELECT 'activity' AS entity, a.id, a.lead_id FROM kvcrm.lead_activities a WHERE a.organization_id = "
    "$1"
    "   UNION ALL SELECT 'quote', q.id, q.lead_id FROM kvcrm.quotes q WHERE q.organization_id = $1) r"
    " ON r.lead_id = l.id WHERE l.organization_id = $1 AND l.merged_into_id IS NOT NULL",
    pg::Plan::kCustom};

const Finder kErased{
    "consistency.erased",
    "SELECT 'lead', l.id, concat_ws(', ', CASE WHEN l.deleted_at IS NULL THEN 'deleted_at' END, CASE WHEN "
    "l.name <> "
    "'Erased' THEN 'name' END, CASE WHEN l.custom_fields <> '{}' THEN 'custom_fields' END, CASE WHEN "
    "coalesce(l.lost_reason, 'Erased') <> 'Erased' THEN 'lost_reason' END, CASE WHEN num_nonnulls(l.email, "
    "l.phone, "
    "l.company, l.\"position\", l.inn) > 0 THEN 'other texts' END) || ' of what was erased: not as erasing "
    "leaves it'"
    " FROM kvcrm.leads l WHERE l.organization_id = $1"
    " AND l.erased_at IS NOT NULL AND (l.deleted_at IS NULL OR l.name <> 'Erased' OR l.custom_fields <> '{}'"
    "   OR coalesce(l.lost_reason, 'Erased') <> 'Erased'"
    "   OR num_nonnulls(l.email, l.phone, l.company, l.\"position\", l.inn) > 0)"
    " UNION ALL SELECT 'activity', a.id, 'its lead was erased' FROM kvcrm.leads l"
    " JOIN kvcrm.lead_activities a ON a.lead_id = l.id AND a.organization_id = $1"
    " WHERE l.organization_id = $1 AND l.erased_at IS NOT NULL"
    "   AND (a.title, coalesce(a.description, ''), a.metadata) <> ('Erased', '', '{}')",
    pg::Plan::kCustom};

const Finder kDuplicatePair{
    "consistency.duplicate_pair",
    "SELECT 'duplicate_pair', p.id, CASE WHEN (p.status = 'open') <> (p.decided_at IS NULL) THEN"
    "   'decided_at does not fit its status' ELSE 'neither of the two leads was merged' END"
    " FROM kvcrm.duplicate_pairs p WHERE p.organization_id = $1 AND ((p.status = 'open') <> (p.decided_at IS "
    "NULL)"
    "   OR p.status = 'merged' AND NOT EXISTS (SELECT FROM kvcrm.leads l WHERE l.organization_id = $1"
    "     AND l.id IN (p.lead_id, p.other_lead_id) AND l.merged_into_id IS NOT NULL))",
    pg::Plan::kCustom};

const Finder kOwner{
    "consistency.owner",
    "SELECT 'organization', o.id, 'no member is an active owner' FROM kvcrm.organizations o WHERE o.id = $1"
    " AND EXISTS (SELECT FROM kvcrm.organization_members m WHERE m.organization_id = $1)"
    " AND NOT EXISTS (SELECT FROM kvcrm.organization_members m WHERE m.organization_id = $1 AND m.role_slug "
    "= 'owner'"
    "   AND m.status = 'active')"
    " UNION ALL SELECT 'organization', o.id, 'the role owner does not allow everything' FROM "
    "kvcrm.organizations o"
    " WHERE o.id = $1 AND NOT EXISTS (SELECT FROM kvcrm.roles r WHERE r.organization_id = $1 AND r.slug = "
    "'owner'"
    "   AND r.permissions = '{*:*}')"};

const Finder kOpenStage{
    "consistency.open_stage",
    "SELECT 'organization', o.id, 'no stage is open' FROM kvcrm.organizations o WHERE o.id = $1 AND NOT "
    "EXISTS"
    " (SELECT FROM kvcrm.lead_stages s WHERE s.organization_id = $1 AND s.outcome = 'open')"};

// A position is that of the entry acknowledged last: one beyond the end of the feed skips what comes.
const Finder kFeed{
    "consistency.feed",
    "SELECT 'feed_consumer', c.id, 'its position is that of no entry of the log' FROM kvcrm.feed_consumers c"
    " WHERE c.organization_id = $1 AND NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.id = c.event_id"
    "   AND g.organization_id = $1 AND g.feed_epoch = c.feed_epoch AND g.tx = c.tx)"
    " UNION ALL SELECT 'organization', e.organization_id, 'the log has entries of an epoch to come'"
    " FROM kvcrm.feed_epochs e WHERE e.organization_id = $1 AND EXISTS (SELECT FROM kvcrm.activity_logs g"
    "   WHERE g.organization_id = $1 AND g.feed_epoch > e.epoch)"};

const Finder kRoles{
    "consistency.roles",
    "SELECT 'role', r.id, format('permission %s is unknown', p.token) FROM kvcrm.roles r"
    " CROSS JOIN unnest(r.permissions) AS p (token) WHERE r.organization_id = $1 AND p.token <> '*:*'"
    " AND NOT EXISTS (SELECT FROM kvcrm.permission_registry() k WHERE p.token IN (k.permission,"
    "   split_part(k.permission, ':', 1) || ':*'))"};

const Finder kCustomFields{
    "consistency.custom_fields",
    "SELECT r.entity, r.id, CASE WHEN d.key IS NULL THEN 'custom_fields is no object'"
    "   ELSE format('field %s does not fit its definition', d.key) END"
    " FROM (SELECT 'lead' AS entity, l.id, l.custom_fields FROM kvcrm.leads l WHERE l.organization_id = $1"
    "     AND l.custom_fields <> '{}'"
    "   UNION ALL SELECT 'customer', c.id, c.custom_fields FROM kvcrm.customers c WHERE c.organization_id = "
    "$1"
    "     AND c.custom_fields <> '{}'"
    "   UNION ALL SELECT 'quote', q.id, q.custom_fields FROM kvcrm.quotes q WHERE q.organization_id = $1"
    "     AND q.custom_fields <> '{}') r"
    " LEFT JOIN kvcrm.custom_field_definitions d ON d.organization_id = $1 AND d.entity = r.entity"
    "   AND jsonb_typeof(r.custom_fields) = 'object' AND r.custom_fields ? d.key"
    "   AND NOT kvcrm.field_fits(r.custom_fields -> d.key, d.type, d.options)"
    " WHERE d.key IS NOT NULL OR jsonb_typeof(r.custom_fields) <> 'object'",
    pg::Plan::kCustom};

#define UNLOGGED(entity, table)                                                                              \
  "SELECT '" entity "', t.id, 'the log does not tell that it was created' FROM kvcrm." table                 \
  " t"                                                                                                       \
  " WHERE t.organization_id = $1 AND NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.entity_id = t.id" \
  "   AND g.organization_id = $1 AND g.entity_type = '" entity "' AND g.action = 'created')"

const Finder kLog{"consistency.log",
                  UNLOGGED("lead", "leads") " UNION ALL " UNLOGGED("activity", "lead_activities") " UNION ALL "
                  UNLOGGED("customer", "customers") " UNION ALL " UNLOGGED("contact", "customer_contacts")
                  " UNION ALL " UNLOGGED("quote", "quotes") " UNION ALL " UNLOGGED("stage", "lead_stages")
                  " UNION ALL " UNLOGGED("member", "organization_members") " UNION ALL " UNLOGGED("role", "roles"),
                  pg::Plan::kCustom};

// clang-format off
// That of a value, among what the log ever said its column became: entries of two transactions at one moment have no
// order that is known here. A column that the log never mentions has been null since the row was created. Not looked at:
// phones, which refresh_derived() rewrites without a word, and what of an erased lead the log doesn't tell any more.
#define LOGGED(column) \
  ", array_agg(g.changes #> '{" column ",new}') FILTER (WHERE g.changes ? '" column "') AS \"" column "\""
#define LOGGED_TIME(column) \
  ", array_agg(coalesce((g.changes #>> '{" column ",new}')::timestamptz, '-infinity'))" \
  "   FILTER (WHERE g.changes ? '" column "') AS \"" column "\""
#define UNTOLD_AS(column, value, null) \
  ", CASE WHEN NOT coalesce(coalesce(" value ", " null ") = ANY (h.\"" column "\"), t.\"" column "\" IS NULL)" \
  " THEN '" column "' END"
#define UNTOLD(column) UNTOLD_AS(column, "to_jsonb(t.\"" column "\")", "'null'")
#define UNTOLD_ARRAY(column) UNTOLD_AS(column, "to_jsonb(t.\"" column "\"::text)", "'null'")
#define UNTOLD_TIME(column) UNTOLD_AS(column, "t.\"" column "\"", "'-infinity'")
#define UNTOLD_VALUES(entity, table, logged, untold, condition) \
  "SELECT '" entity "', d.id, 'the log does not tell of ' || d.columns FROM (SELECT t.id, concat_ws(', '" untold \
  ") AS columns FROM kvcrm." table " t JOIN (SELECT g.entity_id" logged " FROM kvcrm.activity_logs g" \
  "   WHERE g.organization_id = $1 AND g.entity_type = '" entity "' GROUP BY g.entity_id) h ON h.entity_id = t.id" \
  " WHERE t.organization_id = $1" condition ") d WHERE d.columns <> ''"
#define OF_NO_ERASED_LEAD \
  " AND NOT EXISTS (SELECT FROM kvcrm.leads e WHERE e.id = t.lead_id AND e.organization_id = $1" \
  "   AND e.erased_at IS NOT NULL)"
#define COLUMNS_OF_LEADS(told, time) told("name") told("email") told("company") told("position") told("inn") \
  told("source") told("stage_id") told("assigned_to") told("estimated_value") told("currency") \
  told("custom_fields") told("lost_reason") told("converted_to_customer_id") told("merged_into_id") \
  told("legal_hold") time("converted_at") time("deleted_at")
#define COLUMNS_OF_ACTIVITIES(told, time) told("lead_id") told("type") told("title") told("description") \
  told("assigned_to") told("metadata") time("due_date") time("completed_at")
#define COLUMNS_OF_CUSTOMERS(told, time) told("name") told("company") told("inn") told("email") told("notes") \
  told("custom_fields") told("owner_user_id") told("source_lead_id") time("deleted_at")
#define COLUMNS_OF_CONTACTS(told) told("customer_id") told("name") told("email") told("position") told("is_primary")
#define COLUMNS_OF_QUOTES(told, time) told("customer_id") told("lead_id") told("number") told("title") told("amount") \
  told("currency") told("status") told("custom_fields") time("sent_at") time("decided_at")
#define COLUMNS_OF_STAGES(told) told("name") told("description") told("is_qualified") told("outcome") \
  told("probability") told("order_index") told("color") told("rotting_days")
#define COLUMNS_OF_MEMBERS(told) told("user_id") told("role_slug") told("team_id") told("status") \
  told("display_name") told("email") told("assignment_capacity")
#define COLUMNS_OF_ROLES(told, array) told("slug") told("name") array("permissions")

const Finder kLogValues{
    "consistency.log_values",
    UNTOLD_VALUES("lead", "leads", COLUMNS_OF_LEADS(LOGGED, LOGGED_TIME), COLUMNS_OF_LEADS(UNTOLD, UNTOLD_TIME),
                  " AND t.erased_at IS NULL") " UNION ALL "
    UNTOLD_VALUES("activity", "lead_activities", COLUMNS_OF_ACTIVITIES(LOGGED, LOGGED_TIME),
                  COLUMNS_OF_ACTIVITIES(UNTOLD, UNTOLD_TIME), OF_NO_ERASED_LEAD) " UNION ALL "
    UNTOLD_VALUES("customer", "customers", COLUMNS_OF_CUSTOMERS(LOGGED, LOGGED_TIME),
                  COLUMNS_OF_CUSTOMERS(UNTOLD, UNTOLD_TIME), "") " UNION ALL "
    UNTOLD_VALUES("contact", "customer_contacts", COLUMNS_OF_CONTACTS(LOGGED), COLUMNS_OF_CONTACTS(UNTOLD), "")
    " UNION ALL "
    UNTOLD_VALUES("quote", "quotes", COLUMNS_OF_QUOTES(LOGGED, LOGGED_TIME), COLUMNS_OF_QUOTES(UNTOLD, UNTOLD_TIME),
                  OF_NO_ERASED_LEAD) " UNION ALL "
    UNTOLD_VALUES("stage", "lead_stages", COLUMNS_OF_STAGES(LOGGED), COLUMNS_OF_STAGES(UNTOLD), "") " UNION ALL "
    UNTOLD_VALUES("member", "organization_members", COLUMNS_OF_MEMBERS(LOGGED), COLUMNS_OF_MEMBERS(UNTOLD), "")
    " UNION ALL "
    UNTOLD_VALUES("role", "roles", COLUMNS_OF_ROLES(LOGGED, LOGGED), COLUMNS_OF_ROLES(UNTOLD, UNTOLD_ARRAY), ""),
    pg::Plan::kCustom};
// clang-format on

// What foreign keys hold, unless data was loaded without them.
#define DANGLING(entity, table, column, target)                                                          \
  "SELECT '" entity "', t.id, '" column " refers to nothing' FROM kvcrm." table                          \
  " t"                                                                                                   \
  " WHERE t.organization_id = $1 AND t." column " IS NOT NULL AND NOT EXISTS (SELECT FROM kvcrm." target \
  " r"                                                                                                   \
  "   WHERE r.id = t." column " AND r.organization_id = $1)"

const Finder kReferences{
    "consistency.references",
    DANGLING("lead", "leads", "stage_id", "lead_stages") " UNION ALL "
    DANGLING("lead", "leads", "converted_to_customer_id", "customers") " UNION ALL "
    DANGLING("lead", "leads", "merged_into_id", "leads") " UNION ALL "
    DANGLING("lead", "lead_fingerprints", "id", "leads") " UNION ALL "
    DANGLING("lead", "lead_field_keys", "id", "leads") " UNION ALL "
    DANGLING("stay", "lead_stage_history", "lead_id", "leads") " UNION ALL "
    DANGLING("activity", "lead_activities", "lead_id", "leads") " UNION ALL "
    DANGLING("quote", "quotes", "lead_id", "leads") " UNION ALL "
    DANGLING("quote", "quotes", "customer_id", "customers") " UNION ALL "
    DANGLING("contact", "customer_contacts", "customer_id", "customers") " UNION ALL "
    DANGLING("customer", "customer_fingerprints", "id", "customers") " UNION ALL "
    DANGLING("duplicate_pair", "duplicate_pairs", "lead_id", "leads") " UNION ALL "
    DANGLING("duplicate_pair", "duplicate_pairs", "other_lead_id", "leads") " UNION ALL "
    DANGLING("transition", "lead_stage_transitions", "from_stage_id", "lead_stages") " UNION ALL "
    DANGLING("transition", "lead_stage_transitions", "to_stage_id", "lead_stages") " UNION ALL "
    DANGLING("field", "custom_field_definitions", "required_from_stage_id", "lead_stages") " UNION ALL "
    DANGLING("member", "organization_members", "team_id", "teams") " UNION ALL "
    DANGLING("activity", "email_messages", "id", "lead_activities") " UNION ALL "
    DANGLING("import", "lead_import_writes", "import_id", "lead_imports") " UNION ALL "
    DANGLING("assignment_rule", "assignment_rules", "team_id", "teams") " UNION ALL "
    "SELECT 'assignment_rule', a.id, 'user_id refers to nothing' FROM kvcrm.assignment_rules a"
    " WHERE a.organization_id = $1 AND a.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM kvcrm.organization_members m"
    "   WHERE m.organization_id = $1 AND m.user_id = a.user_id) UNION ALL "
    "SELECT 'member', m.id, 'role_slug refers to nothing' FROM kvcrm.organization_members m"
    " WHERE m.organization_id = $1 AND NOT EXISTS (SELECT FROM kvcrm.roles r WHERE r.organization_id = $1"
    "   AND r.slug = m.role_slug)",
    pg::Plan::kCustom};

// --- what is derived in C++ ---

const pg::Statement<pg::Uuid> kLeads{
    "consistency.leads",
    "SELECT l.id, l.name, l.company, l.email, l.phone, l.inn, l.email_normalized, l.phone_e164, "
    "l.custom_fields,"
    " l.created_at, f.search_text, f.match_keys, f.match_values, f.derivation_version, f.created_at, k.keys,"
    " k.created_at FROM kvcrm.leads l"
    " LEFT JOIN kvcrm.lead_fingerprints f ON f.id = l.id AND f.organization_id = $1"
    " LEFT JOIN kvcrm.lead_field_keys k ON k.id = l.id AND k.organization_id = $1 WHERE l.organization_id = "
    "$1",
    pg::Plan::kCustom};
enum LeadField {
  kLId,
  kLName,
  kLCompany,
  kLEmail,
  kLPhone,
  kLInn,
  kLEmailNormalized,
  kLPhoneE164,
  kLCustomFields,
  kLCreatedAt,
  kLSearchText,
  kLMatchKeys,
  kLMatchValues,
  kLDerivationVersion,
  kLFingerprintCreatedAt,
  kLFieldKeys,
  kLFieldKeysCreatedAt
};

const pg::Statement<pg::Uuid> kCustomers{"consistency.customers",
                                         "SELECT c.id, c.email, c.phone, c.inn, c.deleted_at IS NULL, "
                                         "f.match_keys, f.match_values, f.derivation_version"
                                         " FROM kvcrm.customers c LEFT JOIN kvcrm.customer_fingerprints f ON "
                                         "f.id = c.id AND f.organization_id = $1"
                                         " WHERE c.organization_id = $1",
                                         pg::Plan::kCustom};
enum CustomerField { kCId, kCEmail, kCPhone, kCInn, kCLive, kCMatchKeys, kCMatchValues, kCDerivationVersion };

const pg::Statement<pg::Uuid> kContacts{
    "consistency.contacts", "SELECT id, email, phone FROM kvcrm.customer_contacts WHERE organization_id = $1",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid> kMembers{
    "consistency.members", "SELECT id, email FROM kvcrm.organization_members WHERE organization_id = $1"};

// Which of the values $4 (of the kinds $3) that the customers $2 have they neither own nor stand in line for,
// behind another one: their places, from 0, and whether somebody else owns the value.
const pg::Statement<pg::Uuid, Ids, Texts, Texts> kUnowned{
    "consistency.unowned",
    "SELECT (v.place - 1)::int4, i.id IS NOT NULL FROM unnest($2, $3, $4) WITH ORDINALITY AS v (customer_id, "
    "kind, value, place) LEFT JOIN kvcrm.customer_identities i ON i.organization_id = $1 AND i.kind = v.kind "
    "COLLATE \"C\""
    "   AND i.value = v.value COLLATE \"C\" WHERE i.id IS NULL OR i.customer_id <> v.customer_id AND NOT "
    "EXISTS"
    " (SELECT FROM kvcrm.customer_identity_heirs h WHERE h.organization_id = $1 AND h.kind = i.kind"
    "   AND h.value = i.value AND h.customer_id = v.customer_id)"};

// What a customer owns is its own, or a lead's that became it; an erased lead doesn't tell any more.
const pg::Statement<pg::Uuid> kIdentities{
    "consistency.identities",
    "SELECT i.customer_id, i.kind, i.value, i.owns, c.id IS NOT NULL, c.deleted_at IS NULL,"
    " CASE i.kind WHEN 'email' THEN c.email WHEN 'phone' THEN c.phone ELSE c.inn END,"
    " EXISTS (SELECT FROM kvcrm.leads l WHERE l.converted_to_customer_id = i.customer_id AND "
    "l.organization_id = $1"
    "   AND (l.erased_at IS NOT NULL OR i.value = CASE i.kind WHEN 'email' THEN l.email_normalized"
    "     WHEN 'phone' THEN l.phone_e164 ELSE l.inn END)),"
    " i.owns OR EXISTS (SELECT FROM kvcrm.customer_identities o WHERE o.organization_id = $1 AND o.kind = "
    "i.kind"
    "   AND o.value = i.value AND o.customer_id <> i.customer_id)"
    " FROM (SELECT customer_id, kind, value, true AS owns FROM kvcrm.customer_identities WHERE "
    "organization_id = $1"
    "   UNION ALL SELECT customer_id, kind, value, false FROM kvcrm.customer_identity_heirs"
    "   WHERE organization_id = $1) i"
    " LEFT JOIN kvcrm.customers c ON c.id = i.customer_id AND c.organization_id = $1",
    pg::Plan::kCustom};
enum IdentityField { kICustomer, kIKind, kIValue, kIOwns, kIThere, kILive, kIOwn, kIOfLead, kIBehind };

// The texts of a table and how long each may be, in characters.
struct TextTable {
  const char* entity;
  pg::Statement<pg::Uuid> texts;  // id, then the texts
  std::vector<std::pair<const char*, int>> columns;
};
constexpr int kName = crm::kNameLength, kShort = crm::kShortLength, kLong = crm::kTextLength;
#define TEXTS(table, columns)                                                                                \
  {                                                                                                          \
    "consistency.texts_of_" table, "SELECT id, " columns " FROM kvcrm." table " WHERE organization_id = $1", \
        pg::Plan::kCustom                                                                                    \
  }
const TextTable kTextTables[] = {
    {"lead",
     TEXTS("leads", "name, email, phone, company, \"position\", inn, source, lost_reason"),
     {{"name", kName},
      {"email", kName},
      {"phone", kShort},
      {"company", kName},
      {"position", kShort},
      {"inn", kShort},
      {"source", kShort},
      {"lost_reason", kLong}}},
    {"activity", TEXTS("lead_activities", "title, description"), {{"title", kName}, {"description", kLong}}},
    {"customer",
     TEXTS("customers", "name, company, inn, email, phone, notes"),
     {{"name", kName},
      {"company", kName},
      {"inn", kShort},
      {"email", kName},
      {"phone", kShort},
      {"notes", kLong}}},
    {"contact",
     TEXTS("customer_contacts", "name, email, phone, \"position\""),
     {{"name", kName}, {"email", kName}, {"phone", kShort}, {"position", kShort}}},
    {"quote", TEXTS("quotes", "number, title"), {{"number", kShort}, {"title", kName}}},
    {"stage", TEXTS("lead_stages", "name, description"), {{"name", kShort}, {"description", kLong}}},
    {"source", TEXTS("lead_sources", "slug, name"), {{"slug", kShort}, {"name", kShort}}},
    {"field", TEXTS("custom_field_definitions", "key, name"), {{"key", kShort}, {"name", kShort}}},
    {"member",
     TEXTS("organization_members", "display_name, email"),
     {{"display_name", kName}, {"email", kName}}},
    {"role", TEXTS("roles", "name"), {{"name", kName}}},
    {"team", TEXTS("teams", "name"), {{"name", kName}}},
    {"organization",
     {"consistency.texts_of_organizations", "SELECT id, name FROM kvcrm.organizations WHERE id = $1"},
     {{"name", kName}}},
};

// --- the registry ---

// Each invariant: its name, what holds, and the query that finds what breaks it, null when C++ does.
struct Invariant {
  const char* name;
  const char* meaning;
  const Finder* finder = nullptr;
};
const Invariant kInvariants[] = {
    {"texts", "Texts are trimmed, not empty and no longer than they may be."},
    {"email", "E-mail addresses are valid."},
    {"phone", "Phones are in E.164 if they can be understood."},
    {"inn",
     "An INN has 10 or 12 digits and a correct checksum, unless the organization turned the check off."},
    {"email_normalized", "email_normalized of a lead is what its e-mail gives."},
    {"phone_e164", "phone_e164 of a lead is its phone if that is in E.164, else null."},
    {"fingerprint", "Search and matching read what the texts of a lead or customer give."},
    {"derivation_version",
     "What is derived was derived by this version's rules and the libraries that are loaded."},
    {"field_keys", "The index of custom fields holds what a lead's custom_fields give."},
    {"identity",
     "Whatever INN, e-mail or phone a live customer has it owns, or stands in line for behind the owner."},
    {"identity_owner",
     "Who owns an INN, e-mail or phone, or stands in line for it, is a live customer that has it or got it "
     "from "
     "a lead."},
    {"score", "score of a lead is the sum of the scoring rules that apply."},
    {"custom_fields", "custom_fields are an object whose values fit their definitions.", &kCustomFields},
    {"status", "status of a lead follows its stage and its conversion.", &kStatus},
    {"qualified_at", "A lead that is converted or in a qualified stage has qualified_at.", &kQualifiedAt},
    {"lost_reason", "A lead in a lost stage has a lost_reason.", &kLostReason},
    {"board_rank", "A board_rank is a rank, between which others fit.", &kBoardRank},
    {"block_keys", "Live leads under the policy block, and only they, have block_email and block_phone.",
     &kBlockKeys},
    {"open_stay", "A lead has an open stay, in its stage, since stage_entered_at.", &kOpenStay},
    {"stays", "One stay of a lead ends when the next one begins.", &kStays},
    {"board_counts", "The counts of the board are those of the live leads.", &kBoardCounts},
    {"assignee", "Open leads and tasks are assigned to active members or nobody.", &kAssignee},
    {"conversion",
     "A lead is converted exactly if the ledger has a conversion of it that stands, into the same customer.",
     &kConversion},
    {"source_lead", "The lead that a customer comes from became this customer.", &kSourceLead},
    {"quote_customer", "A lead's quotes have the customer it became.", &kQuoteCustomer},
    {"merge_chain", "Whichever way a lead was merged, the last survivor was not.", &kMergeChain},
    {"merge", "A lead is merged exactly if the ledger has a merge of it that stands, into the same survivor.",
     &kMerge},
    {"merged_rows", "Activities and quotes of a merged lead are the survivor's.", &kMergedRows},
    {"erased", "Nothing personal is left in a lead that was erased, nor in its activities.", &kErased},
    {"duplicate_pair", "A pair is open or was decided at some time; of a merged one, a lead was merged.",
     &kDuplicatePair},
    {"owner", "An organization has an active owner, and the role allows everything.", &kOwner},
    {"open_stage", "An organization has an open stage.", &kOpenStage},
    {"roles", "Roles have permissions that there are.", &kRoles},
    {"log", "The log tells of each row that it was created.", &kLog},
    {"log_values", "Each value that a row has the log has told of.", &kLogValues},
    {"feed", "Consumers of the event feed are at an entry of the log; none is of an epoch to come.", &kFeed},
    {"references", "Whatever a row refers to is there, in its organization.", &kReferences},
};

// --- the check of one organization ---

std::string_view ViewOrEmpty(pg::Value value) {
  return value.is_null ? std::string_view() : crm::ViewText(value);
}

class Check {
 public:
  Check(pg::ResultSet& result, const pg::Uuid& organization) : result_(result), organization_(organization) {}

  void Run() {
    const auto rules = crm::ReadOrganizationRules(organization_);
    // Rows of an organization that is not there are told of as such.
    if (!rules) return;
    phones_.emplace(organization_, rules->default_country);
    checks_inn_ = rules->checks_inn;
    for (const TextTable& table : kTextTables) CheckTexts(table);
    ForEachRow(kLeads, [this](const pg::Rows& rows, std::uint64_t i) { CheckLead(rows, i); });
    crm::FindWrongScores(organization_, [this](const pg::Uuid& lead) {
      Report("score", "lead", lead, "score is not the sum of the rules that apply");
    });
    CheckCustomers();
    ForEachRow(kContacts, [this](const pg::Rows& rows, std::uint64_t i) {
      CheckEmail("contact", rows.Get<pg::Uuid>(i, 0), rows.At(i, 1));
      CheckPhone("contact", rows.Get<pg::Uuid>(i, 0), rows.At(i, 2));
    });
    ForEachRow(kMembers, [this](const pg::Rows& rows, std::uint64_t i) {
      CheckEmail("member", rows.Get<pg::Uuid>(i, 0), rows.At(i, 1));
    });
    ForEachRow(kIdentities, [this](const pg::Rows& rows, std::uint64_t i) { CheckIdentity(rows, i); });
    for (const Invariant& invariant : kInvariants) {
      if (invariant.finder == nullptr) continue;
      ForEachRow(*invariant.finder, [&](const pg::Rows& rows, std::uint64_t i) {
        Report(invariant.name, rows.Get<std::string>(i, 0), rows.Get<pg::Uuid>(i, 1),
               rows.Get<std::string>(i, 2));
      });
    }
  }

 private:
  void Report(std::string_view invariant, std::string_view entity, const pg::Uuid& id,
              std::string_view detail) {
    result_.Add(invariant, entity, id, organization_, detail);
  }

  // Calls row(rows, i) for each row of a statement, whose only parameter is the organization. What it
  // allocates is freed now and then.
  template <typename Row>
  void ForEachRow(const pg::Statement<pg::Uuid>& statement, const Row& row) {
    ForEachBatch(statement, [&](const pg::Rows& rows) {
      for (std::uint64_t i = 0; i < rows.size(); ++i) row(rows, i);
    });
  }
  template <typename Batch>
  void ForEachBatch(const pg::Statement<pg::Uuid>& statement, const Batch& batch) {
    pg::Cursor cursor = statement.Open(organization_);
    pg::Scratch scratch;
    for (;;) {
      const pg::Rows rows = cursor.Fetch(kRowsPerFetch);
      if (rows.empty()) return;
      batch(rows);
      pg::CheckForInterrupts();
      scratch.Reset();
    }
  }

  void CheckTexts(const TextTable& table) {
    ForEachRow(table.texts, [&](const pg::Rows& rows, std::uint64_t i) {
      for (std::size_t column = 0; column < table.columns.size(); ++column) {
        const auto [name, limit] = table.columns[column];
        const pg::Value value = rows.At(i, static_cast<int>(column) + 1);
        if (value.is_null) continue;
        const std::string_view text = crm::ViewText(value);
        const char* problem = text::Trim(text).empty()                 ? " is empty"
                              : text::Trim(text).size() != text.size() ? " is not trimmed"
                              : text.size() > static_cast<std::size_t>(limit) &&
                                      text::CountCodePoints(text) > static_cast<std::size_t>(limit)
                                  ? " is too long"
                                  : nullptr;
        if (problem != nullptr)
          Report("texts", table.entity, rows.Get<pg::Uuid>(i, 0), std::string(name) + problem);
      }
    });
  }

  void CheckEmail(const char* entity, const pg::Uuid& id, pg::Value email) {
    if (!email.is_null && !text::IsValidEmail(crm::ViewText(email)))
      Report("email", entity, id, "email is not a valid address");
  }
  void CheckInn(const char* entity, const pg::Uuid& id, pg::Value inn) {
    if (checks_inn_ && !inn.is_null && !text::IsValidInn(crm::ViewText(inn)))
      Report("inn", entity, id, "inn is not valid");
  }
  void CheckPhone(const char* entity, const pg::Uuid& id, pg::Value phone) {
    if (phone.is_null) return;
    const std::string_view typed = crm::ViewText(phone);
    const auto e164 = phones_->Read(typed);
    if (e164 && *e164 != typed) Report("phone", entity, id, "phone is not in E.164, though it is understood");
  }

  void CheckLead(const pg::Rows& rows, std::uint64_t i) {
    const auto id = rows.Get<pg::Uuid>(i, kLId);
    const pg::Value email = rows.At(i, kLEmail), phone = rows.At(i, kLPhone);
    CheckEmail("lead", id, email);
    CheckInn("lead", id, rows.At(i, kLInn));
    CheckPhone("lead", id, phone);
    const OptionalText normalized =
        email.is_null ? std::nullopt : OptionalText(text::NormalizeEmail(crm::ViewText(email)));
    if (rows.Get<OptionalText>(i, kLEmailNormalized) != normalized)
      Report("email_normalized", "lead", id, "email_normalized is not what email gives");
    OptionalText e164;
    if (!phone.is_null) e164 = phones_->Read(crm::ViewText(phone));
    // What is understood but not in E.164 is told of already.
    if (e164 && *e164 != crm::ViewText(phone)) e164.reset();
    if (rows.Get<OptionalText>(i, kLPhoneE164) != e164)
      Report("phone_e164", "lead", id, "phone_e164 is not what phone gives");
    CheckFingerprint(rows, i, id);
    CheckFieldKeys(rows, i, id);
  }

  void CheckFingerprint(const pg::Rows& rows, std::uint64_t i, const pg::Uuid& id) {
    if (rows.IsNull(i, kLSearchText)) return Report("fingerprint", "lead", id, "it has no fingerprint");
    if (!IsCurrent("lead", id, rows.Get<std::int32_t>(i, kLDerivationVersion))) return;
    const crm::LeadFingerprint derived =
        crm::DeriveLead(organization_, {ViewOrEmpty(rows.At(i, kLName)), ViewOrEmpty(rows.At(i, kLCompany)),
                                        ViewOrEmpty(rows.At(i, kLEmail)), ViewOrEmpty(rows.At(i, kLPhone)),
                                        ViewOrEmpty(rows.At(i, kLInn))});
    std::string wrong;
    const auto compare = [&](const char* column, bool same) {
      if (!same) wrong += (wrong.empty() ? "" : ", ") + std::string(column);
    };
    compare("search_text", ViewOrEmpty(rows.At(i, kLSearchText)) == derived.search_text);
    compare("match_values", ViewOrEmpty(rows.At(i, kLMatchValues)) == derived.match_values);
    compare("match_keys", rows.Get<std::vector<std::int64_t>>(i, kLMatchKeys) == derived.match_keys);
    compare("created_at", rows.Get<pg::Timestamp>(i, kLFingerprintCreatedAt).value ==
                              rows.Get<pg::Timestamp>(i, kLCreatedAt).value);
    if (!wrong.empty())
      Report("fingerprint", "lead", id, wrong + " of its fingerprint is not what the lead gives");
  }
  bool IsCurrent(const char* entity, const pg::Uuid& id, std::int32_t version) {
    if (version == crm::DerivationVersion()) return true;
    // The fingerprint itself is as derived now.
    const bool left = version == crm::LeftVersion();
    Report("derivation_version", entity, id,
           left ? "its phone or e-mail address could not be written as derived now"
                : "it was derived by rules and libraries of version " + std::to_string(version) + ", not " +
                      std::to_string(crm::DerivationVersion()));
    return left;
  }

  void CheckFieldKeys(const pg::Rows& rows, std::uint64_t i, const pg::Uuid& id) {
    const std::vector<std::int64_t> derived =
        crm::FieldKeys(organization_, rows.Get<pg::Json>(i, kLCustomFields));
    const bool has_row = !rows.IsNull(i, kLFieldKeys);
    const bool same = has_row ? !derived.empty() &&
                                    rows.Get<std::vector<std::int64_t>>(i, kLFieldKeys) == derived &&
                                    rows.Get<pg::Timestamp>(i, kLFieldKeysCreatedAt).value ==
                                        rows.Get<pg::Timestamp>(i, kLCreatedAt).value
                              : derived.empty();
    if (!same) Report("field_keys", "lead", id, "the index does not hold what custom_fields give");
  }

  void CheckCustomers() {
    ForEachBatch(kCustomers, [this](const pg::Rows& rows) {
      Ids current, owners;
      Texts kinds, values;
      std::vector<std::pair<pg::Uuid, std::uint64_t>> places;
      for (std::uint64_t i = 0; i < rows.size(); ++i) {
        const auto id = rows.Get<pg::Uuid>(i, kCId);
        CheckEmail("customer", id, rows.At(i, kCEmail));
        CheckPhone("customer", id, rows.At(i, kCPhone));
        CheckInn("customer", id, rows.At(i, kCInn));
        if (rows.IsNull(i, kCMatchValues)) {
          Report("fingerprint", "customer", id, "it has no fingerprint");
        } else if (IsCurrent("customer", id, rows.Get<std::int32_t>(i, kCDerivationVersion))) {
          current.push_back(id);
          places.emplace_back(id, i);
        }
        if (!rows.Get<bool>(i, kCLive)) continue;
        for (const auto& [kind, column] : {std::pair("email", kCEmail), {"inn", kCInn}, {"phone", kCPhone}}) {
          const OptionalText value = crm::OwnedForm(kind, rows.Get<OptionalText>(i, column));
          if (!value) continue;
          owners.push_back(id);
          kinds.emplace_back(kind);
          values.push_back(*value);
        }
      }
      std::sort(places.begin(), places.end());
      crm::DeriveCustomers(organization_, current, [&](const crm::CustomerFingerprint& derived) {
        const auto place =
            std::lower_bound(places.begin(), places.end(), std::pair(derived.id, std::uint64_t{0}));
        // Of so many people, which are told apart depends on their order when it was written.
        if (derived.people >= crm::kMostPeople) return;
        auto records = crm::RecordsOfCustomer(crm::ViewText(rows.At(place->second, kCMatchValues)));
        std::vector<std::string_view> wanted(derived.records.begin(), derived.records.end());
        const bool own_first = !records.empty() && records.front() == wanted.front();
        // A contact that became the primary one doesn't move up.
        std::sort(records.begin(), records.end());
        std::sort(wanted.begin(), wanted.end());
        auto keys = rows.Get<std::vector<std::int64_t>>(place->second, kCMatchKeys);
        std::sort(keys.begin(), keys.end());
        if (!own_first || records != wanted || keys != derived.match_keys)
          Report("fingerprint", "customer", derived.id,
                 "its fingerprint is not what it and its contacts give");
      });
      const pg::Rows unowned = kUnowned(organization_, owners, kinds, values);
      for (std::uint64_t i = 0; i < unowned.size(); ++i) {
        const auto place = static_cast<std::size_t>(unowned.Get<std::int32_t>(i, 0));
        Report("identity", "customer", owners[place],
               unowned.Get<bool>(i, 1)
                   ? "another customer owns its " + kinds[place] + ", and it is not in line"
                   : "nobody owns its " + kinds[place]);
      }
    });
  }

  void CheckIdentity(const pg::Rows& rows, std::uint64_t i) {
    const auto kind = rows.Get<std::string>(i, kIKind);
    const char* problem = nullptr;
    if (!rows.Get<bool>(i, kIThere))
      problem = "the customer is not there";
    else if (!rows.Get<bool>(i, kILive))
      problem = "the customer is deleted";
    else if (!rows.Get<bool>(i, kIOfLead) &&
             crm::OwnedForm(kind, rows.Get<OptionalText>(i, kIOwn)) != rows.Get<std::string>(i, kIValue))
      problem = "the customer does not have it";
    else if (!rows.Get<bool>(i, kIBehind))
      problem = "no other customer owns it";
    if (problem != nullptr) {
      Report("identity_owner", "customer", rows.Get<pg::Uuid>(i, kICustomer),
             (rows.Get<bool>(i, kIOwns) ? "it owns a value of kind "
                                        : "it stands in line for a value of kind ") +
                 kind + ": " + problem);
    }
  }

  pg::ResultSet& result_;
  const pg::Uuid organization_;
  std::optional<crm::PhoneReader> phones_;
  bool checks_inn_ = true;
};

// --- all organizations ---

const pg::Statement<> kOrganizations{"consistency.organizations",
                                     "SELECT id FROM kvcrm.organizations ORDER BY id", pg::Plan::kCustom};

#define HOMELESS(table)                                                                             \
  "SELECT '" table "', s.organization_id FROM (SELECT DISTINCT t.organization_id FROM kvcrm." table \
  " t) s"                                                                                           \
  " WHERE NOT EXISTS (SELECT FROM kvcrm.organizations o WHERE o.id = s.organization_id)"
const pg::Statement<> kHomeless{
    "consistency.homeless",
    HOMELESS("leads") " UNION ALL " HOMELESS("lead_fingerprints") " UNION ALL " HOMELESS("lead_field_keys")
    " UNION ALL " HOMELESS("lead_stage_history") " UNION ALL " HOMELESS("lead_stage_counts") " UNION ALL "
    HOMELESS("lead_activities") " UNION ALL " HOMELESS("email_messages") " UNION ALL " HOMELESS("customers") " UNION ALL " HOMELESS("customer_contacts")
    " UNION ALL " HOMELESS("customer_identities") " UNION ALL "
    HOMELESS("customer_identity_heirs") " UNION ALL " HOMELESS("customer_fingerprints") " UNION ALL "
    HOMELESS("quotes") " UNION ALL " HOMELESS("lead_conversions") " UNION ALL " HOMELESS("lead_merges")
    " UNION ALL " HOMELESS("duplicate_pairs") " UNION ALL " HOMELESS("match_models") " UNION ALL "
    HOMELESS("match_common_values") " UNION ALL " HOMELESS("custom_field_definitions") " UNION ALL "
    HOMELESS("lead_stages") " UNION ALL " HOMELESS("lead_stage_transitions") " UNION ALL " HOMELESS("lead_sources")
    " UNION ALL " HOMELESS("scoring_rules") " UNION ALL " HOMELESS("scoring_states")
    " UNION ALL " HOMELESS("email_senders") " UNION ALL " HOMELESS("lead_imports") " UNION ALL "
    HOMELESS("lead_import_writes") " UNION ALL " HOMELESS("feed_consumers")
    " UNION ALL " HOMELESS("assignment_rules") " UNION ALL " HOMELESS("assignment_pools")
    " UNION ALL " HOMELESS("organization_members") " UNION ALL " HOMELESS("teams") " UNION ALL " HOMELESS("roles"),
    pg::Plan::kCustom};

}  // namespace

// check_consistency(organization_id) -> setof (invariant, entity_type, entity_id, organization_id, detail):
// what breaks an invariant; nothing when all is well. The system without an organization checks all of them.
// Errors: 42501 without settings:update; 22023 for a user without an organization.
KVCRM_FUNCTION(check_consistency) {
  const auto given = args.Get<OptionalUuid>(0);
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  if (given || !crm::ActsAsSystem() || crm::CurrentOrganization()) {
    const crm::Caller caller = crm::CallerInGivenOrCurrent(given);
    caller.Require(crm::Permission::kSettingsUpdate);
    Check(result, caller.organization).Run();
    return result.Done();
  }
  const pg::Rows organizations = kOrganizations();
  for (std::uint64_t i = 0; i < organizations.size(); ++i)
    Check(result, organizations.Get<pg::Uuid>(i, 0)).Run();
  const pg::Rows homeless = kHomeless();
  for (std::uint64_t i = 0; i < homeless.size(); ++i) {
    result.Add(std::string_view("references"), std::string_view("organization"), homeless.Get<pg::Uuid>(i, 1),
               homeless.Get<pg::Uuid>(i, 1),
               "it is not there, but has rows of " + homeless.Get<std::string>(i, 0));
  }
  return result.Done();
}

// consistency_registry() -> setof (invariant, meaning): every invariant that check_consistency() knows.
KVCRM_FUNCTION(consistency_registry) {
  pg::ResultSet result(args);
  for (const Invariant& invariant : kInvariants)
    result.Add(std::string_view(invariant.name), std::string_view(invariant.meaning));
  return result.Done();
}
