// Rows on their way into leads, whatever they were written in.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crm/permissions.hpp"

namespace kvcrm::crm {

// The columns of leads that an import may fill; custom_fields is apart.
enum ImportField {
  kImportName,
  kImportEmail,
  kImportPhone,
  kImportCompany,
  kImportPosition,
  kImportInn,
  kImportSource,
  kImportStage,
  kImportAssignee,
  kImportValue,
  kImportCurrency,
  kImportFieldCount
};
inline constexpr std::string_view kImportFieldNames[kImportFieldCount] = {
    "name",   "email",    "phone",       "company",         "position", "inn",
    "source", "stage_id", "assigned_to", "estimated_value", "currency"};

struct ImportRow {
  std::int32_t number = 0;  // as it is answered
  std::array<std::optional<std::string>, kImportFieldCount> fields;
  std::optional<std::string> custom_fields;  // JSON
  std::optional<std::string> error;          // why it can't be a lead, if that is known already
};

// A value as the error of its row shows it, in quotes: as much of it as tells which it is. A text that got
// into the wrong column may be a page long.
std::string ShownValue(std::string_view value);

// Where rows come from, a piece at a time.
class ImportSource {
 public:
  virtual ~ImportSource() = default;
  // The next rows, at most `most`; none after the last.
  virtual std::vector<ImportRow> Next(std::size_t most) = 0;
};

// The rows of a JSON array. Throws 22023 when it is none.
std::unique_ptr<ImportSource> ReadJsonRows(pg::Json rows);

// The records of CSV with a header. `mapping` is the one of import_leads_csv. Needs a lock on leads. Throws
// 22023 for a header that nothing is known by, a mapping of what isn't there or to what isn't there, and for
// what is no CSV, as it comes to it. `csv` must outlive the source.
std::unique_ptr<ImportSource> ReadCsvRows(std::string_view csv, const std::optional<pg::Json>& mapping,
                                          const pg::Uuid& organization);

}  // namespace kvcrm::crm
