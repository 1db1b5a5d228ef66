#include "pg/statement.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
}

namespace kvcrm::pg {

namespace {

// More parameters than the widest bulk INSERT of ours binds.
constexpr int kMaxParameters = 1024;

[[noreturn]] void RaiseSpi(const char* what, int code) {
  throw kvcrm::Error(ERRCODE_INTERNAL_ERROR, std::string(what) + " failed: " + SPI_result_code_string(code));
}

}  // namespace

Session* Session::innermost_ = nullptr;

Session::Session(Access access)
    : access_(access), outer_(innermost_), exceptions_(std::uncaught_exceptions()) {
  Call([] { SPI_connect(); });
  innermost_ = this;
}

Session::~Session() {
  innermost_ = outer_;
  if (std::uncaught_exceptions() == exceptions_) SPI_finish();
}

Rows::Rows(SPITupleTable* table, std::uint64_t processed)
    : table_(table),
      processed_(processed),
      transaction_(GetCurrentSubTransactionId()),
      exceptions_(std::uncaught_exceptions()) {}

Rows::~Rows() {
  if (table_ == nullptr) return;
  // A rollback has freed the rows. An error may have left a session open that is further in than theirs, and
  // SPI frees only what belongs to the innermost one.
  if (!SubTransactionIsActive(transaction_) || std::uncaught_exceptions() != exceptions_) return;
  SPI_freetuptable(table_);
}

const StatementBase* StatementBase::first_ = nullptr;

StatementBase::StatementBase(const char* name, const char* text, Plan plan, const Oid* types, int count)
    : name_(name), text_(text), plan_(plan), types_(types), count_(count), next_(first_) {
  first_ = this;
}

SPIPlanPtr StatementBase::Prepare() const {
  if (prepared_ != nullptr) return prepared_;
  const int options = plan_ == Plan::kGeneric ? CURSOR_OPT_GENERIC_PLAN : CURSOR_OPT_CUSTOM_PLAN;
  SPIPlanPtr plan =
      Call([&] { return SPI_prepare_cursor(text_, count_, const_cast<Oid*>(types_), options); });
  if (plan == nullptr) RaiseSpi(name_, SPI_result);
  if (const int code = Call([&] { return SPI_keepplan(plan); }); code != 0) RaiseSpi(name_, code);
  prepared_ = plan;
  return prepared_;
}

Rows StatementBase::Execute(const Value* values, int count) const {
  SPIPlanPtr plan = Prepare();
  if (count > kMaxParameters) throw kvcrm::Error(ERRCODE_TOO_MANY_ARGUMENTS, "too many parameters");
  Datum datums[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    datums[i] = values[i].datum;
    nulls[i] = values[i].is_null ? 'n' : ' ';
  }
  const bool read_only = Session::ReadOnly();
  const int code = Call([&] { return SPI_execute_plan(plan, datums, nulls, read_only, 0); });
  if (code < 0) RaiseSpi(name_, code);
  return Rows(SPI_tuptable, SPI_processed);
}

Rows StatementBase::ExecuteLatest(const Value* values, int count) const {
  SPIPlanPtr plan = Prepare();
  if (count > kMaxParameters) throw kvcrm::Error(ERRCODE_TOO_MANY_ARGUMENTS, "too many parameters");
  Datum datums[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    datums[i] = values[i].datum;
    nulls[i] = values[i].is_null ? 'n' : ' ';
  }
  const int code = Call([&] {
    CommandCounterIncrement();
    return SPI_execute_snapshot(plan, datums, nulls, GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
  });
  if (code < 0) RaiseSpi(name_, code);
  return Rows(SPI_tuptable, SPI_processed);
}

SubTransaction::SubTransaction() : context_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
  Call([] { BeginInternalSubTransaction(nullptr); });
  MemoryContextSwitchTo(context_);
}

void SubTransaction::Commit() {
  Call([] { ReleaseCurrentSubTransaction(); });
  // Not earlier: one that fails to commit has to be rolled back.
  open_ = false;
  MemoryContextSwitchTo(context_);
  CurrentResourceOwner = owner_;
}

SubTransaction::~SubTransaction() {
  if (!open_) return;
  RollbackAndReleaseCurrentSubTransaction();
  MemoryContextSwitchTo(context_);
  CurrentResourceOwner = owner_;
}

}  // namespace kvcrm::pg
