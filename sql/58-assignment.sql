-- Assignment: rules for new leads, and whose turn it is.

CREATE TABLE IF NOT EXISTS kvcrm.assignment_rules (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    order_index     int         NOT NULL DEFAULT 0,
    field           text        NOT NULL,
    operator        text        NOT NULL,
    value           jsonb       NOT NULL,
    team_id         uuid,
    user_id         uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    FOREIGN KEY (team_id, organization_id) REFERENCES kvcrm.teams (id, organization_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES kvcrm.organization_members (organization_id, user_id),
    CONSTRAINT assignment_rules_one_target CHECK (num_nonnulls(team_id, user_id) = 1)
);
CREATE INDEX IF NOT EXISTS assignment_rules_order ON kvcrm.assignment_rules (organization_id, order_index);

CREATE TABLE IF NOT EXISTS kvcrm.assignment_pools (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    pool_id         uuid        NOT NULL,
    turns           jsonb       NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, pool_id)
);

COMMENT ON TABLE kvcrm.assignment_rules IS 'Who gets a new lead that nobody was named for, if the organization''s settings say "assignment_rules": true. The first rule whose condition holds and that finds somebody decides.';
COMMENT ON COLUMN kvcrm.assignment_rules.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.assignment_rules.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.assignment_rules.order_index IS 'Rules are tried in this order, ascending; ties are broken by id.';
COMMENT ON COLUMN kvcrm.assignment_rules.field IS 'What a rule of scoring may name, and score.';
COMMENT ON COLUMN kvcrm.assignment_rules.operator IS 'eq, in, contains, exists, gt, lt or older_than; it fits the type of the field.';
COMMENT ON COLUMN kvcrm.assignment_rules.value IS 'What the field is compared with, as in scoring_rules.';
COMMENT ON COLUMN kvcrm.assignment_rules.team_id IS 'The team whose members take turns; null = a member is named.';
COMMENT ON COLUMN kvcrm.assignment_rules.user_id IS 'The member who gets the lead while active; null = a team is named.';
COMMENT ON COLUMN kvcrm.assignment_rules.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.assignment_rules.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.assignment_pools IS 'Whose turn it is among the members of a team or of the organization. Whoever takes a turn locks the row. Not for clients.';
COMMENT ON COLUMN kvcrm.assignment_pools.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.assignment_pools.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.assignment_pools.pool_id IS 'The id of the team, or of the organization.';
COMMENT ON COLUMN kvcrm.assignment_pools.turns IS 'By user id: the turns a member has had, each counted as 1/weight, less those that all have had.';
COMMENT ON COLUMN kvcrm.assignment_pools.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.assignment_pools.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.assignment_rules', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.assignment_pools', '');
