-- Pairs of leads that look like one, and what was decided about them.

CREATE TABLE kvcrm.duplicate_pairs (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid        NOT NULL,
    other_lead_id   uuid        NOT NULL,
    probability     float8      NOT NULL CHECK (probability BETWEEN 0 AND 1),
    explanation     jsonb       NOT NULL DEFAULT '{}',
    status          text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'dismissed', 'merged')),
    decided_by      uuid,
    decided_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    -- One row per pair, whichever of the two comes first.
    CONSTRAINT duplicate_pairs_in_order CHECK (lead_id < other_lead_id),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE,
    FOREIGN KEY (other_lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX duplicate_pairs_leads ON kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id);
CREATE INDEX duplicate_pairs_other ON kvcrm.duplicate_pairs (other_lead_id, organization_id);
CREATE INDEX duplicate_pairs_open ON kvcrm.duplicate_pairs (organization_id, probability DESC, id) WHERE status = 'open';
-- Last, as with leads.
ALTER TABLE kvcrm.duplicate_pairs ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.duplicate_pairs IS 'A pair of leads under review: open, dismissed (not duplicates) or merged.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.lead_id IS 'The lead of the pair with the smaller id.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.other_lead_id IS 'The other lead.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.probability IS 'Probability that both are one, 0 to 1, when the pair was last looked at.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.explanation IS 'Level and weight of each field, as explain_match gives them.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.status IS 'open, dismissed or merged.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.decided_by IS 'The user who dismissed or merged them; null = nobody yet, or the system.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.decided_at IS 'When that was; null = the pair is open.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.created_at IS 'When the pair was first found.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.duplicate_pairs', '');
