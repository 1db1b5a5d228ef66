// Import from JSON.
#include "crm/import_rows.hpp"
#include "pg/json.hpp"

namespace kvcrm::crm {

namespace {

const pg::Statement<pg::Json> kCount{
    "import.count", "SELECT CASE jsonb_typeof($1) WHEN 'array' THEN jsonb_array_length($1) END"};

// Rows $2 to $3 of the array, counted from 1, in order. As texts, which is what every value can be read as.
const pg::Statement<pg::Json, std::int32_t, std::int32_t> kRead{
    "import.read",
    "SELECT jsonb_typeof($1 -> (n - 1)) = 'object', r.name, r.email, r.phone, r.company,"
    " coalesce(r.\"position\", r.job_title), r.inn, r.source, r.stage_id, r.assigned_to, r.estimated_value,"
    " r.currency, r.custom_fields::text"
    " FROM generate_series($2, $3) AS n,"
    " jsonb_to_record(CASE jsonb_typeof($1 -> (n - 1)) WHEN 'object' THEN $1 -> (n - 1) ELSE '{}' END) AS r"
    " (name text, email text, phone text, company text, \"position\" text, job_title text, inn text,"
    " source text, stage_id text, assigned_to text, estimated_value text, currency text, custom_fields "
    "jsonb)"};

class JsonSource final : public ImportSource {
 public:
  // Unpacked once: every piece looks into it again.
  explicit JsonSource(pg::Json rows) : rows_(pg::Unpack(rows)) {
    const auto count = kCount(rows_).Get<std::optional<std::int32_t>>(0, 0);
    if (!count) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "rows must be a JSON array");
    count_ = *count;
  }

  std::vector<ImportRow> Next(std::size_t most) override {
    std::vector<ImportRow> rows;
    const std::int32_t last = std::min(count_, done_ + static_cast<std::int32_t>(most));
    if (last == done_) return rows;
    const pg::Rows read = kRead(rows_, done_ + 1, last);
    for (std::uint64_t i = 0; i < read.size(); ++i) {
      ImportRow& row = rows.emplace_back();
      row.number = ++done_;
      if (!read.Get<bool>(i, 0)) row.error = "the row is not a JSON object";
      for (int field = 0; field < kImportFieldCount; ++field)
        row.fields[static_cast<std::size_t>(field)] = read.Get<std::optional<std::string>>(i, field + 1);
      row.custom_fields = read.Get<std::optional<std::string>>(i, kImportFieldCount + 1);
    }
    return rows;
  }

 private:
  pg::Json rows_;
  std::int32_t count_ = 0, done_ = 0;
};

}  // namespace

std::unique_ptr<ImportSource> ReadJsonRows(pg::Json rows) { return std::make_unique<JsonSource>(rows); }

}  // namespace kvcrm::crm
