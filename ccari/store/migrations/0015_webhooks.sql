-- Whom webhooks tell of what, written with what they tell of
-- depends: 0014_left_talks

-- migrate: apply
-- as ccari.toml has them; of an event that nobody asks for nothing is written
CREATE TABLE webhook_endpoints (
    name        text   PRIMARY KEY,
    events      text[] NOT NULL,
    controllers text[]  -- null: of all
);

CREATE TABLE webhook_deliveries (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message      uuid        NOT NULL DEFAULT gen_random_uuid(),
    endpoint     text        NOT NULL,
    event        text        NOT NULL,
    subject      text        NOT NULL,  -- the id of the call or the recording, the reference of the request
    controller   text,
    due          date        NOT NULL DEFAULT 'epoch',  -- of what is told when a day comes: that day's term
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    tries        integer     NOT NULL DEFAULT 0,
    first_try_at timestamptz,
    next_try_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at   timestamptz,
    fault        text        NOT NULL DEFAULT '',
    CONSTRAINT webhook_deliveries_once UNIQUE (endpoint, event, subject, due),
    CHECK ((settled_at IS NULL) = (state = 'waiting'))
);
CREATE INDEX webhook_deliveries_to_do ON webhook_deliveries (endpoint, next_try_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE state = 'delivered';

CREATE FUNCTION tell_webhooks(told text, of_what text, whose text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhook_deliveries (endpoint, event, subject, controller)
    SELECT e.name, $1, $2, $3 FROM webhook_endpoints e
    WHERE $1 = ANY (e.events) AND (e.controllers IS NULL OR $3 = ANY (e.controllers))
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION tell_of_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_webhooks('call.ended', NEW.id::text, NEW.controller);
    RETURN NULL;
END
$$;
CREATE TRIGGER told AFTER UPDATE OF ended_at ON calls FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION tell_of_call();

CREATE FUNCTION tell_of_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_webhooks('recording.stored', NEW.id::text, NEW.controller);
    RETURN NULL;
END
$$;
CREATE TRIGGER told AFTER UPDATE OF state ON recordings FOR EACH ROW
    WHEN (OLD.state <> 'stored' AND NEW.state = 'stored') EXECUTE FUNCTION tell_of_recording();

CREATE FUNCTION tell_of_right() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_webhooks('right.registered', NEW.reference, NEW.controller);
    RETURN NULL;
END
$$;
CREATE TRIGGER told AFTER INSERT ON rights_requests FOR EACH ROW EXECUTE FUNCTION tell_of_right();

-- migrate: rollback
DROP TRIGGER told ON rights_requests;
DROP TRIGGER told ON recordings;
DROP TRIGGER told ON calls;
DROP FUNCTION tell_of_right;
DROP FUNCTION tell_of_recording;
DROP FUNCTION tell_of_call;
DROP FUNCTION tell_webhooks;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
