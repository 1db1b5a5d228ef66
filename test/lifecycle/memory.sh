#!/usr/bin/env bash
# A long session keeps its memory flat: one backend calls every function of the API again and again, with what succeeds and
# what is refused, each call in a transaction of its own and then many in one, and looks how much memory each left in use.
#
#   MEMORY_CALLS=1000000 test/run test/lifecycle/memory.sh     how many calls in all; MEMORY_ONLY=name of a function
#
# MEMORY_KEEP=file keeps the figures: per call, kind (or "in one transaction"), bytes.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" memory

calls=${MEMORY_CALLS:-6000} batches=5
# Bytes a call may leave: nothing but what happens to be in caches.
bound=16
# Bytes a call may need until its transaction ends: PostgreSQL keeps sub-transactions, locks and what triggers have to
# do later.
bound_inside=4096

psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$db" -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION kvcrm' -f memory.sql > "$scratch/setup.log" 2>&1
ok $? 'a database is set up' "$scratch/setup.log"

psql -X -q -A -t -F $'\t' -d "$db" -c "SELECT n, name, kind, replace(statement, E'\\n', ''' || chr(10) || ''') FROM test.calls
  WHERE '${MEMORY_ONLY:-}' IN ('', name) OR kind = 'leaking' ORDER BY n" > "$scratch/calls"
many=$(wc -l < "$scratch/calls")

session() {
  { echo "SET ROLE kvcrm_test_client;"
    echo "SELECT set_config('request.jwt.claims', json_build_object('sub', test.id('owner'))::text, false) IS NOT NULL;"
    cat
  } | PGOPTIONS='-c client_min_messages=error' psql -X -q -A -t -v VERBOSITY=sqlstate -d "$db"
}

# How many calls a batch has: of few alike, the more of a long run are of what is quick.
psql -X -q -A -t -d "$db" -c "SELECT format('SELECT concat_ws('' '', ''cost'', %s, test.cost(%L));', n, statement) FROM test.calls" | session | awk '$1 == "cost" { print $2, $3 }' > "$scratch/costs"
awk -v batch=$((calls / (batches + 1))) '
  FILENAME == ARGV[1] { cost[$1] = $2; next }
  { line[++many] = $0; split($0, f, "\t"); weight[many] = 1 / (cost[f[1]] + 300); sum += weight[many] }
  END {
    size = batch / many; least = size / 10 > 4 ? size / 10 : 4
    if (least > size) least = size
    for (i = 1; i <= many; i++) { n = int(least + (batch - many * least) * weight[i] / sum); print line[i] "\t" (n < 1 ? 1 : n) }
  }' "$scratch/costs" "$scratch/calls" > "$scratch/sized"
mv "$scratch/sized" "$scratch/calls"
total=$(awk -F '\t' -v batches=$batches '{ n += $5 * (batches + 1) + 8 } END { print n }' "$scratch/calls")

# What the calls of $1 (lines: number, name, kind, statement, calls in a batch) leave behind, in batches $2 times as large:
# number, name, kind, bytes per call.
# Every call some times, so that its statements are prepared; then in batches, with a look at the memory after each.
# A call and its BEGIN go in one message; an error ends the message, hence a ROLLBACK in the next.
measure() {
  awk -F '\t' -v batches=$batches -v times="$2" '
    function run(times, i) { for (i = 0; i < times; i++) print (kind == "committed" ? "" : "BEGIN \\; ") statement ";" (kind == "committed" ? "" : "\nROLLBACK;") }
    { n[NR] = $1; kinds[NR] = $3; statements[NR] = $4; sizes[NR] = $5 * times }
    function look(batch) { print "SELECT test.figures(" number ", " batch ");" }
    END {
      for (pass = 0; pass < 2; pass++) {
        if (pass) print "SELECT test.resident();"
        for (c = 1; c <= NR; c++) {
          number = n[c]; kind = kinds[c]; statement = statements[c]; size = sizes[c]
          if (!pass) { run(8); continue }
          run(size); look(0)
          for (batch = 1; batch <= batches; batch++) { run(size); look(batch) }
        }
      }
      print "SELECT test.resident();"
    }' "$1" | session > "$scratch/figures" 2>> "$scratch/errors"
  # Of the batches, the one in the middle, since caches grow and shrink at times.
  awk -v times="$2" -v batches=$batches '
    FILENAME != ARGV[2] { split($0, f, "\t"); name[f[1]] = f[2]; kind[f[1]] = f[3]; size[f[1]] = f[5] * times; order[++many] = f[1]; next }
    $1 == "figures" { used[$2, $3] = $4 }
    END {
      for (o = 1; o <= many; o++) {
        n = order[o]
        for (b = 1; b <= batches; b++) grown[b] = ((n, b) in used && (n, b - 1) in used) ? used[n, b] - used[n, b - 1] : 1e12
        for (i = 1; i <= batches; i++) for (j = i + 1; j <= batches; j++) if (grown[j] < grown[i]) { t = grown[i]; grown[i] = grown[j]; grown[j] = t }
        printf "%s\t%s\t%s\t%.1f\n", n, name[n], kind[n], grown[int((batches + 1) / 2)] / size[n]
      }
    }' "$1" "$scratch/figures"
}

measure "$scratch/calls" 1 > "$scratch/growth"
read -r -d '' before after < <(awk '$1 == "resident" { print $2 }' "$scratch/figures" | tr '\n' ' '; printf '\0') || true
# What a library keeps once weighs much in a batch of few calls: those that seem to leave something are called more often.
awk -F '\t' -v bound=$bound 'FILENAME == ARGV[1] { if ($4 > bound && $3 != "leaking") suspected[$1]; next } $1 in suspected' \
  "$scratch/growth" "$scratch/calls" > "$scratch/suspected"
if [[ -s $scratch/suspected ]]; then
  measure "$scratch/suspected" 20 > "$scratch/again"
  sed 's/^/# measured again: /' "$scratch/again"
  awk -F '\t' 'FILENAME == ARGV[1] { again[$1] = $0; next } { print $1 in again ? again[$1] : $0 }' \
    "$scratch/again" "$scratch/growth" > "$scratch/growth.new"
  mv "$scratch/growth.new" "$scratch/growth"
fi
is "$(wc -l < "$scratch/growth")" "$many" 'every call was measured'
awk -F '\t' -v bound=$bound '$4 > bound && $3 != "leaking"' "$scratch/growth" > "$scratch/leaks"
is "$(awk -F '\t' -v bound=$bound '$3 == "leaking" { print ($4 > bound) }' "$scratch/growth")" 1 'what is known to leave something behind is seen to'
is "$(wc -l < "$scratch/leaks")" 0 "no call leaves more than $bound bytes behind, of $total calls in one session"
sed 's/^/# /' "$scratch/leaks" | head -n 60
echo "# memory of the process: $before KiB after 8 calls of each, $after KiB at the end"

# Those that should succeed did.
sed -n 's/^.*ERROR: *//p' "$scratch/errors" | sort | uniq -c | awk '{ printf "# %d errors %s\n", $1, $2 }'
is "$(grep -cE 'ERROR: *(XX|08|57|25P02)|server closed|FATAL' "$scratch/errors")" 0 'and no error was an internal one'

# Many in one transaction, where what can't be done twice fails in a sub-transaction.
inside=$((calls / many / (batches + 1) + 4))
((inside < 100)) || inside=100
awk -F '\t' -v size="$inside" '$3 == "good" || $3 == "insert" || $3 == "update" || $3 == "select" || $3 == "good rows and bad" {
    print "BEGIN;"
    for (batch = 0; batch < 3; batch++) { for (i = 0; i < size; i++) print $4 ";"; print "SELECT test.figures(" $1 ", " batch ");" }
    print "ROLLBACK;" }' "$scratch/calls" | { echo '\set ON_ERROR_ROLLBACK on'; cat; } | session > "$scratch/figures" 2> "$scratch/errors"
awk -v size="$inside" '
  FILENAME ~ /calls$/ { split($0, f, "\t"); name[f[1]] = f[2]; next }
  # A cache that doubles meets one batch, what piles up every batch.
  $1 == "figures" && $3 > 0 { grown = $4 - last; if ($3 == 1 || grown < least) least = grown }
  $1 == "figures" && $3 == 2 { printf "%s\tin one transaction\t%.1f\n", name[$2], least / size }
  $1 == "figures" { last = $4 }' "$scratch/calls" "$scratch/figures" > "$scratch/inside"
awk -F '\t' -v bound=$bound_inside '$3 > bound' "$scratch/inside" > "$scratch/piles"
is "$(wc -l < "$scratch/piles")" 0 "no call piles up more than $bound_inside bytes in a transaction"
sed 's/^/# /' "$scratch/piles" | head -n 60
[[ -z ${MEMORY_KEEP:-} ]] || { cut -f2- "$scratch/growth"; cat "$scratch/inside"; } > "$MEMORY_KEEP"

done_testing
