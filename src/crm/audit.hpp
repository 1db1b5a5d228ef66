// The audit log, for functions that write several tables in one go.
#pragma once

#include <string>
#include <vector>

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

  // The entry of this row shall have this action, and these changes besides those of its columns. It is
  // written even when no column changed.
  void Tell(std::string_view entity, const pg::Uuid& organization, const pg::Uuid& id,
            std::string_view action, pg::Json changes);

  void Write();
  static LogScope* Innermost() { return innermost_; }
  BulkInsert::Batch& batch() { return batch_; }

  struct Told {
    std::string entity, action;
    pg::Uuid organization, id;
    pg::Json changes;
    bool written = false;
  };
  // What was asked for by Tell and is not written yet, or null.
  Told* Find(std::string_view entity, const pg::Uuid& id);

 private:
  static LogScope* innermost_;
  LogScope* outer_;
  BulkInsert::Batch batch_;
  std::vector<Told> told_;
};

}  // namespace kvcrm::crm
