#include "crm/board_counts.hpp"

#include <random>

#include "crm/bulk_insert.hpp"
#include "crm/lead_columns.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
}

namespace kvcrm::crm {

namespace {

const BulkInsert kInsert(
    "board_counts.insert",
    "INSERT INTO kvcrm.lead_stage_counts (organization_id, stage_id, assigned_to, currency, leads,"
    " value)",
    {UUIDOID, UUIDOID, UUIDOID, TEXTOID, INT8OID, NUMERICOID});

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, std::string> kFold{
    "board_counts.fold",
    "WITH old AS (DELETE FROM kvcrm.lead_stage_counts c USING (SELECT d.id FROM kvcrm.lead_stage_counts d"
    "   WHERE d.organization_id = $1 AND d.stage_id = $2 AND d.assigned_to = $3 AND d.currency = $4"
    "   FOR UPDATE SKIP LOCKED) AS free WHERE c.id = free.id AND c.organization_id = $1 RETURNING c.leads, "
    "c.value)"
    " INSERT INTO kvcrm.lead_stage_counts (organization_id, stage_id, assigned_to, currency, leads, value)"
    " SELECT $1, $2, $3, $4, sum(leads), sum(value) FROM old HAVING sum(leads) <> 0 OR sum(value) <> 0"};

// One in so many statements folds: a key then has about as many rows.
constexpr unsigned kFoldEvery = 32;

bool TimeToFold() {
  static std::minstd_rand generator{std::random_device{}()};
  static TransactionId folded_in = InvalidTransactionId;
  // A snapshot of the whole transaction may be too old to delete what others have folded since.
  if (IsolationUsesXactSnapshot() || generator() % kFoldEvery != 0) return false;
  // Once per transaction: what it has folded before stays in its way as dead rows until it ends.
  const TransactionId current = GetTopTransactionId();
  if (current == folded_in) return false;
  folded_in = current;
  return true;
}

Datum Zero() {
  return pg::Call([] { return DirectFunctionCall1(int4_numeric, Int32GetDatum(0)); });
}

bool IsZero(Datum value) {
  return pg::Call([&] { return DatumGetBool(DirectFunctionCall2(numeric_eq, value, Zero())); });
}

}  // namespace

void BoardCounts::Count(const pg::TransitionReader& row, int sign) {
  for (const LeadColumn gone : {kConvertedAt, kMergedIntoId, kDeletedAt}) {
    if (!row.At(at_[gone]).is_null) return;
  }
  const Key key{row.Get<pg::Uuid>(at_[kOrganizationId]), row.Get<pg::Uuid>(at_[kStageId]),
                row.Get<std::optional<pg::Uuid>>(at_[kAssignedTo]).value_or(pg::Uuid{}),
                std::string(pg::ViewText(row.At(at_[kCurrency])))};
  Change& change = changes_[key];
  change.leads += sign;
  const pg::Value value = row.At(at_[kEstimatedValue]);
  if (value.is_null) return;
  const pg::InContext in(context_);
  if (change.value == 0) change.value = Zero();
  change.value = pg::Call([&] {
    return sign > 0 ? DirectFunctionCall2(numeric_add, change.value, value.datum)
                    : DirectFunctionCall2(numeric_sub, change.value, value.datum);
  });
}

void BoardCounts::Write() {
  BulkInsert::Batch batch(kInsert);
  const Datum zero = Zero();
  bool any = false;
  for (const auto& [key, change] : changes_) {
    if (change.leads == 0 && (change.value == 0 || IsZero(change.value))) continue;
    any = true;
    const pg::Decimal value{change.value == 0 ? zero : change.value};
    batch.Add({batch.Make(key.organization), batch.Make(key.stage), batch.Make(key.assignee),
               batch.Make(key.currency), pg::ToValue(change.leads), pg::ToValue(value)});
  }
  batch.Flush();
  if (!any || !TimeToFold()) return;
  for (const auto& [key, change] : changes_) kFold(key.organization, key.stage, key.assignee, key.currency);
}

}  // namespace kvcrm::crm
