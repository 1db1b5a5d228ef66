#!/usr/bin/env bash
# Fifty sessions ask for the next member at once: what members get differs by one lead at most, or is in the proportion
# of their weights. A few seconds.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" assign

psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -d "$db" -c 'CREATE EXTENSION kvcrm'
psql -X -q -d "$db" -v ON_ERROR_STOP=1 > /dev/null <<'SQL'
CREATE TABLE ids (name text PRIMARY KEY, id uuid NOT NULL);
INSERT INTO ids SELECT 'org', o.id FROM kvcrm.create_organization('Fair', 'en', owner_id => gen_random_uuid()) o;
WITH t AS (INSERT INTO kvcrm.teams (organization_id, name) SELECT id, 'Team' FROM ids RETURNING id) INSERT INTO ids SELECT 'team', id FROM t;
SELECT kvcrm.add_member(gen_random_uuid(), 'sales_team', team_id => (SELECT id FROM ids WHERE name = 'team'), organization_id => (SELECT id FROM ids WHERE name = 'org')) FROM generate_series(1, 7);
-- One lead for each call, found by number.
INSERT INTO kvcrm.leads (organization_id, name) SELECT (SELECT id FROM ids WHERE name = 'org'), n::text FROM generate_series(1, 500) n;
CREATE TABLE todo AS SELECT row_number() OVER () AS n, id FROM kvcrm.leads;
CREATE SEQUENCE calls;
CREATE FUNCTION give() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kvcrm.assign_next((SELECT t.id FROM todo t WHERE t.n = x.n), (SELECT id FROM ids WHERE name = 'team'), (SELECT id FROM ids WHERE name = 'org')) FROM (SELECT nextval('calls') AS n OFFSET 0) x;
END $$;
SQL
ok $? 'a team of seven and 500 leads'

echo 'SELECT give();' > "$scratch/give.sql"
fifty() { pgbench -n -c 50 -j 2 -t "$1" -f "$scratch/give.sql" "$db" > "$scratch/pgbench.log" 2>&1; }
counts() { psql -XAtq -d "$db" -c "SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(l.id) AS n FROM kvcrm.organization_members m LEFT JOIN kvcrm.leads l ON l.assigned_to = m.user_id WHERE m.team_id IS NOT NULL GROUP BY m.id) x"; }

fifty 5
ok $? 'fifty sessions ask five times each' "$scratch/pgbench.log"
is "$(counts)" '35 35 36 36 36 36 36' 'counts differ by one at most'

psql -X -q -d "$db" > /dev/null <<'SQL'
UPDATE kvcrm.leads SET assigned_to = NULL WHERE assigned_to IS NOT NULL;
DELETE FROM kvcrm.assignment_pools;
-- Weights 1 to 4 and 0: shares of 25, 50, 75 and 100.
UPDATE kvcrm.organization_members m SET assignment_weight = greatest(x.n - 3, 0) FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM kvcrm.organization_members WHERE team_id IS NOT NULL) x WHERE m.id = x.id;
SQL
fifty 5
ok $? 'and again, with weights' "$scratch/pgbench.log"
is "$(counts)" '0 0 0 25 50 75 100' 'shares are as the weights'

done_testing
