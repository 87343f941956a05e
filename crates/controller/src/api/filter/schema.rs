//! Which fields can be filtered by, and what they hold: one table per kind of resource.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One text.
    Text,
    /// Several texts; a comparison holds when it holds for one of them.
    Texts,
    /// One of these names. On the wire they are in upper snake case behind the prefix.
    Name {
        /// The prefix of the proto's enum.
        prefix: &'static str,
        /// The names, as [`super::Value::Text`] gives them.
        names: &'static [&'static str],
    },
    /// True or false.
    Bool,
    /// A whole number.
    Number,
    /// A point in time.
    Time,
    /// A length of time, in microseconds as [`super::Value::Number`].
    Duration,
    /// Keys and values: `field.KEY` is one value, `field : KEY` asks for a key.
    Map,
}

/// A field.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The fields of one kind of resource.
#[derive(Debug)]
pub struct Schema {
    /// As in "is not a field of {what}".
    pub what: &'static str,
    /// A sound filter.
    pub example: &'static str,
    /// The fields.
    pub fields: &'static [Field],
}

const fn f(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const PHASE: Kind = Kind::Name {
    prefix: "PHASE_",
    names: &["Unknown", "Healthy", "Degraded", "Down", "Flapping", "NeedsHuman"],
};
const STATUS: Kind = Kind::Name { prefix: "CONDITION_STATUS_", names: &["Unknown", "False", "True"] };
const ACTION: Kind = Kind::Name {
    prefix: "ORDER_ACTION_",
    names: &[
        "reconnect",
        "reconnect_slowly",
        "restart_instance",
        "restart_gateway",
        "close_session",
        "close_sessions",
        "drain",
        "resume",
    ],
};

/// Instances.
pub static INSTANCES: Schema = Schema {
    what: "an instance",
    example: "phase = DOWN",
    fields: &[
        f("name", Kind::Text),
        f("agent", Kind::Text),
        f("gateway", Kind::Text),
        f("instance", Kind::Text),
        f("phase", PHASE),
        f("cause", Kind::Texts),
        f("kind", Kind::Text),
        f("group", Kind::Text),
        f("labels", Kind::Map),
        f("live_order", Kind::Text),
        f("stale", Kind::Bool),
        f("reachable", STATUS),
        f("beating", STATUS),
        f("linked", STATUS),
        f("delivering", STATUS),
        f("stable", STATUS),
    ],
};

/// Agents.
pub static AGENTS: Schema = Schema {
    what: "an agent",
    example: "state = ONLINE",
    fields: &[
        f("name", Kind::Text),
        f("agent", Kind::Text),
        f("state", Kind::Name { prefix: "AGENT_STATE_", names: &["online", "syncing", "lost", "offline"] }),
        f("node", Kind::Text),
        f("version", Kind::Text),
        f("attach_time", Kind::Time),
        f("last_seen_time", Kind::Time),
        f("gateway_count", Kind::Number),
        f("instance_count", Kind::Number),
    ],
};

/// Gateways.
pub static GATEWAYS: Schema = Schema {
    what: "a gateway",
    example: "kind = \"websocket\"",
    fields: &[
        f("name", Kind::Text),
        f("agent", Kind::Text),
        f("gateway", Kind::Text),
        f("kind", Kind::Text),
        f("group", Kind::Text),
        f("labels", Kind::Map),
        f("address", Kind::Text),
        f("watch", Kind::Texts),
        f("instance_count", Kind::Number),
        f("healthy_count", Kind::Number),
        f("sick_count", Kind::Number),
    ],
};

/// Orders.
pub static ORDERS: Schema = Schema {
    what: "an order",
    example: "state = FAILED",
    fields: &[
        f("name", Kind::Text),
        f("target", Kind::Text),
        f("action", ACTION),
        f(
            "state",
            Kind::Name {
                prefix: "ORDER_STATE_",
                names: &[
                    "pending",
                    "dispatched",
                    "accepted",
                    "running",
                    "verifying",
                    "succeeded",
                    "failed",
                    "expired",
                    "cancelled",
                    "refused",
                ],
            },
        ),
        f("requested_by", Kind::Text),
        f("cause", Kind::Text),
        f("reason", Kind::Text),
        f("fence", Kind::Number),
        f("create_time", Kind::Time),
        f("end_time", Kind::Time),
        f("age", Kind::Duration),
    ],
};

/// Events.
pub static EVENTS: Schema = Schema {
    what: "an event",
    example: "type = ORDER",
    fields: &[
        f("subject", Kind::Text),
        f(
            "type",
            Kind::Name {
                prefix: "EVENT_TYPE_",
                names: &["condition", "order", "refusal", "agent", "pause", "policy", "human"],
            },
        ),
        f("cause", Kind::Text),
        f("message", Kind::Text),
        f("create_time", Kind::Time),
        f("age", Kind::Duration),
    ],
};

const SOURCE: Kind =
    Kind::Name { prefix: "SESSION_SOURCE_", names: &["canary", "relay", "kernel", "report"] };

/// Sessions.
pub static SESSIONS: Schema = Schema {
    what: "a session",
    example: "silent > 30s",
    fields: &[
        f("name", Kind::Text),
        f("agent", Kind::Text),
        f("gateway", Kind::Text),
        f("session", Kind::Text),
        f("instance", Kind::Text),
        f("source", SOURCE),
        f("state", Kind::Name { prefix: "SESSION_STATE_", names: &["opening", "open", "closing", "held"] }),
        f("peer", Kind::Text),
        f("local", Kind::Text),
        f("cause", Kind::Text),
        f("message", Kind::Text),
        f("protocol", Kind::Text),
        f("silent", Kind::Duration),
        f("age", Kind::Duration),
        f("age_at_least", Kind::Bool),
        f("rtt", Kind::Duration),
        f("beat", Kind::Duration),
        f("retransmits", Kind::Number),
        f("received.bytes", Kind::Number),
        f("received.messages", Kind::Number),
        f("received.silent", Kind::Duration),
        f("received.queued", Kind::Number),
        f("sent.bytes", Kind::Number),
        f("sent.messages", Kind::Number),
        f("sent.silent", Kind::Duration),
        f("sent.queued", Kind::Number),
    ],
};

/// Ends of sessions.
pub static CLOSES: Schema = Schema {
    what: "an end of a session",
    example: "cause = \"IdleCut\"",
    fields: &[
        f("agent", Kind::Text),
        f("gateway", Kind::Text),
        f("session", Kind::Text),
        f("instance", Kind::Text),
        f("source", SOURCE),
        f("peer", Kind::Text),
        f("time", Kind::Time),
        f("age", Kind::Duration),
        f("silent_for", Kind::Duration),
        f("ended_by", Kind::Name { prefix: "", names: &["unknown", "peer", "gateway", "mooring", "path"] }),
        f("code", Kind::Number),
        f("cause", Kind::Text),
        f("message", Kind::Text),
    ],
};

impl Schema {
    /// The field of this name, and the key where it is one value of a map.
    pub(super) fn resolve(&'static self, name: &str) -> Result<(&'static Field, Option<String>), String> {
        // A part of a message is a field by its whole name.
        if let Some(field) = self.fields.iter().find(|f| f.name == name) {
            return Ok((field, None));
        }
        let (head, key) = match name.split_once('.') {
            Some((head, key)) => (head, Some(key)),
            None => (name, None),
        };
        let field = self.fields.iter().find(|f| f.name == head);
        match (field, key) {
            (Some(field), None) => Ok((field, None)),
            (Some(field), Some(key)) if field.kind == Kind::Map && !key.is_empty() => {
                Ok((field, Some(key.to_owned())))
            }
            (Some(field), Some(_)) if field.kind == Kind::Map => {
                Err(format!("a key is needed after `{head}.`"))
            }
            (Some(_), Some(_)) => Err(format!("`{head}` has no parts")),
            (None, _) => Err(self.unknown(head)),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let shown: String = name.chars().take(64).collect();
        let what = self.what;
        let all: Vec<&str> = self.fields.iter().map(|f| f.name).collect();
        let near = all
            .iter()
            .map(|f| (strsim::jaro_winkler(&shown.to_lowercase(), f), *f))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score > 0.75);
        let hint = near.map_or_else(|| ".".to_owned(), |(_, f)| format!("; did you mean `{f}`?"));
        format!("`{shown}` is not a field of {what}{hint} Its fields: {}", all.join(", "))
    }
}
