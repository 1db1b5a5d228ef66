// Merging of leads that are one, and taking it back.
#pragma once

#include "crm/leads.hpp"
#include "pg/json.hpp"

namespace kvcrm::crm {

// Leads to be merged: as they are given, or locked.
struct Merge {
  Lead survivor;
  std::vector<Lead> duplicates;  // in the order given
  pg::Json choices;              // of fields; an object
};

// What merging did, as the journal keeps it (JSON arrays).
struct MergeResult {
  pg::Uuid id;
  std::string fields = "[]";  // each field: values per lead, what was chosen and where from
  std::string tables = "[]";  // rows moved and left, per table and lead
  std::string stays = "[]", pairs = "[]";
  std::vector<std::string> left;  // lines that name the rows that could not move
};

}  // namespace kvcrm::crm
