//! What the control endpoint can be asked: reads the query of `POST /_control?do=…` into a [`Verb`].
//!
//! Strict on purpose. A test that misspells a parameter must fail at the request, not at a timeout a minute later.

use std::time::Duration;

use crate::misbehaviour::Misbehaviour;
use crate::options::positive_duration;

/// RFC 6455 §5.5: a control frame carries at most 125 bytes, two of them the code.
const MAX_REASON: usize = 123;

/// One thing the gateway can be told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Misbehave, for as long as `lasts` says, or until [`Verb::Heal`].
    Misbehave {
        /// The fault.
        what: Misbehaviour,
        /// How long; `None` is until it is healed. Of no meaning to drop and die, which are moments.
        lasts: Option<Duration>,
    },
    /// Behave again.
    Heal,
    /// Close every open session in order, with a Close frame.
    Close {
        /// The close code, one that may be sent (RFC 6455 §7.4).
        code: u16,
        /// The reason, at most 123 bytes.
        reason: String,
    },
}

/// Why a control request was refused. The text is for the person who wrote the test.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ControlError {
    /// There is no `do`.
    #[error("say what to do: do=hang|die|drop|refuse|mute|http-only|heal|close")]
    NothingToDo,
    /// The value of `do` is not a verb.
    #[error("do={0:?} is not known; use hang, die, drop, refuse, mute, http-only, heal or close")]
    UnknownVerb(String),
    /// A parameter this verb does not take.
    #[error("do={verb} takes no {parameter:?}")]
    UnknownParameter {
        /// The verb.
        verb: String,
        /// The parameter.
        parameter: String,
    },
    /// A parameter with a value that cannot be used.
    #[error("{parameter}: {problem}")]
    BadValue {
        /// The parameter.
        parameter: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the query is not percent-encoded UTF-8")]
    BadEncoding,
}

impl Verb {
    /// Reads a query, without its question mark.
    ///
    /// # Errors
    /// When the query names no verb, an unknown one, a parameter it does not take, or a value out of range.
    pub fn parse(query: &str) -> Result<Self, ControlError> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        let at = pairs.iter().position(|(name, _)| name == "do").ok_or(ControlError::NothingToDo)?;
        let (_, verb) = pairs.swap_remove(at);
        match verb.as_str() {
            "heal" => {
                none_left(&verb, pairs.iter())?;
                Ok(Self::Heal)
            }
            "close" => close(&verb, &pairs),
            _ => {
                let what = verb.parse().map_err(|_| ControlError::UnknownVerb(verb.clone()))?;
                none_left(&verb, pairs.iter().filter(|(name, _)| name != "for"))?;
                let lasts = pairs.iter().find(|(name, _)| name == "for").map(|(_, value)| {
                    positive_duration(value)
                        .map_err(|problem| ControlError::BadValue { parameter: "for", problem })
                });
                Ok(Self::Misbehave { what, lasts: lasts.transpose()? })
            }
        }
    }

    /// The name it was asked by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Misbehave { what, .. } => what.name(),
            Self::Heal => "heal",
            Self::Close { .. } => "close",
        }
    }
}

fn close(verb: &str, pairs: &[(String, String)]) -> Result<Verb, ControlError> {
    let (mut code, mut reason) = (1000, String::new());
    for (name, value) in pairs {
        match name.as_str() {
            "code" => {
                code = value.parse().ok().filter(|it| may_be_sent(*it)).ok_or_else(|| {
                    ControlError::BadValue {
                        parameter: "code",
                        problem: format!(
                            "{value:?} may not be sent in a Close; use 1000-1003, 1007-1014 or 3000-4999"
                        ),
                    }
                })?;
            }
            "reason" if value.len() <= MAX_REASON => reason.clone_from(value),
            "reason" => {
                let problem =
                    format!("{} bytes are too many for a Close; the most is {MAX_REASON}", value.len());
                return Err(ControlError::BadValue { parameter: "reason", problem });
            }
            _ => return Err(unknown(verb, name)),
        }
    }
    Ok(Verb::Close { code, reason })
}

/// RFC 6455 §7.4.1 and the IANA registry: 1004 to 1006 and 1015 never travel in a frame.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn none_left<'a>(
    verb: &str,
    mut rest: impl Iterator<Item = &'a (String, String)>,
) -> Result<(), ControlError> {
    rest.next().map_or(Ok(()), |(parameter, _)| Err(unknown(verb, parameter)))
}

fn unknown(verb: &str, parameter: &str) -> ControlError {
    ControlError::UnknownParameter { verb: verb.to_owned(), parameter: parameter.to_owned() }
}

/// Percent-decoding, with `+` for a space, as forms and `curl --data-urlencode` write it.
fn decode(text: &str) -> Result<String, ControlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let byte = rest.next()?;
                    char::from(byte).to_digit(16)
                };
                let (high, low) = digit().zip(digit()).ok_or(ControlError::BadEncoding)?;
                u8::try_from(high * 16 + low).map_err(|_| ControlError::BadEncoding)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| ControlError::BadEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misbehaviour_is_a_verb() {
        for what in Misbehaviour::ALL {
            assert_eq!(Verb::parse(&format!("do={what}")), Ok(Verb::Misbehave { what, lasts: None }));
        }
        let lasts = Some(Duration::from_secs(2));
        assert_eq!(Verb::parse("for=2s&do=mute"), Ok(Verb::Misbehave { what: Misbehaviour::Mute, lasts }));
    }

    #[test]
    fn a_close_carries_code_and_reason() {
        let reason = "service restart: 100%".to_owned();
        assert_eq!(
            Verb::parse("do=close&code=1012&reason=service+restart%3A%20100%25"),
            Ok(Verb::Close { code: 1012, reason })
        );
        assert_eq!(Verb::parse("do=close"), Ok(Verb::Close { code: 1000, reason: String::new() }));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for wrong in [
            "",
            "do",
            "do=sulk",
            "do=heal&for=2s",
            "do=hang&code=1000",
            "do=hang&for=soon",
            "do=close&code=1006",
            "do=close&code=99999",
            "do=close&until=noon",
            "do=close&reason=%zz",
            "do=close&reason=%f",
            "do=close&reason=%ff",
        ] {
            assert!(Verb::parse(wrong).is_err(), "{wrong:?} was taken");
        }
        assert!(Verb::parse(&format!("do=close&reason={}", "x".repeat(123))).is_ok());
        assert!(Verb::parse(&format!("do=close&reason={}", "x".repeat(124))).is_err());
    }
}
