#include "pg/result_set.hpp"

extern "C" {
#include "access/htup_details.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
}

namespace kvcrm::pg {

ResultSet::ResultSet(Args& args, Shape shape) : args_(args) {
  Call([&] { InitMaterializedSRF(args.call(), shape == Shape::kSingle ? MAT_SRF_USE_EXPECTED_DESC : 0); });
  result_ = reinterpret_cast<ReturnSetInfo*>(args.call()->resultinfo);
  row_ = NewContext("kvcrm result row");
}

ResultSet::~ResultSet() { MemoryContextDelete(row_); }

void ResultSet::AddValues(const Value* values, int count) {
  if (count != result_->setDesc->natts) {
    throw kvcrm::Error(ERRCODE_DATATYPE_MISMATCH, "the function returns other columns than declared")
        .Hint("ALTER EXTENSION kvcrm UPDATE brings them together.");
  }
  auto* datums = static_cast<Datum*>(Call([&] { return palloc(sizeof(Datum) * static_cast<Size>(count)); }));
  auto* nulls = static_cast<bool*>(Call([&] { return palloc(sizeof(bool) * static_cast<Size>(count)); }));
  for (int i = 0; i < count; ++i) {
    datums[i] = values[i].datum;
    nulls[i] = values[i].is_null;
  }
  Call([&] { tuplestore_putvalues(result_->setResult, result_->setDesc, datums, nulls); });
  MemoryContextReset(row_);
}

void ResultSet::AddAll(const Rows& rows) {
  for (std::uint64_t i = 0; i < rows.size(); ++i) AddTuple(rows.tuple(i));
}

void ResultSet::AddTuple(HeapTuple tuple) {
  Call([&] { tuplestore_puttuple(result_->setResult, tuple); });
}

void ResultSet::AddComposite(Datum row) {
  const InContext made_here(row_);
  Call([&] {
    HeapTupleHeader header = DatumGetHeapTupleHeader(row);
    HeapTupleData tuple;
    tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_tableOid = InvalidOid;
    tuple.t_data = header;
    tuplestore_puttuple(result_->setResult, &tuple);
  });
  MemoryContextReset(row_);
}

}  // namespace kvcrm::pg
