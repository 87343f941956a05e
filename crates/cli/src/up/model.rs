//! What the live table shows, gathered from the watch, the events and the fleet's numbers. Pure: fed by updates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mooring_proto::v1::watch_response::Item;
use mooring_proto::v1::{Event, Fleet, Instance, Order};

use crate::client::{EventUpdate, Update, over};

/// How many ended orders are kept for display.
const ENDED: usize = 20;
/// How many events are kept for display.
const EVENTS: usize = 100;

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Model {
    instances: BTreeMap<String, Instance>,
    live: BTreeMap<String, Order>,
    ended: VecDeque<Order>,
    events: VecDeque<Event>,
    unseen: BTreeSet<String>,
    /// The fleet's numbers, where they are known.
    pub(super) fleet: Option<Fleet>,
    /// Why the watch is broken, if it is.
    pub(super) lost: Option<String>,
    /// Whether the first snapshot is complete.
    pub(super) complete: bool,
}

impl Model {
    /// Takes one step of the watch.
    pub(super) fn watch(&mut self, update: Update) {
        let item = match update {
            Update::Began { resumed } => {
                self.lost = None;
                if !resumed {
                    self.unseen = self.instances.keys().cloned().collect();
                    self.live.clear();
                }
                return;
            }
            Update::Lost(why) => {
                self.lost = Some(why);
                return;
            }
            Update::Item(item) => item.item,
        };
        match item {
            Some(Item::Instance(instance)) => {
                self.unseen.remove(&instance.name);
                self.instances.insert(instance.name.clone(), instance);
            }
            Some(Item::Order(order)) => self.order(order),
            Some(Item::Gone(name)) => drop(self.instances.remove(&name)),
            Some(Item::Bookmark(bookmark)) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.database_away = bookmark.database_away;
                }
                if bookmark.snapshot_complete {
                    self.complete = true;
                    for name in std::mem::take(&mut self.unseen) {
                        self.instances.remove(&name);
                    }
                }
            }
            None => {}
        }
    }

    fn order(&mut self, order: Order) {
        if !over(order.state()) {
            self.live.insert(order.name.clone(), order);
            return;
        }
        self.live.remove(&order.name);
        self.ended.retain(|o| o.name != order.name);
        self.ended.push_front(order);
        self.ended.truncate(ENDED);
    }

    /// Takes an event.
    pub(super) fn event(&mut self, update: EventUpdate) {
        // A break of this stream is one of the watch, too, which says so.
        if let EventUpdate::Event(event) = update {
            self.events.push_front(*event);
            self.events.truncate(EVENTS);
        }
    }

    /// The instances, worst first, then by name.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let mut all: Vec<&Instance> = self.instances.values().collect();
        // Stable: the names stay in order.
        all.sort_by_key(|i| std::cmp::Reverse(severity(i)));
        all.into_iter().cloned().collect()
    }

    /// The live order on an instance or on its gateway. From the orders, since an instance is not sent again when the
    /// order on it ends without changing anything else of it.
    pub(super) fn live_on(&self, instance: &str) -> Option<&Order> {
        self.live.values().find(|order| {
            instance.strip_prefix(&order.target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The live orders, then the ones that ended last.
    pub(super) fn orders(&self) -> Vec<Order> {
        self.live.values().chain(&self.ended).cloned().collect()
    }

    /// The events, newest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// How many instances there are.
    pub(super) fn count(&self) -> usize {
        self.instances.len()
    }
}

fn severity(instance: &Instance) -> usize {
    use mooring_core::phase::Phase as Core;
    use mooring_proto::v1::Phase;
    match instance.phase() {
        Phase::Unspecified | Phase::Unknown => Core::Unknown,
        Phase::Healthy => Core::Healthy,
        Phase::Degraded => Core::Degraded,
        Phase::Down => Core::Down,
        Phase::Flapping => Core::Flapping,
        Phase::NeedsHuman => Core::NeedsHuman,
    }
    .severity()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{healthy, order, sick};
    use mooring_proto::v1::{Bookmark, OrderState, WatchResponse};

    fn item(model: &mut Model, item: Item) {
        model.watch(Update::Item(Box::new(WatchResponse { item: Some(item), resume_token: String::new() })));
    }

    fn complete(model: &mut Model) {
        item(model, Item::Bookmark(Bookmark { snapshot_complete: true, ..Bookmark::default() }));
    }

    #[test]
    fn the_worst_come_first_and_what_vanished_goes() {
        let mut model = Model::default();
        model.watch(Update::Began { resumed: false });
        item(&mut model, Item::Instance(healthy("h", "a", "a")));
        item(&mut model, Item::Instance(healthy("h", "b", "b")));
        item(&mut model, Item::Instance(sick("h", "c", "c")));
        complete(&mut model);
        let names: Vec<String> = model.instances().iter().map(|i| crate::show::short(&i.name)).collect();
        assert_eq!(names, ["h/c", "h/a", "h/b"]);
        model.watch(Update::Lost("gone".to_owned()));
        assert_eq!(model.lost.as_deref(), Some("gone"));
        model.watch(Update::Began { resumed: false });
        item(&mut model, Item::Instance(healthy("h", "a", "a")));
        assert_eq!(model.count(), 3, "nothing goes before the snapshot is complete");
        complete(&mut model);
        assert_eq!((model.count(), model.lost), (1, None));
    }

    #[test]
    fn live_orders_first_then_the_ended_and_not_for_ever() {
        let mut model = Model::default();
        item(&mut model, Item::Order(order(OrderState::Running)));
        assert_eq!(model.orders().len(), 1);
        let on = |model: &Model, name: &str| model.live_on(name).is_some();
        assert!(
            on(&model, "agents/h/gateways/moody/instances/moody") && on(&model, "agents/h/gateways/moody")
        );
        assert!(!on(&model, "agents/h/gateways/moody-2/instances/x"));
        item(&mut model, Item::Order(order(OrderState::Succeeded)));
        assert_eq!(model.orders().iter().map(Order::state).collect::<Vec<_>>(), [OrderState::Succeeded]);
        assert!(!on(&model, "agents/h/gateways/moody"));
        for n in 0..2 * ENDED {
            let mut ended = order(OrderState::Failed);
            ended.name = format!("orders/{n}");
            item(&mut model, Item::Order(ended));
        }
        assert_eq!(model.orders().len(), ENDED);
    }
}
