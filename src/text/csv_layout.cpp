#include "text/csv_layout.hpp"

#include <cstddef>

namespace kvcrm::text {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The end of the first line that does not end inside quotes.
std::size_t EndOfRecord(std::string_view csv) {
  bool quoted = false;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    if (csv[i] == '"') quoted = !quoted;
    if (!quoted && (csv[i] == '\n' || csv[i] == '\r')) return i;
  }
  return csv.size();
}

char MostFrequentSeparator(std::string_view header) {
  std::size_t semicolons = 0, tabs = 0, commas = 0;
  bool quoted = false;
  for (const char c : header) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    semicolons += c == ';';
    tabs += c == '\t';
    commas += c == ',';
  }
  if (semicolons > 0 && semicolons >= tabs && semicolons >= commas) return ';';
  if (tabs > 0 && tabs >= commas) return '\t';
  return ',';
}

void DropEmptyLines(std::string_view& csv) {
  while (!csv.empty() && (csv[0] == '\n' || csv[0] == '\r')) csv.remove_prefix(1);
}

}  // namespace

CsvLayout FindCsvLayout(std::string_view csv) {
  if (csv.starts_with(kByteOrderMark)) csv.remove_prefix(kByteOrderMark.size());
  while (!csv.empty() && (csv.back() == '\n' || csv.back() == '\r')) csv.remove_suffix(1);
  DropEmptyLines(csv);
  const std::size_t end = EndOfRecord(csv);
  if (end == 5 && (csv.starts_with("sep=") || csv.starts_with("SEP="))) {
    const char named = csv[4];
    if (named == ';' || named == ',' || named == '\t') {
      csv.remove_prefix(end);
      DropEmptyLines(csv);
      return {named, csv};
    }
  }
  return {MostFrequentSeparator(csv.substr(0, end)), csv};
}

bool HasEndOfCopy(std::string_view csv) {
  const auto ends_line = [&](std::size_t at) {
    return at >= csv.size() || csv[at] == '\n' || csv[at] == '\r';
  };
  for (std::size_t at = csv.find("\\."); at != std::string_view::npos; at = csv.find("\\.", at + 1)) {
    if ((at == 0 || ends_line(at - 1)) && ends_line(at + 2)) return true;
  }
  return false;
}

}  // namespace kvcrm::text
