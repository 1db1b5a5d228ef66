-- What matching knows about one organization: a model trained from its decisions, and which values are common there.

CREATE TABLE kvcrm.match_models (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    version         uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    prior           float8      NOT NULL,
    weights         jsonb       NOT NULL CHECK (jsonb_typeof(weights) = 'object'),
    duplicates      int         NOT NULL,
    others          int         NOT NULL,
    diagnostics     jsonb       NOT NULL DEFAULT '{}',
    trained_by      uuid,
    trained_at      timestamptz NOT NULL DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id)
);

-- Like a planner's most common values. One row with hash 0 holds the number of leads that were counted.
CREATE TABLE kvcrm.match_common_values (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    hash            bigint      NOT NULL,
    records         int         NOT NULL CHECK (records >= 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, hash) INCLUDE (records)
);

COMMENT ON TABLE kvcrm.match_models IS 'The weights of matching that an organization trained; without a row the shipped ones hold. Not for clients.';
COMMENT ON COLUMN kvcrm.match_models.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.match_models.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.match_models.version IS 'Another one with each training, so that sessions know when to read the row again.';
COMMENT ON COLUMN kvcrm.match_models.prior IS 'Weight of a pair before anything is compared, in bits (binary logarithm of the odds).';
COMMENT ON COLUMN kvcrm.match_models.weights IS 'Weights in bits by field and level: {"name": {"exact": 8.5, ...}, ...}. Levels that the module doesn''t know are ignored, missing ones have their shipped weight.';
COMMENT ON COLUMN kvcrm.match_models.duplicates IS 'Merged pairs the model was trained on.';
COMMENT ON COLUMN kvcrm.match_models.others IS 'Dismissed pairs the model was trained on.';
COMMENT ON COLUMN kvcrm.match_models.diagnostics IS 'What train_matcher answered.';
COMMENT ON COLUMN kvcrm.match_models.trained_by IS 'The user who trained it; null = the system.';
COMMENT ON COLUMN kvcrm.match_models.trained_at IS 'When it was trained.';
COMMENT ON COLUMN kvcrm.match_models.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.match_models.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.match_common_values IS 'Values (names, companies, domains, ...) that many of an organization''s leads share, as its last scan counted them: agreeing on one says less. Not for clients.';
COMMENT ON COLUMN kvcrm.match_common_values.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.match_common_values.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.match_common_values.hash IS 'Hash of (organization, kind, value); 0 = all leads.';
COMMENT ON COLUMN kvcrm.match_common_values.records IS 'How many leads share it.';
COMMENT ON COLUMN kvcrm.match_common_values.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.match_common_values.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.match_models', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.match_common_values', '');
