#!/usr/bin/env bash
# Callers who interrupt what takes long, keep old snapshots, prepare transactions, roll back to savepoints and hold cursors
# (hostile.sql), on a server of its own. Nothing is half done, nothing of a call is left in the session, and the server's log
# knows of no crash and of no internal error.

if [[ -n ${INSTALLCHECK:-} ]]; then
  echo '1..0 # SKIP needs a server of its own'
  exit
fi

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" hostile
# shellcheck source=scripts/server
. ../../scripts/server

server=$ROOT/scripts/server
finish() {
  "$server" destroy test_hostile > /dev/null 2>&1
  rm -rf "$scratch"
}
trap finish EXIT
"$server" start test_hostile fsync=off full_page_writes=off synchronous_commit=off autovacuum=off jit=off max_connections=30 \
  max_prepared_transactions=10 'log_line_prefix=%p %e ' log_error_verbosity=terse > "$scratch/start.log" 2>&1
ok $? 'a server is started' "$scratch/start.log"
log=$(home test_hostile)/log
eval "$(server_env test_hostile)"
export PGOPTIONS='-c client_min_messages=warning'
psql -X -q -d postgres -c "CREATE DATABASE $db"

psql -X -q -A -t -d "$db" -f hostile.sql > "$scratch/out" 2> "$scratch/err"
ok $? 'hostile.sql ran to its end' "$scratch/err"
is "$(grep -E '(ERROR|FATAL|PANIC): ' "$scratch/err")" '' 'and met no error that it did not expect'
cat "$scratch/out"
tests=$((tests + $(grep -cE '^(not )?ok ' "$scratch/out")))

# Everything that a client may be told is told to a representative; nothing of it is about other people's rows.
psql -X -q -A -t -d "$db" -f hostile_messages.sql > "$scratch/told" 2>&1
ok $? 'statements of a representative ran with all messages on' "$scratch/told"
is "$(grep -cE ' (ERROR|WARNING|NOTICE|DEBUG): ' "$scratch/told" | awk '{ print ($1 > 30 ? "many" : $1) }')" many 'messages came'
# In plans texts are bytes.
is "$(grep -inE 'zsecret|122 (83|115) 101 99 114 101 116' "$scratch/told" | cut -c1-300 | head -n 5)" '' 'no message tells of a row that the caller does not see'

is "$(grep -E 'terminated by signal|PANIC|TRAP|FailedAssertion|(^| )XX[0-9]{3} |corrupt|could not (write|read|open)|not in progress|leak|snapshot .* still active' "$log" | head -n 10)" '' \
  'the log of the server knows of no crash, internal error or leak'
is "$(answer "$db" "SELECT count(*) FROM kvcrm.check_consistency()")" 0 'all is consistent'
is "$(answer "$db" "SELECT count(*) FROM pg_prepared_xacts")" 0 'no prepared transaction is left'

done_testing
