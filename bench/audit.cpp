// What the audit log costs an UPDATE of many leads.
#include <algorithm>

#include "subjects.hpp"

namespace bench {

namespace {

constexpr int kRounds = 5;
constexpr long kLeads = 100'000;

}  // namespace

void MeasureAudit(const Setting& setting) {
  Connection& connection = setting.connection;
  connection.Run("DROP TABLE IF EXISTS bench.audited");
  connection.Run(
      Printf("CREATE TABLE bench.audited AS SELECT id, organization_id FROM kvcrm.leads"
             " WHERE organization_id = '%s' AND converted_at IS NULL ORDER BY id LIMIT %ld",
             setting.organization.c_str(), kLeads));
  connection.Run("ANALYZE bench.audited");
  const long leads = static_cast<long>(connection.Number("SELECT count(*) FROM bench.audited"));
  // Rolled back: the copies that other subjects compare with stay equal.
  const auto update = [&](bool logged) {
    connection.Run("BEGIN");
    if (!logged) connection.Run("ALTER TABLE kvcrm.leads DISABLE TRIGGER log_update");
    const double seconds = Time([&] {
      connection.Run(
          "UPDATE kvcrm.leads l SET company = company || ', филиал' FROM bench.audited a"
          " WHERE l.id = a.id AND l.organization_id = a.organization_id");
    });
    const double rows =
        connection.Number("SELECT count(*) FROM kvcrm.activity_logs WHERE tx = pg_current_xact_id()");
    connection.Run("ROLLBACK");
    if (rows != (logged ? static_cast<double>(leads) : 0)) Fail(Printf("%.0f log rows were written", rows));
    // The next round starts as this one did.
    connection.Run("VACUUM kvcrm.leads, kvcrm.lead_fingerprints, kvcrm.activity_logs");
    return seconds;
  };
  Rounds rounds;
  for (int round = -1; round < kRounds; ++round) {
    const double with = update(true), without = update(false);
    if (round < 0) continue;
    rounds.Add("with", with);
    rounds.Add("without", without);
  }
  setting.report.Add("audit_update", rounds.Ratio("with", "without"),
                     Printf("%.2f s, %.2f without the trigger, %ld leads", rounds.Seconds("with"),
                            rounds.Seconds("without"), leads));
}

}  // namespace bench
