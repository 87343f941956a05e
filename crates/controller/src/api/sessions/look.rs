//! One look at sessions: the agents are asked side by side, and what they say is merged, worst first.
//!
//! Sources are asked for little at first and for more as the merge uses them up: of a fleet's worst fifty, most gateways
//! hold none. Everything is bounded: sources, questions under way in all and per agent, sessions looked at for one page,
//! and time. What is given up for one of these bounds is said, by name or by a token for the next page.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use mooring_core::id::{AgentId, GatewayRef};
use mooring_core::session::{MAX_PAGE, SessionPage, SessionQuery, SessionSummary};
use mooring_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use super::merge::Merge;
use super::place::Position;
use super::wanted::Wanted;
use crate::api::status::Reason;
use crate::api::{Shared, status};
use crate::link::{AskError, Sessions};

/// Most gateways asked in one look.
const MAX_SOURCES: usize = 5_000;
/// Agents asked at once, and questions to one of them at once.
const AGENTS_AT_ONCE: usize = 16;
const PER_AGENT: usize = 8;
/// Longest time of a look; an answer must begin within 30 s.
pub(super) const LOOK_WITHIN: Duration = Duration::from_secs(15);
/// Most that are named for having given no answer.
const MAX_UNANSWERED: usize = 100;

/// What was seen.
#[derive(Debug)]
pub struct Look {
    /// The sessions.
    pub sessions: Vec<v1::Session>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Position>,
    /// Everything under the parent.
    pub summary: SessionSummary,
    /// Who gave no answer.
    pub unanswered: Vec<v1::Unanswered>,
}

/// Looks at the sessions after a place.
///
/// # Errors
/// NOT_FOUND for a parent that does not exist, INVALID_ARGUMENT for one with too many gateways.
pub async fn look(
    shared: &Shared,
    wanted: &Wanted,
    after: Option<Position>,
    size: usize,
) -> Result<Look, Status> {
    let agents = sources(shared, wanted)?;
    // Never closed, so this only waits.
    let _look = shared.looks.acquire().await.map_err(|_| status::stopping())?;
    let deadline = Instant::now() + LOOK_WITHIN;
    let sessions = &shared.parts.sessions;
    let gateways = agents.iter().map(|(_, gateways)| gateways.len()).sum();
    let portions = Portions::new(gateways, size, wanted.filter.is_empty());
    let first = Round { sessions, wanted, after: after.as_ref(), limit: portions.first, deadline };
    let mut answers: Vec<Asked> = stream::iter(agents)
        .map(|(_, gateways)| first.agent(gateways))
        .buffer_unordered(AGENTS_AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await;
    // What is said of them comes in the order of their names, however fast each was.
    answers.sort_by(|a, b| a.gateway.cmp(&b.gateway));

    let begun = after.as_ref().map(|position| position.begun);
    let mut merge = Merge::new(sessions, wanted, begun, (size, portions.next), deadline);
    let mut summary = SessionSummary::default();
    for asked in answers {
        match asked.answer {
            Ok((page, of_gateway)) => {
                summary.merge(&of_gateway);
                merge.add(asked.gateway, page);
            }
            Err(e) => merge.unanswered.push((asked.gateway, e)),
        }
    }
    merge.run().await;
    let unanswered = named(std::mem::take(&mut merge.unanswered), &merge.answered);
    let (sessions, next) = merge.done();
    Ok(Look { sessions, next, summary, unanswered })
}

/// The gateways concerned, by agent.
fn sources(shared: &Shared, wanted: &Wanted) -> Result<Vec<(AgentId, Vec<GatewayRef>)>, Status> {
    let state = shared.parts.fleet.read();
    wanted.parent.check(&state)?;
    let mut agents: Vec<(AgentId, Vec<GatewayRef>)> = Vec::new();
    for agent in
        state.agents().filter(|a| wanted.parent.scope.agent.as_ref().is_none_or(|p| a.record.id == *p))
    {
        let gateways = state.gateways_of(agent).map(|g| g.record.gateway.clone());
        let gateways: Vec<GatewayRef> = gateways.filter(|g| wanted.parent.scope.holds(g)).collect();
        if !gateways.is_empty() {
            agents.push((agent.record.id.clone(), gateways));
        }
    }
    let n: usize = agents.iter().map(|(_, gateways)| gateways.len()).sum();
    if n > MAX_SOURCES {
        let what = format!(
            "has {n} gateways, at most {MAX_SOURCES} can be asked at once; name an agent or a gateway"
        );
        return Err(status::bad_field_for(Reason::TooManyGateways, "parent", &what, &[]));
    }
    Ok(agents)
}

/// How much a source is asked for.
struct Portions {
    first: usize,
    next: usize,
}

impl Portions {
    /// For so many sources and a page of this size. `all`: every session in an answer will be taken.
    fn new(sources: usize, size: usize, all: bool) -> Self {
        let sources = sources.max(1);
        // One more than the page holds tells whether there is a next one.
        let most = if all { (size + 1).min(MAX_PAGE) } else { MAX_PAGE };
        let share = if all { 2 * size / sources + 4 } else { 4 * MAX_PAGE / sources };
        let first = if sources == 1 { most } else { share.clamp(8, most.max(8)) };
        Self { first, next: (first * 4).min(MAX_PAGE) }
    }
}

/// An answer.
struct Asked {
    gateway: GatewayRef,
    answer: Result<(SessionPage, SessionSummary), AskError>,
}

/// The first question to every source.
#[derive(Clone, Copy)]
struct Round<'a> {
    sessions: &'a Sessions,
    wanted: &'a Wanted,
    after: Option<&'a Position>,
    limit: usize,
    deadline: Instant,
}

impl Round<'_> {
    /// Asks one agent for each of its gateways. Once it has shown that it does not answer, it is not asked on.
    async fn agent(self, gateways: Vec<GatewayRef>) -> Vec<Asked> {
        let given_up: OnceLock<AskError> = OnceLock::new();
        let given_up = &given_up;
        let one = |gateway: GatewayRef| async move {
            let answer = match given_up.get() {
                Some(why) => Err(why.clone()),
                None if Instant::now() >= self.deadline => {
                    Err(AskError::Late(gateway.agent.clone(), LOOK_WITHIN))
                }
                None => self.gateway(&gateway).await,
            };
            if let Err(why) = &answer
                && why.of_the_agent()
            {
                // The first is the one that is told.
                let _ = given_up.set(why.clone());
            }
            Asked { gateway, answer }
        };
        stream::iter(gateways).map(one).buffer_unordered(PER_AGENT).collect().await
    }

    async fn gateway(&self, gateway: &GatewayRef) -> Result<(SessionPage, SessionSummary), AskError> {
        let ask = |query| self.sessions.ask(&gateway.agent, &gateway.gateway, query);
        let after = self.after.and_then(|position| position.after.within(gateway));
        let begun = self.after.map(|position| position.begun);
        let query = SessionQuery { after, begun, limit: self.limit, ..self.wanted.question() };
        let mut page = ask(query).await?;
        let summary = match self.wanted.summary_question() {
            Some(apart) => ask(apart).await?.summary,
            None => std::mem::take(&mut page.summary),
        };
        Ok((page, summary))
    }
}

/// Who gave no answer: an agent once by its name where nothing came from it, else the gateway.
fn named(unanswered: Vec<(GatewayRef, AskError)>, answered: &HashSet<AgentId>) -> Vec<v1::Unanswered> {
    let mut out: Vec<v1::Unanswered> = Vec::new();
    let mut agents: HashSet<AgentId> = HashSet::new();
    let mut left_out = 0usize;
    for (gateway, error) in unanswered {
        let name = if error.of_the_agent() && !answered.contains(&gateway.agent) {
            if !agents.insert(gateway.agent.clone()) {
                continue;
            }
            format!("agents/{}", gateway.agent)
        } else {
            gateway.to_string()
        };
        if out.len() < MAX_UNANSWERED {
            out.push(v1::Unanswered { name, reason: error.to_string() });
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        out.push(v1::Unanswered { name: "agents/-".to_owned(), reason: format!("and {left_out} more") });
    }
    out
}
