// What a backend keeps of an organization, the way PostgreSQL keeps its catalogs.
//
// Whoever changes the rows it comes from locks the writers that go by them out first, and invalidates the
// relation's cache entry (pg::InvalidateRelation), which every backend hears of when the change commits; a
// writer that waited for the lock looks for such messages as soon as it is granted.
#pragma once

#include <map>
#include <memory>

#include "pg/relation_changes.hpp"
#include "pg/types.hpp"

namespace kvcrm::crm {

template <typename T>
class Remembered {
 public:
  // What is known of the organization; `read` finds it out if need be. It must read with a snapshot taken
  // now.
  template <typename Read>
  std::shared_ptr<const T> Of(const pg::Uuid& organization, Read read) {
    const std::uint64_t changes = pg::RelationChanges();
    if (changes != changes_) {
      kept_.clear();
      changes_ = changes;
    }
    if (const auto found = kept_.find(organization); found != kept_.end()) return found->second;
    std::shared_ptr<const T> made = std::make_shared<const T>(read());
    // Not when somebody changed it meanwhile.
    if (pg::RelationChanges() == changes) {
      if (kept_.size() >= kMostOrganizations) kept_.clear();
      kept_[organization] = made;
    }
    return made;
  }

 private:
  static constexpr std::size_t kMostOrganizations = 1000;

  std::map<pg::Uuid, std::shared_ptr<const T>> kept_;
  std::uint64_t changes_ = 0;
};

}  // namespace kvcrm::crm
