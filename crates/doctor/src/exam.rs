//! What is to be examined, and how.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::diagnosis::{Case, MAX_PLACES, Place, Probe, Saw, Timers};
use mooring_core::kind::Kind;
use mooring_wire::{Host, Reach, Target, TargetError, Timeouts, Url};
use rustls::ClientConfig;
use tokio::sync::watch;

/// The OneBot id that probes go by: ids of QQ accounts begin at 10000, so it is nobody's.
pub const RESERVED_ID: &str = "1";

/// Why an examination cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExamError {
    /// An address.
    #[error("`{url}`: {source}")]
    Address {
        /// As given, without its query.
        url: String,
        /// What is wrong with it.
        source: TargetError,
    },
    /// Too many places.
    #[error(
        "at most {MAX_PLACES} places can be examined at once: the address, the hops and the gateway itself"
    )]
    TooMany,
}

/// How places are dialled.
#[derive(Clone, Default)]
pub struct Dial {
    /// Headers; their values are taken for secrets.
    pub headers: Vec<(String, String)>,
    /// Subprotocols to ask for; one of them must be chosen.
    pub subprotocols: Vec<String>,
    /// Whom to trust, for `wss`.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Whose the headers are; none: every place's.
    pub audience: Option<Audience>,
    /// The addresses that may be dialled; none: all.
    pub reach: Option<Reach>,
}

/// Whom headers are for. Where whoever asks for an examination is not who knows the secrets, a place must not get them by
/// being named: they go to these hosts only, and in clear text only where they do so anyhow. Nor does the query of an
/// address.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    /// The hosts, and whether the headers go to them in clear text, too.
    pub hosts: Vec<(Host, bool)>,
    /// Host and port that is asked for another name than its own, and which: a pod behind its service's name.
    pub alias: Option<((Host, u16), String)>,
    /// The name that certificates of these hosts must be for, where it is not the host's.
    pub server_name: Option<String>,
}

impl Audience {
    fn holds(&self, url: &Url) -> bool {
        self.hosts.iter().any(|(host, plain)| host == url.host() && (*plain || url.tls()))
    }
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Dial").field("headers", &names).finish_non_exhaustive()
    }
}

impl Dial {
    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// Whether a place may be sent what is secret.
    pub(crate) fn trusts(&self, url: &Url) -> bool {
        self.audience.as_ref().is_none_or(|audience| audience.holds(url))
    }

    /// A target there, with these of the headers.
    pub(crate) fn target(&self, url: &str, wanted: impl Fn(&str) -> bool) -> Result<Target, TargetError> {
        let mut target = self.addressed(url)?;
        let trusted = self.trusts(target.url());
        // A role never goes out without an id, whoever asks for it: one framework dies of that.
        let alone = !self.has("x-self-id");
        for (name, value) in self.headers.iter().filter(|_| trusted) {
            if wanted(name) && !(alone && name.eq_ignore_ascii_case("x-client-role")) {
                target = target.header(name, value)?;
            }
        }
        for name in &self.subprotocols {
            target = target.subprotocol(name)?;
        }
        if target.url().tls()
            && let Some(tls) = &self.tls
        {
            target = target.tls(Arc::clone(tls));
            let name = self.audience.as_ref().and_then(|audience| audience.server_name.as_deref());
            if let Some(name) = name.filter(|_| trusted) {
                target = target.server_name(name)?;
            }
        }
        if let Some(reach) = &self.reach {
            target = target.within(reach.clone());
        }
        target.timeouts = self.timeouts;
        Ok(target.require_subprotocol(!self.subprotocols.is_empty()))
    }

    /// The address, asked for by another name where it has one.
    fn addressed(&self, url: &str) -> Result<Target, TargetError> {
        let target = Target::new(url)?;
        let alias = self.audience.as_ref().and_then(|audience| audience.alias.as_ref());
        let Some(((host, port), name)) = alias else { return Ok(target) };
        let given = target.url();
        if (given.host(), given.port()) != (host, *port) {
            return Ok(target);
        }
        let scheme = if given.tls() { "wss" } else { "ws" };
        let query = given.query().map_or_else(String::new, |query| format!("?{query}"));
        Target::new(&format!("{scheme}://{name}{}{query}", given.path()))?
            .connect_to(&format!("{host}:{port}"))
    }
}

/// Whether a header says who one is, in OneBot.
pub(crate) fn is_identity(name: &str) -> bool {
    ["x-self-id", "x-client-role"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a header is a credential.
fn is_credential(name: &str) -> bool {
    ["authorization", "cookie", "apikey", "x-api-key", "proxy-authorization"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Tells an examination to end early, from elsewhere; cheap to clone. Sessions that are held are closed properly.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Ends it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for that.
    pub async fn stopped(&self) {
        let mut told = self.0.subscribe();
        // The sender is ours: it is there as long as this is.
        let _ = told.wait_for(|stopped| *stopped).await;
    }
}

/// One place to look at.
#[derive(Debug, Clone)]
pub struct Spot {
    /// Its name for people.
    pub(crate) place: Place,
    /// As given; it may hold a token in its query, and is never shown.
    pub(crate) url: String,
    pub(crate) target: Target,
}

/// What is to be examined.
#[derive(Debug, Clone)]
pub struct Exam {
    pub(crate) dial: Dial,
    pub(crate) spots: Vec<Spot>,
    /// What is said to be there.
    pub expect: Option<Kind>,
    /// A page's origin, to look at CORS with.
    pub origin: Option<String>,
    /// The Socket.IO namespace to join; none: `/`.
    pub namespace: Option<String>,
    /// How long sessions are held to learn what cuts them; none: not at all.
    pub watch: Option<Duration>,
    /// Between two probes. Default 150 ms.
    pub pace: Duration,
    /// Whoever asked is gone: the probe under way ends in good order, and no other is begun.
    pub stop: Stop,
    /// What clients said of their own sessions.
    pub told: Vec<Saw>,
    /// What is known of the timers on the path; the rest is learnt where it can be.
    pub timers: Timers,
}

impl Exam {
    /// Of an address, as users dial it.
    ///
    /// # Errors
    /// When it is not a WebSocket address.
    pub fn new(url: &str, dial: Dial) -> Result<Self, ExamError> {
        let mut exam = Self {
            dial,
            spots: Vec::new(),
            expect: None,
            origin: None,
            namespace: None,
            watch: None,
            pace: Duration::from_millis(150),
            stop: Stop::default(),
            told: Vec::new(),
            timers: Timers::default(),
        };
        exam.spot(url, false)?;
        Ok(exam)
    }

    /// And of a hop nearer to the gateway than the ones before.
    ///
    /// # Errors
    /// When it is not a WebSocket address, or one too many.
    pub fn via(mut self, url: &str) -> Result<Self, ExamError> {
        self.spot(url, false)?;
        Ok(self)
    }

    /// And of the gateway itself, behind every proxy.
    ///
    /// # Errors
    /// When it is not a WebSocket address, or one too many.
    pub fn direct(mut self, url: &str) -> Result<Self, ExamError> {
        self.spot(url, true)?;
        Ok(self)
    }

    fn spot(&mut self, url: &str, direct: bool) -> Result<(), ExamError> {
        if self.spots.len() >= MAX_PLACES {
            return Err(ExamError::TooMany);
        }
        let shown = url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let address = |source| ExamError::Address { url: shown.clone(), source };
        let target = self.dial.target(url, |_| true).map_err(address)?;
        self.spots.push(Spot { place: Place { name: shown, direct }, url: url.to_owned(), target });
        Ok(())
    }

    /// The case as it stands before anything was looked at.
    #[must_use]
    pub fn case(&self) -> Case {
        let mut without = Vec::new();
        if self.origin.is_none() {
            without.push(Probe::Cors);
        }
        if self.watch.is_none() {
            without.extend([Probe::HoldSilent, Probe::HoldPinging]);
        }
        if self.dial.subprotocols.is_empty() {
            without.push(Probe::UpgradeWithoutSubprotocol);
        }
        let url: Option<&Url> = self.spots.first().map(|s| s.target.url());
        let query = url.and_then(Url::query).unwrap_or_default();
        if query.is_empty() {
            without.push(Probe::UpgradeWithoutQuery);
        }
        if self.adds_identity() {
            // Already sent with every upgrade.
            without.push(Probe::UpgradeWithIdentity);
        }
        let trusted = self.spots.first().is_some_and(|s| self.dial.trusts(s.target.url()));
        let has_token = (trusted && self.dial.headers.iter().any(|(name, _)| is_credential(name)))
            || ["access_token=", "apikey=", "token="].iter().any(|key| query.contains(key));
        let engine_path = self.engine_path();
        let mut case = Case {
            places: self.spots.iter().map(|s| s.place.clone()).collect(),
            expect: self.expect,
            findings: Vec::new(),
            without,
            engine_path,
            has_token: Some(has_token),
            has_identity: self.dial.has("x-self-id"),
            timers: self.timers.clone(),
        };
        for saw in &self.told {
            case.push(mooring_core::diagnosis::Finding { place: 0, probe: Probe::Told, saw: saw.clone() });
        }
        case
    }

    /// Whether the address is Engine.IO's by its path or query.
    pub(crate) fn engine_path(&self) -> bool {
        self.spots.first().map(|s| s.target.url()).is_some_and(|url| {
            url.path().contains("/socket.io")
                || url.path().contains("/engine.io")
                || url.query().is_some_and(|q| q.contains("EIO="))
        })
    }

    /// Whether upgrades go by the reserved id: OneBot is expected, and nobody said another.
    pub(crate) fn adds_identity(&self) -> bool {
        self.expect == Some(Kind::Onebot11) && !self.dial.headers.iter().any(|(name, _)| is_identity(name))
    }

    /// Whether sessions there have to speak Engine.IO to stay.
    pub(crate) fn speaks_engine_io(&self) -> bool {
        self.engine_path() || matches!(self.expect, Some(Kind::Socketio | Kind::Evolution))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial() -> Dial {
        let host = |name: &str| name.parse::<Host>().unwrap();
        Dial {
            headers: vec![("Authorization".to_owned(), "Bearer s3cret".to_owned())],
            audience: Some(Audience {
                hosts: vec![(host("10.0.0.7"), true), (host("chat.example"), false)],
                alias: Some(((host("10.0.0.7"), 9000), "inner.example".to_owned())),
                server_name: None,
            }),
            ..Dial::default()
        }
    }

    fn sends(url: &str) -> bool {
        format!("{:?}", dial().target(url, |_| true).unwrap()).contains("authorization")
    }

    #[test]
    fn headers_are_for_their_audience_and_not_for_clear_text_where_they_are_for_tls() {
        assert!(sends("wss://chat.example:8443/ws") && sends("ws://10.0.0.7/") && sends("wss://10.0.0.7/"));
        for url in ["ws://chat.example/ws", "wss://chat.example.evil/", "ws://10.0.0.8/", "wss://example/"] {
            assert!(!sends(url), "{url}");
        }
        // Who examines for themselves sends what they were given.
        let own = Dial { audience: None, ..dial() };
        assert!(
            format!("{:?}", own.target("ws://any.example/", |_| true).unwrap()).contains("authorization")
        );
    }

    #[test]
    fn a_place_may_be_asked_for_another_name() {
        let target = dial().target("ws://10.0.0.7:9000/ws?x=1", |_| true).unwrap();
        assert_eq!(
            (target.url().host().to_string(), target.url().path()),
            ("inner.example".to_owned(), "/ws")
        );
        assert_eq!(target.url().query(), Some("x=1"));
        assert!(format!("{target:?}").contains("9000"), "it is dialled where it was: {target:?}");
        let other = dial().target("ws://10.0.0.7:9001/ws", |_| true).unwrap();
        assert_eq!(other.url().host().to_string(), "10.0.0.7");
    }

    #[tokio::test]
    async fn an_examination_that_was_stopped_begins_no_probe() {
        let exam = Exam::new("ws://127.0.0.1:1/", Dial::default()).unwrap();
        exam.stop.stop();
        exam.stop.stopped().await;
        let over = crate::examine(&exam, |_, _| panic!("nothing is looked at")).await;
        assert!(over.cut_short && over.case.findings.is_empty());
    }
}
