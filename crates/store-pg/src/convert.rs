//! Between the core's values and Postgres' types.
//!
//! Two things a peer could use to stop a whole batch are dealt with here: text with a NUL, which Postgres cannot store
//! (it becomes U+FFFD), and times beyond what both sides can express (they are held within the years 1 to 9999).

use mooring_core::cause::Cause;
use mooring_core::condition::Evidence;
use mooring_core::time::Timestamp;
use serde_json::Value;
use sqlx::types::time::OffsetDateTime;
use std::time::Duration;

use crate::errors::Fault;

/// 0001-01-01T00:00:00Z, in microseconds.
const FIRST: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z, in microseconds.
const LAST: i64 = 253_402_300_799_999_999;

/// To a `timestamptz`: exact to the microsecond within the years 1 to 9999, else the nearer end.
pub(crate) fn time(t: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(t.0.clamp(FIRST, LAST)) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// From a `timestamptz`.
pub(crate) fn timestamp(t: OffsetDateTime) -> Timestamp {
    // What the type can hold fits an i64 of microseconds thirty times over.
    Timestamp(i64::try_from(t.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX))
}

/// To microseconds.
pub(crate) fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

/// From microseconds.
pub(crate) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Text as Postgres can store it.
pub(crate) fn text(s: &str) -> String {
    s.replace('\0', "\u{FFFD}")
}

/// A cause's code.
pub(crate) fn cause_code(cause: Cause) -> i16 {
    i16::try_from(cause.code()).unwrap_or(0)
}

/// The cause with this code. One that a newer controller stored is [`Cause::Unrecognised`], not damage.
pub(crate) fn cause(code: i16) -> Cause {
    u16::try_from(code).ok().and_then(Cause::from_code).unwrap_or(Cause::Unrecognised)
}

/// Pairs keep their order and may repeat a key, so they are an array of arrays, not an object.
pub(crate) fn pairs_json(pairs: &Evidence) -> Value {
    pairs.iter().map(|(k, v)| Value::from(vec![text(k), text(v)])).collect()
}

/// Evidence from its stored form.
pub(crate) fn pairs(table: &str, value: Value) -> Result<Evidence, Fault> {
    serde_json::from_value(value).map_err(|e| Fault::broken(table, format!("evidence: {e}")))
}

/// A small unsigned number from a column that holds nothing else.
pub(crate) fn small(table: &str, column: &str, value: i64) -> Result<u32, Fault> {
    u32::try_from(value).map_err(|_| Fault::broken(table, format!("{column} is {value}")))
}

/// A name or code from its stored form.
pub(crate) fn known<T>(
    table: &str,
    column: &str,
    value: impl std::fmt::Display,
    found: Option<T>,
) -> Result<T, Fault> {
    found.ok_or_else(|| {
        Fault::broken(table, format!("{column} is `{value}`, which this version does not know"))
    })
}

/// A count of rows from a limit that a caller chose.
pub(crate) fn limit(rows: u32) -> i64 {
    i64::from(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_bounded() {
        for micros in [0, 1, -1, 1_790_000_000_123_457, -1_000_001, FIRST, LAST] {
            assert_eq!(timestamp(time(Timestamp(micros))), Timestamp(micros));
        }
        assert_eq!(timestamp(time(Timestamp(i64::MAX))), Timestamp(LAST));
        assert_eq!(timestamp(time(Timestamp(i64::MIN))), Timestamp(FIRST));
        assert_eq!(time(Timestamp(LAST)).year(), 9999);
        assert_eq!(time(Timestamp(FIRST)).year(), 1);
    }

    #[test]
    fn every_cause_fits_its_column() {
        for c in Cause::all() {
            assert_eq!(cause(cause_code(c)), c);
        }
        assert_eq!(cause(-1), Cause::Unrecognised);
    }
}
