// INSERT … VALUES of many rows in few statements.
//
// Rows are collected and written in batches of a few fixed sizes, each a statement of the registry. It is
// VALUES, not INSERT … SELECT from an array or a transition table, because only VALUES can be routed to a
// shard.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "pg/statement.hpp"

namespace kvcrm::crm {

class BulkInsert {
 public:
  // `head` is "INSERT INTO table (columns)"; `types` are those of the columns' values; `tail` is what follows
  // them, like ON CONFLICT.
  BulkInsert(const char* name, const char* head, std::vector<Oid> types, const char* tail = "");

  // Collects rows for this insert; whatever is left is written by Flush. Values that the batch keeps are made
  // in its own memory context, which is emptied whenever rows have been written: a statement may touch a
  // million rows.
  class Batch {
   public:
    explicit Batch(const BulkInsert& insert);
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    template <typename T>
    pg::Value Make(const T& value) {
      const pg::InContext in(context_);
      return pg::ToValue(value);
    }
    MemoryContext context() const { return context_; }
    // The values must be made by this batch, by value, or outlive it.
    void Add(std::initializer_list<pg::Value> row);
    void Flush();

   private:
    const BulkInsert& insert_;
    MemoryContext context_;
    std::vector<pg::Value> values_;
  };

 private:
  static constexpr std::array<std::size_t, 6> kSizes = {64, 16, 4, 3, 2, 1};

  std::vector<Oid> types_;
  std::vector<Oid> repeated_types_;
  std::array<std::string, kSizes.size()> names_, texts_;
  std::array<std::unique_ptr<pg::BulkStatement>, kSizes.size()> statements_;
};

}  // namespace kvcrm::crm
