// Conversion of a lead into a customer: one transaction, idempotent.
//
// The lead's row lock makes two conversions of one lead take turns; the rows of customer_identities, claimed
// in sorted order before anything is decided, do the same for two leads of one firm.
#include "crm/conversion.hpp"

#include "crm/audit.hpp"
#include "crm/errors.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "crm/uuid.hpp"
#include "text/fold.hpp"

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

const pg::Statement<pg::Uuid, pg::Uuid> kCustomer{
    "conversion.customer", "SELECT c FROM kvcrm.customers c WHERE c.id = $1 AND c.organization_id = $2"};

// Nulls are skipped; values come sorted by kind. Returns the kinds that were free.
const pg::Statement<pg::Uuid, pg::Uuid, OptionalText, OptionalText, OptionalText> kClaim{
    "conversion.claim",
    "INSERT INTO kvcrm.customer_identities AS i (organization_id, customer_id, kind, value)"
    " SELECT $1, $2, v.kind, v.value FROM (VALUES ('email', $3), ('inn', $4), ('phone', $5)) AS v (kind, "
    "value)"
    " WHERE v.value IS NOT NULL ON CONFLICT (organization_id, kind, value) DO NOTHING RETURNING i.kind"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalText, OptionalText, OptionalText> kOwners{
    "conversion.owners",
    "SELECT i.kind, i.customer_id, c.company FROM kvcrm.customer_identities i"
    " JOIN kvcrm.customers c ON c.id = i.customer_id AND c.organization_id = i.organization_id"
    " WHERE i.organization_id = $1 AND i.customer_id <> $2 AND c.deleted_at IS NULL"
    " AND (i.kind, i.value) IN (('email', $3), ('inn', $4), ('phone', $5))"
    " ORDER BY i.kind = 'inn' DESC, i.kind, i.customer_id"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kHandOver{
    "conversion.hand_over",
    "UPDATE kvcrm.customer_identities SET customer_id = $3 WHERE organization_id = $1 AND customer_id = $2"};

#define LEAD_WITH_SOURCE                                                                                \
  "WITH lead AS MATERIALIZED (SELECT l.*, coalesce(s.name, l.source) AS source_name FROM kvcrm.leads l" \
  "   LEFT JOIN kvcrm.lead_sources s ON s.organization_id = l.organization_id AND s.slug = l.source"    \
  "   WHERE l.id = $1 AND l.organization_id = $2), "
#define MARK_CONVERTED                                                                                      \
  ", converted AS (UPDATE kvcrm.leads SET converted_at = now(), converted_to_customer_id = $3, stage_id = " \
  "$4,"                                                                                                     \
  "   qualified_at = coalesce(qualified_at, now()) WHERE id = $1 AND organization_id = $2) "
#define BEFORE_IMAGE                                                                             \
  "jsonb_build_object('stage_id', lead.stage_id, 'board_rank', lead.board_rank, 'lost_reason', " \
  "lead.lost_reason,"                                                                            \
  " 'stage_entered_at', lead.stage_entered_at, 'qualified_at', lead.qualified_at)"

// All that a conversion into a new customer writes, as one statement.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Uuid, OptionalUuid> kConvertToNew{
    "conversion.convert_to_new", LEAD_WITH_SOURCE
    "customer AS (INSERT INTO kvcrm.customers AS c (id, organization_id, name, company, inn, email, phone, "
    "notes,"
    "   owner_user_id, source_lead_id)"
    "   SELECT $3, organization_id, name, company, inn, email, phone, 'Source: ' || source_name, "
    "assigned_to, id"
    "   FROM lead RETURNING c AS whole),"
    " contact AS (INSERT INTO kvcrm.customer_contacts AS p (organization_id, customer_id, name, email, phone,"
    "   \"position\", is_primary)"
    "   SELECT organization_id, $3, name, email, phone, \"position\", true FROM lead RETURNING p.id),"
    " conversion AS (INSERT INTO kvcrm.lead_conversions (organization_id, lead_id, customer_id, contact_id,"
    "   customer_created, converted_by, before_image)"
    "   SELECT organization_id, lead.id, $3, contact.id, true, $5, " BEFORE_IMAGE
    " FROM lead, contact)" MARK_CONVERTED "SELECT whole FROM customer"};

// Into an existing customer: blank fields are filled, the person is added unless already there. A phone alone
// is no person: colleagues share a switchboard.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Uuid, OptionalUuid> kConvertToExisting{
    "conversion.convert_to_existing", LEAD_WITH_SOURCE
    "customer AS (UPDATE kvcrm.customers AS c SET company = coalesce(c.company, lead.company),"
    "   inn = coalesce(c.inn, lead.inn), email = coalesce(c.email, lead.email), phone = coalesce(c.phone, "
    "lead.phone),"
    "   notes = coalesce(c.notes, 'Source: ' || lead.source_name),"
    "   owner_user_id = coalesce(c.owner_user_id, lead.assigned_to)"
    "   FROM lead WHERE c.id = $3 AND c.organization_id = $2 RETURNING c AS whole),"
    " contact AS (INSERT INTO kvcrm.customer_contacts AS p (organization_id, customer_id, name, email, phone,"
    "   \"position\", is_primary)"
    "   SELECT organization_id, $3, name, email, phone, \"position\", NOT EXISTS (SELECT 1 FROM"
    "     kvcrm.customer_contacts q WHERE q.customer_id = $3 AND q.organization_id = $2 AND q.is_primary)"
    "   FROM lead WHERE NOT EXISTS (SELECT 1 FROM kvcrm.customer_contacts q WHERE q.customer_id = $3"
    "     AND q.organization_id = $2 AND (lower(q.email) = lower(lead.email)"
    "     OR (lower(q.name) = lower(lead.name) AND (q.email IS NULL OR lead.email IS NULL)))) RETURNING "
    "p.id),"
    " conversion AS (INSERT INTO kvcrm.lead_conversions (organization_id, lead_id, customer_id, contact_id,"
    "   customer_created, converted_by, before_image)"
    "   SELECT organization_id, lead.id, $3, (SELECT id FROM contact), false, $5, " BEFORE_IMAGE
    " FROM lead)" MARK_CONVERTED "SELECT whole FROM customer"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockCustomer{
    "conversion.lock_customer",
    "SELECT 1 FROM kvcrm.customers WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR NO KEY "
    "UPDATE"};

// Two companies are compatible when one is unknown or both read alike.
bool CompatibleCompanies(const OptionalText& a, const OptionalText& b) {
  return !a || !b || text::Fold(*a) == text::Fold(*b);
}

// Claims the lead's identities for `candidate`, then looks whose they are. Returns the customer they lead to:
// an INN is enough by itself, e-mail and phone need a compatible company.
OptionalUuid ClaimOrFind(const pg::Uuid& organization, const pg::Uuid& candidate, const crm::Lead& lead) {
  const std::uint64_t wanted =
      static_cast<std::uint64_t>(lead.email.has_value()) + lead.inn.has_value() + lead.phone.has_value();
  if (wanted == 0) return std::nullopt;
  if (kClaim(organization, candidate, lead.email, lead.inn, lead.phone).size() == wanted) return std::nullopt;
  const pg::Rows owners = kOwners(organization, candidate, lead.email, lead.inn, lead.phone);
  for (std::uint64_t i = 0; i < owners.size(); ++i) {
    const bool by_inn = owners.Get<std::string>(i, 0) == "inn";
    if (by_inn || CompatibleCompanies(lead.company, owners.Get<OptionalText>(i, 2)))
      return owners.Get<pg::Uuid>(i, 1);
  }
  return std::nullopt;
}

void RequireConvert(const crm::Lead& lead) {
  if (lead.caller.Can(Permission::kLeadsConvert)) return;
  if (lead.caller.Can(Permission::kLeadsConvertOwn) && lead.caller.Is(lead.assignee)) return;
  crm::RaiseNotAllowed(Permission::kLeadsConvert);
}

}  // namespace

namespace kvcrm::crm {

OnMatch ParseOnMatch(const OptionalText& text) {
  if (!text || *text == "link") return OnMatch::kLink;
  if (*text == "create") return OnMatch::kCreate;
  if (*text == "error") return OnMatch::kError;
  throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "on_match must be link, create or error");
}

pg::Rows ConvertLead(const pg::Uuid& id, const OptionalUuid& named, OnMatch on_match,
                     const OptionalUuid& organization) {
  const Lead lead = FindLead(id, organization, Lock::kRow);
  RequireConvert(lead);
  const pg::Uuid& home = lead.caller.organization;
  if (lead.converted) return kCustomer(*lead.customer, home);
  RequireNotGone(lead);

  const PipelineScope stages(home);
  const Pipeline& pipeline = stages.pipeline();
  const Stage* stage = pipeline.Find(lead.stage);
  if (stage == nullptr || !stage->is_qualified) stage = pipeline.FirstQualified();
  const pg::Uuid target_stage = stage != nullptr ? stage->id : lead.stage;

  const pg::Uuid created = NewUuid();
  OptionalUuid existing = named;
  const Authorized authorized;
  const OptionalUuid owner = ClaimOrFind(home, named ? *named : created, lead);
  if (!existing && owner && on_match == OnMatch::kLink) existing = owner;
  if (!existing && owner && on_match == OnMatch::kError) {
    throw Error(ERRCODE_UNIQUE_VIOLATION, "a customer with the same INN, e-mail or phone exists")
        .Detail(lead.caller.Can(Permission::kCustomersRead) ? "Customer " + owner->Text() + "." : "")
        .Hint("Link to it with on_match => 'link', or pass on_match => 'create'.");
  }
  if (existing) {
    if (kLockCustomer(*existing, home).empty()) throw Error(kNotFound, "customer not found");
    if (!named) kHandOver(home, created, *existing);
  }
  LogScope log;
  const auto& convert = existing ? kConvertToExisting : kConvertToNew;
  pg::Rows rows = convert(lead.id, home, existing.value_or(created), target_stage, lead.caller.user);
  log.Write();
  return rows;
}

}  // namespace kvcrm::crm

// qualify_lead(lead_id, customer_id, on_match, organization_id) -> customers. Converts the lead: into the
// named customer, else the one that owns its INN, or its e-mail or phone and has a compatible company, else a
// new one. on_match: link (default), create, error. A lead converted already returns its customer and writes
// nothing. Errors: 22023; PT404; 42501 without leads:convert (or leads:convert_own for one's own); 23514 for
// a lead that is deleted or merged; 23505 under on_match 'error'.
KVCRM_FUNCTION(qualify_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const crm::OnMatch on_match = crm::ParseOnMatch(args.Get<OptionalText>(2));
  pg::Session session(pg::Access::kWrite);
  const pg::Rows rows = crm::ConvertLead(id, args.Get<OptionalUuid>(1), on_match, args.Get<OptionalUuid>(3));
  return args.ReturnRow(rows.At(0, 0).datum);
}

// convert_lead_to_customer(lead_id, organization_id) -> customers: qualify_lead with defaults.
KVCRM_FUNCTION(convert_lead_to_customer) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  pg::Session session(pg::Access::kWrite);
  const pg::Rows rows = crm::ConvertLead(id, std::nullopt, crm::OnMatch::kLink, args.Get<OptionalUuid>(1));
  return args.ReturnRow(rows.At(0, 0).datum);
}
