//! The faults this gateway can have. A closed set, with one stable name each, used alike on the command line, in the
//! control endpoint, in the statistics and in the log.

use std::fmt;
use std::str::FromStr;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Misbehaviour {
    /// Accepts TCP and says nothing more: no handshake is answered, open sessions fall silent, pings stay unanswered.
    /// Left alone it lasts until the process is restarted.
    Hang,
    /// Ends the process with [`EXIT_DIED`](crate::EXIT_DIED); open sessions are cut by the kernel.
    Die,
    /// Cuts every open session with a TCP FIN and no Close frame. A moment, not a state.
    Drop,
    /// Stops listening, so that connecting is refused. Open sessions go on.
    Refuse,
    /// Open sessions stay open and say nothing: no pong, no tick, no echo. Handshakes are still answered.
    Mute,
    /// Answers an upgrade on the WebSocket path with HTTP 200. Open sessions go on.
    HttpOnly,
}

impl Misbehaviour {
    /// Every fault, in the order they are documented.
    pub const ALL: [Self; 6] = [Self::Hang, Self::Die, Self::Drop, Self::Refuse, Self::Mute, Self::HttpOnly];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Die => "die",
            Self::Drop => "drop",
            Self::Refuse => "refuse",
            Self::Mute => "mute",
            Self::HttpOnly => "http-only",
        }
    }

    /// Whether it passes by itself when it comes from the mood rather than from a test: a hang and a death need
    /// somebody to restart the process, which is what the demo wants to show.
    #[must_use]
    pub const fn heals_by_itself(self) -> bool {
        !matches!(self, Self::Hang | Self::Die)
    }

    /// Whether sessions that are open neither read nor write while it lasts.
    pub(crate) const fn silences_sessions(self) -> bool {
        matches!(self, Self::Hang | Self::Mute)
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is none of the faults.
#[derive(Debug, thiserror::Error)]
#[error("no such misbehaviour; the known ones are hang, die, drop, refuse, mute and http-only")]
pub struct UnknownMisbehaviour;

impl FromStr for Misbehaviour {
    type Err = UnknownMisbehaviour;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or(UnknownMisbehaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_all_are_in_the_error() {
        let error = UnknownMisbehaviour.to_string();
        for it in Misbehaviour::ALL {
            assert_eq!(it.name().parse::<Misbehaviour>().unwrap(), it);
            assert!(error.contains(it.name()), "{it} is missing from: {error}");
        }
        assert!("Hang".parse::<Misbehaviour>().is_err());
    }
}
