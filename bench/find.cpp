// Duplicates of one lead: how long a look-up takes inside the server, beside reading a lead by its key, and
// how it grows with the organization.
#include <algorithm>
#include <cstdio>

#include "leads.hpp"
#include "subjects.hpp"
#include "varied_leads.hpp"

namespace bench {

namespace {

constexpr long kSmall = 10'000;
constexpr int kVariedSmall = 22;
constexpr int kSample = 3'000;  // leads looked at

constexpr int kRounds = 15, kPerRound = 200;

// Milliseconds of each look-up, as the server's own clock has them. Leads come in random order, after as many
// others: what a new connection costs at first is not in the figure.
constexpr const char* kTimer = R"(
CREATE OR REPLACE FUNCTION bench.time_calls(what text, leads uuid[], home uuid) RETURNS float8[]
    LANGUAGE plpgsql AS $$
DECLARE
    lead uuid;
    started timestamptz;
    times float8[];
BEGIN
    FOREACH lead IN ARRAY leads LOOP
        started := clock_timestamp();
        IF what = 'find' THEN
            PERFORM * FROM kvcrm.find_duplicates(lead, organization_id => home);
        ELSE
            PERFORM * FROM bench.lead_by_key(lead, home);
        END IF;
        times := times || 1000 * extract(epoch FROM clock_timestamp() - started)::float8;
    END LOOP;
    RETURN times;
END $$)";
constexpr const char* kByKey = R"(
CREATE OR REPLACE FUNCTION bench.lead_by_key(lead uuid, home uuid) RETURNS SETOF kvcrm.leads
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT * FROM kvcrm.leads WHERE id = lead AND organization_id = home;
END $$)";

struct Times {
  double median, p99, longest;
};

// Each lead is looked at in three passes, and the median counts: another process may have the CPU meanwhile.
Times TimeCalls(Connection& connection, const char* what, const VariedOrganization& organization,
                const char* leads) {
  const std::string pass = Printf(
      "SELECT no, t FROM unnest(bench.time_calls('%s', (SELECT array_agg(id ORDER BY no) FROM %s), '%s')) "
      "WITH "
      "ORDINALITY AS p (t, no)",
      what, leads, organization.id.c_str());
  const Result result = connection.Run(
      "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t), percentile_cont(0.99) WITHIN GROUP (ORDER BY "
      "t),"
      " max(t) FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) AS t FROM (" +
      pass + " UNION ALL " + pass + " UNION ALL " + pass + ") AS passes GROUP BY no) AS leads");
  return {std::stod(result.Text(0, 0)), std::stod(result.Text(0, 1)), std::stod(result.Text(0, 2))};
}

// Ten leads are the rep's, the same ones whenever the data is used.
void GiveRepLeads(Connection& connection, const VariedOrganization& organization) {
  connection.Run(Printf(
      "UPDATE kvcrm.leads SET assigned_to = '%s' WHERE id IN (SELECT id FROM kvcrm.leads WHERE "
      "organization_id = '%s' ORDER BY hashtext(id::text), id LIMIT %ld) AND assigned_to IS DISTINCT FROM "
      "'%s'",
      Member(organization.number, kRep).c_str(), organization.id.c_str(), kRepsLeads,
      Member(organization.number, kRep).c_str()));
}

void Act(Connection& connection, const VariedOrganization& organization, int member) {
  connection.Run("SET kvcrm.user_id = " + Quote(Member(organization.number, member)));
  connection.Run("SET kvcrm.organization_id = " + Quote(organization.id));
}

// Seconds of kPerRound look-ups by one member among the leads that the member sees.
double TimeRound(Connection& connection, const VariedOrganization& organization, int member, int round) {
  const std::string leads =
      member == kRep
          ? Printf(
                "(SELECT id, row_number() OVER () AS no FROM kvcrm.leads, generate_series(1, %ld) WHERE "
                "organization_id = '%s' AND assigned_to = '%s') AS l",
                kPerRound / kRepsLeads, organization.id.c_str(), Member(organization.number, kRep).c_str())
          : Printf(
                "(SELECT id, no FROM bench.find_sample WHERE organization = '%s' AND no BETWEEN %d AND %d) "
                "AS l",
                organization.id.c_str(), round * kPerRound + 1, (round + 1) * kPerRound);
  Act(connection, organization, member);
  return connection.Number(Printf("SELECT sum(t) FROM unnest(bench.time_calls('find', (SELECT array_agg(id "
                                  "ORDER BY no) FROM %s), '%s')) AS t",
                                  leads.c_str(), organization.id.c_str())) /
         1000;
}

}  // namespace

void MeasureFind(const Setting& setting) {
  Connection connection;
  connection.Run("SET client_min_messages = warning");
  const VariedOrganization small = VariedLeadsOf(connection, kVariedSmall, kSmall);
  GiveRepLeads(connection, small);
  const VariedOrganization large = VariedLeadsOf(connection, kVaried, setting.scale);
  GiveRepLeads(connection, large);
  connection.Run(kByKey);
  connection.Run(kTimer);
  connection.Run(
      "CREATE TEMP TABLE find_leads AS SELECT id, row_number() OVER () AS no FROM (SELECT id FROM "
      "kvcrm.leads WHERE organization_id = " +
      Quote(large.id) + Printf(" ORDER BY random() LIMIT %d) AS l", 2 * kSample));
  connection.Run("DROP TABLE IF EXISTS bench.find_sample");
  connection.Run("CREATE TABLE bench.find_sample (organization uuid, no bigint, id uuid)");
  for (const VariedOrganization& organization : {small, large}) {
    connection.Run(
        Printf("INSERT INTO bench.find_sample SELECT '%s', row_number() OVER (), id FROM (SELECT id "
               "FROM kvcrm.leads WHERE organization_id = '%s' ORDER BY random() LIMIT %d) AS l",
               organization.id.c_str(), organization.id.c_str(), kRounds * kPerRound));
  }
  connection.Run("VACUUM ANALYZE bench.find_sample");

  Act(connection, large, kManager);
  TimeCalls(connection, "find", large, Printf("find_leads WHERE no <= %d", kSample).c_str());
  const std::string sample = Printf("find_leads WHERE no > %d", kSample);
  const Times find = TimeCalls(connection, "find", large, sample.c_str());
  const double found = connection.Number(
      Printf("SELECT count(*) FROM find_leads l, kvcrm.find_duplicates(l.id) WHERE l.no > %d", kSample));
  if (found < kSample / 100) Fail(Printf("only %.0f duplicates of %d leads were found", found, kSample));
  const Times by_key = TimeCalls(connection, "key", large, sample.c_str());
  setting.report.Add("find_p50_ms", find.median,
                     Printf("find_duplicates of %d among %ld leads, in the server; %.0f found", kSample,
                            large.leads, found));
  setting.report.Add("find_p99_ms", find.p99, Printf("longest %.2f ms", find.longest));
  setting.report.Add("find_vs_pk", find.median / by_key.median,
                     Printf("a function that reads the lead by key: %.3f ms", by_key.median));

  double worst = 0;
  std::string note;
  for (const int member : {kManager, kRep}) {
    Rounds rounds;
    for (const VariedOrganization& organization : {small, large})
      TimeRound(connection, organization, member, 0);
    for (int round = 0; round < kRounds; ++round) {
      rounds.Add("small", TimeRound(connection, small, member, round));
      rounds.Add("large", TimeRound(connection, large, member, round));
    }
    const double ratio = rounds.Ratio("large", "small");
    note += Printf("%s%s %.3f ms, %.3f at %ld", note.empty() ? "" : "; ",
                   member == kManager ? "manager" : "rep", rounds.Seconds("large") * 1000 / kPerRound,
                   rounds.Seconds("small") * 1000 / kPerRound, kSmall);
    worst = std::max(worst, ratio);
  }
  setting.report.Add("growth_find", worst, note);
}

}  // namespace bench
