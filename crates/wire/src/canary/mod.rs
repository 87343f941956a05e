//! The canary: one session of our own that stays open, pings, and tells what it sees.
//!
//! It judges nothing. It asks for signs of life at an interval, matches the answers, passes on that anything arrived at
//! all, and how the session ended. Whether silence means anything is the tracker's to say, with this observer's own lag
//! beside it. Three decisions are argued here:
//!
//! * **Reading has no rival.** Every wait reads the socket first; writes never block it, and a full observation channel
//!   does not either: what cannot be delivered is thinned out (round trips become plain life) instead of queued. A
//!   watcher that waits for its own consumer would report the gateway as silent.
//! * **Life is coalesced.** A gateway that sends ten thousand messages a second is as alive as one that sends four.
//! * **Pings carry what they are.** Each has a payload of its own, so a pong is matched exactly; a peer may answer only
//!   the newest of several (RFC 6455 §5.5.3), so an answer settles all pings before it. An unmatched pong is life and
//!   no more. The interval is jittered downwards only: the configured one is a promise to stay below a proxy's limit.

mod life;
mod pings;

use std::time::{Duration, Instant as StdInstant};

use mooring_core::observation::{Close, Observation};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use crate::session::{End, Event, Session};
pub use life::Life;
use pings::Pings;

/// Most observations that wait for the consumer.
const MAX_WAITING: usize = 64;
/// Commands are looked at, at the latest, after so many events in a row.
const BURST: u32 = 64;

/// How a canary behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryConfig {
    /// Longest time between pings; each is up to a tenth earlier. Default 10 s, at least 10 ms.
    pub ping_interval: Duration,
    /// At most one [`Observation::Life`] in this time. Default 250 ms.
    pub life_every: Duration,
    /// Longest that our writes may stand still before the session counts as lost. Default 5 s.
    pub write_timeout: Duration,
    /// Longest that the peer's Close frame is waited for after ours. Default 2 s.
    pub close_timeout: Duration,
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(10),
            life_every: Duration::from_millis(250),
            write_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(2),
        }
    }
}

/// What a running canary can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryCommand {
    /// Close the session properly with this code and reason. A code that may not be sent becomes 1000; the reason is
    /// cut to 123 bytes.
    Close {
        /// Close code (RFC 6455 §7.4).
        code: u16,
        /// Reason text.
        reason: String,
    },
}

/// Runs a canary until its session ends, for whatever reason, and returns how it ended; the same is the last
/// observation sent.
///
/// Closing every sender of `commands`, or the receiver of the observations, closes the session properly (1001). Let it
/// end that way: dropping the future drops the socket, and unread bytes on it become a reset. After the end the
/// connection is taken down gently, for at most two seconds more.
///
/// Each observation carries the time at which it was made. `observations` must be drained by another task; if it is
/// full, `Asked` and `Answered` are dropped in favour of `Life`, and only the final `Closed` is waited for.
pub async fn run(
    session: Session,
    config: CanaryConfig,
    observations: Sender<(StdInstant, Observation)>,
    mut commands: Receiver<CanaryCommand>,
) -> Close {
    let mut canary = Canary::new(session, config);
    let close = Box::pin(canary.watch(&observations, &mut commands)).await;
    let last = async {
        for observation in canary.waiting.drain(..) {
            observations.send(observation).await.ok()?;
        }
        observations.send((StdInstant::now(), Observation::Closed(close.clone()))).await.ok()
    };
    // A consumer that is gone does not want the end either.
    let _ = tokio::join!(last, canary.session.finish());
    close
}

struct Canary {
    session: Session,
    config: CanaryConfig,
    pings: Pings,
    life: Life,
    next_ping: Instant,
    /// When the peer was last heard.
    heard: Instant,
    /// Until when the answer to our Close frame is waited for.
    closing: Option<Instant>,
    waiting: Vec<(StdInstant, Observation)>,
    /// Nobody listens any more.
    unheard: bool,
}

enum Turn {
    Event(Event),
    Room,
    Command(Option<CanaryCommand>),
    Time,
}

impl Canary {
    fn new(session: Session, config: CanaryConfig) -> Self {
        let ping_interval = config.ping_interval.max(Duration::from_millis(10));
        let now = Instant::now();
        Self {
            heard: session.opened(),
            session,
            config: CanaryConfig { ping_interval, ..config },
            pings: Pings::new(rand::random()),
            life: Life::new(config.life_every),
            next_ping: now,
            closing: None,
            waiting: Vec::new(),
            unheard: false,
        }
    }

    async fn watch(
        &mut self,
        observations: &Sender<(StdInstant, Observation)>,
        commands: &mut Receiver<CanaryCommand>,
    ) -> Close {
        let mut burst = 0;
        loop {
            let wake_at = self.wake_at();
            let turn = tokio::select! {
                biased;
                event = self.session.event() => Turn::Event(event),
                // A permit that is dropped goes back; delivering is done in one place.
                room = observations.reserve(), if !self.waiting.is_empty() => {
                    drop(room);
                    Turn::Room
                }
                () = observations.closed(), if !self.unheard => Turn::Room,
                command = commands.recv(), if self.closing.is_none() => Turn::Command(command),
                () = sleep_until(wake_at) => Turn::Time,
            };
            let now = Instant::now();
            match turn {
                Turn::Event(event) => {
                    if let Some(close) = self.on_event(event, now) {
                        return close;
                    }
                    burst += 1;
                    if burst >= BURST && self.closing.is_none() {
                        burst = 0;
                        if let Ok(command) = commands.try_recv() {
                            self.on_command(Some(command), now);
                        }
                    }
                }
                Turn::Command(command) => self.on_command(command, now),
                Turn::Room | Turn::Time => burst = 0,
            }
            if let Some(close) = self.on_time(now) {
                return close;
            }
            self.deliver(observations);
            if self.unheard && self.closing.is_none() {
                self.begin_close(1001, "the observer goes away", now);
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) -> Option<Close> {
        match event {
            Event::Close(code, reason) => return Some(self.closed(Some(code), reason, now, None)),
            Event::Ended(End { error, violation }) => {
                if let Some(code) = violation {
                    self.session.close(code, "");
                    return Some(Close { by_us: true, ..self.closed(None, String::new(), now, error) });
                }
                return Some(self.closed(None, String::new(), now, error));
            }
            Event::Pong(payload) => match self.pings.answered(&payload, now) {
                // The answer itself is the sign of life.
                Some(rtt) => self.observe(now, Observation::Answered { rtt }),
                None => self.life.seen(now),
            },
            Event::Data(_) | Event::Ping => self.life.seen(now),
        }
        self.heard = now;
        None
    }

    fn on_command(&mut self, command: Option<CanaryCommand>, now: Instant) {
        match command {
            Some(CanaryCommand::Close { code, reason }) => self.begin_close(code, &reason, now),
            None => self.begin_close(1001, "the observer goes away", now),
        }
    }

    fn begin_close(&mut self, code: u16, reason: &str, now: Instant) {
        self.session.close(code, reason);
        self.closing = Some(now + self.config.close_timeout);
    }

    /// Everything that is due.
    fn on_time(&mut self, now: Instant) -> Option<Close> {
        if self.closing.is_some_and(|until| until <= now) {
            let error = format!("no Close frame in answer to ours within {:?}", self.config.close_timeout);
            return Some(self.closed(None, String::new(), now, Some(error)));
        }
        if let Some(unread) = self.session.unread_for(now)
            && unread >= self.config.write_timeout
        {
            // Like the kernel's own time limit, which would strike minutes later: the transport's end, not our wish.
            let error = format!("the peer reads nothing: our writes stood still for {unread:.1?}");
            return Some(self.closed(None, String::new(), now, Some(error)));
        }
        if self.closing.is_none() && self.next_ping <= now {
            self.next_ping = now + pings::jittered(self.config.ping_interval, rand::random());
            if self.session.ping(self.pings.ask(now)) {
                self.observe(now, Observation::Asked);
            }
        }
        if self.life.due().is_some_and(|at| at <= now)
            && self.waiting.len() < MAX_WAITING
            && let Some(age) = self.life.take(now)
        {
            self.observe(now, Observation::Life { age });
        }
        None
    }

    /// When something will be due.
    fn wake_at(&self) -> Instant {
        let unread = self.session.unread_for(Instant::now());
        let stalled = unread.map(|unread| Instant::now() + self.config.write_timeout.saturating_sub(unread));
        let due = if self.closing.is_some() { self.closing } else { Some(self.next_ping) };
        let life = if self.waiting.len() < MAX_WAITING { self.life.due() } else { None };
        // One of them is always there: the ping's time, or the closing's.
        [due, stalled, life].into_iter().flatten().min().unwrap_or(self.next_ping)
    }

    fn observe(&mut self, now: Instant, observation: Observation) {
        if self.unheard {
            return;
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push((now.into_std(), observation));
        } else if matches!(observation, Observation::Answered { .. }) {
            self.life.seen(now);
        }
    }

    /// Hands over what the channel takes now.
    fn deliver(&mut self, observations: &Sender<(StdInstant, Observation)>) {
        let take = self.waiting.len().min(observations.capacity());
        for observation in self.waiting.drain(..take) {
            // Room was counted; if another sender took it meanwhile, this one is lost, not the reading.
            let _ = observations.try_send(observation);
        }
        if observations.is_closed() {
            self.unheard = true;
            self.waiting.clear();
        }
    }

    fn closed(&self, code: Option<u16>, reason: String, now: Instant, error: Option<String>) -> Close {
        Close {
            code,
            reason,
            by_us: self.closing.is_some(),
            age: now.saturating_duration_since(self.session.opened()),
            silent_for: now.saturating_duration_since(self.heard),
            error,
        }
    }
}
