#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/csv_layout.hpp"

// What is left of a file is a part of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view csv(reinterpret_cast<const char*>(data), size);
  const kvcrm::text::CsvLayout layout = kvcrm::text::FindCsvLayout(csv);
  if (csv.find(layout.body) == std::string_view::npos) std::abort();
  if (layout.separator != ',' && layout.separator != ';' && layout.separator != '\t') std::abort();
  if (!layout.body.empty() && (layout.body[0] == '\n' || layout.body[0] == '\r')) std::abort();
  (void)kvcrm::text::HasEndOfCopy(csv);
  return 0;
}
