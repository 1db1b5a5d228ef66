// The audit log, for functions that write several tables in one go.
#pragma once

#include "crm/bulk_insert.hpp"

namespace kvcrm::crm {

// While it lives, the log triggers of this backend hand their rows to it instead of writing them one table at
// a time; Write() inserts them together. Rows of a scope that is left by an exception are dropped, as is what
// they tell of.
class LogScope {
 public:
  LogScope();
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  void Write() { batch_.Flush(); }
  static LogScope* Innermost() { return innermost_; }
  BulkInsert::Batch& batch() { return batch_; }

 private:
  static LogScope* innermost_;
  LogScope* outer_;
  BulkInsert::Batch batch_;
};

}  // namespace kvcrm::crm
