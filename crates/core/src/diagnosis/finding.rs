//! What an examination found: facts, each from one probe at one place. Data only, so that the same engine can be fed by
//! the doctor's probes, by an agent's watcher and by what an operator read in a log.

use std::time::Duration;

use super::timers::Timers;
use crate::cause::{Cause, Lang};
use crate::handshake::{HandshakeReport, HttpAnswer, Step};
use crate::kind::Kind;
use crate::observation::Close;

/// Most findings of one case; the oldest stay.
pub const MAX_FINDINGS: usize = 128;
/// Most places of one case: an outside address, the hops, the gateway itself.
pub const MAX_PLACES: usize = 8;

/// A few words in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Say {
    /// English.
    pub en: &'static str,
    /// 简体中文.
    pub zh: &'static str,
}

impl Say {
    /// In one language.
    #[must_use]
    pub fn lang(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::ZhCn => self.zh,
        }
    }
}

/// Where a probe is aimed: the outside address, a proxy on the way, or the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What people call it: a URL without its query.
    pub name: String,
    /// Whether it is the gateway itself, behind every proxy.
    pub direct: bool,
}

/// What is done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Probe {
    /// An upgrade as asked for, a ping, a proper close.
    Upgrade,
    /// The same without the query.
    UpgradeWithoutQuery,
    /// The same with the path's trailing slash added or taken away.
    UpgradeOtherSlash,
    /// The same on each path that servers of this family are known to use, until one is accepted.
    UpgradeKnownPaths,
    /// The same with the identity that OneBot demands, under a reserved id.
    UpgradeWithIdentity,
    /// The same with `EIO=4&transport=websocket` in the query.
    UpgradeEngineIo,
    /// The same without asking for a subprotocol.
    UpgradeWithoutSubprotocol,
    /// The same with the other scheme (`ws` for `wss` and the reverse).
    UpgradeOtherScheme,
    /// A plain GET of `/`.
    Root,
    /// Engine.IO by long polling: is it there, what does it promise.
    Polling,
    /// Several long polls of one session: do they reach the same process.
    Sticky,
    /// Engine.IO as a browser's page of another origin would see it.
    Cors,
    /// A whole Socket.IO connection, to the namespace asked for.
    Namespace,
    /// A session held open in silence.
    HoldSilent,
    /// A session held open with pings of ours.
    HoldPinging,
    /// Nothing was done: somebody else's client saw it.
    Told,
}

impl Probe {
    /// Every probe.
    pub const ALL: &'static [Self] = &[
        Self::Upgrade,
        Self::UpgradeWithoutQuery,
        Self::UpgradeOtherSlash,
        Self::UpgradeKnownPaths,
        Self::UpgradeWithIdentity,
        Self::UpgradeEngineIo,
        Self::UpgradeWithoutSubprotocol,
        Self::UpgradeOtherScheme,
        Self::Root,
        Self::Polling,
        Self::Sticky,
        Self::Cors,
        Self::Namespace,
        Self::HoldSilent,
        Self::HoldPinging,
        Self::Told,
    ];

    /// The probe of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|probe| probe.name() == name)
    }

    /// Stable name, as shown and sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::UpgradeWithoutQuery => "upgrade_without_query",
            Self::UpgradeOtherSlash => "upgrade_other_slash",
            Self::UpgradeKnownPaths => "upgrade_known_paths",
            Self::UpgradeWithIdentity => "upgrade_with_identity",
            Self::UpgradeEngineIo => "upgrade_engine_io",
            Self::UpgradeWithoutSubprotocol => "upgrade_without_subprotocol",
            Self::UpgradeOtherScheme => "upgrade_other_scheme",
            Self::Root => "get_root",
            Self::Polling => "polling",
            Self::Sticky => "sticky",
            Self::Cors => "cors",
            Self::Namespace => "namespace",
            Self::HoldSilent => "hold_silent",
            Self::HoldPinging => "hold_pinging",
            Self::Told => "told",
        }
    }

    /// What it does, for people.
    #[must_use]
    pub fn words(self) -> Say {
        let (en, zh) = match self {
            Self::Upgrade => ("WebSocket upgrade", "WebSocket 升级"),
            Self::UpgradeWithoutQuery => ("upgrade without the query", "去掉查询串后升级"),
            Self::UpgradeOtherSlash => ("upgrade with the other trailing slash", "增减末尾斜杠后升级"),
            Self::UpgradeKnownPaths => ("upgrade on the usual paths", "在常见路径上升级"),
            Self::UpgradeWithIdentity => ("upgrade with X-Self-ID and role", "携带 X-Self-ID 与角色升级"),
            Self::UpgradeEngineIo => ("upgrade as Engine.IO wants it", "按 Engine.IO 的要求升级"),
            Self::UpgradeWithoutSubprotocol => ("upgrade without a subprotocol", "不带子协议升级"),
            Self::UpgradeOtherScheme => ("upgrade with the other scheme", "换用另一协议（ws/wss）升级"),
            Self::Root => ("plain GET of /", "普通 GET /"),
            Self::Polling => ("Engine.IO long polling", "Engine.IO 长轮询"),
            Self::Sticky => ("repeated long polls", "重复长轮询"),
            Self::Cors => ("long polling with an Origin", "携带 Origin 的长轮询"),
            Self::Namespace => ("Socket.IO connection", "Socket.IO 连接"),
            Self::HoldSilent => ("a session held in silence", "保持静默的会话"),
            Self::HoldPinging => ("a session held with pings", "持续发送 ping 的会话"),
            Self::Told => ("what a client saw", "客户端所见"),
        };
        Say { en, zh }
    }

    /// Whether it is an upgrade of some form.
    #[must_use]
    pub fn is_upgrade(self) -> bool {
        self <= Self::UpgradeOtherScheme
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// What the dialler calls it.
    pub cause: Cause,
    /// In words, with the numbers of the case.
    pub message: String,
}

/// How Engine.IO and Socket.IO answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineSaw {
    /// The handshake object came: ping interval and timeout as promised.
    pub promise: Option<(Duration, Duration)>,
    /// Engine.IO's own error code (0 to 5).
    pub code: Option<u8>,
    /// The namespace accepted us.
    pub connected: bool,
    /// What a CONNECT_ERROR said, or Engine.IO's error message.
    pub error: Option<String>,
    /// A page of this origin may read the answer (`Access-Control-Allow-Origin` fits).
    pub cors_allowed: Option<bool>,
    /// Follow-up polls that did not know the session, and how many there were.
    pub strangers: Option<(u32, u32)>,
}

/// What a session did while it was held, or what another client saw of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkSaw {
    /// For how long it was open, or is.
    pub age: Duration,
    /// Silence from the peer at the end.
    pub silent_for: Duration,
    /// WebSocket pings of the peer, and the longest time between them.
    pub pings: u32,
    /// The longest time between two pings of the peer.
    pub ping_interval: Option<Duration>,
    /// Pings of ours that were sent, and how many were answered.
    pub asked: u32,
    /// Pongs that came.
    pub answered: u32,
    /// Engine.IO pings were answered. `None`: not known, or not Engine.IO.
    pub sent_pong: Option<bool>,
    /// The namespace CONNECT was sent. `None`: not known.
    pub sent_connect: Option<bool>,
    /// Something that is not Engine.IO was sent. `None`: not known.
    pub sent_text: Option<bool>,
    /// Other sessions that ended in the same moment.
    pub others: u32,
    /// Calls of the protocol's API were not answered. `None`: not known.
    pub calls_unanswered: Option<bool>,
}

/// What one probe saw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Saw {
    /// The step that failed, where one did.
    pub failed: Option<Failed>,
    /// The HTTP answer, where one came.
    pub answer: Option<HttpAnswer>,
    /// From the request to the answer, or to the end without one.
    pub took: Duration,
    /// The handshake went through.
    pub established: bool,
    /// How the session ended by itself.
    pub close: Option<Close>,
    /// HTTP text stood where the first frame should.
    pub http_after_101: bool,
    /// Round trip of our ping.
    pub rtt: Option<Duration>,
    /// Engine.IO and Socket.IO.
    pub engine: Option<EngineSaw>,
    /// A session over time.
    pub link: Option<LinkSaw>,
    /// What was tried in the end, where the probe tries several (a path).
    pub variant: Option<String>,
}

impl Saw {
    /// From the report of a dial, without what a session did afterwards.
    #[must_use]
    pub fn of_report(report: &HandshakeReport) -> Self {
        let status = report.steps.iter().find(|s| s.step == Step::Status);
        let last = report.steps.last();
        let took = status.or(last).map_or(report.took, |s| s.took);
        let passed = report.steps.iter().any(|s| s.step == Step::Accept && s.ok);
        Self {
            failed: report.outcome.as_ref().err().map(|refusal| Failed {
                step: refusal.step,
                cause: refusal.cause,
                message: refusal.message.clone(),
            }),
            answer: report.answer.clone(),
            took,
            established: passed && report.steps.iter().all(|s| s.step > Step::Subprotocol || s.ok),
            ..Self::default()
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Where: an index into the case's places.
    pub place: usize,
    /// What was done.
    pub probe: Probe,
    /// What was seen.
    pub saw: Saw,
}

/// Everything known when a question is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Case {
    /// From the outside in: what users dial first, the gateway itself last.
    pub places: Vec<Place>,
    /// What is said to be there.
    pub expect: Option<Kind>,
    /// What was found, in the order it was.
    pub findings: Vec<Finding>,
    /// Probes that cannot be done in this case: nobody said which origin, which namespace, how long to watch.
    pub without: Vec<Probe>,
    /// The request names an Engine.IO path.
    pub engine_path: bool,
    /// An id of somebody is sent along, in OneBot.
    pub has_identity: bool,
    /// Credentials are sent along. `None`: not known.
    pub has_token: Option<bool>,
    /// What is known of the timers on the path by those who set them.
    pub timers: Timers,
}

impl Case {
    /// Takes a finding in; beyond [`MAX_FINDINGS`] it is dropped.
    pub fn push(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS && finding.place < self.places.len() {
            self.findings.push(finding);
        }
    }

    /// What a probe found at a place, the newest.
    #[must_use]
    pub fn at(&self, place: usize, probe: Probe) -> Option<&Finding> {
        self.findings.iter().rev().find(|f| f.place == place && f.probe == probe)
    }

    /// How often the server sends something of its own, as far as it was seen or promised: the longest of all that is
    /// known, since an idle timeout has to outlast that.
    #[must_use]
    pub fn server_ping(&self) -> Option<Duration> {
        let seen = |f: &Finding| f.saw.link.as_ref().and_then(|l| l.ping_interval);
        let promised =
            |f: &Finding| f.saw.engine.as_ref().and_then(|e| e.promise).map(|(interval, _)| interval);
        self.findings.iter().filter_map(|f| seen(f).or_else(|| promised(f))).max()
    }
}
