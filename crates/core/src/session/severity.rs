//! Which session is worse: one number per session and order, so that pages can go on where the last one ended.

use super::{SessionOrder, SessionQuery, SessionView};
use crate::cause::Handling;
use crate::id::SessionId;

/// How bad a session is by some order; the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rank(pub u64);

impl Rank {
    /// The rank of a session.
    #[must_use]
    pub fn of(session: &SessionView, order: SessionOrder) -> Self {
        let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Self(match order {
            // The cause decides, the silence orders what it leaves equal. 56 bits of microseconds are two millennia.
            SessionOrder::Worst => {
                let weight = session.cause.map_or(0u64, |cause| match cause.handling() {
                    Handling::Wait => 1,
                    Handling::Human => 2,
                    Handling::Reconnect => 3,
                    Handling::Restart => 4,
                });
                (weight << 56) | micros(session.silent()).min((1 << 56) - 1)
            }
            SessionOrder::Silent => micros(session.silent()),
            SessionOrder::Rtt => session.rtt.map_or(0, micros),
            SessionOrder::Retransmits => session.retransmits.unwrap_or(0),
            SessionOrder::Age => micros(session.age),
        })
    }
}

impl SessionQuery {
    /// Whether a session is asked for, as far as the session itself can tell (not: whether there is still room).
    #[must_use]
    pub fn wants(&self, session: &SessionView) -> bool {
        self.instance.as_ref().is_none_or(|i| session.instance.as_ref() == Some(i))
            && self.source.is_none_or(|s| session.source == s)
            && (!self.sick || session.cause.is_some())
            && self.id.as_ref().is_none_or(|id| session.id == *id)
            && self.after.as_ref().is_none_or(|after| key(session, self.order) > (after.0, &after.1).into())
    }

    /// Puts sessions in the order asked for and keeps a page of them; `true` when some were left out.
    pub fn page(&self, sessions: &mut Vec<SessionView>) -> bool {
        sessions.sort_by(|a, b| key(a, self.order).cmp(&key(b, self.order)));
        let limit = self.limit.clamp(1, super::MAX_PAGE);
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        more
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

fn key(session: &SessionView, order: SessionOrder) -> Key<'_> {
    (Rank::of(session, order), &session.id).into()
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
            query.after = Some((Rank::of(last, query.order), last.id.clone()));
            if !more {
                break;
            }
        }
        assert_eq!(seen, ["d", "c", "a", "b"]);
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
