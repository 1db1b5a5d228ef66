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

rows_of() {
  local table
  for table in $(answer "$1" "SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'kvcrm' ORDER BY 1::text"); do
    echo "== $table"
    answer "$1" "SELECT t::text FROM $table AS t ORDER BY 1"
  done
}

problems() { answer "$1" 'SELECT problem FROM kvcrm.check_installation()'; }

# Does what check_installation() says until it has nothing to say.
follow_hints() {
  local problem hint
  while IFS='|' read -r problem hint; do
    case $hint in
      SELECT\ kvcrm.grant_api*) answer "$1" "$hint" ;;
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
psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c 'ALTER EXTENSION kvcrm UPDATE' > "$scratch/update.log" 2>&1
ok $? 'ALTER EXTENSION kvcrm UPDATE' "$scratch/update.log"
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
  # api_roles says when grant_api ran, derived rows when they were derived.
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
    'ALTER FUNCTION kvcrm.uuid_v7() COST 7' 'CREATE TABLE kvcrm.mine ()' 'DROP POLICY leads_read ON kvcrm.leads'; do
  { echo 'BEGIN;'; echo "$change;"; cat catalog.sql; } | psql -X -d "${db}_fresh" > "$scratch/changed.catalog" 2>&1
  ! diff -q "$scratch/${db}_fresh.catalog" "$scratch/changed.catalog" > /dev/null
  ok $? "a catalog shows: $change"
done

# --- an update may run again ---

# On Citus it runs on every node, and a restored dump may already have what it adds.
extension_directory=$(answer postgres "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")/extension
again="$extension_directory/kvcrm--$version--$version.again.sql"
if cp "$extension_directory/kvcrm--$old--$version.sql" "$again" 2> "$scratch/cp.log"; then
  psql -X -q -d "${db}_updated" -v ON_ERROR_STOP=1 -c "ALTER EXTENSION kvcrm UPDATE TO '$version.again'" > "$scratch/again.log" 2>&1
  ok $? 'the update runs a second time' "$scratch/again.log"
  rm -f "$again"
  catalog_of "${db}_updated"
  sed "s/^extension kvcrm $version.again /extension kvcrm $version /" "$scratch/${db}_updated.catalog" | diff "$scratch/${db}_fresh.catalog" - > "$scratch/difference"
  ok $? 'and leaves the catalog as it was' "$scratch/difference"
  rows_of "${db}_updated" | diff "$scratch/updated.rows" - > "$scratch/difference"
  ok $? 'and the rows' "$scratch/difference"
else
  echo "ok $((tests += 1)) - # SKIP the server's extension directory can't be written"
fi

done_testing
