// Export: all leads that list_leads lists, as rows or as CSV, and a line in the log about it.
//
// Rows are read through a cursor and go into a tuplestore, which spills to disk: memory stays the same
// however many they are. The log tells how many, so it is written once all are read and before the caller
// gets the first. A caller who rolls back takes that entry along; what the server's own log says stays.
#include <algorithm>
#include <array>
#include <map>

#include "crm/errors.hpp"
#include "crm/identity.hpp"
#include "crm/lists.hpp"
#include "pg/json.hpp"
#include "pg/result_set.hpp"
#include "text/spreadsheet.hpp"

extern "C" {
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
}

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using OptionalTime = std::optional<pg::Timestamp>;
using OptionalTexts = std::optional<std::vector<std::string>>;

// --- what is exported ---

struct Column {
  const char* name;
  Oid type;
  bool is_typed = false;  // by somebody, who may have typed a formula
};
// Those of kvcrm.exported_lead.
constexpr Column kColumns[] = {{"id", UUIDOID},
                               {"name", TEXTOID, true},
                               {"email", TEXTOID, true},
                               {"phone", TEXTOID, true},
                               {"company", TEXTOID, true},
                               {"position", TEXTOID, true},
                               {"inn", TEXTOID, true},
                               {"source", TEXTOID, true},
                               {"stage", TEXTOID, true},
                               {"status", TEXTOID},
                               {"assigned_to", UUIDOID},
                               {"assignee", TEXTOID, true},
                               {"estimated_value", NUMERICOID},
                               {"currency", TEXTOID},
                               {"score", INT4OID},
                               {"lost_reason", TEXTOID, true},
                               {"created_at", TIMESTAMPTZOID},
                               {"updated_at", TIMESTAMPTZOID},
                               {"stage_entered_at", TIMESTAMPTZOID},
                               {"qualified_at", TIMESTAMPTZOID},
                               {"converted_at", TIMESTAMPTZOID},
                               {"converted_to_customer_id", UUIDOID},
                               {"merged_into_id", UUIDOID},
                               {"deleted_at", TIMESTAMPTZOID},
                               {"created_by", UUIDOID},
                               {"custom_fields", JSONBOID}};
constexpr int kColumnCount = std::size(kColumns);
constexpr int kStage = 8, kAssignedTo = 10, kAssignee = 11, kCustomFields = kColumnCount - 1;

// The filters, as the functions take them: first of their arguments.
struct Filter {
  const char* name;
  Oid type;
};
constexpr Filter kFilters[] = {{"query", TEXTOID},
                               {"stage_id", UUIDOID},
                               {"status", TEXTOID},
                               {"assigned_to", UUIDOID},
                               {"source", TEXTOID},
                               {"created_from", TIMESTAMPTZOID},
                               {"created_to", TIMESTAMPTZOID},
                               {"custom_fields", JSONBOID},
                               {"include", TEXTARRAYOID}};
constexpr int kFilterCount = std::size(kFilters);

const pg::Statement<pg::Uuid> kStages{"export.stages",
                                      "SELECT id, name FROM kvcrm.lead_stages WHERE organization_id = $1"};
const pg::Statement<pg::Uuid> kMembers{
    "export.members",
    "SELECT user_id, coalesce(display_name, email) FROM kvcrm.organization_members WHERE organization_id = $1"
    " AND coalesce(display_name, email) IS NOT NULL"};
const pg::Statement<pg::Uuid> kFields{"export.fields",
                                      "SELECT key FROM kvcrm.custom_field_definitions WHERE organization_id "
                                      "= $1 AND entity = 'lead' ORDER BY order_index, key"};

// As the log has a row that was created. A filter that is too long for a name says little and is cut.
const pg::Statement<pg::Uuid, OptionalUuid, std::int64_t, std::string, bool, OptionalText, OptionalUuid,
                    OptionalText, OptionalUuid, OptionalText, OptionalTime, OptionalTime,
                    std::optional<pg::Json>, OptionalTexts>
    kLog{
        "export.log",
        "INSERT INTO kvcrm.activity_logs (organization_id, entity_type, entity_id, action, actor_id, changes)"
        " SELECT $1, 'export', $1, 'exported', $2, jsonb_object_agg(c.key, jsonb_build_object('old', NULL, "
        "'new', c.value))"
        " FROM jsonb_each(jsonb_build_object('rows', $3, 'format', $4, 'raw', $5, 'filters', "
        "jsonb_strip_nulls(jsonb_build_object("
        "   'query', left($6, 255), 'stage_id', $7, 'status', $8, 'assigned_to', $9, 'source', left($10, "
        "255),"
        "   'created_from', $11, 'created_to', $12,"
        "   'custom_fields', CASE WHEN pg_column_size($13) > 8192 THEN '{}' ELSE $13 END, 'include', "
        "$14)))) c"};

std::map<pg::Uuid, std::string> ReadNames(const pg::Statement<pg::Uuid>& statement,
                                          const pg::Uuid& organization) {
  std::map<pg::Uuid, std::string> names;
  const pg::Rows rows = statement(organization);
  for (std::uint64_t i = 0; i < rows.size(); ++i)
    names.emplace(rows.Get<pg::Uuid>(i, 0), rows.Get<std::string>(i, 1));
  return names;
}

std::vector<std::string> ReadFieldKeys(const pg::Uuid& organization) {
  std::vector<std::string> keys;
  const pg::Rows rows = kFields(organization);
  for (std::uint64_t i = 0; i < rows.size(); ++i) keys.push_back(rows.Get<std::string>(i, 0));
  return keys;
}

// The name of a custom field's column: its key, unless import_leads_csv takes that for a column of leads.
std::string HeaderOf(const std::string& key) {
  const bool taken =
      key == "job_title" || key == "stage_id" ||
      std::any_of(std::begin(kColumns), std::end(kColumns), [&](const Column& c) { return key == c.name; });
  return taken ? "custom_fields." + key : key;
}

// A value as its type writes it, but times as ISO 8601 with their offset, whatever the session prefers.
std::string WriteValue(pg::Value value, Oid type) {
  if (type == TIMESTAMPTZOID) {
    char buffer[MAXDATELEN + 1];
    return pg::Call([&] { return JsonEncodeDateTime(buffer, value.datum, TIMESTAMPTZOID, nullptr); });
  }
  return pg::Call([&] {
    Oid function;
    bool is_varlena;
    getTypeOutputInfo(type, &function, &is_varlena);
    return OidOutputFunctionCall(function, value.datum);
  });
}

void RequireWriting(const char* function) {
  pg::Call([&] { PreventCommandIfReadOnly(function); });
}

class Exporter {
 public:
  Exporter(pg::Args& args, int caller_argument, const char* format)
      : args_(args),
        format_(format),
        raw_(args.Get<std::optional<bool>>(caller_argument - 1).value_or(false)),
        caller_(crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(caller_argument))) {
    caller_.Require(Permission::kLeadsExport);
  }

  const crm::Caller& caller() const { return caller_; }
  bool raw() const { return raw_; }

  // Gives the values of each lead to `take`, in a memory context that is emptied after it, and writes the
  // log.
  template <typename Take>
  void Run(const Take& take) {
    const auto stages = ReadNames(kStages, caller_.organization);
    const auto members = ReadNames(kMembers, caller_.organization);
    std::int64_t count = 0;
    std::vector<pg::Value> values(kColumnCount);
    crm::EachLead(args_, caller_, [&](const pg::Rows& rows) {
      pg::Scratch scratch;
      for (std::uint64_t i = 0; i < rows.size(); ++i, ++count) {
        scratch.Reset();
        for (int column = 0, from = 0; column < kColumnCount; ++column) {
          if (column == kStage) {
            values[column] = NameIn(stages, rows.At(i, from++));
          } else if (column == kAssignee) {
            values[column] = NameIn(members, values[kAssignedTo]);
          } else {
            values[column] = rows.At(i, from++);
          }
          if (!raw_ && kColumns[column].is_typed) values[column] = Guarded(values[column]);
        }
        if (!raw_) values[kCustomFields].datum = GuardedFields({values[kCustomFields].datum}).value;
        take(values);
      }
    });
    WriteLog(count);
  }

 private:
  static pg::Value NameIn(const std::map<pg::Uuid, std::string>& names, pg::Value id) {
    if (id.is_null) return {};
    const auto found = names.find(pg::FromValue<pg::Uuid>(id));
    return found == names.end() ? pg::Value{} : pg::ToValue(found->second);
  }

  static pg::Value Guarded(pg::Value text) {
    if (text.is_null || !text::LooksLikeFormula(pg::ViewText(text))) return text;
    return pg::ToValue(text::Guard(pg::ViewText(text)));
  }

  // What is further in is no cell of its own: arrays and objects become JSON, which begins with a bracket.
  static pg::Json GuardedFields(pg::Json fields) {
    std::string guarded;
    for (const auto& [key, value] : pg::Members(fields)) {
      if (value.kind != pg::JsonMember::Kind::kString || !text::LooksLikeFormula(value.text)) continue;
      guarded +=
          (guarded.empty() ? "{" : ", ") + pg::QuoteJson(key) + ": " + pg::QuoteJson(text::Guard(value.text));
    }
    return guarded.empty() ? fields : pg::MergeObjects(fields, pg::ParseJson(guarded + "}"));
  }

  void WriteLog(std::int64_t count) const {
    kLog(caller_.organization, caller_.user, count, format_, raw_, args_.Get<OptionalText>(0),
         args_.Get<OptionalUuid>(1), args_.Get<OptionalText>(2), args_.Get<OptionalUuid>(3),
         args_.Get<OptionalText>(4), args_.Get<OptionalTime>(5), args_.Get<OptionalTime>(6),
         args_.Get<std::optional<pg::Json>>(7), args_.Get<OptionalTexts>(8));
    const std::string who = caller_.user ? "user " + caller_.user->Text() : "the system";
    const std::string organization = caller_.organization.Text();
    const char* user = who.c_str();
    const char* from = organization.c_str();
    pg::Call([&] {
      ereport(LOG_SERVER_ONLY, (errmsg("kvcrm: %s exported %lld leads of organization %s", user,
                                       static_cast<long long>(count), from)));
    });
  }

  pg::Args& args_;
  const char* format_;
  const bool raw_;
  crm::Caller caller_;
};

// --- CSV ---

class CsvWriter {
 public:
  CsvWriter(char separator, bool raw, std::vector<std::string> keys)
      : separator_(separator), keys_(std::move(keys)) {
    if (!raw) csv_ = "\xEF\xBB\xBF";
    for (int column = 0; column < kCustomFields; ++column) Put(kColumns[column].name);
    for (const std::string& key : keys_) Put(HeaderOf(key));
    Put(kColumns[kCustomFields].name);
    EndLine();
  }

  void PutLead(const std::vector<pg::Value>& values) {
    for (int column = 0; column < kCustomFields; ++column) {
      if (values[column].is_null) {
        Put({});
      } else if (kColumns[column].type == TEXTOID) {
        Put(pg::ViewText(values[column]));
      } else {
        Put(WriteValue(values[column], kColumns[column].type));
      }
    }
    PutFields({values[kCustomFields].datum});
    EndLine();
    // What a value of text may have.
    constexpr std::size_t kMaxSize = 0x3FFFFF00;
    if (csv_.size() > kMaxSize) {
      throw Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the CSV is larger than 1 GB")
          .Hint("COPY the query that leads_export_query returns.");
    }
  }

  const std::string& csv() const { return csv_; }

 private:
  void PutFields(pg::Json fields) {
    std::vector<std::string> others;
    std::map<std::string, pg::JsonMember> members;
    for (auto& [key, value] : pg::Members(fields)) {
      if (std::find(keys_.begin(), keys_.end(), key) == keys_.end()) others.push_back(key);
      members.emplace(key, std::move(value));
    }
    for (const std::string& key : keys_) {
      const auto found = members.find(key);
      Put(found == members.end() ? std::string() : WriteMember(found->second));
    }
    Put(others.empty() ? std::string() : WriteValue(pg::ToValue(pg::PickMembers(fields, others)), JSONBOID));
  }

  // As ->> writes it.
  static std::string WriteMember(const pg::JsonMember& member) {
    using Kind = pg::JsonMember::Kind;
    switch (member.kind) {
      case Kind::kString:
        return member.text;
      case Kind::kNumber:
        return WriteValue(pg::ToValue(member.number), NUMERICOID);
      case Kind::kBoolean:
        return member.boolean ? "true" : "false";
      case Kind::kObject:
      case Kind::kArray:
        return WriteValue(pg::ToValue(member.value), JSONBOID);
      default:
        return {};
    }
  }

  // Quoted, too, where another separator than ours would be taken for one.
  void Put(std::string_view cell) {
    if (!at_start_) csv_ += separator_;
    at_start_ = false;
    const bool blank_ends = !cell.empty() && (cell.front() == ' ' || cell.back() == ' ');
    if (!blank_ends && cell.find_first_of("\",;\t\r\n") == std::string_view::npos) {
      csv_ += cell;
      return;
    }
    csv_ += '"';
    for (const char c : cell) {
      if (c == '"') csv_ += '"';
      csv_ += c;
    }
    csv_ += '"';
  }
  void EndLine() {
    csv_ += "\r\n";
    at_start_ = true;
  }

  const char separator_;
  const std::vector<std::string> keys_;
  std::string csv_;
  bool at_start_ = true;
};

char ReadSeparator(const OptionalText& text) {
  const std::string separator = text.value_or(",");
  if (separator == "," || separator == ";" || separator == "\t") return separator[0];
  throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "separator must be a comma, a semicolon or a tab");
}

std::string QuoteLiteral(const std::string& text) {
  const char* bare = text.c_str();
  return pg::Call([&] { return quote_literal_cstr(bare); });
}
std::string QuoteName(const std::string& name) {
  const char* bare = name.c_str();
  return std::string(pg::Call([&] { return quote_identifier(bare); }));
}

}  // namespace

// leads_export(filters, raw, organization_id) -> setof exported_lead. Errors: 22023 for an unknown status or
// include; 42501 without leads:export or any leads:read_*; 25006 where nothing can be written.
KVCRM_FUNCTION(leads_export) {
  RequireWriting("leads_export()");
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kWrite);
  Exporter(args, kFilterCount + 1, "rows").Run([&](const std::vector<pg::Value>& values) {
    result.AddRow(values);
  });
  return result.Done();
}

// leads_export_csv(filters, separator, raw, organization_id) -> "text/csv". Errors: as leads_export; 22023
// for another separator; 54000 beyond 1 GB.
KVCRM_FUNCTION(leads_export_csv) {
  RequireWriting("leads_export_csv()");
  const char separator = ReadSeparator(args.Get<OptionalText>(kFilterCount));
  pg::Session session(pg::Access::kWrite);
  Exporter exporter(args, kFilterCount + 2, "csv");
  CsvWriter writer(separator, exporter.raw(), ReadFieldKeys(exporter.caller().organization));
  exporter.Run([&](const std::vector<pg::Value>& values) { writer.PutLead(values); });
  return args.Return(std::string_view(writer.csv()));
}

// leads_export_query(filters, raw, organization_id) -> text: a query on leads_export with these arguments in
// the caller's organization, which has a column for each custom field. Errors: 42501 without leads:export.
KVCRM_FUNCTION(leads_export_query) {
  pg::Session session(pg::Access::kRead);
  const Exporter exporter(args, kFilterCount + 1, "");
  const std::vector<std::string> keys = ReadFieldKeys(exporter.caller().organization);
  std::string query = "SELECT ";
  for (int column = 0; column < kCustomFields; ++column)
    query += "e." + QuoteName(kColumns[column].name) + ", ";
  std::string list;
  for (const std::string& key : keys) {
    query += "e.custom_fields ->> " + QuoteLiteral(key) + " AS " + QuoteName(HeaderOf(key)) + ", ";
    list += (list.empty() ? "" : ", ") + QuoteLiteral(key);
  }
  query += "nullif(e.custom_fields" + (list.empty() ? "" : " - ARRAY[" + list + "]") +
           ", '{}') AS custom_fields FROM kvcrm.leads_export(";
  for (int i = 0; i < kFilterCount; ++i) {
    if (args.IsNull(i)) continue;
    const std::string value = WriteValue({args.call()->args[i].value, false}, kFilters[i].type);
    query += std::string(kFilters[i].name) + " => " + QuoteLiteral(value) +
             (kFilters[i].type == TEXTARRAYOID     ? "::text[]"
              : kFilters[i].type == JSONBOID       ? "::jsonb"
              : kFilters[i].type == TIMESTAMPTZOID ? "::timestamptz"
              : kFilters[i].type == UUIDOID        ? "::uuid"
                                                   : "") +
             ", ";
  }
  if (exporter.raw()) query += "raw => true, ";
  query += "organization_id => " + QuoteLiteral(exporter.caller().organization.Text()) + ") AS e";
  return args.Return(query);
}
