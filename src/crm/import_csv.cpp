// Import from CSV: which header means which column, and what a cell of a custom field says.
#include <algorithm>

#include "crm/fields.hpp"
#include "crm/import_rows.hpp"
#include "pg/csv.hpp"
#include "text/amount.hpp"
#include "text/csv_layout.hpp"
#include "text/fold.hpp"
#include "text/spreadsheet.hpp"
#include "text/utf8.hpp"

namespace kvcrm::crm {

namespace {

using OptionalText = std::optional<std::string>;

// Headers that are known without a mapping, besides the columns themselves and custom fields; compared
// folded. docs/import.md lists them.
struct KnownHeader {
  const char* header;
  ImportField field;
};
constexpr KnownHeader kKnownHeaders[] = {
    {"Имя", kImportName},
    {"ФИО", kImportName},
    {"Контактное лицо", kImportName},
    {"Full name", kImportName},
    {"Contact", kImportName},
    {"E-mail", kImportEmail},
    {"Почта", kImportEmail},
    {"Электронная почта", kImportEmail},
    {"Телефон", kImportPhone},
    {"Мобильный телефон", kImportPhone},
    {"Phone number", kImportPhone},
    {"Mobile", kImportPhone},
    {"Компания", kImportCompany},
    {"Организация", kImportCompany},
    {"Organization", kImportCompany},
    {"Должность", kImportPosition},
    {"job_title", kImportPosition},
    {"Job title", kImportPosition},
    {"ИНН", kImportInn},
    {"Источник", kImportSource},
    {"Стадия", kImportStage},
    {"Этап", kImportStage},
    {"Stage", kImportStage},
    {"Ответственный", kImportAssignee},
    {"Assigned to", kImportAssignee},
    {"Assignee", kImportAssignee},
    {"Сумма", kImportValue},
    {"Amount", kImportValue},
    {"Estimated value", kImportValue},
    {"Value", kImportValue},
    {"Валюта", kImportCurrency},
};

// Bytes of a header, or of several, that an error names.
constexpr std::size_t kMaxShown = 1000;

constexpr std::string_view kColumnsHint =
    "name, email, phone, company, position, inn, source, stage_id, assigned_to, estimated_value, currency,"
    " custom_fields.KEY";

// What a column of the file becomes.
struct Target {
  std::optional<ImportField> field;
  OptionalText key;  // of a custom field
  FieldType type = FieldType::kText;
  bool operator==(const Target& other) const { return field == other.field && key == other.key; }
  bool IsNothing() const { return !field && !key; }
};

const Field* FindField(const Fields& fields, std::string_view key) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == key; });
  return found == fields.end() ? nullptr : &*found;
}

// A column of leads by its own name.
std::optional<Target> ColumnNamed(std::string_view name, const Fields& fields) {
  if (name == "job_title") return Target{kImportPosition, {}};
  for (int field = 0; field < kImportFieldCount; ++field) {
    if (name == kImportFieldNames[field]) return Target{static_cast<ImportField>(field), {}};
  }
  const auto key = CustomFieldKey(name);
  if (!key) return std::nullopt;
  const Field* defined = FindField(fields, *key);
  return Target{{}, std::string(*key), defined != nullptr ? defined->type : FieldType::kText};
}

std::optional<Target> KnownTarget(std::string_view header, const Fields& fields) {
  if (auto named = ColumnNamed(header, fields)) return named;
  if (const Field* defined = FindField(fields, header); defined != nullptr)
    return Target{{}, defined->key, defined->type};
  const std::string folded = text::Fold(header);
  for (const KnownHeader& known : kKnownHeaders) {
    if (folded == text::Fold(known.header)) return Target{known.field, {}};
  }
  for (int field = 0; field < kImportFieldCount; ++field) {
    if (folded == text::Fold(kImportFieldNames[field])) return Target{static_cast<ImportField>(field), {}};
  }
  return std::nullopt;
}

// What a cell of a custom field is in JSON; nothing when it doesn't fit the field's type.
OptionalText CustomValue(const std::string& cell, FieldType type) {
  switch (type) {
    case FieldType::kNumber:
      return text::ParseAmount(cell);
    case FieldType::kBoolean: {
      const std::string word = text::Fold(cell);
      for (const char* yes : {"да", "true", "yes", "1", "+"}) {
        if (word == text::Fold(yes)) return "true";
      }
      for (const char* no : {"нет", "false", "no", "0", "-"}) {
        if (word == text::Fold(no)) return "false";
      }
      return std::nullopt;
    }
    case FieldType::kDate:
      // 31.12.2026 as spreadsheets write it in Russia; all else is for the field's own rule.
      if (cell.size() == 10 && cell[2] == '.' && cell[5] == '.')
        return pg::QuoteJson(cell.substr(6) + "-" + cell.substr(3, 2) + "-" + cell.substr(0, 2));
      return pg::QuoteJson(cell);
    default:
      return pg::QuoteJson(cell);
  }
}

const char* NameOf(FieldType type) { return type == FieldType::kNumber ? "number" : "boolean"; }

class CsvSource final : public ImportSource {
 public:
  CsvSource(std::string_view csv, const std::optional<pg::Json>& mapping, const pg::Uuid& organization)
      : CsvSource(text::FindCsvLayout(csv)) {
    if (text::HasEndOfCopy(csv)) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "a line of the CSV is nothing but \\.")
          .Hint("Take the line out: COPY would end there.");
    }
    while (Read()) {
      if (!IsEmpty()) break;
    }
    if (reader_.fields().empty() || IsEmpty())
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the CSV has no header line");
    Map(mapping, *FieldsOf(FieldEntity::kLead, organization));
  }

  std::vector<ImportRow> Next(std::size_t most) override {
    std::vector<ImportRow> rows;
    while (rows.size() < most && Read()) {
      ++number_;
      if (!IsEmpty()) rows.push_back(CurrentRow());
    }
    return rows;
  }

 private:
  explicit CsvSource(const text::CsvLayout& layout) : reader_(layout.body, layout.separator) {}

  bool Read() {
    pg::CheckForInterrupts();
    try {
      return reader_.Next();
    } catch (const pg::Error& error) {
      if (error.sqlstate() != ERRCODE_BAD_COPY_FILE_FORMAT) throw;
      const ErrorData& data = error.data();
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string("the CSV can't be read: ") + data.message)
          .Detail("In row " + std::to_string(number_ + 1) + " or later.")
          .Hint(data.hint != nullptr ? data.hint : "");
    }
  }
  // Of an empty line, or one of separators only, as spreadsheets leave them at the end.
  bool IsEmpty() const {
    return std::all_of(reader_.fields().begin(), reader_.fields().end(),
                       [](const auto& field) { return !field || text::Trim(*field).empty(); });
  }

  void Map(const std::optional<pg::Json>& mapping, const Fields& fields) {
    std::vector<std::string> headers;
    for (const auto& field : reader_.fields()) headers.emplace_back(field ? text::Trim(*field) : "");
    std::vector<std::optional<Target>> targets(headers.size());
    if (mapping) ApplyMapping(*mapping, headers, fields, targets);
    std::string unknown, example;
    for (std::size_t i = 0; i < headers.size(); ++i) {
      // A column without a header is no column.
      if (!targets[i]) targets[i] = headers[i].empty() ? Target{} : KnownTarget(headers[i], fields);
      if (targets[i]) continue;
      // A file that is no table has one header that is all of it, or thousands.
      const std::string shown(text::Beginning(headers[i], kMaxShown));
      if (example.empty()) example = shown;
      if (unknown.size() < kMaxShown) unknown += (unknown.empty() ? "" : ", ") + shown;
    }
    if (!unknown.empty()) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the CSV has headers that name no column of leads")
          .Detail("Unknown: " + unknown + ".")
          .Hint("Map them, or leave them out with null: mapping => '{" + pg::QuoteJson(example) +
                ": null}'. Columns: " + std::string(kColumnsHint) + ".");
    }
    for (std::size_t i = 0; i < targets.size(); ++i) {
      for (std::size_t j = 0; j < i && !targets[i]->IsNothing(); ++j) {
        if (!(*targets[i] == *targets[j])) continue;
        throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "two headers name the same column of leads")
            .Detail("Both: " + headers[j] + ", " + headers[i] + ".")
            .Hint("Leave one out: mapping => '{" + pg::QuoteJson(headers[i]) + ": null}'.");
      }
      targets_.push_back(*targets[i]);
    }
  }

  static void ApplyMapping(pg::Json mapping, const std::vector<std::string>& headers, const Fields& fields,
                           std::vector<std::optional<Target>>& targets) {
    using Kind = pg::JsonMember::Kind;
    if (!pg::IsJsonObject(mapping))
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "mapping must be a JSON object");
    for (const auto& [key, value] : pg::Members(mapping)) {
      std::optional<Target> target;
      if (value.kind == Kind::kNull) target = Target{};
      if (value.kind == Kind::kString) target = ColumnNamed(value.text, fields);
      if (!target) {
        throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "mapping names no column of leads")
            .Detail("For header: " + key + ".")
            .Hint("Columns: " + std::string(kColumnsHint) + "; null leaves the header out.");
      }
      bool found = false;
      for (const bool exactly : {true, false}) {
        const std::string_view name = text::Trim(key);
        for (std::size_t i = 0; i < headers.size() && !(found && !exactly); ++i) {
          if (exactly ? headers[i] != name : name.empty() || text::Fold(headers[i]) != text::Fold(name))
            continue;
          targets[i] = target;
          found = true;
        }
        if (found) break;
      }
      if (!found) {
        throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "mapping names a header that the CSV does not have")
            .Detail("Header: " + key + ".");
      }
    }
  }

  ImportRow CurrentRow() const {
    ImportRow row;
    row.number = number_;
    const auto& fields = reader_.fields();
    if (fields.size() != targets_.size()) {
      row.error = "the row has " + std::to_string(fields.size()) + " fields, the header " +
                  std::to_string(targets_.size());
      return row;
    }
    std::string custom;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const Target& target = targets_[i];
      // Without the apostrophe by which leads_export keeps spreadsheets from taking a text for a formula.
      const std::string_view cell = fields[i] ? text::Trim(text::Unguard(*fields[i])) : std::string_view();
      if (cell.empty()) continue;
      if (target.field) row.fields[*target.field] = cell;
      if (!target.key) continue;
      const OptionalText value = CustomValue(std::string(cell), target.type);
      if (!value && !row.error) {
        row.error = "custom_fields." + *target.key + ": no " + NameOf(target.type) + ": " + ShownValue(cell);
      }
      if (value) custom += (custom.empty() ? "" : ", ") + pg::QuoteJson(*target.key) + ": " + *value;
    }
    if (!custom.empty()) row.custom_fields = "{" + custom + "}";
    return row;
  }

  pg::CsvReader reader_;
  std::vector<Target> targets_;
  std::int32_t number_ = 0;
};

}  // namespace

std::unique_ptr<ImportSource> ReadCsvRows(std::string_view csv, const std::optional<pg::Json>& mapping,
                                          const pg::Uuid& organization) {
  return std::make_unique<CsvSource>(csv, mapping, organization);
}

}  // namespace kvcrm::crm
