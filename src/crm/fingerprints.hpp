// The derived side of leads and customers: what search and matching read. Kept in side tables, because it is
// indexed heavily and leads move often.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crm/bulk_insert.hpp"
#include "match/record.hpp"

namespace kvcrm::crm {

// Rises whenever what is derived of leads and customers is derived by other rules: what the tables of
// fingerprints hold, normalised e-mail addresses and phones.
inline constexpr std::int32_t kDerivationRules = 2;

// By what this process derives: those rules and the libraries that are loaded (text/libraries.hpp). A
// fingerprint keeps the one that its lead or customer was derived by, and with it stands for everything that
// is derived of them; refresh_derived() does those again whose version is another one.
std::int32_t DerivationVersion();
// What it keeps of a lead or customer whose phone or e-mail address couldn't be written as derived now.
inline std::int32_t LeftVersion() { return -DerivationVersion(); }

// An organization as match/ takes it.
inline std::string_view BytesOf(const pg::Uuid& organization) {
  return {reinterpret_cast<const char*>(organization.bytes.data()), organization.bytes.size()};
}

// Fields as they were typed, kept.
struct TypedFields {
  std::string name, company, email, phone, inn;
  match::Fields View() const { return {name, company, email, phone, inn}; }
};
// From columns of these names in this order, the first at `column`.
TypedFields TypedFieldsAt(const pg::Rows& rows, std::uint64_t row, int column);

struct LeadKey {
  pg::Uuid id, organization;
};

// Fingerprints of leads, collected and written in batches.
class LeadFingerprints {
 public:
  enum class Rows {
    kNew,      // of leads just inserted
    kChanged,  // there already, unless somebody removed them; they keep their version, since what was not
               // changed may be older
    kDerivedAnew,
  };
  explicit LeadFingerprints(Rows rows);

  // `created_at` is the lead's: search walks fingerprints in the order of the list.
  void Add(const LeadKey& lead, const match::Fields& fields, pg::Timestamp created_at,
           std::int32_t version = DerivationVersion());
  void Write() { batch_.Flush(); }

 private:
  BulkInsert::Batch batch_;
};

// What search looks into, one folded value per line, so that a word never matches across two fields.
std::string SearchText(const match::Fields& fields);

// What a lead's fingerprint must hold.
struct LeadFingerprint {
  std::string search_text, match_values;
  std::vector<std::int64_t> match_keys;
};
LeadFingerprint DeriveLead(const pg::Uuid& organization, const match::Fields& fields);

// A customer has one row for all its people: the customer's own record comes first, then one for each contact
// that differs, with the customer's company and INN.
std::vector<std::string_view> RecordsOfCustomer(std::string_view match_values);

// The person, the customer itself or a contact, that one of those records tells of. Nothing when it is gone.
TypedFields PersonOfCustomer(const pg::Uuid& organization, const pg::Uuid& customer, std::string_view record);

// What a customer's fingerprint must hold. Of more people than kMostPeople, some.
struct CustomerFingerprint {
  pg::Uuid id;
  int people = 0;
  std::vector<std::string> records;      // of those who differ, the customer itself first
  std::vector<std::int64_t> match_keys;  // ascending
};
inline constexpr int kMostPeople = 51;
// Calls take() for each of the customers that there is, in the order of their ids.
void DeriveCustomers(const pg::Uuid& organization, const std::vector<pg::Uuid>& customers,
                     const std::function<void(const CustomerFingerprint&)>& take);

// Derives the fingerprints of customers of one organization anew, contacts included. Those that are there
// keep their version unless one is given.
void RefreshCustomers(const pg::Uuid& organization, const std::vector<pg::Uuid>& customers,
                      std::optional<std::int32_t> version = std::nullopt);

// Marks a statement that writes the fingerprint of the customer it makes itself, having it at hand.
class CustomerFingerprintGiven {
 public:
  CustomerFingerprintGiven() { ++depth_; }
  ~CustomerFingerprintGiven() { --depth_; }
  CustomerFingerprintGiven(const CustomerFingerprintGiven&) = delete;
  CustomerFingerprintGiven& operator=(const CustomerFingerprintGiven&) = delete;
  static bool Active() { return depth_ > 0; }

 private:
  static int depth_;
};

void ForgetCustomer(const pg::Uuid& organization, const pg::Uuid& customer);

}  // namespace kvcrm::crm
