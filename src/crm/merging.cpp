// Merging: the survivor takes over what belongs to its duplicates; the journal keeps what undo needs.
//
// All leads are locked first, in the order of their ids, so that merges, conversions and deletes at one time
// take turns. The lock of a duplicate is the one that removal would take: whoever is about to refer to it, an
// activity or a row of a host's table, is either done before, and its row moves, or waits and finds the lead
// merged away.
#include "crm/merging.hpp"

#include <algorithm>
#include <set>

#include "crm/audit.hpp"
#include "crm/batches.hpp"
#include "crm/duplicate_warnings.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/host_tables.hpp"
#include "crm/identity.hpp"
#include "crm/rows.hpp"
#include "crm/survivors.hpp"
#include "crm/uuid.hpp"
#include "pg/security.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;
using Ids = std::vector<OptionalUuid>;

// --- which value of each field the survivor gets ---

// The fields that can be chosen: what clients may write, but the place in the pipeline, which moves have
// rules for. A blank one is filled, except that a currency goes with its value and a reason with its stage.
#define FIELDS                                                                              \
  "ARRAY['name', 'email', 'phone', 'company', 'position', 'inn', 'source', 'assigned_to', " \
  "'estimated_value', 'currency', 'lost_reason', 'custom_fields']"
#define IS_CUSTOM(field) field " LIKE 'custom\\_fields.%'"
// The key in custom_fields, behind the prefix.
#define CUSTOM_KEY(field) "substr(" field ", 15)"
#define IS_UUID(text) text " ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"

// What is wrong with the choices $1 for the leads $2.
const pg::Statement<pg::Json, std::vector<pg::Uuid>> kWrongChoice{
    "merging.wrong_choice",
    "SELECT w.field, w.problem FROM (SELECT c.field, CASE WHEN c.field <> ALL (" FIELDS ") AND NOT (" IS_CUSTOM("c.field") " AND length(c.field) > 14)"
    "     THEN 'there is no such field'"
    "   WHEN c.field NOT IN ('assigned_to', 'custom_fields') AND jsonb_typeof(c.choice) = 'string'"
    "     AND " IS_UUID("c.choice #>> '{}'") " AND (c.choice #>> '{}')::uuid <> ALL ($2)"
    "     THEN 'the id is none of the leads to be merged'"
    "   WHEN c.field = 'custom_fields' AND NOT (jsonb_typeof(c.choice) IN ('object', 'null')"
    "     OR c.choice = '\"survivor\"' OR coalesce(" IS_UUID("c.choice #>> '{}'")
    "       AND jsonb_typeof(c.choice) = 'string', false))"
    "     THEN 'expected \"survivor\", the id of a lead or an object'"
    "   WHEN c.field = 'custom_fields' AND jsonb_typeof(c.choice) = 'string' AND c.choice <> '\"survivor\"'"
    "     AND (c.choice #>> '{}')::uuid <> ALL ($2) THEN 'the id is none of the leads to be merged'"
    "   WHEN c.field <> 'custom_fields' AND NOT " IS_CUSTOM("c.field")
    "     AND (jsonb_typeof(c.choice) = 'array' OR (jsonb_typeof(c.choice) = 'object' AND (NOT c.choice ? 'value'"
    "       OR c.choice - 'value' <> '{}' OR jsonb_typeof(c.choice -> 'value') IN ('array', 'object'))))"
    "     THEN 'expected \"survivor\", the id of a lead, or a value'"
    "   END AS problem FROM jsonb_each($1) AS c (field, choice)) w WHERE w.problem IS NOT NULL"
    " ORDER BY w.field LIMIT 1"};

// $1 organization, $2 the leads, the survivor first, $3 choices, $4 whether the caller may assign leads to
// others, $5 the caller. One row: what becomes of each field (for people), the fields to be written, those
// that change (for the journal), the duplicates as they are (for the journal).
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, pg::Json, bool, OptionalUuid> kResolve{
    "merging.resolve",
    "WITH merged AS MATERIALIZED (SELECT u.n, l.id, to_jsonb(l) AS j, l.assigned_to IS NOT NULL"
    "     AND ($4 OR l.assigned_to = $5) AND EXISTS (SELECT FROM kvcrm.organization_members m"
    "       WHERE m.organization_id = $1 AND m.user_id = l.assigned_to AND m.status = 'active') AS assignable"
    "   FROM unnest($2) WITH ORDINALITY AS u (id, n) JOIN kvcrm.leads l ON l.id = u.id AND l.organization_id = $1),"
    " fields AS (SELECT f.field, f.n, false AS custom FROM unnest(array_remove(" FIELDS ", 'custom_fields'))"
    "     WITH ORDINALITY AS f (field, n)"
    "   UNION SELECT 'custom_fields.' || k.key, 100, true FROM ("
    "     SELECT jsonb_object_keys(m.j -> 'custom_fields') AS key FROM merged m"
    "     UNION SELECT " CUSTOM_KEY("c.field") " FROM jsonb_object_keys($3) AS c (field) WHERE " IS_CUSTOM("c.field")
    "     UNION SELECT jsonb_object_keys(CASE jsonb_typeof($3 -> 'custom_fields') WHEN 'object'"
    "       THEN $3 -> 'custom_fields' ELSE '{}' END)) k),"
    " choices AS (SELECT f.*, CASE WHEN $3 ? f.field THEN $3 -> f.field"
    "     WHEN f.custom AND jsonb_typeof($3 -> 'custom_fields') IN ('object', 'null') THEN"
    "       jsonb_build_object('value', coalesce($3 -> 'custom_fields' -> " CUSTOM_KEY("f.field") ", 'null'))"
    "     WHEN f.custom THEN $3 -> 'custom_fields' END AS choice FROM fields f),"
    // 0: a value of the caller's own.
    " chosen AS (SELECT c.*, CASE WHEN c.choice IS NULL THEN NULL WHEN c.choice = '\"survivor\"' THEN 1"
    "     ELSE coalesce((SELECT m.n FROM merged m WHERE jsonb_typeof(c.choice) = 'string'"
    "       AND m.id::text = lower(c.choice #>> '{}')), 0) END AS chosen FROM choices c),"
    // A blank counts as none; of those who could be assigned to, only active members do.
    " filled AS (SELECT c.*, (SELECT min(m.n) FROM merged m WHERE nullif(CASE WHEN c.custom"
    "     THEN m.j -> 'custom_fields' -> " CUSTOM_KEY("c.field") " ELSE m.j -> c.field END, 'null') IS NOT NULL"
    "     AND (m.n = 1 OR (c.field NOT IN ('currency', 'lost_reason')"
    "       AND (c.field <> 'assigned_to' OR m.assignable)))) AS first FROM chosen c),"
    " sources AS (SELECT f.*, coalesce(f.chosen, CASE WHEN f.field = 'currency' THEN"
    "     (SELECT nullif(coalesce(e.chosen, e.first), 0) FROM filled e WHERE e.field = 'estimated_value')"
    "     ELSE f.first END, 1) AS source FROM filled f),"
    " results AS (SELECT s.field, s.n, s.custom, s.source, own.value AS own, coalesce(CASE WHEN s.source > 0"
    "     THEN (SELECT CASE WHEN s.custom THEN m.j -> 'custom_fields' -> " CUSTOM_KEY("s.field")
    "       ELSE m.j -> s.field END FROM merged m WHERE m.n = s.source)"
    "     WHEN jsonb_typeof(s.choice) = 'object' AND s.choice ? 'value' AND s.choice - 'value' = '{}'"
    "       THEN s.choice -> 'value' ELSE s.choice END, 'null') AS value,"
    "   (SELECT jsonb_object_agg(m.id, coalesce(CASE WHEN s.custom THEN m.j -> 'custom_fields' -> "
    CUSTOM_KEY("s.field") " ELSE m.j -> s.field END, 'null')) FROM merged m) AS values,"
    "   (SELECT m.id FROM merged m WHERE m.n = s.source) AS source_id"
    "   FROM sources s CROSS JOIN LATERAL (SELECT CASE WHEN s.custom"
    "     THEN m.j -> 'custom_fields' -> " CUSTOM_KEY("s.field") " ELSE m.j -> s.field END AS value"
    "     FROM merged m WHERE m.n = 1) own),"
    " changed AS (SELECT r.* FROM results r WHERE r.value <> coalesce(r.own, 'null'))"
    " SELECT (SELECT jsonb_agg(jsonb_build_object('field', r.field, 'values', r.values, 'value', r.value,"
    "     'source', CASE r.source WHEN 0 THEN '\"value\"' WHEN 1 THEN '\"survivor\"' ELSE to_jsonb(r.source_id) END,"
    "     'changes', r.value <> coalesce(r.own, 'null')) ORDER BY r.n, r.field) FROM results r)::text,"
    "   coalesce((SELECT jsonb_object_agg(c.field, c.value) FROM changed c WHERE NOT c.custom), '{}')"
    "     || CASE WHEN EXISTS (SELECT FROM changed c WHERE c.custom) THEN jsonb_build_object('custom_fields',"
    "       ((SELECT m.j -> 'custom_fields' FROM merged m WHERE m.n = 1)"
    "         - coalesce((SELECT array_agg(" CUSTOM_KEY("c.field") ") FROM changed c WHERE c.custom AND c.value = 'null'),"
    "           '{}'))"
    "       || coalesce((SELECT jsonb_object_agg(" CUSTOM_KEY("c.field") ", c.value) FROM changed c WHERE c.custom"
    "         AND c.value <> 'null'), '{}')) ELSE '{}' END,"
    // Without an old value where there was no such key.
    "   coalesce((SELECT jsonb_agg(jsonb_build_object('field', c.field) || CASE WHEN c.own IS NULL THEN '{}'"
    "     ELSE jsonb_build_object('old', c.own) END ORDER BY c.n, c.field) FROM changed c), '[]'),"
    "   (SELECT jsonb_agg(m.j ORDER BY m.n) FROM merged m WHERE m.n > 1)::text"};

#define WRITE_FIELDS                                                                                       \
  "UPDATE kvcrm.leads AS l SET (name, email, phone, company, \"position\", inn, source, assigned_to,"      \
  " estimated_value, currency, lost_reason, custom_fields) = (SELECT r.name, r.email, r.phone, r.company," \
  " r.\"position\", r.inn, r.source, r.assigned_to, r.estimated_value, r.currency, r.lost_reason,"         \
  " r.custom_fields FROM jsonb_populate_record(l, $3) AS r) WHERE l.id = $1 AND l.organization_id = $2"

// $3 the fields to be written, $4 those that change; returns these with what was written.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Json, pg::Json> kWriteFields{
    "merging.write_fields",
    WRITE_FIELDS " RETURNING (SELECT jsonb_agg(c.change || jsonb_build_object('new', coalesce(CASE WHEN "
    IS_CUSTOM("c.change ->> 'field'") " THEN l.custom_fields -> " CUSTOM_KEY("(c.change ->> 'field')")
    " ELSE to_jsonb(l) -> (c.change ->> 'field') END, 'null'))) FROM jsonb_array_elements($4) AS c (change))::text"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Json> kRestoreFields{"merging.restore_fields", WRITE_FIELDS};

// --- what follows the leads ---

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, OptionalUuid> kSetMergedInto{
    "merging.set_merged_into",
    "UPDATE kvcrm.leads SET merged_into_id = $3 WHERE organization_id = $1 AND id = ANY ($2)"};

// A lead has one open stay, the survivor its own: those of the others end.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, pg::Uuid> kMoveStays{
    "merging.move_stays",
    "WITH was AS MATERIALIZED (SELECT h.id, h.lead_id, h.left_at IS NULL AS open FROM "
    "kvcrm.lead_stage_history h"
    "   WHERE h.lead_id = ANY ($2) AND h.organization_id = $1),"
    " moved AS (UPDATE kvcrm.lead_stage_history AS h SET lead_id = $3,"
    "   merged_from_id = coalesce(h.merged_from_id, was.lead_id),"
    "   left_at = coalesce(h.left_at, greatest(now(), h.entered_at)), updated_at = now()"
    "   FROM was WHERE h.id = was.id AND h.organization_id = $1)"
    " SELECT coalesce(jsonb_agg(to_jsonb(was)), '[]')::text FROM was"};

// $2 the survivor, $3 the stays, $4 the leads that come back. One that got another open stay meanwhile keeps
// that one. Returns how many were not found.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Json, std::vector<pg::Uuid>> kMoveStaysBack{
    "merging.move_stays_back",
    "WITH given AS MATERIALIZED (SELECT s.* FROM jsonb_to_recordset($3) AS s (id uuid, lead_id uuid, open "
    "boolean)"
    "   WHERE s.lead_id = ANY ($4)),"
    " back AS (UPDATE kvcrm.lead_stage_history AS h SET lead_id = g.lead_id,"
    "   merged_from_id = nullif(h.merged_from_id, g.lead_id), updated_at = now(),"
    "   left_at = CASE WHEN g.open AND NOT EXISTS (SELECT FROM kvcrm.lead_stage_history o WHERE o.lead_id = "
    "g.lead_id"
    "     AND o.organization_id = $1 AND o.left_at IS NULL) THEN NULL ELSE h.left_at END"
    "   FROM given g WHERE h.id = g.id AND h.organization_id = $1 AND h.lead_id = $2 RETURNING h.id)"
    " SELECT ((SELECT count(*) FROM given) - (SELECT count(*) FROM back))::int4"};

// Pairs of merged leads are merged; pairs with others become the survivor's. Where it has one already, or two
// of them are about the same lead, one stands for both, and a "no" is a "no". $2 the leads, $3 the
// duplicates, $4 the survivor, $5 the caller.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, std::vector<pg::Uuid>, pg::Uuid, OptionalUuid>
    kMergePairs{
        "merging.merge_pairs",
        "WITH touched AS MATERIALIZED (SELECT p.*, p.lead_id = ANY ($2) AND p.other_lead_id = ANY ($2) AS "
        "inside,"
        "     CASE WHEN p.lead_id = ANY ($3) THEN p.other_lead_id ELSE p.lead_id END AS other"
        "   FROM kvcrm.duplicate_pairs p WHERE p.organization_id = $1 AND p.status <> 'merged'"
        "     AND (p.lead_id = ANY ($3) OR p.other_lead_id = ANY ($3))),"
        " standing AS MATERIALIZED (SELECT p.*, CASE WHEN p.lead_id = $4 THEN p.other_lead_id ELSE p.lead_id "
        "END AS other"
        "   FROM kvcrm.duplicate_pairs p WHERE p.organization_id = $1 AND (p.lead_id = $4 OR p.other_lead_id "
        "= $4)),"
        " outside AS (SELECT t.*, row_number() OVER (PARTITION BY t.other ORDER BY t.status <> 'dismissed',"
        "     t.probability DESC, t.id) AS place, EXISTS (SELECT FROM standing s WHERE s.other = t.other) AS "
        "taken"
        "   FROM touched t WHERE NOT t.inside),"
        " changes AS (SELECT t.id, t.lead_id, t.other_lead_id, 'merged' AS status, $5 AS decided_by, now() "
        "AS decided_at"
        "     FROM touched t WHERE t.inside"
        "   UNION ALL SELECT o.id, least($4, o.other), greatest($4, o.other), o.status, o.decided_by, "
        "o.decided_at"
        "     FROM outside o WHERE o.place = 1 AND NOT o.taken"
        "   UNION ALL SELECT s.id, s.lead_id, s.other_lead_id, o.status, o.decided_by, o.decided_at FROM "
        "standing s"
        "     JOIN outside o ON o.other = s.other AND o.place = 1 AND o.status = 'dismissed' WHERE s.status "
        "= 'open'),"
        " written AS (UPDATE kvcrm.duplicate_pairs AS p SET lead_id = c.lead_id, other_lead_id = "
        "c.other_lead_id,"
        "   status = c.status, decided_by = c.decided_by, decided_at = c.decided_at, updated_at = now()"
        "   FROM changes c WHERE p.id = c.id AND p.organization_id = $1)"
        " SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'old', jsonb_build_object('lead_id', "
        "p.lead_id,"
        "     'other_lead_id', p.other_lead_id, 'status', p.status, 'decided_by', p.decided_by, "
        "'decided_at', p.decided_at),"
        "   'new', jsonb_build_object('lead_id', c.lead_id, 'other_lead_id', c.other_lead_id, 'status', "
        "c.status))), '[]')::text"
        " FROM changes c JOIN kvcrm.duplicate_pairs p ON p.id = c.id AND p.organization_id = $1"};

// $2 the pairs, $3 leads that are gone. Returns how many are not as they were left, or have no place to
// return to.
const pg::Statement<pg::Uuid, pg::Json, std::vector<pg::Uuid>> kUnmergePairs{
    "merging.unmerge_pairs",
    "WITH given AS MATERIALIZED (SELECT g.id, o.*, n.lead_id AS new_lead_id, n.other_lead_id AS "
    "new_other_lead_id,"
    "     n.status AS new_status FROM jsonb_to_recordset($2) AS g (id uuid, old jsonb, new jsonb),"
    "     jsonb_to_record(g.old) AS o (lead_id uuid, other_lead_id uuid, status text, decided_by uuid,"
    "       decided_at timestamptz), jsonb_to_record(g.new) AS n (lead_id uuid, other_lead_id uuid, status "
    "text)),"
    " back AS (UPDATE kvcrm.duplicate_pairs AS p SET lead_id = g.lead_id, other_lead_id = g.other_lead_id,"
    "   status = g.status, decided_by = g.decided_by, decided_at = g.decided_at, updated_at = now()"
    "   FROM given g WHERE p.id = g.id AND p.organization_id = $1 AND p.lead_id = g.new_lead_id"
    "     AND p.other_lead_id = g.new_other_lead_id AND p.status = g.new_status"
    "     AND g.lead_id <> ALL ($3) AND g.other_lead_id <> ALL ($3)"
    "     AND NOT EXISTS (SELECT FROM kvcrm.duplicate_pairs q WHERE q.organization_id = $1"
    "       AND q.lead_id = g.lead_id AND q.other_lead_id = g.other_lead_id AND q.id <> g.id) RETURNING p.id)"
    " SELECT ((SELECT count(*) FROM given) - (SELECT count(*) FROM back))::int4"};

// --- the journal ---

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, std::vector<pg::Uuid>, OptionalUuid, pg::Json> kInsert{
    "merging.insert",
    "INSERT INTO kvcrm.lead_merges (organization_id, id, survivor_id, duplicate_ids, merged_by, before_image)"
    " VALUES ($1, $2, $3, $4, $5, $6)"};

const pg::Statement<pg::Uuid, pg::Uuid> kFind{
    "merging.find",
    "SELECT survivor_id, duplicate_ids FROM kvcrm.lead_merges WHERE id = $1 AND organization_id = $2"};

// Only for the system without a current organization: it sees all.
const pg::Statement<pg::Uuid> kOrganizationsOf{"merging.organizations_of",
                                               "SELECT organization_id FROM kvcrm.lead_merges WHERE id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid> kLock{
    "merging.lock",
    "SELECT undone_at IS NOT NULL, before_image -> 'stays', before_image -> 'pairs' FROM kvcrm.lead_merges"
    " WHERE id = $1 AND organization_id = $2 FOR UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kSetUndone{
    "merging.set_undone",
    "UPDATE kvcrm.lead_merges SET undone_at = now(), undone_by = $3, updated_at = now()"
    " WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kTables{
    "merging.tables",
    "SELECT t.item ->> 'table', t.item ->> 'column', (t.item ->> 'lead_id')::uuid, (t.item -> 'rows')::text,"
    " jsonb_array_length(t.item -> 'rows') FROM kvcrm.lead_merges m,"
    " jsonb_array_elements(m.before_image -> 'tables') WITH ORDINALITY AS t (item, n)"
    " WHERE m.id = $1 AND m.organization_id = $2 AND t.item -> 'rows' <> '[]' ORDER BY t.n DESC"};

// The later merge of a survivor, if it stands.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kLaterMerge{
    "merging.later_merge",
    "SELECT id FROM kvcrm.lead_merges WHERE organization_id = $1 AND survivor_id = $2 AND $3 = ANY "
    "(duplicate_ids)"
    " AND undone_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1"};

// --- undo ---

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kErased{
    "merging.erased",
    "SELECT id FROM kvcrm.leads WHERE organization_id = $1 AND id = ANY ($2) AND erased_at IS NOT NULL LIMIT "
    "1"};

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kLockLeads{
    "merging.lock_leads",
    "SELECT id, merged_into_id FROM kvcrm.leads WHERE organization_id = $1 AND id = ANY ($2) ORDER BY id"
    " FOR NO KEY UPDATE"};

// Which of the survivor's fields go back to what they were, and which don't, since they were changed after
// the merge. A member who is not active any more can't be assigned to. $1 merge, $2 organization.
const pg::Statement<pg::Uuid, pg::Uuid> kFieldsBack{
    "merging.fields_back",
    "WITH given AS (SELECT c.item ->> 'field' AS field, " IS_CUSTOM("c.item ->> 'field'") " AS custom, c.item ? 'old' AS was,"
    "     coalesce(c.item -> 'old', 'null') AS old, coalesce(c.item -> 'new', 'null') AS new, l.custom_fields,"
    "     coalesce(CASE WHEN " IS_CUSTOM("c.item ->> 'field'") " THEN l.custom_fields -> " CUSTOM_KEY("(c.item ->> 'field')")
    "       ELSE to_jsonb(l) -> (c.item ->> 'field') END, 'null') AS now"
    "   FROM kvcrm.lead_merges m JOIN kvcrm.leads l ON l.id = m.survivor_id AND l.organization_id = $2,"
    "     jsonb_array_elements(m.before_image -> 'fields') AS c (item) WHERE m.id = $1 AND m.organization_id = $2),"
    " decided AS (SELECT g.*, g.now = g.new AND (g.field <> 'assigned_to' OR g.old = 'null' OR EXISTS (SELECT FROM"
    "     kvcrm.organization_members o WHERE o.organization_id = $2 AND o.user_id = (g.old #>> '{}')::uuid"
    "     AND o.status = 'active')) AS back FROM given g WHERE g.now <> g.old OR (g.custom AND NOT g.was))"
    " SELECT coalesce(jsonb_object_agg(d.field, d.old) FILTER (WHERE d.back AND NOT d.custom), '{}')"
    "   || CASE WHEN bool_or(d.back AND d.custom) THEN jsonb_build_object('custom_fields',"
    "     ((array_agg(d.custom_fields))[1] - coalesce(array_agg(" CUSTOM_KEY("d.field")
    "       ) FILTER (WHERE d.back AND d.custom AND NOT d.was), '{}'))"
    "     || coalesce(jsonb_object_agg(" CUSTOM_KEY("d.field") ", d.old) FILTER (WHERE d.back AND d.custom AND d.was), '{}'))"
    "     ELSE '{}' END,"
    "   coalesce(array_agg(d.field ORDER BY d.field) FILTER (WHERE NOT d.back), '{}') FROM decided d"};

// What people see of a duplicate and was changed since it was merged: lead and fields.
const pg::Statement<pg::Uuid, pg::Uuid> kChangedDuplicates{
    "merging.changed_duplicates",
    "SELECT l.id, array_agg(f.key ORDER BY f.key) FROM kvcrm.lead_merges m,"
    " jsonb_array_elements(m.before_image -> 'duplicates') AS d (item)"
    " JOIN kvcrm.leads l ON l.id = (d.item ->> 'id')::uuid AND l.organization_id = $2,"
    " jsonb_each(d.item) AS f WHERE m.id = $1 AND m.organization_id = $2"
    " AND f.key <> ALL "
    "('{version,updated_at,score,status,merged_into_id,email_normalized,phone_e164,block_email,"
    "block_phone,board_rank}') AND to_jsonb(l) ? f.key"
    " AND CASE WHEN f.key LIKE '%\\_at' THEN (f.value #>> '{}')::timestamptz IS DISTINCT FROM"
    "   (to_jsonb(l) ->> f.key)::timestamptz ELSE to_jsonb(l) -> f.key <> f.value END"
    " GROUP BY l.id ORDER BY l.id"};

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kLeads{
    "merging.leads",
    "SELECT l, to_jsonb(l)::text, l.assigned_to FROM unnest($2) WITH ORDINALITY AS u (id, n) JOIN "
    "kvcrm.leads l ON l.id = "
    "u.id"
    " AND l.organization_id = $1 ORDER BY u.n"};

// Rows per table, for a preview: $1 the journal's tables, $2 its stays, $3 its pairs.
const pg::Statement<pg::Json, pg::Json, pg::Json> kCounts{
    "merging.counts",
    "SELECT coalesce(jsonb_agg(jsonb_build_object('table', c.name, 'column', c.column_name, 'rows', c.moved,"
    "   'collisions', c.left) ORDER BY c.n, c.name, c.column_name), '[]')::text FROM ("
    " SELECT 1 AS n, t.item ->> 'table' AS name, t.item ->> 'column' AS column_name,"
    "   sum(jsonb_array_length(t.item -> 'rows')) AS moved, sum(jsonb_array_length(t.item -> 'left')) AS left"
    "   FROM jsonb_array_elements($1) AS t (item) GROUP BY t.item ->> 'table', t.item ->> 'column'"
    " UNION ALL SELECT 2, 'kvcrm.lead_stage_history', 'lead_id', jsonb_array_length($2), 0"
    " UNION ALL SELECT 3, 'kvcrm.duplicate_pairs', 'lead_id', jsonb_array_length($3), 0) c"
    " WHERE c.moved + c.left > 0"};

std::string Quoted(const pg::Uuid& id) { return '"' + id.Text() + '"'; }

std::string QuotedList(const std::vector<pg::Uuid>& ids) {
  std::string text;
  for (const pg::Uuid& id : ids) text += (text.empty() ? "" : ", ") + Quoted(id);
  return "[" + text + "]";
}

std::vector<pg::Uuid> DuplicateIds(const crm::Merge& merge) {
  std::vector<pg::Uuid> ids;
  for (const crm::Lead& lead : merge.duplicates) ids.push_back(lead.id);
  return ids;
}

std::vector<pg::Uuid> AllIds(const crm::Merge& merge) {
  std::vector<pg::Uuid> ids{merge.survivor.id};
  for (const crm::Lead& lead : merge.duplicates) ids.push_back(lead.id);
  return ids;
}

// Throws 23514 unless the lead can be merged as it is.
void RequireMergeable(const crm::Lead& lead) {
  crm::RequireNotMerged(lead);
  if (lead.converted) {
    throw Error(ERRCODE_CHECK_VIOLATION, "a converted lead can't be merged")
        .Detail("Lead " + lead.id.Text() + " is converted.")
        .Hint("Undo the conversion first, with revert_conversion(lead_id), or merge customers.");
  }
  if (lead.deleted) {
    throw Error(ERRCODE_CHECK_VIOLATION, "a deleted lead can't be merged")
        .Detail("Lead " + lead.id.Text() + " is deleted.")
        .Hint("Restore it first, with restore_lead(lead_id).");
  }
}

void RequireMergeable(const crm::Merge& merge) {
  RequireMergeable(merge.survivor);
  for (const crm::Lead& lead : merge.duplicates) RequireMergeable(lead);
}

// The leads that the arguments name, with the right to merge them.
crm::Merge FindLeads(const pg::Args& args) {
  const auto survivor = args.Require<pg::Uuid>(0, "survivor_id");
  const auto given = args.Require<Ids>(1, "duplicate_ids");
  if (given.empty()) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "duplicate_ids must not be empty");
  std::set<pg::Uuid> seen;
  for (const OptionalUuid& id : given) {
    if (!id) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "duplicate_ids must not contain nulls");
    if (*id == survivor) throw Error(ERRCODE_CHECK_VIOLATION, "a lead is not merged into itself");
    if (!seen.insert(*id).second)
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "duplicate_ids names a lead twice")
          .Detail(id->Text() + ".");
  }
  crm::Merge merge;
  merge.survivor = crm::FindLead(survivor, args.Get<OptionalUuid>(3), crm::Lock::kNone, crm::Merged::kStay);
  merge.survivor.caller.Require(Permission::kLeadsMerge);
  crm::RequireUpdate(merge.survivor);
  for (const OptionalUuid& id : given) {
    merge.duplicates.push_back(
        crm::FindLead(*id, merge.survivor.caller.organization, crm::Lock::kNone, crm::Merged::kStay));
    crm::RequireUpdate(merge.duplicates.back());
  }
  const auto choices = args.Get<std::optional<pg::Json>>(2);
  merge.choices = choices ? pg::Unpack(*choices) : pg::ParseJson("{}");
  if (!pg::IsJsonObject(merge.choices))
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "field_choices must be a JSON object");
  const pg::Rows wrong = kWrongChoice(merge.choices, AllIds(merge));
  if (!wrong.empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "field_choices can't be used")
        .Detail(wrong.Get<std::string>(0, 0) + ": " + wrong.Get<std::string>(0, 1) + ".")
        .Hint(
            "A choice is \"survivor\", the id of one of the leads, or a value; fields of one's own are "
            "custom_fields.KEY.");
  }
  return merge;
}

// Locks them and reads them anew. Leads that were merged away already are told before: a lock on one of those
// would not be in the order that others take.
void LockLeads(crm::Merge& merge) {
  RequireMergeable(merge);
  std::vector<crm::Lead*> leads{&merge.survivor};
  for (crm::Lead& lead : merge.duplicates) leads.push_back(&lead);
  std::sort(leads.begin(), leads.end(), [](const crm::Lead* a, const crm::Lead* b) { return a->id < b->id; });
  for (crm::Lead* lead : leads) {
    *lead =
        crm::FindLead(lead->id, lead->caller.organization,
                      lead == &merge.survivor ? crm::Lock::kRow : crm::Lock::kRemoval, crm::Merged::kStay);
    crm::RequireUpdate(*lead);
  }
  RequireMergeable(merge);
}

struct Resolved {
  std::string fields, duplicates;
  pg::Json patch, changes;
  pg::Rows rows;
};

Resolved ResolveFields(const crm::Merge& merge) {
  const crm::Caller& caller = merge.survivor.caller;
  pg::Rows rows = kResolve.Latest(caller.organization, AllIds(merge), merge.choices,
                                  caller.Can(Permission::kLeadsAssign), caller.user);
  return {rows.Get<std::string>(0, 0), rows.Get<std::string>(0, 3), rows.Get<pg::Json>(0, 1),
          rows.Get<pg::Json>(0, 2), std::move(rows)};
}

// Choosing another assignee is assigning.
void RequireAssign(const crm::Caller& caller, pg::Json patch) {
  const pg::JsonMember assignee = pg::FindMember(patch, "assigned_to");
  if (assignee.kind == pg::JsonMember::Kind::kMissing || caller.Can(Permission::kLeadsAssign)) return;
  if (assignee.kind == pg::JsonMember::Kind::kString && caller.Is(pg::Uuid::Parse(assignee.text))) return;
  crm::RaiseNotAllowed(Permission::kLeadsAssign);
}

std::string TableEntry(const crm::LeadReference& reference, const pg::Uuid& lead,
                       const crm::MovedRows& rows) {
  return "{\"table\": " + pg::QuoteJson(reference.label) +
         ", \"column\": " + pg::QuoteJson(reference.column) + ", \"lead_id\": " + Quoted(lead) +
         ", \"rows\": " + rows.moved_rows + ", \"left\": " + rows.left_rows + "}";
}

std::string LeftLine(const std::string& table, std::int32_t count) {
  return std::to_string(count) + (count == 1 ? " row of " : " rows of ") + table;
}
std::string LeftLine(const std::string& table, std::int32_t count, const std::string& rows) {
  return LeftLine(table, count) + ": " + rows;
}

// Does it, and tells in `result` as far as it came.
void MergeLeads(crm::Merge& merge, crm::MergeResult& result) {
  LockLeads(merge);
  const pg::Uuid& home = merge.survivor.caller.organization;
  const pg::Uuid& survivor = merge.survivor.id;
  const OptionalUuid& user = merge.survivor.caller.user;
  const std::vector<pg::Uuid> duplicates = DuplicateIds(merge);
  const Resolved resolved = ResolveFields(merge);
  result.id = crm::NewUuid();
  result.fields = resolved.fields;
  RequireAssign(merge.survivor.caller, resolved.patch);

  const Authorized authorized;
  // What the survivor is like is known: somebody has just looked.
  const crm::DuplicateChoice untold(crm::OnDuplicate::kAllow);
  std::string written = "[]";
  {
    // Nothing new is typed in: what the leads look like was known before, and an undo has to find it so.
    const crm::DuplicateChoice no_warnings(crm::OnDuplicate::kAllow);
    crm::LogScope log;
    log.Tell("lead", home, survivor, "merged",
             pg::ParseJson("{\"merge_id\": {\"old\": null, \"new\": " + Quoted(result.id) +
                           "}, \"merged_leads\": {\"old\": null, \"new\": " + QuotedList(duplicates) + "}}"));
    // The duplicates first: under the policy 'block' they release what the survivor may take.
    kSetMergedInto.Latest(home, duplicates, survivor);
    if (!pg::IsEmptyObject(resolved.patch)) {
      // Custom fields that the caller wrote down are held to what anybody's are.
      std::optional<crm::CarriedFields> carried;
      if (pg::FindMember(merge.choices, "custom_fields").kind != pg::JsonMember::Kind::kObject)
        carried.emplace();
      const pg::Rows rows = kWriteFields.Latest(survivor, home, resolved.patch, resolved.changes);
      written = rows.Get<std::string>(0, 0);
    }
    log.Write();
  }
  result.stays = kMoveStays.Latest(home, duplicates, survivor).Get<std::string>(0, 0);
  result.pairs = kMergePairs.Latest(home, AllIds(merge), duplicates, survivor, user).Get<std::string>(0, 0);

  std::string tables;
  for (const crm::LeadReference& reference : crm::LeadReferences()) {
    for (const pg::Uuid& duplicate : duplicates) {
      pg::CheckForInterrupts();
      const crm::MovedRows rows = crm::MoveRows(reference, home, duplicate, survivor);
      if (rows.moved + rows.left == 0) continue;
      tables += (tables.empty() ? "" : ", ") + TableEntry(reference, duplicate, rows);
      if (rows.left > 0) {
        result.left.push_back(crm::MayReadRows(reference)
                                  ? LeftLine(reference.label, rows.left, rows.left_rows)
                                  : LeftLine(reference.label, rows.left));
      }
    }
  }
  result.tables = "[" + tables + "]";
  kInsert(home, result.id, survivor, duplicates, user,
          pg::ParseJson("{\"fields\": " + written + ", \"duplicates\": " + resolved.duplicates +
                        ", \"stays\": " + result.stays + ", \"pairs\": " + result.pairs +
                        ", \"tables\": " + result.tables + "}"));
}

void Notice(const char* message, const std::vector<std::string>& lines, const char* hint) {
  if (lines.empty()) return;
  std::string detail;
  for (const std::string& line : lines) detail += (detail.empty() ? "" : "\n") + line;
  const char* text = detail.c_str();
  pg::Call([&] { ereport(NOTICE, (errmsg("%s", message), errdetail("%s", text), errhint("%s", hint))); });
}

std::string Obstacle(int sqlstate, const std::string& message, const std::string& detail) {
  return "[{\"code\": " + pg::QuoteJson(unpack_sql_state(sqlstate)) +
         ", \"message\": " + pg::QuoteJson(message) + ", \"detail\": " + pg::QuoteJson(detail) + "}]";
}

// --- undo ---

struct Undo {
  pg::Uuid id;
  crm::Lead survivor;
  std::vector<pg::Uuid> duplicates;
};

// The merge of that id whose survivor the caller sees. Throws PT404.
Undo FindMerge(const pg::Uuid& id, const OptionalUuid& given) {
  std::vector<crm::Caller> callers = crm::PossibleCallers(given);
  if (callers.empty() && !crm::CurrentUser()) {
    const pg::Rows rows = kOrganizationsOf(id);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  for (const crm::Caller& caller : callers) {
    if (!caller.is_member) continue;
    const pg::Rows rows = kFind(id, caller.organization);
    if (rows.empty()) continue;
    try {
      return {
          id,
          crm::FindLead(rows.Get<pg::Uuid>(0, 0), caller.organization, crm::Lock::kNone, crm::Merged::kStay),
          rows.Get<std::vector<pg::Uuid>>(0, 1)};
    } catch (const Error& error) {
      if (error.sqlstate() != crm::kNotFound) throw;
    }
  }
  throw Error(crm::kNotFound, "merge not found");
}

void RequireUndoable(const Undo& undo) {
  const crm::Lead& survivor = undo.survivor;
  if (survivor.merged_into) {
    const pg::Rows later = kLaterMerge(survivor.caller.organization, *survivor.merged_into, survivor.id);
    throw Error(ERRCODE_CHECK_VIOLATION, "the surviving lead was merged into another one since")
        .Detail(later.empty() ? "" : "Merge " + later.Get<pg::Uuid>(0, 0).Text() + ".")
        .Hint("Undo that merge first.");
  }
  std::vector<pg::Uuid> ids = undo.duplicates;
  ids.push_back(survivor.id);
  if (!kErased.Latest(survivor.caller.organization, ids).empty())
    throw Error(ERRCODE_CHECK_VIOLATION, "the leads were erased: the merge can't be undone");
  if (survivor.converted) {
    throw Error(ERRCODE_CHECK_VIOLATION, "the surviving lead was converted since")
        .Hint("Undo the conversion first, with revert_conversion(lead_id).");
  }
}

// What an undo leaves as it is: for people, and for the log (JSON).
class Left {
 public:
  void Fields(const pg::Uuid& lead, const std::vector<std::string>& fields) {
    std::string text, list;
    for (const std::string& field : fields) {
      text += (text.empty() ? "" : ", ") + field;
      list += (list.empty() ? "" : ", ") + pg::QuoteJson(field);
    }
    Add("lead " + lead.Text() + ": " + text,
        "{\"lead_id\": " + Quoted(lead) + ", \"fields\": [" + list + "]}");
  }
  void Lead(const pg::Uuid& lead) {
    Add("lead " + lead.Text() + " is gone", "{\"lead_id\": " + Quoted(lead) + "}");
  }
  void Rows(const std::string& table, std::int32_t count, const std::string& rows) {
    Add(LeftLine(table, count, rows), "{\"table\": " + pg::QuoteJson(table) + ", \"rows\": " + rows + "}");
  }
  void Count(const std::string& table, std::int32_t count) {
    if (count == 0) return;
    Add(LeftLine(table, count),
        "{\"table\": " + pg::QuoteJson(table) + ", \"count\": " + std::to_string(count) + "}");
  }
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  std::string Json() const { return "[" + json_ + "]"; }

 private:
  void Add(std::string line, const std::string& item) {
    lines_.push_back(std::move(line));
    json_ += (json_.empty() ? "" : ", ") + item;
  }
  std::vector<std::string> lines_;
  std::string json_;
};

// The duplicates first, then the survivor: a function that is given the id of a merged lead locks in this
// order too. Returns those that come back.
std::vector<pg::Uuid> LockLeads(Undo& undo, Left& left) {
  const pg::Uuid& home = undo.survivor.caller.organization;
  std::set<pg::Uuid> found;
  pg::LockForWriting("leads");
  const pg::Rows rows = kLockLeads.Latest(home, undo.duplicates);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (rows.Get<OptionalUuid>(i, 1) == undo.survivor.id) found.insert(rows.Get<pg::Uuid>(i, 0));
  }
  std::vector<pg::Uuid> back;
  for (const pg::Uuid& id : undo.duplicates) {
    if (found.count(id) != 0) {
      back.push_back(id);
    } else {
      left.Lead(id);
    }
  }
  undo.survivor = crm::FindLead(undo.survivor.id, home, crm::Lock::kRow, crm::Merged::kStay);
  return back;
}

void MoveTablesBack(const Undo& undo, const std::vector<pg::Uuid>& back, Left& left) {
  const pg::Uuid& home = undo.survivor.caller.organization;
  const std::vector<crm::LeadReference> references = crm::LeadReferences();
  const pg::Rows tables = kTables(undo.id, home);
  for (std::uint64_t i = 0; i < tables.size(); ++i) {
    pg::CheckForInterrupts();
    const auto label = tables.Get<std::string>(i, 0), column = tables.Get<std::string>(i, 1);
    const auto lead = tables.Get<pg::Uuid>(i, 2);
    const auto rows = tables.Get<std::string>(i, 3);
    const auto count = tables.Get<std::int32_t>(i, 4);
    const auto reference =
        std::find_if(references.begin(), references.end(), [&](const crm::LeadReference& candidate) {
          return candidate.label == label && candidate.column == column;
        });
    // Rows of a table that the caller may not read are counted.
    const bool told = reference != references.end() && crm::MayReadRows(*reference);
    const auto leave = [&](std::int32_t how_many, const std::string& which) {
      if (told)
        left.Rows(label, how_many, which);
      else
        left.Count(label, how_many);
    };
    if (reference == references.end() || std::find(back.begin(), back.end(), lead) == back.end()) {
      leave(count, rows);
      continue;
    }
    const crm::MovedRows moved = crm::MoveRowsBack(*reference, home, undo.survivor.id, lead, rows, count);
    if (moved.left > 0) leave(moved.left, moved.left_rows);
  }
}

}  // namespace

// merge_leads(survivor_id, duplicate_ids uuid[], field_choices jsonb, organization_id) -> leads. Errors:
// 22023 for ids that are missing, repeated or null, and for choices that name no field or none of the leads;
// PT404; 42501 without leads:merge, or the right to update each lead; 23514 for a lead that is merged,
// converted or deleted, for the survivor among the duplicates, and for values that the rules of leads refuse;
// 23505 under the policy 'block'; whatever a table says that may not be written.
KVCRM_FUNCTION(merge_leads) {
  pg::Session session(pg::Access::kWrite);
  crm::Merge merge = FindLeads(args);
  crm::MergeResult result;
  MergeLeads(merge, result);
  Notice("some rows collide with others of the surviving lead and stay with theirs", result.left,
         "undo_merge is not hindered by them.");
  return crm::ReturnFirst(args, kLeads.Latest(merge.survivor.caller.organization, {merge.survivor.id}),
                          "lead");
}

// preview_merge(survivor_id, duplicate_ids uuid[], field_choices jsonb, organization_id) -> jsonb. Errors:
// 22023, PT404 and 42501 as merge_leads; all others are told as obstacles.
KVCRM_FUNCTION(preview_merge) {
  pg::Session session(pg::Access::kWrite);
  crm::Merge merge = FindLeads(args);
  const pg::Uuid home = merge.survivor.caller.organization;
  const std::vector<pg::Uuid> ids = AllIds(merge);
  crm::MergeResult result;
  result.fields = ResolveFields(merge).fields;
  std::string lead = "null", obstacles = "[]";
  {
    pg::SubTransaction attempt;
    try {
      MergeLeads(merge, result);
      lead = kLeads.Latest(home, {merge.survivor.id}).Get<std::string>(0, 1);
    } catch (const pg::Error& error) {
      if (crm::ConcernsAll(error.sqlstate())) throw;
      const ErrorData& data = error.data();
      obstacles = Obstacle(error.sqlstate(), data.message != nullptr ? data.message : "",
                           data.detail != nullptr ? data.detail : "");
    } catch (const Error& error) {
      if (crm::ConcernsAll(error.sqlstate())) throw;
      obstacles = Obstacle(error.sqlstate(), error.message(), error.detail());
    }
  }
  const auto proposal = crm::ProposeSurvivors(home, {ids}).front();
  std::string reasons;
  for (const std::string& reason : proposal.reasons)
    reasons += (reasons.empty() ? "" : ", ") + pg::QuoteJson(reason);
  const pg::Rows counts =
      kCounts(pg::ParseJson(result.tables), pg::ParseJson(result.stays), pg::ParseJson(result.pairs));
  return args.Return(pg::ParseJson("{\"survivor_id\": " + Quoted(merge.survivor.id) + ", \"lead\": " + lead +
                                   ", \"fields\": " + result.fields +
                                   ", \"tables\": " + counts.Get<std::string>(0, 0) +
                                   ", \"proposed_survivor\": {\"lead_id\": " + Quoted(proposal.survivor) +
                                   ", \"reasons\": [" + reasons + "]}, \"obstacles\": " + obstacles + "}"));
}

// undo_merge(merge_id, organization_id) -> setof leads: the survivor, then those that came back, as far as
// the caller sees them. Errors: 22023; PT404 for a merge that is unknown, or whose survivor is not visible;
// 42501 without leads:merge; 23514 when it was undone already, or the survivor was merged or converted since;
// 23505 under the policy 'block'.
KVCRM_FUNCTION(undo_merge) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "merge_id");
  const auto given = args.Get<OptionalUuid>(1);
  pg::ResultSet set(args);
  pg::Session session(pg::Access::kWrite);
  Undo undo = FindMerge(id, given);
  const pg::Uuid home = undo.survivor.caller.organization;
  undo.survivor.caller.Require(Permission::kLeadsMerge);
  RequireUndoable(undo);
  Left left;
  const std::vector<pg::Uuid> back = LockLeads(undo, left);
  RequireUndoable(undo);
  const pg::Rows journal = kLock.Latest(id, home);
  if (journal.Get<bool>(0, 0)) throw Error(ERRCODE_CHECK_VIOLATION, "the merge was undone already");

  const Authorized authorized;
  const crm::DuplicateChoice untold(crm::OnDuplicate::kAllow);
  const pg::Rows fields = kFieldsBack.Latest(id, home);
  if (const auto changed = fields.Get<std::vector<std::string>>(0, 1); !changed.empty())
    left.Fields(undo.survivor.id, changed);
  const pg::Rows changed = kChangedDuplicates.Latest(id, home);
  for (std::uint64_t i = 0; i < changed.size(); ++i)
    left.Fields(changed.Get<pg::Uuid>(i, 0), changed.Get<std::vector<std::string>>(i, 1));
  std::vector<pg::Uuid> gone;
  for (const pg::Uuid& duplicate : undo.duplicates) {
    if (std::find(back.begin(), back.end(), duplicate) == back.end()) gone.push_back(duplicate);
  }
  left.Count("kvcrm.lead_stage_history",
             kMoveStaysBack.Latest(home, undo.survivor.id, journal.Get<pg::Json>(0, 1), back)
                 .Get<std::int32_t>(0, 0));
  left.Count("kvcrm.duplicate_pairs",
             kUnmergePairs.Latest(home, journal.Get<pg::Json>(0, 2), gone).Get<std::int32_t>(0, 0));
  MoveTablesBack(undo, back, left);
  kSetUndone(id, home, undo.survivor.caller.user);

  const crm::DuplicateChoice no_warnings(crm::OnDuplicate::kAllow);
  crm::LogScope log;
  log.Tell(
      "lead", home, undo.survivor.id, "unmerged",
      pg::ParseJson("{\"merge_id\": {\"old\": " + Quoted(id) +
                    ", \"new\": null}, \"merged_leads\": {\"old\": " + QuotedList(undo.duplicates) +
                    ", \"new\": null}" +
                    (left.empty() ? "" : ", \"left\": {\"old\": null, \"new\": " + left.Json() + "}") + "}"));
  const crm::CarriedFields restored;
  // The survivor first: under the policy 'block' it releases what the others had.
  const auto patch = fields.Get<pg::Json>(0, 0);
  if (!pg::IsEmptyObject(patch)) kRestoreFields.Latest(undo.survivor.id, home, patch);
  kSetMergedInto.Latest(home, back, std::nullopt);
  log.Write();

  Notice("something was changed since the merge and is left as it is", left.lines(),
         "The log entry of the undo names it too.");
  std::vector<pg::Uuid> leads{undo.survivor.id};
  leads.insert(leads.end(), back.begin(), back.end());
  const pg::Rows rows = kLeads.Latest(home, leads);
  // The others are whoever's they were before the merge.
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (crm::SeesLead(undo.survivor.caller, rows.Get<OptionalUuid>(i, 2)))
      set.AddComposite(rows.At(i, 0).datum);
  }
  return set.Done();
}
