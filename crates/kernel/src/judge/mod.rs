//! From successive scans to findings, purely.
//!
//! A [`Judge`] is fed one scan after the other: [`begin`](Judge::begin) with the time, [`see`](Judge::see) for each
//! connection, [`finish`](Judge::finish). It remembers 88 bytes of each connection (by cookie, about 95 with the index)
//! and says what changed: something is wrong, no longer is, a connection is over. It does no I/O, has no clock and no
//! timers; a scan costs a handful of comparisons per connection, and finding those that are gone one pass at the end.
//!
//! The rules are in `rules`; what all of them share:
//!
//! - Time is counted from what the kernel remembers where it does ("last data 12 s ago"), so that scanning seldom makes a
//!   judgement late, not wrong.
//! - If a scan comes much later than planned, this process was held up, and perhaps everything with it. Then nothing is
//!   concluded from the time before: every clock starts again, and no habit is learnt from a gap that spans it.
//! - Only a complete scan says that a connection is gone ([`crate::ScanStats::complete`]).
//!
//! What cannot be known by looking every few seconds is in the crate's documentation, and in [`How`] and [`Ended`].

mod clock;
mod config;
mod finding;
#[cfg(test)]
mod fixture;
mod habit;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod track;
mod worst;

use std::time::Duration;

use mooring_core::time::Mono;

use crate::connection::{Connection, State};

use clock::Clock;
pub use config::JudgeConfig;
pub use finding::{Ended, Event, Finding, How, Kind, Kinds, Report, Row, View, Who};
use rules::Verdict;
use table::Table;
use track::Track;
use worst::Top;

/// Remembers connections and judges them.
#[derive(Debug)]
pub struct Judge {
    config: JudgeConfig,
    table: Table,
    clock: Clock,
    now: Mono,
    /// When the scan before this one began.
    previous: Option<Mono>,
    /// When the last complete scan began: a connection that is gone lived then.
    complete: Option<Mono>,
    /// The end of the last time this observer was held up.
    not_before: Option<Mono>,
    generation: u8,
    report: Report,
    silent: Top,
    slow: Top,
    retransmitting: Top,
}

impl Judge {
    /// A judge that has seen nothing.
    #[must_use]
    pub fn new(config: JudgeConfig) -> Self {
        Self {
            config,
            table: Table::default(),
            clock: Clock::new(Mono::default(), None),
            now: Mono::default(),
            previous: None,
            complete: None,
            not_before: None,
            generation: 0,
            report: Report::default(),
            silent: Top::new(config.worst),
            slow: Top::new(config.worst),
            retransmitting: Top::new(config.worst),
        }
    }

    /// Begins a scan, at the time it was begun.
    pub fn begin(&mut self, now: Mono) {
        let planned = self.config.interval;
        let late =
            self.previous.map_or(Duration::ZERO, |previous| now.since(previous).saturating_sub(planned));
        let lag = (late > planned.max(Duration::from_secs(1))).then_some(late);
        if lag.is_some() {
            self.not_before = Some(now);
        }
        self.now = now;
        self.clock = Clock::new(now, self.not_before);
        self.generation = self.generation.wrapping_add(1);
        self.report = Report { lag, ..Report::default() };
        self.silent = Top::new(self.config.worst);
        self.slow = Top::new(self.config.worst);
        self.retransmitting = Top::new(self.config.worst);
    }

    /// Takes in one connection of the scan.
    pub fn see(&mut self, c: &Connection, out: &mut dyn FnMut(Event)) {
        let known = self.table.find(c.cookie);
        if c.state == State::TimeWait {
            // Over, in order; the kernel only keeps the addresses. Those that were never seen alive are nobody's.
            if let Some(track) = known.and_then(|place| self.table.remove(place)) {
                out(Event::Ended(self.ended(&track, State::TimeWait)));
                self.report.ended += 1;
            }
            return;
        }
        // One that is still being dialled is remembered, and counts as opened once it is.
        let dialled = c.state == State::SynSent;
        let place = match known {
            Some(place) => {
                let was = self.table.at(place).map(Track::state);
                self.report.opened += usize::from(!dialled && was == Some(State::SynSent));
                place
            }
            // Without a holder it cannot be told whose it is; one that was ours is known.
            None if c.orphan => return,
            None if self.table.len() >= self.config.max_tracks => {
                self.report.untracked += 1;
                return;
            }
            None => {
                self.report.opened += usize::from(!dialled);
                self.table.insert(Track::new(c, &self.clock, self.previous.is_none()))
            }
        };
        let Some(track) = self.table.at_mut(place) else { return };
        track.generation = self.generation;
        let moved = track.update(c, &self.clock);
        for kind in Kind::ALL {
            let stood = track.findings.has(kind);
            match rules::verdict(kind, track, c, moved, &self.clock, &self.config) {
                Verdict::Raise { lasted, limit } if !stood => {
                    track.findings.set(kind, true);
                    let usual = match kind {
                        Kind::PeerSilent => track.habit_in.usual(&self.config),
                        Kind::GatewaySilent => track.habit_out.usual(&self.config),
                        _ => None,
                    };
                    out(Event::Raised(Finding { kind, lasted, limit, usual, connection: *c }));
                }
                Verdict::Clear if stood => {
                    track.findings.set(kind, false);
                    out(Event::Cleared(track.who(), kind));
                }
                _ => {}
            }
        }
        let track = *track;
        self.count(&track, c);
    }

    /// Ends a scan. Connections it did not show are over if it was complete.
    pub fn finish(&mut self, complete: bool, out: &mut dyn FnMut(Event)) -> Report {
        if complete {
            let mut place = 0;
            while let Some(track) = self.table.at(place) {
                if track.generation == self.generation {
                    place += 1;
                } else if let Some(track) = self.table.remove(place) {
                    // The last one has moved to this place: it is looked at next.
                    out(Event::Ended(self.ended(&track, track.state())));
                    self.report.ended += 1;
                }
            }
            self.complete = Some(self.now);
        }
        self.previous = Some(self.now);
        let mut report = std::mem::take(&mut self.report);
        report.open = self.table.len();
        report.most_silent = self.silent.take();
        report.slowest = self.slow.take();
        report.most_retransmitting = self.retransmitting.take();
        report
    }

    /// When the present scan was begun, in the whole ticks that ages and silences in a [`View`] are counted in: this less
    /// one of them is the same point at every scan, as long as the connection does nothing.
    #[must_use]
    pub fn begun(&self) -> Mono {
        clock::floor(self.now)
    }

    /// What is remembered of a connection, in the light of the present scan.
    #[must_use]
    pub fn view(&self, cookie: u64) -> Option<View> {
        let track = self.table.at(self.table.find(cookie)?)?;
        Some(View {
            age: self.clock.since(track.opened),
            age_at_least: track.age_at_least(),
            received_silent: self.clock.since(track.received_at),
            sent_silent: self.clock.since(track.sent_at),
            received_usual: track.habit_in.usual(&self.config),
            sent_usual: track.habit_out.usual(&self.config),
            findings: track.findings,
        })
    }

    /// Bytes of memory that what is remembered takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// Forgets everything: for a gateway that was restarted, whose old connections say nothing.
    pub fn forget(&mut self) {
        *self = Self::new(self.config);
    }

    /// Counts a connection into the report.
    fn count(&mut self, track: &Track, c: &Connection) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let row = Row {
            connection: *c,
            age: self.clock.since(track.opened),
            age_at_least: track.age_at_least(),
            silent: self.clock.since(track.received_at).min(self.clock.since(track.sent_at)),
            findings: track.findings,
        };
        for kind in track.findings.iter() {
            self.report.raised[kind as usize] += 1;
        }
        self.report.age.record(row.age);
        self.report.silence.record(row.silent);
        self.silent.offer(micros(row.silent), c.cookie, &row);
        if let Some(info) = &c.info {
            if let Some(rtt) = info.rtt {
                self.report.rtt.record(Duration::from_micros(u64::from(rtt)));
                self.slow.offer(u64::from(rtt), c.cookie, &row);
            }
            self.retransmitting.offer(u64::from(info.total_retrans), c.cookie, &row);
        }
    }

    /// The end of a connection: some time between the last complete scan and now.
    fn ended(&self, track: &Track, state: State) -> Ended {
        let window = self.complete.map_or(Duration::ZERO, |then| self.now.since(then));
        let half = window / 2;
        let unanswered = track.unanswered();
        let how = match state {
            State::FinWait1 | State::FinWait2 | State::Closing | State::TimeWait => How::ClosedHere,
            State::CloseWait | State::LastAck => How::ClosedByPeer,
            State::SynSent | State::SynRecv => How::NeverOpened,
            _ if track.findings.has(Kind::HalfOpen) || unanswered >= self.config.retransmits.max(1) => {
                How::TimedOut
            }
            _ => How::Vanished,
        };
        let until_then = |point| self.clock.since(point).saturating_sub(half);
        Ended {
            who: track.who(),
            age: until_then(track.opened),
            age_at_least: track.age_at_least(),
            received_silent: until_then(track.received_at),
            sent_silent: until_then(track.sent_at),
            give_or_take: half,
            state,
            retransmits: unanswered,
            findings: track.findings,
            how,
        }
    }
}
