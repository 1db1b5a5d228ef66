#!/usr/bin/env bash
# Every two of the API's writing functions and direct writes that can meet on a row, in both orders: a second session calls
# its function while the first one's transaction is open, which then commits or rolls back. What the two get and what is
# left is as if one had run after the other (or as if the first had never been), every error is one of the contract, and
# what is left is consistent. Then with the first one stopped in the middle, after its first write of a table: neither
# is ended as a deadlock. A function that is new must be listed in races.sql.
#
#   RACES=all test/run test/lifecycle/races.sh       all pairs, on leads in every state, too (15 minutes of one processor)
#   RACES='^merge' test/run test/lifecycle/races.sh  all pairs that have such a function
#   RACES_SECONDS=45 RACES_SEED=1 ...                else as many pairs as fit into the time, in an order by the seed

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" races

roles+=("${db}_client")
lanes=2 seed=${RACES_SEED:-1} seconds=${RACES_SECONDS:-45}
case ${RACES:-} in
  '') everything=false names=NULL ;;
  all) everything=true names=NULL seconds=36000 ;;
  *) everything=true names="'${RACES//\'/}'" seconds=36000 ;;
esac

psql -X -q -d postgres -c "CREATE DATABASE $db" -c "CREATE ROLE ${roles[0]}"
{ psql -X -q -v ON_ERROR_STOP=1 -d "$db" -c 'CREATE EXTENSION kvcrm' &&
  psql -X -q -v ON_ERROR_STOP=1 -v role="${roles[0]}" -d "$db" -f races.sql &&
  psql -X -q -v ON_ERROR_STOP=1 -d "$db" -c 'CALL race.run_alone()'; } > "$scratch/setup.log" 2>&1
ok $? "a database is set up (seed $seed)" "$scratch/setup.log"
is "$(answer "$db" 'SELECT what FROM race.forgotten ORDER BY what')" '' 'every writing function and every direct write of the API is tried'

# A database for each lane, since some lock tables.
databases=("$db")
for ((lane = 1; lane < lanes; lane++)); do
  psql -X -q -d postgres -c "CREATE DATABASE ${db}_$lane TEMPLATE $db"
  databases+=("${db}_$lane")
done
for database in "${databases[@]}"; do
  psql -X -q -d "$database" -c "ALTER DATABASE $database SET deadlock_timeout = '50ms'" -c "ALTER DATABASE $database SET plan_cache_mode = force_generic_plan" \
    -c "ALTER DATABASE $database SET jit = off" -c "DO \$\$ BEGIN EXECUTE format('ALTER DATABASE %I SET kvcrm.organization_id = %L', current_database(), race.id('org')); END \$\$"
done
for ((lane = 0; lane < lanes; lane++)); do
  psql -X -q -d "${databases[lane]}" -v ON_ERROR_STOP=1 -c "CALL race.run($lane, $lanes, $everything, $names, '$seed', '$seconds s')" \
    -c 'CALL race.add_pauses()' -c "CALL race.run_paused($lane, $lanes, $everything, $names, '$seed', '$((seconds / 4)) s')" > "$scratch/run.$lane" 2>&1 &
  workers+=($!)
done
for ((lane = 0; lane < lanes; lane++)); do
  wait "${workers[lane]}"
  ok $? "lane $lane runs to its end" "$scratch/run.$lane"
done
workers=()

# Diagnostics, and what test/run prints of a test that passes, too.
for ((lane = 0; lane < lanes; lane++)); do
  answer "${databases[lane]}" "SELECT place || ': ' || count(DISTINCT least(first, second) || ',' || greatest(first, second)) || ' pairs, '
    || count(DISTINCT first || ',' || second) || ' orders, ' || count(*) FILTER (WHERE way = 'commit' AND waited) || ' of them waited' FROM race.outcomes WHERE way <> 'serial' GROUP BY place ORDER BY place
    " | sed "s/^/# lane $lane, /"
  answer "${databases[lane]}" "SELECT '# lane $lane, stopped in the middle: ' || count(*) || ', second waited in ' || count(*) FILTER (WHERE waited) FROM race.pauses"
  is "$(answer "${databases[lane]}" 'SELECT count(*) FROM race.wrong')" 0 "as in one order or the other (lane $lane)"
  answer "${databases[lane]}" 'SELECT race.explain(w) FROM race.wrong w ORDER BY w.place, w.first, w.second LIMIT 12' | cut -c1-240 | sed 's/^/# /'
  is "$(answer "${databases[lane]}" "SELECT place || ': ' || first || ' ' || way || ', ' || second || ': ' || coalesce(inconsistent, left(first_result, 100) || ' / ' || left(second_result, 100))
    FROM race.pauses WHERE first_result ~ '^ERROR (40|XX)' OR second_result ~ '^ERROR (40|XX)' OR inconsistent IS NOT NULL ORDER BY 1 LIMIT 20")" '' "no deadlock when one stops in the middle (lane $lane)"
done

done_testing
