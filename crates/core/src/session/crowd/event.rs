//! What goes into a crowd and what comes out of it, and its settings.

use std::time::Duration;

use crate::cause::Cause;
use crate::observation::Claim;
use crate::session::SessionClose;

/// Settings of a [`Crowd`](super::Crowd), with the reasons for their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrowdConfig {
    /// Refusals in a row until `Reachable` is False. Two, as for the canary: the second tells an outage from a listener
    /// that was being replaced.
    pub fall: u32,
    /// Share of sick sessions, percent (1–100), that makes the instance sick. Half of them: less may be some peers' own
    /// trouble.
    pub sick_percent: u8,
    /// And so many at least, to be believed at once; fewer sessions than that must all be sick, and be so at two looks.
    pub sick_least: u32,
    /// Share of the open sessions, percent (1–100), that is a mass reset when it ends within a second, and that makes an
    /// idle limit a matter of the instance when it is cut by it.
    pub mass_percent: u8,
    /// And so many at least for a mass reset.
    pub mass_least: u32,
    /// Data or a new session of no more than this age: somebody is being served.
    pub fresh: Duration,
    /// Health is said again at least this often while there are new facts for it.
    pub restate: Duration,
    /// How long it must have been quiet, or a session have stayed, to refute that sessions are refused or dropped; and
    /// an end at a lower age is one of a session that did not stay.
    pub settle: Duration,
    /// How long fewer sessions than expected may be open: a gateway that dials out comes back within seconds.
    pub absent: Duration,
    /// With no session open for so long, nothing is known any more.
    pub idle_after: Duration,
    /// A fault that shows no more for so long is not known to last: Unknown. Longer than any client's pause between two
    /// tries.
    pub stale: Duration,
    /// After a disturbance: how long failures are still its consequence.
    pub grace: Duration,
    /// A disturbance whose end is never reported is over after this time.
    pub disturbance_max: Duration,
}

impl Default for CrowdConfig {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            fall: 2,
            sick_percent: 50,
            sick_least: 3,
            mass_percent: 20,
            mass_least: 5,
            fresh: s(30),
            restate: s(10),
            settle: s(10),
            absent: s(10),
            idle_after: s(60),
            stale: s(300),
            grace: s(5),
            disturbance_max: s(300),
        }
    }
}

/// Something a crowd reacts to.
#[derive(Debug, Clone, Copy)]
pub enum CrowdEvent<'a> {
    /// A session was opened: its handshake went through.
    Opened,
    /// A peer could not be let in: the gateway refused it or could not be reached, or a limit of the relay was met.
    Refused {
        /// Why.
        cause: Cause,
        /// In words.
        message: &'a str,
    },
    /// A session ended. Those that end because of a [`Refused`](Self::Refused) were never open and are not told.
    Closed(&'a SessionClose),
    /// The periodic look at everything.
    Census(Census<'a>),
    /// The observer was held up for so long. To be told before what was found waiting afterwards.
    Lag(Duration),
    /// An order began: what ends now is expected, what was known is void.
    Disturbed,
    /// The order is done.
    Settled,
    /// Time has passed: [`Crowd::wake_at`](super::Crowd::wake_at) has come, or any other moment.
    Tick,
}

/// All sessions at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Census<'a> {
    /// How many are open.
    pub open: u64,
    /// Those with something wrong, by what.
    pub sick: &'a [(Cause, u64)],
    /// Time since the newest data of any of them, in either direction.
    pub newest_data_age: Option<Duration>,
    /// The longest silence of any of them; it can refute an idle limit.
    pub longest_silence: Option<Duration>,
    /// Whether somebody listens on the gateway's port, where that can be seen.
    pub listening: Option<bool>,
    /// How many are to be open at least, where somebody said so.
    pub expected: Option<u64>,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// For the instance's tracker.
    pub claims: Vec<Claim>,
    /// After [`CrowdEvent::Closed`]: why the session ended, where the others tell more than it does by itself.
    pub cause: Option<(Cause, String)>,
}
