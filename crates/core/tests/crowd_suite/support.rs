//! What the crowd's tests share: a crowd with a clock, and short ways to say what happens.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::SessionId;
use mooring_core::observation::Claim;
use mooring_core::session::crowd::{Census, Crowd, CrowdConfig, CrowdEvent, Step};
use mooring_core::session::{EndedBy, SessionClose, Source};
use mooring_core::time::{Mono, Timestamp};

pub const START: Mono = Mono(1_000_000_000);

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub type Held = (Status, Option<Cause>);
pub const NOTHING: Held = (Status::Unknown, None);
pub const WELL: Held = (Status::True, None);

pub fn sick(cause: Cause) -> Held {
    (Status::False, Some(cause))
}

/// A crowd, its clock, and what it last claimed.
pub struct World {
    pub crowd: Crowd,
    pub now: Mono,
    pub claimed: [Held; 5],
    pub last: Vec<Claim>,
}

impl World {
    pub fn new() -> Self {
        let crowd = Crowd::new(Source::Relay, CrowdConfig::default());
        Self { crowd, now: START, claimed: [NOTHING; 5], last: Vec::new() }
    }

    /// With so many sessions open, all of them well.
    pub fn with(open: u64) -> Self {
        let mut w = Self::new();
        (0..open).for_each(|_| drop(w.opened()));
        w.look(open);
        assert_eq!((w.reachable(), w.beating()), (WELL, WELL));
        w.pass(secs(60)).look(open);
        w
    }

    pub fn step(&mut self, event: CrowdEvent<'_>) -> Step {
        let step = self.crowd.step(self.now, event);
        for claim in &step.claims {
            assert_eq!(claim.source, Source::Relay);
            let cause = claim.cause.filter(|c| *c != Cause::NotYetObserved);
            self.claimed[claim.kind.index()] = (claim.status, cause);
        }
        self.last.clone_from(&step.claims);
        step
    }

    pub fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self
    }

    pub fn tick(&mut self) -> Step {
        self.step(CrowdEvent::Tick)
    }

    pub fn opened(&mut self) -> Step {
        self.step(CrowdEvent::Opened)
    }

    pub fn refused(&mut self, cause: Cause) -> Step {
        self.step(CrowdEvent::Refused { cause, message: "no way" })
    }

    pub fn closed(&mut self, end: &End) -> Option<Cause> {
        self.step(CrowdEvent::Closed(&end.0)).cause.map(|(cause, _)| cause)
    }

    pub fn census(&mut self, census: Census<'_>) -> Step {
        self.step(CrowdEvent::Census(census))
    }

    /// A look that finds so many open, and data just now.
    pub fn look(&mut self, open: u64) -> Step {
        self.census(Census { open, newest_data_age: Some(Duration::ZERO), ..Census::default() })
    }

    pub fn look_sick(&mut self, open: u64, sick: &[(Cause, u64)]) -> Step {
        self.census(Census { open, sick, ..Census::default() })
    }

    pub fn reachable(&self) -> Held {
        self.claimed[ConditionKind::Reachable.index()]
    }

    pub fn beating(&self) -> Held {
        self.claimed[ConditionKind::Beating.index()]
    }

    pub fn stable(&self) -> Held {
        self.claimed[ConditionKind::Stable.index()]
    }

    /// The words of the last step's claim.
    pub fn words(&self, kind: ConditionKind) -> &str {
        self.last.iter().find(|c| c.kind == kind).map_or("", |c| &c.message)
    }
}

/// The end of a session: lost by the gateway after an hour of traffic, unless something else is said.
#[derive(Clone)]
pub struct End(pub SessionClose);

pub fn end() -> End {
    End(SessionClose {
        id: SessionId::new("r1").expect("a name"),
        source: Source::Relay,
        instance: None,
        peer: "192.0.2.1:40000".to_owned(),
        at: Timestamp(0),
        age: secs(3_600),
        silent_for: ms(300),
        by: EndedBy::Gateway,
        code: None,
        cause: Some(Cause::SessionLost),
        message: "lost".to_owned(),
    })
}

impl End {
    pub fn age(mut self, age: Duration) -> Self {
        self.0.age = age;
        self.0.silent_for = self.0.silent_for.min(age);
        self
    }

    pub fn silent(mut self, silent_for: Duration) -> Self {
        self.0.silent_for = silent_for;
        self
    }

    pub fn by(mut self, by: EndedBy) -> Self {
        self.0.by = by;
        self
    }

    pub fn code(mut self, code: u16, cause: Option<Cause>) -> Self {
        self.0.code = Some(code);
        self.0.cause = cause;
        self
    }

    pub fn peer(mut self, peer: &str) -> Self {
        peer.clone_into(&mut self.0.peer);
        self
    }
}
