#!/usr/bin/env bash
# A new installation, one updated from 1.0.0, and dumps of both restored into a new one have the same catalog and, of
# the same rows, give the same answers.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" upgrade

old=1.0.0
role=kvcrm_upgrade_api_$$
roles=("$role")
version=$(answer postgres "SELECT default_version FROM pg_available_extensions WHERE name = 'kvcrm'")

# create NAME [SQL ...]
create() {
  local database=$1 sql
  shift
  psql -X -q -d postgres -c "CREATE DATABASE $database"
  for sql; do psql -X -q -d "$database" -v ON_ERROR_STOP=1 -c "$sql" || ok 1 "$sql"; done
}

catalog_of() { psql -X -d "$1" -f catalog.sql > "$scratch/$1.catalog" 2>&1; }

# Whether the catalogs of two databases are the same; $scratch/difference shows the first of what differs.
same_catalog() {
  catalog_of "$1" && catalog_of "$2" &&
    diff "$scratch/$1.catalog" "$scratch/$2.catalog" > "$scratch/difference"
}

same_answers() {
  local name
  for name; do psql -X -d "$name" -f answers.sql > "$scratch/$name.answers" 2>&1 || return; done
  diff "$scratch/$1.answers" "$scratch/$2.answers" > "$scratch/difference"
}

# The rows of every table in $tables, of which $columns were there in the old version.
old_rows_of() {
  local table
  while IFS='|' read -r table columns; do
    echo "== $table"
    answer "$1" "SELECT ROW($columns)::text FROM $table ORDER BY 1"
  done < "$scratch/tables"
}

# Every row; but when a role was granted the API, and when a row was derived again, are not the same.
rows_of() {
  local table row
  for table in $(answer "$1" "SELECT t::regclass FROM pg_extension, unnest(extconfig) AS t WHERE extname = 'kvcrm' ORDER BY t::regclass::text"); do
    row=t::text
    [[ $table != kvcrm.api_roles && $table != *_fingerprints ]] || row="to_jsonb(t) - 'updated_at'"
    echo "== $table"
    answer "$1" "SELECT $row FROM $table AS t ORDER BY 1"
  done
}

problems() { answer "$1" 'SELECT problem FROM kvcrm.check_installation()'; }

# Does what check_installation() says until it has nothing to say.
follow_hints() {
  local problem hint
  while IFS='|' read -r problem hint; do
    case $hint in
      SELECT\ kvcrm.grant_api*) answer "$1" "$hint" ;;
      SELECT\ kvcrm.rescore_leads*) until [[ $(answer "$1" 'SELECT kvcrm.rescore_leads(10000)') == 0 ]]; do :; done ;;
      SELECT\ kvcrm.refresh_derived*) until [[ $(answer "$1" 'SELECT kvcrm.refresh_derived(10000)') == 0 ]]; do :; done ;;
      *) echo "unknown hint: $problem: $hint" ;;
    esac
  done < <(answer "$1" 'SELECT problem, hint FROM kvcrm.check_installation()')
}

# --- four installations ---

psql -X -q -d postgres -c "CREATE ROLE $role"
sed "s/kvcrm_api_of_[0-9_]*/$role/g" "released/$old.sql" > "$scratch/dump.sql"

# An old one with rows in every table, as its own version wrote them.
create "${db}_updated" "CREATE EXTENSION kvcrm VERSION '$old'"
sed 's/^CREATE SCHEMA kvcrm;//' "$scratch/dump.sql" |
  PGOPTIONS="$PGOPTIONS -c session_replication_role=replica" psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 > "$scratch/load.log" 2>&1
ok $? "the rows of $old are loaded into an installation of $old" "$scratch/load.log"
answer "${db}_updated" "SELECT c.oid::regclass, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_extension e, unnest(e.extconfig) AS t JOIN pg_class c ON c.oid = t JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE e.extname = 'kvcrm' GROUP BY c.oid ORDER BY c.oid::regclass::text" > "$scratch/tables"
old_rows_of "${db}_updated" > "$scratch/old.rows"
is "$(grep -A1 '^==' "$scratch/old.rows" | grep -c '^(')" "$(wc -l < "$scratch/tables")" 'every table has rows'

# --- new files, old SQL ---

# The library of $version finds functions and tables that may have changed since: nothing of it runs, and the error says
# why. What an index, a default or check_installation() needs, and what is SQL, goes on.
goes_on=" derivation_version field_fits search_keys uuid_v7 "
while IFS='|' read -r name call; do
  psql -X -q -d "${db}_updated" -v VERBOSITY=verbose -c "$call" > "$scratch/call" 2>&1
  if [[ $goes_on == *" $name "* ]]; then
    ! grep -q 55000 "$scratch/call"
  else
    grep -q "^ERROR:  55000: kvcrm in this database is of version $old" "$scratch/call" && grep -q 'HINT:  ALTER EXTENSION kvcrm UPDATE$' "$scratch/call"
  fi || echo "$name"
done < <(answer "${db}_updated" "SELECT p.proname, format('SELECT %s(%s)', p.oid::regproc, (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes) AS t))
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'kvcrm'::regnamespace AND l.lanname = 'c' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)") > "$scratch/calls"
is "$(<"$scratch/calls")" '' 'before the update every function says what has to be done'
for write in "INSERT INTO kvcrm.leads (name) VALUES ('x')" "UPDATE kvcrm.leads SET name = 'x'" 'DELETE FROM kvcrm.lead_activities' "UPDATE kvcrm.organizations SET name = 'x'" \
    "INSERT INTO kvcrm.lead_activities (type) VALUES ('x')" "DELETE FROM kvcrm.activity_logs" "COPY kvcrm.teams (organization_id, name) FROM PROGRAM 'echo 00000000-0000-0000-0000-000000000000,x' (FORMAT csv)"; do
  is "$(psql -X -q -d "${db}_updated" -v VERBOSITY=sqlstate -c "$write" 2>&1)" 'ERROR:  55000' "refused before the update: $write"
done
is "$(psql -X -q -d "${db}_updated" -v VERBOSITY=sqlstate -c "SET ROLE $role" -c 'SELECT FROM kvcrm.leads' 2>&1)" 'ERROR:  55000' 'clients see no rows before the update, but an error'
is "$(answer "${db}_updated" 'SELECT hint FROM kvcrm.check_installation()' | head -n 1)" 'ALTER EXTENSION kvcrm UPDATE;' 'check_installation() says what is due first'
old_rows_of "${db}_updated" | diff "$scratch/old.rows" - > "$scratch/difference"
ok $? 'nothing has changed' "$scratch/difference"

# A session that was refused works as soon as another one has updated.
psql -X -q -A -t -d "${db}_updated" > "$scratch/session" 2>&1 <<SQL
\set VERBOSITY sqlstate
SELECT count(*) FROM kvcrm.list_leads(organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
\! psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c 'ALTER EXTENSION kvcrm UPDATE' && echo updated
SELECT count(*) FROM kvcrm.list_leads(organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
SQL
is "$(<"$scratch/session")" $'ERROR:  55000\nupdated\n1' 'ALTER EXTENSION kvcrm UPDATE; a session that was refused works at once'
is "$(answer "${db}_updated" "SELECT extversion FROM pg_extension WHERE extname = 'kvcrm'")" "$version" "it is of $version now"
old_rows_of "${db}_updated" > "$scratch/updated.rows"
diff "$scratch/old.rows" "$scratch/updated.rows" > "$scratch/difference"
ok $? 'the update keeps every row as it was' "$scratch/difference"

# The old dump, which says CREATE EXTENSION without a version.
create "${db}_old_dump"
psql -X -q -d "${db}_old_dump" -v ON_ERROR_STOP=1 -f "$scratch/dump.sql" > "$scratch/restore.log" 2>&1
ok $? "a dump of $old is restored where $version is installed" "$scratch/restore.log"
old_rows_of "${db}_old_dump" > "$scratch/old_dump.rows"
diff "$scratch/old.rows" "$scratch/old_dump.rows" > "$scratch/difference"
ok $? 'with every row as it was' "$scratch/difference"

# A new one.
create "${db}_fresh" 'CREATE EXTENSION kvcrm' "SELECT kvcrm.grant_api('$role')" > /dev/null

# --- what is due afterwards ---

for name in updated old_dump; do
  follow_hints "${db}_$name" > "$scratch/hints"
  is "$(problems "${db}_$name")" '' "$name: what check_installation() says to do leaves nothing to do"
done

# The updated one, dumped and restored.
pg_dump "${db}_updated" 2> /dev/null > "$scratch/new.sql"
create "${db}_new_dump"
psql -X -q -d "${db}_new_dump" -v ON_ERROR_STOP=1 -f "$scratch/new.sql" > "$scratch/restore.log" 2>&1
ok $? "a dump of the updated database is restored" "$scratch/restore.log"
is "$(problems "${db}_new_dump")" '' 'with all its grants'

# A function that the old version doesn't have: the role lacks it until grant_api runs again.
create "${db}_grants" "CREATE EXTENSION kvcrm VERSION '$old'" "SELECT kvcrm.grant_api('$role')" 'ALTER EXTENSION kvcrm DROP FUNCTION kvcrm.my_tasks' \
  'DROP FUNCTION kvcrm.my_tasks' 'ALTER EXTENSION kvcrm UPDATE' > /dev/null
is "$(answer "${db}_grants" "SELECT has_function_privilege('$role', 'kvcrm.my_tasks(timestamptz, uuid)', 'EXECUTE')")" f 'nobody was granted what an update adds'
for revoke in '' "REVOKE EXECUTE ON FUNCTION kvcrm.list_leads FROM $role" "REVOKE UPDATE (name) ON kvcrm.leads FROM $role" "REVOKE SELECT ON kvcrm.leads FROM $role" \
    "REVOKE USAGE ON SCHEMA kvcrm FROM $role" "DROP OWNED BY $role"; do
  psql -X -q -d "${db}_grants" -c "$revoke"
  is "$(problems "${db}_grants")" "role $role lacks privileges of the API" "grant_api is due after ${revoke:-the update}"
  follow_hints "${db}_grants" > "$scratch/hints"
  is "$(problems "${db}_grants")" '' 'and done'
done
same_catalog "${db}_fresh" "${db}_grants"
ok $? 'then the catalog is that of a new installation' "$scratch/difference"

# What was added before an update is still known as such after it, and after the next.
create "${db}_additions" "CREATE EXTENSION kvcrm VERSION '$old'" 'ALTER TABLE kvcrm.leads ADD COLUMN mine int' 'CREATE INDEX mine ON kvcrm.leads (mine)' \
  'CREATE POLICY mine ON kvcrm.leads USING (true)' 'ALTER EXTENSION kvcrm UPDATE'
is "$(problems "${db}_additions" | sort)" 'column mine of kvcrm.leads is not of the extension
index mine of kvcrm.leads is not of the extension
policy mine of kvcrm.leads is not of the extension' 'check_installation() tells what was there before the update from what it made'

# Indexes that the update would build may be there before it: those that are as they should be stay, others don't.
feed_index='CREATE INDEX CONCURRENTLY activity_logs_feed ON kvcrm.activity_logs (organization_id, feed_epoch, tx, id)'
inn_index='CREATE INDEX CONCURRENTLY leads_inn ON kvcrm.leads (organization_id, inn, email_normalized, phone_e164) WHERE inn IS NOT NULL'
grep -qF "$feed_index;" ../../docs/upgrade.md && grep -qF "$inn_index;" ../../docs/upgrade.md
ok $? 'docs/upgrade.md has the commands'
files="SELECT array_agg(relfilenode ORDER BY relname) FROM pg_class WHERE relname IN ('activity_logs_feed', 'leads_inn')"
create "${db}_built" "CREATE EXTENSION kvcrm VERSION '$old'" "$feed_index" "$inn_index"
built=$(answer "${db}_built" "$files")
answer "${db}_built" 'ALTER EXTENSION kvcrm UPDATE' > /dev/null
is "$(answer "${db}_built" "$files")" "$built" 'indexes that were built before the update are taken over'
create "${db}_wrong" "CREATE EXTENSION kvcrm VERSION '$old'" 'CREATE INDEX activity_logs_feed ON kvcrm.activity_logs (tx)' "$inn_index" \
  "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'kvcrm.leads_inn'::regclass" 'ALTER EXTENSION kvcrm UPDATE'
for name in built wrong; do
  answer "${db}_$name" "SELECT kvcrm.grant_api('$role')" > /dev/null
  is "$(problems "${db}_$name")" '' "$name before: check_installation() has nothing to say"
  same_catalog "${db}_fresh" "${db}_$name"
  ok $? "$name before: the catalog is that of a new installation" "$scratch/difference"
done

# --- they are the same ---

for name in updated old_dump new_dump; do
  same_catalog "${db}_fresh" "${db}_$name"
  ok $? "$name: the catalog is that of a new installation" "$scratch/difference"
done
isnt "$(wc -l < "$scratch/${db}_fresh.catalog")" 0 'catalogs have lines'
rows_of "${db}_updated" > "$scratch/updated.rows"
is "$(answer "${db}_updated" "SELECT count(*) FROM kvcrm.prepare_statements()")" "$(answer "${db}_fresh" "SELECT count(*) FROM kvcrm.prepare_statements()")" \
  'every statement fits the updated tables'
for name in old_dump new_dump; do
  rows_of "${db}_$name" > "$scratch/$name.rows"
  diff "$scratch/updated.rows" "$scratch/$name.rows" > "$scratch/difference"
  ok $? "$name: has the rows of the updated database" "$scratch/difference"
  same_answers "${db}_updated" "${db}_$name"
  ok $? "$name: gives the answers of the updated database" "$scratch/difference"
done
isnt "$(wc -l < "$scratch/${db}_updated.answers")" 0 'there are answers'
# The comparison sees differences.
answer "${db}_new_dump" "UPDATE kvcrm.leads SET company = 'Other' WHERE name = 'Свой'" > /dev/null
! same_answers "${db}_updated" "${db}_new_dump"
ok $? 'answers about other rows differ'
for change in 'ALTER TABLE kvcrm.leads ALTER name SET STATISTICS 500' 'COMMENT ON COLUMN kvcrm.leads.name IS NULL' \
    'ALTER TABLE kvcrm.leads DISABLE TRIGGER leads_before' "GRANT SELECT ON kvcrm.match_models TO $role" \
    'ALTER FUNCTION kvcrm.uuid_v7() COST 7' 'CREATE TABLE kvcrm.mine ()' 'DROP POLICY leads_select ON kvcrm.leads'; do
  { echo 'BEGIN;'; echo "$change;"; cat catalog.sql; } | psql -X -d "${db}_fresh" > "$scratch/changed.catalog" 2>&1
  ! diff -q "$scratch/${db}_fresh.catalog" "$scratch/changed.catalog" > /dev/null
  ok $? "a catalog shows: $change"
done

# --- an update may run again ---

# On Citus it runs on every node, and a restored dump may already have what it adds.
extension_directory=$(answer postgres "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")/extension
script="$extension_directory/kvcrm--$old--$version.sql"
there="$extension_directory/kvcrm--$version--$version.again.sql" back="$extension_directory/kvcrm--$version.again--$version.sql"
if ! { cp "$script" "$there" && cp "$script" "$back"; } 2> /dev/null; then
  echo "ok $((tests += 1)) - # SKIP the server's extension directory can't be written"
  done_testing
  exit
fi
trap 'rm -f "$there" "$back"; cleanup' EXIT

psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c "ALTER EXTENSION kvcrm UPDATE TO '$version.again'" -c "ALTER EXTENSION kvcrm UPDATE TO '$version'" > "$scratch/again.log" 2>&1
ok $? 'the update runs a second and a third time' "$scratch/again.log"
same_catalog "${db}_fresh" "${db}_updated"
ok $? 'and leaves the catalog as it was' "$scratch/difference"
rows_of "${db}_updated" | diff "$scratch/updated.rows" - > "$scratch/difference"
ok $? 'and the rows' "$scratch/difference"

# --- sessions that an update meets ---

# One with a plan of every statement, of whose library the database is no more, and then is again.
psql -X -q -A -t -d "${db}_updated" > "$scratch/session" 2>&1 <<SQL
\set VERBOSITY verbose
SELECT count(*) > 60 FROM kvcrm.prepare_statements();
SELECT kvcrm.count_leads(organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
\! psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c "ALTER EXTENSION kvcrm UPDATE TO '$version.again'"
SELECT kvcrm.count_leads(organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
\! psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c "ALTER EXTENSION kvcrm UPDATE TO '$version'"
SELECT kvcrm.count_leads(organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
SELECT name FROM kvcrm.create_lead('Planned', organization_id => (SELECT id FROM kvcrm.organizations WHERE locale = 'en'));
SELECT count(*) > 60 FROM kvcrm.prepare_statements();
SQL
is "$(grep -v LOCATION "$scratch/session")" "t
1
ERROR:  55000: kvcrm in this database is of version $version.again, the library of this session of $version
HINT:  Reconnect: kvcrm was updated while this session lasted.
1
Planned
t" 'a session with an older library is told to reconnect; plans survive an update'

# Writers go on while the database is updated again and again: each lead that was answered is there, whole.
organization=$(answer "${db}_updated" "SELECT id FROM kvcrm.organizations WHERE locale = 'en'")
for worker in 1 2 3; do
  { until [[ -e $scratch/stop ]]; do
      printf '%s\n' '\set VERBOSITY sqlstate'
      for _ in {1..50}; do echo "SELECT 'lead ' || id FROM kvcrm.create_lead('Writer $worker', organization_id => '$organization');"; done
    done | psql -X -q -A -t -d "${db}_updated" > "$scratch/writer.$worker" 2>&1; } &
  workers+=($!)
done
updates=0
for _ in {1..8}; do
  for to in "$version.again" "$version"; do
    # A deadlock with a writer is possible; whoever loses tries again.
    for _ in {1..20}; do
      if psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c "ALTER EXTENSION kvcrm UPDATE TO '$to'" > "$scratch/update.log" 2>&1; then updates=$((updates + 1)); break; fi
      grep -q 'deadlock detected' "$scratch/update.log" || break
    done
  done
done
touch "$scratch/stop"
wait "${workers[@]}"
workers=()
is "$updates" 16 'updates succeed under load'
cat "$scratch"/writer.* | sed -n 's/^lead //p' | sort > "$scratch/answered"
answer "${db}_updated" "SELECT l.id FROM kvcrm.leads l WHERE l.name LIKE 'Writer%'
     AND (SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id) = 1 AND (SELECT count(*) FROM kvcrm.lead_fingerprints f WHERE f.id = l.id) = 1
     AND (SELECT count(*) FROM kvcrm.activity_logs g WHERE g.entity_id = l.id) = 1" | sort > "$scratch/written"
diff "$scratch/answered" "$scratch/written" > "$scratch/difference"
ok $? "the leads that writers were answered are those that are there, with history, fingerprint and log" "$scratch/difference"
isnt "$(wc -l < "$scratch/answered")" 0 'there are some'
is "$(cat "$scratch"/writer.* | grep -v '^lead ' | grep -vE '^ERROR:  (55000|40P01)$' | sort | uniq -c)" '' 'the others were refused, for the version or a deadlock'
same_catalog "${db}_fresh" "${db}_updated"
ok $? 'the catalog is still that of a new installation' "$scratch/difference"

done_testing
