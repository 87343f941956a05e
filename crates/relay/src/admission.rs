//! Who may come in: bounds on connections in total, per source, and in their handshake.
//!
//! A place is a guard: it is given back when the connection's task lets go of it, whatever way that ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;

/// Counts who is in.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    connections: AtomicUsize,
    handshakes: AtomicUsize,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Source,
    Handshakes,
}

impl Full {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Connections => "too many connections",
            Self::Source => "too many connections from this address",
            Self::Handshakes => "too many connections are being opened",
        }
    }
}

/// Takes one more, if there is room.
fn take(count: &AtomicUsize, most: usize) -> bool {
    count.fetch_update(SeqCst, SeqCst, |n| (n < most).then_some(n + 1)).is_ok()
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            sources: Mutex::new(HashMap::new()),
        }
    }

    /// How many are in their handshake.
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(SeqCst)
    }

    /// A place for a connection that has just been accepted, and one among those in their handshake.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<(Place, HandshakePlace), Full> {
        if !take(&self.connections, self.limits.connections) {
            return Err(Full::Connections);
        }
        let place = Place { of: Arc::clone(self), source: None };
        if !take(&self.handshakes, self.limits.handshakes) {
            return Err(Full::Handshakes);
        }
        Ok((place, HandshakePlace(Arc::clone(self))))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Admission>,
    /// Boxed: most relays do not count by source, and a place is part of every session.
    source: Option<Box<IpAddr>>,
}

impl Place {
    /// Counts the connection for its source, now that this is known.
    pub(crate) fn belongs_to(&mut self, address: IpAddr) -> Result<(), Full> {
        let Some(most) = self.of.limits.per_source else { return Ok(()) };
        let source = network(address);
        let mut sources = self.of.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_insert(0);
        if *count >= most {
            return Err(Full::Source);
        }
        *count += 1;
        self.source = Some(Box::new(source));
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.connections.fetch_sub(1, SeqCst);
        let Some(source) = self.source.take() else { return };
        let mut sources = self.of.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&source);
            }
        }
    }
}

/// A place among the connections that have not sent their first request.
#[derive(Debug)]
pub(crate) struct HandshakePlace(Arc<Admission>);

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, SeqCst);
    }
}

/// One household: an IPv4 address, or 64 bits of IPv6, of which everybody has as many addresses as he likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let limits = Limits { connections: 3, handshakes: 2, per_source: Some(1), ..Limits::default() };
        let admission = Arc::new(Admission::new(limits));
        let (mut a, a_hand) = admission.enter().unwrap();
        let (mut b, b_hand) = admission.enter().unwrap();
        assert_eq!(admission.enter().map(|_| ()), Err(Full::Handshakes));
        assert_eq!(admission.connections(), 2);
        drop((a_hand, b_hand));
        let (mut c, _hand) = admission.enter().unwrap();
        assert_eq!(admission.enter().map(|_| ()), Err(Full::Connections));
        let ip = |text: &str| text.parse().unwrap();
        assert_eq!(a.belongs_to(ip("2001:db8::1")), Ok(()));
        assert_eq!(b.belongs_to(ip("2001:db8::2")), Err(Full::Source));
        assert_eq!(c.belongs_to(ip("192.0.2.1")), Ok(()));
        drop(a);
        assert_eq!(b.belongs_to(ip("2001:db8::2")), Ok(()));
        drop((b, c));
        assert_eq!(admission.connections(), 0);
        assert!(admission.sources.lock().unwrap().is_empty());
    }
}
