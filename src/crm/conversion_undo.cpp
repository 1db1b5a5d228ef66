// Conversions looked at before they happen, and taken back.
#include "crm/audit.hpp"
#include "crm/conversion.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/host_tables.hpp"
#include "crm/ownership.hpp"
#include "crm/quotes.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"
#include "text/email.hpp"

using namespace kvcrm;
using crm::Authorized;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

// The rows of the conversion that stands. $3: whether the caller reads customers; without, a customer that
// was there before shows no more than its id. $4: whether the lead had been converted already.
const pg::Statement<pg::Uuid, pg::Uuid, bool, bool> kRowsWritten{
    "conversion_undo.rows_written",
    "SELECT jsonb_build_object('already_converted', $4, 'customer_created', j.customer_created,"
    " 'customer', CASE WHEN $3 OR j.customer_created THEN to_jsonb(c) ELSE jsonb_build_object('id', c.id) "
    "END,"
    " 'filled', CASE WHEN $3 THEN coalesce(j.before_image -> 'filled', '{}') ELSE '{}' END, 'contact', "
    "to_jsonb(p), 'lead', to_jsonb(l),"
    " 'stage', to_jsonb(s.name), 'quotes', (SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.id), '[]')"
    "   FROM kvcrm.quotes q WHERE q.lead_id = $1 AND q.organization_id = $2"
    "   AND j.before_image -> 'quotes' ? q.id::text))::text"
    " FROM kvcrm.lead_conversions j"
    " JOIN kvcrm.customers c ON c.id = j.customer_id AND c.organization_id = j.organization_id"
    " JOIN kvcrm.leads l ON l.id = j.lead_id AND l.organization_id = j.organization_id"
    " LEFT JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = l.organization_id"
    " LEFT JOIN kvcrm.customer_contacts p ON p.id = j.contact_id AND p.organization_id = j.organization_id"
    " WHERE j.lead_id = $1 AND j.organization_id = $2 AND j.reverted_at IS NULL"};

const pg::Statement<pg::Uuid, pg::Uuid> kStanding{
    "conversion_undo.standing",
    "SELECT id, customer_id, contact_id, customer_created, before_image -> 'filled'"
    " FROM kvcrm.lead_conversions WHERE lead_id = $1 AND organization_id = $2 AND reverted_at IS NULL FOR "
    "UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockCustomer{
    "conversion_undo.lock_customer",
    "SELECT 1 FROM kvcrm.customers WHERE id = $1 AND organization_id = $2 FOR UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockContact{
    "conversion_undo.lock_contact",
    "SELECT 1 FROM kvcrm.customer_contacts WHERE id = $1 AND organization_id = $2 FOR UPDATE"};

// What happened to what the conversion made: one text per row that stands in the way of removing it. $1
// customer, $2 organization, $3 lead, $4 contact, $5 whether the customer is to go too, $6 the conversion.
// Ids of rows are ordered in time: what the log tells of the conversion itself says 'created'.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, OptionalUuid, bool, pg::Uuid> kObstacles{
    "conversion_undo.obstacles",
    "SELECT format('customer %s was %s at %s', g.entity_id, g.action, g.created_at) FROM kvcrm.activity_logs "
    "g"
    " WHERE $5 AND g.entity_id = $1 AND g.organization_id = $2 AND g.entity_type = 'customer'"
    "   AND g.action <> 'created'"
    " UNION ALL SELECT format('contact %s was %s at %s', g.entity_id, g.action, g.created_at)"
    " FROM kvcrm.activity_logs g WHERE g.entity_id = $4 AND g.organization_id = $2"
    "   AND g.entity_type = 'contact' AND g.action <> 'created'"
    " UNION ALL SELECT format('contact %s was added at %s', p.id, p.created_at) FROM kvcrm.customer_contacts "
    "p"
    " WHERE $5 AND p.customer_id = $1 AND p.organization_id = $2 AND p.id IS DISTINCT FROM $4"
    " UNION ALL SELECT format('lead %s was converted into the same customer at %s', l.id, l.converted_at)"
    " FROM kvcrm.leads l WHERE $5 AND l.converted_to_customer_id = $1 AND l.organization_id = $2 AND l.id <> "
    "$3"
    " UNION ALL SELECT format('quote %s (%s) was made at %s', q.id, q.number, q.created_at) FROM "
    "kvcrm.quotes q"
    " WHERE $5 AND q.customer_id = $1 AND q.organization_id = $2 AND NOT EXISTS (SELECT 1"
    "   FROM kvcrm.lead_conversions j WHERE j.id = $6 AND j.organization_id = $2"
    "   AND j.before_image -> 'quotes' ? q.id::text)"
    " LIMIT 20"};

// The before-image gives the stage back; one that was deleted since, or asks for a lost_reason by now, is
// replaced by the first open one. A stage that became a qualified one keeps the time when the conversion
// qualified the lead.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Uuid> kRestoreLead{
    "conversion_undo.restore_lead",
    "UPDATE kvcrm.leads AS l SET converted_at = NULL, converted_to_customer_id = NULL,"
    " stage_id = coalesce(s.id, $4), board_rank = j.before_image ->> 'board_rank',"
    " lost_reason = CASE WHEN s.outcome = 'lost' THEN j.before_image ->> 'lost_reason' END,"
    " qualified_at = coalesce((j.before_image ->> 'qualified_at')::timestamptz, CASE WHEN f.is_qualified THEN"
    "   l.qualified_at END)"
    " FROM kvcrm.lead_conversions j LEFT JOIN kvcrm.lead_stages s"
    "   ON s.id = (j.before_image ->> 'stage_id')::uuid AND s.organization_id = j.organization_id"
    "   AND (s.outcome <> 'lost' OR j.before_image ->> 'lost_reason' IS NOT NULL)"
    "   LEFT JOIN kvcrm.lead_stages f ON f.id = coalesce(s.id, $4) AND f.organization_id = j.organization_id"
    " WHERE l.id = $1 AND l.organization_id = $2 AND j.id = $3 AND j.organization_id = $2 RETURNING l"};

const pg::Statement<pg::Uuid, pg::Uuid> kDeleteContact{
    "conversion_undo.delete_contact",
    "DELETE FROM kvcrm.customer_contacts WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kDeleteCustomer{
    "conversion_undo.delete_customer", "DELETE FROM kvcrm.customers WHERE id = $1 AND organization_id = $2"};

// A field that the conversion filled and somebody changed since keeps its new value.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Json> kUnfill{
    "conversion_undo.unfill",
    "UPDATE kvcrm.customers SET company = nullif(company, $3 ->> 'company'), inn = nullif(inn, $3 ->> 'inn'),"
    " email = nullif(email, $3 ->> 'email'), phone = nullif(phone, $3 ->> 'phone'),"
    " notes = nullif(notes, $3 ->> 'notes'),"
    " owner_user_id = nullif(owner_user_id, ($3 ->> 'owner_user_id')::uuid),"
    " custom_fields = CASE WHEN $3 ? 'custom_fields' THEN (SELECT coalesce(jsonb_object_agg(f.key, f.value), "
    "'{}') FROM jsonb_each(custom_fields) AS f"
    "   WHERE f.value IS DISTINCT FROM $3 -> 'custom_fields' -> f.key) ELSE custom_fields END"
    " WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kCustomerIdentity{
    "conversion_undo.customer_identity",
    "SELECT email, inn, phone FROM kvcrm.customers WHERE id = $1 AND organization_id = $2"};

// Whether another lead of the customer than $3 has the value of kind $4 too.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, std::string, std::string> kStillHas{
    "conversion_undo.still_has",
    "SELECT 1 FROM kvcrm.leads l WHERE l.converted_to_customer_id = $1 AND l.organization_id = $2 AND l.id "
    "<> $3"
    " AND CASE $4 WHEN 'email' THEN l.email_normalized WHEN 'inn' THEN l.inn ELSE l.phone_e164 END = $5 "
    "LIMIT "
    "1"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalUuid> kMarkReverted{
    "conversion_undo.mark_reverted",
    "UPDATE kvcrm.lead_conversions SET reverted_at = now(), reverted_by = $3, updated_at = now()"
    " WHERE id = $1 AND organization_id = $2"};

void RequireNothingSince(const std::vector<std::string>& obstacles, bool customer_created) {
  if (obstacles.empty()) return;
  std::string detail;
  for (const std::string& obstacle : obstacles) detail += (detail.empty() ? "" : "; ") + obstacle;
  throw Error(ERRCODE_CHECK_VIOLATION, customer_created
                                           ? "the customer that the conversion made has been used since"
                                           : "the contact that the conversion made has been used since")
      .Detail("In the way: " + detail + ".")
      .Hint("Revert or undo these first, or keep the customer and create a new lead.");
}

// A host's table may cascade: its rows would go with ours, silently.
std::vector<std::string> Obstacles(const pg::Uuid& organization, const pg::Uuid& lead,
                                   const pg::Uuid& customer, const OptionalUuid& contact, bool created,
                                   const pg::Uuid& conversion) {
  constexpr std::int32_t kShown = 20;
  std::vector<std::string> obstacles;
  const pg::Rows rows = kObstacles.Latest(customer, organization, lead, contact, created, conversion);
  for (std::uint64_t i = 0; i < rows.size(); ++i) obstacles.push_back(rows.Get<std::string>(i, 0));
  const auto add = [&](const char* what, const char* table, const pg::Uuid& id) {
    for (const std::string& row : crm::HostRows(table, organization, id, kShown))
      obstacles.push_back(row + " refers to the " + what);
  };
  if (created) add("customer", "kvcrm.customers", customer);
  if (contact) add("contact", "kvcrm.customer_contacts", *contact);
  return obstacles;
}

// What a customer who was there before has from this lead alone.
void GiveUpIdentitiesOf(const crm::Lead& lead, const pg::Uuid& customer) {
  const pg::Uuid& home = lead.caller.organization;
  const pg::Rows own = kCustomerIdentity(customer, home);
  if (own.empty()) return;
  const auto follow = [&](const char* kind, const OptionalText& value, int column) {
    if (value && value != crm::OwnedForm(kind, own.Get<OptionalText>(0, column)) &&
        kStillHas(customer, home, lead.id, kind, *value).empty())
      crm::GiveUpIdentity(home, customer, {kind, *value});
  };
  follow("email", lead.email, 0);
  follow("inn", lead.inn, 1);
  follow("phone", lead.phone, 2);
}

pg::Rows RevertConversion(const crm::Lead& lead) {
  const pg::Uuid& home = lead.caller.organization;
  const pg::Rows standing = kStanding(lead.id, home);
  if (standing.empty()) {
    throw Error(ERRCODE_CHECK_VIOLATION, "the ledger has no conversion of this lead")
        .Hint("Leads that were converted elsewhere and loaded can't be reverted.");
  }
  const auto conversion = standing.Get<pg::Uuid>(0, 0);
  const auto customer = standing.Get<pg::Uuid>(0, 1);
  const auto contact = standing.Get<OptionalUuid>(0, 2);
  const bool created = standing.Get<bool>(0, 3);
  // Whoever is writing or referring to them is waited for: what they do stands in the way.
  kLockCustomer(customer, home);
  if (contact) kLockContact(*contact, home);
  RequireNothingSince(Obstacles(home, lead.id, customer, contact, created, conversion), created);

  pg::LockForWriting("leads");
  const auto pipeline = crm::PipelineOf(home);
  const crm::Stage* first_open = pipeline->FirstOpen();
  const Authorized authorized;
  const crm::UnruledMoves unruled;
  const crm::CarriedFields restored;
  crm::LogScope log;
  pg::Rows rows =
      kRestoreLead(lead.id, home, conversion, first_open != nullptr ? first_open->id : lead.stage);
  crm::TakeCustomerFromQuotes(home, lead.id, customer);
  if (contact) kDeleteContact(*contact, home);
  if (created) {
    kDeleteCustomer(customer, home);
  } else {
    const auto filled = standing.Get<std::optional<pg::Json>>(0, 4);
    if (filled) kUnfill(customer, home, *filled);
    GiveUpIdentitiesOf(lead, customer);
  }
  kMarkReverted(conversion, home, lead.caller.user);
  log.Write();
  return rows;
}

}  // namespace

// preview_conversion(lead_id, customer_id, on_match, organization_id) -> jsonb: the rows that qualify_lead
// with the same arguments would write, written by it and rolled back. Ids and times of new rows are those of
// this try. Errors: those of qualify_lead.
KVCRM_FUNCTION(preview_conversion) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const crm::OnMatch on_match = crm::ParseOnMatch(args.Get<OptionalText>(2));
  const auto organization = args.Get<OptionalUuid>(3);
  pg::Session session(pg::Access::kWrite);
  std::string preview;
  {
    const pg::Scratch scratch;
    // Not committed: rolled back when it goes out of scope.
    const pg::SubTransaction attempt;
    const crm::Lead before = crm::FindLead(id, organization, crm::Lock::kRow);
    crm::ConvertLead(id, args.Get<OptionalUuid>(1), on_match, organization);
    const pg::Rows rows = kRowsWritten(before.id, before.caller.organization,
                                       before.caller.Can(crm::Permission::kCustomersRead), before.converted);
    if (rows.empty()) throw Error(ERRCODE_CHECK_VIOLATION, "the ledger has no conversion of this lead");
    preview = rows.Get<std::string>(0, 0);
  }
  return args.Return(pg::ParseJson(preview));
}

// revert_conversion(lead_id, organization_id) -> leads: takes the conversion back. The lead returns to its
// stage; a customer or contact that the conversion made is removed, fields it filled are blank again. Errors:
// 22023; PT404; 42501 without what converting needed; 23514 for a lead that is not converted, or when
// something happened since to what would be removed (DETAIL names each row); 23505 when the lead's e-mail or
// phone is taken meanwhile.
KVCRM_FUNCTION(revert_conversion) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(1), crm::Lock::kRow);
  crm::RequireConvert(lead);
  if (!lead.converted) {
    throw Error(ERRCODE_CHECK_VIOLATION, "the lead is not converted");
  }
  return crm::ReturnFirst(args, RevertConversion(lead), "lead");
}
