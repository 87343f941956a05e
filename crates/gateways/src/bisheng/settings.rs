//! `[gateway.bisheng]`: where the API is, what stands before it, and what may be asked.

use std::time::Duration;

use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;
use serde::{Deserialize, Serialize};

/// Most proxies before the backend. Each costs a handshake per walk and a line of evidence.
pub const MAX_HOPS: usize = 8;
/// Most looks that must agree before something is said to be wrong.
pub const MAX_CONFIRM: u32 = 10;
/// What stands in `chat_path` for the id that the probe makes up.
pub const PLACE: &str = "{id}";

/// How a Bisheng is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The API itself, before any proxy: `http://host:7860`.
    pub backend: String,
    /// The proxies before it, from the inside out: the bundled nginx (3001) first, the public address last.
    pub hops: Vec<Hop>,
    /// Path of a chat socket, with `{id}` where the workflow's id stands. The probe puts an id there that no workflow
    /// has; a path with a real id or with a `chat_id` is refused.
    pub chat_path: String,
    /// Holds the JWT that goes along as the cookie `access_token_cookie`. Without it, that the application itself refuses
    /// the login counts as having been reached. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_file: Option<SecretFile>,
    /// Path of a REST call that needs the login, such as `/api/v1/user/info`: tells whether the cookie still holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_check: Option<String>,
    /// Path of a REST call that needs a worker to answer. The workers are other processes than the API: without this,
    /// nobody can tell that workflows do not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_check: Option<String>,
    /// Time between looks at `/health` and the REST checks. Default 10 s; 500 ms to 10 min.
    pub poll: HumanDuration,
    /// Time between walks along the hops, while all is well. Default 30 s, at least `poll`. A refused handshake leaves a
    /// line in uvicorn's log, so this is seldomer than the look at `/health`.
    pub walk: HumanDuration,
    /// Longest that one answer may take. Default 5 s; 100 ms to 1 min.
    pub time_limit: HumanDuration,
    /// So many looks in a row must find the same fault before it is said. Default 2; 1 to 10.
    pub confirm: u32,
    /// Whom to trust, where an address is `https://`.
    pub tls: ClientTlsConfig,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// What people call it; it appears in words and evidence.
    pub name: String,
    /// Its address: `http://host:3001`, `https://chat.example`, with a path where it serves Bisheng under one.
    pub url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: "http://127.0.0.1:7860".to_owned(),
            hops: Vec::new(),
            chat_path: format!("/api/v1/workflow/chat/{PLACE}"),
            cookie_file: None,
            login_check: None,
            worker_check: None,
            poll: HumanDuration::from_secs(10),
            walk: HumanDuration::from_secs(30),
            time_limit: HumanDuration::from_secs(5),
            confirm: 2,
            tls: ClientTlsConfig::default(),
        }
    }
}

impl Settings {
    /// What is wrong with them; `key` is the path of this section.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let at = |name: &str| format!("{key}.{name}");
        let mut say = |name: &str, what: &str| found.push(Problem::new(at(name), what));
        if let Err(what) = split(&self.backend) {
            say("backend", &what);
        }
        if self.hops.len() > MAX_HOPS {
            say("hops", &format!("at most {MAX_HOPS} hops, here are {}", self.hops.len()));
        }
        for (i, hop) in self.hops.iter().enumerate() {
            if let Err(what) = split(&hop.url) {
                say(&format!("hops.{i}.url"), &what);
            }
            let word = |c: char| c.is_alphanumeric() || " ._-:".contains(c);
            if hop.name.is_empty() || hop.name.len() > 40 || !hop.name.chars().all(word) {
                say(&format!("hops.{i}.name"), "must be 1 to 40 letters, digits, spaces or one of . _ - :");
            }
            if hop.name == BACKEND || self.hops.iter().take(i).any(|other| other.name == hop.name) {
                say(&format!("hops.{i}.name"), &format!("`{}` is taken; each place needs its own", hop.name));
            }
        }
        if let Err(what) = check_chat_path(&self.chat_path) {
            say("chat_path", &what);
        }
        for (name, path) in [("login_check", &self.login_check), ("worker_check", &self.worker_check)] {
            if path.as_ref().is_some_and(|p| !is_path(p)) {
                say(name, "must be a path that begins with / and holds no space");
            }
        }
        let within = |d: HumanDuration, least: u64, most: u64| {
            (Duration::from_millis(least)..=Duration::from_millis(most)).contains(&d.get())
        };
        if !within(self.poll, 500, 600_000) {
            say("poll", "must be from 500ms to 10m");
        }
        if self.walk < self.poll || !within(self.walk, 500, 3_600_000) {
            say("walk", "must be at least `poll` and at most 1h");
        }
        if !within(self.time_limit, 100, 60_000) {
            say("time_limit", "must be from 100ms to 1m");
        }
        if !(1..=MAX_CONFIRM).contains(&self.confirm) {
            say("confirm", &format!("must be from 1 to {MAX_CONFIRM}"));
        }
        if self.login_check.is_some() && self.cookie_file.is_none() {
            say("login_check", "needs `cookie_file`: there is no login to check");
        }
        found
    }

    /// Whether any address needs TLS.
    #[must_use]
    pub fn secure(&self) -> bool {
        std::iter::once(&self.backend)
            .chain(self.hops.iter().map(|h| &h.url))
            .any(|url| url.starts_with("https://") || url.starts_with("wss://"))
    }
}

/// The backend's name among the places.
pub const BACKEND: &str = "backend";

/// Whether it is secure, and what stands after the scheme, without a slash at the end.
///
/// # Errors
/// In words, when it is no address of ours.
pub(super) fn split(url: &str) -> Result<(bool, &str), String> {
    let schemes = [("http://", false), ("ws://", false), ("https://", true), ("wss://", true)];
    let found = schemes.into_iter().find_map(|(s, secure)| Some((secure, url.strip_prefix(s)?)));
    let (secure, rest) = found.ok_or("must begin with http:// or https://")?;
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['?', '#', '@', ' ']) {
        return Err("must be http://host:port, perhaps with a path; no user, query or fragment".to_owned());
    }
    Ok((secure, rest))
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

fn check_chat_path(path: &str) -> Result<(), String> {
    if !is_path(path) {
        return Err("must be a path that begins with / and holds no space".to_owned());
    }
    let (before, query) = path.split_once('?').unwrap_or((path, ""));
    if before.matches(PLACE).count() != 1 || query.contains(PLACE) {
        return Err(format!(
            "must hold {PLACE} once, in its path: Mooring dials an id that no workflow has, as closing a session \
             of a real one can stop it"
        ));
    }
    if query.split('&').any(|pair| pair.split('=').next() == Some("chat_id")) {
        return Err("must not hold a chat_id: some versions throw out the session that has it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(settings: &Settings) -> Vec<String> {
        settings.problems("g.bisheng").into_iter().map(|p| p.key).collect()
    }

    fn hop(name: &str, url: &str) -> Hop {
        Hop { name: name.to_owned(), url: url.to_owned() }
    }

    #[test]
    fn the_defaults_are_good() {
        assert_eq!(Settings::default().problems("b"), []);
        let full = Settings {
            hops: vec![hop("nginx", "http://10.0.0.2:3001"), hop("public", "https://chat.example/ai/")],
            cookie_file: Some(SecretFile::new("/run/secret")),
            login_check: Some("/api/v1/user/info".to_owned()),
            worker_check: Some("/ops/workers?x=1".to_owned()),
            ..Settings::default()
        };
        assert_eq!(full.problems("b"), []);
        assert!(full.secure() && !Settings::default().secure());
    }

    #[test]
    fn each_mistake_is_named() {
        let good = Settings::default();
        let with_path = |path: &str| Settings { chat_path: path.to_owned(), ..good.clone() };
        let with_hops = |hops| Settings { hops, ..good.clone() };
        let rows = [
            (Settings { backend: "tcp://x".to_owned(), ..good.clone() }, "backend"),
            (Settings { backend: "http://u:p@x".to_owned(), ..good.clone() }, "backend"),
            (with_path("/api/v1/workflow/chat/0a1b2c"), "chat_path"),
            (with_path("/api/v1/workflow/chat/{id}?chat_id=7"), "chat_path"),
            (with_path("/chat?id={id}"), "chat_path"),
            (with_path("chat/{id}"), "chat_path"),
            (with_hops(vec![hop("backend", "http://x")]), "hops.0.name"),
            (with_hops(vec![hop("a", "http://x"), hop("a", "http://y")]), "hops.1.name"),
            (with_hops(vec![hop("a", "x:80")]), "hops.0.url"),
            (with_hops(vec![hop("", "http://x")]), "hops.0.name"),
            (Settings { poll: HumanDuration::from_millis(1), ..good.clone() }, "poll"),
            (Settings { walk: HumanDuration::from_secs(1), ..good.clone() }, "walk"),
            (Settings { time_limit: HumanDuration::from_secs(0), ..good.clone() }, "time_limit"),
            (Settings { confirm: 0, ..good.clone() }, "confirm"),
            (Settings { login_check: Some("/x".to_owned()), ..good.clone() }, "login_check"),
            (Settings { worker_check: Some("x".to_owned()), ..good.clone() }, "worker_check"),
        ];
        for (settings, key) in rows {
            assert_eq!(keys(&settings), [format!("g.bisheng.{key}")], "{settings:?}");
        }
        let many = (0..9).map(|i| hop(&format!("h{i}"), "http://x")).collect();
        assert_eq!(keys(&with_hops(many)), ["g.bisheng.hops"]);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"backend":"http://a:1","pol":"1s"}"#).is_err());
        let set: Settings = serde_json::from_str(r#"{"hops":[{"name":"n","url":"http://n"}]}"#).unwrap();
        assert_eq!(set.hops.len(), 1);
    }
}
