//! Telling of sessions that were wanted and not opened.

use std::net::SocketAddr;

use mooring_core::cause::Cause;
use mooring_core::id::InstanceId;
use mooring_core::limits::{MAX_MESSAGE, clip};

use crate::event::{Event, Refused, RefusedBy};
use crate::record::Peer;
use crate::shared::Shared;

/// Who was refused.
pub(crate) struct Refusing<'a> {
    shared: &'a Shared,
    peer: Peer,
    instance: Option<InstanceId>,
}

impl<'a> Refusing<'a> {
    pub(crate) fn new(shared: &'a Shared, peer: Option<SocketAddr>) -> Self {
        Self { shared, peer: peer.into(), instance: None }
    }

    pub(crate) fn of(shared: &'a Shared, peer: Peer, instance: Option<InstanceId>) -> Self {
        Self { shared, peer, instance }
    }

    /// The client's request is not valid.
    pub(crate) fn invalid(&self, status: Option<u16>, why: &str) {
        self.tell(RefusedBy::Invalid, status, Cause::ProtocolViolated, why);
    }

    /// A limit is reached.
    pub(crate) fn limit(&self, status: Option<u16>, why: &str) {
        self.tell(RefusedBy::Limit, status, Cause::RelayLimit, why);
    }

    pub(crate) fn tell(&self, by: RefusedBy, status: Option<u16>, cause: Cause, message: &str) {
        self.shared.numbers.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.shared.tell(Event::Refused(Refused {
            instance: self.instance.clone(),
            peer: self.peer.to_string(),
            at: crate::clock::wall(),
            by,
            status,
            cause,
            message: clip(message, MAX_MESSAGE),
        }));
    }
}
