//! What differs between versions of Evolution API. 2.3.6 was observed, 2.3.7 and 2.4 were read.

use std::fmt;

/// A version: major, minor, patch. What follows (`-rc2`) is left out, since nothing hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16);

impl Version {
    /// The version to assume where it is not known: the one that was observed.
    pub const ASSUMED: Self = Self(2, 3, 6);

    /// Reads `2.3.6` or `v2.4.0-rc2`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let core = text.trim().trim_start_matches('v').split(['-', '+']).next()?;
        let mut parts = core.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }

    /// Whether this version never tries again after a close with this code: the login is over, until a human acts.
    /// From 2.4 on that holds for 408, too, which is what a mere network outage gives.
    #[must_use]
    pub fn gives_up(self, code: u16) -> bool {
        matches!(code, 401 | 402 | 403 | 406) || (code == 408 && self.wipes_on_408())
    }

    /// Whether a 408 deletes the stored session.
    #[must_use]
    pub fn wipes_on_408(self) -> bool {
        self >= Self(2, 4, 0)
    }

    /// Whether a process start connects only the instances whose row says that they were connected.
    #[must_use]
    pub fn starts_only_connected(self) -> bool {
        self >= Self(2, 3, 7)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_written() {
        assert_eq!(Version::parse("2.3.6"), Some(Version(2, 3, 6)));
        assert_eq!(Version::parse("v2.4.0-rc2"), Some(Version(2, 4, 0)));
        for bad in ["", "2", "2.3", "2.3.x", "2.3.6.1", "latest"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
        assert_eq!(Version(2, 3, 7).to_string(), "2.3.7");
    }

    #[test]
    fn a_network_outage_costs_the_login_from_2_4_on() {
        for code in [401, 402, 403, 406] {
            assert!(Version(2, 3, 6).gives_up(code));
        }
        assert!(!Version(2, 3, 7).gives_up(408) && Version(2, 4, 0).gives_up(408));
        assert!(!Version(2, 4, 0).gives_up(428) && !Version(2, 4, 0).gives_up(440));
        assert!(!Version(2, 3, 6).starts_only_connected() && Version(2, 3, 7).starts_only_connected());
    }
}
