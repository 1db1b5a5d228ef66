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
  const auto update = [&](bool logged, int round) {
    const double before = connection.Number("SELECT count(*) FROM kvcrm.activity_logs");
    connection.Run("BEGIN");
    if (!logged) connection.Run("ALTER TABLE kvcrm.leads DISABLE TRIGGER log_update");
    const double seconds = Time([&] {
      connection.Run(
          Printf("UPDATE kvcrm.leads l SET company = 'Firm %d' FROM bench.audited a"
                 " WHERE l.id = a.id AND l.organization_id = a.organization_id",
                 2 * round + logged));
    });
    if (!logged) connection.Run("ALTER TABLE kvcrm.leads ENABLE TRIGGER log_update");
    connection.Run("COMMIT");
    const double rows = connection.Number("SELECT count(*) FROM kvcrm.activity_logs") - before;
    if (rows != (logged ? static_cast<double>(leads) : 0)) Fail(Printf("%.0f log rows were written", rows));
    // The next round starts as this one did.
    connection.Run("VACUUM kvcrm.leads, kvcrm.lead_fingerprints");
    return seconds;
  };
  Rounds rounds;
  for (int round = -1; round < kRounds; ++round) {
    const double with = update(true, round), without = update(false, round);
    if (round < 0) continue;
    rounds.Add("with", with);
    rounds.Add("without", without);
  }
  setting.report.Add("audit_update", rounds.Ratio("with", "without"),
                     Printf("%.2f s, %.2f without the trigger, %ld leads", rounds.Seconds("with"),
                            rounds.Seconds("without"), leads));
}

}  // namespace bench
