-- Sessions: orders on them, and what is kept of them. The sessions themselves live on the agents.

-- Over how much time an order closes sessions; NULL: as the agent is configured.
ALTER TABLE orders ADD COLUMN spread_micros bigint;

-- How a gateway is watched: one bit per way (1 canary, 2 relay, 4 kernel, 8 report).
ALTER TABLE gateways ADD COLUMN watch smallint NOT NULL DEFAULT 0;

-- One row per gateway, rewritten with each change: no index but its key, so that updates stay HOT. Unsigned numbers with
-- the same bits; by_cause is an array of [code of the cause, count].
CREATE TABLE session_counts (
    gateway_key uuid PRIMARY KEY REFERENCES gateways ON DELETE CASCADE,
    open        bigint      NOT NULL,
    sick        bigint      NOT NULL,
    opened      bigint      NOT NULL,
    closed      bigint      NOT NULL,
    by_cause    jsonb       NOT NULL,
    at          timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Append only, bounded per gateway and by age. The time is the agent's.
CREATE TABLE session_closes (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway_key   uuid        NOT NULL REFERENCES gateways ON DELETE CASCADE,
    agent         text COLLATE "C" NOT NULL,
    gateway       text COLLATE "C" NOT NULL,
    session       text        NOT NULL,
    source        smallint    NOT NULL,
    instance      text,
    peer          text        NOT NULL,
    at            timestamptz NOT NULL,
    age_micros    bigint      NOT NULL,
    silent_micros bigint      NOT NULL,
    ended_by      smallint    NOT NULL,
    code          integer,
    cause         smallint,
    message       text        NOT NULL
);

CREATE INDEX session_closes_of_gateway ON session_closes (gateway_key, number);
CREATE INDEX session_closes_of_agent ON session_closes (agent, number);
CREATE INDEX session_closes_age ON session_closes USING brin (at);
