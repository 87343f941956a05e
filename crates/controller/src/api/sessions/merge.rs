//! The merge of what many gateways say, worst first.
//!
//! Each gateway is a source that gives its sessions in order, a portion at a time; a merge of the sources' heads is then
//! exact across all of them, because no session is taken while a source that has more has nothing to show.
//!
//! Sessions that do nothing keep their ranks while they are looked at ([`Rank`]), so a portion, and a page, goes on where
//! the last one ended. What speaks meanwhile moves to the end, and is left out there if this look has shown it already.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use mooring_core::id::{AgentId, GatewayRef, SessionId};
use mooring_core::session::{Rank, SessionPage, SessionQuery, SessionView};
use mooring_core::time::Timestamp;
use mooring_proto::{operator, v1};
use tokio::time::Instant;

use super::look::LOOK_WITHIN;
use super::place::{Place, Position};
use super::wanted::Wanted;
use crate::api::page::Page;
use crate::api::records::SessionOf;
use crate::link::{AskError, Sessions};

/// Most sessions looked at for one page.
const SCAN: usize = 20_000;

/// One gateway's sessions.
struct Source {
    gateway: GatewayRef,
    rows: VecDeque<SessionView>,
    more: bool,
    /// The last session of the last portion.
    last: Option<(Rank, SessionId)>,
    seen: HashSet<SessionId>,
}

/// The merge of all sources.
pub struct Merge<'a> {
    sessions: &'a Sessions,
    wanted: &'a Wanted,
    /// A source is asked this for its next portion.
    question: SessionQuery,
    /// The page is the first one of its list.
    first: bool,
    deadline: Instant,
    sources: Vec<Source>,
    /// The head of each source that has one.
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    page: Page<v1::Session>,
    looked_at: usize,
    /// Looked at up to here.
    last: Option<Place>,
    more: bool,
    /// Who was heard.
    pub answered: HashSet<AgentId>,
    /// Who was not, and why.
    pub unanswered: Vec<(GatewayRef, AskError)>,
}

impl<'a> Merge<'a> {
    /// A page of this size, asking for so much at a time. `begun`: when the list was begun that it is a page of; `None`: it
    /// is the first.
    pub fn new(
        sessions: &'a Sessions,
        wanted: &'a Wanted,
        begun: Option<Timestamp>,
        (size, portion): (usize, usize),
        deadline: Instant,
    ) -> Self {
        Self {
            sessions,
            wanted,
            question: SessionQuery { begun, limit: portion, ..wanted.question() },
            first: begun.is_none(),
            deadline,
            sources: Vec::new(),
            heads: BinaryHeap::new(),
            page: Page::new(size),
            looked_at: 0,
            last: None,
            more: false,
            answered: HashSet::new(),
            unanswered: Vec::new(),
        }
    }

    fn rank(&self, session: &SessionView) -> Rank {
        self.question.rank(session)
    }

    /// A source with its first portion.
    pub fn add(&mut self, gateway: GatewayRef, page: SessionPage) {
        let last = page.sessions.last().map(|s| (self.rank(s), s.id.clone()));
        // An answer that says there is more and shows none leads nowhere.
        let more = page.more && last.is_some();
        let seen = if more { page.sessions.iter().map(|s| s.id.clone()).collect() } else { HashSet::new() };
        self.answered.insert(gateway.agent.clone());
        if self.first {
            let looked_at = page.sessions.iter().map(|s| s.at).max();
            self.question.begun = self.question.begun.max(looked_at);
        }
        self.sources.push(Source { gateway, rows: page.sessions.into(), more, last, seen });
        self.show(self.sources.len() - 1);
    }

    /// Puts a source's first session among the heads.
    fn show(&mut self, index: usize) {
        let source = &self.sources[index];
        if let Some(session) = source.rows.front() {
            let place =
                Place { rank: self.rank(session), session: source.gateway.session(session.id.clone()) };
            self.heads.push(Reverse((place, index)));
        }
    }

    /// Takes the worst, again and again, until the page is full or a bound is met.
    pub async fn run(&mut self) {
        while let Some(Reverse((place, index))) = self.heads.pop() {
            // Whatever the bounds, a page is a step further.
            if self.looked_at >= SCAN || (self.looked_at > 0 && Instant::now() >= self.deadline) {
                self.more = true;
                return;
            }
            let Some(session) = self.sources[index].rows.pop_front() else { continue };
            if self.wanted.filter.matches(&SessionOf(&place.session.gateway, &session)) {
                let shown = operator::session(&place.session.gateway, &session);
                if self.page.is_full() || self.page.push(shown).is_err() {
                    self.more = true;
                    return;
                }
            }
            self.looked_at += 1;
            // One that fell ill while we looked comes late; the next page goes on from the furthest all the same.
            self.last = self.last.take().max(Some(place));
            let source = &self.sources[index];
            if source.rows.is_empty() && source.more {
                if self.page.is_full() {
                    self.more = true;
                    return;
                }
                self.refill(index).await;
            }
            self.show(index);
        }
    }

    /// Asks a source for its next portion.
    async fn refill(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let Some(mut after) = source.last.take() else { return };
        loop {
            let query = SessionQuery { after: Some(after.clone()), ..self.question.clone() };
            let GatewayRef { agent, gateway } = &source.gateway;
            let asked = if Instant::now() >= self.deadline {
                Err(AskError::Late(agent.clone(), LOOK_WITHIN))
            } else {
                self.sessions.ask(agent, gateway, query).await
            };
            let page = match asked {
                Ok(page) => page,
                Err(e) => return self.give_up(index, e),
            };
            let last = page.sessions.last().map(|s| (self.question.rank(s), s.id.clone()));
            source.more = page.more;
            source.rows = page.sessions.into_iter().filter(|s| source.seen.insert(s.id.clone())).collect();
            let Some(last) = last else {
                source.more = false;
                return;
            };
            if !source.rows.is_empty() || !source.more {
                source.last = Some(last);
                return;
            }
            // All of it was seen already: on from where it ended, which must be further down.
            if (Reverse(last.0), &last.1) <= (Reverse(after.0), &after.1) {
                let why = "it says that there are more sessions and shows the same ones again".to_owned();
                let agent = agent.clone();
                return self.give_up(index, AskError::Declined { agent, why });
            }
            after = last;
        }
    }

    fn give_up(&mut self, index: usize, why: AskError) {
        let source = &mut self.sources[index];
        source.more = false;
        self.unanswered.push((source.gateway.clone(), why));
    }

    /// The page, and where the next one begins, if there may be one.
    pub fn done(self) -> (Vec<v1::Session>, Option<Position>) {
        let begun = self.question.begun;
        let next = self.last.filter(|_| self.more).zip(begun).map(|(after, begun)| Position { begun, after });
        (self.page.into_items(), next)
    }
}
