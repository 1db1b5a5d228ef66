// Scanning a whole organization for duplicates: how long, with how much memory, and how both grow.
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "subjects.hpp"
#include "varied_leads.hpp"

namespace bench {

namespace {

constexpr int kRounds = 3;

// Private memory of a process in KiB. Shared buffers, which a backend maps as it reads, are not the scan's.
long PrivateMemory(long process) {
  std::FILE* file = std::fopen(Printf("/proc/%ld/status", process).c_str(), "r");
  if (file == nullptr) Fail("can't see the server's memory: it must run on this machine");
  long kib = 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) std::sscanf(line, "RssAnon: %ld", &kib);
  std::fclose(file);
  return kib;
}

struct Scan {
  double seconds;
  double mib;  // by which the backend grew at most
  long pairs;
};

// One scan in a backend of its own.
Scan ScanOnce(const VariedOrganization& organization, Connection& settings) {
  Connection connection;
  connection.Run("SET client_min_messages = warning");
  for (const char* name : {"kvcrm.user_id", "kvcrm.organization_id"})
    connection.Run(Printf("SET %s = %s", name, Quote(settings.Value(Printf("SHOW %s", name))).c_str()));
  const auto process = static_cast<long>(connection.Number("SELECT pg_backend_pid()"));
  const long before = PrivateMemory(process);
  std::atomic<bool> done = false;
  long most = 0;
  std::thread watcher([&] {
    while (!done) {
      most = std::max(most, PrivateMemory(process));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  Scan scan{};
  long scanned = 0;
  scan.seconds = Time([&] {
    const Result result = connection.Run("SELECT pairs_found, leads_scanned FROM kvcrm.scan_duplicates()");
    scan.pairs = std::atol(result.Get(0, 0));
    scanned = std::atol(result.Get(0, 1));
  });
  done = true;
  watcher.join();
  scan.mib = static_cast<double>(most - before) / 1024;
  if (scanned != organization.leads)
    Fail(Printf("%ld of %ld leads were scanned", scanned, organization.leads));
  return scan;
}

void Forget(Connection& connection, const VariedOrganization& organization) {
  for (const char* table : {"duplicate_pairs", "match_common_values"}) {
    connection.Run(
        Printf("DELETE FROM kvcrm.%s WHERE organization_id = '%s'", table, organization.id.c_str()));
    connection.Run(Printf("VACUUM kvcrm.%s", table));
  }
  connection.Run("CHECKPOINT");
}

}  // namespace

void MeasureScan(const Setting& setting) {
  Connection connection;
  Rounds rounds;
  double mib = 0, again = 0;
  long pairs = 0;
  for (int round = 0; round < kRounds; ++round) {
    const VariedOrganization small = VariedLeadsOf(connection, kVariedTenth, setting.scale / 10);
    Forget(connection, small);
    rounds.Add("tenth", 10 * ScanOnce(small, connection).seconds);
    const VariedOrganization large = VariedLeadsOf(connection, kVaried, setting.scale);
    Forget(connection, large);
    const Scan scan = ScanOnce(large, connection);
    rounds.Add("all", scan.seconds);
    mib = std::max(mib, scan.mib);
    pairs = scan.pairs;
    if (round + 1 < kRounds) continue;
    const Scan second = ScanOnce(large, connection);
    again = second.seconds;
    if (second.pairs != pairs) Fail(Printf("a second scan found %ld pairs, not %ld", second.pairs, pairs));
  }
  if (pairs < setting.scale / 100) Fail(Printf("only %ld pairs were found", pairs));
  setting.report.Add(
      "scan_1m_s", rounds.Seconds("all"),
      Printf("%ld leads, %ld pairs; again without a change %.1f s", setting.scale, pairs, again));
  setting.report.Add("scan_1m_mib", mib, "private memory of the backend, largest growth");
  setting.report.Add("scan_growth", rounds.Ratio("all", "tenth"),
                     Printf("%.1f s, ten times %ld leads %.1f s", rounds.Seconds("all"), setting.scale / 10,
                            rounds.Seconds("tenth")));
}

}  // namespace bench
