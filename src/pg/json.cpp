#include "pg/json.hpp"

extern "C" {
#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
}

namespace kvcrm::pg {

namespace {

// Enough for the longest ISO 8601 time PostgreSQL prints (MAXDATELEN).
constexpr std::size_t kIsoTimeSize = 128;

JsonbValue TextValue(const char* text, std::size_t size) {
  JsonbValue value{};
  value.type = jbvString;
  value.val.string.val = const_cast<char*>(text);
  value.val.string.len = static_cast<int>(size);
  return value;
}

// May ereport: only inside Call.
void PushDatum(JsonbParseState** state, JsonbIteratorToken token, Value value, Oid type) {
  JsonbValue json{};
  if (value.is_null) {
    json.type = jbvNull;
    pushJsonbValue(state, token, &json);
    return;
  }
  switch (type) {
    case BOOLOID:
      json.type = jbvBool;
      json.val.boolean = DatumGetBool(value.datum);
      break;
    case INT4OID:
      json.type = jbvNumeric;
      json.val.numeric = DatumGetNumeric(DirectFunctionCall1(int4_numeric, value.datum));
      break;
    case NUMERICOID:
      json.type = jbvNumeric;
      json.val.numeric = DatumGetNumeric(value.datum);
      break;
    case TIMESTAMPTZOID: {
      auto* buffer = static_cast<char*>(palloc(kIsoTimeSize + 1));
      JsonEncodeDateTime(buffer, value.datum, TIMESTAMPTZOID, nullptr);
      json = TextValue(buffer, std::strlen(buffer));
      break;
    }
    case TEXTOID:
    case BPCHAROID: {
      text* packed = DatumGetTextPP(value.datum);
      json = TextValue(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
      break;
    }
    case JSONBOID: {
      Jsonb* nested = DatumGetJsonbP(value.datum);
      if (JB_ROOT_IS_SCALAR(nested)) {
        JsonbExtractScalar(&nested->root, &json);
      } else {
        json.type = jbvBinary;
        json.val.binary.data = &nested->root;
        json.val.binary.len = static_cast<int>(VARSIZE(nested) - VARHDRSZ);
      }
      break;
    }
    default: {
      Oid output;
      bool is_varlena;
      getTypeOutputInfo(type, &output, &is_varlena);
      char* text = OidOutputFunctionCall(output, value.datum);
      json = TextValue(text, std::strlen(text));
    }
  }
  pushJsonbValue(state, token, &json);
}

std::string StringOf(const JsonbValue& value) {
  return {value.val.string.val, static_cast<std::size_t>(value.val.string.len)};
}

JsonMember MakeMember(const JsonbValue* found) {
  JsonMember member;
  switch (found->type) {
    case jbvNull:
      member.kind = JsonMember::Kind::kNull;
      break;
    case jbvString:
      member.kind = JsonMember::Kind::kString;
      member.text = StringOf(*found);
      break;
    case jbvNumeric:
      member.kind = JsonMember::Kind::kNumber;
      member.number.value = NumericGetDatum(found->val.numeric);
      break;
    case jbvBool:
      member.kind = JsonMember::Kind::kBoolean;
      member.boolean = found->val.boolean;
      break;
    default:
      member.kind = JsonMember::Kind::kObject;
      member.value.value =
          Call([&] { return JsonbPGetDatum(JsonbValueToJsonb(const_cast<JsonbValue*>(found))); });
      if (!IsJsonObject(member.value)) member.kind = JsonMember::Kind::kArray;
  }
  return member;
}

}  // namespace

Json ParseJson(const std::string& text) {
  return {Call([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.c_str())); })};
}

Json Unpack(Json value) {
  return {Call([&] { return JsonbPGetDatum(DatumGetJsonbP(value.value)); })};
}

bool IsJsonObject(Json value) {
  return Call([&] { return static_cast<bool>(JB_ROOT_IS_OBJECT(DatumGetJsonbP(value.value))); });
}

bool IsEmptyObject(Json value) {
  return Call([&] {
    Jsonb* object = DatumGetJsonbP(value.value);
    return static_cast<bool>(JB_ROOT_IS_OBJECT(object)) && JB_ROOT_COUNT(object) == 0;
  });
}

std::string QuoteJson(const std::string& text) {
  const char* quoted = Call([&] {
    StringInfoData buffer;
    initStringInfo(&buffer);
    escape_json(&buffer, text.c_str());
    return const_cast<const char*>(buffer.data);
  });
  return quoted;
}

JsonMember AsMember(Json value) {
  JsonbValue* scalar = Call([&]() -> JsonbValue* {
    Jsonb* jsonb = DatumGetJsonbP(value.value);
    if (!JB_ROOT_IS_SCALAR(jsonb)) return nullptr;
    auto* found = static_cast<JsonbValue*>(palloc(sizeof(JsonbValue)));
    JsonbExtractScalar(&jsonb->root, found);
    return found;
  });
  if (scalar != nullptr) return MakeMember(scalar);
  JsonMember member;
  member.kind = IsJsonObject(value) ? JsonMember::Kind::kObject : JsonMember::Kind::kArray;
  member.value = value;
  return member;
}

JsonMember FindMember(Json object, std::string_view key) {
  JsonbValue* found = Call([&] {
    Jsonb* jsonb = DatumGetJsonbP(object.value);
    if (!JB_ROOT_IS_OBJECT(jsonb)) return static_cast<JsonbValue*>(nullptr);
    return getKeyJsonValueFromContainer(&jsonb->root, key.data(), static_cast<int>(key.size()), nullptr);
  });
  return found == nullptr ? JsonMember{} : MakeMember(found);
}

std::vector<Json> Elements(Json array) {
  struct Found {
    Datum* values;
    int count;
  };
  const Found found = Call([&] {
    Found elements{nullptr, 0};
    Jsonb* jsonb = DatumGetJsonbP(array.value);
    if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb)) return elements;
    elements.count = static_cast<int>(JB_ROOT_COUNT(jsonb));
    elements.values = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<Size>(elements.count + 1)));
    for (int i = 0; i < elements.count; ++i) {
      JsonbValue* value = getIthJsonbValueFromContainer(&jsonb->root, static_cast<uint32>(i));
      elements.values[i] = JsonbPGetDatum(JsonbValueToJsonb(value));
    }
    return elements;
  });
  std::vector<Json> elements;
  for (int i = 0; i < found.count; ++i) elements.push_back({found.values[i]});
  return elements;
}

std::vector<std::pair<std::string, JsonMember>> Members(Json object) {
  struct Pair {
    JsonbValue key, value;
  };
  int count = 0;
  const Pair* pairs = Call([&]() -> const Pair* {
    Jsonb* jsonb = DatumGetJsonbP(object.value);
    if (!JB_ROOT_IS_OBJECT(jsonb)) return nullptr;
    auto* found = static_cast<Pair*>(palloc(sizeof(Pair) * (JB_ROOT_COUNT(jsonb) + 1)));
    JsonbIterator* iterator = JsonbIteratorInit(&jsonb->root);
    JsonbValue value;
    JsonbIteratorToken token;
    while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
      if (token == WJB_KEY) found[count].key = value;
      if (token == WJB_VALUE) found[count++].value = value;
    }
    return found;
  });
  std::vector<std::pair<std::string, JsonMember>> members;
  for (int i = 0; i < count; ++i) members.emplace_back(StringOf(pairs[i].key), MakeMember(&pairs[i].value));
  return members;
}

bool SameMember(Json a, Json b, std::string_view key) {
  return Call([&] {
    JsonbValue* values[2] = {};
    int i = 0;
    for (const Json object : {a, b}) {
      Jsonb* jsonb = DatumGetJsonbP(object.value);
      if (JB_ROOT_IS_OBJECT(jsonb)) {
        values[i] =
            getKeyJsonValueFromContainer(&jsonb->root, key.data(), static_cast<int>(key.size()), nullptr);
      }
      ++i;
    }
    if (values[0] == nullptr || values[1] == nullptr) return values[0] == values[1];
    return compareJsonbContainers(&JsonbValueToJsonb(values[0])->root, &JsonbValueToJsonb(values[1])->root) ==
           0;
  });
}

Json PickMembers(Json object, const std::vector<std::string>& keys) {
  return {Call([&] {
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    Jsonb* jsonb = DatumGetJsonbP(object.value);
    for (const std::string& name : keys) {
      JsonbValue* value =
          getKeyJsonValueFromContainer(&jsonb->root, name.data(), static_cast<int>(name.size()), nullptr);
      if (value == nullptr) continue;
      JsonbValue key = TextValue(name.data(), name.size());
      pushJsonbValue(&state, WJB_KEY, &key);
      pushJsonbValue(&state, WJB_VALUE, value);
    }
    JsonbValue* picked = pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
    return JsonbPGetDatum(JsonbValueToJsonb(picked));
  })};
}

// Like the GIN operator class jsonb_path_ops does it.
std::vector<std::uint32_t> LeafHashes(Json value) {
  struct Level {
    std::uint32_t hash;
    Level* parent;
  };
  std::vector<std::uint32_t> hashes;
  Call([&] {
    Jsonb* jsonb = DatumGetJsonbP(value.value);
    JsonbIterator* iterator = JsonbIteratorInit(&jsonb->root);
    Level root = {0, nullptr};
    Level* level = &root;
    JsonbValue item;
    JsonbIteratorToken token;
    while ((token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE) {
      switch (token) {
        case WJB_BEGIN_ARRAY:
        case WJB_BEGIN_OBJECT: {
          auto* inner = static_cast<Level*>(palloc(sizeof(Level)));
          *inner = {level->hash, level};
          level = inner;
          break;
        }
        case WJB_KEY:
          level->hash = level->parent->hash;
          JsonbHashScalarValue(&item, &level->hash);
          break;
        case WJB_ELEM:
        case WJB_VALUE:
          JsonbHashScalarValue(&item, &level->hash);
          hashes.push_back(level->hash);
          level->hash = level->parent->hash;
          break;
        default:
          level = level->parent;
          level->hash = level->parent != nullptr ? level->parent->hash : 0;
      }
    }
  });
  return hashes;
}

Json MergeObjects(Json a, Json b) {
  return {Call([&] { return DirectFunctionCall2(jsonb_concat, a.value, b.value); })};
}

std::size_t JsonSize(Json value) {
  return Call([&] { return static_cast<std::size_t>(toast_raw_datum_size(value.value)); });
}

Json BuildChanges(const JsonField* fields, int count, TupleDesc descriptor) {
  return {Call([&] {
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (int i = 0; i < count; ++i) {
      const Form_pg_attribute column = TupleDescAttr(descriptor, fields[i].attribute - 1);
      const char* name = NameStr(column->attname);
      JsonbValue key = TextValue(name, std::strlen(name));
      pushJsonbValue(&state, WJB_KEY, &key);
      pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
      // jsonb sorts keys by length, then bytes: both are pushed in any order.
      JsonbValue before = TextValue("old", 3);
      pushJsonbValue(&state, WJB_KEY, &before);
      PushDatum(&state, WJB_VALUE, fields[i].before, column->atttypid);
      JsonbValue after = TextValue("new", 3);
      pushJsonbValue(&state, WJB_KEY, &after);
      PushDatum(&state, WJB_VALUE, fields[i].after, column->atttypid);
      pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
    }
    JsonbValue* object = pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
    return JsonbPGetDatum(JsonbValueToJsonb(object));
  })};
}

}  // namespace kvcrm::pg
