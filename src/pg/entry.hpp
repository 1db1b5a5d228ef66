// The guard through which SQL enters C++.
//
//   KVCRM_FUNCTION(qualify_lead) { ... args.Get<pg::Uuid>(0) ...; return args.Return(value); }
//
// defines the C symbol, catches whatever the body throws, leaves the catch block and only then reports.
#pragma once

#include "pg/types.hpp"

namespace kvcrm::pg {

// The arguments of one call from SQL, and the way back for its result.
class Args {
 public:
  explicit Args(FunctionCallInfo call) : call_(call), context_(CurrentMemoryContext) {}

  FunctionCallInfo call() const { return call_; }
  // The caller's memory context: what is returned must live here.
  MemoryContext context() const { return context_; }

  bool IsNull(int i) const { return call_->args[i].isnull; }

  // Throws 22004 for a null unless T is optional.
  template <typename T>
  T Get(int i) const {
    return FromValue<T>({call_->args[i].value, call_->args[i].isnull});
  }

  // Like Get, but a null is the caller's mistake: 22023 naming the argument.
  template <typename T>
  T Require(int i, const char* name) const {
    if (IsNull(i)) RaiseMissing(name);
    return Get<T>(i);
  }

  // Makes a result in the caller's context; nullopt becomes null.
  template <typename T>
  Datum Return(const T& value) {
    const MemoryContext current = MemoryContextSwitchTo(context_);
    Value result = ToValue(value);
    // What is only passed on may lie in a session that is about to close.
    if constexpr (IsOpaque<T>::value) result.datum = Copy(result);
    MemoryContextSwitchTo(current);
    call_->isnull = result.is_null;
    return result.datum;
  }
  Datum ReturnNull() {
    call_->isnull = true;
    return static_cast<Datum>(0);
  }
  // Copies a composite (a whole row) into the caller's context.
  Datum ReturnRow(Datum row);

  [[noreturn]] static void RaiseMissing(const char* name);

 private:
  // A copy of a value of variable length in the current context.
  static Datum Copy(Value value);

  FunctionCallInfo call_;
  MemoryContext context_;
};

using Body = Datum (*)(Args&);

Datum Enter(FunctionCallInfo call, Body body);
Datum EnterUnchecked(FunctionCallInfo call, Body body);

// Names what Enter calls before every body: it throws when the SQL of this database isn't what the module was
// made for.
void SetEntryCheck(void (*check)());

}  // namespace kvcrm::pg

#define KVCRM_DEFINE_FUNCTION(name, enter)                                                   \
  static Datum name##_body(kvcrm::pg::Args& args);                                           \
  extern "C" {                                                                               \
  PG_FUNCTION_INFO_V1(name);                                                                 \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS) { return kvcrm::pg::enter(fcinfo, name##_body); } \
  }                                                                                          \
  static Datum name##_body([[maybe_unused]] kvcrm::pg::Args& args)

#define KVCRM_FUNCTION(name) KVCRM_DEFINE_FUNCTION(name, Enter)

// A function that does right with the SQL of every version, older or newer than the module: what defaults,
// indexes, event triggers and checks of an installation call while an update waits.
#define KVCRM_TIMELESS_FUNCTION(name) KVCRM_DEFINE_FUNCTION(name, EnterUnchecked)
