// SQL values as C++ types, and the way between them and Datum.
//
// Type<T> says how T travels: its type oid, to a Datum for binding or returning (in the current memory
// context), and from a Datum. What may be null is std::optional<T>.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pg/error.hpp"

extern "C" {
#include "catalog/pg_type_d.h"
#include "utils/timestamp.h"
}

namespace kvcrm::pg {

// A memory context below the current one.
MemoryContext NewContext(const char* name);

// Makes a memory context current for as long as it lives.
class InContext {
 public:
  explicit InContext(MemoryContext context) : outer_(MemoryContextSwitchTo(context)) {}
  ~InContext() { MemoryContextSwitchTo(outer_); }
  InContext(const InContext&) = delete;
  InContext& operator=(const InContext&) = delete;

 private:
  MemoryContext outer_;
};

// A current context for what one round of a loop allocates; emptied by Reset.
class Scratch {
 public:
  Scratch() : context_(NewContext("kvcrm scratch")), outer_(MemoryContextSwitchTo(context_)) {}
  ~Scratch() {
    MemoryContextSwitchTo(outer_);
    MemoryContextDelete(context_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void Reset() { MemoryContextReset(context_); }

 private:
  MemoryContext context_;
  MemoryContext outer_;
};

struct Uuid {
  std::array<unsigned char, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  std::string Text() const;
  // The uuid that a text names, or nothing. Accepts the forms PostgreSQL accepts.
  static std::optional<Uuid> Parse(std::string_view text);
};

struct Timestamp {
  TimestampTz value = 0;
  auto operator<=>(const Timestamp&) const = default;
};

// A value of variable length that is only passed on, never looked into; lives in a memory context of
// PostgreSQL's.
template <Oid kOid>
struct Opaque {
  Datum value = 0;
};
using Json = Opaque<JSONBOID>;
using Decimal = Opaque<NUMERICOID>;

template <typename T>
struct Type;

template <>
struct Type<bool> {
  static constexpr Oid kOid = BOOLOID;
  static Datum To(bool value) { return BoolGetDatum(value); }
  static bool From(Datum value) { return DatumGetBool(value); }
};

template <>
struct Type<std::int32_t> {
  static constexpr Oid kOid = INT4OID;
  static Datum To(std::int32_t value) { return Int32GetDatum(value); }
  static std::int32_t From(Datum value) { return DatumGetInt32(value); }
};

template <>
struct Type<std::int64_t> {
  static constexpr Oid kOid = INT8OID;
  static Datum To(std::int64_t value) { return Int64GetDatum(value); }
  static std::int64_t From(Datum value) { return DatumGetInt64(value); }
};

template <>
struct Type<double> {
  static constexpr Oid kOid = FLOAT8OID;
  static Datum To(double value) { return Float8GetDatum(value); }
  static double From(Datum value) { return DatumGetFloat8(value); }
};

template <>
struct Type<Timestamp> {
  static constexpr Oid kOid = TIMESTAMPTZOID;
  static Datum To(Timestamp value) { return TimestampTzGetDatum(value.value); }
  static Timestamp From(Datum value) { return Timestamp{DatumGetTimestampTz(value)}; }
};

template <>
struct Type<Uuid> {
  static constexpr Oid kOid = UUIDOID;
  static Datum To(const Uuid& value);
  static Uuid From(Datum value) {
    Uuid uuid;
    std::memcpy(uuid.bytes.data(), DatumGetPointer(value), uuid.bytes.size());
    return uuid;
  }
};

template <>
struct Type<std::string_view> {
  static constexpr Oid kOid = TEXTOID;
  static Datum To(std::string_view value);
};

template <>
struct Type<std::string> {
  static constexpr Oid kOid = TEXTOID;
  static Datum To(const std::string& value) { return Type<std::string_view>::To(value); }
  static std::string From(Datum value);
};

template <Oid kType>
struct Type<Opaque<kType>> {
  static constexpr Oid kOid = kType;
  static Datum To(Opaque<kType> value) { return value.value; }
  static Opaque<kType> From(Datum value) { return {value}; }
};

template <>
struct Type<std::vector<Uuid>> {
  static constexpr Oid kOid = UUIDARRAYOID;
  static Datum To(const std::vector<Uuid>& values);
  // Nulls inside the array are left out.
  static std::vector<Uuid> From(Datum value);
};

template <>
struct Type<std::vector<std::optional<Uuid>>> {
  static constexpr Oid kOid = UUIDARRAYOID;
  static std::vector<std::optional<Uuid>> From(Datum value);
};

template <>
struct Type<std::vector<std::string>> {
  static constexpr Oid kOid = TEXTARRAYOID;
  static Datum To(const std::vector<std::string>& values);
  static std::vector<std::string> From(Datum value);
};

template <>
struct Type<std::vector<std::optional<std::string>>> {
  static constexpr Oid kOid = TEXTARRAYOID;
  static Datum To(const std::vector<std::optional<std::string>>& values);
};

template <>
struct Type<std::vector<std::int64_t>> {
  static constexpr Oid kOid = INT8ARRAYOID;
  static Datum To(const std::vector<std::int64_t>& values);
  // Nulls inside the array are left out.
  static std::vector<std::int64_t> From(Datum value);
};

template <>
struct Type<std::vector<double>> {
  static constexpr Oid kOid = FLOAT8ARRAYOID;
  static Datum To(const std::vector<double>& values);
};

template <>
struct Type<std::vector<Json>> {
  static constexpr Oid kOid = JSONBARRAYOID;
  static Datum To(const std::vector<Json>& values);
};

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <typename T>
struct IsOpaque : std::false_type {};
template <Oid kOid>
struct IsOpaque<Opaque<kOid>> : std::true_type {};
template <typename T>
struct IsOpaque<std::optional<T>> : IsOpaque<T> {};

template <typename T>
struct Type<std::optional<T>> {
  static constexpr Oid kOid = Type<T>::kOid;
};

// A Datum and whether it is null, as fmgr, SPI and tuples take them.
struct Value {
  Datum datum = 0;
  bool is_null = true;
};

template <typename T>
Value ToValue(const T& value) {
  if constexpr (IsOptional<T>::value) {
    if (!value) return {};
    return ToValue(*value);
  } else {
    return {Type<T>::To(value), false};
  }
}

// The text of a value that is not null, without copying it unless it is compressed; lives in the current
// memory context.
std::string_view ViewText(Value value);

// Throws 22004 on a null unless T is optional.
template <typename T>
T FromValue(Value value) {
  if constexpr (IsOptional<T>::value) {
    if (value.is_null) return std::nullopt;
    return Type<typename T::value_type>::From(value.datum);
  } else {
    if (value.is_null) throw kvcrm::Error(ERRCODE_NULL_VALUE_NOT_ALLOWED, "unexpected null value");
    return Type<T>::From(value.datum);
  }
}

}  // namespace kvcrm::pg
