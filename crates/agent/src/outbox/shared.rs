//! The outbox, shared: watchers and executors put in, the uplink takes out and is woken.
//!
//! A lock rather than a channel: what is put in replaces what is there, so nobody ever waits for room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mooring_core::condition::Condition;
use mooring_core::id::{Incarnation, InstanceId};
use mooring_core::order::Receipt;
use mooring_core::session::{SessionClose, SessionCounts};
use mooring_proto::link::GatewayDecl;
use tokio::sync::Notify;

use super::{Outbox, Usage};

#[derive(Debug, Default)]
struct Shared {
    outbox: Mutex<Outbox>,
    changed: Notify,
}

/// A handle to the process's outbox; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    shared: Arc<Shared>,
}

impl Outgoing {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Outbox::declare_gateway`].
    pub fn declare_gateway(&self, decl: GatewayDecl) -> u32 {
        self.change(|outbox| outbox.declare_gateway(decl))
    }

    /// See [`Outbox::declare_instance`].
    pub fn declare_instance(&self, gateway: u32, id: InstanceId) -> Option<u32> {
        self.change(|outbox| outbox.declare_instance(gateway, id))
    }

    /// See [`Outbox::gateway_changed`].
    pub fn gateway_changed(&self, gateway: u32, incarnation: Option<Incarnation>) {
        self.change(|outbox| outbox.gateway_changed(gateway, incarnation));
    }

    /// See [`Outbox::gateway_gone`].
    pub fn gateway_gone(&self, gateway: u32) {
        self.change(|outbox| outbox.gateway_gone(gateway));
    }

    /// See [`Outbox::instance_gone`].
    pub fn instance_gone(&self, instance: u32) {
        self.change(|outbox| outbox.instance_gone(instance));
    }

    /// See [`Outbox::condition`].
    pub fn condition(&self, instance: u32, condition: Condition, traceparent: Option<String>) {
        self.change(|outbox| outbox.condition(instance, condition, traceparent));
    }

    /// Several conditions of one instance that changed together, so that they travel together.
    pub fn conditions(&self, instance: u32, conditions: &[Condition], traceparent: Option<&str>) {
        self.change(|outbox| {
            for condition in conditions {
                outbox.condition(instance, condition.clone(), traceparent.map(str::to_owned));
            }
        });
    }

    /// See [`Outbox::receipt`].
    pub fn receipt(&self, receipt: Receipt) {
        self.change(|outbox| outbox.receipt(receipt));
    }

    /// See [`Outbox::session_counts`].
    pub fn session_counts(&self, gateway: u32, counts: SessionCounts) {
        self.change(|outbox| outbox.session_counts(gateway, counts));
    }

    /// See [`Outbox::session_closed`].
    pub fn session_closed(&self, gateway: u32, close: SessionClose) {
        self.change(|outbox| outbox.session_closed(gateway, close));
    }

    /// See [`Outbox::usage`].
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.lock().usage()
    }

    /// See [`Outbox::settled`].
    #[must_use]
    pub fn settled(&self) -> bool {
        self.lock().settled()
    }

    /// Completes when something has been put in since the last time it completed.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// For the uplink, which is the only one that takes out. Never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Outbox> {
        // Every method leaves the machine whole, so a panic of another holder does not spoil it.
        self.shared.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        let result = change(&mut self.lock());
        self.shared.changed.notify_one();
        result
    }
}
