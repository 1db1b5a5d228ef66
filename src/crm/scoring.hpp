// Scoring: the sum of the points of those rules whose condition a lead meets.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "crm/conditions.hpp"

namespace kvcrm::crm {

struct ScoringRule {
  pg::Uuid id;
  Condition condition;
  std::int32_t points = 0;
};

struct Scoring {
  // Whether the organization has or once had rules. One that never did keeps the scores that others give.
  bool in_use = false;
  bool counts_activities = false;
  bool depends_on_time = false;
  std::vector<ScoringRule> rules;
};

// The rules of an organization, kept by this backend until somebody changes them (see Remembered). For
// whoever holds the lock of a writer on leads.
std::shared_ptr<const Scoring> ScoringOf(const pg::Uuid& organization);

std::int32_t ScoreOf(const Scoring& scoring, const LeadFacts& lead);

// What the activities of a lead come to, now.
ActivityFacts ReadActivityFacts(const pg::Uuid& organization, const pg::Uuid& lead);

// Tells of leads whose score is not that of the rules, as the running query sees both. Of none while scores
// are stale or depend on time.
void FindWrongScores(const pg::Uuid& organization, const std::function<void(const pg::Uuid&)>& wrong);

// Marks statements that write scores just computed.
class ScoresGiven {
 public:
  ScoresGiven() { ++depth_; }
  ~ScoresGiven() { --depth_; }
  ScoresGiven(const ScoresGiven&) = delete;
  ScoresGiven& operator=(const ScoresGiven&) = delete;
  static bool Active() { return depth_ > 0; }

 private:
  static int depth_;
};

}  // namespace kvcrm::crm
