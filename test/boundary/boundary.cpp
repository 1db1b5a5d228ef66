// Functions for test/boundary/*.sql: each takes the boundary of src/pg to one of its edges.
#include <malloc.h>

#include <limits>
#include <new>
#include <stdexcept>

#include "pg/json.hpp"
#include "pg/memo.hpp"
#include "pg/security.hpp"
#include "pg/statement.hpp"
#include "pg/trigger.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

using namespace kvcrm;

namespace {

using OptionalText = std::optional<std::string>;

// The table has a check and a unique constraint, see boundary.sql.
const pg::Statement<std::int32_t, OptionalText> kInsert{
    "boundary.insert", "INSERT INTO public.boundary_rows (id, name) VALUES ($1, $2) RETURNING id, name"};
const pg::Statement<> kNames{
    "boundary.names",
    "SELECT coalesce(array_agg(name ORDER BY id), '{}') FROM public.boundary_rows WHERE id > 0"};
const pg::Statement<std::int32_t> kDescend{"boundary.descend", "SELECT public.boundary_descend($1)"};
const pg::Statement<> kUnknownTable{"boundary.unknown_table", "SELECT 1 FROM public.boundary_no_table"};

// --- what must be the same before and after ---

struct Standing {
  sigjmp_buf* stack = PG_exception_stack;
  ErrorContextCallback* callbacks = error_context_stack;
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  int level = GetCurrentTransactionNestLevel();
  Oid user = InvalidOid;
  int security = 0;
  bool read_only = pg::Session::ReadOnly();

  Standing() { GetUserIdAndSecContext(&user, &security); }
  bool operator==(const Standing&) const = default;
};

void RequireSame(const Standing& before) {
  if (!(Standing() == before)) throw std::logic_error("the backend's state is not what it was");
}

// --- warnings ---

std::int32_t warnings = 0;
emit_log_hook_type next_hook = nullptr;

void CountWarnings(ErrorData* error) {
  if (error->elevel == WARNING) ++warnings;
  if (next_hook != nullptr) next_hook(error);
}

// --- failures ---

void Fail(const std::string& kind) {
  if (kind == "error") {
    throw Error(ERRCODE_CHECK_VIOLATION, "100% wrong: %s")
        .Detail("the detail %d")
        .Hint("the hint %n")
        .Column("the_column");
  }
  if (kind == "bare error") throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "only a message");
  if (kind == "bad_alloc") throw std::bad_alloc();
  if (kind == "too many") std::vector<char>().reserve(std::numeric_limits<std::size_t>::max());
  if (kind == "exception") throw std::runtime_error("a runtime error");
  if (kind == "unknown") throw 42;
  if (kind == "palloc") pg::Call([] { palloc(MaxAllocSize + 1); });
  if (kind == "out of memory") {
    pg::Call([] {
      ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                      errdetail("Failed on request of size %d.", 1)));
    });
  }
  if (kind == "ereport") {
    pg::Call([] {
      ereport(ERROR, (errcode(ERRCODE_DIVISION_BY_ZERO), errmsg("a message"), errdetail("a detail"),
                      errhint("a hint"), errcontext("a context"), errdetail_log("for the log")));
    });
  }
  if (kind == "nested call") {
    // An error that crosses two boundaries.
    pg::Call([] { pg::Call([] { ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("inner"))); }); });
  }
  if (kind == "exception in call") {
    pg::Call([] { throw Error(ERRCODE_DATA_EXCEPTION, "thrown inside a guarded call"); });
  }
  if (kind == "rethrown") {
    try {
      Fail("ereport");
    } catch (const pg::Error&) {
      throw;
    }
  }
  if (kind == "in owner") {
    const pg::AsOwner owner(pg::SearchPath::kPin);
    Fail("ereport");
  }
  pg::Session session(pg::Access::kWrite);
  if (kind == "in session") Fail("error");
  if (kind == "in sessions") {
    pg::Session inner(pg::Access::kRead);
    Fail("ereport");
  }
  if (kind == "check") kInsert(-1, std::nullopt);
  if (kind == "unique") {
    const pg::Rows first = kInsert(1000000, "twice");
    kInsert(1000000, "twice");
  }
  if (kind == "parse") kUnknownTable();
  if (kind == "read only") {
    pg::Session inner(pg::Access::kRead);
    kInsert(1000001, "x");
  }
  if (kind == "below rows") {
    // Rows are alive while a statement fails in a session further in.
    const pg::Rows rows = kNames();
    pg::Session inner(pg::Access::kWrite);
    const pg::Rows more = kNames();
    kDescend(-3);
  }
  if (kind == "scratch") {
    pg::Scratch scratch;
    Fail("check");
  }
  if (kind == "subtransaction") {
    pg::SubTransaction outer;
    kInsert(1000002, "x");
    pg::SubTransaction inner;
    Fail("ereport");
  }
}

// Fails inside a sub-transaction and swallows the failure.
void Swallow(const std::string& kind) {
  const Standing before;
  pg::SubTransaction attempt;
  try {
    Fail(kind);
    attempt.Commit();
  } catch (const pg::Error&) {
  } catch (const std::exception&) {
  } catch (int) {
  }
  (void)before;
}

template <typename T>
Datum Echo(pg::Args& args, const pg::Statement<std::optional<T>>& statement) {
  pg::Session session(pg::Access::kRead);
  return args.Return(statement(args.Get<std::optional<T>>(0)).template Get<std::optional<T>>(0, 0));
}

bool fail_at_commit = false;

void FailAtCommit(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (event != SUBXACT_EVENT_PRE_COMMIT_SUB || !fail_at_commit) return;
  fail_at_commit = false;
  ereport(ERROR, (errcode(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION), errmsg("refused at commit")));
}

}  // namespace

extern "C" void _PG_init(void) {
  next_hook = emit_log_hook;
  emit_log_hook = CountWarnings;
  RegisterSubXactCallback(FailAtCommit, nullptr);
}

// How many warnings this backend has seen, from resource owners and SPI too.
KVCRM_FUNCTION(boundary_warnings) { return args.Return(warnings); }

// Bytes that malloc has given out.
KVCRM_FUNCTION(boundary_heap) {
  const auto heap = mallinfo2();
  return args.Return(static_cast<std::int64_t>(heap.uordblks + heap.hblkhd));
}

// Fails in the given way, or returns false for a kind it doesn't know.
KVCRM_FUNCTION(boundary_fail) {
  Fail(args.Get<std::string>(0));
  return args.Return(false);
}

// Fails in the given way inside a sub-transaction, so many times, and swallows it each time. The state of the
// backend is compared after each.
KVCRM_FUNCTION(boundary_swallow) {
  const auto kind = args.Get<std::string>(0);
  const auto times = args.Get<std::int32_t>(1);
  pg::Session session(pg::Access::kWrite);
  for (std::int32_t i = 0; i < times; ++i) {
    const Standing before;
    Swallow(kind);
    RequireSame(before);
  }
  // The session still works.
  return args.Return(kNames().Get<std::vector<std::string>>(0, 0));
}

// Calls itself through SQL, with a session each time; ends in a failure below zero.
KVCRM_FUNCTION(boundary_descend) {
  const auto depth = args.Get<std::int32_t>(0);
  const pg::Session session(depth % 2 == 0 ? pg::Access::kRead : pg::Access::kWrite);
  if (pg::Session::ReadOnly() != (depth % 2 == 0)) throw std::logic_error("not my session");
  if (depth == 0) return args.Return(std::int32_t{0});
  if (depth == -1) throw Error(ERRCODE_DATA_EXCEPTION, "the bottom").Detail("detail of the bottom");
  const std::int32_t below = kDescend(depth > 0 ? depth - 1 : depth + 1).Get<std::int32_t>(0, 0);
  if (pg::Session::ReadOnly() != (depth % 2 == 0)) throw std::logic_error("not my session afterwards");
  return args.Return(below + 1);
}

// Commits and rolls back sub-transactions in all ways; returns the names that stay.
KVCRM_FUNCTION(boundary_subtransactions) {
  pg::Session session(pg::Access::kWrite);
  const Standing before;
  {
    pg::SubTransaction kept;
    kInsert(1, "committed");
    kept.Commit();
  }
  {
    pg::SubTransaction dropped;
    kInsert(2, "rolled back");
  }
  RequireSame(before);
  {
    pg::SubTransaction dropped;
    pg::SubTransaction inner;
    kInsert(3, "committed, then rolled back with the outer one");
    inner.Commit();
  }
  {
    pg::SubTransaction kept;
    {
      pg::SubTransaction inner;
      kInsert(4, "rolled back inside");
    }
    kInsert(5, "committed outside");
    kept.Commit();
  }
  RequireSame(before);
  return args.Return(kNames().Get<std::vector<std::string>>(0, 0));
}

// A sub-transaction that fails when it commits is rolled back, and only it.
KVCRM_FUNCTION(boundary_failing_commit) {
  pg::Session session(pg::Access::kWrite);
  const Standing before;
  {
    pg::SubTransaction outer;
    kInsert(6, "outer");
    const Standing inside;
    try {
      pg::SubTransaction inner;
      kInsert(7, "inner");
      fail_at_commit = true;
      inner.Commit();
    } catch (const pg::Error& error) {
      if (error.sqlstate() != ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION) throw;
    }
    RequireSame(inside);
    outer.Commit();
  }
  RequireSame(before);
  return args.Return(kNames().Get<std::vector<std::string>>(0, 0));
}

// Rows outlive the sub-transaction that brought them: rolled back, committed, and moved.
KVCRM_FUNCTION(boundary_rows_outlive) {
  pg::Session session(pg::Access::kWrite);
  std::vector<pg::Rows> rows;
  {
    pg::SubTransaction rolled_back;
    rows.push_back(kNames());
    pg::SubTransaction inner;
    rows.push_back(kNames());
    inner.Commit();
  }
  {
    pg::SubTransaction committed;
    rows.push_back(kNames());
    committed.Commit();
  }
  const auto names = rows.back().Get<std::vector<std::string>>(0, 0);
  pg::Rows moved = std::move(rows.back());
  return args.Return(names);
}

// An error outlives everything of the transaction part that raised it.
KVCRM_FUNCTION(boundary_error_outlives) {
  pg::Session session(pg::Access::kWrite);
  std::optional<pg::Error> kept;
  {
    pg::SubTransaction attempt;
    try {
      kInsert(-1, "x");
    } catch (pg::Error& error) {
      kept.emplace(std::move(error));
    }
  }
  for (int i = 0; i < 100; ++i) Swallow("check");
  return args.Return(std::string(kept->what()) + " / " + kept->data().constraint_name);
}

// Loops in C++ for so many seconds, unless interrupted.
KVCRM_FUNCTION(boundary_spin) {
  const TimestampTz end = GetCurrentTimestamp() + args.Get<std::int32_t>(0) * USECS_PER_SEC;
  std::int64_t rounds = 0;
  while (GetCurrentTimestamp() < end) {
    const std::string held(100, 'x');
    pg::CheckForInterrupts();
    ++rounds;
  }
  return args.Return(rounds);
}

// Asks for its own end, and waits for it in C++.
KVCRM_FUNCTION(boundary_terminate) {
  const std::string held(100, 'x');
  pg::Session session(pg::Access::kWrite);
  pg::SubTransaction open;
  kInsert(8, "never");
  ProcDiePending = true;
  InterruptPending = true;
  pg::CheckForInterrupts();
  return args.Return(held);
}

// Refuses a null: 22004.
KVCRM_FUNCTION(boundary_not_null) { return args.Return(args.Get<std::int32_t>(0)); }
// Refuses a null by name: 22023.
KVCRM_FUNCTION(boundary_required) { return args.Return(args.Require<std::int32_t>(0, "the_argument")); }

// Counts its own calls in one execution.
KVCRM_FUNCTION(boundary_count) {
  struct Counter {
    std::vector<std::string> held;
  };
  auto* counter = pg::Kept<Counter>(args);
  if (counter == nullptr) counter = pg::Keep(args, Counter());
  counter->held.push_back(std::string(1000, 'x'));
  if (static_cast<std::int32_t>(counter->held.size()) == args.Get<std::int32_t>(0)) Fail("error");
  return args.Return(static_cast<std::int32_t>(counter->held.size()));
}

#define BOUNDARY_ECHO(name, type)                                                                     \
  namespace {                                                                                         \
  const pg::Statement<std::optional<type>> kEcho_##name{"boundary.echo_" #name, "SELECT $1 LIMIT 1"}; \
  }                                                                                                   \
  KVCRM_FUNCTION(boundary_echo_##name) { return Echo<type>(args, kEcho_##name); }

BOUNDARY_ECHO(bool, bool)
BOUNDARY_ECHO(int4, std::int32_t)
BOUNDARY_ECHO(int8, std::int64_t)
BOUNDARY_ECHO(float8, double)
BOUNDARY_ECHO(timestamptz, pg::Timestamp)
BOUNDARY_ECHO(uuid, pg::Uuid)
BOUNDARY_ECHO(text, std::string)
BOUNDARY_ECHO(uuids, std::vector<pg::Uuid>)
BOUNDARY_ECHO(texts, std::vector<std::string>)
BOUNDARY_ECHO(jsonb, pg::Json)
BOUNDARY_ECHO(numeric, pg::Decimal)

// The uuid that a text names, as C++ reads it; null for none.
KVCRM_FUNCTION(boundary_parse_uuid) { return args.Return(pg::Uuid::Parse(args.Get<std::string>(0))); }
KVCRM_FUNCTION(boundary_uuid_text) { return args.Return(args.Get<pg::Uuid>(0).Text()); }
