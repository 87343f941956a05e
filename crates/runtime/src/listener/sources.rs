//! Counting connections in total and per source, and giving the counts back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// Whom a connection is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    /// An IPv4 address counts for itself, an IPv6 address for its /64: that much anybody at home is given.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) => Self(v4),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into()),
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    open: usize,
    handshaking: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<Source, Count>,
}

/// Why a connection was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Total,
    Source,
    Handshakes,
}

impl Refused {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Source => "source",
            Self::Handshakes => "handshakes",
        }
    }
}

#[derive(Debug)]
pub(super) struct Sources {
    max_total: usize,
    max_per_source: usize,
    max_handshakes_per_source: usize,
    counts: Mutex<Counts>,
}

impl Sources {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_total: limits.max_connections,
            max_per_source: limits.max_connections_per_source,
            max_handshakes_per_source: (limits.max_handshakes / 2).max(1),
            counts: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection, to be counted until the permit is dropped.
    pub(super) fn admit(
        self: &Arc<Self>,
        source: Option<Source>,
        handshake: bool,
    ) -> Result<Permit, Refused> {
        let mut counts = self.lock();
        if counts.total >= self.max_total {
            return Err(Refused::Total);
        }
        if let Some(source) = source {
            let found = counts.by_source.get(&source).copied().unwrap_or_default();
            if found.open >= self.max_per_source {
                return Err(Refused::Source);
            }
            if handshake && found.handshaking >= self.max_handshakes_per_source {
                return Err(Refused::Handshakes);
            }
            let count = counts.by_source.entry(source).or_default();
            count.open += 1;
            count.handshaking += usize::from(handshake);
        }
        counts.total += 1;
        Ok(Permit { sources: Arc::clone(self), source, handshaking: handshake })
    }
}

/// A connection's place in the counts.
#[derive(Debug)]
pub(super) struct Permit {
    sources: Arc<Sources>,
    source: Option<Source>,
    handshaking: bool,
}

impl Permit {
    /// The handshake is over; the connection stays.
    pub(super) fn established(&mut self) {
        let was = std::mem::take(&mut self.handshaking);
        if let (true, Some(source)) = (was, self.source)
            && let Some(count) = self.sources.lock().by_source.get_mut(&source)
        {
            count.handshaking -= 1;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.established();
        let mut counts = self.sources.lock();
        counts.total -= 1;
        if let Some(source) = self.source
            && let Some(count) = counts.by_source.get_mut(&source)
        {
            count.open -= 1;
            // Sources that are gone must not pile up.
            if count.open == 0 {
                counts.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(total: usize, per_source: usize, handshakes: usize) -> Arc<Sources> {
        Sources::new(&Limits {
            max_connections: total,
            max_connections_per_source: per_source,
            max_handshakes: handshakes,
            ..Limits::default()
        })
    }

    fn source(address: &str) -> Option<Source> {
        Some(Source::of(address.parse().unwrap()))
    }

    #[test]
    fn limits_hold_and_what_is_given_back_can_be_used_again() {
        let sources = sources(3, 2, 100);
        let first = sources.admit(source("10.0.0.1"), false).unwrap();
        let _second = sources.admit(source("10.0.0.1"), true).unwrap();
        assert_eq!(sources.admit(source("10.0.0.1"), false).unwrap_err(), Refused::Source);
        let _third = sources.admit(source("10.0.0.2"), false).unwrap();
        assert_eq!(sources.admit(source("10.0.0.3"), false).unwrap_err(), Refused::Total);
        drop(first);
        let _again = sources.admit(source("10.0.0.1"), false).unwrap();
        assert_eq!(sources.lock().by_source.len(), 2);
    }

    #[test]
    fn one_source_holds_at_most_half_of_the_handshakes() {
        let sources = sources(100, 100, 4);
        let mut first = sources.admit(source("10.0.0.1"), true).unwrap();
        let second = sources.admit(source("10.0.0.1"), true).unwrap();
        assert_eq!(sources.admit(source("10.0.0.1"), true).unwrap_err(), Refused::Handshakes);
        assert!(sources.admit(source("10.0.0.2"), true).is_ok());
        first.established();
        assert!(sources.admit(source("10.0.0.1"), true).is_ok());
        drop((first, second));
        assert!(sources.lock().by_source.is_empty() && sources.lock().total == 0);
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_a_mapped_address_is_the_ipv4_one() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    }
}
