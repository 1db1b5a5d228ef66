-- Changes of what 1.0.0 has. Each can be run again: IF EXISTS, IF NOT EXISTS, OR REPLACE.

-- Indexes on tables of 1.0.0 may be built before the update, so that it needn't; one that isn't whole, or isn't the one
-- that comes, makes room for it.
DO $$
DECLARE
    useless pg_catalog.regclass;
BEGIN
    FOR useless IN
        SELECT i.indexrelid FROM (VALUES
            ('activity_logs_feed', 'CREATE INDEX activity_logs_feed ON kvcrm.activity_logs USING btree (organization_id, feed_epoch, tx, id)'),
            ('leads_inn', 'CREATE INDEX leads_inn ON kvcrm.leads USING btree (organization_id, inn, email_normalized, phone_e164) WHERE (inn IS NOT NULL)')) AS v (name, definition)
          JOIN pg_catalog.pg_class c ON c.relnamespace = 'kvcrm'::pg_catalog.regnamespace AND c.relname = v.name
          JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
         WHERE NOT i.indisvalid OR pg_catalog.pg_get_indexdef(i.indexrelid) <> v.definition
    LOOP
        EXECUTE pg_catalog.format('DROP INDEX %s', useless);
    END LOOP;
END
$$;

-- Members take turns at new leads.
ALTER TABLE kvcrm.organization_members ADD COLUMN IF NOT EXISTS assignment_weight int NOT NULL DEFAULT 1
    CONSTRAINT organization_members_assignment_weight_in_range CHECK (assignment_weight BETWEEN 0 AND 100);
ALTER TABLE kvcrm.organization_members ADD COLUMN IF NOT EXISTS assignment_capacity int
    CONSTRAINT organization_members_assignment_capacity_not_negative CHECK (assignment_capacity >= 0);
COMMENT ON COLUMN kvcrm.organization_members.assignment_weight IS 'Share of the leads that are given in turn, 0 to 100; 0 = none.';
COMMENT ON COLUMN kvcrm.organization_members.assignment_capacity IS 'With how many open leads the member gets no more in turn; null = no limit.';

COMMENT ON COLUMN kvcrm.activity_logs.action IS 'created, updated, moved, assigned, converted, reverted, merged, unmerged, deleted, restored, erased or exported.';

-- Libraries count too, not the rules alone.
COMMENT ON COLUMN kvcrm.customer_fingerprints.derivation_version IS 'What it was derived by, and whatever else is derived of the customer: see derivation_version(). Negative: a phone or e-mail address could not be written as derived by that.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.derivation_version IS 'What it was derived by, and whatever else is derived of the lead: see derivation_version(). Negative: a phone or e-mail address could not be written as derived by that.';
