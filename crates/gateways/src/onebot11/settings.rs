//! Settings of a OneBot v11 gateway.
//!
//! ```toml
//! onebot11 = { mode = "reverse", listen = "127.0.0.1:6701", forward_to = "ws://127.0.0.1:2536",
//!              rewrite = { "/onebot/v11/ws" = "/OneBotv11" }, token_file = "/run/secrets/onebot" }
//! onebot11 = { mode = "forward", url = "ws://127.0.0.1:6700", self_id = "10001" }
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mooring_core::id::InstanceId;
use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;
use mooring_wire::Url;
use serde::{Deserialize, Serialize};

/// Largest message that may be configured: pictures travel inside as base64.
pub const MOST_MESSAGE: usize = 64 * 1024 * 1024;
/// Most accounts of one gateway.
pub const MOST_INSTANCES: usize = 4096;

/// Which end the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It dials the implementation's own server, beside the framework, and only watches.
    Forward,
    /// It stands between: the implementation dials it, and it dials the framework.
    #[default]
    Reverse,
}

/// `[gateway.onebot11]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which end the agent is.
    pub mode: Mode,
    /// Forward: the implementation's server.
    pub url: String,
    /// Forward: the account's id, which is the instance's too.
    pub self_id: String,
    /// Forward: the token the implementation demands. Reverse: the token demanded of it.
    pub token_file: Option<SecretFile>,
    /// Reverse: where the implementation dials in.
    pub listen: Option<SocketAddr>,
    /// Reverse: the paths it may dial, in exact case; a trailing slash makes no difference.
    pub paths: Vec<String>,
    /// Reverse: paths that the framework knows by another name. They may be dialled without being in `paths`.
    pub rewrite: BTreeMap<String, String>,
    /// Reverse: the framework. Its path is used where it has one and `rewrite` says nothing; else the path dialled is.
    pub forward_to: String,
    /// Reverse: the token the framework demands. Without it, the implementation's own token is handed on.
    pub forward_token_file: Option<SecretFile>,
    /// Reverse: the accounts that may dial in. Empty: any, up to `instances`.
    pub self_ids: Vec<String>,
    /// Most accounts, 1 to 4096.
    pub instances: usize,
    /// For `wss`: whom to trust.
    pub tls: ClientTlsConfig,
    /// How often each open connection is pinged, 100 ms to 5 m.
    pub ping_interval: HumanDuration,
    /// How long nothing at all may come after a ping, 100 ms to 5 m.
    pub ping_timeout: HumanDuration,
    /// How long the framework's connection is held while the implementation is away, 0 to 10 m.
    pub grace: HumanDuration,
    /// How long a framework is given to forget a connection of ours that it lost, 0 to 10 m.
    pub lockout: HumanDuration,
    /// How often an idle API is asked for a sign of life, 1 s to 1 h.
    pub probe_interval: HumanDuration,
    /// How long it may take for that, 100 ms to 5 m.
    pub probe_timeout: HumanDuration,
    /// After how long a framework gets `failed` for a call that the implementation did not answer, 1 s to 10 m.
    pub call_timeout: HumanDuration,
    /// Most events kept for a framework that is away, 0 to 100000.
    pub buffer_events: usize,
    /// Most bytes of them, 0 to 256 MiB.
    pub buffer_bytes: usize,
    /// Largest message, bytes: 64 KiB to 64 MiB.
    pub max_message: usize,
    /// Longest pause between two dials, 100 ms to 10 m.
    pub retry_cap: HumanDuration,
    /// Names (`app_name` of `get_version_info`) of implementations whose `set_restart` is known to work. Lagrange.OneBot
    /// is never asked, listed or not: it stops inside the request and what comes back has no bot.
    pub set_restart: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            url: String::new(),
            self_id: String::new(),
            token_file: None,
            listen: None,
            paths: vec!["/onebot/v11/ws".to_owned()],
            rewrite: BTreeMap::new(),
            forward_to: String::new(),
            forward_token_file: None,
            self_ids: Vec::new(),
            instances: 64,
            tls: ClientTlsConfig::default(),
            ping_interval: HumanDuration::from_secs(10),
            ping_timeout: HumanDuration::from_secs(20),
            grace: HumanDuration::from_secs(30),
            // uvicorn pings every 20 s and waits 20 s: 41.1 s were measured.
            lockout: HumanDuration::from_secs(45),
            probe_interval: HumanDuration::from_secs(30),
            probe_timeout: HumanDuration::from_secs(15),
            // Yunzai tears its connection down at 60 s.
            call_timeout: HumanDuration::from_secs(55),
            buffer_events: 1000,
            buffer_bytes: 8 * 1024 * 1024,
            max_message: 32 * 1024 * 1024,
            retry_cap: HumanDuration::from_secs(30),
            set_restart: Vec::new(),
        }
    }
}

impl Settings {
    /// What is wrong; `key` is the path of these settings in the configuration.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut refuse =
            |name: &str, message: String| found.push(Problem::new(format!("{key}.{name}"), message));
        match self.mode {
            Mode::Forward => {
                if let Err(error) = self.url.parse::<Url>() {
                    refuse("url", error.to_string());
                }
                if let Err(error) = InstanceId::new(&self.self_id) {
                    let why =
                        "the account's id is needed: without it nothing can be said while it is unreachable";
                    refuse("self_id", format!("{why} ({error})"));
                }
            }
            Mode::Reverse => {
                if self.listen.is_none() {
                    refuse(
                        "listen",
                        "is needed: where the implementation dials in, e.g. 127.0.0.1:6701".to_owned(),
                    );
                }
                if let Err(error) = self.forward_to.parse::<Url>() {
                    refuse("forward_to", format!("the framework's address: {error}"));
                }
                if self.paths.is_empty() && self.rewrite.is_empty() {
                    refuse("paths", "at least one path must be dialled".to_owned());
                }
                for path in self.paths.iter().chain(self.rewrite.keys()).chain(self.rewrite.values()) {
                    if !path.starts_with('/')
                        || path.contains(['?', '#'])
                        || !path.chars().all(|c| c.is_ascii_graphic())
                    {
                        refuse("paths", format!("`{path}` is not a path: it begins with / and has no query"));
                    }
                }
                for id in &self.self_ids {
                    if let Err(error) = InstanceId::new(id) {
                        refuse("self_ids", error.to_string());
                    }
                }
                if self.self_ids.len() > self.instances {
                    refuse("self_ids", format!("there are more than `instances` ({})", self.instances));
                }
            }
        }
        for (name, value, least, most) in self.durations() {
            if value < least || value > most {
                let human = mooring_core::time::human::format;
                refuse(name, format!("must be {} to {}", human(least), human(most)));
            }
        }
        for (name, value, least, most) in [
            ("instances", self.instances, 1, MOST_INSTANCES),
            ("buffer_events", self.buffer_events, 0, 100_000),
            ("buffer_bytes", self.buffer_bytes, 0, 256 * 1024 * 1024),
            ("max_message", self.max_message, 64 * 1024, MOST_MESSAGE),
        ] {
            if value < least || value > most {
                refuse(name, format!("must be {least} to {most}"));
            }
        }
        if self.set_restart.iter().any(|name| never_restarts(name)) {
            refuse(
                "set_restart",
                "Lagrange.OneBot must be restarted as a process: its set_restart leaves it without a bot"
                    .to_owned(),
            );
        }
        found
    }

    fn durations(&self) -> [(&'static str, Duration, Duration, Duration); 8] {
        let ms = Duration::from_millis;
        let minutes = |n: u64| Duration::from_secs(60 * n);
        [
            ("ping_interval", self.ping_interval.get(), ms(100), minutes(5)),
            ("ping_timeout", self.ping_timeout.get(), ms(100), minutes(5)),
            ("grace", self.grace.get(), ms(0), minutes(10)),
            ("lockout", self.lockout.get(), ms(0), minutes(10)),
            ("probe_interval", self.probe_interval.get(), ms(1000), minutes(60)),
            ("probe_timeout", self.probe_timeout.get(), ms(100), minutes(5)),
            ("call_timeout", self.call_timeout.get(), ms(1000), minutes(10)),
            ("retry_cap", self.retry_cap.get(), ms(100), minutes(10)),
        ]
    }

    /// The framework's path for a path that was dialled, `None` for one that may not be.
    #[must_use]
    pub fn route(&self, dialled: &str) -> Option<String> {
        let same = |known: &String| trimmed(known) == trimmed(dialled);
        if let Some((_, to)) = self.rewrite.iter().find(|(from, _)| same(from)) {
            return Some(to.clone());
        }
        self.paths.iter().find(|path| same(path))?;
        let own = self.forward_to.parse::<Url>().ok().map(|url| url.path().to_owned()).unwrap_or_default();
        Some(if trimmed(&own).is_empty() { dialled.to_owned() } else { own })
    }

    /// The path to recommend.
    #[must_use]
    pub fn right_path(&self) -> &str {
        self.paths.first().or_else(|| self.rewrite.keys().next()).map_or("/", String::as_str)
    }
}

fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether an implementation by this name must not be sent `set_restart`.
#[must_use]
pub fn never_restarts(name: &str) -> bool {
    name.to_ascii_lowercase().contains("lagrange")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse() -> Settings {
        Settings {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            forward_to: "ws://127.0.0.1:2536".to_owned(),
            ..Settings::default()
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(reverse().problems("x"), []);
        let forward = Settings {
            mode: Mode::Forward,
            url: "ws://127.0.0.1:6700/".to_owned(),
            self_id: "10001".to_owned(),
            ..Settings::default()
        };
        assert_eq!(forward.problems("x"), []);
        let keys = |settings: Settings| -> Vec<String> {
            settings.problems("g").iter().map(|p| p.to_string()).collect()
        };
        for (settings, key) in [
            (Settings::default(), "g.listen"),
            (Settings { forward_to: "http://a".to_owned(), ..reverse() }, "g.forward_to"),
            (Settings { paths: vec!["x?y".to_owned()], ..reverse() }, "g.paths"),
            (Settings { self_ids: vec!["Not An Id".to_owned()], ..reverse() }, "g.self_ids"),
            (Settings { call_timeout: HumanDuration::from_secs(0), ..reverse() }, "g.call_timeout"),
            (Settings { max_message: 1, ..reverse() }, "g.max_message"),
            (Settings { set_restart: vec!["Lagrange.OneBot".to_owned()], ..reverse() }, "g.set_restart"),
            (Settings { self_id: String::new(), ..forward.clone() }, "g.self_id"),
        ] {
            let found = keys(settings);
            assert!(found.iter().any(|line| line.contains(key)), "{key}: {found:?}");
        }
    }

    #[test]
    fn a_path_is_rewritten_passed_on_or_replaced() {
        let mut settings = reverse();
        assert_eq!(settings.route("/onebot/v11/ws").as_deref(), Some("/onebot/v11/ws"));
        assert_eq!(settings.route("/onebot/v11/ws/").as_deref(), Some("/onebot/v11/ws/"));
        assert_eq!(settings.route("/OneBot/v11/ws"), None, "case counts");
        settings.forward_to = "ws://127.0.0.1:2536/OneBotv11".to_owned();
        assert_eq!(settings.route("/onebot/v11/ws").as_deref(), Some("/OneBotv11"));
        settings.rewrite.insert("/ws".to_owned(), "/OneBotv11/ws".to_owned());
        assert_eq!(settings.route("/ws/").as_deref(), Some("/OneBotv11/ws"));
    }
}
