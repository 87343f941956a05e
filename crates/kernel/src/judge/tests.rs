//! The judge against a small model of a TCP sender, and against tables.

use std::time::Duration;

use mooring_core::time::Mono;
use proptest::prelude::*;

use super::fixture::connection;
use super::*;
use crate::connection::{TcpInfo, Timer};

const STEP: u64 = 10;

/// A TCP sender as far as `tcp_info` shows it, stepped in milliseconds: a message now and then, acknowledged after a round
/// trip, sent again with doubling timeouts (RFC 6298) until then. The peer answers each message with one of its own.
struct Model {
    now: u64,
    srtt: f64,
    rttvar: f64,
    backoff: u32,
    /// First sent, last sent, acknowledged at (never: black hole).
    in_flight: Vec<(u64, u64, Option<u64>)>,
    acked: u64,
    total_retrans: u32,
    last_sent: u64,
    last_ack: u64,
    /// When the oldest message in flight was first sent, while the path is dead.
    dead_since: Option<u64>,
}

impl Model {
    fn new() -> Self {
        Self {
            now: 1_000_000,
            srtt: 0.0,
            rttvar: 0.0,
            backoff: 0,
            in_flight: Vec::new(),
            acked: 1_000,
            total_retrans: 0,
            last_sent: 1_000_000,
            last_ack: 1_000_000,
            dead_since: None,
        }
    }

    fn rto(&self) -> u64 {
        let base = if self.srtt == 0.0 { 1_000.0 } else { self.srtt + (4.0 * self.rttvar).max(200.0) };
        ((base as u64) << self.backoff).min(120_000)
    }

    fn send(&mut self, round_trip: Option<u64>) {
        if round_trip.is_none() && self.dead_since.is_none() {
            self.dead_since = Some(self.now);
        }
        // In order: an answer cannot overtake the one before.
        let at = round_trip.map(|ms| {
            let before = self.in_flight.last().and_then(|(_, _, at)| *at).unwrap_or(0);
            (self.now + ms).max(before)
        });
        self.in_flight.push((self.now, self.now, at));
        self.last_sent = self.now;
    }

    fn step(&mut self) {
        self.now += STEP;
        while let Some(&(first, last, Some(at))) = self.in_flight.first()
            && at <= self.now
        {
            self.in_flight.remove(0);
            self.last_ack = at;
            self.acked += 100;
            self.backoff = 0;
            // Karn: no sample from what was sent twice.
            if first == last {
                let sample = (at - first) as f64;
                if self.srtt == 0.0 {
                    (self.srtt, self.rttvar) = (sample, sample / 2.0);
                } else {
                    self.rttvar += (((sample - self.srtt).abs()) - self.rttvar) / 4.0;
                    self.srtt += (sample - self.srtt) / 8.0;
                }
            }
        }
        let rto = self.rto();
        if let Some(oldest) = self.in_flight.first_mut()
            && self.now >= oldest.1 + rto
        {
            oldest.1 = self.now;
            self.last_sent = self.now;
            self.backoff += 1;
            self.total_retrans += 1;
        }
    }

    fn seen(&self) -> Connection {
        let mut c = connection(7);
        let ago = |then: u64| u32::try_from(self.now.saturating_sub(then)).unwrap();
        c.wqueue = u32::try_from(self.in_flight.len()).unwrap() * 100;
        c.timer = if self.in_flight.is_empty() { Timer::Off } else { Timer::Retransmit };
        let fires =
            self.in_flight.first().map_or(0, |oldest| (oldest.1 + self.rto()).saturating_sub(self.now));
        c.expires = Duration::from_millis(fires);
        c.info = c.info.map(|info| TcpInfo {
            retransmits: u8::try_from(self.backoff).unwrap(),
            backoff: u8::try_from(self.backoff).unwrap(),
            rto: u32::try_from(self.rto() * 1_000).unwrap(),
            unacked: u32::try_from(self.in_flight.len()).unwrap(),
            last_data_sent: ago(self.last_sent),
            last_ack_recv: ago(self.last_ack),
            last_data_recv: ago(self.last_ack),
            rtt: (self.srtt > 0.0).then_some((self.srtt * 1_000.0) as u32),
            rttvar: (self.rttvar * 1_000.0) as u32,
            total_retrans: self.total_retrans,
            bytes_acked: Some(self.acked),
            bytes_received: Some(self.acked),
            ..info
        });
        c
    }
}

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000)
}

/// One complete scan that shows these connections.
fn scan(judge: &mut Judge, ms: u64, seen: &[Connection]) -> (Vec<Event>, Report) {
    let mut events = Vec::new();
    judge.begin(at(ms));
    for c in seen {
        judge.see(c, &mut |event| events.push(event));
    }
    let report = judge.finish(true, &mut |event| events.push(event));
    (events, report)
}

fn raised(events: &[Event]) -> Vec<Kind> {
    events.iter().filter_map(|e| if let Event::Raised(f) = e { Some(f.kind) } else { None }).collect()
}

proptest! {
    /// Round trips of anything up to five seconds, jumping about, heartbeats or chat: nothing is wrong with it.
    #[test]
    fn delay_and_jitter_raise_nothing(
        gaps in prop::collection::vec(50u64..9_000, 20..60),
        delays in prop::collection::vec(1u64..5_000, 60),
        offset in 0u64..2_000,
    ) {
        let mut model = Model::new();
        let mut judge = Judge::new(JudgeConfig::default());
        let mut next_scan = model.now + offset;
        for (gap, delay) in gaps.iter().zip(&delays) {
            model.send(Some(*delay));
            for _ in 0..gap / STEP {
                model.step();
                if model.now >= next_scan {
                    next_scan += 2_000;
                    let (events, _) = scan(&mut judge, model.now, &[model.seen()]);
                    prop_assert_eq!(raised(&events), vec![], "{:?}", events);
                }
            }
        }
    }

    /// A path that dies is found within the limit and one scan, counted from the first message that got no answer; and not
    /// before the limit.
    #[test]
    fn a_black_hole_is_found_in_time(
        delay in 1u64..800,
        jitter in 0u64..400,
        before in 1usize..20,
        gap in 100u64..6_000,
        offset in 0u64..2_000,
        late_watcher: bool,
    ) {
        let mut model = Model::new();
        let config = JudgeConfig::default();
        let mut judge = Judge::new(config);
        let mut next_scan = model.now + offset;
        let mut found = None;
        for n in 0..before + 40 {
            let lives = n < before;
            model.send(lives.then_some(delay + jitter * (n as u64 % 3)));
            let rest = if n == before + 39 { 60_000 } else { gap };
            for _ in 0..rest / STEP {
                model.step();
                // A watcher that is started in the middle of the outage knows from the kernel how long it lasts.
                let watching = !late_watcher || model.dead_since.is_some_and(|since| model.now > since + 20_000);
                if model.now >= next_scan && watching && found.is_none() {
                    next_scan = model.now + 2_000;
                    let limit = config.half_open.max(
                        Duration::from_millis((model.srtt + 4.0 * model.rttvar).max(200.0) as u64) * config.rtos,
                    );
                    let (events, _) = scan(&mut judge, model.now, &[model.seen()]);
                    if raised(&events).contains(&Kind::HalfOpen) {
                        found = Some((model.now, limit));
                    }
                }
            }
        }
        let since = model.dead_since.expect("it died");
        let (when, limit) = found.expect("it is found");
        let took = Duration::from_millis(when - since);
        prop_assert!(took > limit, "not before the limit: {took:?} {limit:?}");
        if late_watcher {
            // Told by the doubling of timeouts, which is a lower bound: at worst it waits the limit itself.
            prop_assert!(took < Duration::from_secs(20) + limit + Duration::from_secs(5), "{took:?} {limit:?}");
        } else {
            // The clock starts with the scan after the last answer, which may still be on its way when the path dies.
            let answers = delay + 2 * jitter;
            prop_assert!(took < limit + Duration::from_millis(answers + 4_000 + 3 * STEP), "{took:?} {limit:?}");
        }
    }

    /// Whatever the kernel may say, in whatever order: no panic, and the sums are right.
    #[test]
    fn any_figures_are_taken(
        rounds in prop::collection::vec(prop::collection::vec(
            (0u64..6, any::<[u32; 8]>(), any::<[u8; 4]>(), any::<Option<u64>>()), 0..6), 1..12),
        starts in prop::collection::vec(any::<u64>(), 12),
    ) {
        let mut judge = Judge::new(JudgeConfig { max_tracks: 4, ..JudgeConfig::default() });
        for (round, start) in rounds.iter().zip(&starts) {
            let seen: Vec<Connection> = round.iter().map(|(cookie, words, bytes, count)| {
                let mut c = connection(*cookie);
                c.state = State::from_number(bytes[0] % 14);
                c.timer = Timer::from_number(bytes[1] % 6);
                (c.rqueue, c.wqueue) = (words[0], words[1]);
                c.info = c.info.map(|info| TcpInfo {
                    retransmits: bytes[2], backoff: bytes[3], probes: bytes[1], rto: words[2], unacked: words[3] % 3,
                    last_data_sent: words[4], last_data_recv: words[5], last_ack_recv: words[6],
                    rtt: Some(words[7]), rttvar: words[2], bytes_received: *count, bytes_acked: *count, ..info
                });
                c
            }).collect();
            let (_, report) = scan(&mut judge, start % 1_000_000_000_000, &seen);
            prop_assert!(report.open <= 4);
            prop_assert_eq!(report.age.count(), report.silence.count());
        }
    }
}

/// A connection under a script: one change per scan, two seconds apart.
struct Script {
    judge: Judge,
    ms: u64,
    c: Connection,
}

impl Script {
    fn new() -> Self {
        Self { judge: Judge::new(JudgeConfig::default()), ms: 500_000, c: connection(1) }
    }

    fn info(&mut self, change: impl FnOnce(&mut TcpInfo)) {
        change(self.c.info.as_mut().expect("has figures"));
    }

    fn tick(&mut self) -> Vec<Event> {
        self.ms += 2_000;
        scan(&mut self.judge, self.ms, &[self.c]).0
    }

    /// Scans until something is raised; after how many seconds.
    fn until_raised(&mut self, most: u64) -> Option<(Kind, u64)> {
        let begun = self.ms + 2_000;
        while self.ms < begun + most * 1_000 {
            if let Some(kind) = raised(&self.tick()).first() {
                return Some((*kind, (self.ms - begun) / 1_000));
            }
        }
        None
    }
}

#[test]
fn an_old_acknowledgement_alone_is_no_outage() {
    // Idle for a minute; then data that was sent twice half a second ago.
    let mut script = Script::new();
    script.c.wqueue = 100;
    script.info(|i| {
        (i.unacked, i.retransmits, i.backoff, i.rto) = (1, 2, 2, 816_000);
        (i.last_ack_recv, i.last_data_recv, i.last_data_sent) = (60_500, 60_500, 100);
    });
    assert_eq!(raised(&script.tick()), []);
}

#[test]
fn tries_that_do_not_leave_the_host_tell_nothing_of_how_long() {
    // Idle for a minute, then data that the host itself dropped twice: neither sent nor, so far, unanswered for long.
    let mut script = Script::new();
    (script.c.wqueue, script.c.timer) = (100, Timer::Retransmit);
    script.info(|i| {
        // The second try was sent, the third is due.
        (i.unacked, i.retransmits, i.backoff, i.rto) = (1, 3, 1, 408_000);
        (i.last_ack_recv, i.last_data_recv, i.last_data_sent) = (60_500, 60_500, 60_500);
    });
    assert_eq!(script.until_raised(20), Some((Kind::HalfOpen, 12)));
}

#[test]
fn keepalive_probes_without_an_answer() {
    let mut script = Script::new();
    script.c.timer = Timer::Keepalive;
    script.info(|i| (i.last_ack_recv, i.last_data_recv, i.probes) = (7_200_000, 7_200_000, 1));
    assert_eq!(script.until_raised(30), None, "the first has time until the second");
    script.info(|i| i.probes = 2);
    assert_eq!(script.until_raised(30), Some((Kind::HalfOpen, 0)));
    script.info(|i| (i.probes, i.last_ack_recv) = (0, 100));
    assert!(matches!(script.tick()[..], [Event::Cleared(who, Kind::HalfOpen)] if who.cookie == 1));
}

#[test]
fn a_peer_that_does_not_read_and_one_that_reads_slowly() {
    let mut script = Script::new();
    script.c.wqueue = 5_000;
    script.c.timer = Timer::ZeroWindow;
    script.info(|i| (i.snd_wnd, i.last_ack_recv) = (Some(0), 300));
    assert_eq!(script.until_raised(60), Some((Kind::PeerStalled, 32)));
    // It takes a little: no longer stalled, and the clock starts anew.
    script.info(|i| i.bytes_acked = Some(2_000));
    script.c.timer = Timer::Off;
    script.info(|i| i.snd_wnd = Some(3_000));
    assert!(matches!(script.tick()[..], [Event::Cleared(_, Kind::PeerStalled)]));
    for n in 0..40 {
        script.c.timer = Timer::ZeroWindow;
        script.info(|i| (i.snd_wnd, i.bytes_acked) = (Some(0), Some(2_000 + n)));
        assert_eq!(raised(&script.tick()), [], "a byte each two seconds");
    }
    // Its probes are no longer answered: it is not a slow reader, it is gone.
    script.info(|i| (i.probes, i.last_ack_recv) = (3, 40_000));
    assert_eq!(script.until_raised(10), Some((Kind::HalfOpen, 0)));
}

#[test]
fn a_gateway_that_does_not_read() {
    let mut script = Script::new();
    script.c.rqueue = 500;
    assert_eq!(script.until_raised(60), Some((Kind::GatewayStalled, 32)));
    // More comes, nothing is read: still so. Then all is read.
    script.c.rqueue = 900;
    script.info(|i| i.bytes_received = Some(1_400));
    assert_eq!(script.tick(), []);
    script.c.rqueue = 0;
    assert!(matches!(script.tick()[..], [Event::Cleared(_, Kind::GatewayStalled)]));
    // Always something waiting, but something else each time.
    for n in 0..40 {
        script.c.rqueue = 300;
        script.info(|i| i.bytes_received = Some(1_400 + n));
        assert_eq!(raised(&script.tick()), []);
    }
}

#[test]
fn a_gateway_that_does_not_close() {
    let mut script = Script::new();
    script.tick();
    script.c.state = State::CloseWait;
    assert_eq!(script.until_raised(100), Some((Kind::NotClosed, 62)));
}

/// Heartbeats of half a minute, then none.
fn beats(script: &mut Script, count: u64) {
    let mut bytes = 1_000;
    for _ in 0..count {
        for second in 0..15 {
            script.info(|i| {
                (i.last_data_recv, i.last_data_sent) = (second * 2_000, second * 2_000);
                (i.bytes_received, i.bytes_acked) = (Some(bytes), Some(bytes));
            });
            assert_eq!(raised(&script.tick()), []);
        }
        bytes += 10;
    }
}

#[test]
fn silent_beyond_its_habit() {
    let mut script = Script::new();
    beats(&mut script, 20);
    let usual = script.judge.view(1).expect("known").received_usual.expect("a habit");
    assert!(usual.abs_diff(Duration::from_secs(30)) < Duration::from_millis(100), "{usual:?}");
    let mut kinds = Vec::new();
    for second in 15..40 {
        script.info(|i| {
            (i.last_data_recv, i.last_data_sent) = (second * 2_000, second * 2_000);
        });
        for event in script.tick() {
            let Event::Raised(finding) = event else { panic!("{event:?}") };
            assert_eq!(second, 23, "45 s: half as much again as usual");
            assert!(finding.to_string().contains("usually every 30.0 s"), "{finding}");
            kinds.push(finding.kind);
        }
    }
    assert_eq!(kinds, [Kind::PeerSilent, Kind::GatewaySilent]);
    // It comes back.
    script.info(|i| (i.last_data_recv, i.bytes_received) = (0, Some(9_999)));
    assert!(matches!(script.tick()[..], [Event::Cleared(_, Kind::PeerSilent)]));
}

#[test]
fn an_irregular_link_has_no_habit() {
    let mut script = Script::new();
    let mut bytes = 1_000;
    for round in 0..60u32 {
        let pause = [1, 20, 2, 1, 9, 1, 40, 3][round as usize % 8];
        for second in 0..pause {
            script.info(|i| {
                (i.last_data_recv, i.last_data_sent) = (second * 2_000, second * 2_000);
                (i.bytes_received, i.bytes_acked) = (Some(bytes), Some(bytes));
            });
            assert_eq!(raised(&script.tick()), []);
        }
        bytes += 10;
    }
    script.info(|i| (i.last_data_recv, i.last_data_sent) = (9_000_000, 9_000_000));
    assert_eq!(raised(&script.tick()), []);
}

#[test]
fn nothing_is_judged_from_a_time_that_was_not_watched() {
    let mut script = Script::new();
    beats(&mut script, 20);
    script.c.rqueue = 10;
    script.tick();
    // Held up for ten minutes: silent, unread, unanswered all that time as it seems.
    script.ms += 600_000;
    script.c.wqueue = 100;
    script.info(|i| {
        (i.last_data_recv, i.last_data_sent, i.last_ack_recv) = (600_000, 30_000, 600_000);
        (i.unacked, i.retransmits, i.backoff, i.rto) = (1, 9, 9, 102_400_000);
    });
    script.ms += 2_000;
    let (events, report) = scan(&mut script.judge, script.ms, &[script.c]);
    assert_eq!(events, []);
    assert_eq!(report.lag, Some(Duration::from_secs(600)));
    // What goes on being so is found when it has been watched for long enough.
    assert_eq!(script.until_raised(20), Some((Kind::HalfOpen, 10)));
    // A gap over the lag is no habit.
    let usual = script.judge.view(1).unwrap().received_usual;
    script.info(|i| (i.last_data_recv, i.bytes_received) = (0, Some(77)));
    script.tick();
    assert_eq!(script.judge.view(1).unwrap().received_usual, usual);
}

#[test]
fn how_connections_end() {
    for (state, unanswered, how) in [
        (State::Established, 0, How::Vanished),
        (State::Established, 3, How::TimedOut),
        (State::FinWait2, 0, How::ClosedHere),
        (State::CloseWait, 0, How::ClosedByPeer),
        (State::LastAck, 0, How::ClosedByPeer),
        (State::SynSent, 0, How::NeverOpened),
    ] {
        let mut script = Script::new();
        script.info(|i| (i.last_data_recv, i.last_data_sent, i.last_ack_recv) = (8_000, 4_000, 4_000));
        script.tick();
        script.c.state = state;
        script.info(|i| {
            (i.last_data_recv, i.last_data_sent) = (10_000, 6_000);
            i.retransmits = unanswered;
        });
        script.tick();
        script.ms += 2_000;
        // An incomplete scan says nothing of what it did not show.
        script.judge.begin(at(script.ms));
        script.judge.finish(false, &mut |event| panic!("{event:?}"));
        script.ms += 2_000;
        let (events, report) = scan(&mut script.judge, script.ms, &[]);
        let [Event::Ended(ended)] = events[..] else { panic!("{events:?}") };
        assert_eq!((ended.how, ended.state, ended.retransmits), (how, state, unanswered));
        assert_eq!((report.open, report.ended), (0, 1));
        assert!(ended.age_at_least, "it was there at the first scan");
        // Gone some time in the four seconds since the last complete scan.
        assert_eq!(ended.give_or_take, Duration::from_secs(2));
        assert_eq!(ended.age, Duration::from_secs(12));
        assert_eq!(ended.received_silent, Duration::from_secs(12));
        assert_eq!(ended.sent_silent, Duration::from_secs(8));
    }
}

#[test]
fn time_wait_and_orphans() {
    let mut judge = Judge::new(JudgeConfig::default());
    let alive = connection(1);
    let orphan = Connection { orphan: true, inode: 0, ..connection(2) };
    let waiting = |cookie| Connection { state: State::TimeWait, info: None, inode: 0, ..connection(cookie) };
    let (_, report) = scan(&mut judge, 1_000, &[alive, orphan, waiting(3)]);
    assert_eq!((report.open, report.opened), (1, 1), "neither an orphan nor a past connection is opened");
    let orphaned = Connection { orphan: true, inode: 0, state: State::FinWait2, ..alive };
    let (events, report) = scan(&mut judge, 3_000, &[orphaned]);
    assert_eq!((events.len(), report.open), (0, 1), "known, so still its own");
    let (events, report) = scan(&mut judge, 5_000, &[waiting(1)]);
    assert!(matches!(events[..], [Event::Ended(Ended { how: How::ClosedHere, .. })]), "{events:?}");
    assert_eq!((report.open, report.ended), (0, 1));
    assert_eq!(scan(&mut judge, 7_000, &[waiting(1)]).0, []);
}

#[test]
fn a_connection_is_opened_when_its_handshake_is_done() {
    let mut judge = Judge::new(JudgeConfig::default());
    let dialled = |cookie| Connection { state: State::SynSent, ..connection(cookie) };
    let (_, report) = scan(&mut judge, 1_000, &[dialled(1), dialled(2)]);
    assert_eq!((report.open, report.opened), (2, 0));
    let (_, report) = scan(&mut judge, 3_000, &[connection(1), dialled(2)]);
    assert_eq!((report.open, report.opened), (2, 1));
    let (events, report) = scan(&mut judge, 5_000, &[connection(1)]);
    assert!(matches!(events[..], [Event::Ended(Ended { how: How::NeverOpened, .. })]), "{events:?}");
    assert_eq!((report.open, report.opened), (1, 0));
}

#[test]
fn ages_and_the_worst() {
    let mut judge = Judge::new(JudgeConfig { worst: 2, ..JudgeConfig::default() });
    scan(&mut judge, 1_000, &[connection(1)]);
    let mut old = connection(2);
    if let Some(info) = &mut old.info {
        (info.last_data_recv, info.last_data_sent, info.last_ack_recv) = (90_000, 80_000, 70_000);
        (info.rtt, info.total_retrans) = (Some(3_000_000), 9);
    }
    let mut slow = connection(3);
    if let Some(info) = &mut slow.info {
        info.rtt = Some(200_000);
    }
    let (_, report) = scan(&mut judge, 3_000, &[connection(1), old, slow]);
    let cookies = |rows: &[Row]| rows.iter().map(|row| row.connection.cookie).collect::<Vec<_>>();
    assert_eq!(cookies(&report.most_silent), [2, 1], "what is silent for no time at all is not named");
    assert_eq!(cookies(&report.slowest), [2, 3]);
    assert_eq!(cookies(&report.most_retransmitting), [2]);
    assert_eq!(report.most_silent[0].silent, Duration::from_secs(80));
    assert_eq!((report.rtt.count(), report.age.count(), report.silence.count()), (3, 3, 3));
    // The kernel's clocks say it is at least that old, though it was not there at the first scan.
    let view = judge.view(2).expect("known");
    assert_eq!((view.age, view.age_at_least), (Duration::from_secs(90), false));
    assert!(judge.view(1).expect("known").age_at_least);
    assert!(judge.memory() > 0);
    judge.forget();
    assert!(judge.view(1).is_none());
}

#[test]
fn what_does_nothing_has_been_silent_since_the_same_point_at_every_scan() {
    let mut judge = Judge::new(JudgeConfig::default());
    let mut since = Vec::new();
    // Scans at any time, also within a tick, and the kernel's figures as much older, give or take a jiffy.
    for (passed, off) in [(0u32, 0), (5_003, 4), (10_009, 0), (14_998, 4)] {
        let mut quiet = connection(1);
        if let Some(info) = &mut quiet.info {
            info.last_data_recv = 90_000 + passed + off;
            info.last_data_sent = 90_000 + passed;
        }
        scan(&mut judge, 100_007 + u64::from(passed), &[quiet]);
        let (view, begun) = (judge.view(1).expect("known"), judge.begun());
        since.push(
            [view.received_silent, view.sent_silent, view.age].map(|for_so_long| begun.before(for_so_long)),
        );
    }
    assert!(since.windows(2).all(|w| w[0] == w[1]), "{since:?}");
}
