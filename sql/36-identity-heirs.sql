-- Who else has an INN, e-mail or phone that another customer owns: when that one gives it up, the first in line
-- owns it. Rows are rare, so that a conversion writes none. Without foreign keys, as customer_identities.

CREATE TABLE IF NOT EXISTS kvcrm.customer_identity_heirs (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    kind            text        COLLATE "C" NOT NULL,
    value           text        COLLATE "C" NOT NULL,
    customer_id     uuid        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, kind, value, customer_id)
);
CREATE INDEX IF NOT EXISTS customer_identity_heirs_customer ON kvcrm.customer_identity_heirs (customer_id, organization_id);

COMMENT ON TABLE kvcrm.customer_identity_heirs IS 'Who has an INN, e-mail or phone that another customer owns, and will own it next. Not for clients.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.kind IS 'inn, email or phone.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.value IS 'The normalised value.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.customer_id IS 'The customer that has the value too.';
COMMENT ON COLUMN kvcrm.customer_identity_heirs.created_at IS 'When the row was created.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_identity_heirs', '');
