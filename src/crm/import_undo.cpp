// Imports taken back.
//
// Leads that the import created are deleted, as delete_lead does: rows of other tables that refer to them
// stay valid. Leads that it updated get back what they were before.
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/leads.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "pg/security.hpp"
#include "pg/entry.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

const pg::Statement<pg::Uuid> kOrganizationsOf{
    "import_undo.organizations_of", "SELECT organization_id FROM kvcrm.lead_imports WHERE id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockImport{
    "import_undo.lock_import",
    "SELECT undone_at IS NOT NULL, created_count > 0, updated_count > 0"
    " FROM kvcrm.lead_imports WHERE id = $1 AND organization_id = $2 FOR NO KEY UPDATE"};

// The leads that an import wrote and the version that it left each in; `created`: by the import itself.
#define WRITTEN                                                                                              \
  "WITH written AS MATERIALIZED (SELECT x.id, bool_or(x.created) AS created, max(x.version) AS version FROM" \
  " (SELECT c.id, true AS created, 1 AS version FROM kvcrm.lead_import_writes w"                             \
  "   CROSS JOIN LATERAL unnest(w.created_ids) AS c (id) WHERE w.import_id = $1 AND w.organization_id = $2"  \
  "  UNION ALL SELECT w.lead_id, false, w.version FROM kvcrm.lead_import_writes w"                           \
  "   WHERE w.import_id = $1 AND w.organization_id = $2 AND w.lead_id IS NOT NULL) AS x GROUP BY x.id)"

// Whoever is writing or referring to them is waited for: what they do stands in the way.
const pg::Statement<pg::Uuid, pg::Uuid> kLockLeads{
    "import_undo.lock_leads",
    WRITTEN
    " SELECT count(*), count(*) FILTER (WHERE NOT created) FROM (SELECT w.created FROM written w"
    " JOIN kvcrm.leads l ON l.id = w.id AND l.organization_id = $2 ORDER BY l.id FOR UPDATE OF l) AS locked",
    pg::Plan::kCustom};

// Of a lead that was created and is deleted already nothing is left to undo.
const pg::Statement<pg::Uuid, pg::Uuid> kObstacles{
    "import_undo.obstacles",
    WRITTEN
    " SELECT format('lead %s was %s at %s', l.id, CASE WHEN l.erased_at IS NOT NULL THEN 'erased'"
    "   WHEN l.merged_into_id IS NOT NULL THEN 'merged' WHEN l.converted_at IS NOT NULL THEN 'converted'"
    "   WHEN l.deleted_at IS NOT NULL THEN 'deleted' ELSE 'changed' END, l.updated_at)"
    " FROM written w JOIN kvcrm.leads l ON l.id = w.id AND l.organization_id = $2"
    " WHERE l.version <> w.version AND NOT (w.created AND l.deleted_at IS NOT NULL)"
    " UNION ALL SELECT format('activity %s was logged on lead %s at %s', a.id, a.lead_id, a.created_at)"
    " FROM written w JOIN kvcrm.lead_activities a ON a.lead_id = w.id AND a.organization_id = $2"
    " JOIN kvcrm.leads l ON l.id = w.id AND l.organization_id = $2 WHERE w.created AND l.deleted_at IS NULL"
    " UNION ALL SELECT format('another lead was merged into lead %s at %s', w.id, m.updated_at)"
    " FROM written w JOIN kvcrm.leads m ON m.merged_into_id = w.id AND m.organization_id = $2"
    " JOIN kvcrm.leads l ON l.id = w.id AND l.organization_id = $2 WHERE w.created AND l.deleted_at IS NULL"
    " UNION ALL SELECT format('quote %s (%s) was made of lead %s at %s', q.id, q.number, q.lead_id, "
    "q.created_at)"
    " FROM written w JOIN kvcrm.quotes q ON q.lead_id = w.id AND q.organization_id = $2"
    " JOIN kvcrm.leads l ON l.id = w.id AND l.organization_id = $2 WHERE w.created AND l.deleted_at IS NULL"
    " LIMIT 20",
    pg::Plan::kCustom};

// Who has the leads, but for those that were created and are deleted already.
const pg::Statement<pg::Uuid, pg::Uuid> kAssignees{
    "import_undo.assignees",
    WRITTEN
    " SELECT DISTINCT l.assigned_to, w.created FROM written w JOIN kvcrm.leads l ON l.id = w.id"
    " AND l.organization_id = $2 WHERE NOT (w.created AND l.deleted_at IS NOT NULL)",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid, pg::Uuid> kDeleteCreated{
    "import_undo.delete_created",
    WRITTEN
    " UPDATE kvcrm.leads l SET deleted_at = now() FROM written w WHERE l.id = w.id"
    " AND l.organization_id = $2 AND w.created AND l.deleted_at IS NULL",
    pg::Plan::kCustom};

// A lead may have been written several times: what it was before the first of them. Those that the import
// created are deleted by now. A stage that was deleted since is not brought back, nor an assignee who isn't
// active any more. The images are put together by one aggregate and not joined with each other: nothing is
// known yet of rows that were just written, and a nested loop over as many as an import changes takes hours.
const pg::Statement<pg::Uuid, pg::Uuid> kRestoreUpdated{
    "import_undo.restore_updated",
    "UPDATE kvcrm.leads l SET name = f.b ->> 'name', email = f.b ->> 'email', phone = f.b ->> 'phone',"
    " company = f.b ->> 'company', \"position\" = f.b ->> 'position', inn = f.b ->> 'inn',"
    " source = f.b ->> 'source', stage_id = coalesce(s.id, l.stage_id),"
    " assigned_to = CASE WHEN f.b ->> 'assigned_to' IS NULL THEN NULL ELSE coalesce(m.user_id, l.assigned_to)"
    " END,"
    " estimated_value = (f.b ->> 'estimated_value')::numeric, currency = f.b ->> 'currency',"
    " custom_fields = f.b -> 'custom_fields',"
    " lost_reason = CASE WHEN s.id IS NULL THEN l.lost_reason ELSE f.b ->> 'lost_reason' END"
    " FROM (SELECT w.lead_id, (array_agg(w.before_image ORDER BY w.version))[1] AS b"
    "   FROM kvcrm.lead_import_writes w WHERE w.import_id = $1 AND w.organization_id = $2"
    "   AND w.lead_id IS NOT NULL GROUP BY w.lead_id) f"
    " LEFT JOIN kvcrm.lead_stages s ON s.id = (f.b ->> 'stage_id')::uuid AND s.organization_id = $2"
    " LEFT JOIN kvcrm.organization_members m ON m.user_id = (f.b ->> 'assigned_to')::uuid"
    "   AND m.organization_id = $2 AND m.status = 'active'"
    " WHERE l.id = f.lead_id AND l.organization_id = $2 AND l.deleted_at IS NULL",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kMarkUndone{
    "import_undo.mark_undone",
    "UPDATE kvcrm.lead_imports AS i SET undone_at = now(), undone_by = $3, updated_at = now()"
    " WHERE id = $1 AND organization_id = $2 RETURNING i"};

// Locked. In the given organization, else in the current one, else in the only one where it is.
struct Import {
  crm::Caller caller;
  bool undone = false, created = false, updated = false;
};
Import FindImport(const pg::Uuid& id, const OptionalUuid& organization) {
  std::vector<crm::Caller> callers = crm::PossibleCallers(organization);
  if (callers.empty()) {
    const pg::Rows rows = kOrganizationsOf(id);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  std::optional<Import> found;
  for (const crm::Caller& caller : callers) {
    if (!caller.is_member || !caller.Can(Permission::kLeadsImport)) continue;
    const pg::Rows rows = kLockImport(id, caller.organization);
    if (rows.empty()) continue;
    if (found) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the import id exists in several organizations")
          .Hint("Pass organization_id.");
    }
    found = Import{caller, rows.Get<bool>(0, 0), rows.Get<bool>(0, 1), rows.Get<bool>(0, 2)};
  }
  if (!found) throw Error(crm::kNotFound, "import not found");
  return *found;
}

// As delete_lead and an UPDATE would.
void RequireRights(const pg::Uuid& id, const Import& import) {
  const crm::Caller& caller = import.caller;
  if (import.created) caller.Require(Permission::kLeadsDelete);
  const bool sees_all = caller.Can(Permission::kLeadsReadAll);
  if (sees_all && (!import.updated || caller.Can(Permission::kLeadsUpdate))) return;
  const pg::Rows rows = kAssignees.Latest(id, caller.organization);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto assignee = rows.Get<OptionalUuid>(i, 0);
    if (!crm::SeesLead(caller, assignee)) crm::RaiseNotAllowed(Permission::kLeadsReadAll);
    if (!rows.Get<bool>(i, 1) && !crm::MayUpdateLead(caller, assignee))
      crm::RaiseNotAllowed(Permission::kLeadsUpdate);
  }
}

void RequireNothingSince(const pg::Uuid& id, const pg::Uuid& home) {
  const pg::Rows rows = kObstacles.Latest(id, home);
  if (rows.empty()) return;
  std::string detail;
  for (std::uint64_t i = 0; i < rows.size(); ++i)
    detail += (i == 0 ? "" : "; ") + rows.Get<std::string>(i, 0);
  throw Error(ERRCODE_CHECK_VIOLATION, "leads of the import have been worked with since")
      .Detail("In the way: " + detail + ".")
      .Hint("Undo these first, or keep the import and delete the other leads with bulk_delete(lead_ids).");
}

}  // namespace

// undo_import(import_id, organization_id) -> lead_imports. Errors: 22023; PT404; 42501 without leads:delete
// when the import created leads, or without leads:update of those it updated; 23514 when it is undone already
// or something happened to its leads since (DETAIL names each); 23505 when a key that comes back is taken.
KVCRM_FUNCTION(undo_import) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "import_id");
  pg::Session session(pg::Access::kWrite);
  const Import import = FindImport(id, args.Get<OptionalUuid>(1));
  const pg::Uuid& home = import.caller.organization;
  if (import.undone) throw Error(ERRCODE_CHECK_VIOLATION, "the import is undone already");
  RequireRights(id, import);
  pg::LockForWriting("leads");
  kLockLeads.Latest(id, home);
  RequireNothingSince(id, home);
  {
    const crm::Authorized authorized;
    const crm::UnruledMoves unruled;
    const crm::CarriedFields restored;
    if (import.created) kDeleteCreated.Latest(id, home);
    if (import.updated) kRestoreUpdated.Latest(id, home);
  }
  return crm::ReturnFirst(args, kMarkUndone(id, home, import.caller.user), "import");
}
