// CSV, read by the parser of COPY.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "pg/error.hpp"

extern "C" {
#include "commands/copy.h"
#include "utils/rel.h"
}

namespace kvcrm::pg {

// Reads the records of a text in the database's encoding. It is closed like a Session: after an error
// PostgreSQL cleans up.
class CsvReader {
 public:
  // `csv` must outlive the reader; `separator` is one byte.
  CsvReader(std::string_view csv, char separator);
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // Moves to the next record; false after the last. An empty line is a record of one missing field. Throws
  // 22P04 for what is no CSV: a quote that never ends, line ends of several kinds.
  bool Next();
  // The fields of the record, which live until the next call; missing = empty and not quoted.
  const std::vector<std::optional<std::string_view>>& fields() const { return fields_; }

 private:
  static int Read(void* buffer, int least, int most);
  // Whose text COPY, which passes its source no argument, is just reading.
  static CsvReader* reading_;

  std::string_view rest_;
  Relation table_ = nullptr;
  CopyFromState copy_ = nullptr;
  int exceptions_;
  std::vector<std::optional<std::string_view>> fields_;
};

}  // namespace kvcrm::pg
