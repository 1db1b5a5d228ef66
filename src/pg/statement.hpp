// SQL from C++: a session of SPI, and statements that are prepared once per backend.
//
// A statement is a constant at namespace scope: its parameter types are C++ types, its text is fixed and
// schema-qualified. All of them form one registry, which a test prepares as a whole.
//
//   const pg::Statement<pg::Uuid, pg::Uuid> kLockLead{"leads.lock", "SELECT ... FOR NO KEY UPDATE"};
//   pg::Session session(pg::Access::kWrite);
//   pg::Rows rows = kLockLead(lead_id, organization_id);
#pragma once

#include <vector>

#include "pg/types.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace kvcrm::pg {

// kRead: statements see the snapshot of the calling query and may not write (functions that are STABLE).
// kWrite: each statement sees what was committed before it and what this transaction wrote.
enum class Access { kRead, kWrite };

// An SPI connection. It is closed only on the way out without an error: after one, PostgreSQL's own
// transaction cleanup closes it, and closing it here could close an inner one that the error left open.
class Session {
 public:
  explicit Session(Access access);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  static bool ReadOnly() { return innermost_ == nullptr || innermost_->access_ == Access::kRead; }

 private:
  static Session* innermost_;

  Access access_;
  Session* outer_;
  int exceptions_;
};

// The rows a statement brought, freed with this object or, after an error or once the sub-transaction that
// brought them has ended, by PostgreSQL.
class Rows {
 public:
  Rows(SPITupleTable* table, std::uint64_t processed);
  Rows(Rows&& other) noexcept
      : table_(std::exchange(other.table_, nullptr)),
        processed_(other.processed_),
        transaction_(other.transaction_),
        exceptions_(other.exceptions_) {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows();

  // Rows returned, or rows written by a statement that returns none.
  std::uint64_t size() const { return processed_; }
  bool empty() const { return processed_ == 0; }

  Value At(std::uint64_t row, int column) const {
    Value value;
    value.datum = SPI_getbinval(table_->vals[row], table_->tupdesc, column + 1, &value.is_null);
    return value;
  }
  template <typename T>
  T Get(std::uint64_t row, int column) const {
    return FromValue<T>(At(row, column));
  }
  bool IsNull(std::uint64_t row, int column) const { return At(row, column).is_null; }
  HeapTuple tuple(std::uint64_t row) const { return table_->vals[row]; }
  TupleDesc descriptor() const { return table_->tupdesc; }

 private:
  SPITupleTable* table_;
  std::uint64_t processed_;
  SubTransactionId transaction_;
  int exceptions_;
};

// A statement's rows read a piece at a time, for more rows than memory should hold. It is closed like a
// Session.
class Cursor {
 public:
  explicit Cursor(Portal portal);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  // The next rows, at most `count`; none after the last.
  Rows Fetch(long count);

 private:
  Portal portal_;
  int exceptions_;
};

enum class Plan {
  kGeneric,  // one plan for all parameters: right where the same index always serves
  kGin,      // the same, where that is a GIN index, which has bitmap scans only
  kCustom,   // planned anew each time: for optional filters, whose best index depends on what is given
};

class StatementBase {
 public:
  StatementBase(const char* name, const char* text, Plan plan, const Oid* types, int count);
  StatementBase(const StatementBase&) = delete;
  StatementBase& operator=(const StatementBase&) = delete;

  const char* name() const { return name_; }
  const char* text() const { return text_; }
  const StatementBase* next() const { return next_; }
  static const StatementBase* First() { return first_; }

  // Prepares the statement if this backend has not done so yet. Needs an open session.
  SPIPlanPtr Prepare() const;

 protected:
  Rows Execute(const Value* values, int count) const;
  Rows ExecuteLatest(const Value* values, int count) const;
  Portal Open(const Value* values, int count) const;

 private:
  static const StatementBase* first_;

  const char* name_;
  const char* text_;
  Plan plan_;
  const Oid* types_;
  int count_;
  const StatementBase* next_;
  mutable SPIPlanPtr prepared_ = nullptr;
};

template <typename... Parameters>
class Statement : public StatementBase {
 public:
  Statement(const char* name, const char* text, Plan plan = Plan::kGeneric)
      : StatementBase(name, text, plan, kTypes, sizeof...(Parameters)) {}

  Rows operator()(const Parameters&... parameters) const {
    const Value values[sizeof...(Parameters) + 1] = {ToValue(parameters)..., Value{}};
    return Execute(values, sizeof...(Parameters));
  }

  // Runs with a snapshot taken now, even in a transaction that repeats its reads: for rules that another
  // session may just have changed under a lock this one waited for, and for rows it may have added before.
  Rows Latest(const Parameters&... parameters) const {
    const Value values[sizeof...(Parameters) + 1] = {ToValue(parameters)..., Value{}};
    return ExecuteLatest(values, sizeof...(Parameters));
  }

  // As a cursor: what it returns was there when it was opened. For Plan::kCustom, since it reads much.
  Cursor Open(const Parameters&... parameters) const {
    const Value values[sizeof...(Parameters) + 1] = {ToValue(parameters)..., Value{}};
    return Cursor(StatementBase::Open(values, sizeof...(Parameters)));
  }

 private:
  static constexpr Oid kTypes[sizeof...(Parameters) + 1] = {Type<Parameters>::kOid..., InvalidOid};
};

// A statement whose number of parameters is only known at run time (rows of a bulk INSERT). It is prepared
// once per backend too; types and text are the owner's to keep.
class BulkStatement : public StatementBase {
 public:
  using StatementBase::StatementBase;
  Rows operator()(const std::vector<Value>& values) const {
    return Execute(values.data(), static_cast<int>(values.size()));
  }
  Cursor Open(const std::vector<Value>& values) const {
    return Cursor(StatementBase::Open(values.data(), static_cast<int>(values.size())));
  }
};

// Runs a statement that only run time knows, on tables that are not ours; all others belong to the registry.
// It is planned for this one time, with a snapshot taken now, as Statement::Latest.
Rows ExecuteText(const std::string& text, const Oid* types, const Value* values, int count);
template <typename... Parameters>
Rows ExecuteOnce(const std::string& text, const Parameters&... parameters) {
  const Oid types[sizeof...(Parameters) + 1] = {Type<Parameters>::kOid..., InvalidOid};
  const Value values[sizeof...(Parameters) + 1] = {ToValue(parameters)..., Value{}};
  return ExecuteText(text, types, values, sizeof...(Parameters));
}

// An internal sub-transaction: the one place where a PostgreSQL error may be swallowed. Rolled back unless
// Commit() was called.
class SubTransaction {
 public:
  SubTransaction();
  ~SubTransaction();
  SubTransaction(const SubTransaction&) = delete;
  SubTransaction& operator=(const SubTransaction&) = delete;
  void Commit();

 private:
  MemoryContext context_;
  ResourceOwner owner_;
  bool open_ = true;
};

}  // namespace kvcrm::pg
