//! `OrderService`: operators' orders. They are the planner's orders by another hand: the same desk, the same gates.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::condition::{ConditionKind, Status as Answer};
use mooring_core::id::{GatewayRef, OrderId, Target};
use mooring_core::order::{Action, Order, Origin, Proposal};
use mooring_proto::operator::{action_from, order, order_name_from};
use mooring_proto::v1::order_service_server::OrderService;
use mooring_proto::{duration_from, v1};
use mooring_runtime::telemetry::trace_context;
use mooring_store::Admission;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::auth::Caller;
use super::filter::{self, Filter};
use super::page::{self, Kind, Page, Query, TokenError};
use super::records::OrderAt;
use super::{Shared, request, sessions, status};
use crate::fleet::State;

/// Orders read from the store at once while a page is filled.
const PORTION: u32 = 500;
/// Portions looked at for one page: a filter that matches little ends a page early rather than reading everything.
const PORTIONS: usize = 20;

/// Longest time over which sessions are closed.
const MAX_SPREAD: Duration = Duration::from_secs(3_600);

/// The service.
pub struct Orders(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl OrderService for Orders {
    async fn create_order(
        &self,
        request: Request<v1::CreateOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let mut proposal = self.proposal(&request, &caller)?;
        if self.0.is_away() {
            return Err(status::database_away());
        }
        if let Target::Session(session) = proposal.target.clone() {
            match sessions::find(&self.0, &session).await {
                Ok(found) => proposal.cause = found.cause,
                Err(why) => return self.made_before(proposal, why).await,
            }
        }
        let (target, action) = (proposal.target.clone(), proposal.action);
        let name = target.to_string();
        let admission = self.0.parts.desk.ask(proposal, request.validate_only).await;
        match admission.map_err(|e| status::desk(&e, &name))? {
            Admission::Made(made, _) if request.validate_only => {
                // It does not exist, so it has no name yet.
                Ok(self.0.answer(v1::Order { name: String::new(), etag: String::new(), ..order(&made) }))
            }
            Admission::Made(made, _) | Admission::Already(made) => Ok(self.0.answer(order(&made))),
            Admission::RequestIdReused(made) => Err(reused(&made)),
            Admission::Shut(verdicts) => Err(status::shut(&target, action, &verdicts, caller.lang)),
            Admission::NoTarget => Err(status::not_found(kind(&target), &name)),
        }
    }

    async fn get_order(&self, request: Request<v1::GetOrderRequest>) -> Result<Response<v1::Order>, Status> {
        let name = request.into_inner().name;
        let id = order_name_from(&name).map_err(|e| status::invalid(&e))?;
        let stored = self.0.try_ask(self.0.parts.store.order(id)).await?;
        let found = match stored {
            Some(stored) => stored.ok_or_else(|| status::not_found("Order", &name))?,
            // Away: live orders are in memory; of the others it is not known whether they exist.
            None => self.0.parts.fleet.read().order(id).cloned().ok_or_else(status::database_away)?,
        };
        Ok(self.0.answer(order(&found)))
    }

    async fn list_orders(
        &self,
        request: Request<v1::ListOrdersRequest>,
    ) -> Result<Response<v1::ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let filter = filter::parse(&request.filter, &filter::ORDERS)?;
        let mut page = Page::new(page::size(request.page_size)?);
        let query = Query::of(&[&request.filter]);
        let position = self.0.tokens.position(Kind::Orders, query, &request.page_token)?;
        let before = match position {
            None => None,
            Some(id) => Some(OrderId(Uuid::try_parse(&id).map_err(|_| TokenError::Invalid)?)),
        };
        let next = self.fill(&mut page, before, &filter).await?;
        let next_page_token = next.map_or_else(String::new, |id| {
            self.0.tokens.seal(Kind::Orders, query, id.to_string().as_bytes())
        });
        Ok(self.0.answer(v1::ListOrdersResponse { orders: page.into_items(), next_page_token }))
    }

    async fn cancel_order(
        &self,
        request: Request<v1::CancelOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let id = order_name_from(&request.name).map_err(|e| status::invalid(&e))?;
        let mut by = Origin::Operator(caller.name).to_string();
        if !request.reason.trim().is_empty() {
            by = format!("{by}: {}", request::reason("reason", &request.reason)?);
        }
        if self.0.is_away() {
            return Err(status::database_away());
        }
        tracing::info!(order = %id, by, "an operator takes an order back");
        let cancelled =
            self.0.parts.desk.cancel(id, by).await.map_err(|e| status::desk(&e, &request.name))?;
        Ok(self.0.answer(order(&cancelled)))
    }
}

impl Orders {
    /// What an operator wants, checked and completed.
    fn proposal(&self, request: &v1::CreateOrderRequest, caller: &Caller) -> Result<Proposal, Status> {
        let target: Target = request
            .target
            .parse()
            .map_err(|e: mooring_core::id::NameError| status::bad_field("target", &e.to_string()))?;
        let action = action_from(request.action).map_err(|e| status::invalid(&e))?;
        let reason = request::reason("reason", &request.reason)?;
        let request_id = request::request_id(&request.request_id)?;
        let state = self.0.parts.fleet.read();
        if !state.has(&target) {
            return Err(status::not_found(kind(&target), &request.target));
        }
        fits(&state, &target, action)?;
        let spread = spread(action, request.spread.as_ref())?;
        let sick = sickness(&state, &target);
        Ok(Proposal {
            cause: sick.and_then(|(_, cause)| cause),
            expect: sick.map_or(ConditionKind::Reachable, |(kind, _)| kind),
            target,
            action,
            origin: Origin::Operator(caller.name.clone()),
            reason,
            spread,
            incarnation: None,
            request_id,
            traceparent: trace_context::current_traceparent(),
        })
    }

    /// The order that the same request made, if it did: its session may be gone because of it. Otherwise why the session
    /// cannot be closed.
    async fn made_before(&self, proposal: Proposal, why: Status) -> Result<Response<v1::Order>, Status> {
        if proposal.request_id.is_none() {
            return Err(why);
        }
        let name = proposal.target.to_string();
        match self.0.parts.desk.ask(proposal, true).await.map_err(|e| status::desk(&e, &name))? {
            Admission::Already(made) => Ok(self.0.answer(order(&made))),
            Admission::RequestIdReused(made) => Err(reused(&made)),
            Admission::Made(..) | Admission::Shut(_) | Admission::NoTarget => Err(why),
        }
    }

    /// Fills a page with orders before `before`. Returns where the next page begins, if there may be one.
    async fn fill(
        &self,
        page: &mut Page<v1::Order>,
        mut before: Option<OrderId>,
        filter: &Filter,
    ) -> Result<Option<OrderId>, Status> {
        let now = Shared::now();
        for _ in 0..PORTIONS {
            let stored = self.0.try_ask(self.0.parts.store.orders_before(before, PORTION)).await?;
            let (portion, last) = match stored {
                Some(portion) => {
                    let last = portion.len() < PORTION as usize;
                    (portion, last)
                }
                None => (self.remembered(before), true),
            };
            for found in &portion {
                if filter.matches(&OrderAt(found, now))
                    && (page.is_full() || page.push(order(found)).is_err())
                {
                    return Ok(before);
                }
                before = Some(found.id);
            }
            if last {
                return Ok(None);
            }
        }
        Ok(before)
    }

    /// The orders in memory, newest first: all live ones and some that ended lately.
    fn remembered(&self, before: Option<OrderId>) -> Vec<Order> {
        let state = self.0.parts.fleet.read();
        let mut orders: Vec<Order> =
            state.orders().filter(|o| before.is_none_or(|b| o.id < b)).cloned().collect();
        orders.sort_by_key(|o| std::cmp::Reverse(o.id));
        orders
    }
}

fn kind(target: &Target) -> &'static str {
    match target {
        Target::Gateway(_) => "Gateway",
        Target::Instance(_) => "Instance",
        Target::Session(_) => "Session",
    }
}

fn reused(first: &Order) -> Status {
    let first = format!("orders/{}", first.id);
    let what = format!("was used for another request, which made {first}; use a new one");
    status::bad_field_for(status::Reason::RequestIdReused, "request_id", &what, &[("order", first.as_str())])
}

/// Over how much time sessions are to be closed.
fn spread(action: Action, wanted: Option<&prost_types::Duration>) -> Result<Option<Duration>, Status> {
    let Some(wanted) = wanted else { return Ok(None) };
    let wrong = |what: &str| Err(status::bad_field("spread", what));
    if !matches!(action, Action::CloseSessions | Action::Drain) {
        return wrong(&format!(
            "means nothing to {action}: only close_sessions and drain are spread over time"
        ));
    }
    match duration_from(wanted) {
        Some(spread) if spread <= MAX_SPREAD => Ok(Some(spread)),
        Some(_) => wrong("is more than an hour"),
        None => wrong("is not a valid duration"),
    }
}

/// Whether the action is one for the target. The error names the target, or the action, that was probably meant.
fn fits(state: &State, target: &Target, action: Action) -> Result<(), Status> {
    let aim = action.aim();
    let what = match target {
        Target::Gateway(_) if aim.gateway => return Ok(()),
        Target::Instance(_) if aim.instance => return Ok(()),
        Target::Session(_) if aim.session => return Ok(()),
        Target::Gateway(_) | Target::Instance(_) if aim.session => format!(
            "{action} is aimed at one session, agents/{{agent}}/gateways/{{gateway}}/sessions/{{session}} (ListSessions \
             shows them); {} closes all sessions of {target}",
            Action::CloseSessions
        ),
        Target::Gateway(g) => instances_of(state, g, action),
        Target::Instance(i) => {
            format!("{action} is aimed at a gateway: use {} (all its instances are interrupted)", i.gateway)
        }
        Target::Session(s) if aim.gateway => {
            let gateway = &s.gateway;
            format!(
                "{action} is aimed at a gateway: use {gateway}, or {} for this session alone",
                Action::CloseSession
            )
        }
        Target::Session(_) => format!(
            "{action} is aimed at an instance; for a session there is {}, after which its peer opens the next one",
            Action::CloseSession
        ),
    };
    Err(status::bad_field("target", &what))
}

fn instances_of(state: &State, gateway: &GatewayRef, action: Action) -> String {
    let ids: Vec<String> = state
        .gateway(gateway)
        .map(|g| g.instances.keys().take(4).map(|id| gateway.instance(id.clone()).to_string()).collect())
        .unwrap_or_default();
    match ids.as_slice() {
        [] => format!("{action} is aimed at an instance, and this gateway has none"),
        [only] => format!("{action} is aimed at an instance: use {only}"),
        [first, ..] => format!("{action} is aimed at one instance of the gateway, such as {first}"),
    }
}

/// The condition that is False on the target, and its cause: what the order is expected to mend.
fn sickness(state: &State, target: &Target) -> Option<(ConditionKind, Option<mooring_core::cause::Cause>)> {
    let of = |conditions: Vec<mooring_core::condition::Condition>| {
        let sick =
            conditions.into_iter().find(|c| c.status == Answer::False && c.kind != ConditionKind::Stable);
        sick.map(|c| (c.kind, c.cause))
    };
    match target {
        Target::Instance(i) => of(state.instance(i)?.conditions),
        Target::Gateway(g) => {
            state.gateway(g)?.instances.values().find_map(|row| of(state.full(*row)?.conditions))
        }
        // What is wrong with it is the agent's to say.
        Target::Session(_) => None,
    }
}
