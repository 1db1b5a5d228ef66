#!/usr/bin/env bash
# Sessions that write leads of one organization at once, some of which are terminated: the board's counts equal a
# recount, and nobody waits for a counter.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" hammer

sessions=4 seconds=10 terminations=5

psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -v ON_ERROR_STOP=1 -d "$db" > "$scratch/setup.log" 2>&1 <<'SQL'
CREATE EXTENSION kvcrm;
CREATE TABLE home AS SELECT o.id, gen_random_uuid() AS rep, gen_random_uuid() AS other_rep FROM kvcrm.create_organization('Test', 'en', owner_id => gen_random_uuid()) o;
UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name"]}';
SELECT kvcrm.add_member(u, 'sales_team', organization_id => home.id) FROM home, unnest(ARRAY[rep, other_rep]) AS u;
INSERT INTO kvcrm.leads (organization_id, name, estimated_value) SELECT id, 'Lead ' || n, n FROM home, generate_series(1, 200) AS n;
-- Writes leads, one transaction after the other, until somebody ends it. Sessions pick any live lead, so that
-- they meet on leads too; those they skip when somebody else has locked them, which leaves the counters to wait for.
CREATE PROCEDURE work() LANGUAGE plpgsql AS $$
DECLARE
    home home := (SELECT h FROM home h);
    stages uuid[] := (SELECT array_agg(s.id ORDER BY s.order_index) FROM kvcrm.lead_stages s);
    lead uuid;
    what int;
BEGIN
    LOOP
        what := floor(random() * 100);
        SELECT l.id INTO lead FROM kvcrm.leads l WHERE l.deleted_at IS NULL AND l.converted_at IS NULL ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF lead IS NULL OR what < 25 THEN
            INSERT INTO kvcrm.leads (organization_id, name, estimated_value, currency, assigned_to)
            SELECT home.id, 'New', CASE WHEN random() < 0.9 THEN random() * 1000 END, (ARRAY['RUB', 'USD', 'EUR'])[1 + floor(random() * 3)],
                   (ARRAY[home.rep, home.other_rep, NULL])[1 + floor(random() * 3)] FROM generate_series(1, 1 + floor(random() * 3)::int);
        ELSIF what < 55 THEN
            PERFORM kvcrm.move_lead(lead, stages[1 + floor(random() * 5)], lost_reason => 'x');
        ELSIF what < 75 THEN
            PERFORM kvcrm.assign_lead(lead, (ARRAY[home.rep, home.other_rep, NULL])[1 + floor(random() * 3)]);
        ELSIF what < 82 THEN
            PERFORM kvcrm.qualify_lead(lead);
        ELSIF what < 90 THEN
            PERFORM kvcrm.delete_lead(lead);
        ELSE
            UPDATE kvcrm.leads SET estimated_value = random() * 1000, currency = (ARRAY['RUB', 'USD', 'EUR'])[1 + floor(random() * 3)] WHERE id = lead;
        END IF;
        IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END
$$;
SQL
ok $? 'a database is set up' "$scratch/setup.log"

work() {
  until [[ -e $scratch/stop ]]; do
    PGAPPNAME=kvcrm_hammer psql -X -q -d "$db" -c 'CALL work()' 2>> "$scratch/$1.log" || sleep 0.01
  done
}

# Every lock that somebody waits for, sampled until the end; a file that grows is none of ours.
watch_waits() {
  until [[ -e $scratch/stop ]]; do
    answer "$db" "SELECT l.locktype || ': ' || left(a.query, 60) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                   WHERE NOT l.granted AND l.locktype <> 'extend' AND a.application_name = 'kvcrm_hammer' AND a.datname = '$db'" >> "$scratch/waits"
    echo >> "$scratch/samples"
    sleep 0.02
  done
}

for ((i = 1; i <= sessions; i++)); do work $i & workers+=($!); done
watch_waits & workers+=($!)
terminated=0
for ((i = 1; i <= terminations; i++)); do
  sleep $((seconds / (terminations + 1)))
  [[ $(answer "$db" "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvcrm_hammer'
                       AND datname = '$db' AND state = 'active' ORDER BY random() LIMIT 1") != t ]] || terminated=$((terminated + 1))
done
# A reader sees board and leads as of one moment, while they are written.
recount="
  SELECT coalesce(c.stage_id, l.stage_id) AS stage_id, coalesce(c.assigned_to, l.assigned_to) AS assigned_to,
         coalesce(c.currency, l.currency) AS currency, c.leads AS counted, l.leads AS there, c.value AS counted_value, l.value AS there_value
    FROM (SELECT stage_id, assigned_to, currency, sum(leads) AS leads, sum(value) AS value FROM kvcrm.lead_stage_counts
           GROUP BY 1, 2, 3 HAVING sum(leads) <> 0 OR sum(value) <> 0) c
    FULL JOIN (SELECT stage_id, coalesce(assigned_to, '00000000-0000-0000-0000-000000000000') AS assigned_to, currency, count(*) AS leads,
                      coalesce(sum(estimated_value), 0) AS value
                 FROM kvcrm.leads WHERE deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL GROUP BY 1, 2, 3) l
         USING (stage_id, assigned_to, currency)
   WHERE c.leads IS DISTINCT FROM l.leads OR c.value IS DISTINCT FROM l.value"
is "$(answer "$db" "$recount")" '' 'while they write, the counts are those of the leads there are'
# On a machine that has other things to do it takes longer until there is something to look at.
changes() { answer "$db" "SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'lead'"; }
for _ in {1..600}; do
  sleep 1
  (($(changes) < 2000 || $(wc -l < "$scratch/samples") < 20)) || break
done
end_workers kvcrm_hammer

ok $((terminated == 0)) "sessions were terminated ($terminated)"
is "$(grep -hE '^(ERROR|FATAL|PANIC)' "$scratch"/[0-9].log | grep -v 'FATAL:  terminating connection' | sort | uniq -c)" '' 'they met no other error'
is "$(answer "$db" "$recount")" '' 'afterwards too, per stage, assignee and currency'
is "$(answer "$db" "SELECT sum(b.lead_count) FROM home, kvcrm.pipeline_board(organization_id => home.id) b")" \
  "$(answer "$db" "SELECT kvcrm.count_leads(organization_id => id) FROM home")" 'the board shows as many as the list'
written=$(changes)
ok $((written < 2000)) "there was something to count ($written changes)"
rows=$(answer "$db" 'SELECT count(*) FROM kvcrm.lead_stage_counts')
# Unfolded there are more rows than changes, since a move changes two counts.
ok $((rows >= written)) "the changes were folded ($rows rows are left of them)"
ok $(($(wc -l < "$scratch/samples") < 20)) "there were samples of waits ($(wc -l < "$scratch/samples"))"
is "$(sort "$scratch/waits" | uniq -c | sort -rn | head -n 10)" '' 'nobody was seen waiting'

done_testing
