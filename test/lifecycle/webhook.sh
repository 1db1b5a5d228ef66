#!/usr/bin/env bash
# The webhook senders of docs/events.md, as they stand there: a receiver gets every event, signed and unchanged, whatever
# it answers in between. psql stands in for the drivers, which a machine may lack.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" webhook

export HOOK_SECRET=secret ORGANIZATION PGDATABASE=$db PYTHONPATH=$scratch PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -v ON_ERROR_STOP=1 -d "$db" > "$scratch/setup.log" 2>&1 <<'SQL'
CREATE EXTENSION kvcrm;
SELECT o.id FROM kvcrm.create_organization('Test', 'ru', owner_id => gen_random_uuid()) o \gset
SELECT kvcrm.create_lead('Яна', estimated_value => 1234567890123456.78, organization_id => :'id');
UPDATE kvcrm.leads SET estimated_value = 10.50;
SQL
ok $? 'a database is set up' "$scratch/setup.log"
ORGANIZATION=$(answer "$db" 'SELECT id FROM kvcrm.organizations')

# The third request is answered with 503, the fifth with a redirect, the seventh with what is no HTTP. Writes what it took.
cat > "$scratch/receiver.py" <<'PY'
import hashlib, hmac, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

requests = 0

class Receiver(BaseHTTPRequestHandler):
    def answer(self, status, *headers):
        self.send_response(status)
        for name, value in headers + (("Content-Length", "0"),):
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self):
        self.answer(200)

    def do_POST(self):
        global requests
        requests += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signature = dict(part.split("=") for part in self.headers["Kvcrm-Signature"].split(","))
        right = hmac.new(b"secret", signature["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, signature["v1"]):
            self.answer(401)
        elif requests == 3:
            self.answer(503)
        elif requests == 5:
            self.answer(301, ("Location", "/"))
        elif requests == 7:
            self.wfile.write(b"no HTTP\r\n\r\n")
            self.close_connection = True
        else:
            print(self.headers["Kvcrm-Event"], body.decode(), sep="|", flush=True)
            self.answer(204)

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, file=open(sys.argv[1], "w"), flush=True)
server.serve_forever()
PY

cat > "$scratch/psycopg.py" <<'PY'
import csv, io, subprocess

class connect:
    def __init__(self, autocommit): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def execute(self, sql, values):
        query = sql.replace("%s", "'{}'").format(*values)
        out = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({query}) TO STDOUT (FORMAT csv)"],
                             check=True, capture_output=True, text=True).stdout
        self.rows = list(csv.reader(io.StringIO(out)))
        return self
    def fetchall(self): return self.rows
PY
mkdir -p "$scratch/node_modules/pg"
cat > "$scratch/node_modules/pg/index.js" <<'JS'
const { execFileSync } = require('node:child_process');
exports.Client = class {
  async connect() {}
  async query(sql, values) {
    const query = sql.replace(/\$(\d)/g, (_, n) => `'${values[n - 1]}'`);
    const rows = execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', `WITH r AS (${query}) SELECT coalesce(json_agg(r), '[]') FROM r`]);
    return { rows: JSON.parse(rows) };
  }
};
JS

# sends NAME LANGUAGE COMMAND ...: runs the program of that language in docs/events.md until nothing is left to send.
sends() {
  local name=$1 language=$2 port _ sender receiver
  shift 2
  sed -n "/^\`\`\`$language\$/,/^\`\`\`\$/p" ../../docs/events.md | sed '1d;$d' > "$scratch/$name"
  python3 "$scratch/receiver.py" "$scratch/$name.port" > "$scratch/$name.got" 2> "$scratch/$name.receiver" & receiver=$!
  for _ in {1..1000}; do [[ -s $scratch/$name.port ]] && break; sleep 0.1; done
  port=$(<"$scratch/$name.port")
  HOOK_URL="http://127.0.0.1:$port/" "$@" "$scratch/$name" > "$scratch/$name.log" 2>&1 & sender=$!
  workers=("$receiver" "$sender")
  for _ in {1..2000}; do
    [[ $(answer "$db" "SELECT count(*) FROM kvcrm.feed_status('$ORGANIZATION') WHERE next_event_id IS NULL") == 1 ]] && break
    kill -0 "$sender" 2> /dev/null || break
    sleep 0.3
  done
  kill "${workers[@]}" 2> /dev/null
  wait "${workers[@]}" 2> /dev/null
  workers=()
  answer "$db" "SELECT f.id || '|' || to_jsonb(f)::text FROM kvcrm.event_feed('other', organization_id => '$ORGANIZATION') f" > "$scratch/all"
  # What came twice is the same.
  uniq "$scratch/$name.got" | diff "$scratch/all" - > "$scratch/difference"
  ok $? "$name: the receiver got every event in order, signed and unchanged" "$scratch/difference" "$scratch/$name.receiver"
  is "$(grep -c '^retrying in 1 s: ' "$scratch/$name.log")" 3 "$name: each failure is told and tried again"
  answer "$db" 'DELETE FROM kvcrm.feed_consumers'
}

sends hook.py python python3
sends hook.mjs js node

done_testing
