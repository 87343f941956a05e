//! Which accepted orders of one gateway may run now.
//!
//! An order on the gateway runs alone. Orders on different instances and sessions run beside each other (a slow reconnect waits half
//! a minute; ten of them must not take five). Two orders that must not run together run in the order they came, and
//! nobody overtakes somebody he would be in the way of, so that a restart is not put off for ever by reconnects.

use std::collections::VecDeque;

use mooring_core::id::Target;

/// Orders of one gateway that run or wait, at most.
pub(super) const MAX_QUEUED: usize = 256;

/// What has a target.
pub(super) trait Aimed {
    fn target(&self) -> &Target;
}

/// The orders of one gateway.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    waiting: VecDeque<T>,
    running: Vec<Target>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: Vec::new() }
    }
}

fn exclude(a: &Target, b: &Target) -> bool {
    match (a, b) {
        (Target::Instance(a), Target::Instance(b)) => a == b,
        (Target::Session(a), Target::Session(b)) => a == b,
        (Target::Session(_), Target::Instance(_)) | (Target::Instance(_), Target::Session(_)) => false,
        (Target::Gateway(_), _) | (_, Target::Gateway(_)) => true,
    }
}

impl<T: Aimed> Lanes<T> {
    /// How many run or wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    pub(super) fn push(&mut self, job: T) {
        self.waiting.push_back(job);
    }

    /// The first order that is in nobody's way; it counts as running from now on.
    pub(super) fn next(&mut self) -> Option<T> {
        let free = |index: usize| {
            let target = self.waiting[index].target();
            let before = self.waiting.iter().take(index).map(Aimed::target);
            !before.chain(&self.running).any(|other| exclude(target, other))
        };
        let index = (0..self.waiting.len()).find(|index| free(*index))?;
        let job = self.waiting.remove(index)?;
        self.running.push(job.target().clone());
        Some(job)
    }

    /// An order that `next` gave has ended.
    pub(super) fn ended(&mut self, job: &T) {
        if let Some(index) = self.running.iter().position(|target| target == job.target()) {
            self.running.swap_remove(index);
        }
    }

    /// Takes out everything that waits.
    pub(super) fn abandon(&mut self) -> Vec<T> {
        self.waiting.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Job(u32, Target);

    impl Aimed for Job {
        fn target(&self) -> &Target {
            &self.1
        }
    }

    fn on(number: u32, instance: &str) -> Job {
        Job(number, format!("agents/a/gateways/g/instances/{instance}").parse().unwrap())
    }

    fn on_gateway(number: u32) -> Job {
        Job(number, "agents/a/gateways/g".parse().unwrap())
    }

    fn started(lanes: &mut Lanes<Job>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.next()).map(|job| job.0).collect()
    }

    #[test]
    fn instances_run_beside_each_other_and_the_gateway_alone() {
        let mut lanes = Lanes::default();
        for job in [on(1, "x"), on(2, "y"), on(3, "x"), on_gateway(4), on(5, "z"), on(6, "y")] {
            lanes.push(job);
        }
        assert_eq!(started(&mut lanes), [1, 2]);
        lanes.ended(&on(2, "y"));
        assert_eq!(started(&mut lanes), [0; 0], "3 waits for 1, and everything after 4 waits for 4");
        lanes.ended(&on(1, "x"));
        assert_eq!(started(&mut lanes), [3]);
        lanes.ended(&on(3, "x"));
        assert_eq!(started(&mut lanes), [4]);
        lanes.ended(&on_gateway(4));
        assert_eq!(started(&mut lanes), [5, 6]);
        assert_eq!(lanes.len(), 2);
        lanes.push(on(7, "y"));
        assert_eq!(lanes.abandon(), [on(7, "y")]);
    }
}
