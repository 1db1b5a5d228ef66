// Assignment: whose turn it is to get a lead.
//
// A pool is a team or the whole organization. Its row holds how far each member's turns have come, in units
// of 1/weight, and is locked by whoever takes a turn until that transaction ends: two at once get two
// members.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "crm/conditions.hpp"

namespace kvcrm::crm {

// How far the members of a pool have come; the least is 0.
using Turns = std::map<pg::Uuid, double>;

// A rule of the organization: who gets a new lead that nobody was named for.
struct AssignmentRule {
  Condition condition;
  std::optional<pg::Uuid> team, user;  // one of them
};
struct Assignment {
  bool on = false;
  std::vector<AssignmentRule> rules;  // in their order
};
// Kept by this backend until somebody changes rules or settings.
std::shared_ptr<const Assignment> AssignmentOf(const pg::Uuid& organization);

// Locks a pool and reads its turns; `pool` is the team, or the organization.
Turns LockTurns(const pg::Uuid& organization, const pg::Uuid& pool);
void SaveTurns(const pg::Uuid& organization, const pg::Uuid& pool, const Turns& turns);

struct Turn {
  pg::Uuid member;
  double share = 1;  // 1/weight
};
// The member whose turn it is, locked so that they stay active, with their turn counted in `turns`; nobody
// when nobody can take a lead. Not `except`.
std::optional<Turn> NextMember(const pg::Uuid& organization, const std::optional<pg::Uuid>& team,
                               Turns& turns, const std::optional<pg::Uuid>& except);

// Turns that new leads take: chosen while a row is on its way into the table, counted once it is there, since
// an upsert may turn it into an update.
class NewLeadTurns {
 public:
  // The member that the rules name, or whose turn it is, for the lead; nobody when no rule applies.
  std::optional<pg::Uuid> Choose(const Assignment& assignment, const pg::Uuid& organization,
                                 const LeadFacts& lead);
  // Counts the turns of leads that were inserted.
  static void Count(const std::vector<pg::Uuid>& leads);
  // Whether there are any to count.
  static bool Pending();

 private:
  std::map<pg::Uuid, Turns> pools_;
};

}  // namespace kvcrm::crm
