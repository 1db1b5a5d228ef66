#!/usr/bin/env bash
# Sessions do everything at random (stress.sql) on a server of their own, which is treated badly meanwhile: backends are
# terminated and killed, the whole server is stopped at once and started again. Whatever a client was told is committed is
# there afterwards, nothing is half done, and the data is consistent.
#
#   KILL_ROUNDS=200 test/run test/lifecycle/kill-all.sh     a round: some terminations, then a crash of one kind or another

if [[ -n ${INSTALLCHECK:-} ]]; then
  echo '1..0 # SKIP needs a server of its own'
  exit
fi

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" kill_all
# shellcheck source=scripts/server
. ../../scripts/server

# Every so many rounds another database is begun, for what checks one takes longer the more is in it.
rounds=${KILL_ROUNDS:-6} rounds_of_one=4 sessions=6 seed=${SEED:-0.$RANDOM}
roles+=("${db}_client")
server=$ROOT/scripts/server
# With autovacuum, without whose statistics what looks at all rows takes longer and longer.
# What is told to be committed has been handed to the operating system, which outlives the processes; that would lose it only
# with the machine, against which fsync helps.
start() {
  "$server" start test_kill fsync=off full_page_writes=off synchronous_commit=on autovacuum_naptime=5s jit=off max_connections=60 \
    deadlock_timeout=100ms statement_timeout=600s
}
finish() {
  touch "$scratch/stop"
  ((${#workers[@]} == 0)) || kill "${workers[@]}" 2> /dev/null
  wait
  "$server" destroy test_kill > /dev/null 2>&1
  rm -rf "$scratch"
}
trap finish EXIT
start > "$scratch/start.log" 2>&1
ok $? 'a server is started' "$scratch/start.log"
eval "$(server_env test_kill)"
export PGOPTIONS='-c client_min_messages=warning'

# Everything at random, until somebody ends it.
work() {
  local n=0
  until [[ -e $scratch/stop ]]; do
    n=$((n + 1))
    { printf '\\set VERBOSITY verbose\n\\set ECHO errors\nSELECT setseed(%s);\n' "$(awk -v n="$1" -v m="$n" -v r="$round" -v s="$seed" 'BEGIN { print (n * 0.37 + m * 0.11 + r * 0.07 + s) % 1 }')"
      yes 'SELECT s FROM stress.next() AS s \gexec' | head -n 5000
    } | PGAPPNAME=kvcrm_worker PGOPTIONS='-c client_min_messages=error' psql -X -q -d "$db" > /dev/null 2>> "$scratch/$1.log"
    up
  done
}
# One thing after the other, and keeps a record of what it was told: each line an id that a committed transaction returned.
witness() {
  # In one line, of which head doesn't cut off a part.
  local statement="SELECT 'lead ' || l.id || ' ' || c.id || ' ' || q.id FROM (SELECT id FROM stress.homes ORDER BY id LIMIT 1) AS h,"
  statement+=" LATERAL kvcrm.create_lead('Witness', 'w' || gen_random_uuid() || '@w.example', on_duplicate => 'allow', organization_id => h.id) AS l,"
  statement+=" LATERAL kvcrm.qualify_lead(l.id) AS c, LATERAL kvcrm.create_quote_from_lead(l.id, 'Quote', 1) AS q;"
  until [[ -e $scratch/stop ]]; do
    { printf '\\set VERBOSITY verbose\n\\set ECHO errors\n'; yes "$statement" | head -n 5000; } |
      PGAPPNAME=kvcrm_worker PGOPTIONS='-c client_min_messages=error' psql -X -q -A -t -d "$db" >> "$scratch/told" 2>> "$scratch/witness.log"
    up
  done
}

psql -X -q -d postgres -c "CREATE ROLE ${roles[0]}"
# A database, and sessions at work in it.
begin() {
  rm -f "$scratch/stop"
  psql -X -q -d postgres -c "CREATE DATABASE $db"
  psql -X -q -v role="${roles[0]}" -d "$db" -f stress.sql >> "$scratch/setup.log" 2>&1 || return
  psql -X -q -d "$db" >> "$scratch/setup.log" 2>&1 <<'SQL' || return
UPDATE stress.settings SET deadline = 'infinity';
-- A session at work, null if there is none.
CREATE FUNCTION stress.worker() RETURNS int LANGUAGE sql VOLATILE AS $$
    SELECT pid FROM pg_stat_activity WHERE application_name = 'kvcrm_worker' AND datname = current_database() AND state = 'active' ORDER BY random() LIMIT 1 $$;
-- Terminates ten of them, one after the other; how many there were to terminate.
CREATE FUNCTION stress.terminate() RETURNS int LANGUAGE plpgsql AS $$
DECLARE terminated int := 0;
BEGIN
    FOR n IN 1 .. 10 LOOP
        PERFORM pg_sleep(random() / 10), pg_stat_clear_snapshot();
        IF pg_terminate_backend(stress.worker()) THEN terminated := terminated + 1; END IF;
    END LOOP;
    RETURN terminated;
END $$;
SQL
  for ((i = 1; i <= sessions; i++)); do work "$i" & workers+=($!); done
  witness & workers+=($!)
}

log=$(home test_kill)/log
# How often the server has noticed that a signal ended one of its processes.
noticed() { grep -cE 'was terminated by signal 9' "$log"; }
one() { answer "$db" 'SELECT stress.worker()' 2> /dev/null; }

# Terminates some sessions and then kills one, or stops the whole server at once.
maltreat() {
  local i pid
  terminated=$((terminated + $(answer "$db" 'SELECT stress.terminate()')))
  # Those that were terminated are gone by then.
  sleep "0.$((1 + RANDOM % 4))"
  if (($1 % 2)); then
    for ((i = 0; i < 20; i++)); do
      pid=$(one)
      [[ -z $pid ]] || break
    done
    if [[ -n $pid ]] && kill -KILL "$pid" 2> /dev/null; then
      killed=$((killed + 1))
      # Until then it answers, and ends whoever is asking.
      for ((i = 0; i < 600 && $(noticed) < killed; i++)); do sleep 0.05; done
    fi
  else
    "$server" stop test_kill immediate && stopped=$((stopped + 1))
    start 8>&- > "$scratch/start.log" 2>&1 || sed 's/^/# /' "$scratch/start.log"
  fi
}

# Ends the sessions and looks at what they left.
end() {
  end_workers kvcrm_worker
  # The last line may have been cut off by the end of its client.
  grep -E '^lead( [0-9a-f-]{36}){3}$' "$scratch/told" | sort -u > "$scratch/whole"
  rm "$scratch/told"
  told=$((told + $(wc -l < "$scratch/whole")))
  psql -X -q -A -t -d "$db" >> "$scratch/missing" 2>&1 <<SQL
CREATE TEMP TABLE told (what text, lead_id uuid, customer_id uuid, quote_id uuid);
\\copy told FROM '$scratch/whole' (DELIMITER ' ')
-- Others may have merged, reverted or deleted what was written since: the log tells that it was.
SELECT t.* FROM told t WHERE NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.entity_id = t.lead_id AND g.action = 'created')
    OR NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.entity_id = t.lead_id AND g.action = 'converted')
    OR NOT EXISTS (SELECT FROM kvcrm.leads l WHERE l.id = t.lead_id)
    OR NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.entity_id = t.customer_id AND g.action = 'created')
    OR NOT EXISTS (SELECT FROM kvcrm.activity_logs g WHERE g.entity_id = t.quote_id AND g.action = 'created');
SQL
  answer "$db" 'SELECT * FROM kvcrm.check_consistency()' >> "$scratch/inconsistent" 2>&1
  psql -X -q -d postgres -c "DROP DATABASE $db WITH (FORCE)"
}

terminated=0 killed=0 stopped=0 told=0 unlike=0
for ((round = 1; round <= rounds; round++)); do
  ((round % rounds_of_one != 1)) || begin || break
  maltreat "$round"
  up || break
  # In the middle of what the others go on doing.
  broken=$(answer "$db" 'SELECT count(*) FROM kvcrm.check_consistency()' 2>&1)
  [[ $broken == 0 ]] || { unlike=$((unlike + 1)); echo "# after crash $round: $broken"; }
  ((round % rounds_of_one != 0 && round < rounds)) || end
done

is $((round - 1)) "$rounds" "all rounds were gone through (seed $seed)"
[[ ! -s $scratch/setup.log ]] || sed 's/^/# /' "$scratch/setup.log"
ok $((terminated < rounds * 5)) "backends were terminated ($terminated of $((rounds * 10)))"
ok $((killed < rounds / 4)) "and killed ($killed)"
ok $((stopped < rounds / 2)) "the server was stopped at once ($stopped)"
is "$unlike" 0 'after each crash the data was consistent, and the server answered'
is "$(noticed), $(grep -cE 'was terminated by signal|PANIC|TRAP|exited with exit code [^1]' "$log")" "$killed, $killed" 'no other process ended by itself'
ok $((told < rounds * 5)) "clients were told of what they had committed ($told leads)"
is "$(wc -l < "$scratch/missing")" 0 'and all of it is there'
[[ ! -s $scratch/missing ]] || head -n 10 "$scratch/missing" | sed 's/^/# /'
is "$(wc -l < "$scratch/inconsistent")" 0 'what is left is consistent'
[[ ! -s $scratch/inconsistent ]] || head -n 20 "$scratch/inconsistent" | sed 's/^/# /'
# Losing the connection, and the errors of the contract, as in stress.sh.
errors "$scratch"/[0-9].log "$scratch/witness.log" |
  grep -vE '^(lost|PT404|PT409|42501|22023|22001|23514|23505|23502|23503|25P02|40P01|57P0[123]) ' | cut -c1-600 > "$scratch/unexpected"
is "$(wc -l < "$scratch/unexpected")" 0 'the clients met no other error'
[[ ! -s $scratch/unexpected ]] || sort "$scratch/unexpected" | uniq | head -n 20 | sed 's/^/# /'

done_testing
