//! What one instance did before: enough for the windows, and no more.

use std::collections::VecDeque;
use std::time::Duration;

use super::table::AFTER_RESTART;
use crate::time::Mono;

/// A connection that was open for so long has shown that it works: what was counted before it is forgiven. A login alone
/// does not: a stream error comes after one each time, and a server that accepts and drops would never be found out.
pub const HELD: Duration = Duration::from_secs(60);
/// Ends remembered; more than any window counts.
const KEPT: usize = 16;

/// The last ends of one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    ends: VecDeque<(Mono, i32)>,
    restart_at: Option<Mono>,
    doubted: bool,
}

impl History {
    /// Remembers an end that was judged. `open_for` is how long the connection was open, if it ever was.
    pub fn remember(&mut self, at: Mono, code: Option<i32>, open_for: Option<Duration>) {
        self.forgive(open_for);
        let Some(code) = code else { return };
        if code == AFTER_RESTART.after {
            self.restart_at = Some(at);
        }
        self.doubted |= code == AFTER_RESTART.code;
        if self.ends.len() == KEPT {
            self.ends.pop_front();
        }
        self.ends.push_back((at, code));
    }

    /// Forgets what a connection that held makes good. Call it before the end of that connection is judged.
    pub fn forgive(&mut self, open_for: Option<Duration>) {
        if open_for.is_some_and(|open| open >= HELD) {
            self.ends.clear();
        }
    }

    /// A login succeeded: what was in doubt is not any more.
    pub fn opened(&mut self) {
        self.restart_at = None;
        self.doubted = false;
    }

    /// How often it ended with this code in the time before `at`.
    #[must_use]
    pub fn times(&self, code: i32, within: Duration, at: Mono) -> usize {
        self.ends.iter().filter(|(when, its)| *its == code && at.since(*when) <= within).count()
    }

    /// Since it restarted on purpose without a login since.
    #[must_use]
    pub fn since_restart(&self, at: Mono) -> Option<Duration> {
        self.restart_at.map(|restart| at.since(restart))
    }

    /// A logout was doubted already and nothing has opened since.
    #[must_use]
    pub fn doubted(&self) -> bool {
        self.doubted
    }
}
