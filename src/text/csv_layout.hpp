// How a CSV file is laid out, as far as its beginning tells; records are for a real parser to read.
#pragma once

#include <string_view>

namespace kvcrm::text {

struct CsvLayout {
  char separator = ',';   // or ';' or a tab
  std::string_view body;  // the file from its header to its last line that says something
};

// Drops a byte order mark, empty lines at both ends (shells cut the last line end in two), and the line
// "sep=;" that spreadsheets write; then takes that separator, or else the one that occurs most often in the
// header outside of quotes (of equals: semicolon, tab, comma).
CsvLayout FindCsvLayout(std::string_view csv);

// Whether the file has a line that is nothing but \., which COPY takes for the end of the data.
bool HasEndOfCopy(std::string_view csv);

}  // namespace kvcrm::text
