#include "pg/error.hpp"

#include <new>

extern "C" {
#include "utils/memutils.h"
}

namespace kvcrm::pg {

namespace {

// The copy lives in a context of its own below TopMemoryContext, so that no rollback frees it under the
// exception that owns it. Null when even that much memory can't be had.
ErrorData* CopyCurrentError(MemoryContext* context, Error::Rewording reword) {
  sigjmp_buf* const outer_stack = PG_exception_stack;
  ErrorContextCallback* const outer_callbacks = error_context_stack;
  const MemoryContext outer_context = CurrentMemoryContext;
  ErrorData* volatile copy = nullptr;
  sigjmp_buf here;
  if (sigsetjmp(here, 0) == 0) {
    PG_exception_stack = &here;
    *context = AllocSetContextCreate(TopMemoryContext, "kvcrm error", ALLOCSET_SMALL_SIZES);
    MemoryContextSwitchTo(*context);
    ErrorData* const data = CopyErrorData();
    if (reword != nullptr) reword(data);
    copy = data;
  } else {
    copy = nullptr;
  }
  PG_exception_stack = outer_stack;
  error_context_stack = outer_callbacks;
  MemoryContextSwitchTo(outer_context);
  FlushErrorState();
  return copy;
}

}  // namespace

Error::Rewording Error::reword_ = nullptr;

Error Error::Take() {
  MemoryContext context = nullptr;
  ErrorData* data = CopyCurrentError(&context, reword_);
  if (data == nullptr) {
    if (context != nullptr) MemoryContextDelete(context);
    throw std::bad_alloc();
  }
  return Error(context, data);
}

Error::Error(Error&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)), data_(std::exchange(other.data_, nullptr)) {}

Error::~Error() {
  if (context_ != nullptr) MemoryContextDelete(context_);
}

ErrorData* Error::Release(MemoryContext keeper) {
  MemoryContextSetParent(std::exchange(context_, nullptr), keeper);
  return std::exchange(data_, nullptr);
}

}  // namespace kvcrm::pg
