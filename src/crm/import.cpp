// Import: rows of JSON become leads through the same gate as everything else; a bad row doesn't undo the good
// ones.
//
// Rows are inserted in batches, each in a sub-transaction; a batch that fails is halved until the bad row
// stands alone. A clean import thus costs a sub-transaction per batch, not per row.
#include "crm/batches.hpp"
#include "crm/duplicate_warnings.hpp"
#include "crm/errors.hpp"
#include "crm/permissions.hpp"
#include "pg/json.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

constexpr std::size_t kBatch = 256;

const pg::Statement<pg::Json> kCount{
    "import.count", "SELECT CASE jsonb_typeof($1) WHEN 'array' THEN jsonb_array_length($1) END"};

// Rows first..last of the array, counted from 1, in order; every row must be an object.
const pg::Statement<pg::Uuid, pg::Json, std::int32_t, std::int32_t> kInsert{
    "import.insert",
    "INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, \"position\", inn, source, "
    "stage_id,"
    " assigned_to, estimated_value, currency, custom_fields)"
    " SELECT $1, r.name, r.email, r.phone, r.company, coalesce(r.\"position\", r.job_title), r.inn, "
    "r.source, r.stage_id,"
    " r.assigned_to, r.estimated_value, r.currency, coalesce(r.custom_fields, '{}')"
    " FROM generate_series($3, $4) AS n,"
    " jsonb_to_record(CASE jsonb_typeof($2 -> (n - 1)) WHEN 'object' THEN $2 -> (n - 1) ELSE '{}' END) AS r "
    "(name text,"
    " email text, phone text, company text, \"position\" text, job_title text, inn text, source text, "
    "stage_id uuid,"
    " assigned_to uuid, estimated_value numeric, currency text, custom_fields jsonb) ORDER BY n RETURNING "
    "id"};

// Of one row: the lead it became, or why it became none.
struct Outcome {
  OptionalUuid lead;
  OptionalText error;
};

void PutOutcomes(pg::ResultSet& result, const std::vector<Outcome>& outcomes) {
  std::int32_t row_no = 0;
  for (const Outcome& outcome : outcomes) {
    const std::string_view name = outcome.lead ? "created" : "error";
    result.Add(++row_no, name, outcome.lead, outcome.error);
  }
}

}  // namespace

// import_leads(rows jsonb, on_duplicate, dry_run, organization_id) -> setof (row_no, outcome, lead_id,
// error). `rows` is an array of objects with the columns of leads as keys (job_title also stands for
// position). Errors: 22023 when rows is no array or on_duplicate unknown; 42501 without leads:import. A bad
// row is reported as outcome 'error'; the others load.
KVCRM_FUNCTION(import_leads) {
  // Unpacked once: every batch looks into it again.
  const pg::Json rows = pg::Unpack(args.Require<pg::Json>(0, "rows"));
  const auto on_duplicate = args.Get<OptionalText>(1);
  const bool dry_run = args.Get<std::optional<bool>>(2).value_or(false);
  if (on_duplicate && *on_duplicate != "allow") {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "on_duplicate must be allow")
        .Hint("The organization's duplicate_policy holds for imports too.");
  }
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(3));
  caller.Require(Permission::kLeadsImport);
  const auto count = kCount(rows).Get<std::optional<std::int32_t>>(0, 0);
  if (!count) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "rows must be a JSON array");
  const crm::DuplicateChoice one_call(std::nullopt);
  std::vector<Outcome> outcomes(static_cast<std::size_t>(*count));
  const auto insert = [&](std::size_t first, std::size_t end) {
    const pg::Rows inserted = kInsert(caller.organization, rows, static_cast<std::int32_t>(first) + 1,
                                      static_cast<std::int32_t>(end));
    for (std::size_t i = first; i < end; ++i) outcomes[i] = {inserted.Get<pg::Uuid>(i - first, 0), {}};
  };
  const auto refused = [&](std::size_t row, crm::Failure failure) {
    outcomes[row] = {std::nullopt, std::move(failure.message)};
  };
  const auto import_all = [&] { crm::InBatches(outcomes.size(), kBatch, insert, refused); };
  if (dry_run) {
    const pg::SubTransaction rolled_back;
    import_all();
  } else {
    import_all();
  }
  PutOutcomes(result, outcomes);
  return result.Done();
}
