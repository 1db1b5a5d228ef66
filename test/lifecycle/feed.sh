#!/usr/bin/env bash
# Eight writers with transactions of different length, some rolled back, while two consumers read the feed and
# acknowledge: each gets every event once, in order, however late its transaction commits.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" feed

writers=8 seconds=8

psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -v ON_ERROR_STOP=1 -d "$db" > "$scratch/setup.log" 2>&1 <<'SQL'
CREATE EXTENSION kvcrm;
CREATE TABLE home AS SELECT o.id FROM kvcrm.create_organization('Test', 'en', owner_id => gen_random_uuid()) o;
-- One after the other until somebody says stop; most are short, a few are open for half a second after they wrote.
CREATE PROCEDURE work(seconds int) LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + make_interval(secs => seconds);
    done int := 0;
BEGIN
    -- A busy machine takes longer to write enough.
    WHILE clock_timestamp() < until OR done < 50 LOOP
        done := done + 1;
        INSERT INTO kvcrm.leads (organization_id, name) SELECT home.id, 'Lead' FROM home, generate_series(1, 1 + floor(random() * 3)::int);
        PERFORM pg_sleep(CASE WHEN random() < 0.1 THEN 0.5 * random() ELSE 0.01 * random() END);
        INSERT INTO kvcrm.leads (organization_id, name) SELECT home.id, 'Late' FROM home WHERE random() < 0.5;
        IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END
$$;
-- What consumers were given, in the order they were given it.
CREATE TABLE received (n bigserial, consumer text, event uuid, feed_epoch int, tx xid8);
CREATE PROCEDURE consume(consumer text, at_a_time int) LANGUAGE plpgsql AS $$
DECLARE
    newest uuid;
BEGIN
    WITH given AS MATERIALIZED (SELECT f.* FROM home, kvcrm.event_feed(consume.consumer, at_a_time, home.id) WITH ORDINALITY AS f),
         kept AS (INSERT INTO received (consumer, event, feed_epoch, tx) SELECT consume.consumer, g.id, g.feed_epoch, g.tx FROM given g ORDER BY g.ordinality)
    SELECT g.id INTO newest FROM given g ORDER BY g.ordinality DESC LIMIT 1;
    IF newest IS NOT NULL THEN PERFORM kvcrm.ack_events(consume.consumer, newest, home.id) FROM home; END IF;
END
$$;
-- A reader that goes by time of writing, as many do: what it overlooks shows that the load is one that matters.
CREATE TABLE overlooked (newest uuid, seen bigint);
INSERT INTO overlooked SELECT g.id, 0 FROM kvcrm.activity_logs g ORDER BY g.id DESC LIMIT 1;
CREATE PROCEDURE read_by_id() LANGUAGE sql AS $$
    UPDATE overlooked o SET (newest, seen) = (SELECT coalesce((SELECT g.id FROM kvcrm.activity_logs g ORDER BY g.id DESC LIMIT 1), o.newest),
        o.seen + (SELECT count(*) FROM kvcrm.activity_logs g WHERE g.id > o.newest)) $$;
SQL
ok $? 'a database is set up' "$scratch/setup.log"
before=$(answer "$db" 'SELECT count(*) FROM kvcrm.activity_logs')

for n in $(seq $writers); do
  psql -X -q -d "$db" -c "CALL work($seconds)" 2> "$scratch/writer$n.log" &
  workers+=($!)
done
writing=("${workers[@]}")

# $1 the consumer, $2 how many events it asks for
consume() {
  until [[ -e $scratch/stop ]]; do
    echo "CALL consume('$1', $2);"
    sleep 0.02
  done | psql -X -q -d "$db" -v ON_ERROR_STOP=1 > "$scratch/$1.log" 2>&1
}
consume few 7 & workers+=($!)
consume many 1000 & workers+=($!)
until [[ -e $scratch/stop ]]; do
  echo 'CALL read_by_id();'
  sleep 0.02
done | psql -X -q -d "$db" > "$scratch/by_id.log" 2>&1 & workers+=($!)

wait "${writing[@]}"
touch "$scratch/stop"
wait "${workers[@]}"
workers=()
# The rest, once everything has ended.
for _ in $(seq 1000); do
  psql -X -q -d "$db" -c "CALL consume('few', 10000)" -c "CALL consume('many', 10000)"
  [[ $(answer "$db" "SELECT count(*) FROM home, kvcrm.feed_status(home.id) WHERE next_event_id IS NOT NULL OR held_back") == 0 ]] && break
done

is "$(cat "$scratch"/writer*.log "$scratch/few.log" "$scratch/many.log")" '' 'nobody fails'
events=$(answer "$db" 'SELECT count(*) FROM kvcrm.activity_logs')
echo "# $((events - before)) events were written"
ok $((events - before > 500 ? 0 : 1)) 'the writers write'
is "$(answer "$db" "SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM received GROUP BY consumer) AS c")" "$events $events" 'each consumer has as many events as there are'
is "$(answer "$db" "SELECT count(*) FROM kvcrm.activity_logs g, unnest(ARRAY['few', 'many']) AS c WHERE NOT EXISTS (SELECT FROM received r WHERE r.consumer = c AND r.event = g.id)")" 0 'none is missing'
is "$(answer "$db" "SELECT count(*) FROM (SELECT (feed_epoch, tx, event) <= lag((feed_epoch, tx, event)) OVER (PARTITION BY consumer ORDER BY n) AS back FROM received) AS r WHERE back")" 0 'they came in order'
overlooked=$(answer "$db" "SELECT $events - $before - seen FROM overlooked")
ok $((overlooked > 0 ? 0 : 1)) "a reader that goes by id overlooks some"
echo "# by id $overlooked were overlooked"

# --- somebody who wrote, and went to lunch ---

coproc idle { psql -X -q -A -t -d "$db"; }
# bash forgets it as soon as the process has ended.
session=$idle_PID
echo "BEGIN; INSERT INTO kvcrm.leads (organization_id, name) SELECT id, 'Lunch' FROM home; SELECT pg_backend_pid();" >&"${idle[1]}"
read -r pid <&"${idle[0]}"
psql -X -q -d "$db" -c "INSERT INTO kvcrm.leads (organization_id, name) SELECT id, 'Waiting' FROM home"
is "$(answer "$db" "SELECT held_back, waits_for FROM home, kvcrm.feed_status(home.id) WHERE consumer = 'few'")" "t|process $pid, idle in transaction" 'feed_status says who holds the feed back'
unset PGOPTIONS
is "$(psql -X -q -A -t -d "$db" -c "SET kvcrm.feed_patience = 0" -c "SELECT f.id FROM home, kvcrm.event_feed('few', organization_id => home.id) f" 2>&1 |
  sed -E 's/[0-9]+ seconds/N seconds/')" "WARNING:  newer events wait for a transaction that has been open for N seconds
DETAIL:  It is of process $pid, idle in transaction.
HINT:  The feed goes on as soon as that transaction ends." 'event_feed warns'
export PGOPTIONS='-c client_min_messages=warning'
echo 'COMMIT; SELECT 1;' >&"${idle[1]}"
read -r _ <&"${idle[0]}"
is "$(answer "$db" "SELECT count(*) FROM home, kvcrm.event_feed('few', organization_id => home.id) f")" 2 'both events come when it commits'
echo '\q' >&"${idle[1]}"
wait "$session" 2> /dev/null

done_testing
