// refresh_derived(): what older rules, or another ICU or libphonenumber, derived is derived anew.
//
// A fingerprint's version stands for everything that is derived of its lead or customer. A batch locks leads
// or customers whose version is another one, reads their phones and addresses as they would be read now,
// writes the few that differ, and then all their fingerprints. Under the policy 'block' two leads may turn
// out to have one phone: the second one is left as it is, told of, and tried again once nothing else is to be
// done.
#include "crm/derived.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "crm/batches.hpp"
#include "crm/fingerprints.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/ownership.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "pg/entry.hpp"
#include "pg/security.hpp"
#include "text/email.hpp"
#include "text/phone.hpp"

using namespace kvcrm;
using crm::PhoneReader;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Ids = std::vector<pg::Uuid>;

constexpr std::size_t kTogether = 64;  // rows written in one sub-transaction
constexpr std::size_t kMostNamed = 20;

// A country that was another one before explains phones that were not understood then.
const pg::Statement<pg::Uuid> kCountryChanged{
    "derived.country_changed",
    "SELECT FROM kvcrm.activity_logs WHERE entity_id = $1 AND organization_id = $1 AND action = 'updated'"
    " AND changes ? 'default_country' LIMIT 1"};

// $2 is the version of now. Those that were left keep it negated.
#define OLD " f.derivation_version NOT IN ($2, -$2) ORDER BY f.id LIMIT $3"
#define LEFT " f.derivation_version = -$2 ORDER BY f.updated_at, f.id LIMIT $3"

#define SELECT_LEADS                                                                                      \
  "SELECT l.id, l.name, l.company, l.email, l.phone, l.inn, l.created_at, l.email_normalized, "           \
  "l.phone_e164, l.converted_to_customer_id FROM kvcrm.lead_fingerprints f JOIN kvcrm.leads l ON l.id = " \
  "f.id AND l.organization_id = $1 WHERE f.organization_id = $1 AND"
using Batch = pg::Statement<pg::Uuid, std::int32_t, std::int32_t>;
const Batch kOldLeads{"derived.old_leads", SELECT_LEADS OLD " FOR NO KEY UPDATE OF l"};
const Batch kLeftLeads{"derived.left_leads", SELECT_LEADS LEFT " FOR NO KEY UPDATE OF l"};
enum LeadField { kLId, kLFields, kLEmail = 3, kLPhone, kLCreatedAt = 6, kLNormalized, kLE164, kLCustomer };

#define SELECT_CUSTOMERS                                                                               \
  "SELECT c.id, c.phone FROM kvcrm.customer_fingerprints f JOIN kvcrm.customers c ON c.id = f.id AND " \
  "c.organization_id = $1 WHERE f.organization_id = $1 AND"
const Batch kOldCustomers{"derived.old_customers", SELECT_CUSTOMERS OLD " FOR NO KEY UPDATE OF c"};
const Batch kLeftCustomers{"derived.left_customers", SELECT_CUSTOMERS LEFT " FOR NO KEY UPDATE OF c"};

const pg::Statement<pg::Uuid, Ids> kContacts{
    "derived.contacts",
    "SELECT p.id, p.phone, p.customer_id FROM kvcrm.customer_contacts p WHERE p.organization_id = $1"
    " AND p.customer_id = ANY ($2) AND p.phone IS NOT NULL ORDER BY p.customer_id, p.id FOR NO KEY UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalText, OptionalText, OptionalText> kWriteLead{
    "derived.write_lead",
    "UPDATE kvcrm.leads SET phone = $3, phone_e164 = $4, email_normalized = $5 WHERE id = $2 AND"
    " organization_id = $1"};
const pg::Statement<pg::Uuid, pg::Uuid, std::string> kWriteCustomer{
    "derived.write_customer", "UPDATE kvcrm.customers SET phone = $3 WHERE id = $2 AND organization_id = $1"};
const pg::Statement<pg::Uuid, pg::Uuid, std::string> kWriteContact{
    "derived.write_contact",
    "UPDATE kvcrm.customer_contacts SET phone = $3 WHERE id = $2 AND organization_id = $1"};

const pg::Statement<pg::Uuid, Ids> kLiveCustomers{
    "derived.live_customers",
    "SELECT id, email, phone FROM kvcrm.customers WHERE organization_id = $1 AND id = ANY ($2)"
    " AND deleted_at IS NULL"};
// What customers own or stand in line for, and whether because of a lead that became them; an erased lead
// doesn't tell any more.
const pg::Statement<pg::Uuid, Ids> kHeld{
    "derived.held",
    "SELECT i.customer_id, i.kind, i.value, EXISTS (SELECT FROM kvcrm.leads l WHERE"
    "   l.converted_to_customer_id = i.customer_id AND l.organization_id = $1 AND (l.erased_at IS NOT NULL OR"
    "   i.value = CASE i.kind WHEN 'email' THEN l.email_normalized ELSE l.phone_e164 END))"
    " FROM (SELECT customer_id, kind, value FROM kvcrm.customer_identities WHERE organization_id = $1"
    "     AND customer_id = ANY ($2) UNION ALL SELECT customer_id, kind, value FROM"
    "     kvcrm.customer_identity_heirs WHERE organization_id = $1 AND customer_id = ANY ($2)) i"
    " WHERE i.kind IN ('email', 'phone')"};

// Customers that neither own what they have nor stand in line for it: those of before there was a line, or
// loaded past the triggers. Who has an e-mail, but owns another one that it got from a lead, is not seen.
#define LACKS(kind, condition, more)                                                        \
  "(c." kind " " condition                                                                  \
  " AND NOT EXISTS (SELECT FROM kvcrm.customer_identities i WHERE i.customer_id = c.id"     \
  "   AND i.organization_id = c.organization_id AND i.kind = '" kind "'" more               \
  ")"                                                                                       \
  " AND NOT EXISTS (SELECT FROM kvcrm.customer_identity_heirs i WHERE i.customer_id = c.id" \
  "   AND i.organization_id = c.organization_id AND i.kind = '" kind "'" more "))"
#define OUT_OF_LINE                                                                    \
  "c.deleted_at IS NULL AND (" LACKS("email", "IS NOT NULL", "") " OR " LACKS(         \
      "inn", "IS NOT NULL", " AND i.value = c.inn") " OR " LACKS("phone", "LIKE '+%'", \
                                                                 " AND i.value = c.phone") ")"
const pg::Statement<pg::Uuid, std::int32_t> kOutOfLine{
    "derived.out_of_line",
    "SELECT c.id, c.email, c.inn, c.phone FROM kvcrm.customers c WHERE c.organization_id = $1 "
    "AND " OUT_OF_LINE " ORDER BY c.id LIMIT $2 FOR NO KEY UPDATE"};

const pg::Statement<std::int32_t> kOldOrganizations{
    "derived.old_organizations",
    "SELECT o.id FROM kvcrm.organizations o WHERE EXISTS (SELECT FROM kvcrm.lead_fingerprints f WHERE"
    " f.organization_id = o.id AND f.derivation_version <> $1) OR EXISTS (SELECT FROM"
    " kvcrm.customer_fingerprints f WHERE f.organization_id = o.id AND f.derivation_version <> $1)"
    " OR EXISTS (SELECT FROM kvcrm.customers c WHERE c.organization_id = o.id AND " OUT_OF_LINE
    ") ORDER BY o.id"};

std::string_view ViewOrEmpty(pg::Value value) {
  return value.is_null ? std::string_view() : crm::ViewText(value);
}

// What a lead that became a customer gives now instead of what it gave before.
struct FromLead {
  pg::Uuid customer;
  crm::Identity before, now;
};

// Customers own, or stand in line for, their e-mail address and phone as these are derived now, and what they
// have from leads likewise.
void RefreshIdentities(const pg::Uuid& organization, const Ids& customers,
                       const std::vector<FromLead>& from_leads) {
  if (customers.empty()) return;
  using Held = std::pair<crm::Identity, pg::Uuid>;
  std::set<Held> wanted;
  const pg::Rows live = kLiveCustomers(organization, customers);
  for (std::uint64_t i = 0; i < live.size(); ++i) {
    for (const auto& [kind, column] : {std::pair("email", 1), {"phone", 2}}) {
      if (auto value = crm::OwnedForm(kind, live.Get<OptionalText>(i, column)); value)
        wanted.insert({{kind, *std::move(value)}, live.Get<pg::Uuid>(i, 0)});
    }
  }
  std::map<Held, bool> held;  // and whether a lead gives it
  const pg::Rows rows = kHeld(organization, customers);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    held.insert({{{rows.Get<std::string>(i, 1), rows.Get<std::string>(i, 2)}, rows.Get<pg::Uuid>(i, 0)},
                 rows.Get<bool>(i, 3)});
  }
  for (const FromLead& given : from_leads) {
    if (held.count({given.before, given.customer}) != 0) wanted.insert({given.now, given.customer});
  }
  // In the order in which everybody takes them.
  std::set<Held> all = wanted;
  for (const auto& [identity, of_lead] : held) all.insert(identity);
  for (const Held& one : all) {
    const auto place = held.find(one);
    if (place == held.end())
      crm::ClaimIdentity(organization, one.second, one.first);
    else if (!place->second && wanted.count(one) == 0)
      crm::GiveUpIdentity(organization, one.second, one.first);
  }
}

// One call's work.
class Refresh {
 public:
  explicit Refresh(std::int32_t most) : most_(most) {}

  std::int32_t done() const { return done_; }
  bool IsFull() const { return done_ >= most_; }

  // What is left of the batch, of this organization.
  void Do(const pg::Uuid& organization) {
    const auto rules = crm::ReadOrganizationRules(organization);
    if (!rules) return;
    const PhoneReader phones(organization, rules->default_country);
    const std::int32_t before = done_;
    Leads(organization, phones, kOldLeads);
    // After all leads, by whose values customers own what they got from them.
    if (!IsFull()) Customers(organization, phones, kOldCustomers);
    if (!IsFull()) OutOfLine(organization);
    if (done_ > before) return;
    const std::size_t left = left_;
    Leads(organization, phones, kLeftLeads);
    if (!IsFull()) Customers(organization, phones, kLeftCustomers);
    // Only what could be done now counts, or else the last call would never come.
    done_ -= static_cast<std::int32_t>(left_ - left);
  }

  void Tell() const {
    if (left_ == 0) return;
    const std::string message = std::to_string(left_) + (left_ == 1 ? " row keeps" : " rows keep") +
                                " a phone or e-mail address that was derived otherwise than now";
    const std::string detail =
        named_ + (left_ > kMostNamed ? "\nFurther ones: " + std::to_string(left_ - kMostNamed) + "." : "");
    pg::Call([&message, &detail] {
      ereport(WARNING,
              (errmsg("%s", message.c_str()), errdetail("%s", detail.c_str()),
               errhint("Merge, change or delete them, and call refresh_derived() until it returns 0.")));
    });
  }

 private:
  void Leave(std::set<pg::Uuid>& left, const char* entity, const pg::Uuid& id, const crm::Failure& failure) {
    left.insert(id);
    if (++left_ <= kMostNamed)
      named_ += (named_.empty() ? "" : "\n") + (entity + (" " + id.Text())) + ": " + failure.message;
  }

  void Leads(const pg::Uuid& organization, const PhoneReader& phones, const Batch& batch) {
    const pg::Rows leads = batch(organization, crm::DerivationVersion(), most_ - done_);
    struct Reading {
      pg::Uuid id;
      OptionalText phone, e164, email;
      std::uint64_t row;
    };
    std::vector<Reading> changed;
    std::map<pg::Uuid, std::string> phone_of;
    for (std::uint64_t i = 0; i < leads.size(); ++i) {
      pg::CheckForInterrupts();
      Reading now{leads.Get<pg::Uuid>(i, kLId), leads.Get<OptionalText>(i, kLPhone), {}, {}, i};
      const OptionalText typed = now.phone;
      if (typed) now.e164 = phones.Read(*typed);
      if (now.e164) now.phone = now.e164;
      if (!leads.IsNull(i, kLEmail)) now.email = text::NormalizeEmail(crm::ViewText(leads.At(i, kLEmail)));
      if (now.phone != typed || now.e164 != leads.Get<OptionalText>(i, kLE164) ||
          now.email != leads.Get<OptionalText>(i, kLNormalized))
        changed.push_back(std::move(now));
    }
    std::set<pg::Uuid> left;
    crm::InBatches(
        changed.size(), kTogether,
        [&](std::size_t first, std::size_t end) {
          const crm::DerivedAnew anew;
          for (std::size_t i = first; i < end; ++i) {
            const Reading& now = changed[i];
            kWriteLead(organization, now.id, now.phone, now.e164, now.email);
          }
        },
        [&](std::size_t i, const crm::Failure& failure) { Leave(left, "Lead", changed[i].id, failure); });
    std::set<pg::Uuid> customers;
    std::vector<FromLead> from_leads;
    for (const Reading& now : changed) {
      if (left.count(now.id) != 0) continue;
      if (now.phone) phone_of.emplace(now.id, *now.phone);
      const auto customer = leads.Get<OptionalUuid>(now.row, kLCustomer);
      if (!customer) continue;
      customers.insert(*customer);
      const auto give = [&](const char* kind, int before, const OptionalText& value) {
        if (!leads.IsNull(now.row, before) && value)
          from_leads.push_back({*customer, {kind, leads.Get<std::string>(now.row, before)}, {kind, *value}});
      };
      give("email", kLNormalized, now.email);
      give("phone", kLE164, now.e164);
    }
    crm::LeadFingerprints fingerprints(crm::LeadFingerprints::Rows::kDerivedAnew);
    for (std::uint64_t i = 0; i < leads.size(); ++i) {
      pg::CheckForInterrupts();
      const auto id = leads.Get<pg::Uuid>(i, kLId);
      const auto phone = phone_of.find(id);
      fingerprints.Add({id, organization},
                       {ViewOrEmpty(leads.At(i, kLFields)), ViewOrEmpty(leads.At(i, kLFields + 1)),
                        ViewOrEmpty(leads.At(i, kLEmail)),
                        phone != phone_of.end() ? phone->second : ViewOrEmpty(leads.At(i, kLPhone)),
                        ViewOrEmpty(leads.At(i, kLFields + 4))},
                       leads.Get<pg::Timestamp>(i, kLCreatedAt),
                       left.count(id) == 0 ? crm::DerivationVersion() : crm::LeftVersion());
    }
    fingerprints.Write();
    RefreshIdentities(organization, {customers.begin(), customers.end()}, from_leads);
    done_ += static_cast<std::int32_t>(leads.size());
  }

  void Customers(const pg::Uuid& organization, const PhoneReader& phones, const Batch& batch) {
    const pg::Rows customers = batch(organization, crm::DerivationVersion(), most_ - done_);
    if (customers.empty()) return;
    struct Reading {
      const pg::Statement<pg::Uuid, pg::Uuid, std::string>& write;
      pg::Uuid id, customer;
      std::string phone;
    };
    std::vector<Reading> changed;
    const auto read = [&](const pg::Rows& rows, std::uint64_t i, const auto& write, int customer) {
      pg::CheckForInterrupts();
      if (rows.IsNull(i, 1)) return;
      const std::string_view typed = crm::ViewText(rows.At(i, 1));
      OptionalText now = phones.Read(typed);
      if (now && *now != typed)
        changed.push_back(
            {write, rows.Get<pg::Uuid>(i, 0), rows.Get<pg::Uuid>(i, customer), *std::move(now)});
    };
    Ids ids;
    for (std::uint64_t i = 0; i < customers.size(); ++i) {
      ids.push_back(customers.Get<pg::Uuid>(i, 0));
      read(customers, i, kWriteCustomer, 0);
    }
    const pg::Rows contacts = kContacts(organization, ids);
    for (std::uint64_t i = 0; i < contacts.size(); ++i) read(contacts, i, kWriteContact, 2);
    std::set<pg::Uuid> left;
    crm::InBatches(
        changed.size(), kTogether,
        [&](std::size_t first, std::size_t end) {
          const crm::DerivedAnew anew;
          for (std::size_t i = first; i < end; ++i)
            changed[i].write(organization, changed[i].id, changed[i].phone);
        },
        [&](std::size_t i, const crm::Failure& failure) {
          if (left.count(changed[i].customer) == 0) Leave(left, "Customer", changed[i].customer, failure);
        });
    RefreshIdentities(organization, ids, {});
    Ids derived, kept;
    for (const pg::Uuid& id : ids) (left.count(id) == 0 ? derived : kept).push_back(id);
    crm::RefreshCustomers(organization, derived, crm::DerivationVersion());
    crm::RefreshCustomers(organization, kept, crm::LeftVersion());
    done_ += static_cast<std::int32_t>(ids.size());
  }

  void OutOfLine(const pg::Uuid& organization) {
    const pg::Rows rows = kOutOfLine(organization, most_ - done_);
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      pg::CheckForInterrupts();
      for (const auto& [kind, column] : {std::pair("email", 1), {"inn", 2}, {"phone", 3}}) {
        const OptionalText value = crm::OwnedForm(kind, rows.Get<OptionalText>(i, column));
        if (value) crm::ClaimIdentity(organization, rows.Get<pg::Uuid>(i, 0), {kind, *value});
      }
    }
    done_ += static_cast<std::int32_t>(rows.size());
  }

  const std::int32_t most_;
  std::int32_t done_ = 0;
  std::size_t left_ = 0;
  std::string named_;
};

}  // namespace

namespace kvcrm::crm {

int DerivedAnew::depth_ = 0;

PhoneReader::PhoneReader(const pg::Uuid& organization, std::string_view country)
    : country_(country), country_changed_(!kCountryChanged(organization).empty()) {}

std::optional<std::string> PhoneReader::Read(std::string_view typed) const {
  if (country_changed_ && !typed.starts_with('+')) return std::nullopt;
  return text::ToE164(typed, country_);
}

}  // namespace kvcrm::crm

// refresh_derived(batch, organization_id) -> int. Derives up to `batch` leads and customers anew that were
// derived by other rules or libraries, lets customers own what they have, and returns how many; 0 = none are
// left but those that can't be written, which a WARNING names. The system without an organization does them
// all in turn. Errors: 22023 for a batch that is not positive; 42501 without settings:update.
KVCRM_FUNCTION(refresh_derived) {
  const auto batch = args.Get<std::optional<std::int32_t>>(0).value_or(1000);
  if (batch < 1 || batch > 1'000'000) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "batch must be 1 to 1000000");
  }
  const auto given = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  Ids organizations;
  if (!given && crm::ActsAsSystem() && !crm::CurrentOrganization()) {
    const pg::Rows old = kOldOrganizations(crm::DerivationVersion());
    for (std::uint64_t i = 0; i < old.size(); ++i) organizations.push_back(old.Get<pg::Uuid>(i, 0));
  } else {
    const crm::Caller caller = crm::CallerInGivenOrCurrent(given);
    caller.Require(crm::Permission::kSettingsUpdate);
    organizations.push_back(caller.organization);
  }
  // As a writer of leads: whether duplicates are blocked doesn't change meanwhile.
  pg::LockForWriting("leads");
  Refresh refresh(batch);
  for (const pg::Uuid& organization : organizations) {
    if (refresh.IsFull()) break;
    refresh.Do(organization);
  }
  refresh.Tell();
  return args.Return(refresh.done());
}
