//! A token bucket: so much at once, so much a second.

use std::time::Duration;

use mooring_core::time::Mono;

/// Tokens of one gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: f64,
    size: f64,
    left: f64,
    at: Mono,
}

impl Bucket {
    /// A full one.
    pub fn new(per_second: u32, size: u32, now: Mono) -> Self {
        Self { rate: f64::from(per_second), size: f64::from(size), left: f64::from(size), at: now }
    }

    /// Takes `n`, all or none.
    ///
    /// # Errors
    /// How long until there are so many.
    pub fn take(&mut self, now: Mono, n: u32) -> Result<(), Duration> {
        self.left = (self.left + now.since(self.at).as_secs_f64() * self.rate).min(self.size);
        self.at = self.at.max(now);
        let wanted = f64::from(n).min(self.size);
        if wanted <= self.left {
            self.left -= wanted;
            return Ok(());
        }
        Err(Duration::from_secs_f64((wanted - self.left) / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once_and_so_much_a_second() {
        let at = |s: u64| Mono(s * 1_000_000);
        let mut bucket = Bucket::new(10, 100, at(0));
        assert!(bucket.take(at(0), 100).is_ok());
        assert_eq!(bucket.take(at(0), 20), Err(Duration::from_secs(2)));
        assert!(bucket.take(at(2), 20).is_ok());
        assert!(bucket.take(at(1), 1).is_err(), "time going back gives nothing");
        assert!(
            bucket.take(at(1000), 100).is_ok() && bucket.take(at(1000), 1).is_err(),
            "no more than its size"
        );
    }
}
