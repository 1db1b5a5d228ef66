-- The event feed: reading it, acknowledging, and what it waits for.

ALTER TABLE kvcrm.feed_epochs ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.feed_consumers ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS feed_consumers_select ON kvcrm.feed_consumers;
CREATE POLICY feed_consumers_select ON kvcrm.feed_consumers FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('logs:read')));

CREATE OR REPLACE FUNCTION kvcrm.event_feed(consumer text, max_events int DEFAULT 100, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.activity_logs
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'event_feed';
COMMENT ON FUNCTION kvcrm.event_feed(text, int, uuid) IS
    'The entries of the audit log that this consumer has not acknowledged, at most max_events (1 to 10 000), in the order (feed_epoch, tx, id); from the beginning for a name that has acknowledged nothing. An entry is given out once every transaction that began before its own has ended, so none can appear behind one given out; asking again without ack_events brings the same again. Warns when entries wait for a transaction open for longer than kvcrm.feed_patience. Needs logs:read. 22023; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.ack_events(consumer text, up_to uuid, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.feed_consumers
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ack_events';
COMMENT ON FUNCTION kvcrm.ack_events(text, uuid, uuid) IS
    'Says that the consumer has dealt with the event up_to (an id that event_feed gave) and all before it. A consumer only moves forward: acknowledging an earlier event again changes nothing. Needs logs:acknowledge. 22023, also for an event that the feed has not given out yet; PT404 for an unknown one; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.feed_status(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (consumer text, acknowledged_at timestamptz, next_event_id uuid, next_event_at timestamptz, held_back boolean,
                   waits_since timestamptz, waits_for text)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'feed_status';
COMMENT ON FUNCTION kvcrm.feed_status(uuid) IS
    'How far each consumer of the event feed is: when it acknowledged last, the first event that it could have and has not acknowledged (null: none), whether newer events are held back, since when the transaction they wait for is open, and what it is (a process id and its state, or a prepared transaction). Needs logs:read. 22023; 42501.';
