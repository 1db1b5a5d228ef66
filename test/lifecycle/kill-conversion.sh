#!/usr/bin/env bash
# Backends that convert leads and take conversions back are terminated and killed at random moments, hundreds of times: no
# lead is left half converted or half reverted.

# shellcheck source=test/lifecycle/setup
. "$(dirname "$0")/setup" kill

terminations=300 kills=6 seconds=60

psql -X -q -d postgres -c "CREATE DATABASE $db"
psql -X -q -v ON_ERROR_STOP=1 -d "$db" > "$scratch/setup.log" 2>&1 <<'SQL'
CREATE EXTENSION kvcrm;
CREATE TABLE home AS SELECT id FROM kvcrm.create_organization('Test', 'en', owner_id => gen_random_uuid());
-- Writes and converts leads until somebody ends it, and takes a third of the conversions back. A tenth shares its INN with
-- others, so that conversions link too; some have a quote, which waits for the customer. Some come twice, with a slip of the
-- pen in the address: nobody owns that, only a second look finds their customer.
CREATE PROCEDURE work() LANGUAGE plpgsql AS $$
DECLARE
    lead uuid;
    home uuid := (SELECT id FROM home);
    person text;
    shared boolean;
BEGIN
    LOOP
        person := translate(substr(gen_random_uuid()::text, 1, 8), '0123456789', 'ghijklmnop');
        shared := random() < 0.1;
        FOR time IN 1 .. CASE WHEN NOT shared AND random() < 0.2 THEN 2 ELSE 1 END LOOP
            SELECT l.id INTO lead FROM kvcrm.create_lead('Ann ' || person, format('%s@%s.example', person, CASE time WHEN 1 THEN 'company' ELSE 'compnay' END), company => 'Firm ' || person,
                inn => CASE WHEN shared THEN (ARRAY['7707083893', '7736050003', '7702070139'])[1 + floor(random() * 3)] END,
                estimated_value => 10, organization_id => home) l;
            IF random() < 0.3 THEN
                INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (home, lead, 'Quote', 10);
            END IF;
            COMMIT;
            PERFORM set_config('application_name', 'kvcrm_worker converting', false);
            COMMIT;
            PERFORM kvcrm.qualify_lead(lead);
            COMMIT;
            PERFORM set_config('application_name', 'kvcrm_worker', false);
        END LOOP;
        IF random() < 0.4 THEN
            PERFORM set_config('application_name', 'kvcrm_worker converting', false);
            COMMIT;
            BEGIN
                PERFORM kvcrm.revert_conversion(lead);
            EXCEPTION WHEN check_violation THEN NULL;  -- others were linked to the customer
            END;
            COMMIT;
            PERFORM set_config('application_name', 'kvcrm_worker', false);
        END IF;
    END LOOP;
END
$$;
SQL
ok $? 'a database is set up' "$scratch/setup.log"

work() {
  until [[ -e $scratch/stop ]]; do
    PGAPPNAME=kvcrm_worker psql -X -q -d "$db" -c 'CALL work()' 2>> "$scratch/$1.log" || sleep 0.01
  done
}

work 1 & workers+=($!)
work 2 & workers+=($!)
work 3 & workers+=($!)

# One in the middle of a conversion or of its undo; now and then any. None that is ending already.
hit=0
pick() {
  echo "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'kvcrm_worker%' AND datname = '$db' AND state = 'active'
        AND (application_name LIKE '% converting' OR random() < 0.1) AND pid NOT IN ($hit) ORDER BY random() LIMIT 1"
}
terminated=0 killed=0 end=$((SECONDS + seconds))
# Every so often a termination is a kill, after which the whole server recovers.
# A busy machine gets more time for half of them.
while ((terminated < terminations && SECONDS < end || terminated < terminations / 2 && SECONDS < end + 1200)); do
  sleep "0.0$((RANDOM % 2))$((RANDOM % 10))"
  if ((killed < kills && terminated >= (killed + 1) * terminations / (kills + 1))); then
    pid=$(answer "$db" "$(pick)" 2> /dev/null)
    if [[ -n $pid ]] && kill -KILL "$pid"; then
      killed=$((killed + 1))
      sleep 0.2
      up
    fi
  else
    pid=$(answer "$db" "SELECT pid FROM ($(pick)) AS worker WHERE pg_terminate_backend(pid)" 2> /dev/null)
    [[ -z $pid ]] || { terminated=$((terminated + 1)) hit+=,$pid; }
  fi
done
end_workers 'kvcrm_worker%'

ok $((terminated < terminations / 2)) "backends were terminated ($terminated of $terminations)"
ok $((killed == 0)) "and killed ($killed of $kills)"
is "$(grep -hE '^(ERROR|FATAL|PANIC)' "$scratch"/[123].log | grep -v 'FATAL:  terminating connection' | sort | uniq -c)" '' \
  'they met no other error'
total=$(answer "$db" 'SELECT count(*) FROM kvcrm.leads')
interrupted=$(answer "$db" 'SELECT count(*) FROM kvcrm.leads WHERE converted_at IS NULL')
isnt "$interrupted" 0 "some of the $total leads were written but not converted ($interrupted)"
isnt "$(answer "$db" 'SELECT count(*) FROM kvcrm.leads WHERE converted_at IS NOT NULL')" 0 'and others were'
reverted=$(answer "$db" 'SELECT count(*) FROM kvcrm.lead_conversions WHERE reverted_at IS NOT NULL')
isnt "$reverted" 0 "conversions were taken back ($reverted)"
isnt $((interrupted - reverted)) 0 "others of these leads were never converted ($((interrupted - reverted)))"
isnt "$(answer "$db" 'SELECT count(*) FROM kvcrm.lead_conversions v JOIN kvcrm.leads l ON l.id = v.lead_id WHERE NOT v.customer_created AND l.inn IS NOT NULL')" 0 \
  'some leads were linked by an INN'
isnt "$(answer "$db" 'SELECT count(*) FROM kvcrm.lead_conversions v JOIN kvcrm.leads l ON l.id = v.lead_id WHERE NOT v.customer_created AND l.inn IS NULL')" 0 \
  'and others by a second look'

# What follows looks each row up in other tables, in ways that nobody else does.
psql -X -q -d "$db" -c 'CREATE INDEX ON kvcrm.leads (converted_to_customer_id)' -c 'CREATE INDEX ON kvcrm.lead_conversions (customer_id)' \
  -c 'CREATE INDEX ON kvcrm.lead_conversions (contact_id)' -c 'CREATE INDEX ON kvcrm.customer_contacts (customer_id)' \
  -c 'CREATE INDEX ON kvcrm.customer_identities (customer_id)' -c 'CREATE INDEX ON kvcrm.activity_logs (entity_id)' -c ANALYZE

# How leads stand: each line a combination of everything that writing and converting leave, and only whole ones.
standing() {
  answer "$db" "
    SELECT DISTINCT l.status, l.version, (l.converted_at IS NOT NULL)::int AS converted, (l.qualified_at IS NOT NULL)::int AS qualified, s.name AS stage,
           (SELECT count(*) FROM kvcrm.customers c WHERE c.id = l.converted_to_customer_id AND c.organization_id = l.organization_id) AS customers,
           (SELECT count(*) FROM kvcrm.lead_conversions v WHERE v.lead_id = l.id) AS conversions,
           (SELECT count(*) FROM kvcrm.lead_conversions v WHERE v.lead_id = l.id AND v.customer_id = l.converted_to_customer_id AND v.reverted_at IS NULL) AS right_ones,
           (SELECT string_agg(g.action, ',' ORDER BY g.id) FROM kvcrm.activity_logs g WHERE g.entity_id = l.id) AS logged,
           (SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id) AS stays,
           (SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id AND h.left_at IS NULL AND h.stage_id = l.stage_id) AS now,
           (SELECT count(*) FROM kvcrm.lead_fingerprints f WHERE f.id = l.id) AS fingerprints
      FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id ORDER BY l.status, l.version"
}
converted='converted|2|1|1|Qualified|1|1|1|created,converted|2|1|1'
new='new|1|0|0|New lead|0|0|0|created|1|1|1'
reverted='new|3|0|0|New lead|0|1|0|created,converted,reverted|3|1|1'
is "$(standing)" "$converted"$'\n'"$new"$'\n'"$reverted" 'every lead is converted altogether or not at all, and so are conversions taken back'
answer "$db" 'SELECT * FROM kvcrm.check_consistency()' > "$scratch/inconsistent" 2>&1
is "$(wc -l < "$scratch/inconsistent")" 0 'what is left is consistent'
[[ ! -s $scratch/inconsistent ]] || head -n 20 "$scratch/inconsistent" | sed 's/^/# /'
# Whatever belongs to no lead: customers, contacts, identities, ...
strays() {
  answer "$db" "
    SELECT 'customer' FROM kvcrm.customers c
     WHERE (SELECT count(*) FROM kvcrm.lead_conversions v WHERE v.customer_id = c.id AND v.customer_created) <> 1
        OR (SELECT count(*) FROM kvcrm.customer_contacts p WHERE p.customer_id = c.id AND p.is_primary) <> 1
        OR (SELECT count(*) FROM kvcrm.customer_contacts p WHERE p.customer_id = c.id)
           <> (SELECT count(*) FROM kvcrm.leads l WHERE l.converted_to_customer_id = c.id)
        OR (SELECT count(*) FROM kvcrm.activity_logs g WHERE g.entity_id = c.id AND g.action = 'created') <> 1
    UNION ALL
    SELECT 'identity' FROM kvcrm.customer_identities i
     WHERE NOT EXISTS (SELECT FROM kvcrm.leads l WHERE l.converted_to_customer_id = i.customer_id AND i.value IN (l.inn, l.email_normalized))
    UNION ALL
    SELECT 'lead without identity' FROM kvcrm.leads l
     WHERE l.converted_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM kvcrm.customer_identities i WHERE i.customer_id = l.converted_to_customer_id AND i.value = l.email_normalized)
    UNION ALL
    SELECT 'quote without its customer' FROM kvcrm.quotes q JOIN kvcrm.leads l ON l.id = q.lead_id
     WHERE q.customer_id IS DISTINCT FROM l.converted_to_customer_id
    UNION ALL
    SELECT 'quote that no journal knows' FROM kvcrm.quotes q
     WHERE q.customer_id IS NOT NULL AND NOT EXISTS (SELECT FROM kvcrm.lead_conversions v WHERE v.lead_id = q.lead_id AND v.before_image -> 'quotes' ? q.id::text)
    UNION ALL
    SELECT 'two customers of one INN' FROM kvcrm.customers c WHERE c.inn IS NOT NULL GROUP BY c.inn HAVING count(*) > 1
    UNION ALL
    SELECT 'customer without its fingerprint, or one without customer' FROM kvcrm.customers c FULL JOIN kvcrm.customer_fingerprints f ON f.id = c.id
     WHERE c.id IS NULL OR f.id IS NULL
    UNION ALL
    SELECT 'conversion that stands for no lead' FROM kvcrm.lead_conversions v
     WHERE (v.reverted_at IS NULL) <> EXISTS (SELECT FROM kvcrm.leads l WHERE l.id = v.lead_id AND l.converted_to_customer_id = v.customer_id)
       AND NOT (v.reverted_at IS NOT NULL AND EXISTS (SELECT FROM kvcrm.lead_conversions w WHERE w.lead_id = v.lead_id AND w.id > v.id AND w.reverted_at IS NULL))
    UNION ALL
    -- A revert removes what the conversion made, and the log says so.
    SELECT 'log entry of nothing' FROM kvcrm.activity_logs g
     WHERE g.entity_type IN ('lead', 'customer', 'contact')
       AND (EXISTS (SELECT FROM kvcrm.leads l WHERE l.id = g.entity_id)
         OR EXISTS (SELECT FROM kvcrm.customers c WHERE c.id = g.entity_id)
         OR EXISTS (SELECT FROM kvcrm.customer_contacts p WHERE p.id = g.entity_id))
        = EXISTS (SELECT FROM kvcrm.lead_conversions v WHERE v.reverted_at IS NOT NULL
                     AND (v.contact_id = g.entity_id OR v.customer_created AND v.customer_id = g.entity_id))" | sort | uniq -c
}
is "$(strays)" '' 'nothing is left of a conversion that did not happen'
# The board's counts are a sum of changes.
is "$(answer "$db" 'SELECT sum(leads) || $$ $$ || sum(value) FROM kvcrm.lead_stage_counts')" "$interrupted $((interrupted * 10)).00" \
  'the board counts the leads that are left'

# And the interrupted ones can be converted.
is "$(answer "$db" 'SELECT count(c.id) FROM kvcrm.leads l, kvcrm.qualify_lead(l.id) c WHERE l.converted_at IS NULL')" "$interrupted" \
  'what was interrupted can be done again'
again='converted|4|1|1|Qualified|1|2|1|created,converted,reverted,converted|4|1|1'
is "$(standing)" "$converted"$'\n'"$again" 'and is converted then'
is "$(strays)" '' 'altogether'

done_testing
