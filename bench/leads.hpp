// The data: synthetic leads, loaded through import_leads, and bare copies of the tables they fill.
#pragma once

#include "harness.hpp"

namespace bench {

// Leads first..last as the JSON array that import_leads takes. Each has an e-mail, phone and INN of its own,
// so that each conversion makes a customer.
std::string LeadsAsJson(long first, long last);

// Creates the bare copies (schema bare: same columns, defaults and indexes, no triggers, no foreign keys).
void CreateBareCopies(Connection& connection);

// Loads `scale` leads into the organization and, row for row, into the bare copies. Reports import_vs_copy.
void LoadLeads(const Setting& setting);

// `count` random leads that are converted neither in kvcrm nor in the copies, never the same twice.
std::vector<std::string> TakeLeads(const Setting& setting, long count);

}  // namespace bench
