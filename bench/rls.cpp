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

// A manager's count against the owner's count of the same organization: the same scan with a filter, the
// application's instead of the policy's. The owner's count of the whole table is reported beside it, but does
// less: on pages that VACUUM has marked as visible to all it doesn't look at the rows.
void MeasureScan(const Setting& setting, Connection& owner, Connection& manager) {
  for (Connection* connection : {&owner, &manager}) {
    // All by the heap: for a count the planner would else choose indexes that differ.
    connection->Run("SET enable_indexonlyscan = off");
    connection->Run("SET enable_indexscan = off");
    connection->Run("SET enable_bitmapscan = off");
    connection->Prepare("whole", "SELECT count(*) FROM kvcrm.leads");
    connection->Prepare("filtered", "SELECT count(*) FROM kvcrm.leads WHERE organization_id = $1::uuid");
  }
  const std::string shape = ShapeOf(manager, "EXECUTE whole");
  for (const std::string& other : {ShapeOf(owner, "EXECUTE whole"),
                                   ShapeOf(owner, "EXECUTE filtered ('" + setting.organization + "')")}) {
    if (other != shape) Fail("with the policy: " + shape + "; without: " + other);
  }
  Rounds rounds;
  for (int round = -1; round < kScanRounds; ++round) {
    std::string seen, counted;
    const double with = Time([&] { seen = manager.Execute("whole", {}).Text(0, 0); });
    const double filtered =
        Time([&] { counted = owner.Execute("filtered", {setting.organization}).Text(0, 0); });
    const double all = Time([&] { owner.Execute("whole", {}); });
    if (seen != counted) Fail("the manager sees " + seen + " leads of " + counted);
    if (round < 0) continue;
    rounds.Add("with", with);
    rounds.Add("filtered", filtered);
    rounds.Add("all", all);
  }
  setting.report.Add("rls_scan", rounds.Ratio("with", "filtered"),
                     Printf("%.0f ms, %.0f with the application's filter, %.0f without any (%.2f times), not"
                            " parallel: ",
                            rounds.Seconds("with") * 1000, rounds.Seconds("filtered") * 1000,
                            rounds.Seconds("all") * 1000, rounds.Ratio("with", "all")) +
                         shape);
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
    // Who goes first changes.
    double with, without;
    if (round % 2 == 0) {
      with = pages(manager);
      without = pages(owner);
    } else {
      without = pages(owner);
      with = pages(manager);
    }
    if (round < 0) continue;
    rounds.Add("page with", with);
    rounds.Add("page without", without);
  }
  setting.report.Add("rls_page", rounds.Ratio("page with", "page without"),
                     Printf("%.2f ms, %.2f without: ", rounds.Seconds("page with") / kPagesPerRound * 1000,
                            rounds.Seconds("page without") / kPagesPerRound * 1000) +
                         page_shape);

  MeasureScan(setting, owner, manager);
}

}  // namespace bench
