//! What a list or watch of sessions asks for: whose, which, in which order; and how much of it the agents can be asked.

use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::{SessionOrder, SessionQuery, Source};
use tonic::Status;

use crate::api::filter::{self, Filter};
use crate::api::page::Query;
use crate::api::request::SessionParent;
use crate::api::status;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub parent: SessionParent,
    /// Which of them.
    pub filter: Filter,
    /// Which come first.
    pub order: SessionOrder,
    query: Query,
}

impl Wanted {
    /// From a request.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for the field that is wrong.
    pub fn new(parent: &str, filter: &str, order_by: &str) -> Result<Self, Status> {
        let order = order(order_by)?;
        let name = SessionOrder::ALL.iter().find(|(o, ..)| *o == order).map_or("", |(.., name)| name);
        Ok(Self {
            parent: SessionParent::parse(parent)?,
            filter: filter::parse(filter, &filter::SESSIONS)?,
            order,
            query: Query::of(&[parent, filter, name]),
        })
    }

    /// What a page token belongs to.
    pub fn query(&self) -> Query {
        self.query
    }

    /// What an agent is asked for each of its gateways. What the filter says at its top goes along, so that an agent
    /// leaves out by itself what would be thrown away here.
    pub fn question(&self) -> SessionQuery {
        let literal = |field| self.filter.literal(field);
        let instance = literal("instance").and_then(|id| InstanceId::new(id).ok());
        let by_name = || literal("name").and_then(|name| name.rsplit_once("/sessions/")).map(|(_, id)| id);
        SessionQuery {
            instance: self.parent.instance.clone().or(instance),
            source: literal("source").and_then(|name| name.parse::<Source>().ok()),
            sick: self.filter.needs("cause"),
            id: literal("session").or_else(by_name).and_then(|id| SessionId::new(id).ok()),
            order: self.order,
            after: None,
            begun: None,
            limit: 1,
        }
    }

    /// The question whose answer sums up everything under the parent, where that of [`question`](Self::question) would
    /// not: an answer sums up what the instance and the source leave in.
    pub fn summary_question(&self) -> Option<SessionQuery> {
        let question = self.question();
        let narrower = question.source.is_some() || question.instance != self.parent.instance;
        narrower.then(|| SessionQuery {
            instance: self.parent.instance.clone(),
            limit: 1,
            ..SessionQuery::default()
        })
    }
}

fn order(order_by: &str) -> Result<SessionOrder, Status> {
    let by = order_by.trim();
    if by.is_empty() {
        return Ok(SessionOrder::default());
    }
    let found = SessionOrder::ALL.iter().find(|(.., name)| *name == by);
    found.map(|(order, ..)| *order).ok_or_else(|| {
        let known: Vec<&str> = SessionOrder::ALL.iter().map(|(.., name)| *name).collect();
        let what = format!("must be empty or one of {}; the greatest always comes first", known.join(", "));
        status::bad_field("order_by", &what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(parent: &str, filter: &str) -> Wanted {
        Wanted::new(parent, filter, "").unwrap()
    }

    #[test]
    fn what_must_hold_is_asked_for_and_nothing_else() {
        let q = wanted("", "instance = acct-1 AND source = RELAY AND cause : * AND silent > 3s").question();
        assert_eq!(q.instance.unwrap().as_str(), "acct-1");
        assert_eq!((q.source, q.sick, q.id), (Some(Source::Relay), true, None));
        let q = wanted("", "(session = r1 AND cause = HalfOpen) AND peer = \"192.*\"").question();
        assert_eq!((q.id.unwrap().as_str(), q.sick), ("r1", true));
        let q = wanted("", "name = \"agents/a/gateways/g/sessions/k9\"").question();
        assert_eq!(q.id.unwrap().as_str(), "k9");
        for loose in [
            "instance = acct-1 OR source = RELAY",
            "NOT instance = acct-1",
            "instance != acct-1",
            "instance = acct*",
            "source != RELAY AND NOT cause : *",
            "NOT (session = r1 AND cause : *)",
            "instance = \"Not A Name\"",
        ] {
            assert_eq!(
                wanted("", loose).question(),
                SessionQuery { limit: 1, ..SessionQuery::default() },
                "{loose}"
            );
        }
    }

    #[test]
    fn a_summary_is_asked_for_apart_when_the_question_is_narrower() {
        assert!(wanted("", "cause : * AND session = r1").summary_question().is_none());
        assert!(wanted("agents/a/gateways/g/instances/i", "").summary_question().is_none());
        assert!(wanted("agents/a/gateways/g/instances/i", "instance = i").summary_question().is_none());
        let apart = wanted("agents/a/gateways/g/instances/i", "source = KERNEL").summary_question().unwrap();
        assert_eq!((apart.instance.unwrap().as_str(), apart.source), ("i", None));
        assert!(wanted("", "instance = i").summary_question().unwrap().instance.is_none());
    }

    #[test]
    fn orders_are_named() {
        assert_eq!(Wanted::new("", "", " rtt ").unwrap().order, SessionOrder::Rtt);
        let wrong = Wanted::new("", "", "rtt desc").unwrap_err();
        assert!(wrong.message().contains("worst, silent, rtt, retransmits, age"), "{wrong}");
    }
}
