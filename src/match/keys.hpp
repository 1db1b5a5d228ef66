// Blocking keys: hashes of (organization, kind, value). Two records are compared when they share one. There
// are several kinds, so that a duplicate with a typo in any one field still shares another key.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "match/record.hpp"

namespace kvcrm::match {

// A key that more records share than this is noise: a lookup reads no more of them, a scan compares only
// neighbours among them.
inline constexpr int kKeyCap = 50;

// The record's keys, at most 22, sorted, without repetition. `organization` is the 16 bytes of its id: they
// are part of each hash, so that one index serves all organizations and a lookup never meets another's
// records.
std::vector<std::int64_t> BlockingKeys(const Record& record, std::string_view organization);

// Those of the keys that say the e-mail address and the phone, whatever else the record has: who looks for
// the same address or phone needs no others, which a firm's people share.
std::vector<std::int64_t> KeysOfContacts(const Record& record, std::string_view organization);

// Those of the keys that say a company and each of two names of a person in it, whatever else differs; none
// when the record lacks one of them. Records that have all of them are most likely one.
std::vector<std::int64_t> KeysOfPersonInFirm(const Record& record, std::string_view organization);

// Values whose frequency weighs in a comparison: agreeing on a rare one says more. One slot per value.
enum class Value { kFamilyName, kGivenName, kCompany, kDomain, kEmail, kPhone, kInn };
inline constexpr int kValueCount = 7;

// The hash of each value of the record, 0 where it has none; by Value. Hashes are salted like blocking keys.
struct ValueHashes {
  std::int64_t of[kValueCount] = {};
};
ValueHashes HashValues(const Record& record, std::string_view organization);

// In how many records of the organization each of one record's values occurs, and how many records there are.
// Zero = not known, taken as rare.
struct Frequencies {
  std::uint32_t of[kValueCount] = {};
  std::uint32_t records = 0;
};
// Values that occur in fewer records than this need not be remembered.
std::uint32_t LeastCommon(std::uint32_t records);

}  // namespace kvcrm::match
