// Errors on both sides of the C boundary.
//
// PostgreSQL reports an error by longjmp, which runs no destructor; C++ reports it by an exception, which
// must not cross a C frame. Call() turns the first into pg::Error, Enter() (entry.hpp) turns every exception
// back into ereport. Three kinds travel in between: kvcrm::Error (ours), pg::Error (PostgreSQL's, whole) and
// the standard library's.
#pragma once

#include <csetjmp>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "pg/postgres.hpp"

namespace kvcrm {

// An error of ours: a stable SQLSTATE, a message of one line, what more there is to say, and the way out.
class Error : public std::exception {
 public:
  Error(int sqlstate, std::string message) : sqlstate_(sqlstate), message_(std::move(message)) {}

  Error&& Detail(std::string text) && {
    detail_ = std::move(text);
    return std::move(*this);
  }
  Error&& Hint(std::string text) && {
    hint_ = std::move(text);
    return std::move(*this);
  }
  Error&& Column(std::string name) && {
    column_ = std::move(name);
    return std::move(*this);
  }

  int sqlstate() const { return sqlstate_; }
  const std::string& message() const { return message_; }
  const std::string& detail() const { return detail_; }
  const std::string& hint() const { return hint_; }
  const std::string& column() const { return column_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  int sqlstate_;
  std::string message_, detail_, hint_, column_;
};

namespace pg {

// A PostgreSQL error, owned: every field of its ErrorData survives until it is reported again or dropped.
class Error final : public std::exception {
 public:
  // Takes the error being handled out of PostgreSQL's error stack. Throws bad_alloc when it can't be copied.
  static Error Take();

  // Has every error taken from now on passed through `reword`, which may put other texts into it: for errors
  // of constraints that have a meaning. It runs in the memory context of the error and may itself fail.
  using Rewording = void (*)(ErrorData*);
  static void SetRewording(Rewording reword) { reword_ = reword; }

  Error(Error&& other) noexcept;
  Error(const Error&) = delete;
  Error& operator=(const Error&) = delete;
  ~Error() override;

  int sqlstate() const { return data_->sqlerrcode; }
  const ErrorData& data() const { return *data_; }
  const char* what() const noexcept override { return data_->message; }

  // Gives the error away: it then lives as long as `keeper` and is meant for ReThrowError.
  ErrorData* Release(MemoryContext keeper);

 private:
  Error(MemoryContext context, ErrorData* data) : context_(context), data_(data) {}

  static Rewording reword_;

  MemoryContext context_;
  ErrorData* data_;
};

// Puts back, however a scope is left, where PostgreSQL finds the handler of the next error.
class ErrorHandlers {
 public:
  ErrorHandlers() : stack_(PG_exception_stack), callbacks_(error_context_stack) {}
  ~ErrorHandlers() {
    PG_exception_stack = stack_;
    error_context_stack = callbacks_;
  }
  ErrorHandlers(const ErrorHandlers&) = delete;
  ErrorHandlers& operator=(const ErrorHandlers&) = delete;

 private:
  sigjmp_buf* const stack_;
  ErrorContextCallback* const callbacks_;
};

// Runs C code that may ereport; an error comes out as pg::Error. An exception that `body` itself throws (it
// may call Call again) passes through.
//
// Nothing with a destructor may live inside `body`, since a longjmp would skip it; what it captures by value
// and returns must be trivial. The frame is never inlined: setjmp constrains the registers of its function.
template <typename Body>
__attribute__((noinline)) auto Call(Body&& body) -> std::invoke_result_t<Body> {
  using Result = std::invoke_result_t<Body>;
  static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>);
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Body>>);

  const MemoryContext outer_context = CurrentMemoryContext;
  {
    // A frame that is gone must not stay the one that errors jump to, even when an exception leaves `body`.
    const ErrorHandlers outer;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
      PG_exception_stack = &here;
      return body();
    }
  }
  MemoryContextSwitchTo(outer_context);
  throw Error::Take();
}

// Whether the DETAIL is all of a row, which breaks a constraint.
inline bool DetailShowsRow(const ErrorData& error) {
  return error.table_name != nullptr &&
         (error.sqlerrcode == ERRCODE_CHECK_VIOLATION || error.sqlerrcode == ERRCODE_NOT_NULL_VIOLATION);
}

// Lets a pending cancel or shutdown happen here; for long loops of our own.
inline void CheckForInterrupts() {
  if (INTERRUPTS_PENDING_CONDITION()) Call([] { CHECK_FOR_INTERRUPTS(); });
}

}  // namespace pg
}  // namespace kvcrm
