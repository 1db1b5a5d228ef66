#!/usr/bin/env bash
# Logical replication to a second server that has kvcrm of its own: the initial copy and what follows arrive row for row,
# triggers do not fire a second time there, and after the cut-over the subscriber works as the publisher did.

if [[ -n ${INSTALLCHECK:-} ]]; then
  echo '1..0 # SKIP needs servers of its own'
  exit
fi

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" logical
# shellcheck source=scripts/server
. ../../scripts/server

publisher=test_publisher subscriber=test_subscriber
role=kvcrm_logical_api
server=$ROOT/scripts/server

on() { local name=$1; shift; (eval "$(server_env "$name")"; export PGOPTIONS='-c client_min_messages=warning'; "$@"); }
ask() { on "$1" psql -X -q -A -t -v ON_ERROR_STOP=1 -d crm -c "$2"; }

finish() {
  "$server" destroy $subscriber > /dev/null 2>&1
  "$server" destroy $publisher > /dev/null 2>&1
  cleanup
}
trap finish EXIT

# Until the subscription $1 (default: crm) has everything that the publisher has committed by now.
catch_up() {
  local position _
  position=$(ask $publisher 'SELECT pg_current_wal_insert_lsn()')
  for _ in {1..3000}; do
    [[ $(ask $publisher "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '${1:-crm}' AND replay_lsn >= '$position'") != t ]] || return 0
    sleep 0.1
  done
  return 1
}

# Until all tables are copied.
copied() {
  local _
  for _ in {1..3000}; do
    [[ $(on $subscriber answer "${1:-crm}" "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel") != t ]] || return 0
    sleep 0.1
  done
  return 1
}

tables=
rows_of() {
  local query='' table
  for table in $tables; do query+="SELECT '== $table' UNION ALL (SELECT t::text FROM $table AS t ORDER BY t::text COLLATE \"C\");"; done
  ask "$1" "$query"
}

# equal DESCRIPTION: every table has the same rows on both sides.
equal() {
  catch_up
  rows_of $publisher > "$scratch/publisher.rows"
  rows_of $subscriber > "$scratch/subscriber.rows"
  diff "$scratch/publisher.rows" "$scratch/subscriber.rows" > "$scratch/rows.diff"
  ok $? "$1" "$scratch/rows.diff" "$scratch/subscriber.log"
}

# --- two servers ---

settings=(fsync=off synchronous_commit=off shared_buffers=16MB max_connections=40 autovacuum=off jit=off)
{ "$server" start $publisher wal_level=logical max_wal_senders=10 max_replication_slots=10 "${settings[@]}" &&
  "$server" start $subscriber wal_retrieve_retry_interval=500ms "${settings[@]}" &&
  on $publisher psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "CREATE ROLE $role" -c 'CREATE DATABASE crm' &&
  on $publisher psql -X -q -d crm -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION kvcrm' -v api_role=$role -f rows.sql &&
  on $subscriber psql -X -q -d postgres -v ON_ERROR_STOP=1 -c 'CREATE DATABASE crm' &&
  on $subscriber psql -X -q -d crm -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION kvcrm'
} > "$scratch/servers.log" 2>&1
ok $? 'a publisher with rows in every table, and an empty subscriber' "$scratch/servers.log"
tables=$(ask $publisher "SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'kvcrm' ORDER BY 1")
# An UPDATE or DELETE that is published names its row by that.
is "$(ask $publisher "SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
      AND NOT (c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))")" '' 'every table has a primary key for replica identity'

# --- the initial copy ---

# IN SCHEMA leaves out nothing that a later version adds.
{ on $publisher psql -X -q -d crm -v ON_ERROR_STOP=1 -c 'CREATE PUBLICATION crm FOR TABLES IN SCHEMA kvcrm' &&
  on $subscriber psql -X -q -d crm -v ON_ERROR_STOP=1 -c "CREATE SUBSCRIPTION crm CONNECTION 'host=$(socket_dir $publisher) port=5432 user=postgres dbname=crm' PUBLICATION crm"
} > "$scratch/subscription.log" 2>&1
ok $? 'the schema is published and subscribed to' "$scratch/subscription.log"
copied
cp "$(home $subscriber)/log" "$scratch/subscriber.log"
equal 'the initial copy: equal row for row'

# --- what follows ---

organization=$(ask $publisher "SELECT id FROM kvcrm.organizations WHERE name = 'Ромашка'")
system="SELECT set_config('kvcrm.organization_id', '$organization', false);"
# change DESCRIPTION SQL: written on the publisher, arrives.
change() {
  ask $publisher "$system $2" > "$scratch/change" 2>&1
  ok $? "$1" "$scratch/change"
  equal "$1: arrives, and nothing else changes"
}

change 'a new lead' "SELECT kvcrm.create_lead('Первый', 'first@logical.example', '8 495 000-11-22', 'ООО Логика', custom_fields => '{\"budget\": 5}');
  SELECT kvcrm.create_lead('Второй', 'second@logical.example', company => 'ООО Логика');
  SELECT kvcrm.create_lead('Третий ' || i, company => 'ООО Логика', inn => '7707083893') FROM generate_series(1, 3) AS i"
first="(SELECT id FROM kvcrm.leads WHERE name = 'Первый')" second="(SELECT id FROM kvcrm.leads WHERE name = 'Второй')"
change 'updates, moves, activities' "UPDATE kvcrm.leads SET name = upper(name), estimated_value = 7 WHERE organization_id = '$organization' AND deleted_at IS NULL AND converted_at IS NULL AND merged_into_id IS NULL AND name LIKE 'Лид%';
  SELECT kvcrm.move_lead($second, (SELECT id FROM kvcrm.lead_stages WHERE organization_id = '$organization' AND order_index = 2));
  SELECT kvcrm.log_activity($first, 'task', 'Позвонить'); SELECT kvcrm.log_activity($second, 'note', 'Заметка');
  SELECT kvcrm.delete_activity(id) FROM kvcrm.lead_activities WHERE lead_id = $first"
change 'a merge' "SELECT kvcrm.merge_leads($first, ARRAY[$second])"
change 'its undoing' "SELECT kvcrm.undo_merge(id) FROM kvcrm.lead_merges WHERE survivor_id = $first"
change 'a conversion with a quote, deletion, erasure' "SELECT kvcrm.create_quote_from_lead($first, 'КП', 100); SELECT kvcrm.qualify_lead($second);
  SELECT kvcrm.delete_lead(id) FROM kvcrm.leads WHERE name = 'Третий 1'; SELECT kvcrm.erase_lead(id) FROM kvcrm.leads WHERE name = 'Третий 2'"
change 'an organization, a member, a role, a stage' "SELECT kvcrm.create_organization('Новая', owner_id => gen_random_uuid());
  SELECT kvcrm.add_member(gen_random_uuid(), 'sales_team'); UPDATE kvcrm.roles SET permissions = permissions || '{quotes:create}' WHERE slug = 'analyst';
  INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) VALUES ('$organization', 'Ещё одна', 9); DELETE FROM kvcrm.lead_stages WHERE name = 'Ещё одна'"
change 'an import, a scan, what is rolled back' "SELECT count(*) FROM kvcrm.import_leads((SELECT jsonb_agg(jsonb_build_object('name', 'Импорт ' || i)) FROM generate_series(1, 200) AS i));
  SELECT kvcrm.scan_duplicates(); BEGIN; SELECT kvcrm.create_lead('Не будет'); ROLLBACK"
is "$(ask $subscriber "SELECT count(*) FROM kvcrm.leads WHERE name = 'Не будет'")" 0 'what is rolled back does not arrive'
is "$(ask $subscriber 'SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0 OR sync_error_count > 0')" 0 'nothing had to be tried twice'

# --- what is not replicated ---

is "$(ask $subscriber 'SELECT problem FROM kvcrm.check_installation()')" "role $role was granted the API but does not exist in this cluster" 'check_installation() tells of the role that is missing'
answer_of=$(ask $subscriber 'SELECT hint FROM kvcrm.check_installation()')
ask $subscriber "$answer_of" > "$scratch/hint" 2>&1
is "$(ask $subscriber 'SELECT problem FROM kvcrm.check_installation()')" '' 'and its hint helps'
catch_up
# grant_api notes the role in a table that is replicated: made on the subscriber, the note differs, and no more comes of it.
ask $publisher "SELECT kvcrm.grant_api('$role')" > "$scratch/grant" 2>&1
equal 'a role granted on both sides is no conflict'
# The other way round it is one: whatever is written on the subscriber first stops what comes.
other=kvcrm_logical_other
for name in $subscriber $publisher; do ask $name "CREATE ROLE $other; SELECT kvcrm.grant_api('$other')" > "$scratch/grant" 2>&1; done
for _ in {1..1000}; do
  [[ $(ask $subscriber 'SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0') != 1 ]] || break
  sleep 0.1
done
is "$(ask $subscriber 'SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0')" 1 'a role granted on the subscriber first is one'
ask $subscriber "DELETE FROM kvcrm.api_roles WHERE role_name = '$other'"
equal 'which ends when its note is deleted there'
user=$(ask $publisher "SELECT user_id FROM kvcrm.organization_members WHERE display_name = 'Мария'")
read="SET ROLE $role; SET kvcrm.user_id = '$user'; SELECT id, name, status FROM kvcrm.list_leads(page_size => 200); SELECT stage_name, lead_count, totals FROM kvcrm.pipeline_board(); SELECT count(*) FROM kvcrm.leads"
is "$(ask $subscriber "$read" | md5sum)" "$(ask $publisher "$read" | md5sum)" 'the API reads the same on both sides'
isnt "$(ask $subscriber "$read" | wc -l)" 1 'and there is something to read'
check='SELECT * FROM kvcrm.check_consistency() AS c ORDER BY c::text'
is "$(ask $subscriber "$check")" "$(ask $publisher "$check")" 'check_consistency() finds the same on both sides'

# --- an older version on the publisher ---

for name in $publisher $subscriber; do on $name psql -X -q -d postgres -c 'CREATE DATABASE old'; done
# The library of today refuses to work on tables of 1.0.0; rows of it are written past the triggers.
team() { on $publisher answer old "SET session_replication_role = replica; INSERT INTO kvcrm.teams (organization_id, name) SELECT id, '$1' FROM kvcrm.organizations"; }
{ on $publisher psql -X -q -d old -v ON_ERROR_STOP=1 -c "CREATE EXTENSION kvcrm VERSION '1.0.0'" -c 'CREATE PUBLICATION old FOR TABLES IN SCHEMA kvcrm' \
    -c 'SET session_replication_role = replica' -c "INSERT INTO kvcrm.organizations (name) VALUES ('Old')" &&
  team 'before' &&
  on $subscriber psql -X -q -d old -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION kvcrm' -c "CREATE SUBSCRIPTION old CONNECTION 'host=$(socket_dir $publisher) port=5432 user=postgres dbname=old' PUBLICATION old" &&
  copied old && team 'between' &&
  on $publisher psql -X -q -d old -v ON_ERROR_STOP=1 -c 'ALTER EXTENSION kvcrm UPDATE' &&
  on $subscriber psql -X -q -d old -v ON_ERROR_STOP=1 -c 'ALTER SUBSCRIPTION old REFRESH PUBLICATION' &&
  copied old && team 'after' && catch_up old
} > "$scratch/old.log" 2>&1
ok $? 'a publisher of version 1.0.0 is updated after its subscriber' "$scratch/old.log"
is "$(on $subscriber answer old "SELECT string_agg(t.name || ' ' || o.name, ', ' ORDER BY t.id) FROM kvcrm.teams t JOIN kvcrm.organizations o ON o.id = t.organization_id")" \
  'before Old, between Old, after Old' 'and everything arrives'

# --- cut-over ---

"$server" stop $publisher
{ ask $subscriber 'ALTER SUBSCRIPTION crm DISABLE' && ask $subscriber 'ALTER SUBSCRIPTION crm SET (slot_name = NONE)' && ask $subscriber 'DROP SUBSCRIPTION crm'
} > "$scratch/cut-over.log" 2>&1
ok $? 'the subscription is dropped' "$scratch/cut-over.log"
is "$(ask $subscriber "SET ROLE $role; SET kvcrm.user_id = '$user';
  SELECT name, version FROM kvcrm.create_lead('После', 'after@logical.example', company => 'Логика', custom_fields => '{\"budget\": 1}');
  SELECT c.name FROM kvcrm.leads l, LATERAL kvcrm.qualify_lead(l.id) c WHERE l.email = 'after@logical.example';
  SELECT status FROM kvcrm.leads WHERE email = 'after@logical.example'" | tr '\n' ' ')" 'После|1 После converted ' 'the subscriber writes'
is "$(ask $subscriber "SELECT string_agg(action, ' ' ORDER BY g.id) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE l.email = 'after@logical.example'")" \
  'created converted' 'once each, as its log says'
is "$(on $subscriber psql -X -q -A -t -v VERBOSITY=sqlstate -d crm -c "INSERT INTO kvcrm.leads (organization_id, name) VALUES ('$organization', ' ')" -c 'DROP EXTENSION kvcrm' 2>&1 | tr '\n' ' ')" \
  'ERROR:  23514 ERROR:  55000 ' 'the rules hold there'

done_testing
