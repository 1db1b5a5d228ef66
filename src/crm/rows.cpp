#include "crm/rows.hpp"

#include "crm/errors.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"
#include "text/email.hpp"
#include "text/inn.hpp"
#include "text/phone.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "access/xact.h"
}

namespace kvcrm::crm {

int Authorized::depth_ = 0;

void NormalizeTexts(pg::Row& row, const pg::Row* old, std::span<const TextRule> rules,
                    const AttrNumber* columns, const char* entity) {
  for (const TextRule& rule : rules) {
    const AttrNumber column = columns[rule.column];
    if (old != nullptr && !Changed(row, *old, column)) continue;
    const char* name = NameStr(TupleDescAttr(row.descriptor(), column - 1)->attname);
    if (!row.IsNull(column)) {
      const std::string_view given = ViewText(row.At(column));
      const std::string_view trimmed = text::Trim(given);
      const auto limit = static_cast<std::size_t>(rule.limit);
      if (trimmed.size() > limit && text::CountCodePoints(trimmed) > limit) {
        throw Error(ERRCODE_STRING_DATA_RIGHT_TRUNCATION, std::string(entity) + " " + name + " is too long")
            .Detail("At most " + std::to_string(rule.limit) + " characters fit.")
            .Column(name);
      }
      if (trimmed.empty()) {
        row.Set(column, pg::Value{});
      } else if (trimmed.size() != given.size()) {
        row.Set(column, trimmed);
      }
    }
    if (rule.required && row.IsNull(column)) {
      throw Error(ERRCODE_CHECK_VIOLATION, std::string(entity) + " " + name + " is required").Column(name);
    }
  }
}

void NormalizeObject(pg::Row& row, AttrNumber column, const char* entity) {
  const char* name = NameStr(TupleDescAttr(row.descriptor(), column - 1)->attname);
  if (row.IsNull(column)) {
    row.Set(column, pg::ParseJson("{}"));
    return;
  }
  const pg::Json object = row.Get<pg::Json>(column);
  if (pg::JsonSize(object) > kJsonBytes) {
    throw Error(ERRCODE_STRING_DATA_RIGHT_TRUNCATION, std::string(entity) + " " + name + " is too large")
        .Detail("At most 64 KiB fit.")
        .Column(name);
  }
  if (!pg::IsJsonObject(object)) {
    throw Error(ERRCODE_CHECK_VIOLATION, std::string(entity) + " " + name + " must be a JSON object")
        .Column(name);
  }
}

bool Changed(const pg::Row& row, const pg::Row& old, AttrNumber column) {
  return !pg::SameValue(row.At(column), old.At(column), row.descriptor(), column);
}

bool AnyChanged(const pg::Row& row, const pg::Row& old) {
  for (AttrNumber column = 1; column <= row.descriptor()->natts; ++column) {
    if (TupleDescAttr(row.descriptor(), column - 1)->attisdropped) continue;
    if (Changed(row, old, column)) return true;
  }
  return false;
}

void RequireUnchanged(const pg::Row& row, const pg::Row& old, AttrNumber column) {
  if (!Changed(row, old, column)) return;
  const char* name = NameStr(TupleDescAttr(row.descriptor(), column - 1)->attname);
  throw Error(ERRCODE_CHECK_VIOLATION, std::string(name) + " never changes").Column(name);
}

Datum ReturnFirst(pg::Args& args, const pg::Rows& rows, const char* entity) {
  if (rows.empty()) throw Error(kNotFound, std::string(entity) + " not found");
  return args.ReturnRow(rows.At(0, 0).datum);
}

pg::Timestamp Now() { return {GetCurrentTransactionStartTimestamp()}; }

void CheckEmail(pg::Row& row, AttrNumber column, const char* entity) {
  if (row.IsNull(column) || text::IsValidEmail(ViewText(row.At(column)))) return;
  throw Error(ERRCODE_CHECK_VIOLATION, std::string(entity) + " email is not a valid address")
      .Hint("Expected name@domain.")
      .Column("email");
}

void CheckInn(pg::Row& row, AttrNumber column, const char* entity) {
  if (row.IsNull(column) || text::IsValidInn(ViewText(row.At(column)))) return;
  throw Error(ERRCODE_CHECK_VIOLATION, std::string(entity) + " inn is not valid")
      .Detail("An INN has 10 or 12 digits, the last of which are check digits.")
      .Hint("An organization may turn the check off in its settings: {\"inn_check\": false}.")
      .Column("inn");
}

std::optional<std::string> NormalizePhone(pg::Row& row, AttrNumber column, std::string_view country) {
  if (row.IsNull(column)) return std::nullopt;
  const std::string_view given = ViewText(row.At(column));
  std::optional<std::string> e164 = text::ToE164(given, country);
  if (e164 && *e164 != given) row.Set(column, *e164);
  return e164;
}

}  // namespace kvcrm::crm

using namespace kvcrm;

// Trigger before update of a table that only the functions write: id and organization_id never change.
KVCRM_FUNCTION(keep_keys) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  static constexpr const char* kNames[] = {"id", "organization_id"};
  static pg::Columns columns(kNames, 2);
  const AttrNumber* at = columns.In(call.table());
  const pg::Row row = call.New();
  const pg::Row old = call.Old();
  crm::RequireUnchanged(row, old, at[0]);
  crm::RequireUnchanged(row, old, at[1]);
  return call.Proceed();
}
