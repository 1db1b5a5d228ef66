#include "crm/fingerprints.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "crm/rows.hpp"
#include "match/keys.hpp"
#include "pg/entry.hpp"
#include "pg/security.hpp"
#include "pg/trigger.hpp"
#include "text/fold.hpp"
#include "text/libraries.hpp"

using namespace kvcrm;

namespace {

#define LEAD_FINGERPRINTS                                                                             \
  "INSERT INTO kvcrm.lead_fingerprints (id, organization_id, search_text, match_keys, match_values, " \
  "derivation_version, created_at)"
const std::vector<Oid> kLeadTypes = {UUIDOID, UUIDOID, TEXTOID,       INT8ARRAYOID,
                                     TEXTOID, INT4OID, TIMESTAMPTZOID};

const crm::BulkInsert kInsertLeads("fingerprints.insert_leads", LEAD_FINGERPRINTS, kLeadTypes);
#define UPDATE_LEADS                                                                                         \
  " ON CONFLICT (id, organization_id) DO UPDATE SET search_text = excluded.search_text, match_keys = "       \
  "excluded.match_keys, match_values = excluded.match_values, created_at = excluded.created_at, updated_at " \
  "= now()"
#define AND_VERSION ", derivation_version = excluded.derivation_version"
const crm::BulkInsert kUpdateLeads("fingerprints.update_leads", LEAD_FINGERPRINTS, kLeadTypes, UPDATE_LEADS);
const crm::BulkInsert kRefreshLeads("fingerprints.refresh_leads", LEAD_FINGERPRINTS, kLeadTypes,
                                    UPDATE_LEADS AND_VERSION);

#define CUSTOMER_FINGERPRINTS                                                                \
  "INSERT INTO kvcrm.customer_fingerprints (id, organization_id, match_keys, match_values, " \
  "derivation_version)"
#define UPDATE_CUSTOMERS                                                                               \
  " ON CONFLICT (id, organization_id) DO UPDATE SET match_keys = excluded.match_keys, match_values = " \
  "excluded.match_values, updated_at = now()"
const std::vector<Oid> kCustomerTypes = {UUIDOID, UUIDOID, INT8ARRAYOID, TEXTOID, INT4OID};

const crm::BulkInsert kUpsertCustomers("fingerprints.upsert_customers", CUSTOMER_FINGERPRINTS, kCustomerTypes,
                                       UPDATE_CUSTOMERS);
const crm::BulkInsert kRefreshCustomers("fingerprints.refresh_customers", CUSTOMER_FINGERPRINTS,
                                        kCustomerTypes, UPDATE_CUSTOMERS AND_VERSION);

// More contacts than these are not told apart: their customer is found by what it says itself.
#define MOST_CONTACTS "50"

// Before its people are read: who writes another contact of the customer meanwhile would be forgotten, or
// forget this one.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kLockCustomers{
    "fingerprints.lock_customers",
    "SELECT FROM kvcrm.customer_fingerprints WHERE organization_id = $1 AND id = ANY ($2) ORDER BY id"
    " FOR NO KEY UPDATE"};

// A customer's own record and those of its contacts, the customer's first.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kRecordsOfCustomers{
    "fingerprints.records_of_customers",
    "SELECT c.id, r.name, c.company, r.email, r.phone, c.inn FROM unnest($2) AS i (id)"
    " JOIN kvcrm.customers c ON c.id = i.id AND c.organization_id = $1 CROSS JOIN LATERAL"
    " (SELECT c.name, c.email, c.phone, 0 AS position UNION ALL"
    "  (SELECT p.name, p.email, p.phone, 1 FROM kvcrm.customer_contacts p WHERE p.customer_id = c.id"
    "    AND p.organization_id = $1 ORDER BY p.is_primary DESC, p.created_at, p.id LIMIT " MOST_CONTACTS
    ")) r ORDER BY c.id, r.position"};

const pg::Statement<pg::Uuid, pg::Uuid> kForgetCustomer{
    "fingerprints.forget_customer",
    "DELETE FROM kvcrm.customer_fingerprints WHERE id = $1 AND organization_id = $2"};

// Separates the records of one customer; normalised values never hold it.
constexpr char kRecordEnd = '\f';

std::string_view ViewOrEmpty(pg::Value value) {
  return value.is_null ? std::string_view() : crm::ViewText(value);
}

// Columns of a statement above, from `first`: name, company, email, phone, inn.
match::Fields FieldsAt(const pg::Rows& rows, std::uint64_t row, int first) {
  return {ViewOrEmpty(rows.At(row, first)), ViewOrEmpty(rows.At(row, first + 1)),
          ViewOrEmpty(rows.At(row, first + 2)), ViewOrEmpty(rows.At(row, first + 3)),
          ViewOrEmpty(rows.At(row, first + 4))};
}

// --- customers ---

enum Column { kId, kOrganization, kCustomer };  // and the texts
constexpr const char* kCustomerColumns[] = {"id",    "organization_id", "id",      "name",
                                            "email", "phone",           "company", "inn"};
constexpr const char* kContactColumns[] = {"id", "organization_id", "customer_id", "name", "email", "phone"};
pg::Columns columns_of_customers(kCustomerColumns, std::size(kCustomerColumns));
pg::Columns columns_of_contacts(kContactColumns, std::size(kContactColumns));

using CustomersByOrganization = std::map<pg::Uuid, std::set<pg::Uuid>>;

void Collect(pg::TransitionReader& row, const AttrNumber* at, CustomersByOrganization& customers) {
  customers[row.Get<pg::Uuid>(at[kOrganization])].insert(row.Get<pg::Uuid>(at[kCustomer]));
}

CustomersByOrganization AffectedCustomers(const pg::TriggerCall& call, const AttrNumber* at, int columns) {
  CustomersByOrganization affected;
  if (!call.OnUpdate()) {
    pg::TransitionReader row(call.OnDelete() ? call.OldTable() : call.NewTable(), call.descriptor());
    while (row.Next()) Collect(row, at, affected);
    return affected;
  }
  pg::TransitionReader old(call.OldTable(), call.descriptor()), row(call.NewTable(), call.descriptor());
  while (old.Next() && row.Next()) {
    for (int column = kCustomer; column < columns; ++column) {
      if (pg::SameValue(row.At(at[column]), old.At(at[column]), call.descriptor(), at[column])) continue;
      Collect(old, at, affected);
      Collect(row, at, affected);
      break;
    }
  }
  return affected;
}

}  // namespace

namespace kvcrm::crm {

int CustomerFingerprintGiven::depth_ = 0;

std::int32_t DerivationVersion() {
  // The rules stand before seven digits for the libraries, so that one can tell them apart.
  static const auto version =
      static_cast<std::int32_t>(kDerivationRules * 10'000'000 + text::LibrariesHash() % 10'000'000);
  return version;
}

LeadFingerprints::LeadFingerprints(Rows rows)
    : batch_(rows == Rows::kNew       ? kInsertLeads
             : rows == Rows::kChanged ? kUpdateLeads
                                      : kRefreshLeads) {}

void LeadFingerprints::Add(const LeadKey& lead, const match::Fields& fields, pg::Timestamp created_at,
                           std::int32_t version) {
  const LeadFingerprint derived = DeriveLead(lead.organization, fields);
  batch_.Add({batch_.Make(lead.id), batch_.Make(lead.organization), batch_.Make(derived.search_text),
              batch_.Make(derived.match_keys), batch_.Make(derived.match_values), batch_.Make(version),
              batch_.Make(created_at)});
}

LeadFingerprint DeriveLead(const pg::Uuid& organization, const match::Fields& fields) {
  LeadFingerprint derived;
  derived.search_text = SearchText(fields);
  derived.match_values = match::Normalize(fields);
  derived.match_keys = match::BlockingKeys(match::Record(derived.match_values), BytesOf(organization));
  return derived;
}

std::string SearchText(const match::Fields& fields) {
  std::string result;
  for (const std::string_view field : {fields.name, fields.email, fields.company}) {
    if (!field.empty()) result += text::Fold(field);
    result += '\n';
  }
  for (const char c : fields.phone) {
    if (c >= '0' && c <= '9') result += c;
  }
  result += '\n';
  if (!fields.inn.empty()) result += text::Fold(fields.inn);
  return result;
}

std::vector<std::string_view> RecordsOfCustomer(std::string_view match_values) {
  std::vector<std::string_view> records;
  for (std::size_t from = 0; from <= match_values.size();) {
    const std::size_t end = std::min(match_values.find(kRecordEnd, from), match_values.size());
    records.push_back(match_values.substr(from, end - from));
    from = end + 1;
  }
  return records;
}

TypedFields TypedFieldsAt(const pg::Rows& rows, std::uint64_t row, int column) {
  const match::Fields fields = FieldsAt(rows, row, column);
  return {std::string(fields.name), std::string(fields.company), std::string(fields.email),
          std::string(fields.phone), std::string(fields.inn)};
}

TypedFields PersonOfCustomer(const pg::Uuid& organization, const pg::Uuid& customer,
                             std::string_view record) {
  const pg::Rows rows = kRecordsOfCustomers(organization, std::vector{customer});
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (match::Normalize(FieldsAt(rows, i, 1)) == record) return TypedFieldsAt(rows, i, 1);
  }
  return {};
}

void ForEachCustomer(const pg::Uuid& organization, const pg::Rows& rows,
                     const std::function<void(const CustomerFingerprint&)>& take) {
  for (std::uint64_t i = 0; i < rows.size();) {
    pg::CheckForInterrupts();
    CustomerFingerprint derived;
    derived.id = rows.Get<pg::Uuid>(i, 0);
    std::set<std::int64_t> keys;
    for (; i < rows.size() && rows.Get<pg::Uuid>(i, 0) == derived.id; ++i) {
      std::string record = match::Normalize(FieldsAt(rows, i, 1));
      ++derived.people;
      if (std::find(derived.records.begin(), derived.records.end(), record) != derived.records.end())
        continue;
      const auto of_record = match::BlockingKeys(match::Record(record), BytesOf(organization));
      keys.insert(of_record.begin(), of_record.end());
      derived.records.push_back(std::move(record));
    }
    derived.match_keys.assign(keys.begin(), keys.end());
    take(derived);
  }
}

void DeriveCustomers(const pg::Uuid& organization, const std::vector<pg::Uuid>& customers,
                     const std::function<void(const CustomerFingerprint&)>& take) {
  ForEachCustomer(organization, kRecordsOfCustomers(organization, customers), take);
}

void RefreshCustomers(const pg::Uuid& organization, const std::vector<pg::Uuid>& customers,
                      std::optional<std::int32_t> version) {
  if (customers.empty()) return;
  kLockCustomers.Latest(organization, customers);
  BulkInsert::Batch batch(version ? kRefreshCustomers : kUpsertCustomers);
  ForEachCustomer(
      organization, kRecordsOfCustomers.Latest(organization, customers),
      [&](const CustomerFingerprint& derived) {
        std::string values;
        for (const std::string& record : derived.records)
          values += (values.empty() ? "" : std::string(1, kRecordEnd)) + record;
        batch.Add({batch.Make(derived.id), batch.Make(organization), batch.Make(derived.match_keys),
                   batch.Make(values), batch.Make(version.value_or(DerivationVersion()))});
      });
  batch.Flush();
}

void ForgetCustomer(const pg::Uuid& organization, const pg::Uuid& customer) {
  kForgetCustomer(customer, organization);
}

}  // namespace kvcrm::crm

// Trigger after each statement on customers or customer_contacts.
KVCRM_FUNCTION(customer_fingerprints_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner()) || crm::CustomerFingerprintGiven::Active()) return call.Done();
  const bool of_contacts = std::string_view(call.Argument(0)) == "contact";
  const CustomersByOrganization affected = AffectedCustomers(
      call, (of_contacts ? columns_of_contacts : columns_of_customers).In(call.table()),
      static_cast<int>(of_contacts ? std::size(kContactColumns) : std::size(kCustomerColumns)));
  if (affected.empty()) return call.Done();
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  for (const auto& [organization, customers] : affected)
    crm::RefreshCustomers(organization, {customers.begin(), customers.end()});
  return call.Done();
}

// derivation_version() -> int: by which rules and libraries this server derives; see DerivationVersion.
KVCRM_TIMELESS_FUNCTION(derivation_version) { return args.Return(crm::DerivationVersion()); }
