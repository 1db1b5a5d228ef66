-- The ledger of merges: which rows moved and what the leads were like before, so that it can be undone. A journal
-- without foreign keys: it may tell of rows that are gone.

CREATE TABLE kvcrm.lead_merges (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    survivor_id     uuid        NOT NULL,
    duplicate_ids   uuid[]      NOT NULL,
    merged_by       uuid,
    before_image    jsonb       NOT NULL,
    undone_at       timestamptz,
    undone_by       uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX lead_merges_survivor ON kvcrm.lead_merges (survivor_id, organization_id);

COMMENT ON TABLE kvcrm.lead_merges IS 'The ledger of merges with a before-image: what undo needs. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_merges.id IS 'Identifier, a time-ordered UUID; what undo_merge takes.';
COMMENT ON COLUMN kvcrm.lead_merges.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_merges.survivor_id IS 'The lead the others were merged into.';
COMMENT ON COLUMN kvcrm.lead_merges.duplicate_ids IS 'The leads that were merged, in the order given.';
COMMENT ON COLUMN kvcrm.lead_merges.merged_by IS 'The user who merged them; null = the system.';
COMMENT ON COLUMN kvcrm.lead_merges.before_image IS 'fields: what changed in the survivor; duplicates: the others as they were; stays, pairs, tables: the rows that moved and those that could not.';
COMMENT ON COLUMN kvcrm.lead_merges.undone_at IS 'When the merge was undone; null = it stands.';
COMMENT ON COLUMN kvcrm.lead_merges.undone_by IS 'The user who undid it; null = the system or nobody.';
COMMENT ON COLUMN kvcrm.lead_merges.created_at IS 'When the leads were merged.';
COMMENT ON COLUMN kvcrm.lead_merges.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_merges', '');
