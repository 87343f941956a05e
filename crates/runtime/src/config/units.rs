//! Durations and shares as people write them: `1h30m`, `500ms`, `12.5%`.
//!
//! A bare number is refused for a duration on purpose: whether `timeout = 10` means seconds or milliseconds is exactly
//! the mistake a unit prevents.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a duration or a share, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseUnitError(String);

/// A span of time written with units (`500ms`, `10s`, `5m`, `1h30m`, `2d`), resolution one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl HumanDuration {
    /// A duration of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<HumanDuration> for Duration {
    fn from(value: HumanDuration) -> Self {
        value.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(value: Duration) -> Self {
        Self(value)
    }
}

impl FromStr for HumanDuration {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let bad = |why: &str| {
            ParseUnitError(format!("`{text}` is not a duration: {why}, write it like 500ms, 10s or 1h30m"))
        };
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(bad("it is empty"));
        }
        let (mut total, mut last) = (0_u64, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u64 =
                rest[..digits].parse().map_err(|_| bad("a number is expected before each unit"))?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = &rest[..letters];
            if unit.is_empty() {
                return Err(bad("a unit is missing"));
            }
            let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(bad(&format!("`{unit}` is no unit (ms, s, m, h, d)")));
            };
            if *millis >= last {
                return Err(bad("units go from large to small, each once"));
            }
            last = *millis;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| bad("it is too long"))?;
            rest = rest[letters..].trim_start();
        }
        Ok(Self::from_millis(total))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (name, size) in UNITS {
            if millis >= size {
                write!(f, "{}{name}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"500ms\", \"10s\" or \"1h30m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A share from 0 % to 100 %, written `"25%"`, `"12.5%"` or as a plain number of percent; resolution 0.01 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percent {
    hundredths: u16,
}

impl Percent {
    /// A whole number of percent; more than 100 counts as 100.
    pub const fn new(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self { hundredths: percent as u16 * 100 }
    }

    /// As a fraction from 0.0 to 1.0.
    pub fn fraction(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }

    /// This share of `total`, rounded down.
    pub fn of(self, total: u64) -> u64 {
        let share = u128::from(total) * u128::from(self.hundredths) / 10_000;
        u64::try_from(share).unwrap_or(total)
    }

    fn from_percent(percent: f64) -> Result<Self, ParseUnitError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(ParseUnitError(format!("{percent} is not between 0 and 100 percent")));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 10,000 by the check above"
        )]
        Ok(Self { hundredths: (percent * 100.0).round() as u16 })
    }
}

impl FromStr for Percent {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
        match number.parse::<f64>() {
            Ok(percent) => Self::from_percent(percent),
            Err(_) => Err(ParseUnitError(format!("`{text}` is not a share, write it like 25%"))),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.hundredths) / 100.0)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Share;
        impl Visitor<'_> for Share {
            type Value = Percent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as \"25%\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, percent: f64) -> Result<Percent, E> {
                Percent::from_percent(percent).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, percent: i64) -> Result<Percent, E> {
                let percent = i32::try_from(percent).unwrap_or(i32::MAX);
                Percent::from_percent(f64::from(percent)).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Percent, E> {
                self.visit_i64(i64::try_from(percent).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_any(Share)
    }
}
