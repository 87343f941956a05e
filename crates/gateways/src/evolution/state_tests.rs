//! Every row of the measured table (state behaviour per trigger) as a recorded trace, and what is to be said of it.

use mooring_core::time::Mono;

use super::*;
use crate::evolution::seen::{Happened, Row};
use crate::evolution::trace::Trace;
use crate::evolution::version::Version;

/// A trace under recording: times are milliseconds since its beginning.
struct Tape {
    trace: Trace,
    around: Around,
}

fn at(ms: u64) -> Mono {
    // Far from the clock's zero: a window must not reach beyond it by accident.
    Mono(1_000_000_000 + ms * 1_000)
}

fn row(status: State, code: Option<u16>, paired: bool) -> Row {
    Row { name: "a".to_owned(), status, code, paired, events: false }
}

impl Tape {
    fn new() -> Self {
        let around = Around {
            version: Version::ASSUMED,
            listening: Some(Duration::from_secs(600)),
            storming: None,
            deprecated: false,
        };
        Self { trace: Trace::default(), around }
    }

    /// An instance that has been open for a while: REST open, row open.
    fn open() -> Self {
        let mut tape = Self::new();
        tape.rest(0, State::Open);
        tape.db(0, row(State::Open, None, true));
        tape
    }

    fn deaf(mut self) -> Self {
        self.around.listening = None;
        self
    }

    fn rest(&mut self, ms: u64, state: State) -> &mut Self {
        self.trace.rest(at(ms), state);
        self
    }

    fn db(&mut self, ms: u64, row: Row) -> &mut Self {
        self.trace.stored(at(ms), row);
        self
    }

    fn event(&mut self, ms: u64, happened: Happened) -> &mut Self {
        self.trace.event(at(ms), happened);
        self
    }

    fn verdict(&self, ms: u64) -> Verdict {
        verdict(&Facts { trace: &self.trace, now: at(ms), around: self.around })
    }

    fn linked(&self, ms: u64) -> Option<(Status, Option<Cause>)> {
        self.verdict(ms).linked.map(|f| (f.status, f.cause))
    }

    fn stable(&self, ms: u64) -> Option<(Status, Option<Cause>)> {
        self.verdict(ms).stable.map(|f| (f.status, f.cause))
    }

    fn wants_look(&self, ms: u64) -> bool {
        wants_look(&Facts { trace: &self.trace, now: at(ms), around: self.around })
    }
}

const TRUE: Option<(Status, Option<Cause>)> = Some((Status::True, None));

fn no(cause: Cause) -> Option<(Status, Option<Cause>)> {
    Some((Status::False, Some(cause)))
}

fn unknown(cause: Cause) -> Option<(Status, Option<Cause>)> {
    Some((Status::Unknown, Some(cause)))
}

#[test]
fn nothing_seen_is_nothing_known() {
    let tape = Tape::new();
    assert_eq!(tape.linked(60_000), unknown(Cause::NotYetObserved));
    assert_eq!(tape.verdict(60_000).delivering, None);
}

#[test]
fn open_is_open_with_what_it_proves() {
    let mut tape = Tape::open();
    assert_eq!((tape.linked(500), tape.stable(500)), (TRUE, TRUE));
    let words = tape.verdict(500).linked.unwrap().message;
    assert!(words.contains("proves nothing") && words.contains("1m5s"), "{words}");
    tape.event(1_000, Happened::Traffic);
    assert!(tape.verdict(2_000).linked.unwrap().message.contains("was heard 1s ago"));
    let delivering = |ms| tape.verdict(ms).delivering.map(|f| f.status);
    assert_eq!(delivering(2_000), Some(Status::True));
    assert_eq!(delivering(400_000), Some(Status::Unknown), "silence is no fault");
}

#[test]
fn a_drop_that_is_retried_changes_nothing() {
    // TCP kill, REST restart, stream error 515: connecting and open within 0.12 s.
    let mut tape = Tape::open();
    tape.event(5_000, Happened::Connecting).rest(5_080, State::Connecting);
    assert_eq!(tape.linked(5_100), None, "what was said stands");
    tape.event(5_120, Happened::Open).rest(5_160, State::Open);
    assert_eq!((tape.linked(5_200), tape.stable(5_200)), (TRUE, TRUE));
}

#[test]
fn one_takeover_that_is_fought_back_looks_like_a_drop() {
    let mut tape = Tape::open();
    tape.rest(5_000, State::Close).event(5_100, Happened::Connecting).event(5_200, Happened::Open);
    assert_eq!((tape.linked(6_000), tape.stable(6_000)), (TRUE, TRUE));
}

#[test]
fn a_half_open_upstream_is_open_until_it_is_noticed() {
    let mut tape = Tape::open();
    for second in 1..32 {
        tape.rest(second * 1_000, State::Open);
    }
    assert_eq!(tape.linked(31_500), TRUE);
    tape.event(32_000, Happened::Connecting).event(32_100, Happened::Open);
    assert_eq!(tape.linked(32_200), TRUE);
}

#[test]
fn a_persistent_405_is_a_storm_though_the_database_says_open() {
    let mut tape = Tape::open();
    for n in 0..64 {
        let ms = 5_000 + n * 109;
        tape.event(ms, Happened::Connecting);
        tape.rest(ms + 60, if n % 2 == 0 { State::Connecting } else { State::Close });
    }
    assert_eq!(tape.linked(12_000), no(Cause::ReconnectStorm));
    assert_eq!(tape.stable(12_000), no(Cause::ReconnectStorm));
    // It has ended, badly: a minute later it is no storm any more, and the instance is down.
    tape.rest(80_000, State::Close);
    assert_eq!(tape.linked(80_000), no(Cause::ReportedClosed));
    assert_eq!(tape.stable(80_000), TRUE);
}

#[test]
fn three_logins_in_ten_seconds_are_no_storm_yet() {
    let mut tape = Tape::open();
    for n in 0..3 {
        tape.event(5_000 + n * 2_000, Happened::Connecting);
    }
    assert_eq!(tape.stable(10_000), TRUE);
    tape.event(10_000, Happened::Connecting);
    assert_eq!(tape.stable(10_001), no(Cause::ReconnectStorm));
}

#[test]
fn a_storm_is_told_from_a_hang_by_a_close_look_where_no_events_are_heard() {
    let mut tape = Tape::open().deaf();
    tape.rest(5_000, State::Connecting).rest(10_000, State::Connecting).rest(15_000, State::Connecting);
    assert_eq!(tape.linked(15_100), no(Cause::NoUpstreamLink));
    assert!(tape.wants_look(15_100));
    for n in 0..20 {
        tape.rest(16_000 + n * 50, if n % 2 == 0 { State::Close } else { State::Connecting });
    }
    tape.trace.looked = Some(at(17_000));
    assert_eq!(tape.linked(17_100), no(Cause::ReconnectStorm));
    assert!(!tape.wants_look(17_100), "not again so soon");
}

#[test]
fn an_upgrade_that_was_answered_502_hangs_for_ever() {
    let mut tape = Tape::open();
    tape.event(5_000, Happened::Connecting).db(5_500, row(State::Connecting, None, true));
    for second in 6..70 {
        tape.rest(second * 1_000, State::Connecting);
    }
    assert_eq!(tape.linked(14_000), None);
    assert_eq!(tape.linked(16_000), no(Cause::NoUpstreamLink));
    assert_eq!(tape.linked(64_900), no(Cause::NoUpstreamLink));
    assert_eq!(tape.linked(65_100), no(Cause::ConnectingStuck));
}

#[test]
fn a_401_is_final_and_asks_for_a_human() {
    let mut tape = Tape::open();
    tape.event(5_000, Happened::LoggedOut).event(5_001, Happened::Close(Some(401))).rest(5_050, State::Close);
    assert_eq!(tape.linked(5_100), no(Cause::LoginRevoked), "at once, no ten seconds");
    // Without events the row says it.
    let mut deaf = Tape::open().deaf();
    deaf.rest(5_050, State::Close).db(5_060, row(State::Close, Some(401), true));
    assert_eq!(deaf.linked(5_100), no(Cause::LoginRevoked));
    // Somebody asked for a QR code since.
    deaf.rest(9_000, State::Connecting);
    assert_eq!(deaf.linked(9_100), no(Cause::PairingNeeded));
    // And scanned it: the code that still stands in the row is history.
    deaf.rest(20_000, State::Open).db(21_000, row(State::Open, Some(401), true));
    assert_eq!(deaf.linked(31_000), TRUE);
}

#[test]
fn codes_and_what_they_mean() {
    for (code, cause) in [
        (401, Cause::LoginRevoked),
        (402, Cause::AccountForbidden),
        (403, Cause::AccountForbidden),
        (406, Cause::AccountForbidden),
        (405, Cause::ClientOutdated),
        (440, Cause::SessionReplaced),
    ] {
        let mut tape = Tape::open();
        tape.event(5_000, Happened::Close(Some(code)));
        assert_eq!(tape.linked(5_100), no(cause), "{code}");
    }
    let mut tape = Tape::open();
    tape.event(5_000, Happened::Close(Some(405)));
    tape.around.deprecated = true;
    assert_eq!(tape.linked(5_100), no(Cause::UpstreamDeprecated));
}

#[test]
fn a_408_is_a_drop_until_2_4_makes_it_the_end() {
    let mut tape = Tape::open();
    tape.event(5_000, Happened::Close(Some(408)));
    assert_eq!(tape.linked(6_000), None);
    assert_eq!(tape.linked(16_000), no(Cause::ReportedClosed));
    tape.around.version = Version(2, 4, 0);
    assert_eq!(tape.linked(6_000), no(Cause::LoginRevoked));
}

#[test]
fn five_takeovers_in_half_a_minute_are_a_war() {
    // Told by their code (versions that tell it).
    let mut tape = Tape::open();
    for n in 0..5 {
        tape.event(5_000 + n * 5_000, Happened::Close(Some(440)));
        tape.event(5_200 + n * 5_000, Happened::Connecting);
        tape.event(5_300 + n * 5_000, Happened::Open);
    }
    assert_eq!(tape.linked(25_400), no(Cause::TakeoverWar));
    assert_eq!(tape.stable(25_400), no(Cause::TakeoverWar));
    assert_eq!(tape.linked(60_000), TRUE, "the war is over");
}

#[test]
fn a_war_that_is_not_told_is_found_by_a_close_look() {
    let mut tape = Tape::open();
    for n in 0..6 {
        tape.event(5_000 + n * 1_000, Happened::Connecting).event(5_100 + n * 1_000, Happened::Open);
    }
    assert!(tape.wants_look(10_200));
    assert_eq!(tape.linked(10_200), TRUE, "it may be a war or a storm, and at the moment it is open");
    for n in 0..60 {
        let state = if n % 20 == 10 { State::Close } else { State::Open };
        tape.rest(10_300 + n * 50, state);
    }
    tape.trace.looked = Some(at(13_300));
    assert_eq!(tape.linked(13_400), no(Cause::TakeoverWar));
    // Had it been mere drops, no `close` would have been seen.
    let mut drops = Tape::open();
    for n in 0..6 {
        drops.event(5_000 + n * 1_000, Happened::Connecting).event(5_100 + n * 1_000, Happened::Open);
    }
    drops.trace.looked = Some(at(13_300));
    assert_eq!(drops.stable(13_400), no(Cause::ReconnectStorm));
    // At a slower pace it is no storm, and still nothing to rely on.
    let mut slow = Tape::open();
    for n in 0..6 {
        slow.event(5_000 + n * 4_500, Happened::Connecting).event(5_100 + n * 4_500, Happened::Open);
    }
    assert_eq!(slow.stable(28_000), no(Cause::Flapping));
}

#[test]
fn the_limit_of_qr_codes_is_no_outage() {
    let mut tape = Tape::new();
    tape.rest(0, State::Connecting).db(100, row(State::Connecting, None, false));
    assert_eq!(tape.linked(200), no(Cause::PairingNeeded), "never paired");
    tape.event(5_000, Happened::QrLimit).event(5_001, Happened::Refused).rest(6_000, State::Close);
    assert_eq!(tape.linked(6_100), no(Cause::PairingNeeded));
    // Without events: closed in memory, and connecting in the database for good.
    let mut deaf = Tape::new().deaf();
    deaf.rest(0, State::Close).db(1_000, row(State::Connecting, None, true));
    deaf.rest(12_000, State::Close);
    assert_eq!(deaf.linked(12_000), no(Cause::PairingNeeded));
}

#[test]
fn a_code_of_long_ago_does_not_make_a_hang_a_pairing() {
    // Logged out once, paired again since, and seen open: the row still has the code.
    let mut tape = Tape::new().deaf();
    tape.rest(0, State::Open).db(0, row(State::Open, Some(401), true));
    tape.rest(5_000, State::Connecting).db(6_000, row(State::Connecting, Some(401), true));
    tape.rest(66_000, State::Connecting);
    assert_eq!(tape.linked(66_000), no(Cause::ConnectingStuck));
    // Not seen open: it may well be waiting for a scan, and then an order would take the code away.
    let mut found = Tape::new().deaf();
    found.rest(0, State::Connecting).db(0, row(State::Connecting, Some(401), true));
    assert_eq!(found.linked(70_000), no(Cause::PairingNeeded));
}

#[test]
fn waiting_for_a_scan_is_no_hang() {
    let mut tape = Tape::new();
    tape.rest(0, State::Connecting).db(100, row(State::Connecting, None, true));
    for second in 1..200 {
        tape.rest(second * 1_000, State::Connecting);
        if second % 45 == 0 {
            tape.event(second * 1_000, Happened::Qr);
        }
    }
    assert_eq!(tape.linked(199_500), no(Cause::PairingNeeded));
}

#[test]
fn open_without_an_account_is_not_linked() {
    let mut tape = Tape::new();
    tape.rest(0, State::Open).db(1_000, row(State::Close, None, false));
    assert_eq!(tape.linked(5_000), TRUE, "the row may yet follow");
    tape.rest(12_000, State::Open);
    assert_eq!(tape.linked(12_000), no(Cause::PairingNeeded));
    // Paired, and the two contradict each other: nothing can be said.
    tape.db(12_500, row(State::Close, None, true));
    assert_eq!(tape.linked(13_000), unknown(Cause::NotObservable));
}

#[test]
fn a_row_that_is_not_loaded() {
    let mut tape = Tape::new();
    tape.rest(0, State::NotLoaded).db(0, row(State::Close, None, true));
    assert_eq!(tape.linked(100), no(Cause::InstanceNotLoaded));
    let words = tape.verdict(100).linked.unwrap().message;
    assert!(words.contains("start of the process"), "{words}");
}

#[test]
fn closed_while_the_database_says_open_is_an_outage_after_ten_seconds() {
    let mut tape = Tape::open().deaf();
    tape.rest(5_000, State::Close);
    assert_eq!(tape.linked(14_000), None);
    assert_eq!(tape.linked(15_100), no(Cause::ReportedClosed));
    let evidence = tape.verdict(15_100).linked.unwrap().evidence;
    let has = |key: &str, value: &str| evidence.iter().any(|(k, v)| k == key && v == value);
    assert!(has("rest.state", "close") && has("db.status", "open"), "{evidence:?}");
}
