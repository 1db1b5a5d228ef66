// Custom fields: what an organization added to its leads, customers and quotes, and whether values fit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crm/bulk_insert.hpp"
#include "crm/stages.hpp"
#include "pg/json.hpp"

namespace kvcrm::crm {

enum class FieldEntity { kLead, kCustomer, kQuote, kCount };
enum class FieldType { kText, kNumber, kBoolean, kDate, kSelect };

struct Field {
  std::string key;
  FieldType type = FieldType::kText;
  bool required = false;
  std::optional<pg::Uuid> required_from;  // a stage; none: always
  std::vector<std::string> options;       // of a select
};
using Fields = std::vector<Field>;

// The fields of an organization, by key. This backend keeps them until somebody changes definitions, and
// reads them with a snapshot taken now: whoever changes those of a table locks its writers out first. For
// triggers of the table and functions that write it, which hold its lock.
std::shared_ptr<const Fields> FieldsOf(FieldEntity entity, const pg::Uuid& organization);

// Whether a lead in the stage needs the field: always, or from a stage on; of the lost stages only in one
// that is named itself.
bool IsRequiredIn(const Field& field, const Pipeline& pipeline, const pg::Uuid& stage);

// Whether a text is a day that exists, YYYY-MM-DD.
bool IsDay(std::string_view text);

// Whether a value says something: neither missing nor null nor a blank text.
bool IsFilled(const pg::JsonMember& value);

// The KEY of "custom_fields.KEY", as lists of required fields name one; nothing for a column's name.
std::optional<std::string_view> CustomFieldKey(std::string_view field);

// What is wrong with custom_fields, all of it in one error.
class FieldProblems {
 public:
  bool Any() const { return count_ > 0; }
  // Throws 23514 unless there are none. `entity` names the row.
  void Raise(const char* entity) const;

  // Values of the wrong type, and keys that no field has; such a key that the row had before may stay as it
  // is. Nothing when the entity has no fields.
  void FindMisfits(const Fields& fields, pg::Json values, const std::optional<pg::Json>& before);
  void RequireValue(const Field& field, pg::Json values, const char* where = "");

 private:
  void Add(std::string_view key, const std::string& rule);
  std::string text_;
  int count_ = 0;
};

// When required fields must have values.
enum class FieldDemand {
  kLater,      // not yet, whatever is written
  kOnWriting,  // of a new row, and when custom_fields change
  kNow,        // though nothing but another column changes
};

// For the BEFORE trigger of a table with custom_fields: an object of limited size whose values fit their
// definitions. `entity_name` names the row in messages. Throws 23514, 22001. (Leads, whose stage has a say,
// do it by themselves.)
void CheckCustomFields(pg::Row& row, const pg::Row* old, AttrNumber column, AttrNumber organization,
                       FieldEntity entity, const char* entity_name,
                       FieldDemand demand = FieldDemand::kOnWriting);

// While it lives, this backend takes custom_fields over from other rows: into an update go keys without
// definition too, and nothing is required; a new row gets those of its fields that fit and leaves the rest.
class CarriedFields {
 public:
  CarriedFields() { ++depth_; }
  ~CarriedFields() { --depth_; }
  CarriedFields(const CarriedFields&) = delete;
  CarriedFields& operator=(const CarriedFields&) = delete;
  static bool Active() { return depth_ > 0; }

 private:
  static int depth_;
};

// What of `given` fills blanks of `existing`: the values of fields that the entity has under the same key,
// as far as they fit.
pg::Json PickCarried(FieldEntity entity, const pg::Uuid& organization, pg::Json given,
                     const std::optional<pg::Json>& existing);

// The keys under which the index of custom fields has a lead, or those a filter asks for. Each carries a hash
// of the organization in its upper half. Empty when there is nothing to go by.
std::vector<std::int64_t> FieldKeys(const pg::Uuid& organization, pg::Json values);

// Keeps lead_field_keys: what is added to it is written in bulk.
class FieldIndex {
 public:
  FieldIndex();
  // `created_at` is the lead's.
  void Add(const pg::Uuid& lead, const pg::Uuid& organization, pg::Json values, pg::Timestamp created_at);
  // The same for a lead that may be there already.
  void Change(const pg::Uuid& lead, const pg::Uuid& organization, pg::Json values, pg::Timestamp created_at);
  void Write() { batch_.Flush(); }

 private:
  BulkInsert::Batch batch_;
};

}  // namespace kvcrm::crm
