//! The limits a connection is judged by.

use std::time::Duration;

/// Limits. The defaults are for scans every two seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgeConfig {
    /// How often scans are meant to come. One that comes later by more than this (and a second) makes a lag: nothing is
    /// judged from the time before it.
    pub interval: Duration,
    /// Half open: data or probes unanswered for this long, or for [`rtos`](Self::rtos) timeouts if that is longer.
    pub half_open: Duration,
    /// Retransmission timeouts in a row that make data "unanswered". One happens on any path.
    pub retransmits: u8,
    /// Undoubled retransmission timeouts (round trip and four deviations, 200 ms at least) a peer may be late.
    pub rtos: u32,
    /// Stalled reader: the peer's window shut and nothing taken for this long.
    pub peer_stalled: Duration,
    /// Stalled gateway: data lies unread in its socket for this long.
    pub gateway_stalled: Duration,
    /// Not closed: the peer has closed this long ago, the gateway has not.
    pub not_closed: Duration,
    /// Silent: this much at least on top of the usual gap.
    pub silence_floor: Duration,
    /// Silent: so many mean deviations on top of the usual gap.
    pub silence_deviations: f32,
    /// Gaps that must have been seen before there is a habit.
    pub silence_gaps: u8,
    /// A habit is one only if its mean deviation is at most this share of the mean gap.
    pub silence_regularity: f32,
    /// Connections remembered at once; those beyond are counted, not judged. About 95 bytes each.
    pub max_tracks: usize,
    /// Connections named in each of the lists of the worst.
    pub worst: usize,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            half_open: Duration::from_secs(10),
            retransmits: 2,
            rtos: 4,
            peer_stalled: Duration::from_secs(30),
            gateway_stalled: Duration::from_secs(30),
            not_closed: Duration::from_secs(60),
            silence_floor: Duration::from_secs(10),
            silence_deviations: 8.0,
            silence_gaps: 12,
            silence_regularity: 0.35,
            max_tracks: crate::reader::MAX_CONNECTIONS,
            worst: 32,
        }
    }
}
