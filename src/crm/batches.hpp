// Work on many items of which some may fail, at the price of a sub-transaction per batch, not per item.
//
// A batch runs in one sub-transaction; one that fails is halved until the bad item stands alone. The others
// are done, each exactly once.
#pragma once

#include <functional>
#include <string>

#include "pg/statement.hpp"

namespace kvcrm::crm {

struct Failure {
  int sqlstate;
  std::string message;      // with the detail, if there is one
  std::string column = {};  // that the error is about, if it says
};

// Whether an error is about the whole call rather than about an item of it: cancels and shutdowns, lack of
// resources, deadlocks and the like.
bool ConcernsAll(int sqlstate);

// Does items 0 to count - 1 in order, at most `size` at a time. `attempt(first, end)` does those from `first`
// up to `end`, which it excludes; it may be called again for the same items after a failure that undid them,
// so what it keeps outside the database must bear repeating. `refused(item, failure)` is told of each item
// that fails alone.
//
// What concerns more than an item ends the whole: cancels and shutdowns, lack of resources, deadlocks and
// conflicts of serializable transactions, a transaction that may not write.
void InBatches(std::size_t count, std::size_t size,
               const std::function<void(std::size_t first, std::size_t end)>& attempt,
               const std::function<void(std::size_t item, Failure failure)>& refused);

}  // namespace kvcrm::crm
