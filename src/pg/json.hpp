// Reading and writing jsonb.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pg/trigger.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace kvcrm::pg {

// Parses JSON text; throws pg::Error 22P02 when it isn't JSON.
Json ParseJson(const std::string& text);

// The value decompressed and fetched from wherever it is stored.
Json Unpack(Json value);

// One value of an object, by key.
struct JsonMember {
  enum class Kind { kMissing, kNull, kString, kBoolean, kObject, kOther };
  Kind kind = Kind::kMissing;
  std::string text;  // of a string
  Json value;        // of an object
};
bool IsJsonObject(Json value);
bool IsEmptyObject(Json value);
// A text as JSON.
std::string QuoteJson(const std::string& text);
JsonMember FindMember(Json object, std::string_view key);

// The members of both objects; those of `b` win.
Json MergeObjects(Json a, Json b);

// Size of a jsonb value as stored, in bytes.
std::size_t JsonSize(Json value);

// A column of a row image or of a list of changes.
struct JsonField {
  AttrNumber attribute;
  Value before, after;
};
// {"column": {"old": ..., "new": ...}, ...}; numbers, booleans and jsonb keep their type, times are ISO 8601,
// all else is text.
Json BuildChanges(const JsonField* fields, int count, TupleDesc descriptor);

}  // namespace kvcrm::pg
