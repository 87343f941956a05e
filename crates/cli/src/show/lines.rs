//! Turns a watch into lines: one for each change that a person would call one.
//!
//! A watch sends an instance whenever anything of it changes, its etag included. What is worth a line is another phase,
//! another cause or failing condition; for an order, another state. After a break without resumption everything comes again, and
//! only what differs from before is said.

use std::collections::{BTreeMap, BTreeSet};

use mooring_proto::v1::watch_response::Item;
use mooring_proto::v1::{Instance, Order, Phase, WatchResponse};

use super::{Look, instance, order, short};
use crate::text::Text;

/// What of an instance is worth a line when it changes: what the line shows, its numbers left out. Whether it is stale
/// is not: that an agent came or went is said once, not for each of its instances.
type Face = (Phase, Option<(String, String)>);

/// Remembers what was said last.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    instances: BTreeMap<String, Face>,
    orders: BTreeMap<String, i32>,
    /// Instances that have not come again since the watch began anew.
    unseen: BTreeSet<String>,
}

impl Lines {
    /// The watch began; not resumed, what does not come again before the bookmark is gone.
    pub(crate) fn began(&mut self, resumed: bool) {
        self.unseen = if resumed { BTreeSet::new() } else { self.instances.keys().cloned().collect() };
    }

    /// The lines for one step of the watch.
    pub(crate) fn step(&mut self, step: &WatchResponse, look: &Look) -> Vec<String> {
        match &step.item {
            Some(Item::Instance(instance)) => self.instance(instance, look).into_iter().collect(),
            Some(Item::Order(order)) => self.order(order, look).into_iter().collect(),
            Some(Item::Gone(name)) => self.gone(name, look).into_iter().collect(),
            Some(Item::Bookmark(bookmark)) if bookmark.snapshot_complete => {
                let gone = std::mem::take(&mut self.unseen);
                gone.iter().filter_map(|name| self.gone(name, look)).collect()
            }
            Some(Item::Bookmark(_)) | None => Vec::new(),
        }
    }

    fn instance(&mut self, new: &Instance, look: &Look) -> Option<String> {
        self.unseen.remove(&new.name);
        let why = instance::telling(new).map(|c| (c.r#type.clone(), c.cause.clone()));
        let face: Face = (new.phase(), why);
        let changed = self.instances.get(&new.name) != Some(&face);
        self.instances.insert(new.name.clone(), face);
        changed.then(|| instance::line(new, look))
    }

    fn order(&mut self, new: &Order, look: &Look) -> Option<String> {
        let known = self.orders.get(&new.name);
        let (first, changed) = (known.is_none(), known != Some(&new.state));
        if crate::client::over(new.state()) {
            // Kept would grow for ever; an ended order does not change any more, and comes again only in a snapshot.
            let was_live = self.orders.remove(&new.name).is_some();
            return (changed && (was_live || self.unseen.is_empty())).then(|| order::line(new, first, look));
        }
        self.orders.insert(new.name.clone(), new.state);
        changed.then(|| order::line(new, first, look))
    }

    fn gone(&mut self, name: &str, look: &Look) -> Option<String> {
        self.unseen.remove(name);
        self.instances.remove(name)?;
        Some(format!("{}  {}", short(name), Text::Gone.of(look.lang)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{healthy, look, order, sick};
    use mooring_core::cause::Lang;
    use mooring_proto::v1::{Bookmark, OrderState};

    fn step(lines: &mut Lines, item: Item) -> Vec<String> {
        lines.step(&WatchResponse { item: Some(item), resume_token: String::new() }, &look(Lang::En))
    }

    fn complete() -> Item {
        Item::Bookmark(Bookmark { snapshot_complete: true, ..Bookmark::default() })
    }

    #[test]
    fn only_changes_are_said() {
        let mut lines = Lines::default();
        lines.began(false);
        assert_eq!(step(&mut lines, Item::Instance(healthy("h", "moody", "moody"))), ["h/moody  Healthy"]);
        let mut again = healthy("h", "moody", "moody");
        again.etag = "other".to_owned();
        again.live_order = "orders/x".to_owned();
        assert!(step(&mut lines, Item::Instance(again)).is_empty());
        assert_eq!(step(&mut lines, Item::Instance(sick("h", "moody", "moody"))).len(), 1);
        assert_eq!(step(&mut lines, Item::Order(order(OrderState::Pending))).len(), 1);
        assert!(step(&mut lines, Item::Order(order(OrderState::Pending))).is_empty());
        assert_eq!(step(&mut lines, Item::Order(order(OrderState::Succeeded))).len(), 1);
        assert!(lines.orders.is_empty());
        assert_eq!(step(&mut lines, Item::Gone(sick("h", "moody", "moody").name)), ["h/moody  gone"]);
        assert!(step(&mut lines, Item::Gone("agents/h/gateways/x/instances/x".to_owned())).is_empty());
    }

    #[test]
    fn what_vanished_during_a_break_is_said_once() {
        let mut lines = Lines::default();
        lines.began(false);
        step(&mut lines, Item::Instance(healthy("h", "a", "a")));
        step(&mut lines, Item::Instance(healthy("h", "b", "b")));
        assert!(step(&mut lines, complete()).is_empty());
        lines.began(false);
        assert!(step(&mut lines, Item::Instance(healthy("h", "a", "a"))).is_empty());
        assert_eq!(step(&mut lines, complete()), ["h/b  gone"]);
        lines.began(true);
        assert!(step(&mut lines, complete()).is_empty());
    }
}
