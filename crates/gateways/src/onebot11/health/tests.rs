//! What an account's three scores come to: socket, events and calls, each by itself and together.

use super::*;

fn at(ms: u64) -> Mono {
    Mono(ms * 1000)
}

const SECOND: Duration = Duration::from_secs(1);

fn health() -> Health {
    Health::new(Probing { interval: 30 * SECOND, timeout: 15 * SECOND }, at(0))
}

/// Both ends are there.
fn running() -> Health {
    let mut health = health();
    health.arrived(at(1000), Role::Universal);
    health.framework(Role::Universal, End::Here(at(1000)));
    health
}

/// The last word on each condition.
struct Board(BTreeMap<&'static str, Claim>);

impl Board {
    fn read(&mut self, health: &mut Health, ms: u64) -> usize {
        let claims = health.claims(at(ms));
        let count = claims.len();
        self.0.extend(claims.into_iter().map(|c| (c.kind.name(), c)));
        count
    }

    fn is(&self, kind: ConditionKind) -> (Status, Option<Cause>) {
        let claim = &self.0[kind.name()];
        (claim.status, claim.cause)
    }
}

fn board() -> Board {
    Board(BTreeMap::new())
}

const WELL: (Status, Option<Cause>) = (Status::True, None);

#[test]
fn nobody_there_is_said_once() {
    let (mut health, mut board) = (health(), board());
    assert_eq!(board.read(&mut health, 1), 4);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::PeerAbsent)));
    assert_eq!(board.is(ConditionKind::Linked).0, Status::Unknown);
    assert_eq!(board.read(&mut health, 100_000), 0);
}

#[test]
fn bot_offline_is_believed_over_any_number_of_heartbeats() {
    let (mut health, mut board) = (running(), board());
    let beat = |health: &mut Health, ms| health.beat(at(ms), Some(5 * SECOND), Some(true));
    beat(&mut health, 5_000);
    board.read(&mut health, 5_000);
    assert_eq!((board.is(ConditionKind::Linked), board.is(ConditionKind::Beating)), (WELL, WELL));
    health.offline(at(6_000), "KickedOff");
    for n in 1..20 {
        beat(&mut health, 5_000 + n * 5_000);
        board.read(&mut health, 5_000 + n * 5_000);
        assert_eq!(board.is(ConditionKind::Linked), (Status::False, Some(Cause::AccountOffline)));
    }
    assert!(board.0["Linked"].message.contains("KickedOff"));
    assert_eq!(board.is(ConditionKind::Beating), WELL);
    // Nor does it come back by dialling in anew.
    health.arrived(at(110_000), Role::Universal);
    beat(&mut health, 111_000);
    board.read(&mut health, 111_000);
    assert_eq!(board.is(ConditionKind::Linked).1, Some(Cause::AccountOffline));
    health.online(at(112_000));
    board.read(&mut health, 112_000);
    assert_eq!(board.is(ConditionKind::Linked), WELL);
}

#[test]
fn an_event_shows_that_the_account_is_back_unless_it_was_under_way() {
    let (mut health, mut board) = (running(), board());
    health.offline(at(10_000), "");
    health.event(at(12_000));
    board.read(&mut health, 12_000);
    assert_eq!(board.is(ConditionKind::Linked).0, Status::False);
    health.event(at(16_000));
    board.read(&mut health, 16_000);
    assert_eq!(board.is(ConditionKind::Linked), WELL);
}

#[test]
fn a_heartbeat_that_says_offline_is_believed() {
    let (mut health, mut board) = (running(), board());
    health.beat(at(5_000), Some(5 * SECOND), Some(false));
    board.read(&mut health, 5_000);
    assert_eq!(board.is(ConditionKind::Linked), (Status::False, Some(Cause::AccountOffline)));
}

#[test]
fn a_heartbeat_is_missed_after_twice_its_own_interval() {
    let (mut health, mut board) = (running(), board());
    board.read(&mut health, 1_500);
    assert_eq!(board.is(ConditionKind::Beating), (Status::Unknown, Some(Cause::NotYetObserved)));
    health.beat(at(5_000), Some(5 * SECOND), None);
    health.tick(at(14_900));
    board.read(&mut health, 14_900);
    assert_eq!(board.is(ConditionKind::Beating), WELL);
    let mut now = at(14_900);
    while let Some(due) = health.next_check(None).filter(|due| *due <= at(20_000)) {
        now = due.max(now.after(Duration::from_millis(1)));
        health.tick(now);
        if health.late.is_some() {
            break;
        }
    }
    board.read(&mut health, now.0 / 1000);
    assert_eq!(board.is(ConditionKind::Beating), (Status::False, Some(Cause::HeartbeatMissed)));
    assert!(now.since(at(5_000)) < 11 * SECOND, "{now:?}");
    assert_eq!(board.read(&mut health, now.0 / 1000 + 1), 0, "once");
}

#[test]
fn an_api_is_dead_when_all_else_arrives_and_unknown_when_nothing_does() {
    for (heard, want) in [
        (true, (Status::False, Some(Cause::ApiUnresponsive))),
        (false, (Status::Unknown, Some(Cause::NotYetObserved))),
    ] {
        let (mut health, mut board) = (running(), board());
        assert!(health.wants_to_ask(at(1000), None), "at once");
        health.asked(at(1000));
        health.answered(at(1100), true);
        board.read(&mut health, 1100);
        assert_eq!(board.is(ConditionKind::Delivering), WELL);
        assert!(!health.wants_to_ask(at(31_000), None) && health.wants_to_ask(at(31_100), None));
        health.asked(at(31_100));
        if heard {
            health.heard(at(40_000));
        }
        health.tick(at(46_100));
        board.read(&mut health, 46_100);
        assert_eq!(board.is(ConditionKind::Delivering), want);
        health.answered(at(50_000), false);
        board.read(&mut health, 50_000);
        assert_eq!(board.is(ConditionKind::Delivering), WELL, "any answer will do");
    }
}

#[test]
fn a_call_of_the_framework_that_waits_makes_us_ask_early() {
    let mut health = running();
    health.asked(at(1000));
    health.answered(at(1100), true);
    assert!(!health.wants_to_ask(at(16_999), Some(at(2000))));
    assert!(health.wants_to_ask(at(17_000), Some(at(2000))));
    health.asked(at(17_000));
    health.tick(at(32_000));
    assert!(!health.wants_to_ask(at(32_000), Some(at(2000))), "once for each");
}

#[test]
fn both_ends_are_needed_and_the_missing_one_is_named() {
    let (mut health, mut board) = (health(), board());
    health.arrived(at(1000), Role::Universal);
    health.framework_awaited(at(1000), Role::Universal);
    board.read(&mut health, 1000);
    assert_eq!(board.is(ConditionKind::Reachable).0, Status::Unknown);
    let away = |ms, cause| End::Away {
        since: at(ms),
        cause,
        message: format!("{cause}"),
        evidence: Evidence::new(),
    };
    health.framework(Role::Universal, away(2000, Cause::ConnectionRefused));
    board.read(&mut health, 2000);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::ConnectionRefused)));
    health.framework(Role::Universal, away(9000, Cause::PeerLockedOut));
    board.read(&mut health, 9000);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::PeerLockedOut)));
    assert_eq!(health.locked_out(), Some(at(2000)));
    health.framework(Role::Universal, End::Here(at(10_000)));
    board.read(&mut health, 10_000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
    health.left(Role::Universal, away(11_000, Cause::PeerAbsent));
    board.read(&mut health, 11_000);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::PeerAbsent)));
    health.turned_away(at(12_000), Cause::WrongPath, "dial this".to_owned(), Evidence::new());
    board.read(&mut health, 12_000);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::WrongPath)));
    health.arrived(at(13_000), Role::Universal);
    board.read(&mut health, 13_000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
}

#[test]
fn a_stranger_who_is_turned_away_does_not_matter_while_the_right_one_is_there() {
    let (mut health, mut board) = (running(), board());
    health.turned_away(at(2000), Cause::TokenRefused, "no".to_owned(), Evidence::new());
    board.read(&mut health, 2000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
}

#[test]
fn two_that_throw_each_other_out_are_a_war() {
    let (mut health, mut board) = (running(), board());
    for n in 1..=5 {
        health.arrived(at(1000 + n * 3000), Role::Universal);
    }
    board.read(&mut health, 20_000);
    assert_eq!(board.is(ConditionKind::Reachable), (Status::False, Some(Cause::TakeoverWar)));
    board.read(&mut health, 90_000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
}

#[test]
fn two_connections_are_both_needed_until_there_is_one_for_all() {
    let (mut health, mut board) = (health(), board());
    let away = End::Away {
        since: at(5000),
        cause: Cause::PeerAbsent,
        message: String::new(),
        evidence: Evidence::new(),
    };
    for role in [Role::Api, Role::Event] {
        health.arrived(at(1000), role);
        health.framework(role, End::Here(at(1000)));
    }
    board.read(&mut health, 1000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
    health.left(Role::Api, away.clone());
    board.read(&mut health, 5000);
    assert_eq!(board.is(ConditionKind::Reachable).0, Status::False);
    assert!(!health.wants_to_ask(at(6000), None), "there is nobody to ask");
    health.left(Role::Event, away);
    health.arrived(at(7000), Role::Universal);
    health.framework(Role::Universal, End::Here(at(7000)));
    board.read(&mut health, 7000);
    assert_eq!(board.is(ConditionKind::Reachable), WELL);
}
