#!/usr/bin/env bash
# DROP EXTENSION, and every command that comes down to it, is refused while leads or customers exist, unless
# kvcrm.allow_drop is on; TRUNCATE of any table is refused while it holds rows; nothing else gets in anybody's way.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" drop

role=kvcrm_drop_api_$$ owner=kvcrm_drop_owner_$$ other=kvcrm_drop_other_$$
roles=("$role" "$owner" "$other")

create() { psql -X -q -d postgres -c "CREATE DATABASE $1 TEMPLATE ${2:-template0}"; }

# state DATABASE SQL...: the SQLSTATEs of a session's errors; empty when all went well.
state() {
  local database=$1 sql arguments=()
  shift
  for sql; do arguments+=(-c "$sql"); done
  psql -X -q -A -t -v VERBOSITY=sqlstate -d "$database" "${arguments[@]}" 2>&1 | sed -n 's/^ERROR:  //p' | tr '\n' ' ' | sed 's/ $//'
}

counts() { answer "$db" 'SELECT (SELECT count(*) FROM kvcrm.leads), (SELECT count(*) FROM kvcrm.customers), (SELECT count(*) FROM kvcrm.activity_logs)'; }

installed() { answer "$1" "SELECT count(*) FROM pg_extension WHERE extname = 'kvcrm'"; }

psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "CREATE ROLE $role" -c "CREATE ROLE $owner SUPERUSER" -c "CREATE ROLE $other" || exit

create "$db"
# Installed by a role that can own what it owns only here: DROP OWNED BY the bootstrap superuser is refused anyway.
psql -X -q -d "$db" -v ON_ERROR_STOP=1 -c "SET ROLE $owner" -c 'CREATE EXTENSION kvcrm' || exit
psql -X -q -d "$db" -v ON_ERROR_STOP=1 -v api_role="$role" -f rows.sql > "$scratch/rows.log" 2>&1
ok $? 'rows are written' "$scratch/rows.log"
before=$(counts)

# --- what is refused ---

# plpgsql is what some functions of the extension are written in.
for command in 'DROP EXTENSION kvcrm' 'DROP EXTENSION kvcrm CASCADE' 'DROP EXTENSION IF EXISTS kvcrm' 'DROP SCHEMA kvcrm CASCADE' \
  "DROP OWNED BY $owner" "DROP OWNED BY $owner CASCADE" 'DROP EXTENSION plpgsql CASCADE' \
  "DO \$\$ BEGIN EXECUTE 'DROP EXTENSION kvcrm'; END \$\$" \
  'BEGIN; CREATE SCHEMA innocent; DROP SCHEMA innocent, kvcrm CASCADE; COMMIT' \
  'SET session_replication_role = replica; DROP EXTENSION kvcrm' \
  "SET search_path = ''; SET row_security = off; SET check_function_bodies = off; DROP EXTENSION kvcrm"; do
  is "$(state "$db" "$command")" 55000 "refused: ${command//[$'\n']/ }"
done
is "$(state "$db" 'ALTER EXTENSION plpgsql DROP LANGUAGE plpgsql; DROP LANGUAGE plpgsql CASCADE')" 55000 'refused: DROP LANGUAGE of a language in no extension'
# PostgreSQL itself protects the members.
is "$(state "$db" 'DROP TABLE kvcrm.leads' 'DROP TABLE kvcrm.leads CASCADE' 'DROP FUNCTION kvcrm.guard_drop() CASCADE' 'DROP EVENT TRIGGER kvcrm_guard_drop' \
  'DROP SCHEMA kvcrm' 'DROP EXTENSION plpgsql')" '2BP01 2BP01 2BP01 2BP01 2BP01 2BP01' 'members are not dropped one by one'
is "$(counts)" "$before" 'everything is still there'
psql -X -q -d "$db" -c 'DROP EXTENSION kvcrm' > "$scratch/message" 2>&1
is "$(grep -cE "ERROR:  extension kvcrm can't be dropped while it holds (leads|customers)|HINT: .*SET kvcrm.allow_drop = on;" "$scratch/message")" 2 \
  'the message says why, the hint what to do'

# --- which commands reach the extension ---

# What the extension and its members need of others: if more kinds of objects came up here, more commands would have to
# be watched.
is "$(answer "$db" "
  WITH members AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND e.extname = 'kvcrm'
                    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
       parts AS (SELECT * FROM members UNION SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE extname = 'kvcrm'),
       inner_parts AS (SELECT p.classid, p.objid FROM parts p
                        UNION SELECT d.classid, d.objid FROM pg_depend d JOIN parts p ON d.refclassid = p.classid AND d.refobjid = p.objid)
  SELECT string_agg(DISTINCT d.refclassid::regclass::text || ' ' || (pg_identify_object(d.refclassid, d.refobjid, 0)).identity, ', ')
    FROM pg_depend d JOIN parts p ON p.classid = d.classid AND p.objid = d.objid
   WHERE d.refobjid >= 10000 AND (d.refclassid, d.refobjid) NOT IN (SELECT classid, objid FROM inner_parts)")" \
  'pg_language plpgsql, pg_namespace kvcrm' 'the extension depends on its schema and a language, and on nothing else'

# --- who may allow it ---

is "$(state "$db" "SET ROLE $other" 'SET kvcrm.allow_drop = on')" '' 'as long as the module is not loaded anything can be set'
is "$(state "$db" "ALTER ROLE $owner NOSUPERUSER")" '' 'the owner may be no superuser later'
is "$(state "$db" "SET SESSION AUTHORIZATION $owner" 'SET kvcrm.allow_drop = on' 'DROP EXTENSION kvcrm')" 55000 'but the setting counts only when a superuser made it'
is "$(state "$db" "SET SESSION AUTHORIZATION $owner" 'SELECT kvcrm.uuid_v7()' 'SET kvcrm.allow_drop = on' 'DROP EXTENSION kvcrm')" '42501 55000' 'and is refused once the module is loaded'
is "$(answer "$db" 'SELECT problem FROM kvcrm.check_installation()')" "role $owner owns the event trigger kvcrm_guard_drop and is no superuser: pg_upgrade fails" \
  'check_installation() says that PostgreSQL wants a superuser to own the guard'
is "$(state "$db" "$(answer "$db" 'SELECT hint FROM kvcrm.check_installation()')" "REASSIGN OWNED BY $owner TO $other")" '' 'its hint lets everything else be given away'
is "$(answer "$db" 'SELECT problem FROM kvcrm.check_installation()')" '' 'which is all right'
is "$(state "$db" "SET SESSION AUTHORIZATION $other" 'DROP EXTENSION kvcrm' 'DROP SCHEMA kvcrm CASCADE' "DROP OWNED BY $other")" '55000 55000 55000' 'the new owner is refused too'
is "$(state "$db" "REASSIGN OWNED BY $other TO $owner")" '' 'and gives it back'
is "$(state "$db" "ALTER ROLE $owner SUPERUSER")" '' 'the owner is a superuser again'
is "$(state "$db" 'SET kvcrm.allow_drop = off' 'DROP EXTENSION kvcrm')" 55000 'off is off'
is "$(counts)" "$before" 'everything is still there'

# --- the guard's own state ---

guard="SELECT problem FROM kvcrm.check_installation()"
problem='nothing keeps DROP EXTENSION from dropping data: the event trigger kvcrm_guard_drop is'
is "$(answer "$db" "$guard")" '' 'check_installation() has nothing to say'
answer "$db" 'ALTER EVENT TRIGGER kvcrm_guard_drop DISABLE'
is "$(answer "$db" "$guard")" "$problem disabled" 'it reports a disabled guard'
is "$(state "$db" 'BEGIN' 'DROP EXTENSION kvcrm CASCADE' 'ROLLBACK')" '' 'without it nothing stops a session that has not used kvcrm'
is "$(state "$db" 'SELECT kvcrm.uuid_v7()' 'DROP EXTENSION kvcrm CASCADE')" 55000 'one that has is stopped all the same'
answer "$db" "$(answer "$db" 'SELECT hint FROM kvcrm.check_installation()')"
is "$(answer "$db" "$guard")" '' 'its hint helps'
answer "$db" 'ALTER EXTENSION kvcrm DROP EVENT TRIGGER kvcrm_guard_drop; DROP EVENT TRIGGER kvcrm_guard_drop'
is "$(answer "$db" "$guard")" "$problem missing" 'it reports a missing guard'
answer "$db" "$(answer "$db" 'SELECT hint FROM kvcrm.check_installation()')"
is "$(answer "$db" "$guard")" '' 'its hint helps'
is "$(state "$db" 'DROP EXTENSION kvcrm')" 55000 'and the guard is on duty again'

# --- what is not its business ---

is "$(state "$db" 'CREATE SCHEMA host' 'CREATE TABLE host.leads (id int)' 'INSERT INTO host.leads VALUES (1)' 'CREATE TABLE host.notes (lead_id uuid)' \
  'CREATE TABLE host.customers AS SELECT * FROM host.leads' 'DROP TABLE host.customers' 'DROP SCHEMA host CASCADE' \
  'CREATE EXTENSION pg_trgm' 'DROP EXTENSION pg_trgm' 'CREATE TEMP TABLE leads (id int)' 'INSERT INTO leads VALUES (1)' 'DISCARD TEMP' \
  "CREATE SCHEMA others AUTHORIZATION $other" "CREATE TABLE others.leads AS SELECT 1 AS x" "ALTER TABLE others.leads OWNER TO $other" "DROP OWNED BY $other CASCADE" \
  'ALTER TABLE kvcrm.leads ADD COLUMN extra int' 'ALTER TABLE kvcrm.leads DROP COLUMN extra' 'VACUUM FULL kvcrm.leads' 'CLUSTER kvcrm.leads USING leads_pkey')" '' \
  'others drop their schemas, extensions and tables of the same names'
is "$(state "$db" "CREATE SCHEMA mine AUTHORIZATION $other" "SET ROLE $other" 'DROP SCHEMA mine')" '' 'a role without any right on kvcrm too'
# A command that is none of the four doesn't even load the module, and one of them doesn't read leads.
is "$(answer "$db" "SET track_functions = 'all'; CREATE TABLE x (); DROP TABLE x; CREATE VIEW v AS SELECT 1; DROP VIEW v; SELECT count(*) FROM pg_settings WHERE name = 'kvcrm.allow_drop' AND short_desc <> ''")" 0 \
  'other commands do not call the guard'
is "$(answer "$db" "BEGIN; CREATE SCHEMA x; DROP SCHEMA x; SELECT count(*) FROM pg_locks WHERE relation = 'kvcrm.leads'::regclass AND pid = pg_backend_pid(); COMMIT")" 0 \
  'and a DROP of something else does not touch leads'
answer "$db" 'ALTER EXTENSION kvcrm UPDATE' > "$scratch/update" 2>&1
ok $? 'ALTER EXTENSION kvcrm UPDATE' "$scratch/update"

# --- an update brings the guard ---

create "${db}_old"
psql -X -q -d "${db}_old" -c "CREATE EXTENSION kvcrm VERSION '1.0.0'"
is "$(answer "${db}_old" "SELECT count(*) FROM pg_event_trigger")" 0 '1.0.0 has no guard'
psql -X -q -d "${db}_old" -c 'ALTER EXTENSION kvcrm UPDATE'
answer "${db}_old" "SELECT FROM kvcrm.create_organization('x', owner_id => gen_random_uuid()) o, LATERAL kvcrm.create_lead('x', organization_id => o.id)" > /dev/null
is "$(answer "${db}_old" 'SELECT problem FROM kvcrm.check_installation()')" '' 'the update brings it'
is "$(state "${db}_old" 'DROP EXTENSION kvcrm')" 55000 'and it works'

# --- restores ---

# For what comes after: a restore makes another role the owner.
create "${db}_kept" "$db"

# A restore over what is there drops it first: refused as well, unless the one who restores says so.
pg_dump -Fc -f "$scratch/dump" "$db" 2> /dev/null
pg_restore -l "$scratch/dump" | grep -c 'EVENT TRIGGER' > "$scratch/listed"
is "$(< "$scratch/listed")" 0 'a dump does not hold the event trigger: CREATE EXTENSION makes it'
pg_restore --clean --if-exists --no-owner --exit-on-error -d "$db" "$scratch/dump" > "$scratch/clean.log" 2>&1
is $? 1 'pg_restore --clean is refused'
is "$(counts)" "$before" 'and everything is still there'
PGOPTIONS="$PGOPTIONS -c kvcrm.allow_drop=on" pg_restore --clean --if-exists --no-owner --exit-on-error -d "$db" "$scratch/dump" > "$scratch/clean.log" 2>&1
ok $? 'unless PGOPTIONS allows it' "$scratch/clean.log"
is "$(counts)" "$before" 'and everything is back'

# --- TRUNCATE ---

psql -X -q -d "$db" -c 'CREATE SCHEMA host' -c 'CREATE TABLE host.orders (id int PRIMARY KEY, lead_id uuid, organization_id uuid, FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id))'
tables=$(answer "$db" "SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'kvcrm' ORDER BY 1")
truncated='' cascaded=''
for table in $tables; do
  [[ $(state "$db" "TRUNCATE $table CASCADE") == 23514 ]] || cascaded+=" $table"
  [[ $(state "$db" "TRUNCATE $table") =~ ^(23514|0A000)$ ]] || truncated+=" $table"
done
is "$truncated" '' 'no table that holds rows is truncated'
is "$cascaded" '' 'nor by cascade'
is "$(state "$db" 'SET session_replication_role = replica; TRUNCATE kvcrm.lead_stage_history; ROLLBACK' 'BEGIN; TRUNCATE kvcrm.leads CASCADE; ROLLBACK')" 23514 \
  'triggers off is the way of replication'
is "$(state "$db" 'TRUNCATE host.orders')" '' 'tables of others that refer to leads are their own business'
is "$(answer "$db" 'SELECT count(*) FROM kvcrm.leads')" "${before%%|*}" 'the leads are still there'

# --- what is let through ---

# Without leads the customers are all there is.
create "${db}_customers" "$db"
psql -X -q -d "${db}_customers" <<'SQL'
SET session_replication_role = replica;
DELETE FROM kvcrm.leads;
SQL
is "$(state "${db}_customers" 'DROP EXTENSION kvcrm CASCADE')" 55000 'customers are reason enough'
is "$(state "${db}_customers" 'SET session_replication_role = replica; DELETE FROM kvcrm.customers' 'DROP EXTENSION kvcrm CASCADE')" '' 'without leads and customers it is dropped'
is "$(installed "${db}_customers")" 0 'and is gone'
is "$(answer "${db}_customers" "SELECT (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('kvcrm'))")" 0 'with its guard and its tables'

for command in 'DROP EXTENSION kvcrm CASCADE' 'DROP SCHEMA kvcrm CASCADE' "DROP OWNED BY $owner CASCADE"; do
  psql -X -q -d postgres -c "DROP DATABASE IF EXISTS ${db}_allowed WITH (FORCE)"
  create "${db}_allowed" "${db}_kept"
  is "$(state "${db}_allowed" 'SET kvcrm.allow_drop = on' 'BEGIN' "$command" 'ROLLBACK')" '' "allowed: $command, rolled back"
  is "$(answer "${db}_allowed" 'SELECT count(*) FROM kvcrm.leads')" "${before%%|*}" 'and nothing is gone'
  is "$(state "${db}_allowed" 'SET kvcrm.allow_drop = on' "$command")" '' "allowed: $command"
  is "$(installed "${db}_allowed")" 0 'the extension is gone'
done
is "$(state "${db}_allowed" 'CREATE EXTENSION kvcrm' 'SELECT FROM kvcrm.check_installation()' 'DROP EXTENSION kvcrm' 'CREATE EXTENSION kvcrm')" '' 'an empty one comes and goes'

for name in $(answer postgres "SELECT datname FROM pg_database WHERE starts_with(datname, '$db')"); do
  psql -X -q -d postgres -c "DROP DATABASE $name WITH (FORCE)"
done
done_testing
