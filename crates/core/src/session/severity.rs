//! Which session is worse: one number per session and order, so that pages can go on where the last one ended.
//!
//! A number that grows while somebody turns pages lets sessions rise over the place where the last page ended, and a
//! thousand sessions that all got the same broadcast do so together. So what is ranked is not *how long* a session has
//! been silent or open but *since when*, which stays as long as the session does nothing. What does speak moves behind
//! everything that was silent when the list was begun, and stays there. So while pages are turned, no session that is as
//! ill as it was is skipped, and one that spoke may be met a second time, not a third.
//!
//! The price: sessions of several agents are compared by those agents' clocks. A clock that is ahead lets its sessions
//! appear less long silent among others than they are; it loses none.

use super::{SessionOrder, SessionQuery, SessionView};
use crate::cause::Handling;
use crate::id::SessionId;
use crate::time::Timestamp;

/// How bad a session is by some order; the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rank(pub u64);

impl Rank {
    /// The rank of a session.
    #[must_use]
    pub fn of(session: &SessionView, order: SessionOrder) -> Self {
        Self::since(session, order, None)
    }

    fn since(session: &SessionView, order: SessionOrder, begun: Option<Timestamp>) -> Self {
        let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let early = |since: Timestamp| earliness(begun.map_or(since, |begun| since.min(begun)));
        // What is not known is no worse than anything, now and at the next page.
        let silent = || session.silence().map_or(0, |silent| early(session.at.before(silent)));
        Self(match order {
            // The cause decides, the silence orders what it leaves equal.
            SessionOrder::Worst => {
                let weight = session.cause.map_or(0u64, |cause| match cause.handling() {
                    Handling::Wait => 1,
                    Handling::Human => 2,
                    Handling::Reconnect => 3,
                    Handling::Restart => 4,
                });
                (weight << EARLINESS_BITS) | silent()
            }
            SessionOrder::Silent => silent(),
            SessionOrder::Rtt => session.rtt.map_or(0, micros),
            SessionOrder::Retransmits => session.retransmits.unwrap_or(0),
            SessionOrder::Age if session.age.is_zero() && session.age_at_least => 0,
            SessionOrder::Age => early(session.at.before(session.age)),
        })
    }
}

const EARLINESS_BITS: u32 = 56;

/// The earlier, the greater: from 1 to less than 2^56, in milliseconds, as sessions that got one broadcast are equal.
fn earliness(at: Timestamp) -> u64 {
    // The milliseconds of 64 bits of microseconds take 54 bits and a sign.
    (1_u64 << (EARLINESS_BITS - 1)).saturating_add_signed(-at.0.div_euclid(1_000))
}

impl SessionQuery {
    /// The rank of a session in what is asked for.
    #[must_use]
    pub fn rank(&self, session: &SessionView) -> Rank {
        Rank::since(session, self.order, self.begun)
    }

    /// Whether a session is asked for, as far as the session itself can tell (not: whether there is still room).
    #[must_use]
    pub fn wants(&self, session: &SessionView) -> bool {
        self.instance.as_ref().is_none_or(|i| session.instance.as_ref() == Some(i))
            && self.source.is_none_or(|s| session.source == s)
            && (!self.sick || session.cause.is_some())
            && self.id.as_ref().is_none_or(|id| session.id == *id)
            && self.after.as_ref().is_none_or(|after| self.key(session) > (after.0, &after.1).into())
    }

    /// Puts sessions in the order asked for and keeps a page of them; `true` when some were left out.
    pub fn page(&self, sessions: &mut Vec<SessionView>) -> bool {
        sessions.sort_by(|a, b| self.key(a).cmp(&self.key(b)));
        let limit = self.limit.clamp(1, super::MAX_PAGE);
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        more
    }

    fn key<'a>(&self, session: &'a SessionView) -> Key<'a> {
        (self.rank(session), &session.id).into()
    }
}

/// Worst first, then by id.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(std::cmp::Reverse<Rank>, &'a SessionId);

impl<'a> From<(Rank, &'a SessionId)> for Key<'a> {
    fn from((rank, id): (Rank, &'a SessionId)) -> Self {
        Self(std::cmp::Reverse(rank), id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flow, SessionState, Source};
    use super::*;
    use crate::cause::Cause;
    use std::time::Duration;

    fn session(id: &str, silent: u64, cause: Option<Cause>) -> SessionView {
        let flow = Flow { silent: Some(Duration::from_secs(silent)), ..Flow::default() };
        SessionView {
            id: SessionId::new(id).unwrap(),
            source: Source::Relay,
            at: Timestamp(0),
            instance: None,
            peer: "192.0.2.1:5".to_owned(),
            local: "127.0.0.1:80".to_owned(),
            state: SessionState::Open,
            age: Duration::from_secs(100),
            age_at_least: false,
            received: flow,
            sent: flow,
            rtt: None,
            retransmits: None,
            beat: None,
            protocol: String::new(),
            cause,
            message: String::new(),
        }
    }

    #[test]
    fn pages_follow_one_another_worst_first() {
        let all: Vec<SessionView> = vec![
            session("a", 5, None),
            session("b", 5, None),
            session("c", 90, None),
            session("d", 1, Some(Cause::HalfOpen)),
        ];
        let mut query = SessionQuery { limit: 2, ..SessionQuery::default() };
        let mut seen = Vec::new();
        loop {
            let mut page: Vec<SessionView> = all.iter().filter(|s| query.wants(s)).cloned().collect();
            let more = query.page(&mut page);
            seen.extend(page.iter().map(|s| s.id.to_string()));
            let last = page.last().unwrap();
            query.after = Some((query.rank(last), last.id.clone()));
            if !more {
                break;
            }
        }
        assert_eq!(seen, ["d", "c", "a", "b"]);
    }

    /// The same session looked at so much later.
    fn later(session: &SessionView, by: Duration) -> SessionView {
        let mut later = SessionView { at: session.at.after(by), age: session.age + by, ..session.clone() };
        for flow in [&mut later.received, &mut later.sent] {
            flow.silent = flow.silent.map(|d| d + by);
        }
        later
    }

    #[test]
    fn a_rank_stays_while_the_session_does_nothing() {
        let unknown = |mut session: SessionView| {
            (session.received, session.sent) = (Flow::default(), Flow::default());
            (session.age, session.age_at_least) = (Duration::ZERO, true);
            session
        };
        for one in [session("a", 5, None), session("a", 5_000, Some(Cause::HalfOpen))] {
            for (order, ..) in SessionOrder::ALL {
                let rank = Rank::of(&one, order);
                for micros in [0, 1, 999, 1_000, 123_456_789] {
                    let by = Duration::from_micros(micros);
                    assert_eq!(Rank::of(&later(&one, by), order), rank, "{order:?} {by:?}");
                }
                // What is not known stays too, and is least.
                let nothing = unknown(one.clone());
                let at = nothing.at.after(Duration::from_secs(9));
                assert_eq!(
                    Rank::of(&SessionView { at, ..nothing.clone() }, order),
                    Rank::of(&nothing, order)
                );
                assert!(Rank::of(&nothing, order) <= rank);
            }
        }
    }

    #[test]
    fn the_earlier_the_worse_at_any_time_of_day() {
        let times = [i64::MIN, -1_001, -1, 0, 1_700_000_000_000_000, i64::MAX];
        let ranks = times.map(|at| earliness(Timestamp(at)));
        assert!(ranks.is_sorted_by(|a, b| a >= b), "{ranks:?}");
        assert!(ranks.iter().all(|rank| (1..1 << EARLINESS_BITS).contains(rank)), "{ranks:?}");
        let silent = |at, silent, cause| SessionView { at: Timestamp(at), ..session("a", silent, cause) };
        let worst = |s: &SessionView| Rank::of(s, SessionOrder::Worst);
        let ill = Some(Cause::HalfOpen);
        assert!(worst(&silent(i64::MAX, 0, ill)) > worst(&silent(i64::MIN, u64::MAX, None)));
        assert!(worst(&silent(0, 61, ill)) > worst(&silent(0, 60, ill)));
    }

    #[test]
    fn what_speaks_after_the_list_was_begun_stays_at_its_end() {
        let query = SessionQuery { begun: Some(Timestamp(0)), ..SessionQuery::default() };
        let spoke = |id, ms: i64| SessionView { at: Timestamp(ms * 1_000), ..session(id, 0, None) };
        assert_eq!(query.rank(&spoke("a", 7)), query.rank(&spoke("a", 7_000)));
        assert!(query.rank(&spoke("a", 7)) < query.rank(&spoke("a", -7)));
        assert!(Rank::of(&spoke("a", 7_000), query.order) < query.rank(&spoke("a", 7_000)));
    }

    #[test]
    fn questions_leave_out_what_they_do_not_want() {
        let query = SessionQuery { sick: true, limit: 9, ..SessionQuery::default() };
        assert!(!query.wants(&session("a", 5, None)));
        assert!(query.wants(&session("a", 5, Some(Cause::PeerStalled))));
        let other = SessionQuery { source: Some(Source::Kernel), limit: 9, ..SessionQuery::default() };
        assert!(!other.wants(&session("a", 5, None)));
    }
}
