#include "pg/csv.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "access/table.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
}

namespace kvcrm::pg {

CsvReader* CsvReader::reading_ = nullptr;

CsvReader::CsvReader(std::string_view csv, char separator)
    : rest_(csv), exceptions_(std::uncaught_exceptions()) {
  const char delimiter[] = {separator, '\0'};
  Call([&] {
    // COPY wants a table, whose columns it would fill; the raw fields that are asked for have none.
    table_ = table_open(get_relname_relid("leads", get_namespace_oid("kvcrm", false)), AccessShareLock);
    const auto option = [](const char* name, const char* value) {
      return makeDefElem(pstrdup(name), reinterpret_cast<Node*>(makeString(pstrdup(value))), -1);
    };
    List* options = list_make3(option("format", "csv"), option("delimiter", delimiter),
                               option("encoding", GetDatabaseEncodingName()));
    copy_ = BeginCopyFrom(nullptr, table_, nullptr, nullptr, false, &CsvReader::Read, NIL, options);
  });
}

CsvReader::~CsvReader() {
  if (std::uncaught_exceptions() != exceptions_) return;
  EndCopyFrom(copy_);
  table_close(table_, NoLock);
}

bool CsvReader::Next() {
  char** values = nullptr;
  int count = 0;
  reading_ = this;
  const bool found = Call([&] { return NextCopyFromRawFields(copy_, &values, &count); });
  fields_.clear();
  if (!found) return false;
  for (int i = 0; i < count; ++i) {
    if (values[i] == nullptr)
      fields_.emplace_back();
    else
      fields_.emplace_back(values[i]);
  }
  return true;
}

int CsvReader::Read(void* buffer, int, int most) {
  const std::size_t size = std::min(reading_->rest_.size(), static_cast<std::size_t>(most));
  std::memcpy(buffer, reading_->rest_.data(), size);
  reading_->rest_.remove_prefix(size);
  return static_cast<int>(size);
}

}  // namespace kvcrm::pg
