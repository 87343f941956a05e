//! Whether an idle timeout fits what is sent on the path.
//!
//! A proxy's idle timeout cuts a session only if nothing passes for that long. So the timeout alone says little: sixty
//! seconds are fine in front of a server that pings every twenty, and fatal in front of one that never does (of the
//! gateways we know, `ws`, Koishi and Yunzai do not by default).

use std::time::Duration;

use crate::{Expect, Question, Severity};

/// Engine.IO's `pingInterval` unless its server says otherwise.
const ENGINE_IO_PING: Duration = Duration::from_secs(25);
/// What proxies come with, and what we call short when nobody is known to ping.
const SHORT: Duration = Duration::from_secs(60);
/// Longer silences than this are rare enough not to speak of.
const LONG: Duration = Duration::from_secs(600);

/// What fixes ask for: an hour of silence, in seconds.
pub(crate) const WANTED_SECS: u64 = 3600;

/// The judgement of an idle timeout, with its reason in both languages.
pub(crate) struct Verdict {
    pub severity: Severity,
    pub en: String,
    pub zh: String,
}

pub(crate) fn judge(timeout: Duration, question: &Question) -> Option<Verdict> {
    let ping = question.server_ping.or((question.expects == Expect::SocketIo).then_some(ENGINE_IO_PING));
    let t = secs(timeout);
    let Some(ping) = ping else {
        let severity = match timeout {
            t if t <= SHORT => Severity::Warning,
            t if t < LONG => Severity::Note,
            _ => return None,
        };
        return Some(Verdict {
            severity,
            en: format!(
                "a session on which nothing is sent for {t} is cut; nobody is known to ping more often"
            ),
            zh: format!("会话静默 {t} 即被切断，而没有已知的一端以更短间隔发送 ping"),
        });
    };
    let p = secs(ping);
    if timeout <= ping {
        return Some(Verdict {
            severity: Severity::Error,
            en: format!("sessions are cut after {t} of silence, before the server's next ping ({p})"),
            zh: format!("会话静默 {t} 即被切断，早于服务器的下一次 ping（{p}）"),
        });
    }
    (timeout <= ping + ping / 4).then(|| Verdict {
        severity: Severity::Warning,
        en: format!("sessions are cut after {t} of silence; a ping every {p} leaves too little to spare"),
        zh: format!("会话静默 {t} 即被切断；每 {p} 一次的 ping 余量太小"),
    })
}

/// For people: `60 s`, `1.5 s`.
pub(crate) fn secs(d: Duration) -> String {
    if d.subsec_millis() == 0 { format!("{} s", d.as_secs()) } else { format!("{:.1} s", d.as_secs_f64()) }
}

/// A sum of numbers with units, as nginx (`1h 30m`) and HAProxy (`500ms`) write times. `bare` is what a number without
/// a unit counts.
pub(crate) fn parse(text: &str, bare: Duration) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match rest.get(..letters)? {
            "" => bare,
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            "w" => Duration::from_secs(7 * 86_400),
            "M" => Duration::from_secs(30 * 86_400),
            "y" => Duration::from_secs(365 * 86_400),
            _ => return None,
        };
        rest = rest.get(letters..)?.trim_start();
        sum = sum.checked_add(unit.checked_mul(number)?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_proxies_read_them() {
        let s = Duration::from_secs(1);
        assert_eq!(parse("60", s), Some(60 * s));
        assert_eq!(parse("1h 30m", s), Some(5400 * s));
        assert_eq!(parse("1h30m", s), Some(5400 * s));
        assert_eq!(parse("5000", Duration::from_millis(1)), Some(5 * s));
        for bad in ["", "s", "1x", "-1", "99999999999", "1..5"] {
            assert_eq!(parse(bad, s), None, "{bad}");
        }
    }

    #[test]
    fn a_timeout_is_judged_against_the_ping() {
        let mut q = Question::new("/ws", Expect::WebSocket);
        let severity = |q: &Question, t: u64| judge(Duration::from_secs(t), q).map(|v| v.severity);
        assert_eq!(severity(&q, 60), Some(Severity::Warning));
        assert_eq!(severity(&q, 300), Some(Severity::Note));
        assert_eq!(severity(&q, 3600), None);
        q.server_ping = Some(Duration::from_secs(20));
        assert_eq!(severity(&q, 60), None);
        assert_eq!(severity(&q, 25), Some(Severity::Warning));
        assert_eq!(severity(&q, 20), Some(Severity::Error));
        q = Question::new("/socket.io/", Expect::SocketIo);
        assert_eq!(severity(&q, 60), None);
        assert_eq!(severity(&q, 10), Some(Severity::Error));
    }
}
