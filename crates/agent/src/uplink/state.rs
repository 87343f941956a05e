//! Where the uplink stands, for readiness, metrics and people; and its news, told once.

use mooring_core::time::{Timestamp, human};
use tokio::sync::watch;

use crate::clock::now;
use crate::metrics::Metrics;

/// Where the uplink stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UplinkState {
    /// No controller is attached to. The agent watches all the same.
    Disconnected {
        /// Since when.
        since: Timestamp,
        /// When it is tried next; in the past while a try is under way.
        next_try: Timestamp,
        /// Why the last try failed; empty before the first.
        why: String,
    },
    /// A stream is open and the controller let us in.
    Attached {
        /// The number of this attachment.
        epoch: u64,
        /// Which controller, as it calls itself.
        controller: String,
        /// Where.
        address: String,
    },
}

/// Publishes the state, and says in the log what is new about it. The same failure again is no news: an agent that is
/// alone for a weekend must not fill a disk with it.
#[derive(Debug)]
pub(super) struct Board {
    state: watch::Sender<UplinkState>,
    /// Reasons that were told since the last attachment.
    said: Vec<String>,
    metrics: Metrics,
}

/// Most reasons that are told of one absence: several addresses may fail in several ways, in turn.
const MAX_SAID: usize = 16;

impl Board {
    pub(super) fn new(metrics: Metrics) -> Self {
        let at = now().wall;
        metrics.stream(false);
        let state = UplinkState::Disconnected { since: at, next_try: at, why: String::new() };
        Self { state: watch::Sender::new(state), said: Vec::new(), metrics }
    }

    pub(super) fn watch(&self) -> watch::Receiver<UplinkState> {
        self.state.subscribe()
    }

    pub(super) fn attached(&mut self, epoch: u64, controller: &str, address: &str) {
        let away = match &*self.state.borrow() {
            UplinkState::Disconnected { since, .. } => now().wall.since(*since),
            UplinkState::Attached { .. } => std::time::Duration::ZERO,
        };
        let away =
            human::format(std::time::Duration::from_millis(u64::try_from(away.as_millis()).unwrap_or(0)));
        tracing::info!(controller, address, epoch, away, "attached to a controller");
        self.said.clear();
        self.metrics.stream(true);
        self.state.send_replace(UplinkState::Attached {
            epoch,
            controller: controller.to_owned(),
            address: address.to_owned(),
        });
    }

    /// A try failed, or the stream is gone; `next_try` is when it is tried again.
    pub(super) fn disconnected(&mut self, why: &str, next_try: Timestamp) {
        let was = self.state.borrow().clone();
        let since = match was {
            UplinkState::Disconnected { since, .. } => since,
            UplinkState::Attached { .. } => {
                tracing::warn!(why, "the controller is lost; watching goes on, orders wait");
                self.said.push(why.to_owned());
                now().wall
            }
        };
        if self.said.len() >= MAX_SAID || self.said.iter().any(|said| said == why) {
            tracing::debug!(why, "still no controller");
        } else {
            tracing::warn!(why, "no controller can be attached to; trying on, and watching meanwhile");
            self.said.push(why.to_owned());
        }
        self.metrics.stream(false);
        self.state.send_replace(UplinkState::Disconnected { since, next_try, why: why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_news_is_told_once_however_it_alternates() {
        let mut board = Board::new(Metrics::new());
        for round in 0..1_000 {
            board.disconnected("a: refused", Timestamp(round));
            board.disconnected("b: no such host", Timestamp(round));
        }
        assert_eq!(board.said, ["a: refused", "b: no such host"]);
        for n in 0..1_000 {
            board.disconnected(&format!("nonsense {n}"), Timestamp(0));
        }
        assert_eq!(board.said.len(), MAX_SAID);
        board.attached(1, "c1", "http://a");
        assert!(board.said.is_empty());
        assert_eq!(
            *board.watch().borrow(),
            UplinkState::Attached { epoch: 1, controller: "c1".to_owned(), address: "http://a".to_owned() }
        );
    }
}
