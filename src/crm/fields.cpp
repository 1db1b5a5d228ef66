#include "crm/fields.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "crm/permissions.hpp"
#include "crm/remembered.hpp"
#include "crm/rows.hpp"
#include "pg/security.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "common/hashfn.h"
}

using namespace kvcrm;
using crm::Field;
using crm::FieldEntity;
using crm::Fields;
using crm::FieldType;
using Kind = pg::JsonMember::Kind;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

constexpr std::size_t kEntityCount = static_cast<std::size_t>(FieldEntity::kCount);
constexpr std::string_view kEntityNames[kEntityCount] = {"lead", "customer", "quote"};
constexpr std::string_view kTypeNames[] = {"text", "number", "boolean", "date", "select"};

const pg::Statement<pg::Uuid> kDefinitions{
    "fields.definitions",
    "SELECT entity, key, type, required, required_from_stage_id, options"
    " FROM kvcrm.custom_field_definitions WHERE organization_id = $1 ORDER BY entity, key"};

const pg::Statement<> kLockLeads{"fields.lock_leads", "LOCK TABLE kvcrm.leads IN SHARE ROW EXCLUSIVE MODE"};
const pg::Statement<> kLockCustomers{"fields.lock_customers",
                                     "LOCK TABLE kvcrm.customers IN SHARE ROW EXCLUSIVE MODE"};

const pg::Statement<> kLockQuotes{"fields.lock_quotes",
                                  "LOCK TABLE kvcrm.quotes IN SHARE ROW EXCLUSIVE MODE"};

// How many rows have a value under the key $2 that doesn't fit.
#define MISFITS(table)                                                                            \
  "SELECT count(*) FROM kvcrm." table                                                             \
  " WHERE organization_id = $1 AND custom_fields ? $2 AND NOT kvcrm.field_fits(custom_fields -> " \
  "$2, $3, $4)"
using Misfits = pg::Statement<pg::Uuid, std::string, std::string, std::vector<std::string>>;
const Misfits kMisfitsOfLeads{"fields.misfits_of_leads", MISFITS("leads"), pg::Plan::kCustom};
const Misfits kMisfitsOfCustomers{"fields.misfits_of_customers", MISFITS("customers"), pg::Plan::kCustom};
const Misfits kMisfitsOfQuotes{"fields.misfits_of_quotes", MISFITS("quotes"), pg::Plan::kCustom};

// What else names a field of leads.
const pg::Statement<pg::Uuid, std::string> kNamed{
    "fields.named",
    "SELECT 'the rules for moves' WHERE EXISTS (SELECT 1 FROM kvcrm.lead_stage_transitions t"
    "   WHERE t.organization_id = $1 AND 'custom_fields.' || $2 = ANY (t.required_fields))"
    " UNION ALL SELECT 'a scoring rule' WHERE EXISTS (SELECT 1 FROM kvcrm.scoring_rules r"
    "   WHERE r.organization_id = $1 AND r.field = 'custom_fields.' || $2)"
    " UNION ALL SELECT 'an assignment rule' WHERE EXISTS (SELECT 1 FROM kvcrm.assignment_rules r"
    "   WHERE r.organization_id = $1 AND r.field = 'custom_fields.' || $2)"
    " UNION ALL SELECT 'the setting conversion_required' FROM kvcrm.organizations o"
    "   WHERE o.id = $1 AND EXISTS (SELECT 1 FROM jsonb_array_elements_text(CASE"
    "       WHEN jsonb_typeof(o.settings -> 'conversion_required') = 'array'"
    "       THEN o.settings -> 'conversion_required' ELSE '[]' END) AS r (field)"
    "     WHERE 'custom_fields.' || $2 = ANY (string_to_array(r.field, '|')))"};

const crm::BulkInsert kIndex("fields.index",
                             "INSERT INTO kvcrm.lead_field_keys (id, organization_id, keys, created_at)",
                             {UUIDOID, UUIDOID, INT8ARRAYOID, TIMESTAMPTZOID});
const pg::Statement<pg::Uuid, pg::Uuid> kRemoveFromIndex{
    "fields.remove_from_index", "DELETE FROM kvcrm.lead_field_keys WHERE id = $1 AND organization_id = $2"};
const pg::Statement<pg::Uuid, pg::Uuid, std::vector<std::int64_t>, pg::Timestamp> kChangeIndex{
    "fields.change_index",
    "INSERT INTO kvcrm.lead_field_keys (id, organization_id, keys, created_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (id, organization_id) DO UPDATE SET keys = excluded.keys,"
    " created_at = excluded.created_at, updated_at = now()"};

enum Column {
  kId,
  kOrganization,
  kEntity,
  kKey,
  kName,
  kType,
  kRequired,
  kRequiredFrom,
  kOptions,
  kUpdatedAt,
  kColumnCount
};
constexpr const char* kColumnNames[] = {
    "id",       "organization_id",        "entity",  "key",       "name", "type",
    "required", "required_from_stage_id", "options", "updated_at"};
pg::Columns columns_of_definitions(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kKey, crm::kShortLength, true}, {kName, crm::kShortLength}};

constexpr int kMaxProblems = 20, kMaxOptionsTold = 10;
constexpr std::size_t kMaxOptions = 200;

// --- values ---

std::optional<FieldType> TypeNamed(std::string_view name) {
  const auto found = std::find(std::begin(kTypeNames), std::end(kTypeNames), name);
  if (found == std::end(kTypeNames)) return std::nullopt;
  return static_cast<FieldType>(found - std::begin(kTypeNames));
}

bool Fits(const pg::JsonMember& value, FieldType type, const std::vector<std::string>& options) {
  if (value.kind == Kind::kMissing || value.kind == Kind::kNull) return true;
  switch (type) {
    case FieldType::kNumber:
      return value.kind == Kind::kNumber;
    case FieldType::kBoolean:
      return value.kind == Kind::kBoolean;
    case FieldType::kDate:
      return value.kind == Kind::kString && crm::IsDay(value.text);
    case FieldType::kSelect:
      return value.kind == Kind::kString &&
             std::find(options.begin(), options.end(), value.text) != options.end();
    case FieldType::kText:
      break;
  }
  return value.kind == Kind::kString &&
         (value.text.size() <= crm::kTextLength || text::CountCodePoints(value.text) <= crm::kTextLength);
}

std::string RuleOf(FieldType type, const std::vector<std::string>& options) {
  switch (type) {
    case FieldType::kNumber:
      return "must be a number";
    case FieldType::kBoolean:
      return "must be true or false";
    case FieldType::kDate:
      return "must be a date such as \"2026-12-31\"";
    case FieldType::kText:
      return "must be a text of at most " + std::to_string(crm::kTextLength) + " characters";
    case FieldType::kSelect:
      break;
  }
  std::string rule = "must be one of ";
  int told = 0;
  for (const std::string& option : options) {
    if (told == kMaxOptionsTold) return rule + " ...";
    rule += (told++ == 0 ? "\"" : ", \"") + option + "\"";
  }
  return rule;
}

const Field* Find(const Fields& fields, std::string_view key) {
  for (const Field& field : fields) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

// --- definitions ---

using Definitions = std::array<Fields, kEntityCount>;

Definitions ReadDefinitions(const pg::Uuid& organization) {
  Definitions definitions;
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const pg::Rows rows = kDefinitions.Latest(organization);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto entity = rows.Get<std::string>(i, 0);
    const std::optional<FieldType> type = TypeNamed(rows.Get<std::string>(i, 2));
    const auto place = std::find(std::begin(kEntityNames), std::end(kEntityNames), entity);
    if (place == std::end(kEntityNames) || !type) continue;
    definitions[static_cast<std::size_t>(place - std::begin(kEntityNames))].push_back(
        {rows.Get<std::string>(i, 1), *type, rows.Get<bool>(i, 3), rows.Get<OptionalUuid>(i, 4),
         rows.Get<std::vector<std::string>>(i, 5)});
  }
  return definitions;
}

// --- changes of definitions ---

FieldEntity EntityOf(const pg::Row& row, const AttrNumber* at) {
  const std::string_view name = crm::ViewText(row.At(at[kEntity]));
  return static_cast<FieldEntity>(std::find(std::begin(kEntityNames), std::end(kEntityNames), name) -
                                  std::begin(kEntityNames));
}

void LockOut(FieldEntity entity) {
  if (entity == FieldEntity::kLead) kLockLeads();
  if (entity == FieldEntity::kCustomer) kLockCustomers();
  if (entity == FieldEntity::kQuote) kLockQuotes();
}

// Rows that would not fit the definition any more.
std::int64_t CountMisfits(FieldEntity entity, const pg::Uuid& organization, const std::string& key,
                          const std::string& type, const std::vector<std::string>& options) {
  const Misfits& misfits = entity == FieldEntity::kLead       ? kMisfitsOfLeads
                           : entity == FieldEntity::kCustomer ? kMisfitsOfCustomers
                                                              : kMisfitsOfQuotes;
  return misfits.Latest(organization, key, type, options).Get<std::int64_t>(0, 0);
}

// Nobody could fill a field that is gone, and so meet the rule.
void RequireUnnamed(const pg::Uuid& organization, const std::string& key) {
  const pg::Rows named = kNamed.Latest(organization, key);
  if (named.empty()) return;
  throw Error(ERRCODE_CHECK_VIOLATION, "a field that a rule requires can't be deleted")
      .Detail("Required by " + named.Get<std::string>(0, 0) + ".")
      .Hint("Take it out there first.");
}

void NormalizeOptions(pg::Row& row, AttrNumber column) {
  if (row.IsNull(column)) row.Set(column, std::vector<std::string>{});
  const auto given = row.Get<std::vector<std::string>>(column);
  std::vector<std::string> options;
  const auto refuse = [](const char* message, int code = ERRCODE_CHECK_VIOLATION) {
    throw Error(code, message).Column("options");
  };
  for (const std::string& option : given) {
    const std::string_view trimmed = text::Trim(option);
    if (trimmed.empty()) refuse("an option of a field is empty");
    if (text::CountCodePoints(trimmed) > crm::kNameLength)
      refuse("an option of a field is too long", ERRCODE_STRING_DATA_RIGHT_TRUNCATION);
    if (std::find(options.begin(), options.end(), trimmed) != options.end())
      refuse("an option of a field is there twice");
    options.emplace_back(trimmed);
  }
  if (options.size() > kMaxOptions) refuse("a field has at most 200 options");
  // Also when they are the same: nulls are not among them, nor a second dimension.
  row.Set(column, options);
}

}  // namespace

namespace kvcrm::crm {

int CarriedFields::depth_ = 0;

std::shared_ptr<const Fields> FieldsOf(FieldEntity entity, const pg::Uuid& organization) {
  static Remembered<Definitions> remembered;
  const std::shared_ptr<const Definitions> definitions =
      remembered.Of(organization, [&] { return ReadDefinitions(organization); });
  return {definitions, &(*definitions)[static_cast<std::size_t>(entity)]};
}

bool IsRequiredIn(const Field& field, const Pipeline& pipeline, const pg::Uuid& stage) {
  if (!field.required) return false;
  if (!field.required_from || *field.required_from == stage) return true;
  const Stage* here = pipeline.Find(stage);
  const Stage* from = pipeline.Find(*field.required_from);
  return here != nullptr && from != nullptr && here->outcome != "lost" && from < here;
}

bool IsDay(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto number = [&](std::size_t start, std::size_t size) {
    int value = 0;
    for (const char c : text.substr(start, size)) {
      if (c < '0' || c > '9') return -1;
      value = value * 10 + (c - '0');
    }
    return value;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= kDays[month - 1] + static_cast<int>(month == 2 && leap);
}

std::optional<std::string_view> CustomFieldKey(std::string_view field) {
  constexpr std::string_view kPrefix = "custom_fields.";
  if (!field.starts_with(kPrefix)) return std::nullopt;
  return field.substr(kPrefix.size());
}

bool IsFilled(const pg::JsonMember& value) {
  if (value.kind == Kind::kString) return !text::Trim(value.text).empty();
  return value.kind != Kind::kMissing && value.kind != Kind::kNull;
}

void FieldProblems::Add(std::string_view key, const std::string& rule) {
  if (++count_ > kMaxProblems) return;
  // A key without definition is whatever somebody sent.
  std::string name;
  for (const char c : key.substr(0, 63)) name += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  if (key.size() > 63) {
    while (!name.empty() && (static_cast<unsigned char>(name.back()) & 0x80) != 0) name.pop_back();
    name += "...";
  }
  text_ += (text_.empty() ? "\"" : "; \"") + name + "\" " + rule;
}

void FieldProblems::Raise(const char* entity) const {
  if (count_ == 0) return;
  std::string detail = text_;
  if (count_ > kMaxProblems) detail += "; and " + std::to_string(count_ - kMaxProblems) + " more";
  throw Error(ERRCODE_CHECK_VIOLATION, std::string(entity) + " custom_fields don't fit their definitions")
      .Detail(detail + ".")
      .Hint("custom_field_definitions lists the fields of the organization.")
      .Column("custom_fields");
}

void FieldProblems::FindMisfits(const Fields& fields, pg::Json values,
                                const std::optional<pg::Json>& before) {
  if (fields.empty()) return;
  for (const auto& [key, value] : pg::Members(values)) {
    const Field* field = Find(fields, key);
    if (field != nullptr) {
      if (!Fits(value, field->type, field->options)) Add(key, RuleOf(field->type, field->options));
    } else if (!CarriedFields::Active() && !(before && pg::SameMember(values, *before, key))) {
      Add(key, "is not defined");
    }
  }
}

void FieldProblems::RequireValue(const Field& field, pg::Json values, const char* where) {
  if (!IsFilled(pg::FindMember(values, field.key))) Add(field.key, std::string("is required") + where);
}

void CheckCustomFields(pg::Row& row, const pg::Row* old, AttrNumber column, AttrNumber organization,
                       FieldEntity entity, const char* entity_name, FieldDemand demand) {
  const bool written = old == nullptr || Changed(row, *old, column);
  if (!written && demand != FieldDemand::kNow) return;
  NormalizeObject(row, column, entity_name);
  if (row.IsNull(organization)) return;
  const auto home = row.Get<pg::Uuid>(organization);
  const std::shared_ptr<const Fields> fields = FieldsOf(entity, home);
  if (old == nullptr && CarriedFields::Active()) {
    row.Set(column, PickCarried(entity, home, row.Get<pg::Json>(column), std::nullopt));
  }
  if (fields->empty()) return;
  const auto values = row.Get<pg::Json>(column);
  FieldProblems problems;
  problems.FindMisfits(*fields, values,
                       old != nullptr ? std::optional(old->Get<pg::Json>(column)) : std::nullopt);
  if (demand == FieldDemand::kNow || old == nullptr || !CarriedFields::Active()) {
    for (const Field& field : *fields) {
      if (field.required && demand != FieldDemand::kLater) problems.RequireValue(field, values);
    }
  }
  if (problems.Any() && old == nullptr && !Authorized::Active()) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    RequireMembership(home);
  }
  problems.Raise(entity_name);
}

pg::Json PickCarried(FieldEntity entity, const pg::Uuid& organization, pg::Json given,
                     const std::optional<pg::Json>& existing) {
  const std::shared_ptr<const Fields> fields = FieldsOf(entity, organization);
  std::vector<std::string> keys;
  for (const Field& field : *fields) {
    const pg::JsonMember value = pg::FindMember(given, field.key);
    if (!IsFilled(value) || !Fits(value, field.type, field.options)) continue;
    if (existing && IsFilled(pg::FindMember(*existing, field.key))) continue;
    keys.push_back(field.key);
  }
  return pg::PickMembers(given, keys);
}

FieldIndex::FieldIndex() : batch_(kIndex) {}

void FieldIndex::Add(const pg::Uuid& lead, const pg::Uuid& organization, pg::Json values,
                     pg::Timestamp created_at) {
  const std::vector<std::int64_t> keys = FieldKeys(organization, values);
  if (keys.empty()) return;
  batch_.Add({batch_.Make(lead), batch_.Make(organization), batch_.Make(keys), batch_.Make(created_at)});
}

void FieldIndex::Change(const pg::Uuid& lead, const pg::Uuid& organization, pg::Json values,
                        pg::Timestamp created_at) {
  const std::vector<std::int64_t> keys = FieldKeys(organization, values);
  if (keys.empty()) {
    kRemoveFromIndex(lead, organization);
  } else {
    kChangeIndex(lead, organization, keys, created_at);
  }
}

std::vector<std::int64_t> FieldKeys(const pg::Uuid& organization, pg::Json values) {
  std::vector<std::int64_t> keys;
  const std::uint64_t upper = std::uint64_t{hash_bytes(organization.bytes.data(), 16)} << 32;
  for (const std::uint32_t hash : pg::LeafHashes(values)) {
    keys.push_back(static_cast<std::int64_t>(upper | hash));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace kvcrm::crm

// Trigger before insert, update or delete of custom_field_definitions: texts and options; what is stored goes
// on fitting. Locks writers of the table out first, since they go by definitions that are about to change.
KVCRM_FUNCTION(custom_field_definitions_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_definitions.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) {
    old.emplace(call.Old());
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const Column column : {kId, kOrganization, kEntity, kKey})
      crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kUpdatedAt], crm::Now());
  }
  if (!call.OnDelete()) {
    crm::NormalizeTexts(row, old ? &*old : nullptr, kTexts, at, "field");
    if (row.IsNull(at[kName])) row.Set(at[kName], row.At(at[kKey]));
    NormalizeOptions(row, at[kOptions]);
  }
  for (const Column column : {kOrganization, kEntity, kType}) {
    if (row.IsNull(at[column])) return call.Proceed(row);
  }
  const FieldEntity entity = EntityOf(row, at);
  const auto type = row.Get<std::string>(at[kType]);
  // The CHECKs say what is wrong.
  if (entity == FieldEntity::kCount || !TypeNamed(type)) return call.Proceed(row);

  const auto organization = row.Get<pg::Uuid>(at[kOrganization]);
  const auto key = row.Get<std::string>(at[kKey]);
  const auto changed = [&](Column column) { return !old || crm::Changed(row, *old, at[column]); };
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (call.OnInsert() && !crm::Authorized::Active())
    crm::CallerIn(organization).Require(crm::Permission::kFieldsManage);
  if (changed(kType) || changed(kOptions) || changed(kRequired) || changed(kRequiredFrom)) LockOut(entity);
  if (call.OnDelete()) {
    if (entity == FieldEntity::kLead) RequireUnnamed(organization, key);
  } else if (changed(kType) || changed(kOptions)) {
    const std::int64_t misfits =
        CountMisfits(entity, organization, key, type, row.Get<std::vector<std::string>>(at[kOptions]));
    if (misfits > 0) {
      throw Error(ERRCODE_CHECK_VIOLATION, "values in use don't fit the definition")
          .Detail("Field \"" + key + "\" of " + std::to_string(misfits) + " " +
                  std::string(kEntityNames[static_cast<std::size_t>(entity)]) + (misfits == 1 ? "" : "s") +
                  ": it " + RuleOf(*TypeNamed(type), row.Get<std::vector<std::string>>(at[kOptions])) + ".")
          .Hint("Change these values first, or define another field.")
          .Column(changed(kType) ? "type" : "options");
    }
  }
  // The same statement may write values next, before any trigger after it.
  pg::InvalidateRelation(RelationGetRelid(call.table()));
  return call.Proceed(row);
}

// Trigger after each row of custom_field_definitions, while a dump is restored too: as remembered_changed,
// under the name that 1.0.0 knows.
KVCRM_TIMELESS_FUNCTION(custom_field_definitions_after) {
  const pg::TriggerCall call(args);
  pg::InvalidateRelation(RelationGetRelid(call.table()));
  return call.Done();
}

// field_fits(value jsonb, type text, options text[]) -> boolean. Errors: 22023 for an unknown type.
KVCRM_TIMELESS_FUNCTION(field_fits) {
  const std::optional<FieldType> type = TypeNamed(args.Require<std::string>(1, "type"));
  if (!type) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "type is none of a field");
  if (args.IsNull(0)) return args.Return(true);
  return args.Return(
      Fits(pg::AsMember(args.Get<pg::Json>(0)), *type,
           args.Get<std::optional<std::vector<std::string>>>(2).value_or(std::vector<std::string>{})));
}
