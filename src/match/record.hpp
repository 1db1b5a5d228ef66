// Records as matching sees them.
//
// A lead, a customer or a form not saved yet brings five fields. They are normalised once, when they are
// written, into one text that is stored (lead_fingerprints.match_values) and read back as views without
// copying: a lookup compares a few dozen of them, a scan millions.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::match {

// Fields as a user typed them or a table keeps them; empty = missing.
struct Fields {
  std::string_view name = {};
  std::string_view company = {};
  std::string_view email = {};
  std::string_view phone = {};  // E.164 when it was understood, else as typed
  std::string_view inn = {};
};

// The stored form of `fields`: normalised values, one per line. Raise kDerivationRules in
// crm/fingerprints.hpp with every change of what it holds.
std::string Normalize(const Fields& fields);

// Views into a stored form, which must outlive them. Lines that are missing read as empty.
struct Record {
  explicit Record(std::string_view normalized);
  Record() = default;

  std::string_view name;     // text::NormalizePersonName
  std::string_view company;  // text::NormalizeCompany
  std::string_view email;    // text::NormalizeEmail
  std::string_view phone;    // E.164 with "+", or bare digits
  std::string_view inn;      // digits
};

// The number of a record's phone without country code or trunk prefix, as far as that can be told without a
// numbering plan: the last ten digits.
std::string_view Subscriber(std::string_view phone);

}  // namespace kvcrm::match
