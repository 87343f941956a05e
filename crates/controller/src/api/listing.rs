//! Lists of agents, gateways and instances, from the belief.
//!
//! Pages go by key: the token names the last one shown, and the next page begins after it, whatever came or went
//! meanwhile. The belief is locked for one portion at a time, so that a list of a hundred thousand never keeps the
//! journal from writing, nor the thread from its other work.

use mooring_core::id::{AgentId, GatewayRef, InstanceId, InstanceRef};
use mooring_core::phase::Phase;
use mooring_proto::v1;
use tonic::Status;

use super::filter::{self, Filter};
use super::page::{self, Kind, Page, Query, TokenError};
use super::records::InstanceRow;
use super::request::Parent;
use super::{Shared, convert, status};
use crate::fleet::{Gateway, State};

/// Instances looked at under one lock.
const PORTION: usize = 4_096;

/// Agents, by name.
///
/// # Errors
/// INVALID_ARGUMENT for a bad filter, token or size.
pub(super) fn agents(
    shared: &Shared,
    request: &v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse, Status> {
    let filter = filter::parse(&request.filter, &filter::AGENTS)?;
    let mut page = Page::new(page::size(request.page_size)?);
    let query = Query::of(&[&request.filter]);
    let after: Option<AgentId> = key(shared, Kind::Agents, query, &request.page_token)?;
    let state = shared.parts.fleet.read();
    let mut last = None;
    let mut more = false;
    for agent in state.agents().filter(|a| after.as_ref().is_none_or(|after| a.record.id > *after)) {
        let view = state.agent_view(agent);
        if !filter.matches(&view) {
            continue;
        }
        if page.is_full() || page.push(convert::agent(&view)).is_err() {
            more = true;
            break;
        }
        last = Some(&agent.record.id);
    }
    let next_page_token = token(shared, Kind::Agents, query, more, last);
    Ok(v1::ListAgentsResponse { agents: page.into_items(), next_page_token })
}

/// Gateways, by name.
///
/// # Errors
/// INVALID_ARGUMENT for a bad parent, filter, token or size; NOT_FOUND for a parent that does not exist.
pub(super) async fn gateways(
    shared: &Shared,
    request: &v1::ListGatewaysRequest,
) -> Result<v1::ListGatewaysResponse, Status> {
    let parent = Parent::parse(&request.parent, false)?;
    let filter = filter::parse(&request.filter, &filter::GATEWAYS)?;
    let size = page::size(request.page_size)?;
    let query = Query::of(&[&request.parent, &request.filter]);
    let after = key(shared, Kind::Gateways, query, &request.page_token)?;
    parent.check(&shared.parts.fleet.read())?;
    let mut scan = GatewayScan { shared, parent, filter, page: Page::new(size), after, last: None };
    let more = loop {
        match scan.portion() {
            Portion::More => tokio::task::yield_now().await,
            Portion::Done => break false,
            Portion::Full => break true,
        }
    };
    let next_page_token = token(shared, Kind::Gateways, query, more, scan.last.as_ref());
    Ok(v1::ListGatewaysResponse { gateways: scan.page.into_items(), next_page_token })
}

/// Instances, by name or worst first.
///
/// # Errors
/// INVALID_ARGUMENT for a bad parent, filter, order, token or size; NOT_FOUND for a parent that does not exist.
pub(super) async fn instances(
    shared: &Shared,
    request: &v1::ListInstancesRequest,
) -> Result<v1::ListInstancesResponse, Status> {
    let parent = Parent::parse(&request.parent, true)?;
    let filter = filter::parse(&request.filter, &filter::INSTANCES)?;
    let worst_first = order(&request.order_by)?;
    let size = page::size(request.page_size)?;
    let query = Query::of(&[&request.parent, &request.filter, if worst_first { "severity" } else { "name" }]);
    let (rank, after) = place(shared, query, &request.page_token)?;
    parent.check(&shared.parts.fleet.read())?;
    // By name there is one round through all; worst first there is one per phase.
    let rounds: Vec<Option<Phase>> =
        if worst_first { Phase::ALL.into_iter().rev().map(Some).collect() } else { vec![None] };
    let mut scan = Scan { shared, parent, filter, page: Page::new(size), after, last: None };
    for (rank, phase) in rounds.into_iter().enumerate().skip(rank) {
        let begun = scan.page.len();
        loop {
            match scan.portion(phase) {
                Portion::More => tokio::task::yield_now().await,
                Portion::Done => break,
                Portion::Full => {
                    // Nothing of this round yet: the next page begins it anew.
                    let last = scan.last.as_ref().filter(|_| scan.page.len() > begun);
                    let position = format!("{rank} {}", last.map_or_else(String::new, ToString::to_string));
                    let next_page_token = shared.tokens.seal(Kind::Instances, query, position.as_bytes());
                    return Ok(v1::ListInstancesResponse {
                        instances: scan.page.into_items(),
                        next_page_token,
                    });
                }
            }
        }
        (scan.after, scan.last) = (None, None);
    }
    Ok(v1::ListInstancesResponse { instances: scan.page.into_items(), next_page_token: String::new() })
}

/// Whether worst first.
fn order(order_by: &str) -> Result<bool, Status> {
    let words: Vec<&str> = order_by.split_whitespace().take(3).collect();
    match words.as_slice() {
        [] | ["name"] => Ok(false),
        ["severity", "desc"] => Ok(true),
        _ => Err(status::bad_field("order_by", "must be empty, `name`, or `severity desc` for worst first")),
    }
}

/// The round and the name in an instances' token.
fn place(shared: &Shared, query: Query, token: &str) -> Result<(usize, Option<InstanceRef>), Status> {
    let Some(position) = shared.tokens.position(Kind::Instances, query, token)? else { return Ok((0, None)) };
    let (rank, name) = position.split_once(' ').ok_or(TokenError::Invalid)?;
    let rank = rank.parse().map_err(|_| TokenError::Invalid)?;
    let after = match name {
        "" => None,
        name => Some(name.parse().map_err(|_| TokenError::Invalid)?),
    };
    Ok((rank, after))
}

/// The key in a token.
fn key<T: std::str::FromStr>(
    shared: &Shared,
    kind: Kind,
    query: Query,
    token: &str,
) -> Result<Option<T>, Status> {
    match shared.tokens.position(kind, query, token)? {
        None => Ok(None),
        Some(position) => Ok(Some(position.parse().map_err(|_| TokenError::Invalid)?)),
    }
}

/// The next page's token, if there is a next page.
fn token(shared: &Shared, kind: Kind, query: Query, more: bool, last: Option<&impl ToString>) -> String {
    match last {
        Some(last) if more => shared.tokens.seal(kind, query, last.to_string().as_bytes()),
        _ => String::new(),
    }
}

struct GatewayScan<'a> {
    shared: &'a Shared,
    parent: Parent,
    filter: Filter,
    page: Page<v1::Gateway>,
    /// Looked at up to here.
    after: Option<GatewayRef>,
    /// Taken up to here.
    last: Option<GatewayRef>,
}

impl GatewayScan<'_> {
    /// Looks at one portion under one lock.
    fn portion(&mut self) -> Portion {
        let state = self.shared.parts.fleet.read();
        let after = self.after.clone();
        let (parent, after) = (self.parent.agent.as_ref(), after.as_ref());
        let under = state
            .agents()
            .filter(|a| parent.is_none_or(|p| a.record.id == *p))
            .filter(|a| after.is_none_or(|after| a.record.id >= after.agent))
            .flat_map(|a| state.gateways_of(a))
            .filter(|g| after.is_none_or(|after| g.record.gateway > *after));
        let mut looked_at = 0;
        for gateway in under {
            let summary = state.summary(gateway);
            if self.filter.matches(&summary) {
                if self.page.is_full() || self.page.push(convert::gateway(&summary)).is_err() {
                    return Portion::Full;
                }
                self.last = Some(gateway.record.gateway.clone());
            }
            // Counting a gateway's health looks at each of its instances.
            looked_at += 1 + gateway.instances.len();
            if looked_at >= PORTION {
                self.after = Some(gateway.record.gateway.clone());
                return Portion::More;
            }
        }
        Portion::Done
    }
}

struct Scan<'a> {
    shared: &'a Shared,
    parent: Parent,
    filter: Filter,
    page: Page<v1::Instance>,
    /// Looked at up to here.
    after: Option<InstanceRef>,
    /// Taken up to here.
    last: Option<InstanceRef>,
}

enum Portion {
    /// There may be more.
    More,
    /// That was the last one.
    Done,
    /// There is at least one more than the page holds.
    Full,
}

impl Scan<'_> {
    /// Looks at one portion under one lock.
    fn portion(&mut self, want: Option<Phase>) -> Portion {
        let away = self.shared.is_away();
        let state = self.shared.parts.fleet.read();
        let from = self.after.clone();
        let mut at: Option<(&Gateway, &InstanceId)> = None;
        let mut all = under(&state, &self.parent, from.as_ref());
        for (gateway, id, index) in all.by_ref().take(PORTION) {
            at = Some((gateway, id));
            let Some(row) = state.row(index) else { continue };
            if want.is_some_and(|want| state.phase(row) != want)
                || !self.filter.matches(&InstanceRow { state: &state, gateway, row, index, away })
            {
                continue;
            }
            let Some(full) = state.full(index) else { continue };
            if self.page.is_full() || self.page.push(convert::instance(&full, away)).is_err() {
                return Portion::Full;
            }
            self.last = Some(full.name);
        }
        match at {
            Some((gateway, id)) => {
                self.after = Some(gateway.record.gateway.instance(id.clone()));
                Portion::More
            }
            None => Portion::Done,
        }
    }
}

/// The instances under a parent, in the order of their names, from after `after`.
fn under<'a>(
    state: &'a State,
    parent: &'a Parent,
    after: Option<&'a InstanceRef>,
) -> Box<dyn Iterator<Item = (&'a Gateway, &'a InstanceId, u32)> + 'a> {
    let of = move |g: &&Gateway| parent.gateway.as_ref().is_none_or(|p| g.record.gateway.gateway == *p);
    match &parent.agent {
        None => Box::new(state.instances_after(after).filter(move |(g, _, _)| of(g))),
        Some(agent) => Box::new(
            state
                .agent(agent)
                .into_iter()
                .flat_map(|a| state.gateways_of(a))
                .filter(of)
                .flat_map(|g| g.instances.iter().map(move |(id, row)| (g, id, *row)))
                .filter(move |(g, id, _)| {
                    after.is_none_or(|a| (&g.record.gateway, *id) > (&a.gateway, &a.instance))
                }),
        ),
    }
}
