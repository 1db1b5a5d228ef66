// Conversion of a lead into a customer: one transaction, idempotent.
//
// The lead's row lock makes two conversions of one lead take turns; the rows of customer_identities, claimed
// in sorted order before anything is decided, do the same for two leads of one firm.
#include "crm/conversion.hpp"

#include "crm/audit.hpp"
#include "crm/duplicates.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/fingerprints.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "crm/lead_columns.hpp"
#include "crm/ownership.hpp"
#include "crm/quotes.hpp"
#include "crm/uuid.hpp"
#include "match/company_comparison.hpp"
#include "match/name_comparison.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"
#include "text/company.hpp"
#include "text/email.hpp"
#include "text/person_name.hpp"

extern "C" {
#include "access/xact.h"
}

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

const pg::Statement<pg::Uuid, pg::Uuid, OptionalText, OptionalText, OptionalText> kNotOwned{
    "conversion.not_owned",
    "SELECT v.kind, v.value FROM (VALUES ('email', $3), ('inn', $4), ('phone', $5)) AS v (kind, value)"
    " WHERE v.value IS NOT NULL AND NOT EXISTS (SELECT FROM kvcrm.customer_identities i"
    "   WHERE i.organization_id = $1 AND i.kind = v.kind COLLATE \"C\" AND i.value = v.value COLLATE \"C\""
    "   AND i.customer_id = $2)"};

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
// The customer, and whether quotes wait for it: an UPDATE that finds none would cost ten times as much.
#define CUSTOMER_AND_QUOTES                                                                            \
  "SELECT whole, EXISTS (SELECT 1 FROM kvcrm.quotes q WHERE q.lead_id = $1 AND q.organization_id = $2" \
  "   AND q.customer_id IS NULL) FROM customer"
#define BEFORE_IMAGE                                                                             \
  "jsonb_build_object('stage_id', lead.stage_id, 'board_rank', lead.board_rank, 'lost_reason', " \
  "lead.lost_reason,"                                                                            \
  " 'stage_entered_at', lead.stage_entered_at, 'qualified_at', lead.qualified_at)"

// All that a conversion into a new customer writes, as one statement. Customer and contact say what the lead
// said, so its fingerprint is theirs.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Uuid, OptionalUuid> kConvertToNew{
    "conversion.convert_to_new", LEAD_WITH_SOURCE
    "customer AS (INSERT INTO kvcrm.customers AS c (id, organization_id, name, company, inn, email, phone, "
    "notes, custom_fields,"
    "   owner_user_id, source_lead_id)"
    "   SELECT $3, organization_id, name, company, inn, email, phone, 'Source: ' || source_name, "
    "custom_fields, assigned_to, id"
    "   FROM lead RETURNING c AS whole),"
    " contact AS (INSERT INTO kvcrm.customer_contacts AS p (organization_id, customer_id, name, email, phone,"
    "   \"position\", is_primary)"
    "   SELECT organization_id, $3, name, email, phone, \"position\", true FROM lead RETURNING p.id),"
    " fingerprint AS (INSERT INTO kvcrm.customer_fingerprints (id, organization_id, match_keys, match_values,"
    "   derivation_version) SELECT $3, organization_id, match_keys, match_values, derivation_version"
    "   FROM kvcrm.lead_fingerprints WHERE id = $1 AND organization_id = $2),"
    " conversion AS (INSERT INTO kvcrm.lead_conversions (organization_id, lead_id, customer_id, contact_id,"
    "   customer_created, converted_by, before_image)"
    "   SELECT organization_id, lead.id, $3, contact.id, true, $5, " BEFORE_IMAGE
    " FROM lead, contact)" MARK_CONVERTED CUSTOMER_AND_QUOTES};

// Into an existing customer: blank fields are filled, and the person is added if $6. The journal keeps which
// fields were filled with what, custom ones with $8, and which identities ($7: kinds) were claimed.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Uuid, OptionalUuid, bool, std::vector<std::string>,
                    pg::Json>
    kConvertToExisting{
        "conversion.convert_to_existing", LEAD_WITH_SOURCE
        "before AS MATERIALIZED (SELECT c.* FROM kvcrm.customers c WHERE c.id = $3 AND c.organization_id = "
        "$2),"
        " customer AS (UPDATE kvcrm.customers AS c SET company = coalesce(c.company, lead.company),"
        "   inn = coalesce(c.inn, lead.inn), email = coalesce(c.email, lead.email), phone = "
        "coalesce(c.phone, "
        "lead.phone),"
        "   notes = coalesce(c.notes, 'Source: ' || lead.source_name),"
        "   owner_user_id = coalesce(c.owner_user_id, lead.assigned_to), custom_fields = c.custom_fields || "
        "$8"
        "   FROM lead WHERE c.id = $3 AND c.organization_id = $2 RETURNING c AS whole),"
        " contact AS (INSERT INTO kvcrm.customer_contacts AS p (organization_id, customer_id, name, email, "
        "phone,"
        "   \"position\", is_primary)"
        "   SELECT organization_id, $3, name, email, phone, \"position\", NOT EXISTS (SELECT 1 FROM"
        "     kvcrm.customer_contacts q WHERE q.customer_id = $3 AND q.organization_id = $2 AND q.is_primary)"
        "   FROM lead WHERE $6 RETURNING p.id),"
        " conversion AS (INSERT INTO kvcrm.lead_conversions (organization_id, lead_id, customer_id, "
        "contact_id,"
        "   customer_created, converted_by, before_image)"
        "   SELECT lead.organization_id, lead.id, $3, (SELECT id FROM contact), false, $5, " BEFORE_IMAGE
        " || jsonb_build_object('claimed', to_jsonb($7), 'filled', jsonb_strip_nulls(jsonb_build_object("
        "'company', CASE WHEN before.company IS NULL THEN lead.company END,"
        "'inn', CASE WHEN before.inn IS NULL THEN lead.inn END,"
        "'email', CASE WHEN before.email IS NULL THEN lead.email END,"
        "'phone', CASE WHEN before.phone IS NULL THEN lead.phone END,"
        "'notes', CASE WHEN before.notes IS NULL THEN 'Source: ' || lead.source_name END,"
        "'custom_fields', nullif($8, '{}'),"
        "'owner_user_id', CASE WHEN before.owner_user_id IS NULL THEN lead.assigned_to END)))"
        " FROM lead, before)" MARK_CONVERTED CUSTOMER_AND_QUOTES};

const pg::Statement<pg::Uuid, pg::Uuid> kLockCustomer{
    "conversion.lock_customer",
    "SELECT 1 FROM kvcrm.customers WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR NO KEY "
    "UPDATE"};

// The custom fields of a lead and of the customer it becomes, when the lead has any.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kCustomFields{
    "conversion.custom_fields",
    "SELECT l.custom_fields, c.custom_fields FROM kvcrm.leads l JOIN kvcrm.customers c"
    " ON c.organization_id = l.organization_id WHERE l.id = $1 AND l.organization_id = $2 AND c.id = $3"
    " AND l.custom_fields <> '{}'"};

// The rest of a customer stays hidden from who may not read customers.
const pg::Statement<pg::Uuid, pg::Uuid> kCustomerUnread{
    "conversion.customer_unread",
    "SELECT jsonb_populate_record(NULL::kvcrm.customers, jsonb_build_object('id', $1, 'organization_id', "
    "$2))"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kContacts{
    "conversion.contacts",
    "SELECT l.name, c.name, c.email, c.phone FROM kvcrm.leads l JOIN kvcrm.customer_contacts c"
    " ON c.organization_id = l.organization_id WHERE l.id = $1 AND l.organization_id = $2 AND c.customer_id "
    "= $3"};

const pg::Statement<pg::Uuid, pg::Uuid> kFields{
    "conversion.fields", "SELECT to_jsonb(l) FROM kvcrm.leads l WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Json> kSettingFields{
    "conversion.setting_fields",
    "SELECT CASE WHEN NOT jsonb_path_exists($1, 'strict $.conversion_required[*] ? (@.type() != "
    "\"string\")', '{}', true)"
    " AND jsonb_typeof($1 -> 'conversion_required') = 'array'"
    " THEN ARRAY(SELECT jsonb_array_elements_text($1 -> 'conversion_required')) END"};

// What a conversion needs unless the organization's settings say otherwise. "|" stands between alternatives.
const std::vector<std::string> kDefaultRequired = {"name", "company|email|phone"};
// Probability from which a lead is taken for somebody who is a customer already, without anybody looking.
constexpr double kSameFrom = 0.99;

constexpr const char* kRequiredSetting = "conversion_required";

std::vector<std::string_view> Alternatives(std::string_view requirement) {
  std::vector<std::string_view> fields;
  for (std::size_t start = 0; start <= requirement.size();) {
    const std::size_t end = std::min(requirement.find('|', start), requirement.size());
    fields.push_back(requirement.substr(start, end - start));
    start = end + 1;
  }
  return fields;
}

bool HasField(pg::Json lead, std::string_view field) {
  if (const auto key = crm::CustomFieldKey(field); key) {
    const pg::JsonMember custom = pg::FindMember(lead, "custom_fields");
    return custom.kind == pg::JsonMember::Kind::kObject && crm::IsFilled(pg::FindMember(custom.value, *key));
  }
  return crm::IsFilled(pg::FindMember(lead, field));
}

// Throws 23514 that names every field the conversion lacks.
void RequireFields(const crm::Lead& lead, const crm::Pipeline& pipeline) {
  const auto& own = pipeline.conversion_required();
  // The default holds for most leads, and what was read with the lead's lock shows it.
  if (!own && (lead.company || lead.email || lead.phone)) return;
  const std::vector<std::string>& required = own ? *own : kDefaultRequired;
  const pg::Rows rows = kFields(lead.id, lead.caller.organization);
  if (rows.empty()) return;
  const auto fields = rows.Get<pg::Json>(0, 0);
  std::string missing, first;
  for (const std::string& requirement : required) {
    bool filled = false;
    std::string names;
    for (const std::string_view field : Alternatives(requirement)) {
      filled = filled || HasField(fields, field);
      names += (names.empty() ? "" : " or ") + std::string(field);
    }
    if (filled) continue;
    if (first.empty()) first = Alternatives(requirement).front();
    missing += (missing.empty() ? "" : ", ") + names;
  }
  if (missing.empty()) return;
  throw Error(ERRCODE_CHECK_VIOLATION, "the conversion requires fields that are empty")
      .Detail("Empty: " + missing + ".")
      .Hint("Fill them in first. The organization's settings may name others as conversion_required.")
      .Column(first.c_str());
}

// Whether the customer has the lead's person among its contacts: the same e-mail; the same phone and a name
// that may be the same (colleagues share a switchboard); or the same name where either has no e-mail.
bool HasContact(const crm::Lead& lead, const pg::Uuid& customer) {
  const pg::Rows rows = kContacts(lead.id, lead.caller.organization, customer);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto email = rows.Get<OptionalText>(i, 2);
    if (email && lead.email && text::NormalizeEmail(*email) == *lead.email) return true;
    const match::NameLevel names = match::CompareNames(text::NormalizePersonName(rows.Get<std::string>(i, 0)),
                                                       text::NormalizePersonName(rows.Get<std::string>(i, 1)))
                                       .level;
    const bool same_name = names == match::NameLevel::kExact || names == match::NameLevel::kEquivalent;
    const bool may_be = same_name || names == match::NameLevel::kTypo ||
                        names == match::NameLevel::kInitials || names == match::NameLevel::kPartial;
    if (may_be && lead.phone && rows.Get<OptionalText>(i, 3) == lead.phone) return true;
    if (same_name && (!email || !lead.email)) return true;
  }
  return false;
}

// Two companies are compatible when one is unknown or their names may be those of one firm: another script,
// another legal form, a slip of the pen.
bool CompatibleCompanies(const OptionalText& a, const OptionalText& b) {
  if (!a || !b) return true;
  const match::CompanyLevel level =
      match::CompareCompanies(text::NormalizeCompany(*a), text::NormalizeCompany(*b)).level;
  return level != match::CompanyLevel::kDifferent;
}

struct Found {
  OptionalUuid customer;             // that owns one of the lead's identities
  std::vector<std::string> claimed;  // kinds that were free
  bool all_free = true;              // nobody owns any of them
};

// Claims the lead's identities for `candidate`, then looks whose they are. Finds the customer they lead to:
// an INN is enough by itself, e-mail and phone need a compatible company.
Found ClaimOrFind(const pg::Uuid& organization, const pg::Uuid& candidate, const crm::Lead& lead) {
  Found found;
  const std::uint64_t wanted =
      static_cast<std::uint64_t>(lead.email.has_value()) + lead.inn.has_value() + lead.phone.has_value();
  if (wanted == 0) return found;
  const pg::Rows claimed = kClaim(organization, candidate, lead.email, lead.inn, lead.phone);
  for (std::uint64_t i = 0; i < claimed.size(); ++i) found.claimed.push_back(claimed.Get<std::string>(i, 0));
  if (claimed.size() == wanted) return found;
  found.all_free = false;
  const pg::Rows owners = kOwners(organization, candidate, lead.email, lead.inn, lead.phone);
  for (std::uint64_t i = 0; i < owners.size(); ++i) {
    const bool by_inn = owners.Get<std::string>(i, 0) == "inn";
    if (by_inn || CompatibleCompanies(lead.company, owners.Get<OptionalText>(i, 2))) {
      found.customer = owners.Get<pg::Uuid>(i, 1);
      return found;
    }
  }
  return found;
}

// What others own of what the lead brings its customer, the customer will own next.
void StandInLine(const pg::Uuid& organization, const pg::Uuid& customer, const crm::Lead& lead) {
  const pg::Rows rows = kNotOwned.Latest(organization, customer, lead.email, lead.inn, lead.phone);
  for (std::uint64_t i = 0; i < rows.size(); ++i)
    crm::ClaimIdentity(organization, customer, {rows.Get<std::string>(i, 0), rows.Get<std::string>(i, 1)});
}

// A transaction that repeats its reads doesn't see a quote that was made since it began.
bool MayHaveQuotes(const pg::Rows& converted) {
  return IsolationUsesXactSnapshot() || converted.Get<bool>(0, 1);
}

// The lead's custom fields that fill blanks of the customer.
pg::Json FillingFields(const crm::Lead& lead, const pg::Uuid& customer) {
  const pg::Uuid& home = lead.caller.organization;
  // As a writer does: definitions stay what they are until the customer is written.
  pg::LockForWriting("customers");
  const pg::Rows rows = kCustomFields(lead.id, home, customer);
  if (rows.empty()) return pg::ParseJson("{}");
  return crm::PickCarried(crm::FieldEntity::kCustomer, home, rows.Get<pg::Json>(0, 0),
                          rows.Get<pg::Json>(0, 1));
}

}  // namespace

namespace kvcrm::crm {

OnMatch ParseOnMatch(const OptionalText& text) {
  if (!text || *text == "link") return OnMatch::kLink;
  if (*text == "create") return OnMatch::kCreate;
  if (*text == "error") return OnMatch::kError;
  throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "on_match must be link, create or error");
}

void RequireConvert(const Lead& lead) {
  if (lead.caller.Can(Permission::kLeadsConvert)) return;
  if (lead.caller.Can(Permission::kLeadsConvertOwn) && lead.caller.Is(lead.assignee)) return;
  RaiseNotAllowed(Permission::kLeadsConvert);
}

void CheckRequiredSetting(pg::Json settings) {
  const pg::JsonMember setting = pg::FindMember(settings, kRequiredSetting);
  if (setting.kind == pg::JsonMember::Kind::kMissing) return;
  const pg::Rows rows = kSettingFields(settings);
  const auto refuse = [](std::string detail) {
    throw Error(ERRCODE_CHECK_VIOLATION, "setting conversion_required is not a list of lead fields")
        .Detail(std::move(detail))
        .Hint("For example [\"name\", \"company|email|phone\", \"custom_fields.budget\"].")
        .Column("settings");
  };
  if (rows.IsNull(0, 0)) refuse("");
  for (const std::string& requirement : rows.Get<std::vector<std::string>>(0, 0)) {
    for (const std::string_view field : Alternatives(requirement)) {
      const auto key = CustomFieldKey(field);
      const bool custom = key && !key->empty();
      if (!custom && LeadColumnNamed(field) < 0) refuse("Unknown field: " + std::string(field) + ".");
    }
  }
}

pg::Rows ConvertLead(const pg::Uuid& id, const OptionalUuid& named, OnMatch on_match,
                     const OptionalUuid& organization) {
  const Lead lead = FindLead(id, organization, Lock::kRow);
  RequireConvert(lead);
  const pg::Uuid& home = lead.caller.organization;
  const bool reads_customers = lead.caller.Can(Permission::kCustomersRead);
  if (lead.converted) return (reads_customers ? kCustomer : kCustomerUnread)(*lead.customer, home);
  RequireNotGone(lead);

  pg::LockForWriting("leads");
  const auto pipeline = PipelineOf(home);
  RequireFields(lead, *pipeline);
  const Stage* stage = pipeline->Find(lead.stage);
  if (stage == nullptr || !stage->is_qualified) stage = pipeline->FirstQualified();
  const pg::Uuid target_stage = stage != nullptr ? stage->id : lead.stage;

  const pg::Uuid created = NewUuid();
  OptionalUuid existing = named;
  const Authorized authorized;
  Found found = ClaimOrFind(home, named ? *named : created, lead);
  // Nobody has its INN, e-mail or phone: a second look tells whether it still is somebody who is a customer.
  if (!named && found.all_free && on_match != OnMatch::kCreate)
    found.customer = CustomerLike(lead, kSameFrom);
  if (!named && found.customer && on_match == OnMatch::kLink) {
    // The owner may be gone by the time its lock is ours, when its own conversion was reverted: then the
    // identities are free.
    while (found.customer && kLockCustomer(*found.customer, home).empty()) {
      pg::CheckForInterrupts();
      Found again = ClaimOrFind(home, created, lead);
      again.claimed.insert(again.claimed.end(), found.claimed.begin(), found.claimed.end());
      found = std::move(again);
    }
    existing = found.customer;
  }
  if (!existing && found.customer && on_match == OnMatch::kError) {
    throw Error(ERRCODE_UNIQUE_VIOLATION, "a customer with the same INN, e-mail or phone exists")
        .Detail(reads_customers ? "Customer " + found.customer->Text() + "." : "")
        .Hint("Link to it with on_match => 'link', or pass on_match => 'create'.");
  }
  if (named && kLockCustomer(*named, home).empty()) throw Error(kNotFound, "customer not found");
  LogScope log;
  const CarriedFields carried;
  if (!existing) {
    if (!found.all_free) StandInLine(home, created, lead);
    const CustomerFingerprintGiven given;
    pg::Rows rows = kConvertToNew(lead.id, home, created, target_stage, lead.caller.user);
    if (MayHaveQuotes(rows)) GiveCustomerToQuotes(home, lead.id, created);
    log.Write();
    return rows;
  }
  if (!named) kHandOver(home, created, *existing);
  if (!found.all_free) StandInLine(home, *existing, lead);
  pg::Rows rows =
      kConvertToExisting(lead.id, home, *existing, target_stage, lead.caller.user,
                         !HasContact(lead, *existing), found.claimed, FillingFields(lead, *existing));
  if (MayHaveQuotes(rows)) GiveCustomerToQuotes(home, lead.id, *existing);
  log.Write();
  return reads_customers ? std::move(rows) : kCustomerUnread(*existing, home);
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
