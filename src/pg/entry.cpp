#include "pg/entry.hpp"

#include <new>

extern "C" {
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
}

namespace kvcrm::pg {

namespace {

void (*entry_check)() = nullptr;

// What has to be reported once the catch block is left; plain, so that a longjmp over it is harmless.
struct Pending {
  ErrorData* postgres_error = nullptr;
  int sqlstate = ERRCODE_INTERNAL_ERROR;
  char* message = nullptr;
  char* detail = nullptr;
  char* hint = nullptr;
  char* column = nullptr;
  bool out_of_memory = false;
};

// Copies without ever reporting an error itself.
char* CopyText(const std::string& text) {
  if (text.empty()) return nullptr;
  auto* copy = static_cast<char*>(
      MemoryContextAllocExtended(CurrentMemoryContext, text.size() + 1, MCXT_ALLOC_NO_OOM));
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

// In a definer function whoever may read the table is the owner, not the caller.
void HideRow(ErrorData& error) {
  if (DetailShowsRow(error) && InLocalUserIdChange()) error.detail = nullptr;
}

[[noreturn]] void Report(const Pending& pending) {
  if (pending.postgres_error != nullptr) ReThrowError(pending.postgres_error);
  if (pending.out_of_memory) {
    ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
  }
  ereport(ERROR, (errcode(pending.sqlstate),
                  errmsg("%s", pending.message != nullptr ? pending.message : "kvcrm error"),
                  pending.detail != nullptr ? errdetail("%s", pending.detail) : 0,
                  pending.hint != nullptr ? errhint("%s", pending.hint) : 0,
                  pending.column != nullptr ? err_generic_string(PG_DIAG_COLUMN_NAME, pending.column) : 0));
  pg_unreachable();
}

Datum Guard(FunctionCallInfo call, Body body, void (*check)()) {
  Pending pending;
  const MemoryContext context = CurrentMemoryContext;
  try {
    if (check != nullptr) check();
    Args args(call);
    return body(args);
  } catch (Error& error) {
    MemoryContextSwitchTo(context);
    pending.postgres_error = error.Release(context);
    HideRow(*pending.postgres_error);
  } catch (const kvcrm::Error& error) {
    pending.sqlstate = error.sqlstate();
    pending.message = CopyText(error.message());
    pending.detail = CopyText(error.detail());
    pending.hint = CopyText(error.hint());
    pending.column = CopyText(error.column());
  } catch (const std::bad_alloc&) {
    pending.out_of_memory = true;
  } catch (const std::exception& error) {
    pending.message = CopyText(error.what());
  } catch (...) {
    pending.message = CopyText("unknown C++ exception");
  }
  Report(pending);
}

}  // namespace

Datum Args::ReturnRow(Datum row) {
  const MemoryContext current = MemoryContextSwitchTo(context_);
  const Datum copy = Call([&] { return datumCopy(row, false, -1); });
  MemoryContextSwitchTo(current);
  call_->isnull = false;
  return copy;
}

Datum Args::Copy(Value value) {
  if (value.is_null) return value.datum;
  return Call([&] { return datumCopy(value.datum, false, -1); });
}

void Args::RaiseMissing(const char* name) {
  throw kvcrm::Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string(name) + " is required");
}

void SetEntryCheck(void (*check)()) { entry_check = check; }

Datum Enter(FunctionCallInfo call, Body body) { return Guard(call, body, entry_check); }
Datum EnterUnchecked(FunctionCallInfo call, Body body) { return Guard(call, body, nullptr); }

}  // namespace kvcrm::pg
