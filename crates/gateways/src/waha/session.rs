//! One session: what came before its status, and what the status therefore means.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind as Kind, Evidence, Status as Answer};
use mooring_core::id::{InstanceId, MAX_NAME_LEN};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Claim;
use mooring_core::session::Source;
use mooring_core::time::Mono;

use super::api::{Engine, Seen, Status};

/// Looks in a row that must find a `WORKING` session without an account.
const MISSING: u32 = 2;

/// What is thought of a condition: the answer, why it is not True, and more in words.
type Opinion = (Answer, Option<Cause>, &'static str);

/// What is known of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: InstanceId,
    pub(super) status: Status,
    pub(super) since: Mono,
    /// Learnt since the status last changed; before, it is another state's word.
    engine: Option<Engine>,
    me: Option<bool>,
    /// When something last happened, by WAHA's clock, and by ours.
    activity: Option<u64>,
    traffic: Option<Mono>,
    missing: u32,
    /// Was up, since it last was asked to log in.
    worked: bool,
    /// Has shown a QR code since it last was up.
    shown_qr: bool,
    /// Was up when the process went away.
    pub(super) lost: bool,
    /// When the socket last told its status.
    told: Option<Mono>,
    named: bool,
}

impl Session {
    /// A session that REST shows for the first time.
    pub(super) fn new(id: InstanceId, now: Mono, seen: &Seen, named: bool) -> Self {
        let mut new = Self {
            id,
            status: seen.status,
            since: now,
            engine: None,
            me: None,
            activity: seen.activity,
            traffic: None,
            missing: 0,
            worked: seen.status == Status::Working,
            shown_qr: seen.status == Status::ScanQrCode,
            lost: false,
            told: None,
            named,
        };
        new.learn(now, seen);
        new
    }

    /// REST says this of it, in an answer that was asked for at `asked`. What the socket told since then is newer.
    pub(super) fn see(&mut self, now: Mono, asked: Mono, seen: &Seen) {
        if self.told.is_none_or(|told| told <= asked) {
            self.turn(now, seen.status);
            self.learn(now, seen);
        }
    }

    /// The socket says this of it.
    pub(super) fn tell(&mut self, now: Mono, status: Status) {
        self.told = Some(now);
        self.turn(now, status);
    }

    fn turn(&mut self, now: Mono, status: Status) {
        if status == self.status {
            return;
        }
        self.status = status;
        self.since = now;
        self.engine = None;
        match status {
            Status::Working => {
                (self.worked, self.shown_qr, self.lost, self.missing) = (true, false, false, 0);
            }
            Status::ScanQrCode => self.shown_qr = true,
            Status::Stopped | Status::Starting | Status::Failed | Status::Other => {}
        }
    }

    fn learn(&mut self, now: Mono, seen: &Seen) {
        if seen.engine.is_some() {
            self.engine.clone_from(&seen.engine);
        }
        if seen.activity.is_some() && seen.activity != self.activity {
            self.activity = seen.activity;
            self.traffic = Some(now);
        }
        self.me = seen.me;
        let missing = seen.status == Status::Working && seen.me == Some(false);
        self.missing = if missing { self.missing.saturating_add(1) } else { 0 };
    }

    /// It failed, and its engine was not asked yet why.
    pub(super) fn unexplained(&self) -> bool {
        self.status == Status::Failed && self.engine.is_none()
    }

    /// What is wrong with it, where something is.
    pub(super) fn fault(&self) -> Option<Cause> {
        match self.status {
            // #137: WORKING though unlinked.
            Status::Working if self.missing >= MISSING => Some(Cause::LoginRevoked),
            Status::Working => self.engine.as_ref().and_then(|e| e.says),
            Status::ScanQrCode if self.worked => Some(Cause::LoginRevoked),
            Status::ScanQrCode => Some(Cause::PairingNeeded),
            Status::Failed => self.engine.as_ref().map(|engine| self.why_failed(engine)),
            Status::Stopped if self.named || self.lost => Some(Cause::ReportedClosed),
            Status::Stopped | Status::Starting | Status::Other => None,
        }
    }

    fn why_failed(&self, engine: &Engine) -> Cause {
        if let Some(cause) = engine.says {
            return cause;
        }
        match (self.shown_qr, self.worked, self.me) {
            (true, true, _) => Cause::LoginRevoked,
            (true, false, _) => Cause::PairingNeeded,
            // NOWEB gives up on a logged-out account (401) and retries everything else for ever.
            _ if engine.kind == "NOWEB" => Cause::LoginRevoked,
            (false, true, Some(false)) => Cause::LoginRevoked,
            (false, false, Some(false)) => Cause::PairingNeeded,
            _ => Cause::ReportedClosed,
        }
    }

    /// What is claimed of it, from facts of this age.
    pub(super) fn claims(&self, now: Mono, stuck_after: Duration, age: Duration) -> Vec<Claim> {
        let lasts = now.since(self.since);
        let me = self.me.map_or("not told", |me| if me { "an account" } else { "none" });
        let evidence = vec![
            ("status".to_owned(), self.status.word().to_owned()),
            (
                "engine".to_owned(),
                self.engine.as_ref().map_or_else(|| "not told".to_owned(), |e| e.kind.clone()),
            ),
            ("me".to_owned(), me.to_owned()),
        ];
        let words = format!("{} for {:.0} s", self.status.word(), lasts.as_secs_f64());
        let say = |(kind, (status, cause, more)): (Kind, Opinion)| {
            let message = if more.is_empty() { words.clone() } else { format!("{words}: {more}") };
            Claim { age, ..claim(kind, status, cause, message, evidence.clone()) }
        };
        let (reachable, linked) = self.opinions(lasts >= stuck_after);
        [Some((Kind::Reachable, reachable)), linked.map(|l| (Kind::Linked, l))]
            .into_iter()
            .flatten()
            .map(say)
            .collect()
    }

    /// Of its connection, and of its login; `None`: what was last said of the login holds on.
    fn opinions(&self, stuck: bool) -> (Opinion, Option<Opinion>) {
        use Cause as C;
        let well: Opinion = (Answer::True, None, "");
        let wrong = |cause, words| (Answer::False, Some(cause), words);
        let unknown = |cause, words| (Answer::Unknown, Some(cause), words);
        match (self.status, self.fault()) {
            (Status::Working, None) => (well, Some(well)),
            (Status::Working, Some(cause)) => (well, Some(wrong(cause, account(cause)))),
            (Status::Starting, _) if stuck => (
                wrong(C::ConnectingStuck, "that is longer than a start takes"),
                Some(unknown(C::ConnectingStuck, "")),
            ),
            (Status::Starting, _) => {
                (unknown(C::RestartExpected, "it renews its connection, as it does now and then"), None)
            }
            (Status::ScanQrCode, Some(C::LoginRevoked)) => {
                (well, Some(wrong(C::LoginRevoked, "it was logged in, and asks for a login again")))
            }
            (Status::ScanQrCode, _) => {
                (well, Some(wrong(C::PairingNeeded, "it waits for a human to log in; this is no outage")))
            }
            (Status::Failed, Some(cause @ (C::LoginRevoked | C::PairingNeeded | C::AccountForbidden))) => {
                (unknown(cause, "without a login there is no connection"), Some(wrong(cause, account(cause))))
            }
            (_, Some(cause)) => {
                (wrong(cause, "it has no connection and does not try for one"), Some(unknown(cause, "")))
            }
            (Status::Stopped, None) => {
                let meant = unknown(
                    C::NotObservable,
                    "somebody may have meant that; name it under `sessions` to have it kept up",
                );
                (meant, Some(meant))
            }
            (Status::Failed, None) => {
                let asked = unknown(C::NotYetObserved, "its engine is being asked why");
                (asked, Some(asked))
            }
            (Status::Other, None) => (unknown(C::NotObservable, ""), Some(unknown(C::NotObservable, ""))),
        }
    }

    /// Whether it has traffic.
    pub(super) fn delivering(&self, now: Mono, quiet_after: Duration) -> Claim {
        let kind = Kind::Delivering;
        let (status, cause, message) = match (self.status, self.traffic) {
            (Status::Working, Some(at)) => {
                // A pause while it was not up is no silence of its own.
                let quiet = now.since(at.max(self.since));
                let message = format!("something last happened on it {:.0} s ago", quiet.as_secs_f64());
                if quiet > quiet_after {
                    (Answer::False, Some(Cause::SilentBeyondHabit), message)
                } else {
                    (Answer::True, None, message)
                }
            }
            (Status::Working, None) => {
                (Answer::Unknown, Some(Cause::NotYetObserved), "nothing was seen to happen yet".to_owned())
            }
            _ => (Answer::Unknown, Some(Cause::NotObservable), "it is not up".to_owned()),
        };
        claim(kind, status, cause, message, Vec::new())
    }
}

/// What is wrong with the account, in words.
fn account(cause: Cause) -> &'static str {
    match cause {
        Cause::LoginRevoked => "no account is behind it any more: it was logged out",
        Cause::PairingNeeded => "nobody logged in while it showed its QR code",
        Cause::AccountForbidden => "the account is refused",
        Cause::SessionReplaced => "another client has taken the account over",
        Cause::ClientOutdated => "this version of the client is refused",
        _ => "the engine says that the account is not connected",
    }
}

/// A claim from this moment's facts.
pub(super) fn claim(
    kind: Kind,
    status: Answer,
    cause: Option<Cause>,
    message: String,
    evidence: Evidence,
) -> Claim {
    let message = clip(&message, MAX_MESSAGE);
    Claim { source: Source::Adapter, kind, status, cause, message, evidence, age: Duration::ZERO }
}

/// An instance's id for a session's name: the same name gives the same id, and where characters had to be replaced, a few
/// digits made of the whole name keep it apart from its likes.
pub(super) fn instance_id(name: &str, salt: u32) -> Option<InstanceId> {
    if salt == 0
        && let Ok(id) = InstanceId::new(name)
    {
        return Some(id);
    }
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    // FNV-1a: names are not secrets, and the id must be the same on every machine.
    let hash = name
        .bytes()
        .chain(salt.to_le_bytes())
        .fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let stem: String = name.chars().map(plain).take(MAX_NAME_LEN - 10).collect();
    let stem = stem.trim_matches(['.', '_', '-']);
    let stem = if stem.is_empty() { "session" } else { stem };
    InstanceId::new(format!("{stem}-{hash:08x}")).ok()
}
