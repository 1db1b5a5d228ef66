// kvcrm-bench SCALE REPORT [subject ...]: loads the data unless it is there, measures, reports.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "leads.hpp"
#include "subjects.hpp"

namespace {

struct Subject {
  const char* name;
  void (*measure)(const bench::Setting&);
};
// Those that only read come first; audit last, since it leaves tables with room that a new database lacks.
constexpr Subject kSubjects[] = {
    {"rls", bench::MeasureRls},
    {"qualify", bench::MeasureQualify},
    {"board", bench::MeasureBoard},
    {"audit", bench::MeasureAudit},
};

constexpr const char* kOwner = "00000000-0000-7000-8000-000000000001";
constexpr const char* kManager = "00000000-0000-7000-8000-000000000002";

void CreateOrganization(bench::Connection& connection, long scale) {
  connection.Run("CREATE SCHEMA bench");
  connection.Run(
      bench::Printf("CREATE TABLE bench.run AS SELECT %ld AS scale, id AS organization FROM"
                    " kvcrm.create_organization('Bench', owner_id => '%s')",
                    scale, kOwner));
  connection.Run(bench::Printf(
      "INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status, display_name)"
      " SELECT organization, '%s', 'sales_manager', 'active', 'Manager' FROM bench.run",
      kManager));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) bench::Fail("usage: kvcrm-bench SCALE REPORT [subject ...]");
  const std::vector<std::string> chosen(argv + 3, argv + argc);
  const auto is_chosen = [&](const std::string& name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  };

  bench::Connection connection;
  bench::Report report;
  bench::Setting setting{connection, report, std::atol(argv[1]), "", kOwner, kManager};
  const bool loaded = connection.Value("SELECT to_regclass('bench.run') IS NOT NULL") == "t";
  if (!loaded) {
    CreateOrganization(connection, setting.scale);
    bench::CreateBareCopies(connection);
  }
  connection.Run("SET client_min_messages = warning");
  setting.scale = static_cast<long>(connection.Number("SELECT scale FROM bench.run"));
  setting.organization = connection.Value("SELECT organization FROM bench.run");
  connection.Run(bench::Printf("SET kvcrm.user_id = '%s'", kManager));

  std::printf("%ld leads, PostgreSQL %s, one connection over a unix socket, synchronous_commit = %s\n",
              setting.scale, connection.Value("SHOW server_version").c_str(),
              connection.Value("SHOW synchronous_commit").c_str());
  if (!loaded) bench::LoadLeads(setting);
  for (const Subject& subject : kSubjects) {
    if (is_chosen(subject.name)) subject.measure(setting);
  }
  report.Print();
  report.Write(argv[2]);
  return 0;
}
