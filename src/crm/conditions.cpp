#include "crm/conditions.hpp"

#include <algorithm>
#include <array>

#include "crm/rows.hpp"
#include "match/email_address.hpp"
#include "text/email.hpp"
#include "text/fold.hpp"
#include "text/phone.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
}

namespace kvcrm::crm {

using JsonKind = pg::JsonMember::Kind;

namespace {

constexpr std::size_t kMostValues = 200;
constexpr std::string_view kOperators[] = {"eq", "in", "contains", "exists", "gt", "lt", "older_than"};
constexpr std::string_view kCounts[ActivityFacts::kCounts] = {
    "activities.count", "activities.calls", "activities.meetings", "activities.emails",
    "activities.tasks", "activities.notes", "activities.completed"};

struct KnownColumn {
  LeadColumn column;
  const char* name;
};
constexpr KnownColumn kTexts[] = {{kName, "name"},         {kEmail, "email"},
                                  {kPhone, "phone"},       {kCompany, "company"},
                                  {kPosition, "position"}, {kInn, "inn"},
                                  {kSource, "source"},     {kStatus, "status"},
                                  {kCurrency, "currency"}, {kLostReason, "lost_reason"}};
constexpr KnownColumn kUuids[] = {
    {kStageId, "stage_id"}, {kAssignedTo, "assigned_to"}, {kCreatedBy, "created_by"}};
constexpr KnownColumn kTimes[] = {{kCreatedAt, "created_at"},
                                  {kUpdatedAt, "updated_at"},
                                  {kStageEnteredAt, "stage_entered_at"},
                                  {kQualifiedAt, "qualified_at"},
                                  {kConvertedAt, "converted_at"}};

[[noreturn]] void Refuse(const char* column, const std::string& message, const std::string& hint = "") {
  throw Error(ERRCODE_CHECK_VIOLATION, message).Hint(hint).Column(column);
}
[[noreturn]] void RefuseValue(const std::string& rule) { Refuse("value", "value " + rule); }

std::optional<Operator> OperatorNamed(std::string_view name) {
  const auto found = std::find(std::begin(kOperators), std::end(kOperators), name);
  if (found == std::end(kOperators)) return std::nullopt;
  return static_cast<Operator>(found - std::begin(kOperators));
}

int Compare(pg::Decimal a, pg::Decimal b) {
  return pg::Call([=] { return DatumGetInt32(DirectFunctionCall2(numeric_cmp, a.value, b.value)); });
}
std::string BytesOf(pg::Decimal number) {
  const void* bytes = pg::Call([=]() -> void* { return DatumGetNumericCopy(number.value); });
  return {static_cast<const char*>(bytes), VARSIZE(bytes)};
}
pg::Decimal NumberIn(const std::string& bytes) { return {PointerGetDatum(bytes.data())}; }

bool IsDigits(std::string_view text, std::size_t from, std::size_t count) {
  for (std::size_t i = from; i < from + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return false;
  }
  return true;
}

// A day or an ISO 8601 time, whose zone is UTC unless it says another: what a rule means must not depend on
// the settings of whoever wrote it.
pg::Timestamp ParseTime(const std::string& text) {
  const std::string_view time = std::string_view(text).substr(std::min<std::size_t>(text.size(), 10));
  const bool shaped = IsDay(std::string_view(text).substr(0, 10)) &&
                      (time.empty() || ((time[0] == 'T' || time[0] == ' ') && IsDigits(time, 1, 2) &&
                                        time.substr(3, 1) == ":" && IsDigits(time, 4, 2)));
  if (!shaped || text.size() > 40) RefuseValue("must be a time such as \"2026-12-31T18:00:00Z\"");
  const bool zoned = time.find_first_of("Z+-") != std::string_view::npos;
  const std::string full = zoned ? text : text + " UTC";
  return {pg::Call([&full] {
    return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(full.c_str()),
                                                   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  })};
}

Interval ParseAge(const std::string& text) {
  const auto parse = [](const char* written) {
    return pg::Call([written] {
      return *DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(written),
                                                    ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    });
  };
  const auto compare = [](Interval a, Interval b) {
    return pg::Call([=]() mutable {
      return DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(&a), IntervalPGetDatum(&b)));
    });
  };
  // What a minus is of depends on the session's IntervalStyle.
  if (text.size() > 100 || text.find('-') != std::string::npos)
    RefuseValue("must be an age such as \"30 days\"");
  // PostgreSQL would take a last number without a unit as seconds.
  constexpr const char* kSpaces = " \t\n\v\f\r";
  const std::size_t end = text.find_last_not_of(kSpaces) + 1;
  const std::size_t word = end == 0 ? 0 : text.find_last_of(kSpaces, end - 1) + 1;
  if (text.find_first_not_of("0123456789.+", word) >= end)
    RefuseValue("must be an age with its unit, such as \"30 days\"");
  const Interval age = parse(text.c_str());
  if (compare(age, parse("0")) <= 0 || compare(age, parse("100 years")) > 0)
    RefuseValue("must be an age above zero and up to 100 years");
  return age;
}

// `now` before that age, counted in UTC.
pg::Timestamp Before(pg::Timestamp now, Interval age) {
  return {pg::Call([=]() mutable {
    return static_cast<TimestampTz>(DatumGetTimestamp(
        DirectFunctionCall2(timestamp_mi_interval, TimestampGetDatum(now.value), IntervalPGetDatum(&age))));
  })};
}

// The start of a day that exists, in UTC.
pg::Timestamp StartOfDay(std::string_view day) {
  const auto number = [&](std::size_t start, std::size_t size) {
    int value = 0;
    for (const char c : day.substr(start, size)) value = value * 10 + (c - '0');
    return value;
  };
  const std::int64_t days = date2j(number(0, 4), number(5, 2), number(8, 2)) - POSTGRES_EPOCH_JDATE;
  return {days * USECS_PER_DAY};
}

std::string DomainIn(std::string_view normalized) {
  return std::string(match::EmailAddress(normalized).domain);
}

std::string Listed(const std::vector<std::string_view>& names) {
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

}  // namespace

ActivityFacts ActivityFactsAt(const pg::Rows& rows, std::uint64_t row, int first) {
  ActivityFacts facts;
  for (int i = 0; i < ActivityFacts::kCounts; ++i) facts.counts[i] = rows.Get<std::int64_t>(row, first + i);
  facts.last = rows.Get<std::optional<pg::Timestamp>>(row, first + ActivityFacts::kCounts);
  return facts;
}

std::optional<std::string> LeadFacts::CompanyDomain() const {
  if (At(kEmailNormalized).is_null) return std::nullopt;
  std::string domain = DomainIn(ViewText(At(kEmailNormalized)));
  if (domain.empty() || match::IsFreeMail(domain)) return std::nullopt;
  return domain;
}

std::optional<std::string> LeadFacts::PhoneCountry() const {
  if (At(kPhoneE164).is_null) return std::nullopt;
  return text::CountryOf(ViewText(At(kPhoneE164)));
}

// --- fields ---

struct Condition::Named {
  Source source = Source::kColumn;
  Kind kind = Kind::kText;
  LeadColumn column = kId;
  int count = 0;
  std::string key;
};

std::optional<Condition::Named> Condition::Find(std::string_view field) {
  if (const auto key = CustomFieldKey(field); key)
    return Named{Source::kCustomField, Kind::kAny, kCustomFields, 0, std::string(*key)};
  for (const auto& [column, name] : kTexts) {
    if (field == name) return Named{Source::kColumn, Kind::kText, column, 0, {}};
  }
  for (const auto& [column, name] : kUuids) {
    if (field == name) return Named{Source::kColumn, Kind::kUuid, column, 0, {}};
  }
  for (const auto& [column, name] : kTimes) {
    if (field == name) return Named{Source::kColumn, Kind::kTime, column, 0, {}};
  }
  if (field == "estimated_value") return Named{Source::kColumn, Kind::kNumber, kEstimatedValue, 0, {}};
  if (field == "score") return Named{Source::kColumn, Kind::kNumber, kScore, 0, {}};
  if (field == "last_activity_at") return Named{Source::kLastActivity, Kind::kTime, kId, 0, {}};
  if (field == "company_domain") return Named{Source::kCompanyDomain, Kind::kText, kId, 0, {}};
  if (field == "phone_country") return Named{Source::kPhoneCountry, Kind::kText, kId, 0, {}};
  for (int i = 0; i < ActivityFacts::kCounts; ++i) {
    if (field == kCounts[i]) return Named{Source::kActivities, Kind::kNumber, kId, i, {}};
  }
  return std::nullopt;
}

// --- values ---

Condition::Operand Condition::ReadOperand(pg::Json value) const {
  const pg::JsonMember given = pg::AsMember(value);
  Operand operand;
  operand.type = given.kind;
  operand.text = std::string(text::Trim(given.text));
  const auto require = [&](JsonKind kind, const char* rule) {
    if (given.kind != kind) RefuseValue(rule);
  };
  switch (kind_) {
    case Kind::kText:
      require(JsonKind::kString, "must be a text");
      break;
    case Kind::kUuid: {
      require(JsonKind::kString, "must be an id");
      const auto id = pg::Uuid::Parse(operand.text);
      if (!id) RefuseValue("must be an id");
      operand.uuid = *id;
      break;
    }
    case Kind::kNumber:
      require(JsonKind::kNumber, "must be a number");
      break;
    case Kind::kTime:
      require(JsonKind::kString, "must be a time such as \"2026-12-31T18:00:00Z\"");
      operand.time = ParseTime(operand.text);
      break;
    case Kind::kBoolean:
      require(JsonKind::kBoolean, "must be true or false");
      break;
    case Kind::kDate:
      if (given.kind != JsonKind::kString || !IsDay(operand.text))
        RefuseValue("must be a date such as \"2026-12-31\"");
      break;
    case Kind::kAny:
      if (given.kind != JsonKind::kString && given.kind != JsonKind::kNumber &&
          given.kind != JsonKind::kBoolean) {
        RefuseValue("must be a text, a number, true or false");
      }
      if ((op_ == Operator::kGt || op_ == Operator::kLt) && given.kind != JsonKind::kNumber &&
          !IsDay(operand.text)) {
        RefuseValue("must be a number or a date such as \"2026-12-31\"");
      }
      break;
  }
  if (given.kind == JsonKind::kNumber) operand.text = BytesOf(given.number);
  if (given.kind == JsonKind::kBoolean) operand.boolean = given.boolean;
  if (given.kind != JsonKind::kString) return operand;
  if (operand.text.empty()) RefuseValue("must not be empty");
  if (text::CountCodePoints(operand.text) > kNameLength)
    RefuseValue("is too long: a text has at most " + std::to_string(kNameLength) + " characters");
  if (op_ == Operator::kContains) {
    operand.text = text::Fold(operand.text);
    if (operand.text.empty()) RefuseValue("must contain a letter or digit");
  } else if (source_ == Source::kCompanyDomain) {
    operand.text = DomainIn(text::NormalizeEmail("x@" + operand.text));
    if (operand.text.empty()) RefuseValue("must be a domain such as \"firm.example\"");
  } else if (source_ == Source::kPhoneCountry) {
    for (char& c : operand.text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (!text::IsKnownRegion(operand.text)) RefuseValue("must be a country code such as \"DE\"");
  }
  return operand;
}

void Condition::ReadValue(pg::Json value) {
  if (op_ == Operator::kExists) {
    const pg::JsonMember given = pg::AsMember(value);
    if (given.kind != JsonKind::kBoolean && given.kind != JsonKind::kNull)
      RefuseValue("of exists must be true or false");
    wanted_ = given.kind == JsonKind::kNull || given.boolean;
  } else if (op_ == Operator::kOlderThan) {
    const pg::JsonMember given = pg::AsMember(value);
    if (given.kind != JsonKind::kString) RefuseValue("must be an age such as \"30 days\"");
    interval_ = ParseAge(given.text);
  } else if (op_ == Operator::kIn) {
    const std::vector<pg::Json> elements = pg::Elements(value);
    if (elements.empty() || elements.size() > kMostValues)
      RefuseValue("of in must be an array of 1 to " + std::to_string(kMostValues) + " values");
    for (const pg::Json element : elements) operands_.push_back(ReadOperand(element));
  } else {
    operands_.push_back(ReadOperand(value));
  }
}

std::optional<Condition> Condition::Read(std::string_view field, std::string_view op, pg::Json value) {
  const std::optional<Named> named = Find(field);
  const std::optional<Operator> known = OperatorNamed(op);
  if (!named || !known) return std::nullopt;
  Condition condition;
  condition.source_ = named->source;
  condition.kind_ = named->kind;
  condition.column_ = named->column;
  condition.count_ = named->count;
  condition.key_ = named->key;
  condition.op_ = *known;
  condition.ReadValue(value);
  return condition;
}

// --- evaluation ---

bool Condition::HoldsText(std::string_view value) const {
  if (op_ == Operator::kContains) return text::Fold(value).find(operands_.front().text) != std::string::npos;
  return std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) { return o.text == value; });
}

bool Condition::HoldsUuid(const pg::Uuid& value) const {
  return std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) { return o.uuid == value; });
}

bool Condition::HoldsNumber(pg::Decimal value) const {
  for (const Operand& operand : operands_) {
    if (operand.type != JsonKind::kNumber) continue;
    const int order = Compare(value, NumberIn(operand.text));
    if (op_ == Operator::kGt ? order > 0 : op_ == Operator::kLt ? order < 0 : order == 0) return true;
  }
  return false;
}

bool Condition::HoldsTime(pg::Timestamp value, pg::Timestamp now) const {
  if (op_ == Operator::kOlderThan) return value < Before(now, interval_);
  return op_ == Operator::kGt ? value > operands_.front().time : value < operands_.front().time;
}

// The values of custom_fields have the types that JSON gives them: what the field's definition was when the
// rule was written may have changed.
bool Condition::HoldsJson(const pg::JsonMember& value, pg::Timestamp now) const {
  switch (value.kind) {
    case JsonKind::kNumber:
      return op_ != Operator::kContains && op_ != Operator::kOlderThan && HoldsNumber(value.number);
    case JsonKind::kBoolean:
      return (op_ == Operator::kEq || op_ == Operator::kIn) &&
             std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) {
               return o.type == JsonKind::kBoolean && o.boolean == value.boolean;
             });
    case JsonKind::kString:
      break;
    default:
      return false;
  }
  if (op_ == Operator::kOlderThan)
    return IsDay(value.text) && StartOfDay(value.text) < Before(now, interval_);
  if (op_ == Operator::kGt || op_ == Operator::kLt) {
    const Operand& operand = operands_.front();
    if (operand.type != JsonKind::kString || !IsDay(value.text)) return false;
    return op_ == Operator::kGt ? value.text > operand.text : value.text < operand.text;
  }
  if (op_ == Operator::kContains)
    return text::Fold(value.text).find(operands_.front().text) != std::string::npos;
  return std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) {
    return o.type == JsonKind::kString && o.text == text::Trim(value.text);
  });
}

bool Condition::Holds(const LeadFacts& lead) const {
  const bool asks = op_ == Operator::kExists;
  switch (source_) {
    case Source::kActivities: {
      const std::int64_t count = lead.activities.counts[count_];
      if (asks) return (count > 0) == wanted_;
      return HoldsNumber({pg::Call([count] { return NumericGetDatum(int64_to_numeric(count)); })});
    }
    case Source::kLastActivity:
      if (asks) return lead.activities.last.has_value() == wanted_;
      return lead.activities.last && HoldsTime(*lead.activities.last, lead.now);
    case Source::kCompanyDomain: {
      const auto domain = lead.CompanyDomain();
      return asks ? domain.has_value() == wanted_ : domain && HoldsText(*domain);
    }
    case Source::kPhoneCountry: {
      const auto country = lead.PhoneCountry();
      return asks ? country.has_value() == wanted_ : country && HoldsText(*country);
    }
    case Source::kCustomField: {
      if (lead.At(kCustomFields).is_null) return asks && !wanted_;
      const pg::JsonMember value = pg::FindMember(pg::FromValue<pg::Json>(lead.At(kCustomFields)), key_);
      return asks ? IsFilled(value) == wanted_ : IsFilled(value) && HoldsJson(value, lead.now);
    }
    case Source::kColumn:
      break;
  }
  const pg::Value value = lead.At(column_);
  if (asks) return value.is_null != wanted_;
  if (value.is_null) return false;
  switch (kind_) {
    case Kind::kText:
      return HoldsText(ViewText(value));
    case Kind::kUuid:
      return HoldsUuid(pg::FromValue<pg::Uuid>(value));
    case Kind::kTime:
      return HoldsTime(pg::FromValue<pg::Timestamp>(value), lead.now);
    default:
      break;
  }
  if (column_ == kScore) {
    const std::int32_t score = pg::FromValue<std::int32_t>(value);
    return HoldsNumber({pg::Call([score] { return NumericGetDatum(int64_to_numeric(score)); })});
  }
  return HoldsNumber(pg::FromValue<pg::Decimal>(value));
}

// --- rules on their way into a table ---

void CheckCondition(pg::Row& row, const AttrNumber* at, int first, const pg::Uuid& organization,
                    ConditionScope scope) {
  using Kind = Condition::Kind;
  const AttrNumber field_at = at[first], operator_at = at[first + 1], value_at = at[first + 2];
  // The table says itself what must not be null.
  if (row.IsNull(field_at) || row.IsNull(operator_at)) return;
  const std::string_view field = ViewText(row.At(field_at)), name = ViewText(row.At(operator_at));
  std::optional<Condition::Named> named = Condition::Find(field);
  if (!named || (field == "score" && scope != ConditionScope::kAssignment)) {
    Refuse("field", "unknown field of a lead",
           "Columns of leads, custom_fields.KEY, company_domain, phone_country, last_activity_at, "
           "activities.count, .calls, .meetings, .emails, .tasks, .notes and .completed.");
  }
  if (named->source == Condition::Source::kCustomField) {
    const std::shared_ptr<const Fields> fields = FieldsOf(FieldEntity::kLead, organization);
    const auto defined =
        std::find_if(fields->begin(), fields->end(), [&](const Field& f) { return f.key == named->key; });
    if (defined != fields->end()) {
      constexpr Kind kKinds[] = {Kind::kText, Kind::kNumber, Kind::kBoolean, Kind::kDate, Kind::kText};
      named->kind = kKinds[static_cast<int>(defined->type)];
    } else if (!fields->empty() || named->key.empty()) {
      Refuse("field", "unknown custom field of leads", "custom_field_definitions lists them.");
    }
  }
  const std::optional<Operator> known = OperatorNamed(name);
  std::vector<std::string_view> fitting;
  const auto allow = [&](std::initializer_list<Operator> operators) {
    for (const Operator op : operators) fitting.push_back(kOperators[static_cast<int>(op)]);
  };
  switch (named->kind) {
    case Kind::kText:
      allow({Operator::kEq, Operator::kIn, Operator::kContains, Operator::kExists});
      break;
    case Kind::kUuid:
      allow({Operator::kEq, Operator::kIn, Operator::kExists});
      break;
    case Kind::kNumber:
      allow({Operator::kEq, Operator::kIn, Operator::kGt, Operator::kLt, Operator::kExists});
      break;
    case Kind::kTime:
      allow({Operator::kGt, Operator::kLt, Operator::kOlderThan, Operator::kExists});
      break;
    case Kind::kBoolean:
      allow({Operator::kEq, Operator::kExists});
      break;
    case Kind::kDate:
      allow({Operator::kEq, Operator::kIn, Operator::kGt, Operator::kLt, Operator::kOlderThan,
             Operator::kExists});
      break;
    case Kind::kAny:
      fitting.assign(std::begin(kOperators), std::end(kOperators));
      break;
  }
  if (!known || std::find(fitting.begin(), fitting.end(), name) == fitting.end())
    Refuse("operator", "the operator does not fit the field", "It takes " + Listed(fitting) + ".");
  if (row.IsNull(value_at)) {
    if (*known != Operator::kExists) RefuseValue("is required");
    row.Set(value_at, pg::ParseJson("true"));
  }
  if (pg::JsonSize(row.Get<pg::Json>(value_at)) > kJsonBytes)
    throw Error(ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "value is too long").Column("value");
  Condition condition;
  condition.source_ = named->source;
  condition.kind_ = named->kind;
  condition.op_ = *known;
  condition.ReadValue(row.Get<pg::Json>(value_at));
}

}  // namespace kvcrm::crm
