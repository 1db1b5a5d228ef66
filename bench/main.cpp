// kvcrm-bench SCALE REPORT [subject ...]: loads the data unless it is there, measures, reports.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "leads.hpp"
#include "subjects.hpp"

namespace {

struct Subject {
  const char* name;
  void (*measure)(const bench::Setting&);
  enum { kNothing, kLeads, kCopies } needs;  // the organization's leads, the bare copies too
};
// Those that only read come first; audit last, since it leaves tables with room that a new database lacks.
constexpr Subject kSubjects[] = {
    {"rls", bench::MeasureRls, Subject::kLeads},          {"growth", bench::MeasureGrowth, Subject::kLeads},
    {"qualify", bench::MeasureQualify, Subject::kCopies}, {"board", bench::MeasureBoard, Subject::kLeads},
    {"find", bench::MeasureFind, Subject::kNothing},      {"scan", bench::MeasureScan, Subject::kNothing},
    {"audit", bench::MeasureAudit, Subject::kCopies},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) bench::Fail("usage: kvcrm-bench SCALE REPORT [subject ...]");
  const std::vector<std::string> chosen(argv + 3, argv + argc);
  const auto is_chosen = [&](const std::string& name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  };

  bench::Connection connection;
  bench::Report report;
  bench::Setting setting{connection,
                         report,
                         std::atol(argv[1]),
                         "",
                         bench::Member(0, bench::kOwner),
                         bench::Member(0, bench::kManager)};
  const bool loaded = connection.Value("SELECT to_regclass('bench.run') IS NOT NULL") == "t";
  // What no chosen subject needs is not loaded: without the copies it takes half as long.
  const auto needs = [&](auto what) {
    return std::any_of(std::begin(kSubjects), std::end(kSubjects), [&](const Subject& subject) {
      return subject.needs >= what && is_chosen(subject.name);
    });
  };
  const bool needs_leads = needs(Subject::kLeads), needs_copies = needs(Subject::kCopies);
  if (!loaded) {
    connection.Run("CREATE SCHEMA bench");
    const std::string id = bench::CreateOrganization(connection, "Bench", 0);
    connection.Run(bench::Printf(
        "CREATE TABLE bench.run AS SELECT %ld AS scale, '%s'::uuid AS organization, %s AS copied, %s AS "
        "filled",
        setting.scale, id.c_str(), needs_copies ? "true" : "false", needs_leads ? "true" : "false"));
    bench::CreateBareCopies(connection);
  }
  connection.Run("SET client_min_messages = warning");
  setting.scale = static_cast<long>(connection.Number("SELECT scale FROM bench.run"));
  setting.organization = connection.Value("SELECT organization FROM bench.run");
  connection.Run(bench::Printf("SET kvcrm.user_id = '%s'", setting.manager.c_str()));

  std::printf("%ld leads, PostgreSQL %s, one connection over a unix socket, synchronous_commit = %s\n",
              setting.scale, connection.Value("SHOW server_version").c_str(),
              connection.Value("SHOW synchronous_commit").c_str());
  if (!loaded && needs_copies)
    bench::LoadLeads(setting);
  else if (!loaded && needs_leads)
    bench::FillOrganization(connection, setting.organization, 0, setting.scale);
  else if (loaded && needs_leads && connection.Value("SELECT filled FROM bench.run") == "f")
    bench::Fail("the earlier run loaded no leads, and a chosen subject needs them");
  else if (loaded && needs_copies && connection.Value("SELECT copied FROM bench.run") == "f")
    bench::Fail("the earlier run loaded no copies, and a chosen subject needs them");
  for (const Subject& subject : kSubjects) {
    if (is_chosen(subject.name)) subject.measure(setting);
  }
  report.Print();
  report.Write(argv[2]);
  return 0;
}
