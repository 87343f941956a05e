//! One instance under watch: its trace, what was said of it, and the order that is under way.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::observation::Claim;
use mooring_core::session::Source;
use mooring_core::time::Mono;

use crate::adapter::Ask;
use crate::evolution::order::Effect;
use crate::evolution::state::Finding;
use crate::evolution::trace::Trace;

/// What was said is said again after this, so that whoever verifies an order sees facts from after it.
const AGAIN: Duration = Duration::from_secs(10);

/// An instance.
#[derive(Debug)]
pub struct Instance {
    /// As the gateway names it.
    pub name: String,
    /// What was seen.
    pub trace: Trace,
    /// When it is looked at next.
    pub due: Mono,
    /// It is being looked at.
    pub looking: bool,
    /// The gateway's list was read so many times without it.
    pub missed: u32,
    /// The order that is under way.
    pub order: Option<Pending>,
    said: [Option<(Status, Option<Cause>, Mono)>; 5],
}

/// An order that is under way.
#[derive(Debug)]
pub struct Pending {
    /// As it came.
    pub ask: Ask,
    /// When its time is over.
    pub until: Mono,
    /// What it has come to.
    pub stage: Stage,
    /// What the answer to it said that is worth telling if nothing comes of it.
    pub note: Option<String>,
}

/// How far an order is.
#[derive(Debug)]
pub enum Stage {
    /// The instance is looked at, to decide what can be done.
    Looking {
        /// A state of before this does not count.
        since: Mono,
    },
    /// It was given, and its effect is watched for.
    Watching(Effect),
}

impl Instance {
    /// A new one.
    #[must_use]
    pub fn new(name: &str, now: Mono) -> Self {
        Self {
            name: name.to_owned(),
            trace: Trace::default(),
            due: now,
            looking: false,
            missed: 0,
            order: None,
            said: [None; 5],
        }
    }

    /// A claim of it, where it is news or is due to be said again.
    pub fn claim(&mut self, now: Mono, kind: ConditionKind, finding: Finding) -> Option<Claim> {
        let said = &mut self.said[kind.index()];
        let news = (finding.status, finding.cause);
        if said.is_some_and(|(status, cause, at)| (status, cause) == news && now.since(at) < AGAIN) {
            return None;
        }
        *said = Some((finding.status, finding.cause, now));
        let Finding { status, cause, message, evidence, age } = finding;
        Some(Claim { source: Source::Adapter, kind, status, cause, message, evidence, age })
    }

    /// Everything is to be said anew.
    pub fn say_again(&mut self) {
        self.said = [None; 5];
    }
}
