//! `[gateway.waha]`: where it is, and which of its sessions are watched.

use std::time::Duration;

use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;
use serde::{Deserialize, Serialize};

/// Most sessions that are watched of one WAHA.
pub const MAX_SESSIONS: usize = 2_000;
/// Longest name of a session, bytes. WAHA's own limit is 54.
pub const MAX_NAME: usize = 128;

/// How a WAHA is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its address: `http://host:3000`.
    pub url: String,
    /// Holds the key for `X-Api-Key`. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<SecretFile>,
    /// Only these sessions are watched; empty: all. A session that is named here is meant to run: that it is `STOPPED` is
    /// a fault, while a session nobody named may have been stopped on purpose.
    pub sessions: Vec<String>,
    /// Time between looks at the list of sessions. Default 10 s; 200 ms to 10 min.
    pub poll: HumanDuration,
    /// Longest that one answer may take. Default 10 s; 100 ms to 1 min.
    pub time_limit: HumanDuration,
    /// `STARTING` for longer than this is a hang. Default 3 min; a planned renewal takes seconds, a browser engine's first
    /// start a minute or two.
    pub stuck_after: HumanDuration,
    /// A session that an order was to bring up has to be `WORKING` for so long. Default 5 s.
    pub hold: HumanDuration,
    /// Whether changes are listened to on the WebSocket. Without it, only `poll` finds them, and nothing is known of
    /// heartbeats.
    pub events: bool,
    /// A `WORKING` session on which things happened and on which nothing has for so long is doubted. Default: never. Told
    /// by the time of the last activity that newer versions list; no message is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_after: Option<HumanDuration>,
    /// Whom to trust, where the address is `https://`.
    pub tls: ClientTlsConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:3000".to_owned(),
            api_key_file: None,
            sessions: Vec::new(),
            poll: HumanDuration::from_secs(10),
            time_limit: HumanDuration::from_secs(10),
            stuck_after: HumanDuration::from_secs(180),
            hold: HumanDuration::from_secs(5),
            events: true,
            quiet_after: None,
            tls: ClientTlsConfig::default(),
        }
    }
}

impl Settings {
    /// What is wrong with them; `key` is the path of this section.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |name: &str, what: String| found.push(Problem::new(format!("{key}.{name}"), what));
        if let Err(what) = split(&self.url) {
            say("url", what);
        }
        if self.sessions.len() > MAX_SESSIONS {
            say("sessions", format!("at most {MAX_SESSIONS}, here are {}", self.sessions.len()));
        }
        for (i, name) in self.sessions.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME {
                say(&format!("sessions.{i}"), format!("must be 1 to {MAX_NAME} bytes long"));
            }
            if self.sessions.iter().take(i).any(|other| other == name) {
                say(&format!("sessions.{i}"), format!("`{name}` is named twice"));
            }
        }
        let mut range = |name: &str, d: HumanDuration, least: u64, most: u64, words: &str| {
            if !(Duration::from_millis(least)..=Duration::from_millis(most)).contains(&d.get()) {
                say(name, format!("must be from {words}"));
            }
        };
        range("poll", self.poll, 200, 600_000, "200ms to 10m");
        range("time_limit", self.time_limit, 100, 60_000, "100ms to 1m");
        range("stuck_after", self.stuck_after, 100, 86_400_000, "100ms to 1d");
        range("hold", self.hold, 100, 300_000, "100ms to 5m");
        if let Some(quiet) = self.quiet_after {
            range("quiet_after", quiet, 100, 7 * 86_400_000, "100ms to 7d");
        }
        found
    }
}

/// Whether it is secure, and what stands after the scheme, without a slash at the end.
pub(super) fn split(url: &str) -> Result<(bool, &str), String> {
    let schemes = [("http://", false), ("https://", true)];
    let found = schemes.into_iter().find_map(|(s, secure)| Some((secure, url.strip_prefix(s)?)));
    let (secure, rest) = found.ok_or("must begin with http:// or https://")?;
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['?', '#', '@', ' ']) {
        return Err("must be http://host:port, perhaps with a path; no user, query or fragment".to_owned());
    }
    Ok((secure, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_named() {
        let good = Settings::default();
        assert_eq!(good.problems("w"), []);
        let ms = HumanDuration::from_millis;
        let rows = [
            (Settings { url: "ws://x".to_owned(), ..good.clone() }, "url"),
            (Settings { sessions: vec!["a".to_owned(), "a".to_owned()], ..good.clone() }, "sessions.1"),
            (Settings { sessions: vec![String::new()], ..good.clone() }, "sessions.0"),
            (Settings { poll: ms(1), ..good.clone() }, "poll"),
            (Settings { time_limit: ms(1), ..good.clone() }, "time_limit"),
            (Settings { stuck_after: ms(1), ..good.clone() }, "stuck_after"),
            (Settings { hold: ms(1), ..good.clone() }, "hold"),
            (Settings { quiet_after: Some(ms(1)), ..good.clone() }, "quiet_after"),
        ];
        for (settings, key) in rows {
            let keys: Vec<_> = settings.problems("g.w").into_iter().map(|p| p.key).collect();
            assert_eq!(keys, [format!("g.w.{key}")], "{settings:?}");
        }
        assert!(serde_json::from_str::<Settings>(r#"{"api_key":"x"}"#).is_err());
    }
}
