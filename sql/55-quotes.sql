-- Quotes: commercial offers, to a lead or to a customer.

CREATE TABLE kvcrm.quotes (
    id              uuid          NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid          NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid,
    customer_id     uuid,
    number          text          NOT NULL,
    title           text          NOT NULL,
    amount          numeric(18,2) NOT NULL CONSTRAINT quotes_amount_not_negative CHECK (amount BETWEEN 0 AND 9999999999999999.99),
    currency        char(3)       NOT NULL CONSTRAINT quotes_currency_is_iso CHECK (currency ~ '^[A-Z]{3}$'),
    status          text          NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'accepted', 'rejected')),
    custom_fields   jsonb         NOT NULL DEFAULT '{}',
    sent_at         timestamptz,
    decided_at      timestamptz,
    created_by      uuid,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    updated_at      timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT quotes_is_for_somebody CHECK (lead_id IS NOT NULL OR customer_id IS NOT NULL),
    CONSTRAINT quotes_sent_at_follows_status CHECK ((sent_at IS NULL) = (status = 'draft')),
    CONSTRAINT quotes_decided_at_follows_status CHECK ((decided_at IS NOT NULL) = (status IN ('accepted', 'rejected'))),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id),
    FOREIGN KEY (customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id)
);
CREATE INDEX quotes_lead ON kvcrm.quotes (lead_id, organization_id, created_at DESC, id DESC);
CREATE INDEX quotes_customer ON kvcrm.quotes (customer_id, organization_id, created_at DESC, id DESC);
-- The only arbiter of numbers: no counter that all writers would queue at.
ALTER TABLE kvcrm.quotes ADD CONSTRAINT quotes_number UNIQUE (organization_id, number);
-- Last, for the reason given at leads.
ALTER TABLE kvcrm.quotes ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.quotes IS 'A commercial offer to a lead or a customer.';
COMMENT ON COLUMN kvcrm.quotes.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.quotes.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.quotes.lead_id IS 'The lead it was made for; null = made for a customer directly.';
COMMENT ON COLUMN kvcrm.quotes.customer_id IS 'The customer; null as long as the lead is not converted.';
COMMENT ON COLUMN kvcrm.quotes.number IS 'Number, unique in the organization, at most 100 characters; made when none is given.';
COMMENT ON COLUMN kvcrm.quotes.title IS 'Title, at most 255 characters.';
COMMENT ON COLUMN kvcrm.quotes.amount IS 'Amount in currency.';
COMMENT ON COLUMN kvcrm.quotes.currency IS 'ISO 4217 currency; the organization''s when none is given.';
COMMENT ON COLUMN kvcrm.quotes.status IS 'draft, sent, accepted or rejected.';
COMMENT ON COLUMN kvcrm.quotes.custom_fields IS 'Fields the organization added; at most 64 KiB.';
COMMENT ON COLUMN kvcrm.quotes.sent_at IS 'When it was last sent; null = a draft.';
COMMENT ON COLUMN kvcrm.quotes.decided_at IS 'When it was accepted or rejected; null = open.';
COMMENT ON COLUMN kvcrm.quotes.created_by IS 'The user who created it; null = the system.';
COMMENT ON COLUMN kvcrm.quotes.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.quotes.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.quotes', '');
