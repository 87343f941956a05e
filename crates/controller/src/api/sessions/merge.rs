//! The merge of what many gateways say, worst first.
//!
//! Each gateway is a source that gives its sessions in order, a portion at a time; a merge of the sources' heads is then
//! exact across all of them, because no session is taken while a source that has more has nothing to show.
//!
//! Sessions move while they are looked at: silences grow between two portions. The next portion of a source therefore
//! begins somewhat before the place where the last one ended, as far as a silence grows while a question is answered, and
//! what was seen already is left out. So what only grew with time is not skipped within a look, unless a whole portion of
//! sessions is as silent as each other to within that time. Between two pages no such care is possible: what rose over
//! the place meanwhile is on no later page.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::time::Duration;

use mooring_core::id::{AgentId, GatewayRef, SessionId};
use mooring_core::session::{Rank, SessionPage, SessionQuery, SessionView};
use mooring_proto::{operator, v1};
use tokio::time::Instant;

use super::look::LOOK_WITHIN;
use super::place::{Place, later};
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
    /// The last session of the last portion, and when that portion was asked for.
    last: Option<(Rank, SessionId)>,
    asked_at: Instant,
    /// How long the agent took to give it.
    took: Duration,
    seen: HashSet<SessionId>,
}

/// The merge of all sources.
pub struct Merge<'a> {
    sessions: &'a Sessions,
    wanted: &'a Wanted,
    portion: usize,
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
    /// A page of this size, asking for so much at a time.
    pub fn new(
        sessions: &'a Sessions,
        wanted: &'a Wanted,
        size: usize,
        portion: usize,
        deadline: Instant,
    ) -> Self {
        Self {
            sessions,
            wanted,
            portion,
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
        Rank::of(session, self.wanted.order)
    }

    /// A source with its first portion.
    pub fn add(&mut self, gateway: GatewayRef, page: SessionPage, (asked_at, took): (Instant, Duration)) {
        let last = page.sessions.last().map(|s| (self.rank(s), s.id.clone()));
        // An answer that says there is more and shows none leads nowhere.
        let more = page.more && last.is_some();
        let seen = if more { page.sessions.iter().map(|s| s.id.clone()).collect() } else { HashSet::new() };
        self.answered.insert(gateway.agent.clone());
        self.sources.push(Source { gateway, rows: page.sessions.into(), more, last, asked_at, took, seen });
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
            // One that rose while we looked comes late; the next page goes on from the furthest all the same.
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
        let (wanted, sessions) = (self.wanted, self.sessions);
        let source = &mut self.sources[index];
        let Some((rank, id)) = source.last.take() else { return };
        // By the time this is answered the place has moved, and the sessions behind it with it.
        let meanwhile = source.asked_at.elapsed() + source.took;
        let mut after = (later(rank, wanted.order, meanwhile), id);
        loop {
            let query = SessionQuery { after: Some(after.clone()), limit: self.portion, ..wanted.question() };
            source.asked_at = Instant::now();
            let GatewayRef { agent, gateway } = &source.gateway;
            let asked = if source.asked_at >= self.deadline {
                Err(AskError::Late(agent.clone(), LOOK_WITHIN))
            } else {
                sessions.ask(agent, gateway, query).await
            };
            source.took = source.asked_at.elapsed();
            let page = match asked {
                Ok(page) => page,
                Err(e) => return self.give_up(index, e),
            };
            let last = page.sessions.last().map(|s| (Rank::of(s, wanted.order), s.id.clone()));
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
    pub fn done(self) -> (Vec<v1::Session>, Option<Place>) {
        (self.page.into_items(), self.last.filter(|_| self.more))
    }
}
