#include "pg/trigger.hpp"

extern "C" {
#include "access/htup_details.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"
}

namespace kvcrm::pg {

Row::Row(HeapTuple tuple, TupleDesc descriptor) : tuple_(tuple), descriptor_(descriptor) {
  Call([&] {
    values_ = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<std::size_t>(descriptor->natts)));
    nulls_ = static_cast<bool*>(palloc(sizeof(bool) * static_cast<std::size_t>(descriptor->natts)));
    heap_deform_tuple(tuple, descriptor, values_, nulls_);
  });
}

HeapTuple Row::Tuple() const {
  if (!changed_) return tuple_;
  return Call([&] {
    HeapTuple tuple = heap_form_tuple(descriptor_, values_, nulls_);
    // Keeps the identity of the row that is replaced, as heap_modify_tuple does.
    tuple->t_data->t_ctid = tuple_->t_data->t_ctid;
    tuple->t_self = tuple_->t_self;
    tuple->t_tableOid = tuple_->t_tableOid;
    return tuple;
  });
}

bool SameValue(Value a, Value b, TupleDesc descriptor, AttrNumber attribute) {
  if (a.is_null || b.is_null) return a.is_null == b.is_null;
  const Form_pg_attribute form = TupleDescAttr(descriptor, attribute - 1);
  if (form->attbyval) return a.datum == b.datum;
  if (a.datum == b.datum) return true;
  return Call([&] { return datum_image_eq(a.datum, b.datum, form->attbyval, form->attlen); });
}

Columns::Columns(const char* const* names, int count) : names_(names), count_(count) {}

const AttrNumber* Columns::In(Relation table) {
  const Oid oid = RelationGetRelid(table);
  const int shape = RelationGetNumberOfAttributes(table);
  if (oid == table_ && shape == shape_) return numbers_.data();
  std::vector<AttrNumber> numbers;
  for (int i = 0; i < count_; ++i) {
    const AttrNumber number = Call([&] { return get_attnum(oid, names_[i]); });
    if (number == InvalidAttrNumber) {
      throw kvcrm::Error(ERRCODE_UNDEFINED_COLUMN,
                         std::string(RelationGetRelationName(table)) + " has no column " + names_[i]);
    }
    numbers.push_back(number);
  }
  numbers_ = std::move(numbers);
  table_ = oid;
  shape_ = shape;
  return numbers_.data();
}

TriggerCall::TriggerCall(Args& args) : args_(args), data_(nullptr) {
  if (!CALLED_AS_TRIGGER(args.call())) {
    throw kvcrm::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "this function is called by triggers only");
  }
  data_ = reinterpret_cast<TriggerData*>(args.call()->context);
}

Datum TriggerCall::Proceed(const Row& row) const {
  const MemoryContext current = MemoryContextSwitchTo(args_.context());
  HeapTuple tuple = row.Tuple();
  MemoryContextSwitchTo(current);
  return PointerGetDatum(tuple);
}

TransitionReader::TransitionReader(Tuplestorestate* table, TupleDesc descriptor)
    : table_(table), context_(CurrentMemoryContext) {
  slot_ = Call([&] {
    tuplestore_rescan(table);
    return MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
  });
}

TransitionReader::~TransitionReader() { ExecDropSingleTupleTableSlot(slot_); }

bool TransitionReader::Next() {
  const InContext in(context_);
  return Call([&] {
    if (!tuplestore_gettupleslot(table_, true, false, slot_)) return false;
    slot_getallattrs(slot_);
    return true;
  });
}

}  // namespace kvcrm::pg
