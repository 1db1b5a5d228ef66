#include "pg/unique_index.hpp"

extern "C" {
#include "access/genam.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace kvcrm::pg {

namespace {

constexpr int kMaxColumns = 4;

// Someone else who has written the key and has not ended.
struct Writer {
  TransactionId transaction = InvalidTransactionId;
  uint32 insertion = 0;  // of an INSERT ... ON CONFLICT that has not decided yet
};

IndexScanDesc BeginScan(Relation table, Relation index, Snapshot snapshot, int columns) {
#if PG_VERSION_NUM >= 180000
  return index_beginscan(table, index, snapshot, nullptr, columns, 0);
#else
  return index_beginscan(table, index, snapshot, columns, 0);
#endif
}

// Plain C: an error jumps over it.
HeapTuple Look(Relation table, Oid index_id, const Datum* key, int columns, Writer* writer) {
  Relation index = index_open(index_id, AccessShareLock);
  ScanKeyData keys[kMaxColumns];
  for (int i = 0; i < columns; ++i) {
    const Oid type = index->rd_opcintype[i];
    const Oid equal = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
    ScanKeyEntryInitialize(&keys[i], 0, static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, InvalidOid,
                           index->rd_indcollation[i], get_opcode(equal), key[i]);
  }
  SnapshotData dirty;
  InitDirtySnapshot(dirty);
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  IndexScanDesc scan = BeginScan(table, index, &dirty, columns);
  index_rescan(scan, keys, columns, nullptr, 0);
  HeapTuple holder = nullptr;
  while (holder == nullptr && index_getnext_slot(scan, ForwardScanDirection, slot)) {
    if (!TransactionIdIsValid(dirty.xmin)) {
      holder = ExecCopySlotHeapTuple(slot);
    } else {
      *writer = {dirty.xmin, dirty.speculativeToken};
    }
  }
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(index, AccessShareLock);
  return holder;
}

}  // namespace

Oid FindUniqueIndex(Relation table, std::span<const AttrNumber> columns) {
  const AttrNumber* wanted = columns.data();
  const int count = static_cast<int>(columns.size());
  return Call([&] {
    Oid found = InvalidOid;
    List* indexes = RelationGetIndexList(table);
    ListCell* cell;
    foreach (cell, indexes) {
      Relation index = index_open(lfirst_oid(cell), AccessShareLock);
      const FormData_pg_index& form = *index->rd_index;
      bool matches = form.indisunique && form.indisvalid && form.indnkeyatts == count;
      for (int i = 0; matches && i < count; ++i) matches = form.indkey.values[i] == wanted[i];
      if (matches) found = lfirst_oid(cell);
      index_close(index, AccessShareLock);
      if (matches) break;
    }
    list_free(indexes);
    return found;
  });
}

std::optional<Row> FindHolder(Relation table, Oid index, std::span<const Datum> key) {
  const Datum* values = key.data();
  const int columns = static_cast<int>(key.size());
  if (columns > kMaxColumns) throw kvcrm::Error(ERRCODE_INTERNAL_ERROR, "too many columns in a key");
  for (;;) {
    Writer writer;
    HeapTuple holder = Call([&] { return Look(table, index, values, columns, &writer); });
    if (holder != nullptr) return Row(holder, RelationGetDescr(table));
    if (!TransactionIdIsValid(writer.transaction)) return std::nullopt;
    Call([&] {
      if (writer.insertion != 0) {
        SpeculativeInsertionWait(writer.transaction, writer.insertion);
      } else {
        XactLockTableWait(writer.transaction, nullptr, nullptr, XLTW_None);
      }
    });
  }
}

}  // namespace kvcrm::pg
