// Leads that look like people's: Russian and Latin names, firms with several contacts, namesakes, and one in
// ten a damaged copy of another: typos, initials, nicknames, transliteration, other legal forms, fields left
// out. For duplicates; leads.hpp has plainer ones, each with keys of its own.
#pragma once

#include "harness.hpp"

namespace bench {

// The lead with this number, 1 to `total`, as an object of import_leads, which check_duplicates takes as
// well; always the same for the same arguments.
std::string VariedLead(long number, long total);

// Another damaged copy of that lead, a different one for each `copy`; not among the organization's leads.
std::string DamagedLead(long number, long total, int copy);

// Numbers of organizations (leads.hpp) that subjects share: one of SCALE leads, one of a tenth.
constexpr int kVaried = 20, kVariedTenth = 21;

struct VariedOrganization {
  int number;  // whose members they are (leads.hpp)
  long leads;
  std::string id;
};

// An organization with `total` varied leads, of an earlier run or made now; warnings about duplicates are off
// in it. Ends as the organization's manager, with it as the current one.
VariedOrganization VariedLeadsOf(Connection& connection, int number, long total);

}  // namespace bench
