#include "crm/lead_columns.hpp"

namespace kvcrm::crm {

namespace {

constexpr const char* kNames[] = {
#define KVCRM_LEAD_COLUMN(symbol, name) name,
    KVCRM_LEAD_COLUMNS(KVCRM_LEAD_COLUMN)
#undef KVCRM_LEAD_COLUMN
};
pg::Columns columns(kNames, kLeadColumnCount);

}  // namespace

const AttrNumber* ColumnsOfLeads(Relation leads) { return columns.In(leads); }

int LeadColumnNamed(std::string_view name) {
  for (int column = 0; column < kLeadColumnCount; ++column) {
    if (name == kNames[column]) return column;
  }
  return -1;
}

}  // namespace kvcrm::crm
