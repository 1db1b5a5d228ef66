// Which transactions have ended.
#pragma once

#include <string>

namespace kvcrm::pg {

// A transaction id, as text for a cast to xid8: what transactions with lower ids wrote in this database is
// committed and seen by the active snapshot, or will never be. Unlike pg_snapshot_xmin it doesn't wait for
// the transactions of other databases, which can't write here.
std::string Horizon();

}  // namespace kvcrm::pg
