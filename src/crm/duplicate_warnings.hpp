// The policy 'warn': likely duplicates of leads just written are put under review and told.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crm/fingerprints.hpp"

namespace kvcrm::crm {

enum class OnDuplicate { kAllow, kWarn, kBlock };

// nullopt: what the organization's policy says. Throws 22023 for an unknown word.
std::optional<OnDuplicate> ParseOnDuplicate(const std::optional<std::string>& text);

// Marks the statements of one call that chose for itself what becomes of duplicates. Once they have written
// too many leads to be compared, the others aren't either: an import in batches, which bad rows make small,
// is one statement to its caller.
class DuplicateChoice {
 public:
  explicit DuplicateChoice(std::optional<OnDuplicate> choice) : choice_(choice), outer_(innermost_) {
    innermost_ = this;
  }
  ~DuplicateChoice() { innermost_ = outer_; }
  DuplicateChoice(const DuplicateChoice&) = delete;
  DuplicateChoice& operator=(const DuplicateChoice&) = delete;

  static DuplicateChoice* Current() { return innermost_; }
  std::optional<OnDuplicate> choice() const { return choice_; }
  // Of the statements so far, with those of one more.
  std::size_t CountLeads(std::size_t more) { return leads_ += more; }
  bool told_to_scan() const { return told_to_scan_; }
  void TellToScan() { told_to_scan_ = true; }

 private:
  static DuplicateChoice* innermost_;

  std::optional<OnDuplicate> choice_;
  std::size_t leads_ = 0;
  bool told_to_scan_ = false;
  DuplicateChoice* outer_;
};

// What one statement wrote: collected, then looked at when fingerprints are in place.
class DuplicateWarnings {
 public:
  void Add(const LeadKey& lead) {
    organizations_.insert(lead.organization);
    if (++count_ <= kMost) leads_.push_back(lead);
  }
  // Needs an open session.
  void Give();

 private:
  // A statement that writes more leads than this is no form being saved: scan_duplicates() is for it.
  static constexpr std::size_t kMost = 100;

  std::size_t count_ = 0;
  std::vector<LeadKey> leads_;
  std::set<pg::Uuid> organizations_;
};

}  // namespace kvcrm::crm
