#include "crm/bulk_insert.hpp"

namespace kvcrm::crm {

BulkInsert::BulkInsert(const char* name, const char* head, std::vector<Oid> types, const char* tail)
    : types_(std::move(types)) {
  for (std::size_t i = 0; i < kSizes.front(); ++i) {
    repeated_types_.insert(repeated_types_.end(), types_.begin(), types_.end());
  }
  for (std::size_t s = 0; s < kSizes.size(); ++s) {
    names_[s] = std::string(name) + "_" + std::to_string(kSizes[s]);
    texts_[s] = std::string(head) + " VALUES ";
    std::size_t parameter = 0;
    for (std::size_t row = 0; row < kSizes[s]; ++row) {
      texts_[s] += row == 0 ? "(" : ", (";
      for (std::size_t column = 0; column < types_.size(); ++column) {
        if (column > 0) texts_[s] += ", ";
        texts_[s] += "$" + std::to_string(++parameter);
      }
      texts_[s] += ")";
    }
    texts_[s] += tail;
    statements_[s] = std::make_unique<pg::BulkStatement>(names_[s].c_str(), texts_[s].c_str(),
                                                         pg::Plan::kGeneric, repeated_types_.data(),
                                                         static_cast<int>(kSizes[s] * types_.size()));
  }
}

BulkInsert::Batch::Batch(const BulkInsert& insert)
    : insert_(insert), context_(pg::NewContext("kvcrm batch")) {}

BulkInsert::Batch::~Batch() { MemoryContextDelete(context_); }

void BulkInsert::Batch::Add(std::initializer_list<pg::Value> row) {
  values_.insert(values_.end(), row.begin(), row.end());
  if (values_.size() == kSizes.front() * insert_.types_.size()) Flush();
}

void BulkInsert::Batch::Flush() {
  std::size_t done = 0;
  for (std::size_t s = 0; s < kSizes.size(); ++s) {
    const std::size_t width = kSizes[s] * insert_.types_.size();
    for (; values_.size() - done >= width; done += width) {
      const auto first = values_.begin() + static_cast<std::ptrdiff_t>(done);
      (*insert_.statements_[s])(std::vector<pg::Value>(first, first + static_cast<std::ptrdiff_t>(width)));
    }
  }
  values_.clear();
  MemoryContextReset(context_);
}

}  // namespace kvcrm::crm
