// Customers and their contacts: texts, and who owns which INN, e-mail and phone.
#include "crm/derived.hpp"
#include "crm/fields.hpp"
#include "crm/fingerprints.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/ownership.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "pg/security.hpp"
#include "text/phone.hpp"

using namespace kvcrm;
using crm::Authorized;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

enum CustomerColumn {
  kCId,
  kCOrganization,
  kCName,
  kCCompany,
  kCInn,
  kCEmail,
  kCPhone,
  kCNotes,
  kCCustomFields,
  kCDeletedAt,
  kCCreatedBy,
  kCUpdatedAt,
  kCCount
};
constexpr const char* kCustomerColumns[] = {
    "id",    "organization_id", "name",          "company",    "inn",        "email",
    "phone", "notes",           "custom_fields", "deleted_at", "created_by", "updated_at"};
pg::Columns columns_of_customers(kCustomerColumns, kCCount);
constexpr crm::TextRule kCustomerTexts[] = {{kCName, crm::kNameLength, true}, {kCCompany, crm::kNameLength},
                                            {kCInn, crm::kShortLength},       {kCEmail, crm::kNameLength},
                                            {kCPhone, crm::kShortLength},     {kCNotes, crm::kTextLength}};

enum ContactColumn {
  kPId,
  kPOrganization,
  kPCustomer,
  kPName,
  kPEmail,
  kPPhone,
  kPPosition,
  kPUpdatedAt,
  kPCount
};
constexpr const char* kContactColumns[] = {"id",    "organization_id", "customer_id", "name",
                                           "email", "phone",           "position",    "updated_at"};
pg::Columns columns_of_contacts(kContactColumns, kPCount);
constexpr crm::TextRule kContactTexts[] = {{kPName, crm::kNameLength, true},
                                           {kPEmail, crm::kNameLength},
                                           {kPPhone, crm::kShortLength},
                                           {kPPosition, crm::kShortLength}};

// E-mail, phone and INN of a row that a person wrote; one that a conversion writes has been checked on the
// lead.
void CheckContacts(pg::Row& row, const pg::Row* old, AttrNumber organization, AttrNumber email,
                   AttrNumber phone, AttrNumber inn, const char* entity) {
  if (Authorized::Active() || row.IsNull(organization)) return;
  const auto touched = [&](AttrNumber column) {
    return !row.IsNull(column) && (old == nullptr || crm::Changed(row, *old, column));
  };
  if (touched(email)) crm::CheckEmail(row, email, entity);
  if (!touched(phone) && (inn == 0 || !touched(inn))) return;
  std::optional<crm::OrganizationRules> rules;
  {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    if (old == nullptr) crm::RequireMembership(row.Get<pg::Uuid>(organization));
    rules = crm::ReadOrganizationRules(row.Get<pg::Uuid>(organization));
  }
  if (!rules) return;
  if (touched(phone)) crm::NormalizePhone(row, phone, rules->default_country);
  if (inn != 0 && touched(inn) && rules->checks_inn) crm::CheckInn(row, inn, entity);
}

// What the row has of a kind: nothing when the customer is deleted, since the next conversion of the same
// firm must find a live owner.
OptionalText IdentityOf(const pg::Row& row, AttrNumber column, AttrNumber deleted, std::string_view kind) {
  if (row.IsNull(column) || !row.IsNull(deleted)) return std::nullopt;
  return crm::OwnedForm(kind, row.Get<std::string>(column));
}

void FollowIdentity(const pg::Row& row, const pg::Row* old, AttrNumber column, AttrNumber deleted,
                    const char* kind, const pg::Uuid& organization, const pg::Uuid& customer) {
  const OptionalText now = IdentityOf(row, column, deleted, kind);
  const OptionalText before = old != nullptr ? IdentityOf(*old, column, deleted, kind) : std::nullopt;
  if (now == before) return;
  const auto claim = [&] { crm::ClaimIdentity(organization, customer, {kind, *now}); };
  // Two that exchange their values take the rows in the same order.
  const bool claim_first = now && before && *now < *before;
  if (claim_first) claim();
  if (before) crm::GiveUpIdentity(organization, customer, {kind, *before});
  if (now && !claim_first) claim();
}

}  // namespace

// Trigger before insert or update of customers.
KVCRM_FUNCTION(customers_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_customers.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const CustomerColumn column : {kCId, kCOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    if (!Authorized::Active() && crm::Changed(row, *old, at[kCDeletedAt])) {
      // A policy doesn't see which column changes.
      const pg::AsOwner owner;
      const pg::Session session(pg::Access::kWrite);
      crm::CallerIn(row.Get<pg::Uuid>(at[kCOrganization])).Require(crm::Permission::kCustomersDelete);
    }
    if (!crm::DerivedAnew::Active()) row.Set(at[kCUpdatedAt], crm::Now());
  } else if (const OptionalUuid user = crm::CurrentUser(); user) {
    row.Set(at[kCCreatedBy], user);
  }
  const pg::Row* before = old ? &*old : nullptr;
  crm::NormalizeTexts(row, before, kCustomerTexts, at, "customer");
  crm::CheckCustomFields(row, before, at[kCCustomFields], at[kCOrganization], crm::FieldEntity::kCustomer,
                         "customer");
  CheckContacts(row, before, at[kCOrganization], at[kCEmail], at[kCPhone], at[kCInn], "customer");
  return call.Proceed(row);
}

// Trigger after insert or update of customers: claims and releases identities for rows that people write; a
// conversion claims its own before it decides.
KVCRM_FUNCTION(customers_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner()) || (Authorized::Active() && !call.OnDelete())) return call.Done();
  const AttrNumber* at = columns_of_customers.In(call.table());
  const pg::Row row = call.New();
  if (call.OnDelete()) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    crm::GiveUpAllIdentities(row.Get<pg::Uuid>(at[kCOrganization]), row.Get<pg::Uuid>(at[kCId]));
    crm::ForgetCustomer(row.Get<pg::Uuid>(at[kCOrganization]), row.Get<pg::Uuid>(at[kCId]));
    return call.Done();
  }
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  const auto organization = row.Get<pg::Uuid>(at[kCOrganization]);
  const auto customer = row.Get<pg::Uuid>(at[kCId]);
  const pg::Row* before = old ? &*old : nullptr;
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  // What it got from leads too: the next conversion must find a live owner, or become one.
  if (!row.IsNull(at[kCDeletedAt]) && old && old->IsNull(at[kCDeletedAt])) {
    crm::GiveUpAllIdentities(organization, customer);
    return call.Done();
  }
  // In sorted order of kinds, as conversions do, so that two writers can't wait for each other.
  FollowIdentity(row, before, at[kCEmail], at[kCDeletedAt], "email", organization, customer);
  FollowIdentity(row, before, at[kCInn], at[kCDeletedAt], "inn", organization, customer);
  FollowIdentity(row, before, at[kCPhone], at[kCDeletedAt], "phone", organization, customer);
  return call.Done();
}

// Trigger before insert or update of customer_contacts.
KVCRM_FUNCTION(customer_contacts_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_contacts.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const ContactColumn column : {kPId, kPOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    if (!Authorized::Active()) crm::RequireUnchanged(row, *old, at[kPCustomer]);
    if (!crm::DerivedAnew::Active()) row.Set(at[kPUpdatedAt], crm::Now());
  }
  const pg::Row* before = old ? &*old : nullptr;
  crm::NormalizeTexts(row, before, kContactTexts, at, "contact");
  CheckContacts(row, before, at[kPOrganization], at[kPEmail], at[kPPhone], 0, "contact");
  return call.Proceed(row);
}
