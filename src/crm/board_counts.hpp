// The counts behind the board; see sql/45-board.sql for why they are kept as changes.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "pg/trigger.hpp"

namespace kvcrm::crm {

// What one statement changed, summed up per column, assignee and currency.
class BoardCounts {
 public:
  explicit BoardCounts(const AttrNumber* columns) : at_(columns) {}

  // A row of leads that is there after the statement, or was before it; rows that aren't live don't count.
  void Add(const pg::TransitionReader& row) { Count(row, 1); }
  void Remove(const pg::TransitionReader& row) { Count(row, -1); }
  // Writes the changes, and sometimes folds what has gathered under the same keys.
  void Write();

 private:
  struct Key {
    pg::Uuid organization, stage, assignee;
    std::string currency;
    auto operator<=>(const Key&) const = default;
  };
  struct Change {
    std::int64_t leads = 0;
    Datum value = 0;  // numeric; 0 = none yet
  };

  void Count(const pg::TransitionReader& row, int sign);

  const AttrNumber* at_;
  // Sums live here, out of reach of the caller's scratch memory.
  MemoryContext context_ = CurrentMemoryContext;
  std::map<Key, Change> changes_;
};

}  // namespace kvcrm::crm
