//! What several instances of one gateway have in common. One that is refused is its own trouble; a third of them within a
//! minute are not: then it is the network, the way out, or the version, and ordering each about would only add logins.

use std::time::Duration;

use mooring_core::time::Mono;

/// Two that begin within this are of one event.
pub const TOGETHER: Duration = Duration::from_secs(60);
/// Fewer than this are a coincidence.
const LEAST: usize = 3;

/// How many of how many, where that is more than chance: at least three, and over 30 %.
#[must_use]
pub fn shared(sick: usize, all: usize) -> Option<(usize, usize)> {
    (sick >= LEAST && sick * 10 > all * 3).then_some((sick, all))
}

/// How many of these happened within [`TOGETHER`] of the last of them; those without a time (the database's word) count.
#[must_use]
pub fn together(times: &[Option<Mono>]) -> usize {
    let newest = times.iter().flatten().max().copied().unwrap_or_default();
    times.iter().filter(|at| at.is_none_or(|at| newest.since(at) <= TOGETHER)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_is_an_event_and_two_are_a_coincidence() {
        assert_eq!(shared(2, 2), None);
        assert_eq!(shared(3, 3), Some((3, 3)));
        assert_eq!(shared(3, 10), None);
        assert_eq!(shared(4, 10), Some((4, 10)));
    }

    #[test]
    fn what_lies_far_apart_is_not_together() {
        let at = |s: u64| Some(Mono(s * 1_000_000));
        assert_eq!(together(&[]), 0);
        assert_eq!(together(&[at(100), at(150), at(155), None]), 4);
        assert_eq!(together(&[at(10), at(150), at(155)]), 2);
    }
}
