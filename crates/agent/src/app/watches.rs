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

    /// Puts a new configuration in force. What it does not change goes on as it is; a gateway whose change cannot be made
    /// stays as it was, and the next reload tries again.
    pub(super) async fn apply(&mut self, next: AgentConfig) -> Result<Diff, String> {
        super::descriptors::prepare(&next);
        let diff = diff(&self.config, &next);
        for id in &diff.removed {
            if let Some(gateway) = self.gateways.remove(id) {
                gateway.end();
            }
        }
        let (mut in_force, mut troubles) = (Vec::new(), Vec::new());
        for config in next.gateways {
            let changed = diff.changed.iter().find(|changed| changed.gateway == config.id);
            let outcome = match (changed, self.gateways.get_mut(&config.id)) {
                (Some(changed), Some(gateway)) => gateway.change(config.clone(), changed).await,
                (None, Some(_)) => Ok(()),
                (_, None) => self.add(&config).await,
            };
            match outcome {
                Ok(()) => in_force.push(config),
                Err(why) => {
                    troubles.push(why);
                    in_force.extend(self.config.gateways.iter().find(|known| known.id == config.id).cloned());
                }
            }
        }
        // Sections that are read at the start only stay as they are in force, so that the next reload says so again.
        self.config.gateways = in_force;
        self.publish()?;
        if troubles.is_empty() { Ok(diff) } else { Err(troubles.join("; ")) }
    }

    /// An instance that a gateway made known itself. What can be done to it is yet to be published.
    pub(super) fn register(&mut self, gateway: &GatewayId, instance: InstanceId) -> Result<(), String> {
        let known = self.gateways.get_mut(gateway);
        known.ok_or_else(|| format!("gateway `{gateway}` is not watched any more"))?.register(instance)
    }

    /// An instance that a gateway made known is not there any more.
    pub(super) fn unregister(&mut self, gateway: &GatewayId, instance: &InstanceId) {
        if let Some(known) = self.gateways.get_mut(gateway) {
            known.unregister(instance);
        }
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
