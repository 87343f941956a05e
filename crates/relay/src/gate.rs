//! Whether new connections go to the gateway, wait for it, or are turned away.
//!
//! While a gateway restarts, its clients' first attempts are worth keeping: a held connection costs a few kilobytes here
//! and a whole round of backoff there. Held ones are bounded in number and time. When a gateway refuses connections and
//! that is to be waited for, one of those held tries again, with backoff, and all others wait for its word, so that a
//! gateway that comes up does not meet a thousand attempts a second.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// The first pause before another attempt.
const BACKOFF_LEAST: Duration = Duration::from_millis(50);
/// The longest.
const BACKOFF_MOST: Duration = Duration::from_secs(1);

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They go to the gateway.
    Open,
    /// They wait.
    Hold,
    /// They are answered with 503.
    Refuse,
}

/// The gate before the gateway.
#[derive(Debug)]
pub(crate) struct Gate {
    mode: watch::Sender<Mode>,
    /// Counts the times the gateway was found to be back.
    back: watch::Sender<u64>,
    /// Who holds it tries for everybody; the value is the pause before the next attempt.
    leader: Mutex<Duration>,
    held: AtomicUsize,
    most_held: usize,
}

/// Why one was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    Refused,
    TooLong,
    TooMany,
}

/// A place among those held.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Gate);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
    }
}

impl Gate {
    pub(crate) fn new(most_held: usize) -> Self {
        Self {
            mode: watch::Sender::new(Mode::Open),
            back: watch::Sender::new(0),
            leader: Mutex::new(BACKOFF_LEAST),
            held: AtomicUsize::new(0),
            most_held,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Holds new connections, or ends that. Where they are turned away, that goes on: a gateway that is restarted while
    /// it is drained is drained still.
    pub(crate) fn holding(&self, on: bool) {
        let (from, to) = if on { (Mode::Open, Mode::Hold) } else { (Mode::Hold, Mode::Open) };
        self.mode.send_if_modified(|mode| {
            let applies = *mode == from;
            if applies {
                *mode = to;
            }
            applies
        });
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// How many are held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(SeqCst)
    }

    /// A place among those held.
    pub(crate) fn hold(&self) -> Result<Held<'_>, Turned> {
        let taken = self.held.fetch_update(SeqCst, SeqCst, |n| (n < self.most_held).then_some(n + 1));
        taken.map(|_| Held(self)).map_err(|_| Turned::TooMany)
    }

    /// Waits until the mode is another than [`Mode::Hold`].
    pub(crate) async fn pass(&self, until: Instant) -> Result<(), Turned> {
        let mut mode = self.mode.subscribe();
        let decided = timeout_at(until, mode.wait_for(|mode| *mode != Mode::Hold)).await;
        match decided.map(|mode| mode.map(|mode| *mode)) {
            Ok(Ok(Mode::Open | Mode::Hold)) => Ok(()),
            Ok(Ok(Mode::Refuse) | Err(_)) => Err(Turned::Refused),
            Err(_) => Err(Turned::TooLong),
        }
    }

    /// The gateway takes connections: those that wait may try at once.
    pub(crate) fn gateway_is_back(&self) {
        if self.held() > 0 {
            self.back.send_modify(|n| *n += 1);
        }
        if let Ok(mut pause) = self.leader.try_lock() {
            *pause = BACKOFF_LEAST;
        }
    }

    /// After a refused attempt: waits for the own turn to try again, for somebody else's success, or for an order that
    /// changes what is to be done.
    pub(crate) async fn next_try(&self, until: Instant) -> Result<(), Turned> {
        let mut back = self.back.subscribe();
        let mut mode = self.mode.subscribe();
        let turn = async {
            tokio::select! {
                _ = back.changed() => {}
                mut pause = self.leader.lock() => {
                    sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
                    *pause = (*pause * 2).min(BACKOFF_MOST);
                }
            }
        };
        // Whose turn it is sleeps, and must be woken by an order all the same.
        let ordered = async { drop(mode.wait_for(|mode| *mode != Mode::Open).await) };
        let either = async {
            tokio::select! {
                () = turn => {}
                () = ordered => {}
            }
        };
        timeout_at(until, either).await.map_err(|_| Turned::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn held_ones_are_let_go_or_turned_away() {
        let gate = Arc::new(Gate::new(1));
        gate.set(Mode::Hold);
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(gate.pass(soon).await, Err(Turned::TooLong));
        for (mode, outcome) in [(Mode::Open, Ok(())), (Mode::Refuse, Err(Turned::Refused))] {
            gate.set(Mode::Hold);
            let waiting = tokio::spawn({
                let gate = Arc::clone(&gate);
                async move { gate.pass(Instant::now() + Duration::from_secs(60)).await }
            });
            tokio::task::yield_now().await;
            gate.set(mode);
            assert_eq!(waiting.await.unwrap(), outcome);
        }
        let held = gate.hold().unwrap();
        assert_eq!(gate.hold().map(|_| ()), Err(Turned::TooMany));
        drop(held);
        assert!(gate.hold().is_ok());
    }

    #[test]
    fn a_hold_does_not_end_a_refusal() {
        let gate = Gate::new(1);
        let turns = [(true, Mode::Hold), (false, Mode::Open)];
        for (on, mode) in turns {
            gate.holding(on);
            assert_eq!(gate.mode(), mode);
        }
        gate.set(Mode::Refuse);
        for (on, _) in turns {
            gate.holding(on);
            assert_eq!(gate.mode(), Mode::Refuse);
        }
    }

    #[tokio::test]
    async fn an_order_wakes_those_that_wait_for_their_turn() {
        let gate = Arc::new(Gate::new(1));
        *gate.leader.lock().await = Duration::from_secs(3600);
        for mode in [Mode::Hold, Mode::Refuse] {
            gate.set(Mode::Open);
            let waiting = tokio::spawn({
                let gate = Arc::clone(&gate);
                async move { gate.next_try(Instant::now() + Duration::from_secs(3600)).await }
            });
            while gate.leader.try_lock().is_ok() {
                tokio::task::yield_now().await;
            }
            gate.set(mode);
            assert_eq!(
                timeout_at(Instant::now() + Duration::from_secs(20), waiting).await.unwrap().unwrap(),
                Ok(())
            );
        }
    }

    #[tokio::test]
    async fn one_success_wakes_all() {
        let gate = Arc::new(Gate::new(10));
        let _held = gate.hold().unwrap();
        *gate.leader.lock().await = Duration::from_secs(3600);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let gate = Arc::clone(&gate);
            waiting.spawn(async move { gate.next_try(Instant::now() + Duration::from_secs(1)).await });
        }
        // Once the leader has its turn, all of them listen.
        while gate.leader.try_lock().is_ok() || gate.back.receiver_count() < 5 {
            tokio::task::yield_now().await;
        }
        gate.gateway_is_back();
        let woken = waiting.join_all().await.into_iter().filter(Result::is_ok).count();
        assert_eq!(woken, 4, "all but the one whose turn it is");
    }
}
