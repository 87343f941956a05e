//! What this agent can do: for each gateway and instance, the executors that were configured.
//!
//! A catalogue never changes; a reload puts another in its place.

use std::collections::HashMap;
use std::sync::Arc;

use mooring_core::id::{AgentId, GatewayId, GatewayRef, Incarnation, InstanceId};
use tokio::sync::watch;

use crate::config::{GatewayConfig, InstanceConfig};
use crate::executor::{
    CloseSessions, Executor, HoldDuring, ProcessStatus, Sightings, SupervisedHandle, Surroundings,
};

/// Everything that can be done, by gateway.
#[derive(Debug, Default)]
pub struct Catalogue {
    gateways: HashMap<GatewayRef, GatewayHands>,
}

/// What can be done to one gateway.
#[derive(Debug)]
pub struct GatewayHands {
    /// Restarts it; `None`: nothing does.
    pub restart: Option<Arc<dyn Executor>>,
    /// Closes real sessions; `None`: nobody sees any.
    pub sessions: Option<Arc<dyn Executor>>,
    /// What can be done to its instances.
    pub instances: HashMap<InstanceId, InstanceHands>,
    /// Its process, where this agent runs it.
    pub process: Option<watch::Receiver<ProcessStatus>>,
    /// Where its trackers listen.
    pub sightings: Sightings,
}

/// What can be done to one instance.
#[derive(Debug)]
pub struct InstanceHands {
    /// Renews its session.
    pub reconnect: Arc<dyn Executor>,
    /// Restarts what serves it; `None`: nothing does.
    pub restart: Option<Arc<dyn Executor>>,
}

impl GatewayHands {
    /// Builds the executors of one gateway as configured; `registered` are the instances it made known itself.
    ///
    /// # Errors
    /// In words, when an executor lacks something: `supervise` without a process, say.
    pub fn build(
        config: &GatewayConfig,
        registered: &[InstanceConfig],
        around: &Surroundings,
        sightings: Sightings,
    ) -> Result<Self, String> {
        let sources = &around.sessions;
        let at = |what: &str, why: String| format!("gateway `{}`: {what}: {why}", config.id);
        let restart = config
            .restart
            .as_ref()
            .map(|how| how.build(around).map_err(|why| at("restart", why)))
            .transpose()?;
        let restart = restart.map(|inner| -> Arc<dyn Executor> {
            if sources.door().is_some() {
                Arc::new(HoldDuring::new(inner, Arc::clone(sources)))
            } else {
                inner
            }
        });
        let sessions = sources
            .closer()
            .map(|_| -> Arc<dyn Executor> { Arc::new(CloseSessions::new(Arc::clone(sources))) });
        let mut instances = HashMap::new();
        for instance in config.instances().iter().chain(registered) {
            let around = Surroundings { instance: Some(instance.id.clone()), ..around.clone() };
            let what = |verb: &str| format!("instance `{}`: {verb}", instance.id);
            let reconnect =
                config.reconnect_of(instance).build(&around).map_err(|why| at(&what("reconnect"), why))?;
            let restart = config.restart_of(instance).map(|how| how.build(&around));
            let restart = restart.transpose().map_err(|why| at(&what("restart"), why))?;
            instances.insert(instance.id.clone(), InstanceHands { reconnect, restart });
        }
        let process = around.process.as_ref().map(SupervisedHandle::status);
        Ok(Self { restart, sessions, instances, process, sightings })
    }

    /// The run of its process, where that is known.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.process.as_ref().and_then(|status| status.borrow().incarnation)
    }
}

impl Catalogue {
    /// A catalogue of these gateways of an agent.
    #[must_use]
    pub fn new(agent: &AgentId, gateways: impl IntoIterator<Item = (GatewayId, GatewayHands)>) -> Self {
        let name = |gateway| GatewayRef { agent: agent.clone(), gateway };
        Self { gateways: gateways.into_iter().map(|(id, hands)| (name(id), hands)).collect() }
    }

    /// What can be done to a gateway; `None` for one of another agent, or unknown.
    #[must_use]
    pub fn gateway(&self, gateway: &GatewayRef) -> Option<&GatewayHands> {
        self.gateways.get(gateway)
    }
}
