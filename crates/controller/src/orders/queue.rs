//! Gateways to be looked at, first come first served, each once.
//!
//! In the order of their coming and not of their names: a gateway that changes all the time goes to the end each time,
//! so it cannot keep others from being looked at.

use std::collections::{HashSet, VecDeque};

use mooring_core::id::GatewayRef;

/// The queue. Never longer than there are gateways.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<GatewayRef>,
    waiting: HashSet<GatewayRef>,
}

impl Queue {
    pub(super) fn push(&mut self, gateway: GatewayRef) {
        if self.waiting.insert(gateway.clone()) {
            self.order.push_back(gateway);
        }
    }

    pub(super) fn pop(&mut self) -> Option<GatewayRef> {
        let gateway = self.order.pop_front()?;
        self.waiting.remove(&gateway);
        Some(gateway)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Extend<GatewayRef> for Queue {
    fn extend<T: IntoIterator<Item = GatewayRef>>(&mut self, gateways: T) {
        gateways.into_iter().for_each(|g| self.push(g));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_waits_once_and_then_at_the_end() {
        let g = |id: &str| -> GatewayRef { format!("agents/a/gateways/{id}").parse().unwrap() };
        let mut queue = Queue::default();
        queue.extend([g("b"), g("a"), g("b")]);
        assert_eq!(queue.pop(), Some(g("b")));
        queue.push(g("b"));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(g("a")), Some(g("b")), None));
        assert!(queue.is_empty());
    }
}
