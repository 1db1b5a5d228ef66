-- The ledger of conversions: what each wrote and what it changed, so that it can be undone. A journal
-- without foreign keys: it may tell of rows that are gone.

CREATE TABLE kvcrm.lead_conversions (
    id               uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id  uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id          uuid        NOT NULL,
    customer_id      uuid        NOT NULL,
    contact_id       uuid,
    customer_created boolean     NOT NULL,
    before_image     jsonb       NOT NULL,
    converted_by     uuid,
    reverted_at      timestamptz,
    reverted_by      uuid,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
-- A second conversion of the same lead can't be written even by a bug: one that stands per lead.
CREATE UNIQUE INDEX lead_conversions_one_stands ON kvcrm.lead_conversions (organization_id, lead_id) WHERE reverted_at IS NULL;
CREATE INDEX lead_conversions_newest ON kvcrm.lead_conversions (organization_id, created_at DESC);
CREATE INDEX lead_conversions_lead ON kvcrm.lead_conversions (lead_id, organization_id);

COMMENT ON TABLE kvcrm.lead_conversions IS 'The ledger of conversions with a before-image: what undo needs. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_conversions.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_conversions.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_conversions.lead_id IS 'The converted lead.';
COMMENT ON COLUMN kvcrm.lead_conversions.customer_id IS 'The customer it became; a plain column, the customer may be gone after a revert.';
COMMENT ON COLUMN kvcrm.lead_conversions.contact_id IS 'The contact the conversion added, if any.';
COMMENT ON COLUMN kvcrm.lead_conversions.customer_created IS 'Whether this conversion created the customer.';
COMMENT ON COLUMN kvcrm.lead_conversions.before_image IS 'The lead''s stage, rank and times as they were before.';
COMMENT ON COLUMN kvcrm.lead_conversions.converted_by IS 'The user who converted it; null = the system.';
COMMENT ON COLUMN kvcrm.lead_conversions.reverted_at IS 'When the conversion was undone; null = it stands.';
COMMENT ON COLUMN kvcrm.lead_conversions.reverted_by IS 'The user who undid it; null = the system or nobody.';
COMMENT ON COLUMN kvcrm.lead_conversions.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_conversions.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_conversions', '');
