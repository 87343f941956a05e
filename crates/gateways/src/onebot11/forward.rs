//! Forward mode: one connection to the implementation's own server, beside the framework's.
//!
//! What it sees is the implementation's truth, not the framework's: whether the framework is connected cannot be known
//! here. To reconnect is to dial anew, which shows whether the server still lets anybody in.

use std::sync::Arc;

use mooring_core::cause::Cause;
use mooring_core::classify::{RecentCloses, cause_of_close};
use mooring_core::id::InstanceId;
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
use super::health::{End, Health, Probing, Role};
use super::message::{self, Told, own_call, told};
use super::orders::Orders;
use super::pulse::{Beat, Pulse};
use super::redial::Redial;
use super::refusal::Refusal;
use super::secrets::Secrets;
use super::settings::Settings;
use super::socket::{Ended, Heard, Socket, Stream};
use super::state::Frame;
use super::wire::{Wire, short};
use crate::adapter::{Ask, Desk, Doing, Said, Word};

enum Event {
    Heard(u64, Heard),
    Dialled(Result<Box<WebSocketStream<Stream>>, Refusal>),
}

struct Watch {
    id: InstanceId,
    settings: Arc<Settings>,
    secrets: Secrets,
    url: Url,
    events: mpsc::UnboundedSender<Event>,
    health: Health,
    orders: Orders,
    redial: Redial,
    dial_at: Option<Mono>,
    dialling: Option<AbortOnDropHandle<()>>,
    wire: Option<Wire>,
    recent: RecentCloses,
    question: Option<String>,
    numbers: u64,
    rng: StdRng,
    words: Vec<Said>,
}

/// Runs until told to stop.
pub(super) async fn run(settings: Arc<Settings>, mut desk: Desk, stop: CancellationToken) {
    let (Ok(url), Ok(id)) = (settings.url.parse::<Url>(), InstanceId::new(&settings.self_id)) else {
        tracing::error!("a OneBot gateway in forward mode needs `url` and `self_id`");
        return stop.cancelled().await;
    };
    let (events, mut inbox) = mpsc::unbounded_channel();
    let start = now().mono;
    let probing = Probing { interval: settings.probe_interval.get(), timeout: settings.probe_timeout.get() };
    let mut watch = Watch {
        id,
        secrets: Secrets::new(&settings),
        url,
        events,
        health: Health::new(probing, start),
        orders: Orders::default(),
        redial: Redial::new(settings.retry_cap.get(), settings.lockout.get()),
        dial_at: Some(start),
        dialling: None,
        wire: None,
        recent: RecentCloses::default(),
        question: None,
        numbers: 0,
        rng: StdRng::from_rng(&mut rand::rng()),
        words: vec![Said::Here],
        settings,
    };
    loop {
        watch.settle(now());
        let due = watch.next_check();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(event) = inbox.recv() => watch.take(event),
            Some(ask) = desk.asks.recv() => watch.asked(ask),
            place = desk.words.reserve(), if !watch.words.is_empty() => match place {
                Ok(place) => place.send(Word { instance: watch.id.clone(), said: watch.words.remove(0) }),
                Err(_) => break,
            },
            () = until(due) => {}
        }
    }
    if let Some(wire) = watch.wire.take() {
        wire.socket.close(1000, "");
        // It may take the goodbye; nobody waits for more.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    stop.cancelled().await;
}

impl Watch {
    fn take(&mut self, event: Event) {
        let at = now();
        match event {
            Event::Dialled(Ok(ws)) => self.opened(at.mono, *ws),
            Event::Dialled(Err(refusal)) => {
                self.dialling = None;
                let (again, _) = self.redial.refused(at.mono, false, &mut self.rng);
                self.dial_at = Some(again);
                let evidence = vec![("url".to_owned(), self.url.to_string())];
                self.away(at.mono, refusal.cause, refusal.message, evidence);
            }
            Event::Heard(number, heard) => {
                let Some(wire) = self.wire.as_mut().filter(|wire| wire.number == number) else { return };
                match heard {
                    Heard::Ended(ended) => return self.ended(at, ended),
                    Heard::Stalled(stalled) => drop(wire.pulse.stalled(at.mono, stalled)),
                    Heard::Alive(_) => wire.pulse.heard(at.mono),
                    Heard::Frame(frame) => {
                        wire.pulse.heard(at.mono);
                        self.learn(at.mono, &frame);
                    }
                }
                self.health.heard(at.mono);
            }
        }
    }

    fn opened(&mut self, at: Mono, ws: WebSocketStream<Stream>) {
        self.dialling = None;
        self.numbers += 1;
        let (events, number) = (self.events.clone(), self.numbers);
        let heard = move |heard| drop(events.send(Event::Heard(number, heard)));
        self.wire = Some(Wire {
            socket: Socket::over(ws, heard),
            number,
            opened: at,
            pulse: Pulse::new(self.settings.ping_interval.get(), self.settings.ping_timeout.get(), at),
            peer: format!("{}:{}", self.url.host(), self.url.port()),
            spoke: false,
            closing: false,
        });
        self.redial.opened(at);
        self.health.arrived(at, Role::Universal);
    }

    fn learn(&mut self, at: Mono, frame: &Frame) {
        match told(frame.payload.bytes()) {
            Told::Heartbeat { interval, online } => self.health.beat(at, interval, online),
            Told::Offline(words) => self.health.offline(at, &words),
            Told::Online => self.health.online(at),
            Told::Event(true) => self.health.event(at),
            Told::Answer { echo, .. } if echo.is_some() && echo == self.question => {
                self.question = None;
                self.health.answered(at, true);
                let (name, version, online) = message::facts(frame.payload.bytes());
                if let Some(name) = name {
                    self.health.named(name, version.unwrap_or_default());
                }
                self.health.says_online(at, online, "get_status");
            }
            Told::Answer { .. } | Told::Lifecycle | Told::Event(false) | Told::Unknown => {}
        }
    }

    fn ended(&mut self, at: Now, ended: Ended) {
        let Some(wire) = self.wire.take() else { return };
        let (close, before) = wire.close(at.mono, ended, &mut self.recent);
        let verdict = cause_of_close(&close, &before);
        self.question = None;
        self.dial_at =
            Some(if wire.closing { at.mono } else { self.redial.lost(at.mono, true, &mut self.rng) });
        let half_open = close.error.as_deref().is_some_and(|error| error.starts_with("half-open"));
        let cause = if half_open { Cause::HalfOpen } else { verdict.cause };
        let evidence = vec![("url".to_owned(), self.url.to_string())];
        let record =
            wire.record(at, &self.id, "implementation", &close, (Some(cause), verdict.message.clone()));
        self.words.extend(record.map(Said::Closed));
        self.away(at.mono, cause, verdict.message, evidence);
    }

    fn away(&mut self, since: Mono, cause: Cause, message: String, evidence: Vec<(String, String)>) {
        self.health.left(Role::Universal, End::Away { since, cause, message, evidence });
    }

    fn asked(&mut self, ask: Ask) {
        let at = now();
        if ask.instance != self.id {
            let _ = ask.reply.send(Err(format!("there is no account {} here", ask.instance)));
            return;
        }
        let doing = ask.doing;
        // A dial that waits may be made at once; there is nothing to refuse.
        if doing == Doing::Reconnect && self.wire.is_none() && self.dialling.is_none() {
            self.dial_at = Some(at.mono);
        }
        if !self.orders.take(at.mono, ask, &self.health, &self.settings) {
            return;
        }
        match doing {
            Doing::Reconnect => {
                if let Some(wire) = &mut self.wire {
                    wire.closing = true;
                    wire.socket.close(1000, "");
                }
            }
            Doing::Restart => self.ask("set_restart", &json!({ "delay": 2000 })),
        }
    }

    fn ask(&mut self, action: &str, params: &serde_json::Value) {
        let (call, echo) = own_call(action, params, self.rng.random());
        if let Some(wire) = &self.wire {
            wire.socket.send(Frame::own(call));
            self.question = Some(echo);
        }
    }

    fn settle(&mut self, at: Now) {
        match self.wire.as_mut().map(|wire| (wire.pulse.tick(at.mono), wire)) {
            Some((Beat::Ping, wire)) => wire.socket.ping(),
            Some((Beat::Dead(silent), _)) => {
                let error =
                    format!("half-open: nothing came for {}, not even the answer to a ping", short(silent));
                self.ended(at, Ended { error: Some(error), ..Ended::default() });
            }
            _ => {}
        }
        if self.wire.is_none() && self.dialling.is_none() && self.dial_at.is_some_and(|due| due <= at.mono) {
            self.dial();
        }
        self.health.tick(at.mono);
        if self.health.wants_to_ask(at.mono, None) {
            let action = if self.health.name().is_none() { "get_version_info" } else { "get_status" };
            self.ask(action, &json!({}));
            self.health.asked(at.mono);
        }
        self.orders.settle(at.mono, &self.health);
        let claims = self.health.claims(at.mono);
        if !claims.is_empty() {
            self.say(claims);
        }
    }

    /// Only the newest claim of each kind is worth telling.
    fn say(&mut self, mut claims: Vec<mooring_core::observation::Claim>) {
        for said in &mut self.words {
            if let Said::Claims(waiting) = said {
                waiting.retain(|old| claims.iter().all(|new| new.kind != old.kind));
                waiting.append(&mut claims);
                return;
            }
        }
        self.words.push(Said::Claims(claims));
    }

    fn dial(&mut self) {
        self.dial_at = None;
        let dial = Dial {
            url: self.url.clone(),
            path: None,
            headers: Vec::new(),
            token: self.secrets.shown(),
            tls: self.settings.tls.clone(),
            max_message: self.settings.max_message,
        };
        let events = self.events.clone();
        let task = tokio::spawn(async move {
            drop(events.send(Event::Dialled(Box::pin(dial.go()).await.map(Box::new))));
        });
        self.dialling = Some(AbortOnDropHandle::new(task));
    }

    fn next_check(&self) -> Option<Mono> {
        let pulse = self.wire.as_ref().and_then(|wire| wire.pulse.next_check());
        let dial = self.dial_at.filter(|_| self.wire.is_none() && self.dialling.is_none());
        [pulse, dial, self.health.next_check(None), self.orders.next_check()].into_iter().flatten().min()
    }
}
