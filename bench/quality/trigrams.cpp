#include "trigrams.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include "../harness.hpp"
#include "match/record.hpp"

namespace quality {

namespace {

// A field of COPY's text format; NULL when empty.
std::string Field(const std::string& value) {
  if (value.empty()) return "\\N";
  std::string field;
  for (const char c : value) {
    if (c == '\\' || c == '\t' || c == '\n') field.push_back('\\');
    field.push_back(c == '\n' ? 'n' : c == '\t' ? 't' : c);
  }
  return field;
}

// Looked up by one statement.
constexpr std::size_t kBatch = 20;

// Lookups end then: their time grows with the set, 0.1 s each among a million on an idle machine.
constexpr double kMostSeconds = 150;

struct Candidate {
  std::size_t first, second;  // first: the lead looked up
  bool same_email, same_phone, same_inn;
  double name, company, text;
  bool duplicate;
};

}  // namespace

Trigrams MatchByTrigrams(const std::vector<Lead>& leads, std::size_t sample, double least_similarity) {
  sample = std::min(sample, leads.size());
  bench::Connection server;
  server.Run("SET client_min_messages = warning");
  server.Run("CREATE EXTENSION IF NOT EXISTS pg_trgm");
  server.Run("DROP TABLE IF EXISTS leads");
  server.Run(
      "CREATE TABLE leads (id int PRIMARY KEY, entity text, name text, company text, email text, phone text, "
      "inn text)");
  std::string rows;
  for (std::size_t i = 0; i < leads.size(); ++i) {
    const Lead& lead = leads[i];
    // Keys are normalised as kvcrm normalises them: the query is given what the columns hold.
    const std::string normalized = kvcrm::match::Normalize({"", "", lead.email, lead.phone, lead.inn});
    const kvcrm::match::Record record(normalized);
    rows += std::to_string(i);
    for (const std::string& value : {lead.entity, lead.name, lead.company, std::string(record.email),
                                     std::string(record.phone), std::string(record.inn)})
      rows.append("\t").append(Field(value));
    rows.push_back('\n');
  }
  server.CopyIn("COPY leads FROM STDIN", rows);
  server.Run(
      "ALTER TABLE leads ADD text text GENERATED ALWAYS AS (lower(coalesce(name, '') || ' ' || "
      "coalesce(company, ''))) STORED");
  for (const char* index : {"USING gin (text gin_trgm_ops)", "(email)", "(phone)", "(inn)"})
    server.Run(std::string("CREATE INDEX ON leads ") + index);
  server.Run("VACUUM ANALYZE leads");
  server.Run("SET pg_trgm.similarity_threshold = " + std::to_string(least_similarity));
  // The planner expects a hundredth of the table of each lookup and would rather read all of it.
  for (const char* way : {"seqscan", "hashjoin", "mergejoin"})
    server.Run(std::string("SET enable_") + way + " = off");

  // In batches, so that the leads looked up until time is over are all there is of the sample.
  std::vector<Candidate> candidates;
  std::size_t looked_up = 0;
  for (double seconds = 0; looked_up < sample && seconds < kMostSeconds;) {
    const std::size_t end = std::min(sample, looked_up + kBatch);
    const std::string probes =
        " WHERE a.id >= " + std::to_string(looked_up) + " AND a.id < " + std::to_string(end);
    const auto pairs = [&](const char* condition) {
      return std::string("SELECT a.id a, b.id b FROM leads a JOIN leads b ON ") + condition + probes;
    };
    seconds += bench::Time([&] {
      const bench::Result found = server.Run(
          "SELECT a.id, b.id, a.email = b.email, a.phone = b.phone, a.inn = b.inn,"
          " coalesce(similarity(lower(a.name), lower(b.name)), 0),"
          " coalesce(similarity(lower(a.company), lower(b.company)), 0), similarity(a.text, b.text),"
          " a.entity = b.entity FROM (" +
          pairs("b.text % a.text") + " UNION " + pairs("b.email = a.email") + " UNION " +
          pairs("b.phone = a.phone") + " UNION " + pairs("b.inn = a.inn") +
          ") pairs JOIN leads a ON a.id = pairs.a JOIN leads b ON b.id = pairs.b WHERE pairs.a <> pairs.b");
      for (int row = 0; row < found.rows(); ++row) {
        candidates.push_back({static_cast<std::size_t>(std::atoll(found.Get(row, 0))),
                              static_cast<std::size_t>(std::atoll(found.Get(row, 1))),
                              found.Text(row, 2) == "t", found.Text(row, 3) == "t", found.Text(row, 4) == "t",
                              std::atof(found.Get(row, 5)), std::atof(found.Get(row, 6)),
                              std::atof(found.Get(row, 7)), found.Text(row, 8) == "t"});
      }
    });
    looked_up = end;
  }
  sample = looked_up;
  // Pairs within the sample were found from both sides.
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.second < candidate.first && candidate.second < sample;
  });
  server.Run("DROP TABLE leads");

  // True pairs of which at least one lead is in the sample.
  std::unordered_map<std::string, double> before;
  double duplicates = 0;
  for (std::size_t i = 0; i < leads.size(); ++i) {
    double& seen = before[leads[i].entity];
    duplicates += seen;
    if (i < sample) ++seen;
  }

  Trigrams best{.curve = {},
                .variant = "",
                .sample = sample,
                .duplicates = duplicates,
                .least_similarity = least_similarity};
  const auto consider = [&](const char* variant, const auto& score) {
    std::vector<ScoredPair> pairs;
    for (const Candidate& candidate : candidates) pairs.push_back({score(candidate), candidate.duplicate});
    const Curve curve = Evaluate(std::move(pairs), duplicates, 2);
    if (curve.best.f1 <= best.curve.best.f1) return;
    best.curve = curve;
    best.variant = variant;
  };
  const auto consider_with_keys = [&](const auto& names, const auto& score) {
    consider(names[0], score);
    consider(names[1], [&](const Candidate& c) { return c.same_email ? 1 : score(c); });
    consider(names[2], [&](const Candidate& c) { return c.same_email || c.same_phone ? 1 : score(c); });
    consider(names[3],
             [&](const Candidate& c) { return c.same_email || c.same_phone || c.same_inn ? 1 : score(c); });
  };
  constexpr const char* kText[] = {"text", "email or text", "email, phone or text",
                                   "email, phone, inn or text"};
  constexpr const char* kName[] = {"name", "email or name", "email, phone or name",
                                   "email, phone, inn or name"};
  constexpr const char* kBoth[] = {"name and company", "email or name and company",
                                   "email, phone or name and company",
                                   "email, phone, inn or name and company"};
  consider_with_keys(kText, [](const Candidate& c) { return c.text; });
  consider_with_keys(kName, [](const Candidate& c) { return c.name; });
  consider_with_keys(kBoth, [](const Candidate& c) { return std::min(c.name, c.company); });
  return best;
}

Curve CompareByTrigrams(const std::vector<NamePair>& pairs) {
  bench::Connection server;
  server.Run("SET client_min_messages = warning");
  server.Run("CREATE EXTENSION IF NOT EXISTS pg_trgm");
  server.Prepare("similarity", "SELECT similarity(lower($1), lower($2))");
  std::vector<ScoredPair> scored;
  double duplicates = 0;
  for (const NamePair& pair : pairs) {
    const bench::Result result = server.Execute("similarity", {pair.first, pair.second});
    scored.push_back({std::atof(result.Get(0, 0)), pair.duplicate});
    duplicates += pair.duplicate ? 1 : 0;
  }
  return Evaluate(std::move(scored), duplicates, 2);
}

}  // namespace quality
