// Scanning all live leads of an organization for duplicates.
//
// Leads are numbered twice: by the order in which they were read (a record of match::PairFinder), and by
// their place among the sorted ids, in which a pair is written down. Everything is held in plain memory, some
// hundred bytes a lead; what is read and written passes in pieces.
//
// A scan runs beside people's work. Leads that somebody is merging and pairs that somebody is deciding on are
// theirs: it passes over them. It waits only where somebody else is recording the same pair; two scans record
// pairs in the same order, so the later one waits for the first. What it wrote is seen when its transaction
// ends.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "crm/fingerprints.hpp"
#include "crm/match_explanation.hpp"
#include "crm/matcher.hpp"
#include "crm/permissions.hpp"
#include "match/pairs.hpp"
#include "pg/result_set.hpp"

extern "C" {
#include "utils/array.h"
#include "utils/fmgrprotos.h"
}

using namespace kvcrm;

namespace {

using Ids = std::vector<pg::Uuid>;

constexpr long kRowsPerFetch = 1000;
constexpr std::size_t kRowsPerWrite = 500;
constexpr auto kBetweenNotices = std::chrono::seconds(2);

const pg::Statement<pg::Uuid> kPairs{
    "scan.pairs",
    "SELECT lead_id, other_lead_id, status = 'open', probability, jsonb_hash_extended(explanation, 0)"
    " FROM kvcrm.duplicate_pairs WHERE organization_id = $1 ORDER BY lead_id, other_lead_id",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid> kLeads{
    "scan.leads",
    "SELECT id FROM kvcrm.leads WHERE organization_id = $1"
    " AND deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid> kFingerprints{
    "scan.fingerprints",
    "SELECT id, match_values, match_keys FROM kvcrm.lead_fingerprints WHERE organization_id = $1",
    pg::Plan::kCustom};

// A lead that is locked is neither merged away nor removed until the scan has ended. One that somebody is
// merging just now is left to the next scan.
const pg::Statement<pg::Uuid, Ids> kLockLeads{
    "scan.lock_leads",
    "SELECT id FROM kvcrm.leads WHERE organization_id = $1 AND id = ANY ($2)"
    " AND deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL ORDER BY id FOR KEY SHARE "
    "SKIP LOCKED"};

#define NEW_PAIRS " FROM unnest($2, $3, $4, $5) AS n (lead_id, other_lead_id, probability, explanation)"

// A pair that somebody else has written meanwhile is theirs.
const pg::Statement<pg::Uuid, Ids, Ids, std::vector<double>, std::vector<pg::Json>> kInsertPairs{
    "scan.insert_pairs",
    "INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability, explanation)"
    " SELECT $1, n.lead_id, n.other_lead_id, n.probability, n.explanation" NEW_PAIRS
    " ON CONFLICT (organization_id, lead_id, other_lead_id) DO NOTHING"};

const pg::Statement<pg::Uuid, Ids, Ids, std::vector<double>, std::vector<pg::Json>> kUpdatePairs{
    "scan.update_pairs",
    "WITH due AS MATERIALIZED (SELECT p.id, n.probability, n.explanation" NEW_PAIRS
    " JOIN kvcrm.duplicate_pairs p ON p.organization_id = $1 AND p.lead_id = n.lead_id"
    "   AND p.other_lead_id = n.other_lead_id AND p.status = 'open' FOR NO KEY UPDATE OF p SKIP LOCKED)"
    " UPDATE kvcrm.duplicate_pairs p"
    " SET probability = due.probability, explanation = due.explanation, updated_at = now()"
    " FROM due WHERE p.id = due.id AND p.organization_id = $1"};

const pg::Statement<pg::Uuid, Ids, Ids> kDeletePairs{
    "scan.delete_pairs",
    "WITH due AS MATERIALIZED (SELECT p.id FROM unnest($2, $3) AS n (lead_id, other_lead_id)"
    " JOIN kvcrm.duplicate_pairs p ON p.organization_id = $1 AND p.lead_id = n.lead_id"
    "   AND p.other_lead_id = n.other_lead_id AND p.status = 'open' FOR UPDATE OF p SKIP LOCKED)"
    " DELETE FROM kvcrm.duplicate_pairs p USING due WHERE p.id = due.id AND p.organization_id = $1"};

const pg::Statement<pg::Uuid> kCommonValues{
    "scan.common_values",
    "SELECT hash, records FROM kvcrm.match_common_values WHERE organization_id = $1 ORDER BY hash",
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid, std::vector<std::int64_t>, std::vector<std::int64_t>> kPutCommonValues{
    "scan.put_common_values",
    "INSERT INTO kvcrm.match_common_values AS v (organization_id, hash, records)"
    " SELECT $1, n.hash, n.records::int FROM unnest($2, $3) AS n (hash, records)"
    " ON CONFLICT (organization_id, hash) DO UPDATE SET records = excluded.records, updated_at = now()"
    " WHERE v.records <> excluded.records"};

const pg::Statement<pg::Uuid, std::vector<std::int64_t>> kDeleteCommonValues{
    "scan.delete_common_values",
    "WITH due AS MATERIALIZED (SELECT v.id FROM kvcrm.match_common_values v WHERE v.organization_id = $1"
    "   AND v.hash = ANY ($2) FOR UPDATE SKIP LOCKED)"
    " DELETE FROM kvcrm.match_common_values v USING due WHERE v.id = due.id AND v.organization_id = $1"};

// Lets a cancel happen, and tells every few seconds how far the scan is.
class Progress {
 public:
  void Phase(const char* name) { phase_ = name; }
  void operator()(double done, double total) {
    pg::CheckForInterrupts();
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + kBetweenNotices;
    const int percent = total > 0 ? static_cast<int>(100 * std::min(done / total, 1.0)) : 100;
    pg::Call([&] { ereport(NOTICE, (errmsg("scan for duplicates: %s, %d %%", phase_, percent))); });
  }

 private:
  using Clock = std::chrono::steady_clock;
  const char* phase_ = "";
  Clock::time_point next_ = Clock::now() + kBetweenNotices;
};

// The places of a pair's leads among the sorted ids; pairs sort as they do by their leads' ids.
using Place = std::uint32_t;
struct PlacePair {
  Place first, second;
  auto operator<=>(const PlacePair&) const = default;
};
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// A row of duplicate_pairs as it was when the scan began.
struct Recorded {
  pg::Uuid lead, other;
  bool open;
  double probability;
  std::int64_t explanation;  // its hash
};

// Rows for one of the statements that write pairs.
struct Batch {
  Ids leads, others;
  std::vector<double> probabilities;
  std::vector<pg::Json> explanations;
  std::size_t size() const { return leads.size(); }
};

class LeadScan {
 public:
  LeadScan(const pg::Uuid& organization, double least_weight)
      : organization_(organization),
        least_weight_(least_weight),
        model_(crm::MatcherOf(organization)),
        finder_(model_,
                {reinterpret_cast<const char*>(organization.bytes.data()), organization.bytes.size()}) {}

  void Run() {
    // Pairs first: one that is recorded while the scan runs isn't among them, so the scan doesn't undo it.
    ReadPairs();
    ReadLeads();
    ReadFingerprints();
    FindPairs();
    Reconcile();
    // As in a merge: leads before pairs.
    LockLeadsOfNewPairs();
    DeleteVanished();
    WritePairs();
    WriteCommonValues();
  }
  std::int64_t pairs() const { return pairs_; }
  std::int64_t leads() const { return static_cast<std::int64_t>(place_of_.size()); }

 private:
  void ReadPairs() {
    progress_.Phase("reading pairs");
    ForEachRow(kPairs, [&](const pg::Rows& rows, std::uint64_t i) {
      recorded_.push_back({rows.Get<pg::Uuid>(i, 0), rows.Get<pg::Uuid>(i, 1), rows.Get<bool>(i, 2),
                           rows.Get<double>(i, 3), rows.Get<std::int64_t>(i, 4)});
    });
  }

  void ReadLeads() {
    progress_.Phase("reading leads");
    ForEachRow(kLeads,
               [&](const pg::Rows& rows, std::uint64_t i) { ids_.push_back(rows.Get<pg::Uuid>(i, 0)); });
    std::sort(ids_.begin(), ids_.end());
  }

  void ReadFingerprints() {
    progress_.Phase("reading what leads are compared by");
    record_at_.assign(ids_.size(), kNone);
    place_of_.reserve(ids_.size());
    ForEachRow(kFingerprints, [&](const pg::Rows& rows, std::uint64_t i) {
      const Place place = FindPlace(rows.Get<pg::Uuid>(i, 0));
      if (place == kNone) return;
      record_at_[place] = static_cast<std::uint32_t>(place_of_.size());
      place_of_.push_back(place);
      const ArrayType* keys = pg::Call([&] { return DatumGetArrayTypeP(rows.At(i, 2).datum); });
      finder_.Add(pg::ViewText(rows.At(i, 1)), reinterpret_cast<const std::int64_t*>(ARR_DATA_PTR(keys)),
                  static_cast<std::size_t>(ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys))));
      progress_(static_cast<double>(place_of_.size()), static_cast<double>(ids_.size()));
    });
  }

  void FindPairs() {
    progress_.Phase("comparing");
    finder_.Find(
        least_weight_,
        [&](const match::Pair& pair) {
          const Place a = place_of_[pair.first], b = place_of_[pair.second];
          found_.push_back({std::min(a, b), std::max(a, b)});
        },
        [&](double done, double total) { progress_(done, total); });
    std::sort(found_.begin(), found_.end());
  }

  // What becomes of the recorded pairs. An open one that is still likely stays, even if it was found by a key
  // that too many leads share for a scan.
  void Reconcile() {
    progress_.Phase("comparing recorded pairs");
    std::vector<PlacePair> kept;
    for (std::size_t i = 0; i < recorded_.size(); ++i) {
      const Recorded& row = recorded_[i];
      const PlacePair pair{FindPlace(row.lead), FindPlace(row.other)};
      const bool live = IsScanned(pair.first) && IsScanned(pair.second);
      if (live) known_.emplace_back(pair, &row);
      if (row.open && !(live && std::binary_search(found_.begin(), found_.end(), pair))) {
        if (live && Compare(pair).weight >= least_weight_)
          kept.push_back(pair);
        else
          vanished_.push_back(&row);
      }
      progress_(static_cast<double>(i), static_cast<double>(recorded_.size()));
    }
    found_.insert(found_.end(), kept.begin(), kept.end());
    std::sort(found_.begin(), found_.end());
  }

  void DeleteVanished() {
    Batch batch;
    const auto flush = [&] {
      if (batch.size() > 0) kDeletePairs(organization_, batch.leads, batch.others);
      batch = Batch();
    };
    for (const Recorded* row : vanished_) {
      batch.leads.push_back(row->lead);
      batch.others.push_back(row->other);
      if (batch.size() == kRowsPerWrite) flush();
    }
    flush();
  }

  // A new pair refers to leads that somebody may be merging or removing; once locked they stay.
  void LockLeadsOfNewPairs() {
    progress_.Phase("locking leads of new pairs");
    std::vector<bool> wanted(ids_.size(), false);
    auto known = known_.begin();
    for (const PlacePair& pair : found_) {
      if (RecordOf(pair, known) == nullptr) wanted[pair.first] = wanted[pair.second] = true;
    }
    locked_.assign(ids_.size(), false);
    Ids batch;
    const auto flush = [&] {
      if (batch.empty()) return;
      const pg::Rows rows = kLockLeads(organization_, batch);
      for (std::uint64_t i = 0; i < rows.size(); ++i) locked_[FindPlace(rows.Get<pg::Uuid>(i, 0))] = true;
      batch.clear();
    };
    pg::Scratch scratch;
    for (Place place = 0; place < ids_.size(); ++place) {
      if (wanted[place]) batch.push_back(ids_[place]);
      if (batch.size() < kRowsPerWrite) continue;
      flush();
      scratch.Reset();
      progress_(place, static_cast<double>(ids_.size()));
    }
    flush();
  }

  void WritePairs() {
    progress_.Phase("writing pairs");
    Batch inserted, updated;
    pg::Scratch scratch;
    const auto flush = [&] {
      const auto write = [&](const auto& statement, Batch& batch) {
        if (batch.size() > 0)
          statement(organization_, batch.leads, batch.others, batch.probabilities, batch.explanations);
        batch = Batch();
      };
      write(kInsertPairs, inserted);
      write(kUpdatePairs, updated);
      scratch.Reset();
    };
    auto known = known_.begin();
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const PlacePair pair = found_[i];
      const Recorded* row = RecordOf(pair, known);
      progress_(static_cast<double>(i), static_cast<double>(found_.size()));
      const bool gone = row == nullptr && !(locked_[pair.first] && locked_[pair.second]);
      if (gone || (row != nullptr && !row->open)) continue;
      ++pairs_;
      const match::Comparison comparison = Compare(pair);
      const pg::Json explanation = crm::ExplanationOf(comparison);
      const bool is_new = row == nullptr;
      if (!is_new && row->probability == comparison.probability && row->explanation == HashOf(explanation))
        continue;
      Batch& batch = is_new ? inserted : updated;
      batch.leads.push_back(ids_[pair.first]);
      batch.others.push_back(ids_[pair.second]);
      batch.probabilities.push_back(comparison.probability);
      batch.explanations.push_back(explanation);
      if (batch.size() == kRowsPerWrite) flush();
    }
    flush();
  }

  void WriteCommonValues() {
    progress_.Phase("writing common values");
    std::vector<match::CommonValue> values = finder_.CommonValues();
    values.push_back({crm::kAllRecords, static_cast<std::uint32_t>(place_of_.size())});
    std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.hash < b.hash; });
    std::vector<std::int64_t> hashes, records, vanished;
    auto value = values.begin();
    const auto put = [&] {
      hashes.push_back(value->hash);
      records.push_back(value->records);
    };
    ForEachRow(kCommonValues, [&](const pg::Rows& rows, std::uint64_t i) {
      const auto hash = rows.Get<std::int64_t>(i, 0);
      for (; value != values.end() && value->hash < hash; ++value) put();
      if (value == values.end() || value->hash != hash) {
        vanished.push_back(hash);
      } else {
        if (static_cast<std::int64_t>(value->records) != rows.Get<std::int32_t>(i, 1)) put();
        ++value;
      }
    });
    for (; value != values.end(); ++value) put();
    if (!vanished.empty()) kDeleteCommonValues(organization_, vanished);
    if (!hashes.empty()) kPutCommonValues(organization_, hashes, records);
  }

  // Calls row(rows, i) for each row of a statement, whose only parameter is the organization. What it
  // allocates is freed now and then.
  template <typename Statement, typename Row>
  void ForEachRow(const Statement& statement, const Row& row) {
    pg::Cursor cursor = statement.Open(organization_);
    pg::Scratch scratch;
    for (;;) {
      const pg::Rows rows = cursor.Fetch(kRowsPerFetch);
      if (rows.empty()) return;
      for (std::uint64_t i = 0; i < rows.size(); ++i) row(rows, i);
      pg::CheckForInterrupts();
      scratch.Reset();
    }
  }

  Place FindPlace(const pg::Uuid& id) const {
    const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
    return found == ids_.end() || *found != id ? kNone : static_cast<Place>(found - ids_.begin());
  }
  bool IsScanned(Place place) const { return place != kNone && record_at_[place] != kNone; }

  // The row of a pair, if it has one. Pairs are asked for in their order, from begin of known_.
  template <typename Iterator>
  const Recorded* RecordOf(const PlacePair& pair, Iterator& known) const {
    while (known != known_.end() && known->first < pair) ++known;
    return known != known_.end() && known->first == pair ? known->second : nullptr;
  }

  match::Comparison Compare(const PlacePair& pair) const {
    const std::uint32_t a = record_at_[pair.first], b = record_at_[pair.second];
    return match::Compare(match::Record(finder_.NormalizedAt(a)), match::Record(finder_.NormalizedAt(b)),
                          finder_.FrequenciesOf(a), model_);
  }

  static std::int64_t HashOf(pg::Json json) {
    return pg::Call([&] {
      return DatumGetInt64(DirectFunctionCall2(jsonb_hash_extended, json.value, Int64GetDatum(0)));
    });
  }

  const pg::Uuid organization_;
  const double least_weight_;
  const match::Model model_;
  match::PairFinder finder_;
  Progress progress_;

  std::vector<Recorded> recorded_;
  Ids ids_;                               // of live leads, sorted
  std::vector<std::uint32_t> record_at_;  // by place
  std::vector<Place> place_of_;           // by record
  std::vector<PlacePair> found_;          // sorted

  std::vector<std::pair<PlacePair, const Recorded*>> known_;  // the recorded pairs of live leads, sorted
  std::vector<const Recorded*> vanished_;
  std::vector<bool> locked_;  // by place
  std::int64_t pairs_ = 0;
};

// The weight of a probability, in bits. Beyond the greatest one it can't be told from 1.
double FiniteWeightOf(double probability) {
  constexpr double kCertain = 54;
  return std::min(match::WeightOf(probability), kCertain);
}

}  // namespace

// scan_duplicates(min_probability, organization_id) -> (pairs_found, leads_scanned). Compares all live leads
// and brings duplicate_pairs up to date; with it, how common values are. Errors: 22023 unless 0 <
// min_probability <= 1; 42501 without duplicates:review or leads:read_all.
KVCRM_FUNCTION(scan_duplicates) {
  pg::ResultSet result(args);
  const double probability = args.Get<std::optional<double>>(0).value_or(match::kShippedThreshold);
  if (!(probability > 0 && probability <= 1))
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "min_probability must be above 0 and at most 1");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<std::optional<pg::Uuid>>(1));
  caller.Require(crm::Permission::kDuplicatesReview);
  caller.Require(crm::Permission::kLeadsReadAll);
  LeadScan scan(caller.organization, FiniteWeightOf(probability));
  scan.Run();
  result.Add(scan.pairs(), scan.leads());
  return result.Done();
}
