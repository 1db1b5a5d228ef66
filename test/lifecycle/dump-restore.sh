#!/usr/bin/env bash
# A database with rows in every table is dumped and restored, in every format: it comes back equal, row for row.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" dump

role=kvcrm_dump_api_$$
roles=("$role")

create() { psql -X -q -d postgres -c "CREATE DATABASE $1"; }

# Every row of every table, in a file with a section per table.
rows_of() {
  local table
  for table in $(answer "$1" "SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'kvcrm' ORDER BY 1"); do
    echo "== $table"
    answer "$1" "SELECT t::text FROM $table AS t ORDER BY 1"
  done
}

# Compares database $1 with what was dumped; shows only which tables differ and the first lines.
equal() {
  rows_of "$1" > "$scratch/$1.rows"
  diff -u "$scratch/source.rows" "$scratch/$1.rows" > "$scratch/$1.diff"
}

warnings() { grep -c 'kvcrm takes rows as they come' "$1"; }

# --- the database ---

create "$db"
psql -X -q -d "$db" -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION kvcrm' -c "CREATE ROLE $role" || exit
psql -X -q -d "$db" -v ON_ERROR_STOP=1 -v api_role="$role" -f rows.sql > "$scratch/rows.log" 2>&1
ok $? 'rows are written' "$scratch/rows.log"
is "$(answer "$db" "SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'kvcrm'
     WHERE c.relkind IN ('r', 'p') AND d.classid = 'pg_class'::regclass AND NOT c.oid = ANY (e.extconfig)")" \
  '' 'every table of the extension is registered for dumps'
empty=$(for table in $(answer "$db" "SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'kvcrm'"); do
  answer "$db" "SELECT '$table' WHERE NOT EXISTS (SELECT FROM $table)"
done)
is "$empty" '' 'every table has rows'
rows_of "$db" > "$scratch/source.rows"

# --- pg_dump | psql ---

pg_dump "$db" > "$scratch/plain.sql" 2> "$scratch/dump.err"
ok $? 'pg_dump' "$scratch/dump.err"
# A table that references itself loads in one statement; a cycle of several would load in no order.
is "$(grep -o 'detail: .*' "$scratch/dump.err")" 'detail: leads' 'the only foreign key in a circle is that of leads to itself'
create "${db}_plain"
psql -X -q -d "${db}_plain" -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" > "$scratch/plain.log" 2>&1
ok $? 'psql restores' "$scratch/plain.log"
equal "${db}_plain"
ok $? 'pg_dump | psql: equal row for row' "$scratch/${db}_plain.diff"
is "$(warnings "$scratch/plain.log")" 1 'the gate warns once'

# --- pg_restore ---

pg_dump -Fc -f "$scratch/custom" "$db" 2> /dev/null
create "${db}_custom"
pg_restore --verbose --exit-on-error -d "${db}_custom" "$scratch/custom" > "$scratch/custom.log" 2>&1
ok $? 'pg_restore of the custom format' "$scratch/custom.log"
equal "${db}_custom"
ok $? 'pg_dump -Fc | pg_restore: equal row for row' "$scratch/${db}_custom.diff"
is "$(warnings "$scratch/custom.log")" 1 'the gate warns once'

# By INSERT commands instead of COPY: a merged lead may come before its survivor, and a foreign key is checked after
# each command, so it needs what a parallel restore needs.
create "${db}_inserts"
pg_dump --column-inserts "$db" 2> /dev/null |
  PGOPTIONS="$PGOPTIONS -c session_replication_role=replica" psql -X -q -d "${db}_inserts" -v ON_ERROR_STOP=1 > "$scratch/inserts.log" 2>&1
ok $? 'a dump of INSERT commands restores as a replica' "$scratch/inserts.log"
equal "${db}_inserts"
ok $? 'pg_dump --column-inserts | psql: equal row for row' "$scratch/${db}_inserts.diff"

# --- in parallel ---

pg_dump -Fd -j 4 -f "$scratch/directory" "$db" 2> /dev/null
create "${db}_parallel"
PGOPTIONS="$PGOPTIONS -c session_replication_role=replica" \
  pg_restore --exit-on-error -j 4 -d "${db}_parallel" "$scratch/directory" > "$scratch/parallel.log" 2>&1
ok $? 'pg_restore -j 4 as a replica' "$scratch/parallel.log"
equal "${db}_parallel"
ok $? 'pg_dump -Fd | pg_restore -j 4: equal row for row' "$scratch/${db}_parallel.diff"

# --- with tables of the host, as tar, and in parts ---

# A key to kvcrm's rows, views over them and a default that calls kvcrm come back behind kvcrm.
create "${db}_host"
psql -X -q -d "${db}_host" -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" > /dev/null 2>&1
psql -X -q -d "${db}_host" -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE public.a_deals (id uuid PRIMARY KEY DEFAULT kvcrm.uuid_v7(), lead_id uuid, organization_id uuid,
                             FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id));
INSERT INTO public.a_deals (lead_id, organization_id) SELECT id, organization_id FROM kvcrm.leads;
CREATE VIEW public.a_view AS SELECT l.name, d.id FROM kvcrm.leads l JOIN public.a_deals d ON d.lead_id = l.id;
CREATE MATERIALIZED VIEW public.a_summary AS SELECT stage_id, count(*) FROM kvcrm.leads GROUP BY stage_id;
SQL
host="SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (SELECT d::text FROM public.a_deals d UNION ALL SELECT v::text FROM public.a_view v UNION ALL SELECT s::text FROM public.a_summary s) AS _ (x)"
rows_of "${db}_host" > "$scratch/source.rows"
for format in plain tar directory; do
  create "${db}_host_$format"
  pg_dump "-F${format:0:1}" -f "$scratch/host.$format" "${db}_host" 2> /dev/null
  case $format in
    plain) psql -X -q -d "${db}_host_$format" -v ON_ERROR_STOP=1 -f "$scratch/host.$format" ;;
    tar) pg_restore --exit-on-error -d "${db}_host_$format" "$scratch/host.$format" ;;
    directory) PGOPTIONS="$PGOPTIONS -c session_replication_role=replica" pg_restore --exit-on-error -j 4 -d "${db}_host_$format" "$scratch/host.$format" ;;
  esac > "$scratch/host.log" 2>&1
  ok $? "$format: a dump with tables of the host is restored" "$scratch/host.log"
  equal "${db}_host_$format"
  ok $? "$format: equal row for row" "$scratch/${db}_host_$format.diff"
  is "$(answer "${db}_host_$format" "$host")" "$(answer "${db}_host" "$host")" "$format: and so are the host's"
done
# Several rows an INSERT: within one command leads may come in any order.
create "${db}_rows"
pg_dump --rows-per-insert=100000 "$db" 2> /dev/null | psql -X -q -d "${db}_rows" -v ON_ERROR_STOP=1 > "$scratch/rows.log" 2>&1
ok $? 'a dump of INSERT commands of many rows restores as it is' "$scratch/rows.log"
rows_of "$db" > "$scratch/source.rows"
equal "${db}_rows"
ok $? 'pg_dump --rows-per-insert | psql: equal row for row' "$scratch/${db}_rows.diff"

# What parts of a dump hold.
holds() { pg_dump "$@" "$db" 2> /dev/null | grep -oE '^(CREATE EXTENSION|COPY kvcrm.leads )' | sort -u | tr '\n' ';'; }
is "$(holds)" 'COPY kvcrm.leads ;CREATE EXTENSION;' 'a dump holds the extension and its rows'
is "$(holds -n kvcrm)" 'COPY kvcrm.leads ;' 'one of the schema holds the rows alone'
is "$(holds -n kvcrm -e kvcrm)" 'COPY kvcrm.leads ;CREATE EXTENSION;' 'and with -e the extension too'
is "$(holds -t 'kvcrm.*')" 'COPY kvcrm.leads ;' 'one of the tables holds the rows alone'
is "$(holds --data-only)" 'COPY kvcrm.leads ;' 'so does one of the data'
is "$(holds --schema-only)" 'CREATE EXTENSION;' 'one of the schema alone holds no rows'
is "$(holds -N kvcrm)" 'CREATE EXTENSION;' 'nor does one without the schema'

# Who may not see everything dumps nothing, instead of a part.
dumper=kvcrm_dumper_$$
roles+=("$dumper")
psql -X -q -d "$db" -c "CREATE ROLE $dumper LOGIN" -c "GRANT USAGE ON SCHEMA kvcrm TO $dumper" -c "GRANT SELECT ON ALL TABLES IN SCHEMA kvcrm TO $dumper"
pg_dump -U "$dumper" "$db" > "$scratch/dumper.sql" 2> "$scratch/dumper.err"
isnt $? 0 'a role under row-level security can not dump'
is "$(grep -c 'query would be affected by row-level security policy' "$scratch/dumper.err")" 1 'and pg_dump says why'
psql -X -q -d "$db" -c "ALTER ROLE $dumper BYPASSRLS"
pg_dump -U "$dumper" --data-only -n kvcrm "$db" > "$scratch/dumper.sql" 2> "$scratch/dumper.err"
ok $? 'with BYPASSRLS it can' "$scratch/dumper.err"
psql -X -q -d "$db" -c "DROP OWNED BY $dumper"

# A role that owns kvcrm and is no superuser restores the data.
owner=kvcrm_restorer_$$
roles+=("$owner")
psql -X -q -d postgres -c "CREATE ROLE $owner LOGIN SUPERUSER"
create "${db}_owner"
psql -X -q -U "$owner" -d "${db}_owner" -c 'CREATE EXTENSION kvcrm'
psql -X -q -d postgres -c "ALTER ROLE $owner NOSUPERUSER"
psql -X -q -U "$owner" -d "${db}_owner" -v ON_ERROR_STOP=1 -f "$scratch/dumper.sql" > "$scratch/owner.log" 2>&1
ok $? 'the owner of kvcrm, no superuser, restores data' "$scratch/owner.log"
equal "${db}_owner"
ok $? 'equal row for row' "$scratch/${db}_owner.diff"

# A column added to a table of the extension: its values are dumped, it is not.
create "${db}_column"
create "${db}_no_column"
psql -X -q -d "${db}_column" -c 'CREATE EXTENSION kvcrm' -c 'ALTER TABLE kvcrm.organizations ADD COLUMN mine int' -c "SELECT FROM kvcrm.create_organization('A', owner_id => gen_random_uuid())" > /dev/null
pg_dump "${db}_column" 2> /dev/null > "$scratch/column.sql"
psql -X -q -d "${db}_no_column" -f "$scratch/column.sql" > "$scratch/column.log" 2>&1
is "$(grep -c 'column "mine" of relation "organizations" does not exist' "$scratch/column.log")" 1 'a table with a column of yours does not load'
is "$(answer "${db}_column" 'SELECT problem FROM kvcrm.check_installation()')" 'column mine of kvcrm.organizations is not of the extension' 'check_installation() says so before'

# --- data only ---

create "${db}_data"
psql -X -q -d "${db}_data" -c 'CREATE EXTENSION kvcrm'
pg_dump --data-only --extension=kvcrm "$db" > "$scratch/data.sql" 2> "$scratch/data.err"
ok $? 'pg_dump --data-only' "$scratch/data.err"
psql -X -q -d "${db}_data" -v ON_ERROR_STOP=1 -f "$scratch/data.sql" > "$scratch/data.log" 2>&1
ok $? 'psql restores data into a new installation' "$scratch/data.log"
equal "${db}_data"
ok $? 'pg_dump --data-only | psql: equal row for row' "$scratch/${db}_data.diff"

# --- a second generation ---

create "${db}_again"
pg_dump "${db}_plain" 2> /dev/null | psql -X -q -d "${db}_again" -v ON_ERROR_STOP=1 > "$scratch/again.log" 2>&1
ok $? 'the restored database is dumped and restored' "$scratch/again.log"
equal "${db}_again"
ok $? 'still equal row for row' "$scratch/${db}_again.diff"

# --- without the gate ---

# A load that does not look like a restore is refused by the first rule it breaks, or is not what was dumped: so the
# comparisons above say something.
for setting in row_security check_function_bodies search_path; do
  create "${db}_no_$setting"
  case $setting in
    search_path) sed "s/^SELECT pg_catalog.set_config('search_path'.*/SET search_path = pg_catalog;/" "$scratch/plain.sql" ;;
    *) sed "s/^SET $setting = .*/SET $setting = on;/" "$scratch/plain.sql" ;;
  esac > "$scratch/no_gate.sql"
  cmp -s "$scratch/plain.sql" "$scratch/no_gate.sql"
  is $? 1 "the dump sets $setting"
  psql -X -q -d "${db}_no_$setting" -f "$scratch/no_gate.sql" > "$scratch/no_gate.log" 2>&1
  equal "${db}_no_$setting"
  is $? 1 "without $setting as dumps set it, triggers fire and rows differ"
  is "$(warnings "$scratch/no_gate.log")" 0 'and the gate stays shut'
done

# --- life goes on ---

restored=${db}_plain
is "$(answer "$restored" 'SELECT kvcrm.prepare_statements()' | wc -l)" "$(answer "$db" 'SELECT kvcrm.prepare_statements()' | wc -l)" \
  'every statement fits the restored tables'
is "$(answer "$restored" "
  BEGIN;
  SELECT set_config('kvcrm.user_id', user_id::text, true) IS NOT NULL FROM kvcrm.organization_members WHERE display_name = 'Роман';
  SELECT name, email, status, version FROM kvcrm.create_lead('  New  ', 'new@firm.example');
  SELECT count(*) FROM kvcrm.lead_stage_history h JOIN kvcrm.leads l ON l.id = h.lead_id WHERE l.name = 'New';
  SELECT count(*) FROM kvcrm.lead_fingerprints f JOIN kvcrm.leads l ON l.id = f.id WHERE l.name = 'New';
  SELECT g.action FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE l.name = 'New';
  ROLLBACK" | tr '\n' ' ')" 't New|new@firm.example|new|1 1 1 created ' 'triggers work in the restored database'
is "$(psql -X -q -A -t -v VERBOSITY=sqlstate -d "$restored" -c "INSERT INTO kvcrm.leads (organization_id, name)
    SELECT id, ' ' FROM kvcrm.organizations LIMIT 1" 2>&1)" 'ERROR:  23514' 'rules hold in the restored database'
is "$(psql -X -q -A -t -v VERBOSITY=sqlstate -d "$restored" -c "DELETE FROM kvcrm.activity_logs" 2>&1)" \
  'ERROR:  42501' 'the log is append-only in the restored database'
# The session that restored is no different once its settings are back.
create "${db}_session"
{ cat "$scratch/plain.sql"
  printf '%s\n' 'RESET ALL;' '\set VERBOSITY sqlstate' "UPDATE kvcrm.leads SET email = 'nonsense' WHERE deleted_at IS NULL AND merged_into_id IS NULL;"
} | psql -X -q -d "${db}_session" > "$scratch/session.log" 2>&1
is "$(grep -c 'ERROR:  23514' "$scratch/session.log")" 1 'the session that restored is watched again once its settings are reset'

# --- grants ---

missing="role $role lacks privileges of the API"
is "$(answer "$db" 'SELECT problem FROM kvcrm.check_installation()')" '' 'nothing is due in the dumped database'
is "$(answer "${db}_data" 'SELECT problem FROM kvcrm.check_installation()')" "$missing" 'grant_api is due where only data was restored'
create "${db}_no_acl"
pg_dump --no-privileges "$db" 2> /dev/null | psql -X -q -d "${db}_no_acl" > "$scratch/no_acl.log" 2>&1
is "$(answer "${db}_no_acl" 'SELECT problem FROM kvcrm.check_installation()')" "$missing" 'and where privileges were left out'
for name in "${db}_data" "${db}_no_acl"; do
  hint=$(answer "$name" 'SELECT hint FROM kvcrm.check_installation()')
  answer "$name" "$hint" > /dev/null
  is "$(answer "$name" 'SELECT problem FROM kvcrm.check_installation()')" '' 'its hint helps'
done
is "$(answer "$restored" 'SELECT problem FROM kvcrm.check_installation()')" '' 'a whole dump brings the grants'
acl="SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (
  SELECT c.relname || c.relacl::text FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace
  UNION ALL SELECT a.attrelid::regclass::text || a.attname || a.attacl::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   WHERE c.relnamespace = 'kvcrm'::regnamespace
  UNION ALL SELECT p.proname || p.proacl::text FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace
  UNION ALL SELECT n.nspacl::text FROM pg_namespace n WHERE n.nspname = 'kvcrm') AS _ (x)"
is "$(answer "$restored" "$acl")" "$(answer "$db" "$acl")" 'privileges are equal in the restored database'
is "$(answer "${db}_data" "$acl")" "$(answer "$db" "$acl")" 'and after grant_api'
answer "$restored" "SELECT kvcrm.grant_api('$role')" > /dev/null
is "$(answer "$restored" "$acl")" "$(answer "$db" "$acl")" 'running grant_api again changes nothing'
psql -X -q -d "$restored" -c "DROP OWNED BY $role"
is "$(answer "$restored" 'SELECT problem FROM kvcrm.check_installation()')" "$missing" 'revoked privileges are noticed'

done_testing
