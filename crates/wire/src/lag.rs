//! How late this observer is.
//!
//! A detector that was itself stopped (SIGSTOP, a frozen container, a starved runtime) sees silence where there was none.
//! So the observer sets itself an alarm at short intervals and looks how late it hears it: the monotonic clock goes on
//! while a process is stopped, so the gap shows. It does not show a suspended machine, whose monotonic clock stands
//! still with everything else; there the sessions themselves end.
//!
//! Run it on the runtime that reads the sockets, best in the very task that judges, for it is that task's lateness that
//! matters: a meter on a runtime of its own would be punctual while the readers starve.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

/// Measures how much later than asked this task is woken.
#[derive(Debug)]
pub struct LagMeter {
    period: Duration,
    threshold: Duration,
    due: Instant,
}

impl LagMeter {
    /// The default threshold: lateness below it is ordinary scheduling.
    pub const THRESHOLD: Duration = Duration::from_millis(200);
    /// The default period between alarms: the resolution with which a stop is seen.
    pub const PERIOD: Duration = Duration::from_millis(100);

    /// A meter that is woken every `period` (at least 1 ms) and reports lateness above `threshold`.
    #[must_use]
    pub fn new(period: Duration, threshold: Duration) -> Self {
        let period = period.max(Duration::from_millis(1));
        Self { period, threshold, due: Instant::now() + period }
    }

    /// Waits for the next lateness above the threshold and returns it, for `Observation::ObserverLag`.
    ///
    /// Cancel-safe: the alarm stays set when the future is dropped, so time in which nobody polled counts as lateness.
    /// That is meant: a task held up in another branch of its `select!` did not read its sockets either.
    pub async fn next_lag(&mut self) -> Duration {
        loop {
            sleep_until(self.due.into()).await;
            let now = Instant::now();
            let late = now.saturating_duration_since(self.due);
            self.due = now + self.period;
            if late > self.threshold {
                return late;
            }
        }
    }

    /// Lateness at this moment, without waiting: for a last look before a judgement that must not be wrong. Zero within
    /// the threshold. Does not reset the alarm.
    #[must_use]
    pub fn lag_now(&self) -> Duration {
        let late = self.due.elapsed();
        if late > self.threshold { late } else { Duration::ZERO }
    }
}

impl Default for LagMeter {
    fn default() -> Self {
        Self::new(Self::PERIOD, Self::THRESHOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_up_runtime_is_noticed_and_an_idle_one_is_not() {
        let mut meter = LagMeter::new(Duration::from_millis(5), Duration::from_millis(150));
        // On a busy machine even an idle task may be late once; a whole run of punctual alarms must occur.
        let punctual = async {
            while tokio::time::timeout(Duration::from_millis(100), meter.next_lag()).await.is_ok() {}
        };
        tokio::time::timeout(Duration::from_secs(10), punctual).await.expect("a punctual stretch");
        assert_eq!(meter.lag_now(), Duration::ZERO);
        // The fault itself: this single-threaded runtime is held up.
        let held = Instant::now();
        std::thread::sleep(Duration::from_millis(400));
        assert!(meter.lag_now() >= Duration::from_millis(300));
        let lag = meter.next_lag().await;
        assert!(
            lag >= Duration::from_millis(300) && lag <= held.elapsed() + Duration::from_millis(10),
            "{lag:?}"
        );
        assert_eq!(meter.lag_now(), Duration::ZERO);
    }
}
