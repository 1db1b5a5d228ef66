// What matching goes by in one organization: its model, kept per backend, and its common values.
#include "crm/matcher.hpp"

#include <map>
#include <string>

using namespace kvcrm;

namespace {

const pg::Statement<pg::Uuid> kVersion{
    "matcher.version", "SELECT version, prior FROM kvcrm.match_models WHERE organization_id = $1"};

const pg::Statement<pg::Uuid> kWeights{
    "matcher.weights",
    "SELECT f.key, l.key, l.value::float8"
    " FROM kvcrm.match_models m, jsonb_each(m.weights) AS f,"
    " jsonb_each(CASE jsonb_typeof(f.value) WHEN 'object' THEN f.value ELSE '{}' END) AS l"
    " WHERE m.organization_id = $1 AND jsonb_typeof(l.value) = 'number'"};

// A row per hash, in whatever order; hash 0 holds the number of all records.
const pg::Statement<pg::Uuid, std::vector<std::int64_t>> kCommonValues{
    "matcher.common_values",
    "SELECT hash, records FROM kvcrm.match_common_values WHERE organization_id = $1 AND hash = ANY ($2)"};

struct Kept {
  pg::Uuid version;
  match::Model model;
};
// A backend rarely works for more organizations than this; when it does it starts over.
constexpr std::size_t kMostKept = 64;
std::map<pg::Uuid, Kept> kept_models;

int IndexOf(std::string_view field, std::string_view level) {
  const auto& levels = match::Levels();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (levels[i].field == field && levels[i].name == level) return static_cast<int>(i);
  }
  return -1;
}

// The shipped model with what the row knows better: levels come and go between versions of the module.
match::Model ReadModel(const pg::Uuid& organization, double prior) {
  match::Model model = match::ShippedModel();
  model.prior = prior;
  const pg::Rows rows = kWeights(organization);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const int level = IndexOf(rows.Get<std::string>(i, 0), rows.Get<std::string>(i, 1));
    if (level >= 0) model.weights[static_cast<std::size_t>(level)] = rows.Get<double>(i, 2);
  }
  return model;
}

}  // namespace

namespace kvcrm::crm {

const match::Model& MatcherOf(const pg::Uuid& organization) {
  const pg::Rows rows = kVersion(organization);
  if (rows.empty()) return match::ShippedModel();
  const auto version = rows.Get<pg::Uuid>(0, 0);
  const auto found = kept_models.find(organization);
  if (found != kept_models.end() && found->second.version == version) return found->second.model;
  match::Model model = ReadModel(organization, rows.Get<double>(0, 1));
  if (kept_models.size() >= kMostKept) kept_models.clear();
  return (kept_models[organization] = Kept{version, std::move(model)}).model;
}

match::Frequencies FrequenciesOf(const pg::Uuid& organization, const match::ValueHashes& hashes) {
  std::vector<std::int64_t> asked = {crm::kAllRecords};
  for (const std::int64_t hash : hashes.of) {
    if (hash != 0) asked.push_back(hash);
  }
  match::Frequencies frequencies;
  const pg::Rows rows = kCommonValues(organization, asked);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto hash = rows.Get<std::int64_t>(i, 0);
    const auto records = static_cast<std::uint32_t>(rows.Get<std::int32_t>(i, 1));
    if (hash == kAllRecords) {
      frequencies.records = records;
      continue;
    }
    for (int value = 0; value < match::kValueCount; ++value) {
      if (hashes.of[value] == hash) frequencies.of[value] = records;
    }
  }
  return frequencies;
}

}  // namespace kvcrm::crm
