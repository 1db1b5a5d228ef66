#include "crm/match_explanation.hpp"

#include <algorithm>
#include <cmath>

extern "C" {
#include "utils/numeric.h"
}

using namespace kvcrm;

namespace {

JsonbValue Text(std::string_view text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = const_cast<char*>(text.data());
  value.val.string.len = static_cast<int>(text.size());
  return value;
}

// With a fixed number of digits, so that the same comparison always has the same bytes.
JsonbValue Number(double number, int digits) {
  double scaled = number;
  for (int i = 0; i < digits; ++i) scaled *= 10;
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = int64_div_fast_to_numeric(std::llround(std::clamp(scaled, -1e15, 1e15)), digits);
  return value;
}

constexpr int kBitsDigits = 3, kProbabilityDigits = 6;

class Writer {
 public:
  void Begin(JsonbIteratorToken token) { pushJsonbValue(&state_, token, nullptr); }
  JsonbValue* End(JsonbIteratorToken token) { return pushJsonbValue(&state_, token, nullptr); }
  void Key(std::string_view name) {
    JsonbValue key = Text(name);
    pushJsonbValue(&state_, WJB_KEY, &key);
  }
  void Put(std::string_view name, JsonbValue value) {
    Key(name);
    pushJsonbValue(&state_, WJB_VALUE, &value);
  }
  void Element(JsonbValue value) { pushJsonbValue(&state_, WJB_ELEM, &value); }

 private:
  JsonbParseState* state_ = nullptr;
};

std::string_view ValueOf(const match::Fields& fields, std::string_view field) {
  if (field == "name") return fields.name;
  if (field == "company") return fields.company;
  if (field == "email") return fields.email;
  if (field == "phone") return fields.phone;
  if (field == "inn") return fields.inn;
  return {};
}

JsonbValue TextOrNull(std::string_view text) {
  if (!text.empty()) return Text(text);
  JsonbValue value;
  value.type = jbvNull;
  return value;
}

pg::Json Build(const match::Comparison& comparison, const crm::Compared* records) {
  const auto& levels = match::Levels();
  return pg::Call([&] {
    Writer json;
    json.Begin(WJB_BEGIN_OBJECT);
    json.Put("prior", Number(comparison.prior, kBitsDigits));
    json.Key("fields");
    json.Begin(WJB_BEGIN_ARRAY);
    for (const match::Evidence& evidence : comparison.evidence) {
      const match::Level& level = levels[static_cast<std::size_t>(evidence.level)];
      json.Begin(WJB_BEGIN_OBJECT);
      json.Put("field", Text(level.field));
      json.Put("level", Text(level.name));
      json.Put("weight", Number(evidence.weight, kBitsDigits));
      json.Put("adjustment", Number(evidence.adjustment, kBitsDigits));
      if (records != nullptr) {
        json.Key("values");
        json.Begin(WJB_BEGIN_ARRAY);
        json.Element(TextOrNull(ValueOf(records->a, level.field)));
        json.Element(TextOrNull(ValueOf(records->b, level.field)));
        json.End(WJB_END_ARRAY);
      }
      json.End(WJB_END_OBJECT);
    }
    json.End(WJB_END_ARRAY);
    json.Put("weight", Number(comparison.weight, kBitsDigits));
    json.Put("probability", Number(comparison.probability, kProbabilityDigits));
    return pg::Json{JsonbPGetDatum(JsonbValueToJsonb(json.End(WJB_END_OBJECT)))};
  });
}

}  // namespace

namespace kvcrm::crm {

pg::Json ExplanationOf(const match::Comparison& comparison) { return Build(comparison, nullptr); }

pg::Json ExplanationOf(const match::Comparison& comparison, const Compared& records) {
  return Build(comparison, &records);
}

}  // namespace kvcrm::crm
