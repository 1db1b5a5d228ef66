// Erasure: the personal data of a lead leaves the database for good; ids, times and stages stay for
// statistics.
//
// Gone are the lead's own fields, those of the leads that were merged into it, the texts of their activities
// and of quotes that have no customer, what the log and the journals keep of them, and the pairs that compare
// them. A customer that the lead became is a record of its own and stays, with its quotes.
#include <algorithm>

#include "crm/audit.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/leads.hpp"
#include "crm/rows.hpp"
#include "crm/search.hpp"
#include "pg/security.hpp"
#include "pg/entry.hpp"
#include "text/fold.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;
using Uuids = std::vector<pg::Uuid>;

// The lead and those merged into it, at first or second hand, locked before the lead that they were merged
// into: whoever is given the id of a merged lead takes them in this order. As deep as the longest chain. As
// for a removal: an activity or quote that somebody is writing for them is waited for, and erased too.
const pg::Statement<pg::Uuid, pg::Uuid> kLockAll{
    "erasure.lock_all",
    "WITH RECURSIVE merged AS (SELECT $1 AS id, 0 AS depth UNION ALL SELECT m.id, merged.depth + 1"
    "   FROM kvcrm.leads m JOIN merged ON m.merged_into_id = merged.id AND m.organization_id = $2"
    "   WHERE merged.depth < 10000)"
    " SELECT l.id, l.legal_hold FROM merged JOIN kvcrm.leads l ON l.id = merged.id AND l.organization_id = $2"
    " ORDER BY merged.depth DESC, l.id FOR UPDATE OF l"};

// What replaces a text that must not be empty.
#define ERASED "'Erased'"

const pg::Statement<pg::Uuid, Uuids> kEraseLeads{
    "erasure.erase_leads",
    "UPDATE kvcrm.leads SET name = " ERASED
    ", email = NULL, phone = NULL, company = NULL, \"position\" = NULL, inn = NULL,"
    " lost_reason = CASE WHEN lost_reason IS NOT NULL THEN " ERASED
    " END, custom_fields = '{}', deleted_at = coalesce(deleted_at, now()), erased_at = now()"
    " WHERE organization_id = $1 AND id = ANY ($2) AND erased_at IS NULL"};

const pg::Statement<pg::Uuid, Uuids> kEraseActivities{
    "erasure.erase_activities",
    "UPDATE kvcrm.lead_activities SET title = " ERASED
    ", description = NULL, metadata = '{}'"
    " WHERE organization_id = $1 AND lead_id = ANY ($2)"
    " AND (title, coalesce(description, ''), metadata) <> (" ERASED ", '', '{}')"};

// A quote of a customer is the customer's.
const pg::Statement<pg::Uuid, Uuids> kEraseQuotes{
    "erasure.erase_quotes", "UPDATE kvcrm.quotes SET title = " ERASED
                            ", custom_fields = '{}'"
                            " WHERE organization_id = $1 AND lead_id = ANY ($2) AND customer_id IS NULL"
                            " AND (title, custom_fields) <> (" ERASED ", '{}')"};

// Which fields changed stays known; their values don't, but for these, which tell nothing about a person. An
// activity or quote that was deleted is found by what the log says of its beginning, in the whole log: this
// is rare. A customer or contact that a conversion made and its revert removed was the lead's data once more.
// What was the lead's between a merge and its undo is another lead's.
const pg::Statement<pg::Uuid, Uuids> kEraseLog{
    "erasure.erase_log",
    "UPDATE kvcrm.activity_logs g SET changes = coalesce((SELECT jsonb_object_agg(c.key, CASE WHEN c.key IN"
    "   ('stage_id', 'assigned_to', 'source', 'currency', 'estimated_value', 'converted_at',"
    "    'converted_to_customer_id', 'merged_into_id', 'deleted_at', 'erased_at', 'legal_hold', 'lead_id', "
    "'merge_id', 'merged_leads',"
    "    'type', 'due_date', 'completed_at', 'number', 'amount', 'status', 'sent_at', 'decided_at', "
    "'customer_id')"
    "   THEN c.value ELSE '{\"old\": null, \"new\": null}' END) FROM jsonb_each(g.changes) c), '{}')"
    " WHERE g.organization_id = $1 AND g.changes <> '{}' AND (g.entity_type = 'lead' AND g.entity_id = ANY "
    "($2)"
    "  OR g.entity_type IN ('activity', 'quote') AND NOT EXISTS (SELECT FROM kvcrm.quotes q"
    "     WHERE q.id = g.entity_id AND q.organization_id = $1 AND (q.customer_id IS NOT NULL OR q.lead_id <> "
    "ALL "
    "($2)))"
    "   AND NOT EXISTS (SELECT FROM kvcrm.lead_activities x WHERE x.id = g.entity_id"
    "     AND x.organization_id = $1 AND x.lead_id <> ALL ($2))"
    "   AND g.entity_id IN (SELECT a.entity_id FROM kvcrm.activity_logs a"
    "   WHERE a.organization_id = $1 AND a.entity_type IN ('activity', 'quote')"
    "   AND ((a.changes #>> '{lead_id,new}')::uuid = ANY ($2) OR (a.changes #>> '{lead_id,old}')::uuid = ANY "
    "($2)))"
    "  OR g.entity_type = 'customer' AND g.entity_id IN (SELECT j.customer_id FROM kvcrm.lead_conversions j"
    "     WHERE j.organization_id = $1 AND j.lead_id = ANY ($2) AND j.customer_created)"
    "   AND NOT EXISTS (SELECT FROM kvcrm.customers x WHERE x.id = g.entity_id AND x.organization_id = $1)"
    "  OR g.entity_type = 'contact' AND g.entity_id IN (SELECT j.contact_id FROM kvcrm.lead_conversions j"
    "     WHERE j.organization_id = $1 AND j.lead_id = ANY ($2))"
    "   AND NOT EXISTS (SELECT FROM kvcrm.customer_contacts x WHERE x.id = g.entity_id"
    "     AND x.organization_id = $1))"};

// An export of the organization tells what was searched for, which may be the person's name or address.
const pg::Statement<pg::Uuid> kSearches{
    "erasure.searches",
    "SELECT id, changes #>> '{filters,new,query}' FROM kvcrm.activity_logs"
    " WHERE organization_id = $1 AND entity_id = $1 AND entity_type = 'export'"
    " AND changes #>> '{filters,new,query}' IS NOT NULL"};
// What the leads say, now or in the log.
const pg::Statement<pg::Uuid, Uuids> kTexts{
    "erasure.texts",
    "SELECT search_text FROM kvcrm.lead_fingerprints WHERE organization_id = $1 AND id = ANY ($2)"
    " UNION ALL SELECT changes::text FROM kvcrm.activity_logs"
    " WHERE organization_id = $1 AND entity_id = ANY ($2) AND entity_type = 'lead'"};
const pg::Statement<pg::Uuid, Uuids> kEraseSearches{
    "erasure.erase_searches",
    "UPDATE kvcrm.activity_logs SET changes = jsonb_set(changes, '{filters,new,query}', '\"Erased\"')"
    " WHERE organization_id = $1 AND id = ANY ($2)"};
// A filter by a value that the leads have in their custom fields.
const pg::Statement<pg::Uuid, Uuids> kEraseFilters{
    "erasure.erase_filters",
    "UPDATE kvcrm.activity_logs g SET changes = g.changes #- '{filters,new,custom_fields}'"
    " WHERE g.organization_id = $1 AND g.entity_id = $1 AND g.entity_type = 'export'"
    " AND g.changes #> '{filters,new,custom_fields}' <> '{}' AND EXISTS (SELECT FROM kvcrm.leads l"
    "   WHERE l.organization_id = $1 AND l.id = ANY ($2)"
    "   AND l.custom_fields @> (g.changes #> '{filters,new,custom_fields}'))"};

const pg::Statement<pg::Uuid, Uuids> kEraseConversions{
    "erasure.erase_conversions",
    "UPDATE kvcrm.lead_conversions SET before_image = before_image - '{lost_reason,filled}'::text[],"
    " updated_at = now() WHERE organization_id = $1 AND lead_id = ANY ($2)"};

// Neither what a merge changed in the leads stays, nor which rows of other tables it moved: it can't be
// undone any more, and what tells a row of the host apart may be a name or an address, or all of the row.
const pg::Statement<pg::Uuid, Uuids> kEraseMerges{
    "erasure.erase_merges",
    "UPDATE kvcrm.lead_merges SET before_image = before_image || '{\"fields\": [], \"duplicates\": [], "
    "\"tables\": []}',"
    " updated_at = now() WHERE organization_id = $1 AND (survivor_id = ANY ($2) OR duplicate_ids && $2)"};

const pg::Statement<pg::Uuid, Uuids> kEraseImports{
    "erasure.erase_imports",
    "UPDATE kvcrm.lead_import_writes SET before_image = '{}', updated_at = now()"
    " WHERE organization_id = $1 AND lead_id = ANY ($2)"};

const pg::Statement<pg::Uuid, Uuids> kErasePairs{
    "erasure.erase_pairs",
    "DELETE FROM kvcrm.duplicate_pairs WHERE organization_id = $1"
    " AND (lead_id = ANY ($2) OR other_lead_id = ANY ($2))"};

const pg::Statement<pg::Uuid, pg::Uuid> kWhole{
    "erasure.whole", "SELECT l FROM kvcrm.leads l WHERE l.id = $1 AND l.organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid, std::optional<bool>> kHold{
    "erasure.hold",
    "UPDATE kvcrm.leads AS l SET legal_hold = $3 WHERE id = $1 AND organization_id = $2 RETURNING l"};

// Takes from the entries of exports what was searched for, if it finds one of the leads. Comes before the
// leads are erased.
void EraseExports(const pg::Uuid& organization, const Uuids& leads) {
  kEraseFilters.Latest(organization, leads);
  const pg::Rows searches = kSearches.Latest(organization);
  if (searches.empty()) return;
  const pg::Rows rows = kTexts.Latest(organization, leads);
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < rows.size(); ++i) texts.push_back(text::Fold(rows.Get<std::string>(i, 0)));
  Uuids found;
  for (std::uint64_t i = 0; i < searches.size(); ++i) {
    const crm::SearchQuery query(searches.Get<std::string>(i, 1), "");
    if (std::any_of(texts.begin(), texts.end(), [&](const std::string& text) { return query.Matches(text); }))
      found.push_back(searches.Get<pg::Uuid>(i, 0));
  }
  if (!found.empty()) kEraseSearches.Latest(organization, found);
}

}  // namespace

// set_legal_hold(lead_id, hold, organization_id) -> leads: while a lead is held, erase_lead refuses it. A
// held lead can be worked with like any other. Errors: 22023; PT404; 42501 without leads:erase; 23514 for a
// lead that was erased.
KVCRM_FUNCTION(set_legal_hold) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const bool hold = args.Require<bool>(1, "hold");
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(2), crm::Lock::kRow);
  lead.caller.Require(Permission::kLeadsErase);
  const Authorized authorized;
  return crm::ReturnFirst(
      args, kHold(lead.id, lead.caller.organization, hold ? std::optional(true) : std::nullopt), "lead");
}

// erase_lead(lead_id, organization_id) -> leads: irreversible. Erasing twice changes nothing. Errors: 22023;
// PT404; 42501 without leads:erase; 23514 for a merged lead (naming its survivor) and under a legal hold.
KVCRM_FUNCTION(erase_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(1), crm::Lock::kNone, crm::Merged::kStay);
  lead.caller.Require(Permission::kLeadsErase);
  const pg::Uuid& home = lead.caller.organization;
  // Twice: whom a merge brought or an undo took away while this waited is known only afterwards.
  pg::LockForWriting("leads");
  kLockAll.Latest(id, home);
  const pg::Rows locked = kLockAll.Latest(id, home);
  crm::RequireNotMerged(crm::FindLead(id, home, crm::Lock::kRow, crm::Merged::kStay));
  Uuids leads;
  for (std::uint64_t i = 0; i < locked.size(); ++i) {
    leads.push_back(locked.Get<pg::Uuid>(i, 0));
    if (!locked.Get<std::optional<bool>>(i, 1).value_or(false)) continue;
    throw Error(ERRCODE_CHECK_VIOLATION, "the lead is under a legal hold")
        .Detail("Lead " + leads.back().Text() + " must be kept.")
        .Hint("Lift it first, with set_legal_hold(lead_id, false).");
  }
  const Authorized authorized;
  // Erased fields are required no more.
  const crm::CarriedFields erased;
  EraseExports(home, leads);
  {
    crm::LogScope log;
    kEraseLeads.Latest(home, leads);
    kEraseActivities.Latest(home, leads);
    kEraseQuotes.Latest(home, leads);
    log.Write();
  }
  kErasePairs.Latest(home, leads);
  kEraseConversions.Latest(home, leads);
  kEraseMerges.Latest(home, leads);
  kEraseImports.Latest(home, leads);
  // Last: it takes from the log what the statements above have just told it.
  kEraseLog.Latest(home, leads);
  return crm::ReturnFirst(args, kWhole(id, home), "lead");
}
