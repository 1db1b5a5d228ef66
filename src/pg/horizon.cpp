#include "pg/horizon.hpp"

#include <cstdint>

#include "pg/error.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"
}

namespace kvcrm::pg {

namespace {

// A session that has begun a transaction in another database may have ended it since the snapshot was taken
// and begun one here: hence the id is looked up again. Ids that nobody runs any more, and those of prepared
// transactions, may be of any database.
bool IsElsewhere(TransactionId transaction) {
  const int pid = BackendXidGetPid(transaction);
  if (pid == 0) return false;
  const PGPROC* process = BackendPidGetProc(pid);
  if (process == nullptr) return false;
  const Oid database = process->databaseId;
  return OidIsValid(database) && database != MyDatabaseId && BackendXidGetPid(transaction) == pid;
}

// With the number of times that ids have wrapped around; no id of a snapshot is ahead of the next one.
FullTransactionId Widen(TransactionId transaction) {
  const FullTransactionId next = ReadNextFullTransactionId();
  std::uint32_t epoch = EpochFromFullTransactionId(next);
  if (transaction > XidFromFullTransactionId(next)) --epoch;
  return FullTransactionIdFromEpochAndXid(epoch, transaction);
}

}  // namespace

std::string Horizon() {
  const FullTransactionId horizon = Call([] {
    const Snapshot snapshot = GetActiveSnapshot();
    // On a standby nobody knows which database a running transaction writes.
    if (snapshot->takenDuringRecovery) return Widen(snapshot->xmin);
    TransactionId oldest = snapshot->xmax;
    // The snapshot leaves its own transaction out.
    const TransactionId own = GetTopTransactionIdIfAny();
    if (TransactionIdIsValid(own) && TransactionIdPrecedes(own, oldest)) oldest = own;
    for (std::uint32_t i = 0; i < snapshot->xcnt; ++i) {
      const TransactionId running = snapshot->xip[i];
      if (TransactionIdPrecedes(running, oldest) && !IsElsewhere(running)) oldest = running;
    }
    return Widen(oldest);
  });
  return std::to_string(U64FromFullTransactionId(horizon));
}

}  // namespace kvcrm::pg
