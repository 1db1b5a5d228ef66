-- The index of leads' custom fields. A table of its own, since leads move often and fingerprints are indexed heavily:
-- a change of a field writes here only, and a lead without fields has no row.

CREATE TABLE kvcrm.lead_field_keys (
    id              uuid        NOT NULL,
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    keys            bigint[]    NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
-- Without a list of pending entries, which every lookup would read: a lead has few keys.
CREATE INDEX lead_field_keys_keys ON kvcrm.lead_field_keys USING gin (keys) WITH (fastupdate = off);
-- Last, as with leads.
ALTER TABLE kvcrm.lead_field_keys ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.lead_field_keys IS 'Where list_leads finds leads by custom fields, one row per lead that has any. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_field_keys.id IS 'The lead''s id.';
COMMENT ON COLUMN kvcrm.lead_field_keys.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_field_keys.keys IS 'Hashes of (organization, key, value), one for each value.';
COMMENT ON COLUMN kvcrm.lead_field_keys.created_at IS 'When the lead was created.';
COMMENT ON COLUMN kvcrm.lead_field_keys.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_field_keys', '');
