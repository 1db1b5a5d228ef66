-- The ledger of imports: who loaded what and when, and what is needed to undo it.

CREATE TABLE IF NOT EXISTS kvcrm.lead_imports (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    format          text        NOT NULL CHECK (format IN ('json', 'csv')),
    on_duplicate    text        CHECK (on_duplicate IN ('allow', 'warn', 'block', 'skip', 'update')),
    row_count       int         NOT NULL DEFAULT 0,
    created_count   int         NOT NULL DEFAULT 0,
    updated_count   int         NOT NULL DEFAULT 0,
    skipped_count   int         NOT NULL DEFAULT 0,
    error_count     int         NOT NULL DEFAULT 0,
    running         boolean     NOT NULL DEFAULT false,
    imported_by     uuid,
    undone_at       timestamptz,
    undone_by       uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX IF NOT EXISTS lead_imports_newest ON kvcrm.lead_imports (organization_id, id DESC);
-- An import that looks for duplicates waits here until another one of the organization has ended, and then finds
-- what that one wrote.
CREATE UNIQUE INDEX IF NOT EXISTS lead_imports_one_at_a_time ON kvcrm.lead_imports (organization_id) WHERE running;

-- A row for each batch of new leads, which costs next to nothing, and for each lead that was changed.
CREATE TABLE IF NOT EXISTS kvcrm.lead_import_writes (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    import_id       uuid        NOT NULL,
    created_ids     uuid[],
    lead_id         uuid,
    before_image    jsonb,
    version         int,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    FOREIGN KEY (import_id, organization_id) REFERENCES kvcrm.lead_imports (id, organization_id)
);
CREATE INDEX IF NOT EXISTS lead_import_writes_import ON kvcrm.lead_import_writes (import_id, organization_id);
CREATE INDEX IF NOT EXISTS lead_import_writes_lead ON kvcrm.lead_import_writes (lead_id, organization_id) WHERE lead_id IS NOT NULL;

-- on_duplicate finds leads by INN, of the many that a large firm may have those without e-mail or phone; leads with
-- either are found by its blocking keys.
CREATE INDEX IF NOT EXISTS leads_inn ON kvcrm.leads (organization_id, inn, email_normalized, phone_e164) WHERE inn IS NOT NULL;

COMMENT ON TABLE kvcrm.lead_imports IS 'One call of import_leads or import_leads_csv.';
COMMENT ON COLUMN kvcrm.lead_imports.id IS 'Identifier, a time-ordered UUID; what undo_import takes.';
COMMENT ON COLUMN kvcrm.lead_imports.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_imports.format IS 'json or csv.';
COMMENT ON COLUMN kvcrm.lead_imports.on_duplicate IS 'What the caller wanted to become of duplicates; null = the organization''s policy.';
COMMENT ON COLUMN kvcrm.lead_imports.row_count IS 'Rows that were answered.';
COMMENT ON COLUMN kvcrm.lead_imports.created_count IS 'Rows that became leads.';
COMMENT ON COLUMN kvcrm.lead_imports.updated_count IS 'Rows that changed a lead.';
COMMENT ON COLUMN kvcrm.lead_imports.skipped_count IS 'Rows that were duplicates and left out.';
COMMENT ON COLUMN kvcrm.lead_imports.error_count IS 'Rows that were refused.';
COMMENT ON COLUMN kvcrm.lead_imports.running IS 'True only while an import that looks for duplicates is under way.';
COMMENT ON COLUMN kvcrm.lead_imports.imported_by IS 'The user who imported; null = the system.';
COMMENT ON COLUMN kvcrm.lead_imports.undone_at IS 'When the import was undone; null = it stands.';
COMMENT ON COLUMN kvcrm.lead_imports.undone_by IS 'The user who undid it; null = the system or nobody.';
COMMENT ON COLUMN kvcrm.lead_imports.created_at IS 'When the leads were imported.';
COMMENT ON COLUMN kvcrm.lead_imports.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.lead_import_writes IS 'What an import wrote, with before-images: what undo needs. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_import_writes.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_import_writes.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_import_writes.import_id IS 'The import.';
COMMENT ON COLUMN kvcrm.lead_import_writes.created_ids IS 'Leads that a batch created.';
COMMENT ON COLUMN kvcrm.lead_import_writes.lead_id IS 'The lead that was changed.';
COMMENT ON COLUMN kvcrm.lead_import_writes.before_image IS 'Its fields as they were before.';
COMMENT ON COLUMN kvcrm.lead_import_writes.version IS 'Its version afterwards: another one tells that it was changed since.';
COMMENT ON COLUMN kvcrm.lead_import_writes.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_import_writes.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_imports', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_import_writes', '');
