// Reading and writing jsonb.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  enum class Kind { kMissing, kNull, kString, kNumber, kBoolean, kObject, kArray };
  Kind kind = Kind::kMissing;
  std::string text;  // of a string
  Json value;        // of an object or array
  Decimal number;    // of a number; lives where the JSON does
  bool boolean = false;
};
bool IsJsonObject(Json value);
bool IsEmptyObject(Json value);
// A text as JSON.
std::string QuoteJson(const std::string& text);
// The members of both objects; those of `b` win.
Json MergeObjects(Json a, Json b);
JsonMember AsMember(Json value);
JsonMember FindMember(Json object, std::string_view key);

// The elements of an array; none of anything else.
std::vector<Json> Elements(Json array);

// All values of an object with their keys; none of anything else.
std::vector<std::pair<std::string, JsonMember>> Members(Json object);

// Whether two objects have the same value under a key, or neither has any.
bool SameMember(Json a, Json b, std::string_view key);

// The object of those members that `keys` name.
Json PickMembers(Json object, const std::vector<std::string>& keys);

// A hash of each number, string, boolean and null in a value together with the keys that lead to it, whatever
// its place in arrays: what contains (@>) a value has all hashes of it.
std::vector<std::uint32_t> LeafHashes(Json value);

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
