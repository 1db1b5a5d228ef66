// Changes of relations, as every backend hears of them.
#pragma once

#include <cstdint>

#include "pg/error.hpp"

namespace kvcrm::pg {

// Rises whenever this backend learns that some relation was changed or invalidated. Any relation: a shard of
// a table has an oid of its own, and looking again costs little.
std::uint64_t RelationChanges();

// Makes it rise in every backend once the transaction commits, and in this one at once.
void InvalidateRelation(Oid relation);

}  // namespace kvcrm::pg
