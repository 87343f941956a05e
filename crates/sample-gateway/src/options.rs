//! The flags, which are also the configuration of a gateway started inside a test: one struct, so that the two cannot
//! differ.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::misbehaviour::Misbehaviour;

/// The longest duration a flag takes: a day. It keeps every deadline far from the end of the clock.
const LONGEST: Duration = Duration::from_hours(24);

/// Whether the gateway misbehaves on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mood {
    /// Only when it is told to.
    Calm,
    /// Now and then, by itself.
    Moody,
}

/// A small WebSocket server for demos and tests, which misbehaves on demand or now and then.
///
/// The first line on stdout is {"listening":"ADDR","pid":PID}; the log is on stderr. SIGTERM and SIGINT close every
/// session with 1001 and exit with 0, SIGUSR1 ends a misbehaviour, and a gateway that dies exits with 3.
#[derive(Debug, Clone, Parser)]
#[command(name = "mooring-sample-gateway", version)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one, and the first line on stdout says which.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// Path of the WebSocket endpoint; others answer 404, and / answers 200.
    #[arg(long, default_value = "/ws", value_parser = path)]
    pub path: String,

    /// Subprotocol to select when the client offers it.
    #[arg(long, value_parser = token)]
    pub subprotocol: Option<String>,

    /// Send a small text frame this often to each session; 0 for never.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub tick: Duration,

    /// Send every text or binary message back.
    #[arg(long)]
    pub echo: bool,

    /// First text frame of every session.
    #[arg(long, value_name = "TEXT")]
    pub hello: Option<String>,

    /// Whether to misbehave now and then without being told.
    #[arg(long, value_enum, default_value_t = Mood::Calm)]
    pub mood: Mood,

    /// What a moody gateway chooses from: hang, die, drop, refuse, mute, http-only.
    #[arg(long, value_delimiter = ',', default_value = "hang,die,drop,refuse,mute,http-only")]
    pub misbehave: Vec<Misbehaviour>,

    /// Mean time from one good moment to the next misbehaviour; each wait is between half and one and a half of it.
    #[arg(long, default_value = "45s", value_parser = positive_duration)]
    pub every: Duration,

    /// How long a misbehaviour lasts that heals by itself (hang and die do not).
    #[arg(long = "for", default_value = "20s", value_name = "DURATION", value_parser = positive_duration)]
    pub lasts: Duration,

    /// Seed of the mood, to see the same sequence again; a random one is logged when none is given.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Answer POST /_control and GET /_stats to peers on the loopback interface, even during a hang.
    #[arg(long)]
    pub control: bool,

    /// Most sessions open at once; further upgrades are answered 503.
    #[arg(long, default_value_t = 1024, value_parser = session_limit)]
    pub max_sessions: usize,

    /// Longest time a client may take to send its request.
    #[arg(long, default_value = "10s", value_parser = positive_duration)]
    pub handshake_timeout: Duration,
}

impl Default for Options {
    /// The defaults of the command line.
    fn default() -> Self {
        Self::parse_from(["mooring-sample-gateway"])
    }
}

/// Reads `250ms`, `2s`, `5m`, `1h` or a bare `0`, at most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a duration; write a whole number and a unit, as in 250ms, 2s, 5m or 1h");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(wrong()),
    };
    millis
        .map(Duration::from_millis)
        .filter(|it| *it <= LONGEST)
        .ok_or_else(|| format!("{text:?} is too long; the most is 24h"))
}

/// As [`duration`], and not zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the duration must be longer than 0".to_owned()),
        it => Ok(it),
    }
}

fn path(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    if text.starts_with('/') && plain {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a path; it starts with / and holds neither ? nor # nor spaces"))
    }
}

/// A subprotocol is an HTTP token (RFC 6455 §4.1, RFC 9110 §5.6.2); anything else would break the answer's header.
fn token(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(ok) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a subprotocol; use letters, digits and !#$%&'*+-.^_`|~"))
    }
}

fn session_limit(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=65_536).contains(n))
        .ok_or_else(|| format!("{text:?} is not a limit of sessions; it is between 1 and 65536"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_parse() {
        let options = Options::default();
        assert_eq!(options.path, "/ws");
        assert_eq!(options.misbehave, Misbehaviour::ALL);
        assert_eq!(options.tick, Duration::from_secs(2));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("24h"), Ok(LONGEST));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in
            ["", "s", "5", "-1s", "1.5s", "1d", "25h", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(wrong).is_err(), "{wrong:?} was taken");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn flags_that_would_break_an_answer_are_refused() {
        for wrong in [
            ["--path", "ws"],
            ["--path", "/w?s"],
            ["--subprotocol", "a b"],
            ["--subprotocol", "a\r\nX: y"],
            ["--max-sessions", "0"],
            ["--every", "0"],
            ["--misbehave", "sulk"],
        ] {
            assert!(Options::try_parse_from(["it", wrong[0], wrong[1]]).is_err(), "{wrong:?} was taken");
        }
    }
}
