#include "pg/statement.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
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

// SPI leaves its own memory context current, in which all stays until the session ends; a caller who made
// another one current, to empty it now and then, gets that back.
class CallersContext {
 public:
  CallersContext() : context_(CurrentMemoryContext) {}
  ~CallersContext() { MemoryContextSwitchTo(context_); }
  CallersContext(const CallersContext&) = delete;
  CallersContext& operator=(const CallersContext&) = delete;

 private:
  MemoryContext context_;
};

// Builds the plan that is kept, without sequential scans wherever an index serves: a plan made while a table
// is small would otherwise read all of it long after it has grown.
void BuildGenericPlan(SPIPlanPtr plan, bool for_gin) {
  Call([&] {
    const int level = NewGUCNestLevel();
    const auto turn_off = [](const char* setting) {
      (void)set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    };
    turn_off("enable_seqscan");
    // A bitmap scan leaves dead index entries in the way of the next one, an index scan marks them.
    if (!for_gin) turn_off("enable_bitmapscan");
    // The cost of what was to be avoided is no reason to compile the plan.
    turn_off("jit");
    CachedPlan* cached = SPI_plan_get_cached_plan(plan);
    if (cached != nullptr) ReleaseCachedPlan(cached, CurrentResourceOwner);
    AtEOXact_GUC(false, level);
  });
}

Rows ExecutePlanLatest(const char* name, SPIPlanPtr plan, const Value* values, int count) {
  const CallersContext context;
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
  if (code < 0) RaiseSpi(name, code);
  return Rows(SPI_tuptable, SPI_processed);
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

Cursor::Cursor(Portal portal) : portal_(portal), exceptions_(std::uncaught_exceptions()) {}

Cursor::~Cursor() {
  if (std::uncaught_exceptions() == exceptions_) SPI_cursor_close(portal_);
}

Rows Cursor::Fetch(long count) {
  const CallersContext context;
  Call([&] { SPI_cursor_fetch(portal_, true, count); });
  return Rows(SPI_tuptable, SPI_processed);
}

const StatementBase* StatementBase::first_ = nullptr;

StatementBase::StatementBase(const char* name, const char* text, Plan plan, const Oid* types, int count)
    : name_(name), text_(text), plan_(plan), types_(types), count_(count), next_(first_) {
  first_ = this;
}

SPIPlanPtr StatementBase::Prepare() const {
  const CallersContext context;
  if (prepared_ != nullptr) {
    if (plan_ != Plan::kCustom && !SPI_plan_is_valid(prepared_))
      BuildGenericPlan(prepared_, plan_ == Plan::kGin);
    return prepared_;
  }
  const int options = plan_ == Plan::kCustom ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN;
  SPIPlanPtr plan =
      Call([&] { return SPI_prepare_cursor(text_, count_, const_cast<Oid*>(types_), options); });
  if (plan == nullptr) RaiseSpi(name_, SPI_result);
  if (const int code = Call([&] { return SPI_keepplan(plan); }); code != 0) RaiseSpi(name_, code);
  prepared_ = plan;
  if (plan_ != Plan::kCustom) BuildGenericPlan(prepared_, plan_ == Plan::kGin);
  return prepared_;
}

Rows StatementBase::Execute(const Value* values, int count) const {
  const CallersContext context;
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
  return ExecutePlanLatest(name_, Prepare(), values, count);
}

Rows ExecuteText(const std::string& text, const Oid* types, const Value* values, int count) {
  const char* source = text.c_str();
  SPIPlanPtr plan = Call([&] { return SPI_prepare(source, count, const_cast<Oid*>(types)); });
  if (plan == nullptr) RaiseSpi("SPI_prepare", SPI_result);
  Rows rows = ExecutePlanLatest("statement", plan, values, count);
  Call([&] { SPI_freeplan(plan); });
  return rows;
}

Portal StatementBase::Open(const Value* values, int count) const {
  const CallersContext context;
  SPIPlanPtr plan = Prepare();
  Datum datums[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    datums[i] = values[i].datum;
    nulls[i] = values[i].is_null ? 'n' : ' ';
  }
  const bool read_only = Session::ReadOnly();
  return Call([&] { return SPI_cursor_open(nullptr, plan, datums, nulls, read_only); });
}

namespace {

MemoryContextCounters CountersOf(MemoryContext context) {
  MemoryContextCounters counters{};
  context->methods->stats(context, nullptr, nullptr, &counters, false);
  return counters;
}
Size UsedIn(const MemoryContextCounters& counters) { return counters.totalspace - counters.freespace; }

// What an allocation set uses for itself, and for each of its blocks.
struct Overhead {
  Size set = 0, block = 0;
};
Overhead MeasureOverhead() {
  const MemoryContext tried = AllocSetContextCreate(CurrentMemoryContext, "tried", ALLOCSET_DEFAULT_SIZES);
  pfree(MemoryContextAlloc(tried, 1));
  const MemoryContextCounters few = CountersOf(tried);
  void* const first = MemoryContextAlloc(tried, 6000);
  pfree(MemoryContextAlloc(tried, 6000));
  pfree(first);
  const MemoryContextCounters more = CountersOf(tried);
  MemoryContextDelete(tried);
  const Size block = (UsedIn(more) - UsedIn(few)) / (more.nblocks - few.nblocks);
  return {UsedIn(few) - few.nblocks * block, block};
}

// The transition tables of triggers leave the memory that they took to the subtransaction, free but kept
// until the transaction ends: a quarter of a MiB for a batch of an import, 32 KiB from 17 on, where the
// tables have memory of their own. PostgreSQL gives back what a subtransaction leaves only if it looks as if
// nothing had ever been taken.
void ResetIfUnused(MemoryContext context) {
  if (MemoryContextIsEmpty(context) || context->firstchild != nullptr || !IsA(context, AllocSetContext))
    return;
  // Not initialised here: an error would leave that unfinished.
  static Overhead overhead;
  if (overhead.block == 0) overhead = MeasureOverhead();
  const MemoryContextCounters counters = CountersOf(context);
  if (UsedIn(counters) == overhead.set + counters.nblocks * overhead.block) MemoryContextReset(context);
}

}  // namespace

SubTransaction::SubTransaction() : context_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
  Call([] { BeginInternalSubTransaction(nullptr); });
  MemoryContextSwitchTo(context_);
}

void SubTransaction::Commit() {
  Call([] { ResetIfUnused(CurTransactionContext); });
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
