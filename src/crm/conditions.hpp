// Conditions on leads, as the rules of scoring and of assignment state them: field, operator, value.
//
// A field is a column of leads, custom_fields.KEY, what is known of the lead's activities (activities.calls,
// last_activity_at), or derived: company_domain, phone_country. A lead without a value for the field meets no
// condition but `exists false`.
#pragma once

#include <string>
#include <vector>

#include "crm/fields.hpp"
#include "crm/lead_columns.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace kvcrm::crm {

// What a lead's activities come to.
struct ActivityFacts {
  static constexpr int kCounts = 7;
  // All, those of each type (calls, meetings, emails, tasks, notes), and those that are completed.
  std::int64_t counts[kCounts] = {};
  // The latest creation or completion.
  std::optional<pg::Timestamp> last;
};
// The columns of a statement that ActivityFactsAt reads, of activities `a`.
#define KVCRM_ACTIVITY_FACTS                                                                       \
  "count(*), count(*) FILTER (WHERE a.type = 'call'), count(*) FILTER (WHERE a.type = 'meeting')," \
  " count(*) FILTER (WHERE a.type = 'email'), count(*) FILTER (WHERE a.type = 'task'),"            \
  " count(*) FILTER (WHERE a.type = 'note'), count(a.completed_at), max(greatest(a.created_at, "   \
  "a.completed_at))"
ActivityFacts ActivityFactsAt(const pg::Rows& rows, std::uint64_t row, int first);

// A lead as conditions look at it.
struct LeadFacts {
  const pg::Row& row;
  const AttrNumber* at;  // by LeadColumn
  const ActivityFacts& activities;
  pg::Timestamp now;

  pg::Value At(LeadColumn column) const { return row.At(at[column]); }
  // The domain of the e-mail address, unless anybody gets an address there.
  std::optional<std::string> CompanyDomain() const;
  // ISO 3166-1 alpha-2.
  std::optional<std::string> PhoneCountry() const;
};

enum class Operator { kEq, kIn, kContains, kExists, kGt, kLt, kOlderThan };

// What the conditions of a kind of rule may look at besides what all may.
enum class ConditionScope {
  kScoring,
  kAssignment,  // score
};

class Condition {
 public:
  // A stored one. Nothing when this version doesn't know it.
  static std::optional<Condition> Read(std::string_view field, std::string_view op, pg::Json value);

  bool Holds(const LeadFacts& lead) const;
  bool LooksAtActivities() const {
    return source_ == Source::kActivities || source_ == Source::kLastActivity;
  }
  bool DependsOnTime() const { return op_ == Operator::kOlderThan; }

 private:
  friend void CheckCondition(pg::Row&, const AttrNumber*, int, const pg::Uuid&, ConditionScope);

  enum class Source { kColumn, kCustomField, kActivities, kLastActivity, kCompanyDomain, kPhoneCountry };
  enum class Kind { kText, kUuid, kNumber, kTime, kBoolean, kDate, kAny };
  struct Named;
  struct Operand {
    pg::JsonMember::Kind type = pg::JsonMember::Kind::kMissing;
    std::string text;  // of a string; of a number the bytes of a numeric
    pg::Uuid uuid;
    pg::Timestamp time;
    bool boolean = false;
  };

  bool HoldsText(std::string_view value) const;
  bool HoldsUuid(const pg::Uuid& value) const;
  bool HoldsNumber(pg::Decimal value) const;
  bool HoldsTime(pg::Timestamp value, pg::Timestamp now) const;
  bool HoldsJson(const pg::JsonMember& value, pg::Timestamp now) const;

  static std::optional<Named> Find(std::string_view field);
  // Throws 23514 for a value that doesn't fit.
  void ReadValue(pg::Json value);
  Operand ReadOperand(pg::Json value) const;

  Source source_ = Source::kColumn;
  Kind kind_ = Kind::kText;
  LeadColumn column_ = kId;
  int count_ = 0;    // of kActivities
  std::string key_;  // of kCustomField
  Operator op_ = Operator::kEq;
  bool wanted_ = true;  // of kExists
  std::vector<Operand> operands_;
  Interval interval_{};  // of kOlderThan
};

// For the BEFORE trigger of a table of rules, whose columns field, operator and value are at[first], ...: the
// field is known, the operator fits its type and the value both. Throws 23514, 22007. A null value of
// `exists` becomes true.
void CheckCondition(pg::Row& row, const AttrNumber* at, int first, const pg::Uuid& organization,
                    ConditionScope scope);

}  // namespace kvcrm::crm
