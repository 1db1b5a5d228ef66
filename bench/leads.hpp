// The data: synthetic leads, loaded through import_leads, and bare copies of the tables they fill.
#pragma once

#include "harness.hpp"

namespace bench {

// The members of each organization; the colleagues share all leads but the rep's.
constexpr int kOwner = 1, kManager = 2, kRep = 3, kFirstColleague = 10, kColleagues = 20;
constexpr long kRepsLeads = 10;

// The user that is this member of the organization with this number: nobody is a member of two.
std::string Member(int number, int member);

// An organization with its members; its id. Number 0 is the one that most subjects measure on.
std::string CreateOrganization(Connection& connection, const std::string& name, int number);

// Imports `total` leads, the same for the same number of them. Each has an e-mail, phone and INN of its own,
// so that each conversion makes a customer. 16 at most bear the name Зябликов, 5 % belong to a company
// Северсталь, 0.7 % to one called Каспийск. Ends as the organization's manager.
void FillOrganization(Connection& connection, const std::string& organization, int number, long total);

// Creates the bare copies (schema bare: same columns, defaults and indexes, no triggers, no foreign keys).
void CreateBareCopies(Connection& connection);

// Loads `scale` such leads into the organization and, row for row, into the bare copies. Reports
// import_vs_copy.
void LoadLeads(const Setting& setting);

// `count` random leads that are converted neither in kvcrm nor in the copies, never the same twice.
std::vector<std::string> TakeLeads(const Setting& setting, long count);

}  // namespace bench
