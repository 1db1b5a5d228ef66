// The audit log: one row per changed row and statement, written in bulk in the same transaction.
#include "crm/audit.hpp"

#include "crm/bulk_insert.hpp"
#include "crm/derived.hpp"
#include "crm/feed.hpp"
#include "crm/identity.hpp"
#include "crm/rows.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"

extern "C" {
#include "utils/lsyscache.h"
}

using namespace kvcrm;

namespace {

const crm::BulkInsert kInsertLog(
    "audit.insert",
    "INSERT INTO kvcrm.activity_logs (organization_id, entity_type, entity_id, action,"
    " actor_id, changes, feed_epoch)",
    {UUIDOID, TEXTOID, UUIDOID, TEXTOID, UUIDOID, JSONBOID, INT4OID});

// Columns that the log leaves out: ids, bookkeeping, and what is derived from what it does tell.
constexpr std::string_view kUnlogged[] = {"id",         "organization_id",  "version",         "created_at",
                                          "updated_at", "board_rank",       "score",           "status",
                                          "created_by", "qualified_at",     "block_email",     "block_phone",
                                          "phone_e164", "email_normalized", "stage_entered_at"};
// Of these tables status is a fact of its own, not derived.
constexpr std::string_view kTellsStatus[] = {"organization_members", "quotes"};

bool IsLogged(std::string_view table, std::string_view column) {
  if (column == "status") {
    for (const std::string_view name : kTellsStatus) {
      if (name == table) return true;
    }
  }
  for (const std::string_view name : kUnlogged) {
    if (name == column) return false;
  }
  return true;
}

// What the log needs to know of a table; kept per table for as long as its shape stays.
struct LoggedTable {
  Oid oid = InvalidOid;
  int shape = 0;
  AttrNumber id = 0, organization = 0;
  AttrNumber erased = 0, deleted = 0, converted = 0, merged = 0, stage = 0, assignee = 0,
             phone = 0;  // 0: no such column
  std::vector<AttrNumber> columns;
};

const LoggedTable& Describe(Relation table) {
  static std::vector<LoggedTable> known;
  const int shape = RelationGetNumberOfAttributes(table);
  for (const LoggedTable& entry : known) {
    if (entry.oid == RelationGetRelid(table) && entry.shape == shape) return entry;
  }
  LoggedTable entry;
  entry.oid = RelationGetRelid(table);
  entry.shape = shape;
  const auto number = [&](const char* name) { return pg::Call([&] { return get_attnum(entry.oid, name); }); };
  entry.id = number("id");
  entry.organization = number("organization_id");
  // An organization is its own.
  if (entry.organization == 0) entry.organization = entry.id;
  entry.erased = number("erased_at");
  entry.deleted = number("deleted_at");
  entry.converted = number("converted_at");
  entry.merged = number("merged_into_id");
  entry.assignee = number("assigned_to");
  entry.phone = number("phone");
  const std::string_view name = RelationGetRelationName(table);
  if (name == "leads") entry.stage = number("stage_id");
  for (AttrNumber i = 1; i <= shape; ++i) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), i - 1);
    if (!column->attisdropped && IsLogged(name, NameStr(column->attname))) entry.columns.push_back(i);
  }
  known.push_back(std::move(entry));
  return known.back();
}

// Whether an update turned a time or id from null to a value (+1), from a value to null (-1), or neither (0).
int Turned(const pg::TransitionReader& old, const pg::TransitionReader& row, AttrNumber column) {
  if (column == 0) return 0;
  return static_cast<int>(old.At(column).is_null) - static_cast<int>(row.At(column).is_null);
}

std::string_view ActionOf(const LoggedTable& table, const pg::TransitionReader& old,
                          const pg::TransitionReader& row, TupleDesc descriptor) {
  if (Turned(old, row, table.erased) > 0) return "erased";
  if (const int turned = Turned(old, row, table.merged); turned != 0)
    return turned > 0 ? "merged" : "unmerged";
  if (const int turned = Turned(old, row, table.converted); turned != 0)
    return turned > 0 ? "converted" : "reverted";
  if (const int turned = Turned(old, row, table.deleted); turned != 0)
    return turned > 0 ? "deleted" : "restored";
  const auto changed = [&](AttrNumber column) {
    return column != 0 && !pg::SameValue(old.At(column), row.At(column), descriptor, column);
  };
  if (changed(table.stage)) return "moved";
  if (changed(table.assignee)) return "assigned";
  return "updated";
}

class LogWriter {
 public:
  LogWriter(const pg::TriggerCall& call, const LoggedTable& table)
      : call_(call),
        table_(table),
        own_batch_(kInsertLog),
        scope_(crm::LogScope::Innermost()),
        batch_(scope_ != nullptr ? scope_->batch() : own_batch_),
        actor_(crm::CurrentUser()) {}

  // A row that came or went: all its fields that have a value.
  void Whole(Tuplestorestate* rows, std::string_view action, bool came) {
    pg::TransitionReader row(rows, call_.descriptor());
    pg::Scratch scratch;
    while (row.Next()) {
      pg::CheckForInterrupts();
      scratch.Reset();
      fields_.clear();
      for (const AttrNumber column : table_.columns) {
        const pg::Value value = row.At(column);
        if (value.is_null) continue;
        fields_.push_back(came ? pg::JsonField{column, pg::Value{}, value}
                               : pg::JsonField{column, value, pg::Value{}});
      }
      Add(row, action);
    }
    if (scope_ == nullptr) batch_.Flush();
  }

  void Changes() {
    // Both tables hold the rows in the same order.
    pg::TransitionReader old(call_.OldTable(), call_.descriptor()), row(call_.NewTable(), call_.descriptor());
    pg::Scratch scratch;
    while (old.Next() && row.Next()) {
      pg::CheckForInterrupts();
      scratch.Reset();
      fields_.clear();
      for (const AttrNumber column : table_.columns) {
        if (pg::SameValue(old.At(column), row.At(column), call_.descriptor(), column)) continue;
        if (column == table_.phone && crm::DerivedAnew::Active()) continue;
        fields_.push_back({column, old.At(column), row.At(column)});
      }
      if (fields_.empty()) continue;
      auto* told =
          scope_ != nullptr ? scope_->Find(call_.Argument(0), row.Get<pg::Uuid>(table_.id)) : nullptr;
      if (told != nullptr) {
        told->written = true;
        Add(row, told->action, &told->changes);
      } else {
        Add(row, ActionOf(table_, old, row, call_.descriptor()));
      }
    }
    if (scope_ == nullptr) batch_.Flush();
  }

 private:
  void Add(const pg::TransitionReader& row, std::string_view action, const pg::Json* more = nullptr) {
    const auto organization = row.Get<pg::Uuid>(table_.organization);
    const pg::Value id = batch_.Make(row.Get<pg::Uuid>(table_.id));
    pg::Value changes;
    {
      const pg::InContext in(batch_.context());
      pg::Json built = pg::BuildChanges(fields_.data(), static_cast<int>(fields_.size()), call_.descriptor());
      if (more != nullptr) built = pg::MergeObjects(built, *more);
      changes = pg::ToValue(built);
    }
    batch_.Add({batch_.Make(organization), batch_.Make(std::string_view(call_.Argument(0))), id,
                batch_.Make(action), batch_.Make(actor_), changes,
                pg::ToValue(crm::FeedEpoch(organization))});
  }

  const pg::TriggerCall& call_;
  const LoggedTable& table_;
  crm::BulkInsert::Batch own_batch_;
  crm::LogScope* scope_;
  crm::BulkInsert::Batch& batch_;
  std::optional<pg::Uuid> actor_;
  std::vector<pg::JsonField> fields_;
};

}  // namespace

namespace kvcrm::crm {

LogScope* LogScope::innermost_ = nullptr;

LogScope::LogScope() : outer_(innermost_), batch_(kInsertLog) { innermost_ = this; }

LogScope::~LogScope() { innermost_ = outer_; }

void LogScope::Tell(std::string_view entity, const pg::Uuid& organization, const pg::Uuid& id,
                    std::string_view action, pg::Json changes) {
  told_.push_back({std::string(entity), std::string(action), organization, id, changes});
}

LogScope::Told* LogScope::Find(std::string_view entity, const pg::Uuid& id) {
  for (Told& told : told_) {
    if (!told.written && told.id == id && told.entity == entity) return &told;
  }
  return nullptr;
}

void LogScope::Write() {
  for (Told& told : told_) {
    if (std::exchange(told.written, true)) continue;
    batch_.Add({batch_.Make(told.organization), batch_.Make(std::string_view(told.entity)),
                batch_.Make(told.id), batch_.Make(std::string_view(told.action)), batch_.Make(CurrentUser()),
                pg::ToValue(told.changes), pg::ToValue(FeedEpoch(told.organization))});
  }
  batch_.Flush();
}

}  // namespace kvcrm::crm

// Trigger after each statement on a logged table; its argument is the entity type. Updates that change
// nothing worth telling (ids, version, derived columns) leave no row.
KVCRM_FUNCTION(log_changes) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  LogWriter writer(call, Describe(call.table()));
  if (call.OnInsert()) writer.Whole(call.NewTable(), "created", true);
  if (call.OnUpdate()) writer.Changes();
  if (call.OnDelete()) writer.Whole(call.OldTable(), "deleted", false);
  return call.Done();
}

// Trigger before update or delete of activity_logs: the log is append-only. Only functions that erase
// personal data may pass.
KVCRM_FUNCTION(activity_logs_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner()) || crm::Authorized::Active()) return call.Done();
  throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "the audit log is append-only");
}

// Trigger before truncate of each table: none is truncated while it holds rows, neither by itself nor by
// cascade. Truncation fires no row triggers, so rules would be broken and the log would not tell.
KVCRM_FUNCTION(refuse_truncate) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const std::string table = RelationGetRelationName(call.table());
  {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    // With a new snapshot: the one whom TRUNCATE waited for may have inserted, whatever this transaction
    // repeats.
    if (pg::ExecuteOnce("SELECT 1 FROM kvcrm." + table + " LIMIT 1").empty()) return call.Done();
  }
  Error error(ERRCODE_CHECK_VIOLATION, "table " + table + " can't be truncated");
  if (table == "activity_logs") throw error;
  throw std::move(error).Hint(table == "leads"
                                  ? "Delete leads with delete_lead(lead_id) or erase_lead(lead_id)."
                                  : "DELETE keeps to the rules and writes the log; TRUNCATE can do neither.");
}
