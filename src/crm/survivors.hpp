// Which lead of a set of duplicates the others had best be merged into.
#pragma once

#include <vector>

#include "pg/statement.hpp"

namespace kvcrm::crm {

// The lead of a group that is furthest in the pipeline (won, qualified, open in the board's order, lost
// last); among equals the one with the most fields filled, then the one created first. The stage comes first
// because merging fills blank fields but moves no card.
struct SurvivorProposal {
  pg::Uuid survivor;
  // Why, as texts: "furthest in the pipeline", "most complete", "created first". A criterion in which the
  // lead is ahead of none of the group is left out.
  std::vector<std::string> reasons;
};

// One proposal per group, in the order given. Nothing is asked about rights: the groups are the caller's.
// Ids that are no leads of the organization are passed over; a group without any gives no survivor (nil).
std::vector<SurvivorProposal> ProposeSurvivors(const pg::Uuid& organization,
                                               const std::vector<std::vector<pg::Uuid>>& groups);

}  // namespace kvcrm::crm
