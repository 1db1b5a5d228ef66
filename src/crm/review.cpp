// Reviewing duplicates: dismissing a pair, and grouping open pairs into sets to merge.
//
// A set grows pair by pair, the likeliest first. Leads that hang together are not yet one set: A like B and B
// like C say little when C contradicts A. So all leads of a set are compared with each other, also those that
// are no recorded pair, and two sets become one while the average weight between their leads is that of a
// likely pair and none of these pairs was dismissed or has evidence against it (average-link clustering).
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "crm/errors.hpp"
#include "crm/fingerprints.hpp"
#include "crm/leads.hpp"
#include "crm/lists.hpp"
#include "crm/match_explanation.hpp"
#include "crm/matcher.hpp"
#include "crm/rows.hpp"
#include "crm/survivors.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;

namespace {

using Ids = std::vector<pg::Uuid>;

constexpr long kRowsPerFetch = 1000;
// No set is larger; it would take a person for whom everything looks alike.
constexpr std::size_t kMostTogether = 100;
// One overwhelming pair must not outweigh several doubtful ones. Bits.
constexpr double kMostWeight = 12;
constexpr std::size_t kGroupsPerProposal = 1000;

const pg::Statement<pg::Uuid, Ids> kValues{
    "review.values",
    "SELECT id, match_values FROM kvcrm.lead_fingerprints WHERE organization_id = $1 AND id = ANY ($2)"};

#define PAIR_COLUMNS "SELECT p.lead_id, p.other_lead_id, p.probability FROM "
#define LIVE(lead) \
  lead ".deleted_at IS NULL AND " lead ".merged_into_id IS NULL AND " lead ".converted_at IS NULL"
#define JOIN_LEAD(lead, column) \
  " JOIN kvcrm.leads " lead " ON " lead ".id = p." column " AND " lead ".organization_id = $1 AND " LIVE(lead)

const pg::Statement<pg::Uuid> kOpenPairs{
    "review.open_pairs",
    PAIR_COLUMNS "kvcrm.duplicate_pairs p" JOIN_LEAD("a", "lead_id") JOIN_LEAD("b", "other_lead_id")
    " WHERE p.organization_id = $1 AND p.status = 'open' ORDER BY p.probability DESC, p.lead_id, "
    "p.other_lead_id",
    pg::Plan::kCustom};

// From the members' leads, which are few.
const pg::Statement<pg::Uuid, Ids> kOpenPairsOf{
    "review.open_pairs_of",
    PAIR_COLUMNS "kvcrm.leads a JOIN kvcrm.duplicate_pairs p ON p.organization_id = $1 AND p.lead_id = a.id"
    " AND p.status = 'open'" JOIN_LEAD("b", "other_lead_id")
    " WHERE a.organization_id = $1 AND a.assigned_to = ANY ($2) AND b.assigned_to = ANY ($2) AND " LIVE("a")
    " ORDER BY p.probability DESC, p.lead_id, p.other_lead_id",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid, Ids> kDismissedAmong{
    "review.dismissed_among",
    "SELECT lead_id, other_lead_id FROM kvcrm.duplicate_pairs WHERE organization_id = $1"
    " AND lead_id = ANY ($2) AND other_lead_id = ANY ($2) AND status = 'dismissed'"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, double, pg::Json, std::optional<pg::Uuid>> kDismiss{
    "review.dismiss",
    "INSERT INTO kvcrm.duplicate_pairs AS p (organization_id, lead_id, other_lead_id, probability, "
    "explanation,"
    "   status, decided_by, decided_at) VALUES ($1, $2, $3, $4, $5, 'dismissed', $6, now())"
    " ON CONFLICT (organization_id, lead_id, other_lead_id) DO UPDATE SET status = 'dismissed',"
    "   decided_by = excluded.decided_by, decided_at = excluded.decided_at, updated_at = now()"
    " WHERE p.status = 'open' RETURNING p"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kPair{
    "review.pair",
    "SELECT p, p.status FROM kvcrm.duplicate_pairs p WHERE organization_id = $1 AND lead_id = $2"
    " AND other_lead_id = $3"};

// The stored forms of some leads, compared with each other.
class Comparer {
 public:
  Comparer(const pg::Uuid& organization, const Ids& leads)
      : organization_(organization), model_(crm::MatcherOf(organization)) {
    const pg::Rows rows = kValues(organization, leads);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      values_.emplace(rows.Get<pg::Uuid>(i, 0), rows.Get<std::string>(i, 1));
  }

  // The one with the smaller id first, as scans do it.
  match::Comparison Compare(const pg::Uuid& a, const pg::Uuid& b) {
    return match::Compare(match::Record(values_[a]), match::Record(values_[b]), FrequenciesOf(a), model_);
  }
  const match::Model& model() const { return model_; }

 private:
  const match::Frequencies& FrequenciesOf(const pg::Uuid& lead) {
    const auto found = frequencies_.find(lead);
    if (found != frequencies_.end()) return found->second;
    const match::ValueHashes hashes =
        match::HashValues(match::Record(values_[lead]), crm::BytesOf(organization_));
    return frequencies_[lead] = crm::FrequenciesOf(organization_, hashes);
  }

  const pg::Uuid organization_;
  const match::Model model_;
  std::map<pg::Uuid, std::string> values_;
  std::map<pg::Uuid, match::Frequencies> frequencies_;
};

struct OpenPair {
  pg::Uuid lead, other;
  double probability;
};

struct Cluster {
  Ids leads;  // sorted
  double probability;
};

double FiniteWeightOf(double probability) {
  constexpr double kLeast = 1e-9;
  return match::WeightOf(std::clamp(probability, kLeast, 1 - kLeast));
}

// Leads that hang together by open pairs, at most kMostTogether of them: the likeliest pairs join first.
class Components {
 public:
  void Join(const pg::Uuid& lead, const pg::Uuid& other) {
    const std::size_t a = RootOf(NumberOf(lead)), b = RootOf(NumberOf(other));
    if (a == b || size_[a] + size_[b] > kMostTogether) return;
    parent_[b] = a;
    size_[a] += size_[b];
  }
  std::size_t Of(const pg::Uuid& lead) { return RootOf(NumberOf(lead)); }
  const std::vector<pg::Uuid>& leads() const { return leads_; }

 private:
  std::size_t NumberOf(const pg::Uuid& lead) {
    const auto [at, is_new] = numbers_.try_emplace(lead, leads_.size());
    if (is_new) {
      leads_.push_back(lead);
      parent_.push_back(parent_.size());
      size_.push_back(1);
    }
    return at->second;
  }
  std::size_t RootOf(std::size_t number) {
    while (parent_[number] != number) number = parent_[number] = parent_[parent_[number]];
    return number;
  }

  std::map<pg::Uuid, std::size_t> numbers_;
  std::vector<pg::Uuid> leads_;
  std::vector<std::size_t> parent_, size_;
};

// The sets that a component falls into; leads that end up alone are in none.
class Clustering {
 public:
  Clustering(const pg::Uuid& organization, const Ids& leads, const std::vector<OpenPair>& pairs)
      : leads_(leads), size_(leads.size()), links_(size_ * size_) {
    Weigh(organization, pairs);
    Grow();
  }
  std::vector<Cluster> Clusters() const {
    std::vector<Cluster> clusters;
    for (const std::vector<std::size_t>& group : groups_) {
      if (group.size() < 2) continue;
      Cluster cluster{{}, 1};
      for (const std::size_t i : group) {
        cluster.leads.push_back(leads_[i]);
        for (const std::size_t j : group) {
          if (i != j) cluster.probability = std::min(cluster.probability, LinkOf(i, j).probability);
        }
      }
      std::sort(cluster.leads.begin(), cluster.leads.end());
      clusters.push_back(std::move(cluster));
    }
    return clusters;
  }

 private:
  struct Link {
    double probability = -1;  // not known yet
    bool contradicted = false;
  };
  Link& LinkOf(std::size_t i, std::size_t j) { return links_[i * size_ + j]; }
  const Link& LinkOf(std::size_t i, std::size_t j) const { return links_[i * size_ + j]; }
  void Set(std::size_t i, std::size_t j, const Link& link) { LinkOf(i, j) = LinkOf(j, i) = link; }
  std::size_t IndexOf(const pg::Uuid& lead) const {
    return static_cast<std::size_t>(std::lower_bound(leads_.begin(), leads_.end(), lead) - leads_.begin());
  }

  void Weigh(const pg::Uuid& organization, const std::vector<OpenPair>& pairs) {
    for (const OpenPair& pair : pairs)
      Set(IndexOf(pair.lead), IndexOf(pair.other), {pair.probability, false});
    if (pairs.size() == size_ * (size_ - 1) / 2) return;
    Comparer comparer(organization, leads_);
    for (std::size_t i = 0; i < size_; ++i) {
      pg::CheckForInterrupts();
      for (std::size_t j = i + 1; j < size_; ++j) {
        if (LinkOf(i, j).probability >= 0) continue;
        const match::Comparison comparison = comparer.Compare(leads_[i], leads_[j]);
        Set(i, j, {comparison.probability, comparison.weight < comparison.prior});
      }
    }
    const pg::Rows dismissed = kDismissedAmong(organization, leads_);
    for (std::uint64_t row = 0; row < dismissed.size(); ++row) {
      const std::size_t i = IndexOf(dismissed.Get<pg::Uuid>(row, 0)),
                        j = IndexOf(dismissed.Get<pg::Uuid>(row, 1));
      Set(i, j, {LinkOf(i, j).probability, true});
    }
  }

  void Grow() {
    for (std::size_t i = 0; i < size_; ++i) groups_.push_back({i});
    for (;;) {
      pg::CheckForInterrupts();
      double best = FiniteWeightOf(match::kShippedThreshold);
      std::size_t first = 0, second = 0;
      for (std::size_t a = 0; a < groups_.size(); ++a) {
        for (std::size_t b = a + 1; b < groups_.size(); ++b) {
          const std::optional<double> weight = AverageBetween(groups_[a], groups_[b]);
          if (!weight || *weight < best || (*weight == best && second != 0)) continue;
          best = *weight;
          first = a;
          second = b;
        }
      }
      if (second == 0) return;
      groups_[first].insert(groups_[first].end(), groups_[second].begin(), groups_[second].end());
      groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(second));
    }
  }

  // Nothing when a pair speaks against it.
  std::optional<double> AverageBetween(const std::vector<std::size_t>& a,
                                       const std::vector<std::size_t>& b) const {
    double sum = 0;
    for (const std::size_t i : a) {
      for (const std::size_t j : b) {
        if (LinkOf(i, j).contradicted) return std::nullopt;
        sum += std::clamp(FiniteWeightOf(LinkOf(i, j).probability), -kMostWeight, kMostWeight);
      }
    }
    return sum / static_cast<double>(a.size() * b.size());
  }

  const Ids leads_;  // sorted
  const std::size_t size_;
  std::vector<Link> links_;
  std::vector<std::vector<std::size_t>> groups_;
};

std::vector<OpenPair> ReadOpenPairs(const crm::Caller& caller) {
  const crm::ReadScope scope = crm::ReadScopeOf(caller);
  std::vector<OpenPair> pairs;
  pg::Cursor cursor = scope.all ? kOpenPairs.Open(caller.organization)
                                : kOpenPairsOf.Open(caller.organization, scope.members);
  for (;;) {
    const pg::Rows rows = cursor.Fetch(kRowsPerFetch);
    if (rows.empty()) return pairs;
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      pairs.push_back({rows.Get<pg::Uuid>(i, 0), rows.Get<pg::Uuid>(i, 1), rows.Get<double>(i, 2)});
  }
}

std::vector<Cluster> FindClusters(const pg::Uuid& organization, const std::vector<OpenPair>& pairs) {
  Components components;
  for (const OpenPair& pair : pairs) components.Join(pair.lead, pair.other);
  struct Component {
    Ids leads;
    std::vector<OpenPair> pairs;
  };
  std::map<std::size_t, Component> by_root;
  for (const pg::Uuid& lead : components.leads()) by_root[components.Of(lead)].leads.push_back(lead);
  for (const OpenPair& pair : pairs) {
    const std::size_t root = components.Of(pair.lead);
    if (components.Of(pair.other) == root) by_root[root].pairs.push_back(pair);
  }
  std::vector<Cluster> clusters;
  for (auto& [root, component] : by_root) {
    std::sort(component.leads.begin(), component.leads.end());
    for (Cluster& cluster : Clustering(organization, component.leads, component.pairs).Clusters())
      clusters.push_back(std::move(cluster));
  }
  std::sort(clusters.begin(), clusters.end(), [](const Cluster& a, const Cluster& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.leads < b.leads;
  });
  return clusters;
}

}  // namespace

// dismiss_duplicate(lead_id, other_lead_id, organization_id) -> duplicate_pairs. Errors: 22023 for a lead and
// itself; PT404; 42501 without duplicates:review, unless the caller may change both; 23514 when they are
// merged.
KVCRM_FUNCTION(dismiss_duplicate) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const pg::Uuid other_id = args.Require<pg::Uuid>(1, "other_lead_id");
  if (id == other_id) throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "a lead is no duplicate of itself");
  pg::Session session(pg::Access::kWrite);
  const crm::Lead one = crm::FindLead(id, args.Get<std::optional<pg::Uuid>>(2), crm::Lock::kNone);
  const crm::Caller& caller = one.caller;
  const crm::Lead two = crm::FindLead(other_id, caller.organization, crm::Lock::kNone);
  if (!caller.Can(crm::Permission::kDuplicatesReview) &&
      !(crm::MayUpdateLead(caller, one.assignee) && crm::MayUpdateLead(caller, two.assignee))) {
    crm::RaiseNotAllowed(crm::Permission::kDuplicatesReview);
  }
  const auto refuse = [] {
    throw Error(ERRCODE_CHECK_VIOLATION, "the leads are merged").Hint("undo_merge takes them apart.");
  };
  if (one.id == two.id) refuse();
  const pg::Uuid first = std::min(one.id, two.id), second = std::max(one.id, two.id);
  // In the order in which a merge takes them.
  for (const pg::Uuid& lead : {first, second}) {
    crm::RequireNotMerged(
        crm::FindLead(lead, caller.organization, crm::Lock::kReference, crm::Merged::kStay));
  }
  Comparer comparer(caller.organization, {first, second});
  const match::Comparison comparison = comparer.Compare(first, second);
  const pg::Rows dismissed = kDismiss(caller.organization, first, second, comparison.probability,
                                      crm::ExplanationOf(comparison), caller.user);
  if (!dismissed.empty()) return crm::ReturnFirst(args, dismissed, "pair");
  const pg::Rows decided = kPair.Latest(caller.organization, first, second);
  if (!decided.empty() && decided.Get<std::string>(0, 1) == "merged") refuse();
  return crm::ReturnFirst(args, decided, "pair");
}

// duplicate_clusters(organization_id) -> setof (cluster_number, lead_ids, probability, survivor_id). Errors:
// 22023; 42501 without a permission leads:read_*.
KVCRM_FUNCTION(duplicate_clusters) {
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<std::optional<pg::Uuid>>(0));
  const std::vector<Cluster> clusters = FindClusters(caller.organization, ReadOpenPairs(caller));
  for (std::size_t from = 0; from < clusters.size(); from += kGroupsPerProposal) {
    const std::size_t end = std::min(from + kGroupsPerProposal, clusters.size());
    std::vector<Ids> groups;
    for (std::size_t i = from; i < end; ++i) groups.push_back(clusters[i].leads);
    const std::vector<crm::SurvivorProposal> proposals = crm::ProposeSurvivors(caller.organization, groups);
    for (std::size_t i = from; i < end; ++i) {
      result.Add(static_cast<std::int32_t>(i + 1), clusters[i].leads, clusters[i].probability,
                 proposals[i - from].survivor);
    }
  }
  return result.Done();
}
