//! What a configuration must hold beyond its types, with every inequality spelt out.
//!
//! Everything wrong is reported at once. Checks look at the text alone, never at the disk or the network, so that
//! `config check` gives the same answer on any machine. Each executor checks its own settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Uri};
use mooring_core::kind::Kind;
use mooring_core::limits::{MAX_LABEL, MAX_LABELS};
use mooring_core::session::Source;
use mooring_runtime::config::{HumanDuration, Problem, SecretFile, Validate};
use mooring_runtime::tls::ClientTlsConfig;

use super::adapter::default_ways;
use super::{
    AdapterSettings, AgentConfig, ControllerSection, GatewayConfig, HeartbeatConfig, MAX_GATEWAYS,
    MAX_INSTANCES,
};
use crate::executor::{How, Job};

/// Headers that the handshake itself writes.
const OURS: [&str; 10] = [
    "host",
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "sec-websocket-accept",
];

/// Headers whose values are credentials: they belong into files.
const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];

impl Validate for AgentConfig {
    fn validate(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.agent.data_dir.as_os_str().is_empty() {
            found.push(Problem::new("agent.data_dir", "must not be empty"));
        }
        controller(&self.controller, &mut found);
        if !self.health.insecure && !self.health.listen.ip().to_canonical().is_loopback() {
            found.push(
                Problem::new("health.listen", format!("{} can be reached by others", self.health.listen))
                    .with_hint("listen on 127.0.0.1, or allow it with `health.insecure = true`"),
            );
        }
        found.extend(self.telemetry.problems("telemetry"));
        found.extend(self.report.problems("report"));
        if self.gateways.len() > MAX_GATEWAYS {
            found.push(Problem::new(
                "gateway",
                format!("{} gateways, one agent watches at most {MAX_GATEWAYS}", self.gateways.len()),
            ));
        }
        let instances: usize = self.gateways.iter().map(|g| g.instances.len().max(1)).sum();
        if instances > MAX_INSTANCES {
            found.push(Problem::new(
                "gateway",
                format!("{instances} instances, one agent watches at most {MAX_INSTANCES}"),
            ));
        }
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for (index, config) in self.gateways.iter().enumerate() {
            let key = format!("gateway.{index}");
            for listen in config.relay.iter().flat_map(|relay| &relay.listen) {
                if !places.insert(listen) {
                    let problem = format!("`{listen}` is given twice, here or at another gateway");
                    found.push(Problem::new(join(&key, "relay.listen"), problem));
                }
            }
            if !ids.insert(&config.id) {
                found.push(Problem::new(
                    join(&key, "id"),
                    format!("`{}` is the id of another gateway", config.id),
                ));
            }
            gateway(config, &key, &mut found);
        }
        found
    }
}

fn controller(config: &ControllerSection, found: &mut Vec<Problem>) {
    if config.addresses.is_empty() {
        found.push(Problem::new("controller.addresses", "at least one address is needed"));
    }
    for (index, address) in config.addresses.iter().enumerate() {
        let key = format!("controller.addresses.{index}");
        let uri = match address_of(address, ["http", "https"]) {
            Ok(uri) => uri,
            Err(problem) => {
                found.push(Problem::new(key, problem));
                continue;
            }
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            found.push(Problem::new(
                &key,
                format!("`{address}` must be a scheme, a host and a port, without a path"),
            ));
        }
        let plain = uri.scheme_str() == Some("http");
        if plain && !config.insecure && !is_loopback(uri.host().unwrap_or_default()) {
            found.push(
                Problem::new(
                    &key,
                    format!("`{address}` would send the join token readable over the network"),
                )
                .with_hint("use https, or allow it with `controller.insecure = true`"),
            );
        }
    }
    tls(&config.tls, "controller.tls", found);
}

fn gateway(config: &GatewayConfig, key: &str, found: &mut Vec<Problem>) {
    // Only who dials needs to know where.
    if (!config.url.is_empty() || config.watched_by(Source::Canary))
        && let Err(problem) = address_of(&config.url, ["ws", "wss"])
    {
        found.push(Problem::new(join(key, "url"), problem));
    }
    watch(config, key, found);
    labels(&config.labels, &join(key, "labels"), found);
    expect(config, &join(key, "expect"), found);
    heartbeat(&config.heartbeat, &join(key, "heartbeat"), found);
    found.extend(config.limits.problems(&join(key, "limits")));
    let tracker = config.tracker.resolve();
    if let Err(problem) = &tracker {
        found.push(Problem::new(join(key, "tracker"), problem));
    }
    if let Some(reconnect) = &config.reconnect {
        how(reconnect, Job::Reconnect, &join(key, "reconnect"), found);
        by_a_watcher(config, reconnect, &join(key, "reconnect"), found);
    }
    if let Some(restart) = &config.restart {
        how(restart, Job::RestartGateway, &join(key, "restart"), found);
        if let (Ok(tracker), Some(time)) = (&tracker, restart.longest())
            && time >= tracker.disturbance_max
        {
            found.push(Problem::new(
                join(key, "restart"),
                format!(
                    "may take {}, which must be below {}: longer than that no restart is taken to be the cause of \
                     what fails meanwhile",
                    HumanDuration(time),
                    HumanDuration(tracker.disturbance_max)
                ),
            ));
        }
    }
    instances(config, key, found);
}

/// The ways to watch, and that each has what it needs.
fn watch(config: &GatewayConfig, key: &str, found: &mut Vec<Problem>) {
    for (index, way) in config.watch.iter().enumerate() {
        if config.watch.iter().take(index).any(|other| other == way) {
            found.push(Problem::new(join(key, "watch"), format!("`{way}` is given twice")));
        }
    }
    for (way, section) in [
        (Source::Relay, config.relay.is_some()),
        (Source::Kernel, config.kernel.is_some()),
        (Source::Report, config.report.is_some()),
    ] {
        if section && !config.watched_by(way) {
            let problem = format!("has no effect: `{way}` is not in `watch`");
            found.push(Problem::new(join(key, way.name()), problem));
        }
    }
    if config.watched_by(Source::Relay) {
        match &config.relay {
            Some(relay) => found.extend(relay.problems(config, &join(key, "relay"))),
            None => found.push(
                Problem::new(join(key, "relay"), "a relay needs a place to listen on")
                    .with_hint("[gateway.relay] listen = [\"0.0.0.0:8080\"]"),
            ),
        }
    }
    if config.watched_by(Source::Kernel) {
        found.extend(config.kernel.clone().unwrap_or_default().problems(config, &join(key, "kernel")));
    }
    if let Some(report) = &config.report {
        found.extend(report.problems(&join(key, "report")));
    }
    for settings in AdapterSettings::of(config) {
        let key = join(key, settings.kind().name());
        if settings.kind() != config.kind {
            let problem = format!("has no effect: the gateway's kind is `{}`", config.kind);
            found.push(Problem::new(&key, problem));
        } else if !config.watched_by(Source::Adapter) {
            found.push(Problem::new(&key, "has no effect: `adapter` is not in `watch`"));
        }
        found.extend(settings.problems(&key));
    }
    if config.watched_by(Source::Adapter) && config.adapter().is_none() {
        let kind = config.kind;
        let problem = if default_ways(kind).contains(&Source::Adapter) {
            format!("a gateway of the kind `{kind}` needs `[gateway.{kind}]`")
        } else {
            format!("there is no adapter for the kind `{kind}`")
        };
        found.push(Problem::new(join(key, kind.name()), problem));
    }
}

/// Executors that work through a watcher need that watcher.
fn by_a_watcher(config: &GatewayConfig, how: &How, key: &str, found: &mut Vec<Problem>) {
    let needs = match how {
        How::Canary(_) => Source::Canary,
        How::Relay(_) => Source::Relay,
        How::Kernel(_) => Source::Kernel,
        How::Report(_) => Source::Report,
        How::Adapter(_) => Source::Adapter,
        How::Command(_) | How::Http(_) | How::Supervise(_) => return,
    };
    if !config.watched_by(needs) {
        let problem = format!("`{}` needs the gateway to be watched by it: add it to `watch`", how.name());
        found.push(Problem::new(join(key, "how"), problem));
    }
    if needs == Source::Kernel && !config.kernel.as_ref().is_some_and(|k| k.cut) {
        found.push(
            Problem::new(join(key, "how"), "connections may not be cut")
                .with_hint("allow it with `kernel.cut = true`"),
        );
    }
}

fn instances(config: &GatewayConfig, key: &str, found: &mut Vec<Problem>) {
    let mut ids = BTreeSet::new();
    for (index, instance) in config.instances.iter().enumerate() {
        let key = format!("{key}.instance.{index}");
        if !ids.insert(&instance.id) {
            let problem = format!("`{}` is the id of another instance of `{}`", instance.id, config.id);
            found.push(Problem::new(join(&key, "id"), problem));
        }
        if let Some(path) = &instance.path {
            let valid = path.starts_with('/') && !path.contains('#') && path.parse::<Uri>().is_ok();
            if !valid {
                found.push(Problem::new(
                    join(&key, "path"),
                    format!("`{path}` is not a path that begins with `/`"),
                ));
            }
        }
        if let Some(reconnect) = &instance.reconnect {
            how(reconnect, Job::Reconnect, &join(&key, "reconnect"), found);
            by_a_watcher(config, reconnect, &join(&key, "reconnect"), found);
        }
        if let Some(restart) = &instance.restart {
            by_a_watcher(config, restart, &join(&key, "restart"), found);
            how(restart, Job::RestartInstance, &join(&key, "restart"), found);
        }
    }
    let restartable = config.instances.iter().filter(|i| i.restart.is_some()).count();
    if restartable != 0 && restartable != config.instances.len() {
        found.push(Problem::new(
            join(key, "instance"),
            format!(
                "{restartable} of {} instances have a `restart`: all of them or none",
                config.instances.len()
            ),
        ));
    }
}

fn how(how: &How, job: Job, key: &str, found: &mut Vec<Problem>) {
    if !how.jobs().contains(&job) {
        found.push(Problem::new(
            join(key, "how"),
            format!("`{}` cannot {job}; one of: {}", how.name(), How::names_for(job).join(", ")),
        ));
    }
    found.extend(how.problems(key));
}

fn heartbeat(config: &HeartbeatConfig, key: &str, found: &mut Vec<Problem>) {
    let (least, most) = (HumanDuration::from_millis(100), HumanDuration::from_secs(3600));
    let ping = config.ping_interval;
    if !(least..=most).contains(&ping) {
        found.push(Problem::new(
            join(key, "ping_interval"),
            format!("{ping} is not between {least} and {most}"),
        ));
    }
    let Some(promise) = &config.promise else { return };
    for (name, time) in [("promise.interval", promise.interval), ("promise.timeout", promise.timeout)] {
        if time.get().is_zero() || time > most {
            found.push(Problem::new(join(key, name), format!("{time} is not above 0s and up to {most}")));
        }
    }
    if ping.get() >= promise.silence() {
        found.push(Problem::new(
            join(key, "ping_interval"),
            format!(
                "ping_interval ({ping}) must be below promise.interval + promise.timeout ({} + {} = {}): no question \
                 would be asked before the promise counts as broken",
                promise.interval,
                promise.timeout,
                HumanDuration(promise.silence())
            ),
        ));
    }
}

fn expect(config: &GatewayConfig, key: &str, found: &mut Vec<Problem>) {
    let expect = &config.expect;
    check_headers(&expect.headers, &expect.header_files, key, found);
    if let Some(subprotocol) = &expect.subprotocol
        && HeaderName::from_bytes(subprotocol.as_bytes()).is_err()
    {
        // RFC 6455 §4.1: elements are tokens, which is what a header's name is too.
        found.push(Problem::new(
            join(key, "subprotocol"),
            format!("`{subprotocol}` is not one subprotocol's name"),
        ));
    }
    if let Some(host) = &expect.host
        && host.parse::<http::uri::Authority>().map_or(true, |a| a.as_str().contains('@'))
    {
        found.push(Problem::new(join(key, "host"), format!("`{host}` is not a host or host:port")));
    }
    if expect.first_frame.is_some_and(|time| time.get().is_zero()) {
        found.push(Problem::new(join(key, "first_frame"), "must be above 0s; leave it out to expect none"));
    }
    tls(&expect.tls, &join(key, "tls"), found);
    if matches!(config.kind, Kind::Socketio | Kind::Evolution) {
        return socketio(config, key, found);
    }
    for (name, given) in
        [("namespace", expect.namespace.is_some()), ("auth_file", expect.auth_file.is_some())]
    {
        if given {
            let problem = format!("has no effect on gateways of the kind `{}`", config.kind);
            found.push(Problem::new(join(key, name), problem).with_hint("kind = \"socketio\""));
        }
    }
}

/// What Socket.IO says of itself cannot be set, and what it knows not cannot be asked for.
fn socketio(config: &GatewayConfig, key: &str, found: &mut Vec<Problem>) {
    let expect = &config.expect;
    if let Some(namespace) = &expect.namespace
        && !mooring_socketio::packet::socket::is_namespace(namespace)
    {
        let problem = format!("`{namespace}` is not a namespace: it begins with `/` and holds no comma");
        found.push(Problem::new(join(key, "namespace"), problem));
    }
    for (name, given, why) in [
        ("first_frame", expect.first_frame.is_some(), "Socket.IO always speaks first: it is expected anyway"),
        ("subprotocol", expect.subprotocol.is_some(), "Socket.IO knows no subprotocols"),
    ] {
        if given {
            found.push(Problem::new(join(key, name), why).with_hint("leave it out"));
        }
    }
    let gateway = key.strip_suffix(".expect").unwrap_or(key);
    if config.heartbeat.promise.is_some() {
        let problem = "Socket.IO states its heartbeat itself, when a session is opened";
        found.push(Problem::new(join(gateway, "heartbeat.promise"), problem).with_hint("leave it out"));
    }
    for (at, address) in addresses(config, gateway) {
        let query = address.split_once('?').map(|(_, query)| query);
        if let Err(problem) = mooring_socketio::endpoint::way_of(query) {
            found.push(Problem::new(at, problem));
        }
    }
}

/// The gateway's URL and the paths in its place, each with its key.
fn addresses<'a>(config: &'a GatewayConfig, key: &str) -> Vec<(String, &'a str)> {
    let mut all = vec![(join(key, "url"), config.url.as_str())];
    for (index, instance) in config.instances.iter().enumerate() {
        let path = instance.path.as_deref();
        all.extend(path.map(|path| (format!("{key}.instance.{index}.path"), path)));
    }
    all
}

fn labels(labels: &BTreeMap<String, String>, key: &str, found: &mut Vec<Problem>) {
    if labels.len() > MAX_LABELS {
        found.push(Problem::new(key, format!("{} labels, at most {MAX_LABELS} are allowed", labels.len())));
    }
    for (name, value) in labels {
        if name.is_empty() || name.len() > MAX_LABEL || value.len() > MAX_LABEL {
            let problem = format!("a label's name has 1 to {MAX_LABEL} bytes, its value at most {MAX_LABEL}");
            found.push(Problem::new(join(key, name), problem));
        }
    }
}

/// Checks request headers given in the file and in files of their own.
pub(crate) fn check_headers(
    headers: &BTreeMap<String, String>,
    files: &BTreeMap<String, SecretFile>,
    key: &str,
    found: &mut Vec<Problem>,
) {
    let mut seen = BTreeSet::new();
    let names =
        headers.keys().map(|name| ("headers", name)).chain(files.keys().map(|name| ("header_files", name)));
    for (section, name) in names {
        let key = format!("{key}.{section}.{name}");
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            found.push(Problem::new(&key, format!("`{name}` is not a header's name")));
        } else if OURS.contains(&lower.as_str()) {
            found.push(
                Problem::new(&key, format!("`{name}` is written by the agent itself"))
                    .with_hint("`expect.host` and `expect.subprotocol` set what may be set of them"),
            );
        } else if section == "headers" && SECRET.contains(&lower.as_str()) {
            found.push(Problem::new(&key, format!("the value of `{name}` is a secret")).with_hint(format!(
                "put it into a file and write `header_files = {{ {name} = \"/path\" }}`"
            )));
        }
        if !seen.insert(lower) {
            found.push(Problem::new(&key, format!("`{name}` is given twice")));
        }
    }
    for (name, value) in headers {
        if HeaderValue::from_str(value).is_err() {
            found.push(Problem::new(
                format!("{key}.headers.{name}"),
                "the value has characters no header may have",
            ));
        }
    }
}

/// Checks a command: a program and its arguments, run without a shell.
pub(crate) fn check_command(command: &[String], key: &str, found: &mut Vec<Problem>) {
    if command.first().is_none_or(String::is_empty) {
        found.push(
            Problem::new(join(key, "command"), "a program is needed")
                .with_hint("write `command = [\"program\", \"argument\"]`; there is no shell in between"),
        );
    }
    if command.iter().any(|part| part.contains('\0')) {
        found.push(Problem::new(join(key, "command"), "a NUL character cannot be passed to a program"));
    }
}

fn tls(config: &ClientTlsConfig, key: &str, found: &mut Vec<Problem>) {
    if config.cert.is_some() != config.key.is_some() {
        found.push(Problem::new(key, "a client identity needs both `cert` and `key`"));
    }
}

/// A URL with one of these schemes, a host, and nothing that does not belong into a configuration.
pub(crate) fn address_of(text: &str, schemes: [&str; 2]) -> Result<Uri, String> {
    let expected = format!("{}://host:port or {}://host:port", schemes[0], schemes[1]);
    let uri: Uri = text.parse().map_err(|e| format!("`{text}` is not a URL ({e}): write {expected}"))?;
    if !uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) {
        return Err(format!("`{text}` must begin with {}:// or {}://", schemes[0], schemes[1]));
    }
    let authority = uri.authority().map_or("", |a| a.as_str());
    if authority.contains('@') {
        // Not quoted: the part before the @ may be a password.
        return Err("a URL must not hold a name or password: use `header_files` for credentials".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("`{text}` names no host: write {expected}"));
    }
    if text.contains('#') {
        return Err(format!("`{text}` has a fragment (#), which is never sent"));
    }
    Ok(uri)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// `prefix.key`.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    format!("{prefix}.{key}")
}
