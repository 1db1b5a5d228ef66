// Row-level security: a manager's page and a full count as an API role, against the table's owner.
#include "subjects.hpp"

namespace bench {

namespace {

constexpr int kPageRounds = 40, kPagesPerRound = 200;
constexpr int kScanRounds = 15;

// The nodes of a plan and what they scan, without conditions: its shape.
std::string ShapeOf(Connection& connection, const std::string& statement) {
  const Result plan = connection.Run("EXPLAIN (COSTS off) " + statement);
  std::string shape;
  for (const std::string& line : plan.Column(0)) {
    const std::size_t start = line.find_first_not_of(" ->");
    if (start == std::string::npos) continue;
    const std::string node = line.substr(start);
    if (node.rfind("Filter:", 0) == 0 || node.rfind("Index Cond:", 0) == 0) continue;
    shape += (shape.empty() ? "" : " / ") + node;
  }
  return shape;
}

std::string RequireSameShape(Connection& a, Connection& b, const std::string& statement) {
  const std::string shape = ShapeOf(a, statement), other = ShapeOf(b, statement);
  if (shape != other) Fail("with the policy: " + shape + "; without: " + other);
  return shape;
}

}  // namespace

void MeasureRls(const Setting& setting) {
  // Plans depend on the role, so each side has a session of its own; one of them works at a time.
  Connection owner, manager;
  owner.Run("DO $$ BEGIN CREATE ROLE bench_api; EXCEPTION WHEN duplicate_object THEN END $$");
  owner.Run("SELECT kvcrm.grant_api('bench_api')");
  manager.Run("SET ROLE bench_api");
  manager.Run("SELECT set_config('request.jwt.claims', '{\"sub\": \"" + setting.manager + "\"}', false)");
  for (Connection* connection : {&owner, &manager}) {
    connection->Run("SET max_parallel_workers_per_gather = 0");
    connection->Prepare("page",
                        "SELECT * FROM kvcrm.leads WHERE organization_id = $1::uuid"
                        " ORDER BY created_at DESC, id DESC LIMIT 50");
    connection->Prepare("scan", "SELECT count(*) FROM kvcrm.leads");
  }

  const std::string page_shape =
      RequireSameShape(manager, owner, "EXECUTE page ('" + setting.organization + "')");
  Rounds rounds;
  for (int round = -1; round < kPageRounds; ++round) {
    const auto pages = [&](Connection& connection) {
      return Time([&] {
        for (int i = 0; i < kPagesPerRound; ++i) {
          if (connection.Execute("page", {setting.organization}).rows() != 50) Fail("a page is not full");
        }
      });
    };
    const double with = pages(manager), without = pages(owner);
    if (round < 0) continue;
    rounds.Add("page with", with);
    rounds.Add("page without", without);
  }
  setting.report.Add("rls_page", rounds.Ratio("page with", "page without"),
                     Printf("%.2f ms, %.2f without: ", rounds.Seconds("page with") / kPagesPerRound * 1000,
                            rounds.Seconds("page without") / kPagesPerRound * 1000) +
                         page_shape);

  // Without a policy an index alone answers a count; the policy reads organization and assignee.
  for (Connection* connection : {&owner, &manager}) {
    connection->Run("SET enable_indexonlyscan = off");
    connection->Run("SET enable_indexscan = off");
    connection->Run("SET enable_bitmapscan = off");
  }
  const std::string scan_shape = RequireSameShape(manager, owner, "EXECUTE scan");
  const std::string visible =
      owner.Value("SELECT count(*) FROM kvcrm.leads WHERE organization_id = " + Quote(setting.organization));
  for (int round = -1; round < kScanRounds; ++round) {
    const auto scan = [&](Connection& connection) {
      return Time([&] {
        const std::string count = connection.Execute("scan", {}).Text(0, 0);
        if (&connection == &manager && count != visible) Fail("the manager sees " + count + " leads");
      });
    };
    const double with = scan(manager), without = scan(owner);
    if (round < 0) continue;
    rounds.Add("scan with", with);
    rounds.Add("scan without", without);
  }
  setting.report.Add(
      "rls_scan", rounds.Ratio("scan with", "scan without"),
      Printf("%.0f ms, %.0f without, %s leads, not parallel: ", rounds.Seconds("scan with") * 1000,
             rounds.Seconds("scan without") * 1000, visible.c_str()) +
          scan_shape);
}

}  // namespace bench
