-- How many live leads each column of the board holds, and what they are worth, per assignee and currency.
--
-- A counter row per column would make everybody who moves a card wait for everybody else. So writers only ever
-- insert what they changed; a sum over the rows of a key is its count, in every snapshot. Now and then a writer
-- folds the rows of the keys it touched into one, skipping rows that somebody else has locked.

CREATE TABLE kvcrm.lead_stage_counts (
    id              uuid          NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid          NOT NULL DEFAULT kvcrm.current_organization_id(),
    stage_id        uuid          NOT NULL,
    assigned_to     uuid          NOT NULL,
    currency        char(3)       NOT NULL,
    leads           bigint        NOT NULL,
    value           numeric       NOT NULL,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX lead_stage_counts_key ON kvcrm.lead_stage_counts (organization_id, assigned_to, stage_id);

COMMENT ON TABLE kvcrm.lead_stage_counts IS 'Changes of the number and value of live leads; their sum is what the board shows. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.stage_id IS 'The stage.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.assigned_to IS 'The assignee; the nil UUID stands for nobody.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.currency IS 'ISO 4217 currency of the value.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.leads IS 'By how many leads the key grew (or shrank).';
COMMENT ON COLUMN kvcrm.lead_stage_counts.value IS 'By how much their estimated value grew (or shrank).';
COMMENT ON COLUMN kvcrm.lead_stage_counts.created_at IS 'When the row was created.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_stage_counts', '');
