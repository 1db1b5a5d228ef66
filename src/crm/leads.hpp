// Leads as the functions find, lock and authorise them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "crm/permissions.hpp"

namespace kvcrm::crm {

// One lead, locked or only read, with the caller in its organization.
struct Lead {
  Caller caller;
  pg::Uuid id;
  pg::Uuid stage;
  std::optional<pg::Uuid> assignee;
  std::int32_t version = 0;
  std::string board_rank;
  bool converted = false, deleted = false;
  std::optional<pg::Uuid> customer;
  std::optional<pg::Uuid> merged_into;

  std::string name;
  // What identifies the person and the firm, normalised.
  std::optional<std::string> company, inn, email, phone;

  bool IsLive() const { return !converted && !deleted && !merged_into; }
};

// Whether the caller's read scope covers a lead assigned to `assignee`.
bool SeesLead(const Caller& caller, const std::optional<pg::Uuid>& assignee);
// Whether the caller's update scope does.
bool MayUpdateLead(const Caller& caller, const std::optional<pg::Uuid>& assignee);

enum class Lock {
  kNone,
  kReference,  // as a foreign key: the lead is neither merged away nor removed meanwhile
  kRow,
  kRemoval,  // waits for everybody who refers to the lead, and makes them wait
};

// What the id of a lead that was merged away stands for: the survivor at the end of the chain, or itself.
enum class Merged { kFollow, kStay };

// Finds a lead that the caller sees: in the given organization, else in the current one, else in the only one
// where it exists and is visible. Throws PT404 when there is none, 22023 when there are several. The lead's
// own id is the one to go on with: of a lead that was merged away the survivor is found, whoever sees that.
Lead FindLead(const pg::Uuid& id, const std::optional<pg::Uuid>& organization, Lock lock,
              Merged merged = Merged::kFollow);

// What each of many ids stands for, see Merged; ids of no lead, or of leads in several of the organizations
// that FindLead would look in, are left out. Nothing is locked, nothing said about rights.
std::map<pg::Uuid, pg::Uuid> StandsFor(const std::vector<pg::Uuid>& ids,
                                       const std::optional<pg::Uuid>& organization);

// Throws 42501 unless the caller may update the lead.
void RequireUpdate(const Lead& lead);
// Throws 23514 when the lead is merged away, naming the survivor if the caller sees it.
void RequireNotMerged(const Lead& lead);
// Throws 23514 when the lead is deleted or merged away.
void RequireNotGone(const Lead& lead);

// What the functions of the same names do to one lead, authorisation included, for one lead or many. They
// need an open session and return the lead's whole row.
pg::Rows AssignLead(const pg::Uuid& id, const std::optional<pg::Uuid>& assignee,
                    const std::optional<pg::Uuid>& organization);
pg::Rows DeleteLead(const pg::Uuid& id, const std::optional<pg::Uuid>& organization);

struct Move {
  pg::Uuid stage;
  std::optional<pg::Uuid> before;  // another card of the stage; none: to the end
  std::optional<std::string> lost_reason;
  std::optional<std::int32_t> expected_version;
};
pg::Rows MoveLead(const pg::Uuid& id, const Move& move, const std::optional<pg::Uuid>& organization);

}  // namespace kvcrm::crm
