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

struct Candidate {
  bool same_email, same_phone, same_inn;
  double name, company, text;
  bool duplicate;
};

}  // namespace

Trigrams MatchByTrigrams(const std::vector<Lead>& leads, std::size_t sample) {
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
  server.Run("SET pg_trgm.similarity_threshold = 0.3");
  server.Run("SET enable_seqscan = off");

  const std::string probes = std::to_string(sample);
  const bench::Result found = server.Run(
      "SELECT a.email = b.email, a.phone = b.phone, a.inn = b.inn,"
      " coalesce(similarity(lower(a.name), lower(b.name)), 0),"
      " coalesce(similarity(lower(a.company), lower(b.company)), 0), similarity(a.text, b.text),"
      " a.entity = b.entity FROM ("
      " SELECT a.id a, b.id b FROM leads a JOIN leads b ON b.text % a.text WHERE a.id < " +
      probes + " UNION SELECT a.id, b.id FROM leads a JOIN leads b ON b.email = a.email WHERE a.id < " +
      probes + " UNION SELECT a.id, b.id FROM leads a JOIN leads b ON b.phone = a.phone WHERE a.id < " +
      probes + " UNION SELECT a.id, b.id FROM leads a JOIN leads b ON b.inn = a.inn WHERE a.id < " + probes +
      ") pairs JOIN leads a ON a.id = pairs.a JOIN leads b ON b.id = pairs.b"
      " WHERE pairs.b > pairs.a OR (pairs.b < pairs.a AND pairs.b >= " +
      probes + ")");
  std::vector<Candidate> candidates;
  for (int row = 0; row < found.rows(); ++row) {
    candidates.push_back({found.Text(row, 0) == "t", found.Text(row, 1) == "t", found.Text(row, 2) == "t",
                          std::atof(found.Get(row, 3)), std::atof(found.Get(row, 4)),
                          std::atof(found.Get(row, 5)), found.Text(row, 6) == "t"});
  }
  server.Run("DROP TABLE leads");

  // True pairs of which at least one lead is in the sample.
  std::unordered_map<std::string, double> before;
  double duplicates = 0;
  for (std::size_t i = 0; i < leads.size(); ++i) {
    double& seen = before[leads[i].entity];
    duplicates += seen;
    if (i < sample) ++seen;
  }

  Trigrams best{.curve = {}, .variant = "", .sample = sample};
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
