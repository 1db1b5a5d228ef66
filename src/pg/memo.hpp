// An object that a function keeps between its calls of one execution (fn_extra).
#pragma once

#include <new>

#include "pg/entry.hpp"

namespace kvcrm::pg {

// Returns the object kept by this call site, or null before Keep.
template <typename T>
T* Kept(const Args& args) {
  return static_cast<T*>(args.call()->flinfo->fn_extra);
}

// Makes the object and keeps it until the executor frees the call site's memory context.
template <typename T>
T* Keep(const Args& args, T&& object) {
  struct Holder {
    T value;
    MemoryContextCallback callback;
  };
  FmgrInfo* site = args.call()->flinfo;
  void* memory = Call([&] { return MemoryContextAlloc(site->fn_mcxt, sizeof(Holder)); });
  auto* holder = new (memory) Holder{std::forward<T>(object), {}};
  holder->callback.func = [](void* argument) { static_cast<Holder*>(argument)->value.~T(); };
  holder->callback.arg = holder;
  MemoryContextRegisterResetCallback(site->fn_mcxt, &holder->callback);
  site->fn_extra = &holder->value;
  return &holder->value;
}

}  // namespace kvcrm::pg
