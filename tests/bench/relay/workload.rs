//! What is measured, and the figures that are read from it.

use std::time::Duration;

use super::Cores;
use super::crowd::{Sample, Shape};
use crate::table::part;

/// A load under which relays are measured in turns.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Sessions.
    pub sessions: usize,
    /// Payload, bytes. Of none, the opening of the sessions is what is measured.
    pub size: usize,
    /// How messages follow.
    pub shape: Shape,
    /// On which cores.
    pub cores: Cores,
    /// What is read from it.
    pub figures: &'static [Figure],
}

/// A number read from a sample.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its row.
    pub name: &'static str,
    /// How.
    pub read: Read,
    /// The project's target against nginx: floor; goal.
    pub target: &'static str,
}

/// How a number is read from a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Read {
    /// Round trips per second, or sessions opened per second.
    Rate,
    /// A part of the times, µs.
    Took(f64),
    /// The same less the direct one of the round.
    Added(f64),
    /// The relay's processor time per round trip, or per session opened, µs.
    Cost,
}

impl Read {
    /// The number; none where it has no meaning.
    pub fn of(self, sample: &Sample, direct: &Sample) -> f64 {
        let micros = |d: Duration| d.as_secs_f64() * 1e6;
        match self {
            Self::Rate => sample.trips / sample.seconds,
            Self::Took(share) => micros(part(&sample.took, share)),
            Self::Added(share) => micros(part(&sample.took, share)) - micros(part(&direct.took, share)),
            Self::Cost => sample.cost / sample.trips / 1e3,
        }
    }

    /// Whether it says anything of a connection without a relay.
    pub fn is_of_direct(self) -> bool {
        matches!(self, Self::Rate | Self::Took(_))
    }
}

const fn figure(name: &'static str, read: Read, target: &'static str) -> Figure {
    Figure { name, read, target }
}

/// All of them.
pub const ALL: &[Workload] = &[
    Workload {
        sessions: 1,
        size: 64,
        shape: Shape::Closed(1),
        cores: Cores::One,
        figures: &[
            figure("1 session, 64 B, one core: p50, µs", Read::Took(0.5), ""),
            figure("1 session, 64 B, one core: p99, µs", Read::Took(0.99), ""),
            figure("1 session, 64 B, one core: added p50, µs", Read::Added(0.5), "≤ 1.10; ≤ 0.95"),
            figure("1 session, 64 B, one core: added p99, µs", Read::Added(0.99), "≤ 1.10; ≤ 0.95"),
        ],
    },
    Workload {
        sessions: 100,
        size: 64,
        shape: Shape::Closed(1),
        cores: Cores::One,
        figures: &[
            figure("100 sessions, 64 B, one core: round trips/s", Read::Rate, ""),
            figure("100 sessions, 64 B, one core: added p50, µs", Read::Added(0.5), "≤ 1.10; ≤ 0.95"),
            figure("100 sessions, 64 B, one core: added p99, µs", Read::Added(0.99), "≤ 1.10; ≤ 0.95"),
            figure("100 sessions, 64 B: processor time, µs", Read::Cost, "≤ 1.10; ≤ 1.00"),
        ],
    },
    Workload {
        sessions: 100,
        size: 64,
        shape: Shape::Paced(2_000.0),
        cores: Cores::One,
        figures: &[
            figure(
                "100 sessions at 2,000/s, 64 B, one core: added p50, µs",
                Read::Added(0.5),
                "≤ 1.10; ≤ 0.95",
            ),
            figure(
                "100 sessions at 2,000/s, 64 B, one core: added p99, µs",
                Read::Added(0.99),
                "≤ 1.10; ≤ 0.95",
            ),
        ],
    },
    Workload {
        sessions: 100,
        size: 64,
        shape: Shape::Closed(1),
        cores: Cores::Two,
        figures: &[figure("100 sessions, 64 B, two cores: round trips/s", Read::Rate, "")],
    },
    Workload {
        sessions: 16,
        size: 64,
        shape: Shape::Closed(64),
        cores: Cores::One,
        figures: &[
            figure("16 sessions × 64 at once, 64 B, one core: round trips/s", Read::Rate, ""),
            figure("16 sessions × 64 at once, 64 B: processor time, µs", Read::Cost, "≤ 1.10; ≤ 1.00"),
        ],
    },
    Workload {
        sessions: 16,
        size: 64,
        shape: Shape::Closed(64),
        cores: Cores::Two,
        figures: &[figure("16 sessions × 64 at once, 64 B, two cores: round trips/s", Read::Rate, "")],
    },
    Workload {
        sessions: 100,
        size: 1_024,
        shape: Shape::Closed(1),
        cores: Cores::One,
        figures: &[figure("100 sessions, 1 KiB: processor time, µs", Read::Cost, "")],
    },
    Workload {
        sessions: 32,
        size: 16_384,
        shape: Shape::Closed(1),
        cores: Cores::One,
        figures: &[
            figure("32 sessions, 16 KiB, one core: round trips/s", Read::Rate, ""),
            figure("32 sessions, 16 KiB: processor time, µs", Read::Cost, "≤ 0.60; ≤ 0.40"),
        ],
    },
    Workload {
        sessions: 1_000,
        size: 0,
        shape: Shape::Closed(1),
        cores: Cores::One,
        figures: &[
            figure("sessions opened per second, one core", Read::Rate, ""),
            figure("handshake: processor time, µs", Read::Cost, ""),
        ],
    },
];
