//! The reasons: part of the API, for scripts to branch on. Never rename one; add at the end of its group.

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal; )*) => {
        /// Why a call failed: `ErrorInfo.reason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $( $(#[doc = $doc])+ $variant, )* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[ $( Reason::$variant, )* ];

            /// As it stands on the wire (AIP-193: upper snake case, at most 63 characters).
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc),+).trim_ascii(), )* }
            }
        }
    };
}

reasons! {
    /// A field is missing or wrong (INVALID_ARGUMENT; BadRequest names each field).
    InvalidField = "INVALID_FIELD";
    /// The filter cannot be read (INVALID_ARGUMENT; metadata `column`, from 1).
    InvalidFilter = "INVALID_FILTER";
    /// The page token is not one of ours, or was altered (INVALID_ARGUMENT; begin anew without it).
    PageTokenInvalid = "PAGE_TOKEN_INVALID";
    /// The page token is from another life of the controller (INVALID_ARGUMENT; begin anew without it).
    PageTokenOutdated = "PAGE_TOKEN_OUTDATED";
    /// The page token belongs to a request with another filter, parent or order (INVALID_ARGUMENT).
    PageTokenMismatch = "PAGE_TOKEN_MISMATCH";
    /// The request id was used for something else (INVALID_ARGUMENT).
    RequestIdReused = "REQUEST_ID_REUSED";
    /// The request cannot be decoded (INVALID_ARGUMENT or INTERNAL, made by the transport).
    MalformedRequest = "MALFORMED_REQUEST";

    /// There is no such resource (NOT_FOUND; ResourceInfo names it).
    ResourceNotFound = "RESOURCE_NOT_FOUND";
    /// There is one of this name already (ALREADY_EXISTS).
    ResourceExists = "RESOURCE_EXISTS";
    /// The etag is not that of the current version (ABORTED; read again).
    EtagMismatch = "ETAG_MISMATCH";
    /// Another writer was faster (ABORTED; read again).
    ConcurrentChange = "CONCURRENT_CHANGE";
    /// The policy comes from the controller's policy file (FAILED_PRECONDITION; change the file).
    PolicyFromFile = "POLICY_FROM_FILE";
    /// The built-in default cannot be deleted (FAILED_PRECONDITION).
    PolicyBuiltIn = "POLICY_BUILT_IN";
    /// The order is in a state that does not allow it (FAILED_PRECONDITION).
    OrderState = "ORDER_STATE";

    /// Orders are paused (FAILED_PRECONDITION).
    GatePaused = "GATE_PAUSED";
    /// The policy is on dry run (FAILED_PRECONDITION).
    GateDryRun = "GATE_DRY_RUN";
    /// The controller has just started (FAILED_PRECONDITION).
    GateWarmingUp = "GATE_WARMING_UP";
    /// The agent is not attached (FAILED_PRECONDITION).
    GateAgentOffline = "GATE_AGENT_OFFLINE";
    /// The agent has nothing configured that could do it (FAILED_PRECONDITION).
    GateNotConfigured = "GATE_NOT_CONFIGURED";
    /// Another order on the target is not over (FAILED_PRECONDITION).
    GateLiveOrder = "GATE_LIVE_ORDER";
    /// The last order on the target ended too recently (RESOURCE_EXHAUSTED).
    GateCooldown = "GATE_COOLDOWN";
    /// The target's backoff runs (RESOURCE_EXHAUSTED).
    GateBackoff = "GATE_BACKOFF";
    /// The gateway was restarted too often (RESOURCE_EXHAUSTED).
    GateRestartBudget = "GATE_RESTART_BUDGET";
    /// Too many live orders in the group (RESOURCE_EXHAUSTED).
    GateGroupInFlight = "GATE_GROUP_IN_FLIGHT";
    /// Too many live orders for the group's size (RESOURCE_EXHAUSTED).
    GateGroupPercent = "GATE_GROUP_PERCENT";
    /// Too many new orders in the group within a minute (RESOURCE_EXHAUSTED).
    GateGroupRate = "GATE_GROUP_RATE";
    /// Too many of the group sick at once (RESOURCE_EXHAUSTED).
    GateStorm = "GATE_STORM";

    /// No valid bearer token (UNAUTHENTICATED).
    Unauthenticated = "UNAUTHENTICATED";
    /// The join token is bound to another agent (PERMISSION_DENIED).
    TokenBoundToAnotherAgent = "TOKEN_BOUND_TO_ANOTHER_AGENT";
    /// The principal may not do it (PERMISSION_DENIED).
    PermissionDenied = "PERMISSION_DENIED";

    /// The database is away: nothing is changed (UNAVAILABLE; RetryInfo).
    DatabaseAway = "DATABASE_AWAY";
    /// The controller is stopping (UNAVAILABLE; RetryInfo).
    Stopping = "STOPPING";
    /// It took too long (DEADLINE_EXCEEDED or CANCELLED).
    DeadlineExceeded = "DEADLINE_EXCEEDED";
    /// Too many watches are open (RESOURCE_EXHAUSTED).
    TooManyWatches = "TOO_MANY_WATCHES";
    /// The watch cannot go on from this position: begin anew without a resume token (OUT_OF_RANGE).
    WatchPositionTooOld = "WATCH_POSITION_TOO_OLD";
    /// A message or a number of them is over a limit of the transport (RESOURCE_EXHAUSTED).
    LimitExceeded = "LIMIT_EXCEEDED";
    /// The agent has no stream to this controller (UNAVAILABLE; metadata `agent`).
    AgentNotAttached = "AGENT_NOT_ATTACHED";
    /// The agent did not answer, or said that it cannot (UNAVAILABLE; metadata `agent`).
    AgentNoAnswer = "AGENT_NO_ANSWER";
    /// The agent is too old for it (FAILED_PRECONDITION; upgrade it).
    AgentTooOld = "AGENT_TOO_OLD";
    /// Too many questions wait for the agent's answers (RESOURCE_EXHAUSTED; RetryInfo).
    AgentBusy = "AGENT_BUSY";
    /// The agent examines other hosts than its own only where its configuration allows it, and an unknown gateway or an
    /// unreadable file not at all (FAILED_PRECONDITION; metadata `detail` has its words).
    ExaminationRefused = "EXAMINATION_REFUSED";
    /// So many gateways cannot be asked in one call (INVALID_ARGUMENT; name an agent or a gateway).
    TooManyGateways = "TOO_MANY_GATEWAYS";
    /// There is no such method or service (UNIMPLEMENTED).
    MethodUnknown = "METHOD_UNKNOWN";

    /// Two live agents claim one id (ALREADY_EXISTS).
    AgentIdInUse = "AGENT_ID_IN_USE";
    /// The agent has more gateways or instances than this controller takes (RESOURCE_EXHAUSTED).
    AgentTooLarge = "AGENT_TOO_LARGE";
    /// The controller has as many agents as it takes (RESOURCE_EXHAUSTED; RetryInfo).
    TooManyAgents = "TOO_MANY_AGENTS";

    /// A bug or damaged data (INTERNAL; metadata `id` finds it in the controller's log).
    Internal = "INTERNAL";
}

impl From<&'static str> for Reason {
    /// The reason of this name; [`Reason::Internal`] for one that is not in the table.
    fn from(name: &'static str) -> Self {
        Self::ALL.iter().copied().find(|r| r.name() == name).unwrap_or(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_keep_to_the_rules_and_are_unique() {
        let mut seen = HashSet::new();
        for r in Reason::ALL {
            let name = r.name();
            assert!(seen.insert(name), "{name}");
            assert!(!name.is_empty() && name.len() <= 63, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.ends_with('_'), "{name}");
            assert_eq!(Reason::from(name), *r);
            assert!(r.meaning().ends_with('.') && r.meaning().contains('('), "{name}: {}", r.meaning());
        }
    }

    #[test]
    fn what_the_link_says_is_in_the_table() {
        for name in ["AGENT_ID_IN_USE", "TOKEN_BOUND_TO_ANOTHER_AGENT", "AGENT_TOO_LARGE", "TOO_MANY_AGENTS"]
        {
            assert_ne!(Reason::from(name), Reason::Internal, "{name}");
        }
    }
}
