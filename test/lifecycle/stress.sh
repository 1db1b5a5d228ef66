#!/usr/bin/env bash
# Eight sessions call all functions of the API at random, and write directly, as members of every role and as the system,
# on few leads of few organizations: every error is one of the contract, and what is left is consistent.
#
#   STRESS_SECONDS=60 SEED=0.5 STRESS_KEEP=directory test/run test/lifecycle/stress.sh
#
# A seed gives each session the same random numbers again, but not the same moments. STRESS_KEEP keeps all errors.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" stress

sessions=8 seconds=${STRESS_SECONDS:-20} seed=${SEED:-0.$RANDOM}
roles+=("${db}_client")

psql -X -q -d postgres -c "CREATE DATABASE $db" -c "CREATE ROLE ${roles[0]}"
# One who waits for what another waits for is told soon; nobody waits for ever.
psql -X -q -d postgres -c "ALTER DATABASE $db SET deadlock_timeout = '100ms'" -c "ALTER DATABASE $db SET statement_timeout = '600s'"
psql -X -q -v role="${roles[0]}" -d "$db" -f stress.sql > "$scratch/setup.log" 2>&1
ok $? "a database is set up (seed $seed)" "$scratch/setup.log"

# Statements that failed stand before their errors: \errverbose's form, with the SQLSTATE.
work() {
  { printf '\\set VERBOSITY verbose\n\\set ECHO errors\nSELECT setseed(%s);\n' "$(awk -v n="$1" -v s="$seed" 'BEGIN { print (n * 0.37 + s) % 1 }')"
    # The last one repeats its reads.
    (($1 < sessions)) || echo "SET default_transaction_isolation = 'repeatable read';"
    until [[ -e $scratch/stop ]]; do
      for _ in {1..50}; do echo 'SELECT s FROM stress.next() AS s \gexec'; done
    done
  } | PGOPTIONS='-c client_min_messages=error' psql -X -q -d "$db" > /dev/null 2> "$scratch/$1.log"
}
answer "$db" "UPDATE stress.settings SET deadline = 'infinity'"
for ((i = 1; i <= sessions; i++)); do work "$i" & workers+=($!); done
sleep "$seconds"
# What is rare takes longer on a machine that has other things to do.
seen() { [[ $(answer "$db" "SELECT EXISTS (SELECT FROM kvcrm.$1)") == t ]]; }
for _ in {1..1500}; do
  { seen 'lead_conversions WHERE reverted_at IS NOT NULL' && seen 'lead_merges WHERE undone_at IS NOT NULL'; } && break
  sleep 1
done
answer "$db" "UPDATE stress.settings SET deadline = '-infinity'"
touch "$scratch/stop"
wait "${workers[@]}"
workers=()

errors "$scratch"/[0-9].log > "$scratch/errors"
transactions=$(answer "$db" "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '$db'")
deadlocks=$(grep -c '^40P01' "$scratch/errors")
echo "# $transactions transactions in $SECONDS s; errors: $(cut -c1-5 "$scratch/errors" | sort | uniq -c | awk '{ printf "%s %s, ", $2, $1 }')deadlocks $deadlocks"

# 23502, 23503: what a row refers to is not said, or is not there. 25P02: the rest of a transaction that failed. 40001: of the
# session that repeats its reads. 40P01: where the documentation says so, to be repeated.
grep -vE '^(PT404|PT409|42501|22023|22001|23514|23505|23502|23503|25P02|40P01) |^40001 8' "$scratch/errors" | cut -c1-600 > "$scratch/unexpected"
is "$(wc -l < "$scratch/unexpected")" 0 'every error is one of the contract'
[[ ! -s $scratch/unexpected ]] || sort "$scratch/unexpected" | uniq | head -n 40 | sed 's/^/# /'
[[ -z ${STRESS_KEEP:-} ]] || cp "$scratch"/[0-9].log "$scratch/errors" "$STRESS_KEEP"
seen 'lead_conversions WHERE reverted_at IS NOT NULL'
ok $? 'conversions were made and taken back'
seen 'lead_merges WHERE undone_at IS NOT NULL'
ok $? 'merges were made and undone'
answer "$db" 'SELECT * FROM kvcrm.check_consistency()' > "$scratch/inconsistent" 2>&1
is "$(wc -l < "$scratch/inconsistent")" 0 'what is left is consistent'
[[ ! -s $scratch/inconsistent ]] || head -n 40 "$scratch/inconsistent" | sed 's/^/# /'

done_testing
