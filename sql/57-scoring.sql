-- Scoring: rules of the organization, and how far its leads are scored by them.

CREATE TABLE IF NOT EXISTS kvcrm.scoring_rules (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    field           text        NOT NULL,
    operator        text        NOT NULL,
    value           jsonb       NOT NULL,
    points          int         NOT NULL CONSTRAINT scoring_rules_points_in_range CHECK (points BETWEEN -10000 AND 10000),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX IF NOT EXISTS scoring_rules_organization ON kvcrm.scoring_rules (organization_id);

CREATE TABLE IF NOT EXISTS kvcrm.scoring_states (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    stale_since     timestamptz,
    reached_at      timestamptz,
    reached_id      uuid,
    scored_at       timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id)
);

COMMENT ON TABLE kvcrm.scoring_rules IS 'Points that a lead has as long as it meets a condition. Its score is their sum.';
COMMENT ON COLUMN kvcrm.scoring_rules.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.scoring_rules.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.scoring_rules.field IS 'A column of leads, custom_fields.KEY, company_domain, phone_country, last_activity_at, activities.count, .calls, .meetings, .emails, .tasks, .notes or .completed.';
COMMENT ON COLUMN kvcrm.scoring_rules.operator IS 'eq, in, contains, exists, gt, lt or older_than; it fits the type of the field.';
COMMENT ON COLUMN kvcrm.scoring_rules.value IS 'What the field is compared with, of its type: a JSON value, for in an array of them, for older_than an age such as "30 days".';
COMMENT ON COLUMN kvcrm.scoring_rules.points IS 'What a lead that meets the condition gets, -10000 to 10000.';
COMMENT ON COLUMN kvcrm.scoring_rules.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.scoring_rules.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.scoring_states IS 'How far rescore_leads has come; one row for each organization that has or had scoring rules. Not for clients.';
COMMENT ON COLUMN kvcrm.scoring_states.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.scoring_states.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.scoring_states.stale_since IS 'When a rule changed since which not all leads were scored; null = all are.';
COMMENT ON COLUMN kvcrm.scoring_states.reached_at IS 'created_at of the last lead that this round has come to; null = none has begun.';
COMMENT ON COLUMN kvcrm.scoring_states.reached_id IS 'The id of that lead.';
COMMENT ON COLUMN kvcrm.scoring_states.scored_at IS 'When the last round through all leads ended.';
COMMENT ON COLUMN kvcrm.scoring_states.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.scoring_states.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.scoring_rules', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.scoring_states', '');
