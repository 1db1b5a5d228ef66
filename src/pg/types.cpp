#include "pg/types.hpp"

#include <memory>

extern "C" {
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
}

namespace kvcrm::pg {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct Elements {
  Datum* values;
  bool* nulls;
  int count;
};

Elements Deconstruct(Datum array, Oid type, int length, bool by_value, char align) {
  return Call([&] {
    Elements elements{};
    deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, align, &elements.values,
                      &elements.nulls, &elements.count);
    return elements;
  });
}

}  // namespace

MemoryContext NewContext(const char* name) {
  return Call(
      [&] { return AllocSetContextCreateInternal(CurrentMemoryContext, name, ALLOCSET_DEFAULT_SIZES); });
}

std::string Uuid::Text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::optional<Uuid> Uuid::Parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
  Uuid uuid;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') {
      if (digits == 0 || digits % 4 != 0 || text[i - 1] == '-' || digits == 32) return std::nullopt;
      continue;
    }
    const int digit = HexDigit(text[i]);
    if (digit < 0 || digits == 32) return std::nullopt;
    uuid.bytes[digits / 2] = static_cast<unsigned char>(uuid.bytes[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits != 32) return std::nullopt;
  return uuid;
}

Datum Type<Uuid>::To(const Uuid& value) {
  return Call([&] {
    auto* copy = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
    std::memcpy(copy->data, value.bytes.data(), UUID_LEN);
    return UUIDPGetDatum(copy);
  });
}

Datum Type<std::string_view>::To(std::string_view value) {
  if (value.size() > static_cast<std::size_t>(MaxAllocSize) - VARHDRSZ) {
    throw kvcrm::Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "text is too long");
  }
  return Call([&] {
    return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
  });
}

std::string Type<std::string>::From(Datum value) {
  text* packed = Call([&] { return DatumGetTextPP(value); });
  std::string result(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
  if (reinterpret_cast<Pointer>(packed) != DatumGetPointer(value)) pfree(packed);
  return result;
}

std::string_view ViewText(Value value) {
  text* packed = Call([&] { return DatumGetTextPP(value.datum); });
  return {VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed)};
}

Datum Type<std::vector<Uuid>>::To(const std::vector<Uuid>& values) {
  std::vector<Datum> elements;
  elements.reserve(values.size());
  // The array copies its elements, so they may point into the vector.
  for (const Uuid& value : values) elements.push_back(PointerGetDatum(value.bytes.data()));
  return Call([&] {
    return PointerGetDatum(construct_array(elements.data(), static_cast<int>(elements.size()), UUIDOID,
                                           UUID_LEN, false, TYPALIGN_CHAR));
  });
}

std::vector<Uuid> Type<std::vector<Uuid>>::From(Datum value) {
  const Elements elements = Deconstruct(value, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
  std::vector<Uuid> result;
  result.reserve(static_cast<std::size_t>(elements.count));
  for (int i = 0; i < elements.count; ++i) {
    if (!elements.nulls[i]) result.push_back(Type<Uuid>::From(elements.values[i]));
  }
  return result;
}

std::vector<std::optional<Uuid>> Type<std::vector<std::optional<Uuid>>>::From(Datum value) {
  const Elements elements = Deconstruct(value, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
  std::vector<std::optional<Uuid>> result(static_cast<std::size_t>(elements.count));
  for (int i = 0; i < elements.count; ++i) {
    if (!elements.nulls[i]) result[static_cast<std::size_t>(i)] = Type<Uuid>::From(elements.values[i]);
  }
  return result;
}

Datum Type<std::vector<std::string>>::To(const std::vector<std::string>& values) {
  std::vector<Datum> elements;
  elements.reserve(values.size());
  for (const std::string& value : values) elements.push_back(Type<std::string>::To(value));
  return Call([&] {
    return PointerGetDatum(construct_array(elements.data(), static_cast<int>(elements.size()), TEXTOID, -1,
                                           false, TYPALIGN_INT));
  });
}

std::vector<std::string> Type<std::vector<std::string>>::From(Datum value) {
  const Elements elements = Deconstruct(value, TEXTOID, -1, false, TYPALIGN_INT);
  std::vector<std::string> result;
  result.reserve(static_cast<std::size_t>(elements.count));
  for (int i = 0; i < elements.count; ++i) {
    if (!elements.nulls[i]) result.push_back(Type<std::string>::From(elements.values[i]));
  }
  return result;
}

Datum Type<std::vector<std::optional<std::string>>>::To(
    const std::vector<std::optional<std::string>>& values) {
  std::vector<Datum> elements;
  const auto nulls = std::make_unique<bool[]>(values.size() + 1);
  elements.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    nulls[i] = !values[i];
    elements.push_back(values[i] ? Type<std::string>::To(*values[i]) : Datum{0});
  }
  bool* const is_null = nulls.get();
  return Call([&] {
    int dimensions[] = {static_cast<int>(elements.size())};
    int bounds[] = {1};
    return PointerGetDatum(construct_md_array(elements.data(), is_null, 1, dimensions, bounds, TEXTOID, -1,
                                              false, TYPALIGN_INT));
  });
}

Datum Type<std::vector<std::int64_t>>::To(const std::vector<std::int64_t>& values) {
  std::vector<Datum> elements;
  elements.reserve(values.size());
  for (const std::int64_t value : values) elements.push_back(Int64GetDatum(value));
  return Call([&] {
    return PointerGetDatum(construct_array(elements.data(), static_cast<int>(elements.size()), INT8OID,
                                           sizeof(std::int64_t), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  });
}

std::vector<std::int64_t> Type<std::vector<std::int64_t>>::From(Datum value) {
  const Elements elements =
      Deconstruct(value, INT8OID, sizeof(std::int64_t), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
  std::vector<std::int64_t> result;
  result.reserve(static_cast<std::size_t>(elements.count));
  for (int i = 0; i < elements.count; ++i) {
    if (!elements.nulls[i]) result.push_back(DatumGetInt64(elements.values[i]));
  }
  return result;
}

Datum Type<std::vector<double>>::To(const std::vector<double>& values) {
  std::vector<Datum> elements;
  elements.reserve(values.size());
  for (const double value : values) elements.push_back(Float8GetDatum(value));
  return Call([&] {
    return PointerGetDatum(construct_array(elements.data(), static_cast<int>(elements.size()), FLOAT8OID,
                                           sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  });
}

Datum Type<std::vector<Json>>::To(const std::vector<Json>& values) {
  std::vector<Datum> elements;
  elements.reserve(values.size());
  for (const Json value : values) elements.push_back(value.value);
  return Call([&] {
    return PointerGetDatum(construct_array(elements.data(), static_cast<int>(elements.size()), JSONBOID, -1,
                                           false, TYPALIGN_INT));
  });
}

}  // namespace kvcrm::pg
