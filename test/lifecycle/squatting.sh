#!/usr/bin/env bash
# CREATE EXTENSION refuses a schema that somebody else owns or has filled, and a database it can't work in.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" squatting

squatter=kvcrm_squatter_$$
roles=("$squatter")

new_database() { psql -X -q -d postgres -c "DROP DATABASE IF EXISTS $db WITH (FORCE)" -c "CREATE DATABASE $db $*"; }

# install DESCRIPTION STATE [SQL ...]: in a new database runs the SQL, then CREATE EXTENSION, which ends in STATE.
install() {
  local description=$1 state=$2 sql
  shift 2
  new_database
  for sql; do psql -X -q -v ON_ERROR_STOP=1 -d "$db" -c "$sql" || ok 1 "prepare: $sql"; done
  refused "$description" "$state"
}

refused() {
  psql -X -q -v VERBOSITY=sqlstate -d "$db" -c 'CREATE EXTENSION kvcrm' > "$scratch/out" 2>&1
  is "$(sed -n 's/^ERROR:  //p' "$scratch/out")" "$2" "$1"
  if [[ -n $2 ]]; then
    is "$(answer "$db" "SELECT count(*) FROM pg_extension WHERE extname = 'kvcrm'")" 0 'and nothing is installed'
  fi
}

psql -X -q -d postgres -c "CREATE ROLE $squatter"

install 'a new schema' ''
install 'an empty schema of the installing role' '' 'CREATE SCHEMA kvcrm'
install 'a schema of somebody else' 42501 "CREATE SCHEMA kvcrm AUTHORIZATION $squatter"
install 'a function in the schema' 42710 'CREATE SCHEMA kvcrm' "CREATE FUNCTION kvcrm.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT NULL'"
install 'a table in the schema' 42710 'CREATE SCHEMA kvcrm' 'CREATE TABLE kvcrm.leads (id uuid)'
install 'a type in the schema' 42710 'CREATE SCHEMA kvcrm' "CREATE TYPE kvcrm.status AS ENUM ('new')"
install 'an operator in the schema' 42710 'CREATE SCHEMA kvcrm' 'CREATE OPERATOR kvcrm.=== (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = uuid_eq)'
install 'CREATE on the schema is for others too' '' 'CREATE SCHEMA kvcrm' "GRANT CREATE, USAGE ON SCHEMA kvcrm TO PUBLIC"
is "$(answer "$db" "SELECT has_schema_privilege('$squatter', 'kvcrm', 'CREATE') OR has_schema_privilege('$squatter', 'kvcrm', 'USAGE')")" f \
  'what PUBLIC had on the schema is taken back'
install 'CREATE on the schema for a role' 42501 'CREATE SCHEMA kvcrm' "GRANT CREATE ON SCHEMA kvcrm TO $squatter"

install 'ALTER DEFAULT PRIVILEGES' '' "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO $squatter" "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO $squatter"
is "$(answer "$db" "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('$squatter', oid, 'SELECT, INSERT'))
                         + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'kvcrm'::regnamespace AND has_function_privilege('$squatter', oid, 'EXECUTE'))")" 0 \
  'what they say is taken back too'

# Rights that the installing role gives on whatever it creates, mostly to roles of another application.
# shellcheck disable=SC2016
given="SELECT string_agg(x.name || ' ' || x.privilege_type, ', ') FROM
    (SELECT c.oid::regclass::text AS name, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'kvcrm'::regnamespace AND a.grantee <> c.relowner
     UNION ALL SELECT p.oid::regprocedure::text, a.privilege_type FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'kvcrm'::regnamespace AND a.grantee <> p.proowner
     UNION ALL SELECT 'schema', a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'kvcrm' AND a.grantee <> n.nspowner) x"
for place in '' 'IN SCHEMA kvcrm'; do
  install "default privileges ${place:-everywhere}" '' 'CREATE SCHEMA kvcrm' "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON TABLES TO $squatter WITH GRANT OPTION" \
    "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON FUNCTIONS TO $squatter" "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON TABLES TO PUBLIC" "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON FUNCTIONS TO PUBLIC"
  is "$(answer "$db" "$given")" '' 'give nobody anything on what is installed'
  # An update creates objects too.
  new_database
  psql -X -q -d "$db" -c "CREATE EXTENSION kvcrm VERSION '1.0.0'" -c "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON TABLES TO $squatter" \
    -c "ALTER DEFAULT PRIVILEGES $place GRANT ALL ON FUNCTIONS TO $squatter" -c 'ALTER EXTENSION kvcrm UPDATE' > "$scratch/out" 2>&1
  is "$(answer "$db" "$given")" '' 'nor what an update adds'
done
# Somebody who may create in the schema gets nothing run by the superuser who updates.
new_database
psql -X -q -v VERBOSITY=sqlstate -d "$db" -c "CREATE EXTENSION kvcrm VERSION '1.0.0'" -c "GRANT CREATE, USAGE ON SCHEMA kvcrm TO $squatter" -c "SET ROLE $squatter" \
  -c "CREATE FUNCTION kvcrm.shipped_parts() RETURNS TABLE (kind text, part_of text, name text, definition text) LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''ZZ001''; END'" \
  -c 'RESET ROLE' -c 'ALTER EXTENSION kvcrm UPDATE' > "$scratch/out" 2>&1
is "$(sed -n 's/^ERROR:  //p' "$scratch/out")" 55000 'a function that stands where an update has one is refused, not called'
install 'a schema that is for all by default' 42501 "ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO $squatter"
install 'a schema that all may use by default' '' 'ALTER DEFAULT PRIVILEGES GRANT USAGE, CREATE ON SCHEMAS TO PUBLIC'
is "$(answer "$db" "$given")" '' 'and then may not'

new_database "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
refused 'an encoding other than UTF8' 0A000

# The extension is for superusers: it is not trusted.
new_database "OWNER $squatter"
psql -X -q -v VERBOSITY=sqlstate -d "$db" -c "SET ROLE $squatter" -c 'CREATE EXTENSION kvcrm' > "$scratch/out" 2>&1
is "$(sed -n 's/^ERROR:  //p' "$scratch/out")" 42501 'the owner of a database who is no superuser can'"'"'t install it'

# What a hostile owner of schemas in front of the path leaves lying about doesn't get into the installation.
new_database
psql -X -q -v ON_ERROR_STOP=1 -d "$db" <<SQL
CREATE SCHEMA hostile AUTHORIZATION $squatter;
SET ROLE $squatter;
CREATE FUNCTION hostile.yes(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE OPERATOR hostile.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = hostile.yes);
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION hostile.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
RESET ROLE;
ALTER DATABASE $db SET search_path = hostile, pg_catalog;
SQL
psql -X -q -v ON_ERROR_STOP=1 -d "$db" -c 'CREATE EXTENSION kvcrm' > "$scratch/out" 2>&1
ok $? 'installed while a hostile schema goes first' "$scratch/out"
is "$(answer "$db" "SELECT count(*) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.nspname = 'hostile'
      WHERE (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid IN (SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid)
          OR d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.refobjid IN (SELECT o.oid FROM pg_catalog.pg_operator o WHERE o.oprnamespace = n.oid))
        AND d.classid <> 'pg_catalog.pg_operator'::pg_catalog.regclass")" 0 'nothing of the extension depends on it'
is "$(answer "$db" "SELECT (kvcrm.create_organization('x', owner_id => kvcrm.uuid_v7())).name")" x 'and it works there'

done_testing
