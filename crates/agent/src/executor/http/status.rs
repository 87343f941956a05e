//! Which statuses mean success: some codes, or a whole class.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Expected statuses, written `200`, `[200, 204]` or `"2xx"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectStatus {
    /// Every status that begins with this digit.
    Class(u16),
    /// These.
    Codes(Vec<u16>),
}

impl Default for ExpectStatus {
    fn default() -> Self {
        Self::Class(2)
    }
}

impl ExpectStatus {
    /// Whether a status is one of these.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == *class,
            Self::Codes(codes) => codes.contains(&status),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Class(_) => Ok(()),
            Self::Codes(codes) if codes.is_empty() => Err("at least one status is needed".to_owned()),
            Self::Codes(codes) => match codes.iter().find(|code| !(200..=599).contains(*code)) {
                None => Ok(()),
                Some(code) => Err(format!("{code} is not a final status (200 to 599)")),
            },
        }
    }
}

impl fmt::Display for ExpectStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Codes(codes) => {
                f.write_str(&codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "))
            }
        }
    }
}

impl Serialize for ExpectStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Class(_) => serializer.collect_str(self),
            Self::Codes(codes) => codes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Statuses;
        impl<'de> Visitor<'de> for Statuses {
            type Value = ExpectStatus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 204, a list of them, or a class such as \"2xx\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExpectStatus, E> {
                match text.as_bytes() {
                    [digit @ b'2'..=b'5', b'x', b'x'] => Ok(ExpectStatus::Class(u16::from(digit - b'0'))),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, code: u64) -> Result<ExpectStatus, E> {
                match u16::try_from(code) {
                    Ok(code) => Ok(ExpectStatus::Codes(vec![code])),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Unsigned(code), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, code: i64) -> Result<ExpectStatus, E> {
                match u64::try_from(code) {
                    Ok(code) => self.visit_u64(code),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(code), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<ExpectStatus, A::Error> {
                let mut codes = Vec::new();
                while let Some(code) = list.next_element()? {
                    codes.push(code);
                }
                Ok(ExpectStatus::Codes(codes))
            }
        }
        deserializer.deserialize_any(Statuses)
    }
}
