// Trigger calls and the rows they see.
#pragma once

#include "pg/entry.hpp"

extern "C" {
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
}

namespace kvcrm::pg {

// A row as arrays of values, read and written by attribute number; values are those of `descriptor`.
class Row {
 public:
  Row(HeapTuple tuple, TupleDesc descriptor);

  Value At(AttrNumber attribute) const { return {values_[attribute - 1], nulls_[attribute - 1]}; }
  bool IsNull(AttrNumber attribute) const { return nulls_[attribute - 1]; }
  template <typename T>
  T Get(AttrNumber attribute) const {
    return FromValue<T>(At(attribute));
  }
  void Set(AttrNumber attribute, Value value) {
    values_[attribute - 1] = value.datum;
    nulls_[attribute - 1] = value.is_null;
    changed_ = true;
  }
  template <typename T>
  void Set(AttrNumber attribute, const T& value) {
    Set(attribute, ToValue(value));
  }
  TupleDesc descriptor() const { return descriptor_; }
  // The tuple with what was Set; the original one if nothing was.
  HeapTuple Tuple() const;

 private:
  HeapTuple tuple_;
  TupleDesc descriptor_;
  Datum* values_;
  bool* nulls_;
  bool changed_ = false;
};

// Whether two values of an attribute are the same, however they are stored (short header, compressed,
// toasted).
bool SameValue(Value a, Value b, TupleDesc descriptor, AttrNumber attribute);

// Attribute numbers of columns by name, looked up once per backend and table; they stay what they are until
// the table gets another shape.
class Columns {
 public:
  Columns(const char* const* names, int count);
  // Throws 42703 when a column is missing.
  const AttrNumber* In(Relation table);

 private:
  const char* const* names_;
  int count_;
  Oid table_ = InvalidOid;
  int shape_ = 0;
  std::vector<AttrNumber> numbers_;
};

class TriggerCall {
 public:
  // Throws 39P01 unless the function was called as a trigger.
  explicit TriggerCall(Args& args);

  bool OnInsert() const { return TRIGGER_FIRED_BY_INSERT(data_->tg_event); }
  bool OnUpdate() const { return TRIGGER_FIRED_BY_UPDATE(data_->tg_event); }
  bool OnDelete() const { return TRIGGER_FIRED_BY_DELETE(data_->tg_event); }
  Relation table() const { return data_->tg_relation; }
  Oid table_owner() const { return data_->tg_relation->rd_rel->relowner; }
  TupleDesc descriptor() const { return RelationGetDescr(data_->tg_relation); }
  const char* Argument(int i) const {
    return i < data_->tg_trigger->tgnargs ? data_->tg_trigger->tgargs[i] : "";
  }

  // The row before and after, of a row trigger.
  Row Old() const { return Row(data_->tg_trigtuple, descriptor()); }
  Row New() const { return Row(OnUpdate() ? data_->tg_newtuple : data_->tg_trigtuple, descriptor()); }

  // What a BEFORE ROW trigger returns: a row, or the one that came in.
  Datum Proceed() const { return PointerGetDatum(OnUpdate() ? data_->tg_newtuple : data_->tg_trigtuple); }
  Datum Proceed(const Row& row) const;
  // What an AFTER trigger returns.
  static Datum Done() { return PointerGetDatum(nullptr); }

  Tuplestorestate* OldTable() const { return data_->tg_oldtable; }
  Tuplestorestate* NewTable() const { return data_->tg_newtable; }

 private:
  Args& args_;
  TriggerData* data_;
};

// Reads a transition table row by row.
class TransitionReader {
 public:
  TransitionReader(Tuplestorestate* table, TupleDesc descriptor);
  ~TransitionReader();
  TransitionReader(const TransitionReader&) = delete;
  TransitionReader& operator=(const TransitionReader&) = delete;

  // Moves to the next row; false after the last. Values live until the next call.
  bool Next();
  Value At(AttrNumber attribute) const {
    return {slot_->tts_values[attribute - 1], slot_->tts_isnull[attribute - 1]};
  }
  template <typename T>
  T Get(AttrNumber attribute) const {
    return FromValue<T>(At(attribute));
  }

 private:
  Tuplestorestate* table_;
  // A row read back from disk is allocated in the current context and freed by the slot when the next one
  // comes.
  MemoryContext context_;
  TupleTableSlot* slot_;
};

}  // namespace kvcrm::pg
