//! `FleetService`: the fleet's numbers, its members one by one, and the doors to lists, explanations and watches.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use mooring_core::id::{PolicyId, Target};
use mooring_core::order::Action;
use mooring_core::phase::Phase;
use mooring_core::time::human;
use mooring_proto::v1::fleet_service_server::FleetService;
use mooring_proto::{timestamp, v1};
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::{Shared, convert, explain, listing, request, status, watch};
use crate::fleet::State;

/// The service.
pub struct FleetApi(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl FleetService for FleetApi {
    async fn get_fleet(&self, _: Request<v1::GetFleetRequest>) -> Result<Response<v1::Fleet>, Status> {
        let now = Shared::now();
        let pauses = self.0.pauses(now).await?.len();
        let parts = &self.0.parts;
        let warming = parts.warmup.state(&parts.fleet, now).map(|w| {
            let left = human::format(std::time::Duration::from_secs(w.until.since(now).as_secs()));
            format!(
                "{} of {} agents are back; nothing destructive is ordered for {left} at most",
                w.back, w.known
            )
        });
        let state = parts.fleet.read();
        let counts = state.counts();
        let away = parts.database.away_since();
        let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let fleet = v1::Fleet {
            agents_online: int(counts.agents_online),
            agents_known: int(counts.agents),
            gateways: int(counts.gateways),
            instances: int(counts.instances),
            phases: Phase::ALL
                .into_iter()
                .filter_map(|p| counts.phases.get(&p).map(|n| (p.name().to_owned(), int(*n))))
                .collect(),
            live_orders: int(counts.live_orders),
            pauses: int(pauses),
            storms: self.storms(&state).into_iter().map(|g| g.to_string()).collect(),
            database_away: away.is_some(),
            database_away_since: away.map(timestamp),
            warming_up: warming.unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        drop(state);
        Ok(self.0.answer(fleet))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let page = listing::agents(&self.0, &request.into_inner())?;
        Ok(self.0.answer(page))
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let name = request.into_inner().name;
        let id = request::agent(&name)?;
        let state = self.0.parts.fleet.read();
        let agent = state.agent(&id).ok_or_else(|| status::not_found("Agent", &name))?;
        Ok(self.0.answer(convert::agent(&state.agent_view(agent))))
    }

    async fn list_gateways(
        &self,
        request: Request<v1::ListGatewaysRequest>,
    ) -> Result<Response<v1::ListGatewaysResponse>, Status> {
        let page = listing::gateways(&self.0, &request.into_inner()).await?;
        Ok(self.0.answer(page))
    }

    async fn get_gateway(
        &self,
        request: Request<v1::GetGatewayRequest>,
    ) -> Result<Response<v1::Gateway>, Status> {
        let name = request.into_inner().name;
        let reference = request::gateway(&name)?;
        let state = self.0.parts.fleet.read();
        let gateway = state.gateway(&reference).ok_or_else(|| status::not_found("Gateway", &name))?;
        Ok(self.0.answer(convert::gateway(&state.summary(gateway))))
    }

    async fn list_instances(
        &self,
        request: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let page = listing::instances(&self.0, &request.into_inner()).await?;
        Ok(self.0.answer(page))
    }

    async fn get_instance(
        &self,
        request: Request<v1::GetInstanceRequest>,
    ) -> Result<Response<v1::Instance>, Status> {
        let name = request.into_inner().name;
        let reference = request::instance(&name)?;
        let full = self.0.parts.fleet.read().instance(&reference);
        let full = full.ok_or_else(|| status::not_found("Instance", &name))?;
        Ok(self.0.answer(convert::instance(&full, self.0.is_away())))
    }

    async fn explain_instance(
        &self,
        request: Request<v1::ExplainInstanceRequest>,
    ) -> Result<Response<v1::ExplainInstanceResponse>, Status> {
        let caller = Caller::of(&request);
        let answer = explain::explain(&self.0, request.into_inner(), caller.lang).await?;
        Ok(self.0.answer(answer))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let watcher = watch::Watcher::new(&self.0, &request.into_inner())?;
        Ok(self.0.answer(Box::pin(watcher.stream())))
    }
}

impl FleetApi {
    /// Groups whose brake is on: above the threshold now, or so lately that the calm is not long enough yet.
    fn storms(&self, state: &State) -> BTreeSet<PolicyId> {
        let now = Shared::now();
        let mut some_gateway: BTreeMap<&PolicyId, &crate::fleet::Gateway> = BTreeMap::new();
        for gateway in state.agents().flat_map(|a| state.gateways_of(a)) {
            some_gateway.entry(&gateway.record.group).or_insert(gateway);
        }
        let braked = some_gateway.into_iter().filter(|(group, gateway)| {
            let (_, policy) = self.0.parts.policies.of_group(group);
            let target = Target::Gateway(gateway.record.gateway.clone());
            let belief = state.belief(group, &target, Action::RestartGateway);
            let calm = state.storm_seen(group).map(|seen| now.since(seen));
            State::stormy(&belief, &policy) || calm.is_some_and(|calm| calm < policy.storm.cooldown)
        });
        braked.map(|(group, _)| group.clone()).collect()
    }
}
