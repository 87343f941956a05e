//! All gateways that are watched, and the way from one configuration to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use mooring_core::id::{AgentId, GatewayId, InstanceId};
use tokio::sync::watch;

use super::gateway::Gateway;
use super::shared::Shared;
use crate::config::{AgentConfig, Diff, GatewayConfig, diff};
use crate::inbox::Catalogue;

/// Everything that is watched.
#[derive(Debug)]
pub(super) struct Watches {
    agent: AgentId,
    shared: Shared,
    config: AgentConfig,
    gateways: BTreeMap<GatewayId, Gateway>,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

impl Watches {
    /// Begins to watch what is configured.
    pub(super) async fn begin(agent: AgentId, shared: Shared, config: AgentConfig) -> Result<Self, String> {
        let mut watches = Self {
            agent,
            shared,
            gateways: BTreeMap::new(),
            config: AgentConfig { gateways: Vec::new(), ..config.clone() },
            catalogue: watch::Sender::new(Arc::default()),
        };
        for gateway in &config.gateways {
            watches.add(gateway).await?;
        }
        watches.config = config;
        watches.publish()?;
        Ok(watches)
    }

    /// What can be done, and each change of that.
    pub(super) fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    /// Puts a new configuration in force. What it does not change goes on as it is.
    pub(super) async fn apply(&mut self, next: AgentConfig) -> Result<Diff, String> {
        let diff = diff(&self.config, &next);
        for id in &diff.removed {
            if let Some(gateway) = self.gateways.remove(id) {
                gateway.end();
            }
        }
        let by_id = |id: &GatewayId| next.gateways.iter().find(|g| g.id == *id);
        for changed in &diff.changed {
            if let (Some(gateway), Some(config)) =
                (self.gateways.get_mut(&changed.gateway), by_id(&changed.gateway))
            {
                gateway.change(config.clone(), changed).await?;
            }
        }
        for id in &diff.added {
            if let Some(config) = by_id(id) {
                self.add(config).await?;
            }
        }
        // Sections that are read at the start only stay as they are in force, so that the next reload says so again.
        self.config.gateways = next.gateways;
        self.publish()?;
        Ok(diff)
    }

    /// An instance that a gateway made known itself. What can be done to it is yet to be published.
    pub(super) fn register(&mut self, gateway: &GatewayId, instance: InstanceId) -> Result<(), String> {
        let known = self.gateways.get_mut(gateway);
        known.ok_or_else(|| format!("gateway `{gateway}` is not watched any more"))?.register(instance)
    }

    async fn add(&mut self, config: &GatewayConfig) -> Result<(), String> {
        let gateway = Gateway::begin(self.shared.clone(), config.clone()).await?;
        self.gateways.insert(config.id.clone(), gateway);
        Ok(())
    }

    /// Says what can be done.
    pub(super) fn publish(&self) -> Result<(), String> {
        let hands = self.gateways.iter().map(|(id, gateway)| Ok((id.clone(), gateway.hands()?)));
        let hands: Vec<_> = hands.collect::<Result<_, String>>()?;
        self.catalogue.send_replace(Arc::new(Catalogue::new(&self.agent, hands)));
        Ok(())
    }
}
