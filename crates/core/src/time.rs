//! Two kinds of time, kept apart by type.
//!
//! [`Mono`] never jumps and means nothing outside its process: durations, deadlines and detectors use it. [`Timestamp`]
//! is the wall clock: it is stored, sent and shown, and no decision inside one process is taken from a difference of two
//! of them. The controller compares wall times of its own host only (order expiry, pauses), never an agent's with its own;
//! where it lists sessions of several agents, their clocks decide what comes first and nothing else. [`Anchor`] tells the
//! time of day of a monotonic point, always the same one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on a monotonic clock, in microseconds since an arbitrary start (the process's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This point plus a duration, saturating.
    #[must_use]
    pub fn after(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(micros(d)))
    }

    /// This point less a duration, saturating at the clock's start.
    #[must_use]
    pub fn before(self, d: Duration) -> Mono {
        Mono(self.0.saturating_sub(micros(d)))
    }
}

/// Wall-clock time in microseconds since the Unix epoch (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Time from `earlier` to `self`; zero if `earlier` is later (wall clocks jump).
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time plus a duration, saturating.
    #[must_use]
    pub fn after(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time less a duration, saturating.
    #[must_use]
    pub fn before(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// The present, on both clocks; read once per event by the shell and passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For every decision.
    pub mono: Mono,
    /// For every display and record.
    pub wall: Timestamp,
}

/// What ties the two clocks together, so that a point on the one keeps its place on the other.
///
/// Two readings of two clocks are never of the same moment, so "now on the wall, less so long" would be another time of
/// day whenever it is computed. Told by one anchor, it is the same to the microsecond. The anchor is dropped only when the
/// wall clock was set: where one daemon slews both clocks alike, as on Linux, they do not drift apart otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The wall clock when the monotonic one was zero, in microseconds.
    zero: i64,
}

impl Anchor {
    /// Farther apart than this, in microseconds, the wall clock was set.
    const SET: u64 = 1_000_000;

    /// From two readings made right after each other.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { zero: now.wall.0.saturating_sub_unsigned(now.mono.0) }
    }

    /// The anchor to use from now on: this one, unless the wall clock was set meanwhile.
    #[must_use]
    pub fn kept(self, now: Now) -> Self {
        let new = Self::new(now);
        if new.zero.abs_diff(self.zero) > Self::SET { new } else { self }
    }

    /// The time of day of a point.
    #[must_use]
    pub fn wall(self, at: Mono) -> Timestamp {
        Timestamp(self.zero.saturating_add_unsigned(at.0))
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_keeps_its_time_of_day_until_the_wall_clock_is_set() {
        let read = |mono, wall| Now { mono: Mono(mono), wall: Timestamp(wall) };
        let first = Anchor::new(read(10, 1_000_010));
        assert_eq!(first.wall(Mono(7)), Timestamp(1_000_007));
        // Held up for a while between the two readings; and the other way round.
        assert_eq!(first.kept(read(20, 1_400_020)), first);
        assert_eq!(first.kept(read(20, 600_020)), first);
        let set = first.kept(read(30, 9_000_030));
        assert_eq!(set.wall(Mono(7)), Timestamp(9_000_007));
        assert_eq!(set.kept(read(40, 1_000_040)), first, "and back");
        let odd = Anchor::new(read(u64::MAX, i64::MIN)).kept(read(0, i64::MAX));
        assert_eq!(odd.wall(Mono(u64::MAX)), Timestamp(i64::MAX));
    }
}

/// Durations as people write them: `250ms`, `10s`, `5m`, `2h`, and sums of those (`1m30s`).
pub mod human {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Parses a duration. Units: `ms`, `s`, `m`, `h`, `d`; no spaces; the range is that of 64-bit milliseconds.
    ///
    /// # Errors
    /// With what is wrong and an example, when the text is not a duration.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let bad = || format!("`{text}` is not a duration; write e.g. 250ms, 10s, 5m or 1h30m");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        if rest == "0" {
            return Ok(Duration::ZERO);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let n: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let factor = match &rest[..unit_end] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(bad()),
            };
            total = n.checked_mul(factor).and_then(|v| total.checked_add(v)).ok_or_else(bad)?;
            rest = &rest[unit_end..];
        }
        Ok(Duration::from_millis(total))
    }

    /// The shortest exact form: `1m30s`, `250ms`, `0s`.
    #[must_use]
    pub fn format(d: Duration) -> String {
        let mut ms = d.as_millis();
        if ms == 0 {
            return "0s".to_owned();
        }
        let mut out = String::new();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if ms >= size {
                out.push_str(&format!("{}{unit}", ms / size));
                ms %= size;
            }
        }
        out
    }

    /// For `#[serde(with = "…")]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format(*d))
    }

    /// For `#[serde(with = "…")]`.
    ///
    /// # Errors
    /// When the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn both_ways() {
            for (text, ms) in
                [("250ms", 250), ("10s", 10_000), ("1m30s", 90_000), ("2h", 7_200_000), ("0s", 0)]
            {
                assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
                assert_eq!(format(Duration::from_millis(ms)), text);
            }
            for bad in ["", "10", "s", "10 s", "1x", "99999999999999999999s", "-1s"] {
                assert!(parse(bad).is_err(), "{bad}");
            }
        }
    }
}
