//! What can be set of an Evolution API gateway.

use std::time::Duration;

use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;
use serde::{Deserialize, Serialize};

use super::version::Version;

/// Most instances that can be watched on one gateway.
pub const MAX_INSTANCES: usize = 10_000;
/// Most names in one list.
const MAX_LIST: usize = 1_000;

/// Where events are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventsMode {
    /// In the global namespace, and in those of the instances whose own settings send events there.
    #[default]
    Auto,
    /// In the global namespace alone (`WEBSOCKET_GLOBAL_EVENTS=true`).
    Global,
    /// In the instances' own namespaces alone.
    Instance,
    /// Nowhere: REST is polled, and storms are found only by looking twice.
    Off,
}

/// The settings of one gateway of the kind `evolution`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The REST API: `http://host:8080`, or with a path where a proxy adds one. Events are on the same port.
    pub url: String,
    /// A file with the global API key, or with one instance's token. Without it only events, `/metrics` and whether the
    /// process lives can be seen, and nothing can be ordered.
    #[serde(default)]
    pub api_key_file: Option<SecretFile>,
    /// Where events are listened for.
    #[serde(default)]
    pub events: EventsMode,
    /// Time between two looks at an instance, 250 ms to 5 min. Each is moved by up to a tenth at random; with many
    /// instances it is stretched, so that the gateway is asked at most 40 times in a second.
    #[serde(default = "poll_interval")]
    pub poll_interval: HumanDuration,
    /// Whether `/metrics` is read, where it is served: one request for all instances.
    #[serde(default = "yes")]
    pub metrics: bool,
    /// Whom to trust, for https.
    #[serde(default)]
    pub tls: ClientTlsConfig,
    /// The gateway's version (`2.3.6`). Without it the gateway is asked, once.
    #[serde(default)]
    pub version: Option<String>,
    /// Only these instances; a name that ends with `*` means all that begin so. Empty: all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// But not these.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Most instances that are watched, 1 to 10000; the others are left out, with a warning.
    #[serde(default = "max_instances")]
    pub max_instances: usize,
    /// How long an instance must be seen open before an order counts as done, where no event told of its login, 1 s to
    /// 5 min.
    #[serde(default = "hold")]
    pub hold: HumanDuration,
    /// How long an order's effect is waited for, 1 s to 10 min: what a dead connection takes to be noticed.
    #[serde(default = "effect_limit")]
    pub effect_limit: HumanDuration,
}

fn poll_interval() -> HumanDuration {
    HumanDuration::from_secs(5)
}

fn yes() -> bool {
    true
}

fn max_instances() -> usize {
    1_000
}

fn hold() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn effect_limit() -> HumanDuration {
    HumanDuration::from_secs(65)
}

impl Settings {
    /// What is wrong with these settings, with keys below `key`; empty when they may be used.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong =
            |name: &str, message: String| problems.push(Problem::new(format!("{key}.{name}"), message));
        let uri = self.url.parse::<http::Uri>().ok();
        let scheme = uri.as_ref().and_then(http::Uri::scheme_str).unwrap_or_default();
        if uri.as_ref().and_then(http::Uri::host).is_none() || !matches!(scheme, "http" | "https") {
            wrong("url", "must be http://host:port or https://host:port".into());
        } else if uri.as_ref().is_some_and(|uri| uri.query().is_some()) {
            wrong("url", "must not have a query: the key belongs into `api_key_file`".into());
        }
        let mut between = |name: &str, value: Duration, least: Duration, most: Duration| {
            if value < least || value > most {
                wrong(name, format!("must be from {least:?} to {most:?}"));
            }
        };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        between("poll_interval", self.poll_interval.get(), second / 4, minute * 5);
        between("hold", self.hold.get(), second, minute * 5);
        between("effect_limit", self.effect_limit.get(), second, minute * 10);
        if self.hold >= self.effect_limit {
            wrong("hold", "must be shorter than `effect_limit`, or no order could ever be verified".into());
        }
        if self.max_instances == 0 || self.max_instances > MAX_INSTANCES {
            wrong("max_instances", format!("must be from 1 to {MAX_INSTANCES}"));
        }
        for (name, list) in [("allow", &self.allow), ("deny", &self.deny)] {
            if list.len() > MAX_LIST {
                wrong(name, format!("at most {MAX_LIST} names; a name may end with `*`"));
            }
            if list.iter().any(String::is_empty) {
                wrong(name, "a name must not be empty".into());
            }
        }
        if self.version.as_deref().is_some_and(|text| Version::parse(text).is_none()) {
            wrong("version", "must be like 2.3.6".into());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> Result<Settings, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"url": "http://127.0.0.1:8080"{more}}}"#))
    }

    #[test]
    fn a_url_is_enough() {
        let settings = settings("").unwrap();
        assert_eq!(settings.problems("gateway.0"), []);
        assert_eq!(settings.poll_interval.get(), Duration::from_secs(5));
        assert_eq!(settings.events, EventsMode::Auto);
    }

    #[test]
    fn everything_wrong_is_said_with_its_place() {
        let more = r#", "poll_interval": "1ms", "max_instances": 0, "version": "new", "allow": [""],
            "hold": "2m", "effect_limit": "1m""#;
        let mut settings = settings(more).unwrap();
        settings.url = "ws://x".into();
        let keys: Vec<String> = settings.problems("g").into_iter().map(|p| p.key).collect();
        assert_eq!(keys, ["g.url", "g.poll_interval", "g.hold", "g.max_instances", "g.allow", "g.version"]);
        settings.url = "http://x:1/?apikey=secret".into();
        let text = settings.problems("g").iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains("g.url") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(settings(r#", "pol_interval": "5s""#).is_err());
        assert!(settings(r#", "api_key": "x""#).is_err());
    }
}
