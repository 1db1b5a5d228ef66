// The pipeline of an organization as the rules of leads need it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pg/statement.hpp"

namespace kvcrm::crm {

struct Stage {
  pg::Uuid id;
  bool is_qualified = false;
  std::string outcome;  // open, won, lost
  bool IsOpen() const { return outcome == "open"; }
};

// All stages of one organization, in the board's order: (order_index, id).
class Pipeline {
 public:
  explicit Pipeline(std::vector<Stage> stages,
                    std::optional<std::vector<std::string>> conversion_required = std::nullopt)
      : stages_(std::move(stages)), conversion_required_(std::move(conversion_required)) {}

  const std::vector<Stage>& stages() const { return stages_; }
  // What the organization's settings ask for before a conversion, if they do.
  const std::optional<std::vector<std::string>>& conversion_required() const { return conversion_required_; }
  const Stage* Find(const pg::Uuid& id) const;
  const Stage* FirstOpen() const;
  const Stage* FirstQualified() const;
  // Status of a lead that is not converted; nothing else depends on a stage's name or place.
  std::string_view StatusIn(const Stage& stage) const;

 private:
  std::vector<Stage> stages_;
  std::optional<std::vector<std::string>> conversion_required_;
};

// The pipeline of an organization, kept by this backend until somebody changes it (see Remembered). For
// writers of leads: it stays true while they hold their lock on leads, which whoever changes stages waits
// for.
std::shared_ptr<const Pipeline> PipelineOf(const pg::Uuid& organization);

// While it lives, this backend moves leads whatever lead_stage_transitions say: for administration, which is
// no move of a person's. All other rules hold.
class UnruledMoves {
 public:
  UnruledMoves() { ++depth_; }
  ~UnruledMoves() { --depth_; }
  UnruledMoves(const UnruledMoves&) = delete;
  UnruledMoves& operator=(const UnruledMoves&) = delete;
  static bool Active() { return depth_ > 0; }

 private:
  static int depth_;
};

struct MoveRule {
  bool allowed = true;
  std::vector<std::string> required_fields;
};
// An organization without transitions allows every move.
MoveRule ReadMoveRule(const pg::Uuid& organization, const pg::Uuid& from, const pg::Uuid& to);

}  // namespace kvcrm::crm
