//! The newest state of everything that is watched, and which of it the controller has not been told.

use std::collections::{BTreeMap, HashMap, VecDeque};

use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{GatewayId, Incarnation, InstanceId};
use mooring_core::session::SessionCounts;
use mooring_proto::link::{ConditionChange, GatewayDecl, InstanceDecl};

/// Something to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Gateway(u32),
    Instance(u32),
}

#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) decl: GatewayDecl,
    mark: Mark,
    pub(super) gone: bool,
    /// Whether it is described otherwise than it was told.
    redeclare: bool,
    /// Its sessions in numbers, once there are any.
    counts: Option<SessionCounts>,
    /// Whether they have changed since they were told.
    counted: bool,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) decl: InstanceDecl,
    mark: Mark,
    pub(super) gone: bool,
    conditions: [Option<(Condition, Option<String>)>; 5],
    /// Bit i: condition i has changed since it was told.
    dirty: u8,
}

/// What is known to have been told of an entry.
#[derive(Debug, Default)]
struct Mark {
    /// The generation in which it was declared; zero: never.
    told: u32,
    queued: bool,
}

/// Everything, by handle.
#[derive(Debug)]
pub(super) struct Book {
    generation: u32,
    next_handle: u32,
    gateways: BTreeMap<u32, Gateway>,
    instances: BTreeMap<u32, Instance>,
    gateway_names: HashMap<GatewayId, u32>,
    instance_names: HashMap<(u32, InstanceId), u32>,
    /// What has something to tell, in the order in which it first had.
    queue: VecDeque<Key>,
    /// Where the bulk of a snapshot has come to.
    cursor: (u32, u32),
}

impl Default for Book {
    fn default() -> Self {
        Self {
            generation: 1,
            next_handle: 1,
            gateways: BTreeMap::new(),
            instances: BTreeMap::new(),
            gateway_names: HashMap::new(),
            instance_names: HashMap::new(),
            queue: VecDeque::new(),
            cursor: (0, 0),
        }
    }
}

impl Book {
    pub(super) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Those included whose end is yet to be told.
    pub(super) fn gateways(&self) -> usize {
        self.gateways.len()
    }

    /// Those included whose end is yet to be told.
    pub(super) fn instances(&self) -> usize {
        self.instances.len()
    }

    fn new_handle(&mut self) -> u32 {
        // Four billion declarations in one boot would need a reload every second for a century.
        let handle = self.next_handle;
        self.next_handle = self.next_handle.saturating_add(1);
        handle
    }

    pub(super) fn declare_gateway(&mut self, mut decl: GatewayDecl) -> u32 {
        let known = self.gateway_names.get(&decl.id).copied();
        let handle = known.unwrap_or_else(|| self.new_handle());
        decl.handle = handle;
        match self.gateways.get_mut(&handle) {
            Some(gateway) => {
                gateway.decl = decl;
                gateway.gone = false;
                gateway.redeclare = true;
            }
            None => {
                self.gateway_names.insert(decl.id.clone(), handle);
                self.gateways.insert(
                    handle,
                    Gateway {
                        decl,
                        mark: Mark::default(),
                        gone: false,
                        redeclare: true,
                        counts: None,
                        counted: false,
                    },
                );
            }
        }
        self.enqueue(Key::Gateway(handle));
        handle
    }

    pub(super) fn declare_instance(&mut self, gateway: u32, id: InstanceId) -> Option<u32> {
        self.gateways.get(&gateway).filter(|g| !g.gone)?;
        let name = (gateway, id);
        let handle = match self.instance_names.get(&name).copied() {
            Some(handle) => handle,
            None => self.new_handle(),
        };
        match self.instances.get_mut(&handle) {
            Some(instance) => instance.gone = false,
            None => {
                let decl = InstanceDecl { handle, gateway, id: name.1.clone() };
                self.instance_names.insert(name, handle);
                let instance = Instance {
                    decl,
                    mark: Mark::default(),
                    gone: false,
                    conditions: std::array::from_fn(|_| None),
                    dirty: 0,
                };
                self.instances.insert(handle, instance);
            }
        }
        self.enqueue(Key::Instance(handle));
        Some(handle)
    }

    pub(super) fn set_incarnation(&mut self, gateway: u32, incarnation: Option<Incarnation>) {
        let Some(entry) = self.gateways.get_mut(&gateway).filter(|g| !g.gone) else { return };
        if entry.decl.incarnation != incarnation {
            entry.decl.incarnation = incarnation;
            entry.redeclare = true;
            self.enqueue(Key::Gateway(gateway));
        }
    }

    pub(super) fn gateway_gone(&mut self, gateway: u32) {
        let Some(entry) = self.gateways.get_mut(&gateway).filter(|g| !g.gone) else { return };
        entry.gone = true;
        let of_it = |(h, i): (&u32, &Instance)| (i.decl.gateway == gateway).then_some(*h);
        let instances: Vec<u32> = self.instances.iter().filter_map(of_it).collect();
        for instance in instances {
            self.instance_gone(instance);
        }
        // After its instances: once the gateway is forgotten, they cannot be named any more.
        self.enqueue(Key::Gateway(gateway));
    }

    pub(super) fn instance_gone(&mut self, instance: u32) {
        let Some(entry) = self.instances.get_mut(&instance).filter(|i| !i.gone) else { return };
        entry.gone = true;
        entry.conditions = std::array::from_fn(|_| None);
        entry.dirty = 0;
        self.enqueue(Key::Instance(instance));
    }

    pub(super) fn set_condition(&mut self, instance: u32, condition: Condition, traceparent: Option<String>) {
        let Some(entry) = self.instances.get_mut(&instance).filter(|i| !i.gone) else { return };
        let index = condition.kind.index();
        entry.dirty |= 1 << index;
        entry.conditions[index] = Some((condition, traceparent));
        self.enqueue(Key::Instance(instance));
    }

    /// The sessions of a gateway, in numbers.
    pub(super) fn set_counts(&mut self, gateway: u32, counts: SessionCounts) {
        let Some(entry) = self.gateways.get_mut(&gateway).filter(|g| !g.gone) else { return };
        if entry.counts.as_ref() == Some(&counts) {
            return;
        }
        entry.counts = Some(counts);
        entry.counted = true;
        self.enqueue(Key::Gateway(gateway));
    }

    /// The controller knows nothing any more. Only what is wrong stays in the queue; the rest is for the bulk.
    pub(super) fn next_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
        self.cursor = (0, 0);
        self.queue.clear();
        // What is gone need not be declared, and so not be taken back.
        let gone: Vec<u32> = self.instances.iter().filter(|(_, i)| i.gone).map(|(h, _)| *h).collect();
        gone.into_iter().for_each(|h| self.forget_instance(h));
        let gone: Vec<u32> = self.gateways.iter().filter(|(_, g)| g.gone).map(|(h, _)| *h).collect();
        gone.into_iter().for_each(|h| self.forget_gateway(h));
        for gateway in self.gateways.values_mut() {
            gateway.mark.queued = false;
        }
        for (handle, instance) in &mut self.instances {
            instance.mark.queued = instance.wrong();
            if instance.mark.queued {
                self.queue.push_back(Key::Instance(*handle));
            }
        }
    }

    fn enqueue(&mut self, key: Key) {
        let mark = match key {
            Key::Gateway(handle) => self.gateways.get_mut(&handle).map(|g| &mut g.mark),
            Key::Instance(handle) => self.instances.get_mut(&handle).map(|i| &mut i.mark),
        };
        if let Some(mark) = mark.filter(|m| !m.queued) {
            mark.queued = true;
            self.queue.push_back(key);
        }
    }

    /// The next thing to tell, which is thereby told.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let key = self.queue.pop_front()?;
        match key {
            Key::Gateway(handle) => self.gateways.get_mut(&handle).map(|g| g.mark.queued = false),
            Key::Instance(handle) => self.instances.get_mut(&handle).map(|i| i.mark.queued = false),
        };
        Some(key)
    }

    /// The next thing that was not told in this generation, in the order of handles; gateways first.
    pub(super) fn next_untold(&mut self) -> Option<Key> {
        let generation = self.generation;
        let gateway =
            self.gateways.range(self.cursor.0..).find(|(_, g)| !g.gone && g.mark.told != generation);
        if let Some((handle, _)) = gateway {
            self.cursor.0 = *handle;
            return Some(Key::Gateway(*handle));
        }
        self.cursor.0 = self.next_handle;
        let instance =
            self.instances.range(self.cursor.1..).find(|(_, i)| !i.gone && i.mark.told != generation);
        let handle = instance.map(|(handle, _)| *handle);
        self.cursor.1 = handle.unwrap_or(self.next_handle);
        handle.map(Key::Instance)
    }

    pub(super) fn gateway(&self, handle: u32) -> Option<&Gateway> {
        self.gateways.get(&handle)
    }

    pub(super) fn instance(&self, handle: u32) -> Option<&Instance> {
        self.instances.get(&handle)
    }

    /// Whether the controller knows this handle.
    pub(super) fn knows(&self, key: Key) -> bool {
        let told = match key {
            Key::Gateway(handle) => self.gateways.get(&handle).map(|g| g.mark.told),
            Key::Instance(handle) => self.instances.get(&handle).map(|i| i.mark.told),
        };
        told == Some(self.generation)
    }

    /// A gateway is in a report: its declaration, if it is to be made, and its numbers, if they are to be told.
    pub(super) fn gateway_told(
        &mut self,
        handle: u32,
    ) -> Option<(Option<&GatewayDecl>, Option<&SessionCounts>)> {
        let gateway = self.gateways.get_mut(&handle)?;
        let again = gateway.mark.told != self.generation;
        gateway.mark.told = self.generation;
        let declare = std::mem::take(&mut gateway.redeclare) || again;
        let count = std::mem::take(&mut gateway.counted) || again;
        Some((declare.then_some(&gateway.decl), gateway.counts.as_ref().filter(|_| count)))
    }

    /// An instance is in a report: its declaration if it is to be made, and the conditions to tell: all of them with
    /// a declaration, otherwise those that changed.
    pub(super) fn instance_told(
        &mut self,
        handle: u32,
    ) -> Option<(Option<InstanceDecl>, Vec<ConditionChange>)> {
        let instance = self.instances.get_mut(&handle)?;
        let declare = instance.mark.told != self.generation;
        instance.mark.told = self.generation;
        let dirty = std::mem::take(&mut instance.dirty);
        let rows = ConditionKind::ALL
            .into_iter()
            .filter(|kind| declare || dirty & (1 << kind.index()) != 0)
            .filter_map(|kind| instance.conditions[kind.index()].as_ref())
            .map(|(condition, traceparent)| ConditionChange {
                instance: handle,
                condition: condition.clone(),
                traceparent: traceparent.clone(),
            })
            .collect();
        Some((declare.then(|| instance.decl.clone()), rows))
    }

    pub(super) fn forget_gateway(&mut self, handle: u32) {
        if let Some(gateway) = self.gateways.remove(&handle) {
            self.gateway_names.remove(&gateway.decl.id);
        }
    }

    pub(super) fn forget_instance(&mut self, handle: u32) {
        if let Some(instance) = self.instances.remove(&handle) {
            self.instance_names.remove(&(instance.decl.gateway, instance.decl.id));
        }
    }
}

impl Instance {
    /// Whether something is wrong with it: what a snapshot tells first.
    fn wrong(&self) -> bool {
        self.conditions.iter().flatten().any(|(condition, _)| condition.status == Status::False)
    }
}
