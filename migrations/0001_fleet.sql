-- The fleet, as agents report it, and what the controllers decided about it.
--
-- Keys of gateways, instances and targets are made from their resource names (128 bits of SHA-256 as a UUIDv8), so that
-- nobody has to ask for them. Codes of conditions, causes, states, actions and kinds of event are those of the core: they
-- are never reused. Unsigned 64-bit numbers that agents choose (sequences, incarnations) are stored with the same bits.
--
-- Deliberately without an index: last_seen and everything else that changes with each heartbeat or transition. Such
-- updates then stay HOT, for which fillfactor leaves room.

CREATE TABLE agents (
    id            text COLLATE "C" PRIMARY KEY,
    boot          uuid        NOT NULL,
    node          text        NOT NULL,
    version       text        NOT NULL,
    epoch         bigint      NOT NULL,
    last_sequence bigint      NOT NULL,
    synced        boolean     NOT NULL,
    attached_at   timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    offline_since timestamptz
) WITH (fillfactor = 50);

CREATE TABLE gateways (
    key         uuid PRIMARY KEY,
    agent       text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    handle      bigint   NOT NULL,
    kind        text,
    address     text     NOT NULL,
    grp         text     NOT NULL,
    labels      jsonb    NOT NULL,
    abilities   smallint NOT NULL,
    incarnation bigint,
    UNIQUE (agent, id)
);

CREATE TABLE instances (
    key         uuid PRIMARY KEY,
    gateway_key uuid NOT NULL REFERENCES gateways ON DELETE CASCADE,
    id          text COLLATE "C" NOT NULL,
    handle      bigint NOT NULL,
    UNIQUE (gateway_key, id)
);

CREATE TABLE conditions (
    instance_key uuid        NOT NULL REFERENCES instances ON DELETE CASCADE,
    condition    smallint    NOT NULL,
    status       smallint    NOT NULL,
    cause        smallint,
    message      text        NOT NULL,
    evidence     jsonb       NOT NULL,
    since        timestamptz NOT NULL,
    PRIMARY KEY (instance_key, condition)
) WITH (fillfactor = 50);

-- One sequence for all targets: a fence rises even when its target was gone meanwhile and came back.
CREATE SEQUENCE fences;

CREATE TABLE orders (
    id            uuid PRIMARY KEY,
    target        text        NOT NULL,
    target_key    uuid        NOT NULL,
    gateway_key   uuid        NOT NULL,
    agent         text COLLATE "C" NOT NULL,
    grp           text        NOT NULL,
    action        smallint    NOT NULL,
    state         smallint    NOT NULL,
    origin        text        NOT NULL,
    cause         smallint,
    reason        text        NOT NULL,
    expect        smallint    NOT NULL,
    fence         bigint      NOT NULL,
    incarnation   bigint,
    request_id    text,
    traceparent   text,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    verify_micros bigint      NOT NULL,
    accepted_at   timestamptz,
    started_at    timestamptz,
    deadline      timestamptz,
    ended_at      timestamptz,
    outcome       text        NOT NULL,
    output        text        NOT NULL,
    version       bigint      NOT NULL
);

-- States below 10 are live. At most one live order per target, whatever the gates believed.
CREATE UNIQUE INDEX orders_live_target ON orders (target_key) WHERE state < 10;
CREATE INDEX orders_live_gateway ON orders (gateway_key) WHERE state < 10;
CREATE INDEX orders_live_agent ON orders (agent) WHERE state < 10;
CREATE INDEX orders_live_group ON orders (grp) WHERE state < 10;
CREATE INDEX orders_group_rate ON orders (grp, created_at);
CREATE INDEX orders_of_target ON orders (target_key, id);
CREATE INDEX orders_restarts ON orders (gateway_key, created_at) WHERE action IN (3, 4);
CREATE INDEX orders_ended ON orders (ended_at) WHERE state >= 10;
CREATE UNIQUE INDEX orders_request ON orders (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE refusals (
    target_key   uuid        NOT NULL,
    gate         text        NOT NULL,
    message      text        NOT NULL,
    numbers      jsonb       NOT NULL,
    retry_micros bigint,
    first_at     timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    count        bigint      NOT NULL,
    PRIMARY KEY (target_key, gate)
) WITH (fillfactor = 50);

CREATE TABLE cases (
    target_key      uuid PRIMARY KEY,
    target          text        NOT NULL,
    cause           smallint    NOT NULL,
    opened_at       timestamptz NOT NULL,
    step            bigint      NOT NULL,
    tries           bigint      NOT NULL,
    attempts        bigint      NOT NULL,
    not_before      timestamptz NOT NULL,
    healthy_since   timestamptz,
    human_called_at timestamptz,
    last_order      uuid
) WITH (fillfactor = 50);

-- One sequence for all policies: the version of a policy that was deleted never fits the one made anew.
CREATE SEQUENCE policy_versions;

CREATE TABLE policies (
    id      text COLLATE "C" PRIMARY KEY,
    body    jsonb  NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE pauses (
    id         uuid PRIMARY KEY,
    scope      text        NOT NULL,
    reason     text        NOT NULL,
    author     text        NOT NULL,
    created_at timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    ended      boolean     NOT NULL DEFAULT false,
    request_id text
);

CREATE INDEX pauses_in_force ON pauses (until) WHERE NOT ended;
CREATE UNIQUE INDEX pauses_request ON pauses (request_id) WHERE request_id IS NOT NULL;

-- Append only. The subject is compared byte by byte, so that what a name holds is a range of the index.
CREATE TABLE events (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL,
    kind      smallint    NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    message   text        NOT NULL,
    condition smallint,
    status    smallint,
    cause     smallint,
    evidence  jsonb       NOT NULL,
    trace_id  text
);

CREATE INDEX events_of_subject ON events (subject, number);
CREATE INDEX events_age ON events USING brin (at);
