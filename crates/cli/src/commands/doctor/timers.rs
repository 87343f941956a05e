//! `--proxy-idle`, `--server-ping` and the others: the timers that an operator knows of.

use std::time::Duration;

use mooring_core::diagnosis::{MAX_LIMITS, Pings, Timers};
use mooring_core::time::human;
use mooring_runtime::config::HumanDuration;

/// What is known of the timers on the path.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Timers on the path, to be held against each other")]
pub(super) struct Flags {
    /// How long a proxy lets a connection be silent: nginx=60s. May be repeated.
    #[arg(long, value_name = "NAME=TIME", value_parser = limit)]
    proxy_idle: Vec<(String, Duration)>,
    /// How often the server pings: 25s, or never. Learnt with --watch where it is not given.
    #[arg(long, value_name = "DURATION", value_parser = pings)]
    server_ping: Option<Pings>,
    /// How long the server waits for the pong.
    #[arg(long, value_name = "DURATION")]
    server_timeout: Option<HumanDuration>,
    /// How long the client waits for anything before it gives up.
    #[arg(long, value_name = "DURATION")]
    client_timeout: Option<HumanDuration>,
    /// How long the client waits before each new attempt.
    #[arg(long, value_name = "DURATION")]
    reconnect_every: Option<HumanDuration>,
    /// That grows with each attempt.
    #[arg(long, requires = "reconnect_every")]
    reconnect_backoff: bool,
    /// How often a OneBot implementation sends its heartbeat.
    #[arg(long, value_name = "DURATION")]
    heartbeat: Option<HumanDuration>,
    /// Baileys' keepAliveIntervalMs.
    #[arg(long, value_name = "DURATION")]
    keepalive: Option<HumanDuration>,
    /// How soon a dead connection has to be noticed.
    #[arg(long, value_name = "DURATION")]
    detect_within: Option<HumanDuration>,
}

fn positive(text: &str) -> Result<Duration, String> {
    match human::parse(text)? {
        Duration::ZERO => Err("a timer of 0 is none: leave it out".to_owned()),
        time => Ok(time),
    }
}

fn limit(text: &str) -> Result<(String, Duration), String> {
    let (name, time) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=TIME, such as nginx=60s"))?;
    Ok((name.trim().to_owned(), positive(time)?))
}

fn pings(text: &str) -> Result<Pings, String> {
    if text == "never" {
        return Ok(Pings::NotWithin(Duration::MAX));
    }
    positive(text).map(Pings::Every).map_err(|e| format!("{e}; or `never`"))
}

impl Flags {
    /// How often the server is said to ping.
    pub(super) fn server_ping(&self) -> Option<Duration> {
        match self.server_ping {
            Some(Pings::Every(time)) => Some(time),
            _ => None,
        }
    }

    /// As the engine takes them.
    pub(super) fn timers(&self) -> Result<Timers, String> {
        if self.proxy_idle.len() > MAX_LIMITS {
            return Err(format!("--proxy-idle: at most {MAX_LIMITS}"));
        }
        let time = |given: Option<HumanDuration>| given.map(HumanDuration::get);
        Ok(Timers {
            server_ping: self.server_ping.unwrap_or_default(),
            server_timeout: time(self.server_timeout),
            client_timeout: time(self.client_timeout),
            proxy_idle: self.proxy_idle.clone(),
            reconnect_interval: time(self.reconnect_every),
            reconnect_backoff: self.reconnect_every.map(|_| self.reconnect_backoff),
            engine: None,
            heartbeat: time(self.heartbeat),
            keepalive: time(self.keepalive),
            lock_out: None,
            detect_within: time(self.detect_within),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn read(line: &str) -> Result<Timers, String> {
        let words = std::iter::once("doctor").chain(line.split_whitespace());
        Line::try_parse_from(words).map_err(|e| e.to_string())?.flags.timers()
    }

    #[test]
    fn flags_become_timers() {
        let second = Duration::from_secs(1);
        let timers = read(
            "--proxy-idle nginx=60s --proxy-idle edge=30s --server-ping 25s --client-timeout 20s --reconnect-every 500ms",
        )
        .unwrap();
        assert_eq!(timers.proxy_idle, [("nginx".to_owned(), second * 60), ("edge".to_owned(), second * 30)]);
        assert_eq!(
            (timers.server_ping, timers.client_timeout),
            (Pings::Every(second * 25), Some(second * 20))
        );
        assert_eq!((timers.reconnect_interval, timers.reconnect_backoff), (Some(second / 2), Some(false)));
        assert_eq!(read("--reconnect-every 1s --reconnect-backoff").unwrap().reconnect_backoff, Some(true));
        assert_eq!(read("--server-ping never").unwrap().server_ping, Pings::NotWithin(Duration::MAX));
        assert_eq!(read("").unwrap(), Timers::default());
        for (line, part) in [
            ("--proxy-idle 60s", "NAME=TIME"),
            ("--proxy-idle nginx=0", "leave it out"),
            ("--server-ping often", "never"),
            ("--reconnect-backoff", "reconnect-every"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
