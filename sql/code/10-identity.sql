-- Functions that tables need for their defaults.
--
-- A function that workers of a parallel query may run has neither SET nor SECURITY DEFINER: behind either the module is
-- loaded by the first call, too late to take over the session's settings, the acting user among them.

CREATE OR REPLACE FUNCTION kvcrm.uuid_v7() RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'uuid_v7';
COMMENT ON FUNCTION kvcrm.uuid_v7() IS
    'A new time-ordered UUID (RFC 9562 version 7), monotonic inside a session.';

CREATE OR REPLACE FUNCTION kvcrm.current_user_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'current_user_id';
COMMENT ON FUNCTION kvcrm.current_user_id() IS
    'The acting user: request.jwt.claims (sub), else request.jwt.claim.sub, else the setting kvcrm.user_id; null for nobody. 28000 when a claim is malformed.';

CREATE OR REPLACE FUNCTION kvcrm.current_organization_id() RETURNS uuid
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'current_organization_id';
COMMENT ON FUNCTION kvcrm.current_organization_id() IS
    'The current organization: the claim organization_id (top level or under app_metadata), else the setting kvcrm.organization_id, else the acting user''s only active membership; else null. 28000 when a claim is malformed.';
