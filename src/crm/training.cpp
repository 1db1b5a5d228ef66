// Learning what agreement and difference weigh in one organization, from what its people decided: leads that
// they merged are duplicates, pairs that they dismissed are not.
#include "match/training.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "crm/fingerprints.hpp"
#include "crm/matcher.hpp"
#include "crm/permissions.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"

using namespace kvcrm;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

constexpr long kRowsPerFetch = 1000;
// The latest decisions of each kind; more would teach little more. Also written in the statements.
#define MOST_LABELS "20000"
// For judging a model by labels that it hasn't seen.
constexpr std::size_t kFolds = 5;
constexpr std::size_t kMostMoves = 20;

// Each merged lead, as it was, beside its survivor before the merge: what the merge filled in would make them
// agree. The survivor first, then the other.
const pg::Statement<pg::Uuid> kMerged{
    "training.merged",
    "SELECT s.j ->> 'name', s.j ->> 'company', s.j ->> 'email', s.j ->> 'phone', s.j ->> 'inn',"
    " d.j ->> 'name', d.j ->> 'company', d.j ->> 'email', d.j ->> 'phone', d.j ->> 'inn'"
    " FROM kvcrm.lead_merges m JOIN kvcrm.leads l ON l.id = m.survivor_id AND l.organization_id = $1"
    " CROSS JOIN LATERAL (SELECT jsonb_build_object('name', l.name, 'company', l.company, 'email', l.email,"
    "   'phone', l.phone, 'inn', l.inn) || coalesce((SELECT jsonb_object_agg(f.j ->> 'field', f.j -> 'old')"
    "     FROM jsonb_array_elements(m.before_image -> 'fields') AS f (j) WHERE f.j ? 'old'), '{}') AS j) s"
    " CROSS JOIN LATERAL jsonb_array_elements(m.before_image -> 'duplicates') AS d (j)"
    " WHERE m.organization_id = $1 AND m.undone_at IS NULL AND d.j ->> 'name' IS NOT NULL"
    " ORDER BY m.created_at DESC, m.id DESC LIMIT " MOST_LABELS,
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid> kDismissed{
    "training.dismissed",
    "SELECT a.match_values, b.match_values FROM kvcrm.duplicate_pairs p"
    " JOIN kvcrm.lead_fingerprints a ON a.id = p.lead_id AND a.organization_id = $1"
    " JOIN kvcrm.lead_fingerprints b ON b.id = p.other_lead_id AND b.organization_id = $1"
    " WHERE p.organization_id = $1 AND p.status = 'dismissed'"
    " ORDER BY p.decided_at DESC, p.id DESC LIMIT " MOST_LABELS,
    pg::Plan::kCustom};

const pg::Statement<pg::Uuid, double, pg::Json, std::int32_t, std::int32_t, pg::Json, OptionalUuid> kPutModel{
    "training.put_model",
    "INSERT INTO kvcrm.match_models AS m (organization_id, prior, weights, duplicates, others, diagnostics,"
    "   trained_by) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id) DO UPDATE"
    " SET version = excluded.version, prior = excluded.prior, weights = excluded.weights,"
    "   duplicates = excluded.duplicates, others = excluded.others, diagnostics = excluded.diagnostics,"
    "   trained_by = excluded.trained_by, trained_at = excluded.trained_at, updated_at = now()"};

const pg::Statement<pg::Uuid> kDeleteModel{"training.delete_model",
                                           "DELETE FROM kvcrm.match_models WHERE organization_id = $1"};

class Labels {
 public:
  explicit Labels(const pg::Uuid& organization) : organization_(organization) {
    ForEachRow(kMerged, [&](const pg::Rows& rows, std::uint64_t i) {
      Add(match::Normalize(crm::TypedFieldsAt(rows, i, 0).View()),
          match::Normalize(crm::TypedFieldsAt(rows, i, 5).View()), true);
    });
    ForEachRow(kDismissed, [&](const pg::Rows& rows, std::uint64_t i) {
      Add(rows.Get<std::string>(i, 0), rows.Get<std::string>(i, 1), false);
    });
  }

  const std::vector<match::Label>& all() const { return labels_; }
  int duplicates() const { return duplicates_; }
  int others() const { return static_cast<int>(labels_.size()) - duplicates_; }

  // All but those of one fold.
  std::vector<match::Label> Without(std::size_t fold) const {
    std::vector<match::Label> labels;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (i % kFolds != fold) labels.push_back(labels_[i]);
    }
    return labels;
  }

 private:
  template <typename Row>
  void ForEachRow(const pg::Statement<pg::Uuid>& statement, const Row& row) {
    pg::Cursor cursor = statement.Open(organization_);
    pg::Scratch scratch;
    for (;;) {
      const pg::Rows rows = cursor.Fetch(kRowsPerFetch);
      if (rows.empty()) return;
      for (std::uint64_t i = 0; i < rows.size(); ++i) {
        pg::CheckForInterrupts();
        row(rows, i);
      }
      scratch.Reset();
    }
  }

  void Add(const std::string& a, const std::string& b, bool duplicate) {
    const match::Record record(a);
    const match::Frequencies frequencies =
        crm::FrequenciesOf(organization_, match::HashValues(record, crm::BytesOf(organization_)));
    const match::Comparison comparison =
        match::Compare(record, match::Record(b), frequencies, match::ShippedModel());
    labels_.push_back(match::LabelOf(comparison, match::ShippedModel(), duplicate));
    duplicates_ += duplicate;
  }

  const pg::Uuid organization_;
  std::vector<match::Label> labels_;
  int duplicates_ = 0;
};

// How well models tell the labels apart at the shipped threshold.
class Quality {
 public:
  void Judge(const match::Label& label, const match::Model& model) {
    double weight = model.prior + label.offset;
    for (const int level : label.levels) weight += model.weights[static_cast<std::size_t>(level)];
    const double probability = match::ProbabilityOf(weight);
    const bool said = probability >= match::kShippedThreshold;
    said_ += said;
    right_ += said && label.duplicate;
    true_ += label.duplicate;
    constexpr double kLeast = 1e-12;
    loss_ -= std::log2(std::max(label.duplicate ? probability : 1 - probability, kLeast));
    ++count_;
  }
  std::string Json() const {
    char text[160];
    std::snprintf(text, sizeof text, R"({"precision": %.4f, "recall": %.4f, "log_loss": %.4f})",
                  said_ == 0 ? 1.0 : right_ / said_, true_ == 0 ? 1.0 : right_ / true_, loss_ / count_);
    return text;
  }

 private:
  double said_ = 0, right_ = 0, true_ = 0, loss_ = 0, count_ = 0;
};

std::string Bits(double weight) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", weight);
  return text;
}

std::string Quoted(std::string_view name) { return '"' + std::string(name) + '"'; }

// {"name": {"exact": 8.5, ...}, ...}
std::string WeightsJson(const match::Model& model) {
  const auto& levels = match::Levels();
  std::vector<std::string_view> fields;
  std::string json = "{";
  for (const match::Level& level : levels) {
    if (std::find(fields.begin(), fields.end(), level.field) != fields.end()) continue;
    json += (fields.empty() ? "" : ", ") + Quoted(level.field) + ": {";
    fields.push_back(level.field);
    bool first = true;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      if (levels[i].field != level.field) continue;
      json += (first ? "" : ", ") + Quoted(levels[i].name) + ": " + Bits(model.weights[i]);
      first = false;
    }
    json += "}";
  }
  return json + "}";
}

// The levels that moved most.
std::string MovesJson(const Labels& labels, const match::Model& before, const match::Model& after) {
  const auto& levels = match::Levels();
  std::vector<int> seen(levels.size(), 0);
  for (const match::Label& label : labels.all()) {
    for (const int level : label.levels) ++seen[static_cast<std::size_t>(level)];
  }
  std::vector<std::size_t> order;
  const auto move = [&](std::size_t i) { return std::abs(after.weights[i] - before.weights[i]); };
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (Bits(before.weights[i]) != Bits(after.weights[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return move(a) > move(b); });
  if (order.size() > kMostMoves) order.resize(kMostMoves);
  std::string json = "[";
  for (const std::size_t i : order) {
    json += (json.size() > 1 ? ", " : "") + std::string("{\"field\": ") + Quoted(levels[i].field) +
            ", \"level\": " + Quoted(levels[i].name) + ", \"before\": " + Bits(before.weights[i]) +
            ", \"after\": " + Bits(after.weights[i]) + ", \"labels\": " + std::to_string(seen[i]) + "}";
  }
  return json + "]";
}

void RequireEnough(const Labels& labels) {
  if (labels.duplicates() >= match::kLeastLabels && labels.others() >= match::kLeastLabels) return;
  const std::string least = std::to_string(match::kLeastLabels);
  throw Error(ERRCODE_CHECK_VIOLATION, "too few decisions to learn from")
      .Detail(std::to_string(labels.duplicates()) + " merged leads and " + std::to_string(labels.others()) +
              " dismissed pairs; at least " + least + " of each are needed.")
      .Hint("Merge duplicates and dismiss pairs that are none, then train again.");
}

std::string Diagnose(const Labels& labels, const match::Training& training, const match::Model& before) {
  const match::Model& shipped = match::ShippedModel();
  Quality was, held_out;
  for (const match::Label& label : labels.all()) was.Judge(label, before);
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    pg::CheckForInterrupts();
    const match::Model model = match::Train(labels.Without(fold), shipped).model;
    for (std::size_t i = fold; i < labels.all().size(); i += kFolds) held_out.Judge(labels.all()[i], model);
  }
  return "{\"duplicates\": " + std::to_string(labels.duplicates()) +
         ", \"others\": " + std::to_string(labels.others()) +
         ", \"largest_move\": " + Bits(training.largest_move) +
         ", \"mean_move\": " + Bits(training.mean_move) + ", \"prior\": {\"before\": " + Bits(shipped.prior) +
         ", \"after\": " + Bits(training.model.prior) + "}, \"before\": " + was.Json() +
         ", \"after\": " + held_out.Json() + ", \"moves\": " + MovesJson(labels, shipped, training.model) +
         "}";
}

crm::Caller Trainer(const OptionalUuid& organization) {
  crm::Caller caller = crm::CallerInGivenOrCurrent(organization);
  caller.Require(crm::Permission::kDuplicatesTrain);
  return caller;
}

}  // namespace

// train_matcher(organization_id) -> jsonb. Weights are in bits; moves are away from the shipped model.
// Errors: 22023; 42501 without duplicates:train; 23514 with fewer than match::kLeastLabels merges or
// dismissals.
KVCRM_FUNCTION(train_matcher) {
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = Trainer(args.Get<OptionalUuid>(0));
  const Labels labels(caller.organization);
  RequireEnough(labels);
  const match::Training training = match::Train(labels.all(), match::ShippedModel());
  const match::Model before = crm::MatcherOf(caller.organization);
  const pg::Json diagnostics = pg::ParseJson(Diagnose(labels, training, before));
  kPutModel(caller.organization, training.model.prior, pg::ParseJson(WeightsJson(training.model)),
            labels.duplicates(), labels.others(), diagnostics, caller.user);
  return args.Return(diagnostics);
}

// reset_matcher(organization_id) -> boolean: whether there was a trained model. Errors: 22023; 42501 without
// duplicates:train.
KVCRM_FUNCTION(reset_matcher) {
  pg::Session session(pg::Access::kWrite);
  return args.Return(kDeleteModel(Trainer(args.Get<OptionalUuid>(0)).organization).size() > 0);
}
