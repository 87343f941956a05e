//! One gateway and its instances, as configured and as derived.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use mooring_core::id::{GatewayId, InstanceId, PolicyId};
use mooring_core::kind::Kind;
use mooring_core::planner::Abilities;
use mooring_core::session::Source;
use mooring_gateways::{bisheng, evolution, onebot11, waha};
use mooring_runtime::config::{HumanDuration, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;
use serde::{Deserialize, Serialize};

use super::adapter::{AdapterSettings, default_ways};
use super::{KernelSection, LimitsConfig, RelaySection, ReportSection, TrackerSection};
use crate::executor::{AdapterOrder, How, KernelCut, RelayClose, ReportOrder};

/// One gateway: `[[gateway]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Its id, unique on this agent.
    pub id: GatewayId,
    /// How it speaks.
    #[serde(default = "websocket")]
    pub kind: Kind,
    /// Where it serves, `ws://…` or `wss://…`. Needed by the canary and the relay.
    #[serde(default)]
    pub url: String,
    /// How it is watched; one way or several. Empty: as is usual for its kind.
    #[serde(default)]
    pub watch: Vec<Source>,
    /// The group whose policy, budget and storm brake it shares.
    #[serde(default = "default_group")]
    pub group: PolicyId,
    /// For filters and people.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What a dial sends and expects.
    #[serde(default)]
    pub expect: ExpectConfig,
    /// How it shows that it lives.
    #[serde(default)]
    pub heartbeat: HeartbeatConfig,
    /// Bounds on what it may send and how long it may take.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// How it is judged.
    #[serde(default)]
    pub tracker: TrackerSection,
    /// How its sessions are renewed. Default: by the first of canary, relay, report and kernel that watches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<How>,
    /// How it is restarted; absent: not by this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<How>,
    /// The relay before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelaySection>,
    /// Its connections in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSection>,
    /// What it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportSection>,
    /// Its adapter, for the kind `evolution`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evolution: Option<Box<evolution::Settings>>,
    /// Its adapter, for the kind `onebot11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onebot11: Option<Box<onebot11::Settings>>,
    /// Its adapter, for the kind `bisheng`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bisheng: Option<Box<bisheng::Settings>>,
    /// Its adapter, for the kind `waha`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waha: Option<Box<waha::Settings>>,
    /// Its instances; none: one, with the gateway's own id.
    #[serde(rename = "instance", default)]
    pub instances: Vec<InstanceConfig>,
}

fn websocket() -> Kind {
    Kind::Websocket
}

fn default_group() -> PolicyId {
    PolicyId::new("default").unwrap_or_else(|_| unreachable!("`default` is a valid name"))
}

/// One instance: `[[gateway.instance]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its id, unique on its gateway.
    pub id: InstanceId,
    /// Its path (and query), in place of the one in the gateway's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How its session is renewed, if otherwise than the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<How>,
    /// How what serves this one instance is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<How>,
}

/// What a dial sends and expects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpectConfig {
    /// The subprotocol to ask for; the gateway must choose it.
    pub subprotocol: Option<String>,
    /// The `Host` to ask for, where it is not the one in the URL.
    pub host: Option<String>,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// Request headers whose values are in files, because they are secret.
    pub header_files: BTreeMap<String, SecretFile>,
    /// The gateway speaks first, within this time.
    pub first_frame: Option<HumanDuration>,
    /// Socket.IO: the namespace to join; `/` where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Socket.IO: a file with the JSON object to send along when joining, as a client's `auth` option.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_file: Option<SecretFile>,
    /// For `wss`: whom to trust, and who we are. There is no way to trust just anybody.
    pub tls: ClientTlsConfig,
}

/// How a gateway shows that it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// What it promises of itself. Without one, the times of its answers are learnt.
    pub promise: Option<PromiseConfig>,
    /// How often it is pinged, 100 ms to 1 h.
    pub ping_interval: HumanDuration,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self { promise: None, ping_interval: HumanDuration::from_secs(5) }
    }
}

/// A stated heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromiseConfig {
    /// Time between two beats.
    pub interval: HumanDuration,
    /// Lateness that is allowed.
    pub timeout: HumanDuration,
}

impl PromiseConfig {
    /// The longest silence within the promise.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.interval.get().saturating_add(self.timeout.get())
    }
}

/// Everything the watch on one instance works with.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchConfig {
    /// Whether a canary session is dialled.
    pub dials: bool,
    /// How the gateway speaks.
    pub kind: Kind,
    /// The instance's own URL.
    pub url: String,
    /// What a dial sends and expects.
    pub expect: ExpectConfig,
    /// How the gateway shows that it lives.
    pub heartbeat: HeartbeatConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// How it is judged.
    pub tracker: TrackerSection,
}

impl GatewayConfig {
    /// The smallest configuration of a gateway: everything else is a default.
    #[must_use]
    pub fn new(id: GatewayId, url: impl Into<String>) -> Self {
        Self {
            id,
            kind: websocket(),
            url: url.into(),
            watch: Vec::new(),
            group: default_group(),
            labels: BTreeMap::new(),
            expect: ExpectConfig::default(),
            heartbeat: HeartbeatConfig::default(),
            limits: LimitsConfig::default(),
            tracker: TrackerSection::default(),
            reconnect: None,
            restart: None,
            relay: None,
            kernel: None,
            report: None,
            evolution: None,
            onebot11: None,
            bisheng: None,
            waha: None,
            instances: Vec::new(),
        }
    }

    /// Whether it is watched this way.
    #[must_use]
    pub fn watched_by(&self, source: Source) -> bool {
        self.ways().contains(&source)
    }

    /// The ways it is watched.
    #[must_use]
    pub fn ways(&self) -> Vec<Source> {
        if self.watch.is_empty() { default_ways(self.kind) } else { self.watch.clone() }
    }

    /// The settings of its kind's adapter, where they are given.
    #[must_use]
    pub fn adapter(&self) -> Option<AdapterSettings> {
        AdapterSettings::of(self).find(|settings| settings.kind() == self.kind)
    }

    /// The instances, the implied one included. A gateway that only reports, or has only an adapter, names its instances
    /// itself.
    #[must_use]
    pub fn instances(&self) -> Vec<InstanceConfig> {
        let finds = |way: &Source| matches!(way, Source::Report | Source::Adapter);
        if !self.instances.is_empty() || self.ways().iter().all(finds) {
            return self.instances.clone();
        }
        // Both kinds of name follow the same rules.
        InstanceId::new(self.id.as_str())
            .map(|id| InstanceConfig { id, path: None, reconnect: None, restart: None })
            .into_iter()
            .collect()
    }

    /// The effective settings of the watch on one instance.
    #[must_use]
    pub fn watch(&self, instance: &InstanceConfig) -> WatchConfig {
        WatchConfig {
            dials: self.watched_by(Source::Canary),
            kind: self.kind,
            url: match &instance.path {
                Some(path) => with_path(&self.url, path),
                None => self.url.clone(),
            },
            expect: self.expect.clone(),
            heartbeat: self.heartbeat.clone(),
            limits: self.limits,
            tracker: self.tracker.clone(),
        }
    }

    /// How the session of one instance is renewed.
    #[must_use]
    pub fn reconnect_of(&self, instance: &InstanceConfig) -> How {
        instance.reconnect.clone().or_else(|| self.reconnect.clone()).unwrap_or_else(|| self.own_reconnect())
    }

    /// How what serves one instance is restarted.
    #[must_use]
    pub fn restart_of(&self, instance: &InstanceConfig) -> Option<How> {
        let own = || {
            let restarts = self.watched_by(Source::Adapter) && self.adapter().is_some_and(|a| a.restarts());
            restarts.then(|| How::Adapter(AdapterOrder::default()))
        };
        instance.restart.clone().or_else(own)
    }

    /// What the ways it is watched make possible.
    fn own_reconnect(&self) -> How {
        if self.watched_by(Source::Canary) {
            How::default()
        } else if self.watched_by(Source::Relay) {
            How::Relay(RelayClose::default())
        } else if self.watched_by(Source::Adapter) {
            How::Adapter(AdapterOrder::default())
        } else if self.watched_by(Source::Report) {
            How::Report(ReportOrder::default())
        } else {
            How::Kernel(KernelCut::default())
        }
    }

    /// Whether connections may be cut.
    fn cuts(&self) -> bool {
        self.watched_by(Source::Kernel) && self.kernel.as_ref().is_some_and(|k| k.cut)
    }

    /// What the agent can do for this gateway. That a single instance can be restarted is said only where it is true of
    /// each of them: the planner asks once per gateway.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        let instances = self.instances();
        let adapter = self.adapter();
        let reconnects = |how: &How| match how {
            How::Kernel(_) => self.cuts(),
            How::Adapter(_) => adapter.as_ref().is_some_and(AdapterSettings::reconnects),
            _ => true,
        };
        let relay = self.watched_by(Source::Relay);
        let closes = relay || self.cuts() || self.watched_by(Source::Report);
        Abilities {
            reconnect: if instances.is_empty() {
                reconnects(&self.reconnect.clone().unwrap_or_else(|| self.own_reconnect()))
            } else {
                instances.iter().all(|i| reconnects(&self.reconnect_of(i)))
            },
            restart_instance: if self.instances.is_empty() {
                self.watched_by(Source::Adapter) && adapter.as_ref().is_some_and(AdapterSettings::restarts)
            } else {
                self.instances.iter().all(|i| self.restart_of(i).is_some())
            },
            restart_gateway: self.restart.is_some(),
            close_session: closes,
            close_sessions: closes,
            drain: relay,
        }
    }
}

impl WatchConfig {
    /// Whether a watch with these settings can stay as it is under the others: they mean the same, though one may write
    /// a default out that the other leaves out.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        let rest = |c: &Self| Self { tracker: TrackerSection::default(), ..c.clone() };
        self.tracker.resolve() == other.tracker.resolve() && rest(self) == rest(other)
    }
}

/// The URL with another path and query; a URL that is not one (validation says so) is left as it is.
fn with_path(url: &str, path: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return url.to_owned() };
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}{path}"),
        _ => url.to_owned(),
    }
}
