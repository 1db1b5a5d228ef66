// Looking into a unique index the way the index itself does: at what other transactions are just writing,
// too.
#pragma once

#include <optional>
#include <span>

#include "pg/trigger.hpp"

namespace kvcrm::pg {

// The unique index over exactly these columns (attribute numbers) of a table, or InvalidOid.
Oid FindUniqueIndex(Relation table, std::span<const AttrNumber> columns);

// The row that holds a key: one that is committed, or written by this transaction. When there is none but
// another transaction has written one, waits until that transaction ends, and looks again. A row that another
// transaction is about to take away still holds its key: the caller is told so at once.
//
// The caller must hold a lock on the table. The row lies in the current memory context.
std::optional<Row> FindHolder(Relation table, Oid index, std::span<const Datum> key);

}  // namespace kvcrm::pg
