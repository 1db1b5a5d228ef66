// The event feed: the audit log as an at-least-once feed for webhooks and queues.
//
// Entries become visible when their transaction commits, which is not the order in which they were written: a
// reader that remembers the last id or time it saw would miss those of a transaction that commits later. So
// the order is (feed_epoch, tx, id), and the feed ends below the oldest transaction still running
// (pg_snapshot_xmin): nothing can appear in what was given out. The price is that an idle transaction that
// has written holds the feed back; event_feed and feed_status name it.
#include "crm/feed.hpp"

#include <map>
#include <optional>
#include <string>

#include "crm/errors.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "pg/horizon.hpp"
#include "pg/result_set.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "utils/guc.h"
}

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

constexpr std::int32_t kMostEvents = 10'000;

// The cluster that transaction ids are of.
std::int64_t Cluster() {
  return pg::Call([] { return static_cast<std::int64_t>(GetSystemIdentifier()); });
}

// Where the feed ends, for organization $1 in the cluster $2 with the horizon $3. Entries of other clusters
// have all ended; without a row nothing was written since the feed exists.
#define EPOCHS(value, none) \
  "coalesce((SELECT " value " FROM kvcrm.feed_epochs e WHERE e.organization_id = $1), " none ")"
#define END_EPOCH EPOCHS("CASE WHEN e.system_identifier = $2 THEN e.epoch ELSE e.epoch + 1 END", "2147483647")
#define END_TX EPOCHS("CASE WHEN e.system_identifier = $2 THEN $3 ELSE '0' END", "'0'") "::xid8"
#define GIVEN_OUT "(g.feed_epoch, g.tx) < (" END_EPOCH ", " END_TX ")"
#define HELD_BACK                                                                                         \
  "EXISTS (SELECT 1 FROM kvcrm.activity_logs g WHERE g.organization_id = $1 AND (g.feed_epoch, g.tx) >= " \
  "(" END_EPOCH ", " END_TX "))"

// Where the feed ends, of the active snapshot.
struct End {
  std::int64_t cluster = Cluster();
  std::string horizon = pg::Horizon();
};

#define OF_CONSUMER(column, none) \
  "coalesce((SELECT c." column    \
  " FROM kvcrm.feed_consumers c WHERE c.organization_id = $1 AND c.name = $4), " none ")"
const pg::Statement<pg::Uuid, std::int64_t, std::string, std::string, std::int32_t> kEvents{
    "feed.events",
    "SELECT g FROM kvcrm.activity_logs g WHERE g.organization_id = $1 AND " GIVEN_OUT
    " AND (g.feed_epoch, g.tx, g.id) > (" OF_CONSUMER("feed_epoch", "0") ", " OF_CONSUMER("tx", "'0'::xid8") ", "
    OF_CONSUMER("event_id", "'00000000-0000-0000-0000-000000000000'::uuid")
    ") ORDER BY g.feed_epoch, g.tx, g.id LIMIT $5"};

// What the entries that are held back wait for: a session or a prepared transaction, since when.
const pg::Statement<pg::Uuid, std::int64_t, std::string> kWaitsFor{
    "feed.waits_for",
    "SELECT w.since, w.what FROM (SELECT a.xact_start, format('process %s, %s', a.pid, a.state)"
    "   FROM pg_stat_activity a WHERE a.backend_xid = $3::xid8::xid"
    "   UNION ALL SELECT p.prepared, format('prepared transaction %L', p.gid) FROM pg_prepared_xacts p"
    "   WHERE p.transaction = $3::xid8::xid) AS w (since, what) WHERE " HELD_BACK};

const pg::Statement<pg::Uuid, std::int64_t, std::string> kConsumers{
    "feed.consumers",
    "SELECT c.name, c.updated_at, n.id, n.created_at, " HELD_BACK
    " FROM kvcrm.feed_consumers c"
    " LEFT JOIN LATERAL (SELECT g.id, g.created_at FROM kvcrm.activity_logs g WHERE g.organization_id = $1"
    "   AND (g.feed_epoch, g.tx, g.id) > (c.feed_epoch, c.tx, c.event_id) AND " GIVEN_OUT
    "   ORDER BY g.feed_epoch, g.tx, g.id LIMIT 1) AS n ON true"
    " WHERE c.organization_id = $1 ORDER BY c.name"};

const pg::Statement<pg::Uuid, std::int64_t, std::string, std::string, pg::Uuid, OptionalUuid> kAcknowledge{
    "feed.acknowledge",
    "INSERT INTO kvcrm.feed_consumers AS c (organization_id, name, feed_epoch, tx, event_id, acknowledged_by)"
    " SELECT g.organization_id, $4, g.feed_epoch, g.tx, g.id, $6 FROM kvcrm.activity_logs g"
    " WHERE g.organization_id = $1 AND g.id = $5 AND " GIVEN_OUT
    " ON CONFLICT (organization_id, name) DO UPDATE SET feed_epoch = excluded.feed_epoch, tx = excluded.tx,"
    "   event_id = excluded.event_id, acknowledged_by = excluded.acknowledged_by, updated_at = now()"
    " WHERE (c.feed_epoch, c.tx, c.event_id) < (excluded.feed_epoch, excluded.tx, excluded.event_id)"
    " RETURNING c"};

// Why nothing was acknowledged: no such event, not given out yet, or already behind the consumer.
const pg::Statement<pg::Uuid, std::int64_t, std::string, pg::Uuid> kGivenOut{
    "feed.given_out",
    "SELECT " GIVEN_OUT " FROM kvcrm.activity_logs g WHERE g.organization_id = $1 AND g.id = $4"};
const pg::Statement<pg::Uuid, std::string> kConsumer{
    "feed.consumer", "SELECT c FROM kvcrm.feed_consumers c WHERE c.organization_id = $1 AND c.name = $2"};

const pg::Statement<pg::Uuid> kEpoch{
    "feed.epoch", "SELECT epoch, system_identifier FROM kvcrm.feed_epochs WHERE organization_id = $1"};

// Entries older than the first epoch's row may come from another cluster: nobody knows which, so they get an
// epoch of their own. A second session waits for the first; then its WHERE no longer holds.
const pg::Statement<pg::Uuid, std::int64_t> kBeginEpoch{
    "feed.begin_epoch",
    "INSERT INTO kvcrm.feed_epochs AS e (organization_id, epoch, system_identifier) VALUES ($1,"
    "   CASE WHEN EXISTS (SELECT 1 FROM kvcrm.activity_logs g WHERE g.organization_id = $1) THEN 2 ELSE 1 "
    "END, $2)"
    " ON CONFLICT (organization_id) DO UPDATE SET epoch = e.epoch + 1,"
    "   system_identifier = excluded.system_identifier, updated_at = now()"
    " WHERE e.system_identifier <> excluded.system_identifier"};

// kvcrm.feed_patience, in seconds.
int patience = 60;

std::string RequireConsumer(const pg::Args& args) {
  const auto name = args.Require<std::string>(0, "consumer");
  if (name.empty() || text::CountCodePoints(name) > crm::kShortLength) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "consumer must have 1 to 100 characters");
  }
  return name;
}

// Says what the feed waits for, if it has waited for long.
void WarnOfWaiting(const pg::Uuid& organization, const End& end) {
  const pg::Rows rows = kWaitsFor(organization, end.cluster, end.horizon);
  if (rows.empty() || rows.IsNull(0, 0)) return;
  const auto since = rows.Get<pg::Timestamp>(0, 0);
  const auto seconds = (pg::Call([] { return GetCurrentTimestamp(); }) - since.value) / USECS_PER_SEC;
  if (seconds < patience) return;
  const std::string what = rows.Get<std::string>(0, 1);
  const char* text = what.c_str();
  pg::Call([&] {
    ereport(WARNING,
            (errmsg("newer events wait for a transaction that has been open for %ld seconds",
                    static_cast<long>(seconds)),
             errdetail("It is of %s.", text), errhint("The feed goes on as soon as that transaction ends.")));
  });
}

// Epochs that were read from committed rows. A backend rarely writes for more organizations than this; when
// it does it starts over.
constexpr std::size_t kMostKept = 1000;
std::map<pg::Uuid, std::int32_t> kept_epochs;
// The transaction that last began an epoch: what it reads may yet be rolled back.
FullTransactionId began_in = InvalidFullTransactionId;

}  // namespace

namespace kvcrm::crm {

void DefineFeedSettings() {
  DefineCustomIntVariable(
      "kvcrm.feed_patience",
      "How long an open transaction may hold the event feed back before event_feed warns.", nullptr,
      &patience, 60, 0, 86'400, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
}

std::int32_t FeedEpoch(const pg::Uuid& organization) {
  if (const auto kept = kept_epochs.find(organization); kept != kept_epochs.end()) return kept->second;
  const std::int64_t cluster = Cluster();
  pg::Rows rows = kEpoch.Latest(organization);
  if (rows.empty() || rows.Get<std::int64_t>(0, 1) != cluster) {
    kBeginEpoch(organization, cluster);
    began_in = pg::Call([] { return GetTopFullTransactionId(); });
    return kEpoch.Latest(organization).Get<std::int32_t>(0, 0);
  }
  const auto epoch = rows.Get<std::int32_t>(0, 0);
  if (FullTransactionIdEquals(pg::Call([] { return GetTopFullTransactionIdIfAny(); }), began_in))
    return epoch;
  if (kept_epochs.size() >= kMostKept) kept_epochs.clear();
  return kept_epochs[organization] = epoch;
}

}  // namespace kvcrm::crm

// event_feed(consumer, max_events, organization_id) -> setof activity_logs
KVCRM_FUNCTION(event_feed) {
  const std::string consumer = RequireConsumer(args);
  const auto most = args.Require<std::int32_t>(1, "max_events");
  if (most < 1 || most > kMostEvents) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "max_events must be between 1 and 10000");
  }
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  caller.Require(Permission::kLogsRead);
  const End end;
  const pg::Rows rows = kEvents(caller.organization, end.cluster, end.horizon, consumer, most);
  for (std::uint64_t i = 0; i < rows.size(); ++i) result.AddComposite(rows.At(i, 0).datum);
  if (rows.size() < static_cast<std::uint64_t>(most)) WarnOfWaiting(caller.organization, end);
  return result.Done();
}

// ack_events(consumer, up_to, organization_id) -> feed_consumers
KVCRM_FUNCTION(ack_events) {
  const std::string consumer = RequireConsumer(args);
  const auto event = args.Require<pg::Uuid>(1, "up_to");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  caller.Require(Permission::kLogsAcknowledge);
  const End end;
  const pg::Rows moved =
      kAcknowledge(caller.organization, end.cluster, end.horizon, consumer, event, caller.user);
  if (!moved.empty()) return args.ReturnRow(moved.At(0, 0).datum);
  const pg::Rows known = kGivenOut(caller.organization, end.cluster, end.horizon, event);
  if (known.empty()) throw Error(crm::kNotFound, "event not found");
  if (!known.Get<bool>(0, 0)) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "event was not given out yet")
        .Hint("Acknowledge what event_feed(consumer) returned.");
  }
  return crm::ReturnFirst(args, kConsumer.Latest(caller.organization, consumer), "consumer");
}

// feed_status(organization_id)
KVCRM_FUNCTION(feed_status) {
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(0));
  caller.Require(Permission::kLogsRead);
  const End end;
  const pg::Rows waits = kWaitsFor(caller.organization, end.cluster, end.horizon);
  std::optional<pg::Timestamp> since;
  std::optional<std::string> what;
  if (!waits.empty()) {
    since = waits.Get<std::optional<pg::Timestamp>>(0, 0);
    what = waits.Get<std::optional<std::string>>(0, 1);
  }
  const pg::Rows rows = kConsumers(caller.organization, end.cluster, end.horizon);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    result.Add(rows.Get<std::string>(i, 0), rows.Get<pg::Timestamp>(i, 1), rows.Get<OptionalUuid>(i, 2),
               rows.Get<std::optional<pg::Timestamp>>(i, 3), rows.Get<bool>(i, 4), since, what);
  }
  return result.Done();
}
