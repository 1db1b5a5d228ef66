// What a set-returning function answers, row by row.
//
//   pg::ResultSet result(args);
//   result.Add(lead_id, ok, std::optional<std::string>(message));
//   return result.Done();
#pragma once

#include "pg/entry.hpp"
#include "pg/statement.hpp"

namespace kvcrm::pg {

class ResultSet {
 public:
  // kSingle: the function returns setof a type that is no row, so each row has one value.
  enum class Shape { kRows, kSingle };

  // Throws 0A000 where the caller can't take a set.
  explicit ResultSet(Args& args, Shape shape = Shape::kRows);
  ~ResultSet();
  ResultSet(const ResultSet&) = delete;
  ResultSet& operator=(const ResultSet&) = delete;

  // One value per column of the result.
  template <typename... Values>
  void Add(const Values&... values) {
    const InContext made_here(row_);
    const Value row[] = {ToValue(values)...};
    AddValues(row, sizeof...(Values));
  }
  // The same for values that are made already.
  void AddRow(const std::vector<Value>& values) {
    const InContext made_here(row_);
    AddValues(values.data(), static_cast<int>(values.size()));
  }
  // Every row of a statement, whose columns must be those of the result.
  void AddAll(const Rows& rows);
  void AddTuple(HeapTuple tuple);
  // A row as a composite value.
  void AddComposite(Datum row);

  // What the function returns.
  Datum Done() { return args_.ReturnNull(); }

 private:
  void AddValues(const Value* values, int count);

  Args& args_;
  ReturnSetInfo* result_;
  // Holds the values of a row until the result has its copy.
  MemoryContext row_;
};

}  // namespace kvcrm::pg
