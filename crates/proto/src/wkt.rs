//! Times and durations between core and protobuf's well-known types.

use std::time::Duration;

use mooring_core::time::Timestamp;

/// A timestamp for the wire.
#[must_use]
pub fn timestamp(t: Timestamp) -> prost_types::Timestamp {
    let nanos = t.0.rem_euclid(1_000_000) * 1_000;
    prost_types::Timestamp { seconds: t.0.div_euclid(1_000_000), nanos: i32::try_from(nanos).unwrap_or(0) }
}

/// A timestamp from the wire; `None` if it is out of range.
#[must_use]
pub fn timestamp_from(t: &prost_types::Timestamp) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&t.nanos) {
        return None;
    }
    Some(Timestamp(t.seconds.checked_mul(1_000_000)?.checked_add(i64::from(t.nanos) / 1_000)?))
}

/// A duration for the wire, saturating.
#[must_use]
pub fn duration(d: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(d.subsec_nanos()).unwrap_or(0),
    }
}

/// A duration from the wire; `None` if it is negative or malformed.
#[must_use]
pub fn duration_from(d: &prost_types::Duration) -> Option<Duration> {
    if d.seconds < 0 || !(0..1_000_000_000).contains(&d.nanos) {
        return None;
    }
    Some(Duration::new(u64::try_from(d.seconds).ok()?, u32::try_from(d.nanos).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for t in [0, 1, -1, 1_700_000_000_123_456, -1_500_000] {
            assert_eq!(timestamp_from(&timestamp(Timestamp(t))), Some(Timestamp(t)));
        }
        assert_eq!(timestamp_from(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(timestamp_from(&prost_types::Timestamp { seconds: 0, nanos: -1 }), None);
        let d = Duration::new(3, 5);
        assert_eq!(duration_from(&duration(d)), Some(d));
        assert_eq!(duration_from(&prost_types::Duration { seconds: -1, nanos: 0 }), None);
    }
}
