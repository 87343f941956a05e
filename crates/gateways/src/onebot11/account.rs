//! One account in reverse mode: its connections on both sides, what is claimed of it, what is done to it. The shell around
//! [`Link`], [`Health`] and [`Orders`], which decide; here their effects are carried out.

mod ends;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::RecentCloses;
use mooring_core::condition::Evidence;
use mooring_core::id::InstanceId;
use mooring_core::session::SessionClose;
use mooring_core::time::{Mono, Now};
use mooring_wire::Url;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clock::{now, until};
use super::dial::Dial;
use super::door::Admitted;
use super::health::{End, Health, Probing, Role};
use super::message::{self, Told, asked, own_call, told};
use super::orders::Orders;
use super::pulse::{Beat, Pulse};
use super::redial::Redial;
use super::refusal::Refusal;
use super::secrets::Secrets;
use super::settings::Settings;
use super::socket::{Ended, Heard, Socket, Stream};
use super::state::{Counts, Effect, Frame, Framework, Limits, Link};
use super::wire::{Wire, short};
use crate::adapter::{Ask, Doing, Said, Word};

/// Ends that wait to be told; beyond, the oldest are not.
const CLOSES: usize = 32;

/// Which end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Implementation,
    Framework,
}

/// What happens to an account.
pub(super) enum Event {
    /// The implementation dialled in.
    Arrived(Box<Admitted>, Box<WebSocketStream<Stream>>, SocketAddr),
    /// It tried to, and was turned away.
    TurnedAway(Cause, String, Evidence),
    /// Something came from a connection.
    Heard(Role, Side, u64, Heard),
    /// A dial of the framework ended.
    Dialled(Role, u64, Result<Box<WebSocketStream<Stream>>, Refusal>),
    /// An order.
    Ask(Ask),
}

/// The two connections for one role.
struct Line {
    link: Link,
    admitted: Admitted,
    implementation: Option<Wire>,
    framework: Option<Wire>,
    dialling: Option<(u64, AbortOnDropHandle<()>)>,
    /// The framework's last connection was accepted and then refused: the next one must last or speak to be believed.
    doubted: bool,
    /// How the framework's connections ended.
    ends: RecentCloses,
    /// The implementation's.
    arrivals: RecentCloses,
}

/// See the module.
pub(super) struct Account {
    id: InstanceId,
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    url: Url,
    lines: BTreeMap<Role, Line>,
    health: Health,
    orders: Orders,
    rng: StdRng,
    numbers: u64,
    /// Our open question: its echo and what was asked.
    question: Option<(String, &'static str)>,
    told_counts: Counts,
    events: mpsc::UnboundedSender<Event>,
    closes: VecDeque<SessionClose>,
    claims: Vec<mooring_core::observation::Claim>,
}

impl Account {
    /// Runs until told to stop; what happens to it comes over `inbox`.
    pub(super) async fn run(
        id: InstanceId,
        settings: Arc<Settings>,
        secrets: Arc<Secrets>,
        url: Url,
        (events, mut inbox): (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
        words: mpsc::Sender<Word>,
        stop: CancellationToken,
    ) {
        let start = now();
        let here = Word { instance: id.clone(), said: Said::Here };
        if words.send(here).await.is_err() {
            return;
        }
        let probing =
            Probing { interval: settings.probe_interval.get(), timeout: settings.probe_timeout.get() };
        let mut account = Self {
            id,
            settings,
            secrets,
            url,
            lines: BTreeMap::new(),
            health: Health::new(probing, start.mono),
            orders: Orders::default(),
            rng: StdRng::from_rng(&mut rand::rng()),
            numbers: 0,
            question: None,
            told_counts: Counts::default(),
            events,
            closes: VecDeque::new(),
            claims: Vec::new(),
        };
        loop {
            account.settle(now());
            let due = account.next_check();
            let waiting = !account.claims.is_empty() || !account.closes.is_empty();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // What has arrived comes before the clock, which would take it for silence.
                event = inbox.recv() => match event {
                    Some(event) => account.take(event),
                    None => break,
                },
                place = words.reserve(), if waiting => match place {
                    Ok(place) => account.say(place),
                    Err(_) => break,
                },
                () = until(due) => {}
            }
        }
        account.farewell();
    }

    fn take(&mut self, event: Event) {
        let at = now();
        match event {
            Event::Arrived(admitted, ws, peer) => self.arrived(at, *admitted, *ws, peer),
            Event::TurnedAway(cause, words, evidence) => {
                self.health.turned_away(at.mono, cause, words, evidence);
            }
            Event::Heard(role, side, number, heard) => self.heard(at, role, side, number, heard),
            Event::Dialled(role, number, result) => self.dialled(at, role, number, result),
            Event::Ask(ask) => {
                let doing = ask.doing;
                if self.orders.take(at.mono, ask, &self.health, &self.settings) {
                    self.carry_out(doing);
                }
            }
        }
    }

    fn arrived(&mut self, at: Now, admitted: Admitted, ws: WebSocketStream<Stream>, peer: SocketAddr) {
        let role = admitted.role;
        tracing::info!(account = %self.id, role = role.name(), %peer, "the OneBot implementation dialled in");
        // One connection for all and one for each exclude each other: what is not held any more goes.
        self.lines.retain(|r, line| {
            *r == role
                || line.implementation.is_some()
                || (*r == Role::Universal) == (role == Role::Universal)
        });
        let line = self.line(admitted);
        let mut effects = Vec::new();
        if let Some(old) = line.implementation.take() {
            // The newest is the one that lives: the old one is most often half-open.
            old.socket.close(1001, "another connection of this account took over");
        }
        effects.extend(line.link.arrived(at.mono));
        let wire = self.wire(at.mono, role, Side::Implementation, ws, peer.to_string());
        self.health.arrived(at.mono, role);
        if self.lines.get(&role).is_some_and(|line| line.link.framework() != Framework::Up) {
            self.health.framework_awaited(at.mono, role);
        }
        if let Some(line) = self.lines.get_mut(&role) {
            line.implementation = Some(wire);
        }
        self.perform(role, effects);
    }

    fn line(&mut self, admitted: Admitted) -> &mut Line {
        let settings = &self.settings;
        let limits = Limits {
            grace: settings.grace.get(),
            call: settings.call_timeout.get(),
            events: settings.buffer_events,
            bytes: settings.buffer_bytes,
        };
        let redial = || Redial::new(settings.retry_cap.get(), settings.lockout.get());
        let line = self.lines.entry(admitted.role).or_insert_with(|| Line {
            link: Link::new(limits, redial()),
            admitted: admitted.clone(),
            implementation: None,
            framework: None,
            dialling: None,
            doubted: false,
            ends: RecentCloses::default(),
            arrivals: RecentCloses::default(),
        });
        line.admitted = admitted;
        line
    }

    fn wire(&mut self, at: Mono, role: Role, side: Side, ws: WebSocketStream<Stream>, peer: String) -> Wire {
        self.numbers += 1;
        let number = self.numbers;
        let events = self.events.clone();
        // Nobody listens: the account is going.
        let heard = move |heard| drop(events.send(Event::Heard(role, side, number, heard)));
        let pulse = Pulse::new(self.settings.ping_interval.get(), self.settings.ping_timeout.get(), at);
        let socket = Socket::over(ws, heard);
        Wire { socket, number, opened: at, pulse, peer, spoke: false, closing: false }
    }

    fn heard(&mut self, at: Now, role: Role, side: Side, number: u64, heard: Heard) {
        let Some(line) = self.lines.get_mut(&role) else { return };
        let wire = match side {
            Side::Implementation => &mut line.implementation,
            Side::Framework => &mut line.framework,
        };
        // What a connection says that was replaced meanwhile concerns nobody.
        let Some(wire) = wire.as_mut().filter(|wire| wire.number == number) else { return };
        match heard {
            Heard::Ended(ended) => return self.ended(at, role, side, ended),
            Heard::Stalled(stalled) => {
                let held = wire.pulse.stalled(at.mono, stalled);
                if side == Side::Implementation && !held.is_zero() {
                    self.health.held_up(at.mono, held);
                }
                return;
            }
            Heard::Alive(_) => wire.pulse.heard(at.mono),
            Heard::Frame(frame) => {
                wire.pulse.heard(at.mono);
                wire.spoke = true;
                let effects = match side {
                    Side::Framework => {
                        if std::mem::take(&mut line.doubted) {
                            self.health.framework(role, End::Here(at.mono));
                        }
                        let asked = asked(frame.payload.bytes());
                        line.link.asked(at.mono, frame, asked)
                    }
                    Side::Implementation => {
                        let told = told(frame.payload.bytes());
                        self.learn(at.mono, &told, &frame)
                            .then(|| {
                                self.lines.get_mut(&role).map(|line| line.link.told(at.mono, frame, &told))
                            })
                            .flatten()
                            .unwrap_or_default()
                    }
                };
                self.perform(role, effects);
            }
        }
        if side == Side::Implementation {
            self.health.heard(at.mono);
        }
    }

    /// Takes what a frame says of the account. False: it was for us alone.
    fn learn(&mut self, at: Mono, told: &Told, frame: &Frame) -> bool {
        match told {
            Told::Heartbeat { interval, online } => self.health.beat(at, *interval, *online),
            Told::Offline(words) => {
                tracing::warn!(account = %self.id, words, "the OneBot account went offline");
                self.health.offline(at, words);
            }
            Told::Online => self.health.online(at),
            Told::Event(true) => self.health.event(at),
            Told::Answer { echo: Some(echo), .. } if message::is_ours(echo) => {
                // One that is late, or was asked by the agent before this one, is nobody's.
                if let Some((_, action)) = self.question.take_if(|(open, _)| open == echo) {
                    self.health.answered(at, true);
                    let (name, version, online) = message::facts(frame.payload.bytes());
                    if let Some(name) = name {
                        self.health.named(name, version.unwrap_or_default());
                    }
                    if action == "get_status" {
                        self.health.says_online(at, online, "get_status");
                    }
                }
                return false;
            }
            Told::Answer { .. } => self.health.answered(at, false),
            Told::Lifecycle | Told::Event(false) | Told::Unknown => {}
        }
        true
    }

    fn perform(&mut self, role: Role, effects: Vec<Effect>) {
        for effect in effects {
            let Some(line) = self.lines.get_mut(&role) else { return };
            match effect {
                Effect::ToFramework(frame) => send(line.framework.as_ref(), frame),
                Effect::ToImplementation(frame) => send(line.implementation.as_ref(), frame),
                Effect::CloseFramework(code, reason) => {
                    if let Some(mut wire) = line.framework.take() {
                        wire.closing = true;
                        wire.socket.close(code, reason);
                        linger(wire.socket);
                        self.health.framework(role, End::Awaited(now().mono));
                    }
                }
                Effect::Dial => self.dial(role),
            }
        }
    }

    fn dial(&mut self, role: Role) {
        self.numbers += 1;
        let number = self.numbers;
        let Some(line) = self.lines.get_mut(&role) else { return };
        let dial = Dial {
            url: self.url.clone(),
            path: Some(line.admitted.path.clone()),
            headers: line.admitted.headers.clone(),
            token: self.secrets.framework(line.admitted.token.as_deref()),
            tls: self.settings.tls.clone(),
            max_message: self.settings.max_message,
        };
        let events = self.events.clone();
        let task = tokio::spawn(async move {
            let result = Box::pin(dial.go()).await.map(Box::new);
            drop(events.send(Event::Dialled(role, number, result)));
        });
        line.dialling = Some((number, AbortOnDropHandle::new(task)));
    }

    fn carry_out(&mut self, doing: Doing) {
        match doing {
            Doing::Reconnect => {
                for wire in self.lines.values().filter_map(|line| line.implementation.as_ref()) {
                    wire.socket.close(1012, "asked to connect again");
                }
            }
            Doing::Restart => self.ask("set_restart", &json!({ "delay": 2000 })),
        }
    }

    /// Asks the implementation something the framework never learns of.
    fn ask(&mut self, action: &'static str, params: &serde_json::Value) {
        let (call, echo) = own_call(action, params, self.rng.random());
        let roles = [Role::Universal, Role::Api];
        let wire = roles.iter().find_map(|r| self.lines.get(r)?.implementation.as_ref());
        if let Some(wire) = wire {
            wire.socket.send(Frame::own(call));
            self.question = Some((echo, action));
        }
    }

    /// Everything that is due, and what follows from what happened.
    fn settle(&mut self, at: Now) {
        let roles: Vec<Role> = self.lines.keys().copied().collect();
        for role in roles {
            let Some(line) = self.lines.get_mut(&role) else { continue };
            let mut dead = Vec::new();
            for (side, wire) in
                [(Side::Implementation, &mut line.implementation), (Side::Framework, &mut line.framework)]
            {
                match wire.as_mut().map(|wire| (wire.pulse.tick(at.mono), wire)) {
                    Some((Beat::Ping, wire)) => wire.socket.ping(),
                    Some((Beat::Dead(silent), _)) => dead.push((side, silent)),
                    _ => {}
                }
            }
            let lasts = |wire: &Wire| at.mono.since(wire.opened) >= LASTS;
            if line.doubted && line.framework.as_ref().is_some_and(lasts) {
                line.doubted = false;
                self.health.framework(role, End::Here(at.mono));
            }
            let effects = line.link.tick(at.mono);
            self.perform(role, effects);
            for (side, silent) in dead {
                let error =
                    format!("{HALF_OPEN}: nothing came for {}, not even the answer to a ping", short(silent));
                self.ended(at, role, side, Ended { error: Some(error), ..Ended::default() });
            }
        }
        self.health.tick(at.mono);
        if self.health.wants_to_ask(at.mono, self.waiting()) {
            let action = if self.health.name().is_none() { "get_version_info" } else { "get_status" };
            self.ask(action, &json!({}));
            self.health.asked(at.mono);
        }
        self.orders.settle(at.mono, &self.health);
        for claim in self.health.claims(at.mono) {
            // Only the newest of each kind is worth telling.
            self.claims.retain(|waiting| waiting.kind != claim.kind);
            self.claims.push(claim);
        }
        self.log_counts();
    }

    fn log_counts(&mut self) {
        let mut sum = Counts::default();
        for line in self.lines.values() {
            let counts = line.link.counts();
            sum.dropped += counts.dropped;
            sum.replayed += counts.replayed;
        }
        if sum.replayed != self.told_counts.replayed {
            let (late, dropped) = (sum.replayed, sum.dropped);
            tracing::info!(account = %self.id, late, dropped, "OneBot events told late (both so far)");
            self.told_counts = sum;
        }
    }

    fn waiting(&self) -> Option<Mono> {
        self.lines.values().filter_map(|line| line.link.waiting()).min()
    }

    fn next_check(&self) -> Option<Mono> {
        let lines = self.lines.values().flat_map(|line| {
            let wires = [&line.implementation, &line.framework].into_iter().flatten();
            wires.filter_map(|wire| wire.pulse.next_check()).chain(line.link.next_check())
        });
        lines.chain(self.health.next_check(self.waiting())).chain(self.orders.next_check()).min()
    }

    fn record(&mut self, close: Option<SessionClose>) {
        if self.closes.len() == CLOSES {
            self.closes.pop_front();
        }
        self.closes.extend(close);
    }

    fn say(&mut self, place: mpsc::Permit<'_, Word>) {
        let said = match self.closes.pop_front() {
            Some(close) => Said::Closed(close),
            None => Said::Claims(std::mem::take(&mut self.claims)),
        };
        place.send(Word { instance: self.id.clone(), said });
    }

    /// The agent goes: both ends are told so, that neither holds the other for a ghost.
    fn farewell(&mut self) {
        for line in self.lines.values_mut() {
            for wire in [line.implementation.take(), line.framework.take()].into_iter().flatten() {
                wire.socket.close(1012, "the agent between the two ends stops");
                linger(wire.socket);
            }
        }
    }
}

fn send(wire: Option<&Wire>, frame: Frame) {
    if let Some(wire) = wire {
        wire.socket.send(frame);
    }
}

/// Who accepts and then refuses has done so by then: node-karin takes 3 s.
const LASTS: Duration = Duration::from_secs(5);
/// How the error of a connection begins that we gave up.
const HALF_OPEN: &str = "half-open";

/// Gives a goodbye the time to be sent and answered.
fn linger(socket: Socket) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(socket);
    });
}
