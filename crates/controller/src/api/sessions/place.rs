//! Where a list of sessions is: one place in the order of all sessions of all agents.
//!
//! Sessions are listed by rank, then by the gateway's name, then by their own id. One place in that order says for each
//! gateway where its part goes on, so a page token stays small however many gateways there are. It also says when the list
//! was begun, by the clocks of the agents: their sessions' ranks rest on it.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::str::FromStr;

use mooring_core::id::{GatewayRef, MAX_NAME_LEN, SessionId, SessionRef};
use mooring_core::session::Rank;
use mooring_core::time::Timestamp;

use crate::api::page::TokenError;

/// A place: that of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its rank.
    pub rank: Rank,
    /// Which.
    pub session: SessionRef,
}

impl Place {
    /// From where on a gateway is asked for the sessions after this place; `None`: from its beginning.
    pub fn within(&self, gateway: &GatewayRef) -> Option<(Rank, SessionId)> {
        match gateway.cmp(&self.session.gateway) {
            Ordering::Equal => Some((self.rank, self.session.session.clone())),
            // Those of this rank have been listed: behind the last possible name of it.
            Ordering::Less => Some((self.rank, last_id()?)),
            // Those of this rank have not: behind the last possible name of the rank above.
            Ordering::Greater => Some((Rank(self.rank.0.checked_add(1)?), last_id()?)),
        }
    }
}

/// The id after which none can come.
fn last_id() -> Option<SessionId> {
    SessionId::new("z".repeat(MAX_NAME_LEN)).ok()
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        (Reverse(self.rank), &self.session).cmp(&(Reverse(other.rank), &other.session))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rank.0, self.session)
    }
}

/// Where the next page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// When the list was begun: the newest time at which an agent looked at sessions for its first page.
    pub begun: Timestamp,
    /// The last session looked at.
    pub after: Place,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.begun.0, self.after)
    }
}

impl FromStr for Position {
    type Err = TokenError;
    fn from_str(s: &str) -> Result<Self, TokenError> {
        let (begun, after) = s.split_once(' ').ok_or(TokenError::Invalid)?;
        let begun = Timestamp(begun.parse().map_err(|_| TokenError::Invalid)?);
        Ok(Self { begun, after: after.parse()? })
    }
}

impl FromStr for Place {
    type Err = TokenError;
    fn from_str(s: &str) -> Result<Self, TokenError> {
        let (rank, session) = s.split_once(' ').ok_or(TokenError::Invalid)?;
        let rank = Rank(rank.parse().map_err(|_| TokenError::Invalid)?);
        Ok(Self { rank, session: session.parse().map_err(|_| TokenError::Invalid)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(rank: u64, gateway: &str, id: &str) -> Place {
        Place { rank: Rank(rank), session: format!("agents/{gateway}/sessions/{id}").parse().unwrap() }
    }

    proptest! {
        /// Asking each gateway from where a place says is the same as going on after it in the whole order.
        #[test]
        fn a_place_divides_each_gateway_where_it_divides_all(
            ranks in prop::collection::vec((0u64..4, 0usize..3, "[a-z0-9][a-z0-9._-]{0,2}[a-z0-9]"), 1..40),
            at in any::<prop::sample::Index>(),
        ) {
            let gateways = ["a/gateways/g", "a/gateways/h", "b/gateways/g"];
            let mut all: Vec<Place> = ranks.iter().map(|(rank, g, id)| place(*rank, gateways[*g], id)).collect();
            all.sort();
            all.dedup();
            let here = at.index(all.len());
            let after = |p: &&Place| match all[here].within(&p.session.gateway) {
                None => true,
                Some((rank, id)) => (Reverse(p.rank), &p.session.session) > (Reverse(rank), &id),
            };
            let found: Vec<&Place> = all.iter().filter(after).collect();
            prop_assert_eq!(found, all[here + 1..].iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn places_round_trip() {
        let one = place(u64::MAX, "a-1/gateways/g.x", "r1f");
        assert_eq!(one.to_string().parse(), Ok(one.clone()));
        let position = Position { begun: Timestamp(i64::MIN), after: one.clone() };
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!(one.to_string().parse::<Position>(), Err(TokenError::Invalid));
        assert_eq!(one.within(&"agents/z/gateways/z".parse().unwrap()), None);
        for bad in ["", "7", "x agents/a/gateways/g/sessions/r1", "7 agents/a/gateways/g"] {
            assert_eq!(bad.parse::<Place>(), Err(TokenError::Invalid), "{bad}");
        }
    }
}
