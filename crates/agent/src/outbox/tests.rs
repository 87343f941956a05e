//! A model of the controller, and everything that can come between.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{GatewayId, OrderId, PolicyId};
use mooring_core::kind::Kind;
use mooring_core::order::Stage;
use mooring_core::planner::Abilities;
use mooring_core::time::Timestamp;
use mooring_proto::link::{InstanceDecl, from_columns, receipt_from_pb};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::*;

const NOW: Mono = Mono(1_000_000);
const SPREAD: Duration = Duration::from_secs(10);
const LATER: Mono = Mono(60_000_000);

fn gateway(name: &str, incarnation: u64) -> GatewayDecl {
    GatewayDecl {
        handle: 0,
        id: GatewayId::new(name).unwrap(),
        kind: Some(Kind::Websocket),
        address: "ws://a".to_owned(),
        group: PolicyId::new("default").unwrap(),
        labels: BTreeMap::new(),
        abilities: Abilities::from_bits(1),
        incarnation: (incarnation != 0).then_some(Incarnation(incarnation)),
        watch: Vec::new(),
    }
}

fn condition(kind: ConditionKind, status: Status, at: i64) -> Condition {
    Condition {
        kind,
        status,
        cause: (status != Status::True).then_some(Cause::NotYetObserved),
        message: String::new(),
        evidence: Vec::new(),
        since: Timestamp(at * 1_000),
    }
}

fn receipt(n: u64) -> Receipt {
    Receipt {
        order: OrderId(Uuid::from_u128(u128::from(n))),
        stage: Stage::Done,
        at: Timestamp(0),
        message: String::new(),
        output: String::new(),
        traceparent: None,
    }
}

fn terms(resume_after: u64, snapshot: bool) -> Terms {
    Terms { resume_after, snapshot, spread: SPREAD, window: 3 }
}

type View = BTreeMap<String, (Option<u64>, BTreeMap<String, BTreeMap<usize, (Status, Timestamp)>>)>;

/// The other end, as strict as the real one: a gap or an unknown handle is an error, not something to be put up with.
#[derive(Debug, Default)]
struct Controller {
    view: View,
    gateways: HashMap<u32, String>,
    instances: HashMap<u32, (u32, String)>,
    receipts: Vec<OrderId>,
    durable: u64,
    synced: bool,
    /// Names declared since a snapshot began on this stream.
    declared: Option<BTreeSet<(String, Option<String>)>>,
    unacknowledged: usize,
}

impl Controller {
    fn take(&mut self, report: pb::Report) {
        assert!(!report.snapshot_begin || report.sequence > self.durable);
        if report.snapshot_begin {
            self.gateways.clear();
            self.instances.clear();
            self.declared = Some(BTreeSet::new());
            self.synced = false;
        } else {
            assert_eq!(report.sequence, self.durable + 1, "a gap");
        }
        self.durable = report.sequence;
        self.unacknowledged += 1;
        for g in report.gateways {
            let g = GatewayDecl::from_pb(g).unwrap();
            let name = g.id.to_string();
            self.view.entry(name.clone()).or_default().0 = g.incarnation.map(|i| i.0);
            self.declare(&name, None);
            self.gateways.insert(g.handle, name);
        }
        for handle in report.gateways_gone {
            let name = self.gateways.remove(&handle).expect("a gateway that was declared");
            self.instances.retain(|_, (g, _)| *g != handle);
            self.view.remove(&name);
        }
        for i in &report.instances {
            let i = InstanceDecl::from_pb(i).unwrap();
            let gateway = self.gateways[&i.gateway].clone();
            self.declare(&gateway, Some(i.id.to_string()));
            self.view.get_mut(&gateway).unwrap().1.entry(i.id.to_string()).or_default();
            self.instances.insert(i.handle, (i.gateway, i.id.to_string()));
        }
        for handle in report.instances_gone {
            let (gateway, name) = self.instances.remove(&handle).expect("an instance that was declared");
            self.view.get_mut(&self.gateways[&gateway]).unwrap().1.remove(&name);
        }
        for row in report.conditions.map(|c| from_columns(c).unwrap()).unwrap_or_default() {
            let (gateway, name) = &self.instances[&row.instance];
            let instance = self.view.get_mut(&self.gateways[gateway]).unwrap().1.get_mut(name).unwrap();
            instance.insert(row.condition.kind.index(), (row.condition.status, row.condition.since));
        }
        self.receipts.extend(report.receipts.iter().map(|r| receipt_from_pb(r).unwrap().order));
        if report.snapshot_end {
            let declared = self.declared.take().expect("a snapshot that began on this stream");
            self.view.retain(|g, _| declared.contains(&(g.clone(), None)));
            for (g, (_, instances)) in &mut self.view {
                instances.retain(|i, _| declared.contains(&(g.clone(), Some(i.clone()))));
            }
            self.synced = true;
        }
    }

    fn declare(&mut self, gateway: &str, instance: Option<String>) {
        if let Some(declared) = &mut self.declared {
            declared.insert((gateway.to_owned(), instance));
        }
    }

    /// What it says to a new stream.
    fn welcome(&mut self) -> Terms {
        self.declared = None;
        self.unacknowledged = 0;
        match self.synced {
            true => terms(self.durable, false),
            false => terms(0, true),
        }
    }

    /// Forgets everything, as a new controller with an empty database.
    fn replaced(&mut self) {
        let receipts = std::mem::take(&mut self.receipts);
        *self = Self { receipts, ..Self::default() };
    }
}

/// Both ends, and a wire that loses what is on it.
struct World {
    outbox: Outbox,
    controller: Controller,
    /// What the newest state is.
    truth: View,
    handles: HashMap<String, u32>,
    wire: std::collections::VecDeque<pb::Report>,
    attached: bool,
    now: Mono,
    clock: i64,
    receipts: u64,
    durable: Vec<OrderId>,
    rng: StdRng,
}

#[derive(Debug, Clone)]
enum Step {
    Gateway(u8, u64),
    GatewayGone(u8),
    Instance(u8, u8),
    InstanceGone(u8, u8),
    Condition(u8, u8, u8, u8),
    Receipt,
    Incarnation(u8, u64),
    Attach,
    Break,
    Pump,
    Deliver,
    Acknowledge,
    ControllerReplaced,
    Resync,
    TimePasses,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_u8, 0..3_u64).prop_map(|(g, i)| Step::Gateway(g, i)),
        1 => (0..3_u8).prop_map(Step::GatewayGone),
        3 => (0..3_u8, 0..3_u8).prop_map(|(g, i)| Step::Instance(g, i)),
        1 => (0..3_u8, 0..3_u8).prop_map(|(g, i)| Step::InstanceGone(g, i)),
        8 => (0..3_u8, 0..3_u8, 0..5_u8, 0..3_u8).prop_map(|(g, i, k, s)| Step::Condition(g, i, k, s)),
        2 => Just(Step::Receipt),
        1 => (0..3_u8, 0..3_u64).prop_map(|(g, i)| Step::Incarnation(g, i)),
        3 => Just(Step::Attach),
        2 => Just(Step::Break),
        6 => Just(Step::Pump),
        6 => Just(Step::Deliver),
        5 => Just(Step::Acknowledge),
        1 => Just(Step::ControllerReplaced),
        1 => Just(Step::Resync),
        2 => Just(Step::TimePasses),
    ]
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            outbox: Outbox::new(),
            controller: Controller::default(),
            truth: View::new(),
            handles: HashMap::new(),
            wire: std::collections::VecDeque::new(),
            attached: false,
            now: NOW,
            clock: 0,
            receipts: 0,
            durable: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    fn attach(&mut self) {
        self.wire.clear();
        let terms = self.controller.welcome();
        let durable = self.outbox.attached(terms, self.now, &mut self.rng);
        self.durable.extend(durable.into_iter().map(|r| r.order));
        self.attached = true;
    }

    fn pump(&mut self) {
        while let Some(report) = self.outbox.next_report(self.now) {
            assert!(self.attached, "a report without a stream");
            self.wire.push_back(report);
        }
    }

    fn deliver(&mut self) {
        if let Some(report) = self.wire.pop_front() {
            self.controller.take(report);
            assert!(self.controller.unacknowledged <= 3, "more than the window");
        }
    }

    fn acknowledge(&mut self) {
        if self.attached {
            self.controller.unacknowledged = 0;
            let durable = self.outbox.acknowledged(self.controller.durable);
            self.durable.extend(durable.into_iter().map(|r| r.order));
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Gateway(g, incarnation) => {
                let name = format!("g{g}");
                let handle = self.outbox.declare_gateway(gateway(&name, incarnation));
                self.handles.insert(name.clone(), handle);
                self.truth.entry(name).or_default().0 = (incarnation != 0).then_some(incarnation);
            }
            Step::GatewayGone(g) => {
                let name = format!("g{g}");
                if self.truth.remove(&name).is_some() {
                    self.outbox.gateway_gone(self.handles[&name]);
                }
            }
            Step::Instance(g, i) => {
                let (g, i) = (format!("g{g}"), format!("i{i}"));
                if let Some((_, instances)) = self.truth.get_mut(&g) {
                    let id = InstanceId::new(&i).unwrap();
                    let handle = self.outbox.declare_instance(self.handles[&g], id).unwrap();
                    self.handles.insert(format!("{g}/{i}"), handle);
                    // A new watch tells where it begins from.
                    let fresh = instances.entry(i.clone()).or_default();
                    for kind in ConditionKind::ALL {
                        self.clock += 1;
                        self.outbox.condition(handle, condition(kind, Status::Unknown, self.clock), None);
                        fresh.insert(kind.index(), (Status::Unknown, Timestamp(self.clock * 1_000)));
                    }
                }
            }
            Step::InstanceGone(g, i) => {
                let (g, i) = (format!("g{g}"), format!("i{i}"));
                if self.truth.get_mut(&g).and_then(|(_, instances)| instances.remove(&i)).is_some() {
                    self.outbox.instance_gone(self.handles[&format!("{g}/{i}")]);
                }
            }
            Step::Condition(g, i, k, s) => {
                let (g, i) = (format!("g{g}"), format!("i{i}"));
                let kind = ConditionKind::from_index(k.into()).unwrap();
                let status = Status::from_code(s).unwrap();
                self.clock += 1;
                let instance = self.truth.get_mut(&g).and_then(|(_, instances)| instances.get_mut(&i));
                if let Some(instance) = instance {
                    instance.insert(kind.index(), (status, Timestamp(self.clock * 1_000)));
                    let handle = self.handles[&format!("{g}/{i}")];
                    self.outbox.condition(handle, condition(kind, status, self.clock), None);
                }
            }
            Step::Receipt => {
                self.receipts += 1;
                self.outbox.receipt(receipt(self.receipts));
            }
            Step::Incarnation(g, incarnation) => {
                let incarnation = (incarnation != 0).then_some(incarnation);
                if let Some(entry) = self.truth.get_mut(&format!("g{g}")) {
                    entry.0 = incarnation;
                    let handle = self.handles[&format!("g{g}")];
                    self.outbox.gateway_changed(handle, incarnation.map(Incarnation));
                }
            }
            Step::Attach => self.attach(),
            Step::Break => {
                self.outbox.detached();
                self.attached = false;
                self.wire.clear();
            }
            Step::Pump => self.pump(),
            Step::Deliver => self.deliver(),
            Step::Acknowledge => self.acknowledge(),
            Step::ControllerReplaced => {
                self.apply(Step::Break);
                self.controller.replaced();
            }
            Step::Resync => {
                if self.attached {
                    // It asks because something never arrived.
                    self.wire.clear();
                    self.outbox.resync(SPREAD, self.now, &mut self.rng);
                }
            }
            Step::TimePasses => self.now = self.now.after(Duration::from_secs(4)),
        }
    }

    /// The network is well again for long enough.
    fn settle(&mut self) {
        self.attach();
        self.now = self.now.after(SPREAD);
        for _ in 0..100 {
            self.pump();
            while !self.wire.is_empty() {
                self.deliver();
            }
            self.acknowledge();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_controller_ends_up_with_the_newest_state_and_every_receipt(
        steps in prop::collection::vec(step(), 0..120),
        seed: u64,
    ) {
        let mut world = World::new(seed);
        for step in steps {
            world.apply(step);
        }
        world.settle();
        prop_assert!(world.outbox.settled(), "{:?}", world.outbox.usage());
        prop_assert_eq!(&world.controller.view, &world.truth);
        let delivered: BTreeSet<OrderId> = world.controller.receipts.iter().copied().collect();
        let all: BTreeSet<OrderId> = (1..=world.receipts).map(|n| receipt(n).order).collect();
        prop_assert_eq!(&delivered, &all);
        // Each is said to be durable exactly once: the ledger is told to forget it.
        let mut durable = world.durable.clone();
        durable.sort();
        prop_assert_eq!(durable, all.into_iter().collect::<Vec<_>>());
    }
}

fn attached() -> (Outbox, StdRng, u32) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut outbox = Outbox::new();
    let g = outbox.declare_gateway(gateway("g", 0));
    let i = outbox.declare_instance(g, InstanceId::new("i").unwrap()).unwrap();
    outbox.attached(Terms { spread: Duration::ZERO, window: 2, ..terms(0, true) }, NOW, &mut rng);
    let first = outbox.next_report(NOW).unwrap();
    assert!(first.snapshot_begin && first.snapshot_end && first.sequence == 1);
    outbox.acknowledged(1);
    assert!(outbox.settled());
    (outbox, rng, i)
}

#[test]
fn what_was_not_sent_is_overwritten_and_what_was_sent_is_history() {
    let (mut outbox, mut rng, i) = attached();
    outbox.condition(i, condition(ConditionKind::Reachable, Status::False, 1), None);
    let sent = outbox.next_report(NOW).unwrap();
    outbox.detached();
    for n in 2..1_000 {
        let status = if n % 2 == 0 { Status::True } else { Status::False };
        outbox.condition(i, condition(ConditionKind::Reachable, status, n), None);
    }
    assert_eq!(outbox.next_report(NOW), None, "no stream");
    assert_eq!(outbox.usage().pending, 1);
    outbox.attached(terms(1, false), NOW, &mut rng);
    assert_eq!(outbox.next_report(NOW).as_ref(), Some(&sent), "again, unchanged");
    let newest = outbox.next_report(NOW).unwrap();
    let rows = from_columns(newest.conditions.unwrap()).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].condition.since, Timestamp(999_000));
    assert_eq!(outbox.next_report(NOW), None);
}

#[test]
fn the_window_is_kept_and_changes_wait_together() {
    let (mut outbox, _, i) = attached();
    for n in 0..2 {
        outbox.condition(i, condition(ConditionKind::Beating, Status::False, n), None);
        assert!(outbox.next_report(NOW).is_some());
    }
    outbox.condition(i, condition(ConditionKind::Beating, Status::True, 3), None);
    outbox.condition(i, condition(ConditionKind::Stable, Status::True, 3), None);
    assert_eq!(outbox.next_report(NOW), None, "two are under way");
    outbox.acknowledged(2);
    assert_eq!(outbox.next_report(NOW).unwrap().conditions.unwrap().instance.len(), 2);
}

#[test]
fn a_snapshot_tells_what_is_wrong_at_once_and_the_rest_in_its_time() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut outbox = Outbox::new();
    let g = outbox.declare_gateway(gateway("g", 0));
    for n in 0..10_000 {
        let i = outbox.declare_instance(g, InstanceId::new(format!("i{n}")).unwrap()).unwrap();
        let status = if n == 77 { Status::False } else { Status::True };
        outbox.condition(i, condition(ConditionKind::Reachable, status, n), None);
    }
    outbox.attached(Terms { window: 100, ..terms(0, true) }, NOW, &mut rng);
    let due = outbox.due(NOW).expect("the bulk waits");
    assert!(due > NOW && due <= NOW.after(SPREAD));
    let first = outbox.next_report(NOW).unwrap();
    assert!(first.snapshot_begin && !first.snapshot_end);
    assert_eq!(first.instances.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["i77"]);
    assert_eq!(outbox.next_report(NOW), None);
    assert_eq!(outbox.due(LATER), None, "nobody waits for a moment that has passed");
    let mut rest = Vec::new();
    while let Some(report) = outbox.next_report(LATER) {
        assert!(report.conditions.as_ref().is_some_and(|c| c.instance.len() <= report::MAX_ROWS));
        rest.push(report);
    }
    assert_eq!(rest.len(), 3, "4,096 rows a report");
    assert!(rest.iter().all(|r| !r.snapshot_begin));
    assert!(rest.pop().unwrap().snapshot_end);
}

#[test]
fn a_report_keeps_its_size_whatever_the_words() {
    use prost::Message as _;
    let mut rng = StdRng::seed_from_u64(7);
    let mut outbox = Outbox::new();
    let g = outbox.declare_gateway(gateway("g", 0));
    for n in 0..500 {
        let i = outbox.declare_instance(g, InstanceId::new(format!("i{n}")).unwrap()).unwrap();
        for kind in ConditionKind::ALL {
            let evidence = (0..16).map(|k| (format!("key.{k}"), "x".repeat(512))).collect();
            let wordy = Condition { message: "y".repeat(512), evidence, ..condition(kind, Status::False, n) };
            outbox.condition(i, wordy, None);
        }
        outbox.receipt(Receipt { output: "z".repeat(1 << 20), ..receipt(1) });
    }
    outbox.attached(Terms { spread: Duration::ZERO, window: 1_000, ..terms(0, true) }, NOW, &mut rng);
    let mut reports = 0;
    while let Some(report) = outbox.next_report(NOW) {
        assert!(report.encoded_len() < 2 << 20, "{}", report.encoded_len());
        reports += 1;
    }
    assert!(reports > 10);
}

#[test]
fn a_controller_that_lost_what_it_acknowledged_is_told_everything() {
    let (mut outbox, mut rng, i) = attached();
    outbox.condition(i, condition(ConditionKind::Linked, Status::False, 5), None);
    assert_eq!(outbox.next_report(NOW).map(|r| r.sequence), Some(2));
    outbox.acknowledged(2);
    outbox.detached();
    // From a backup: it believes to have seen report 1 only.
    outbox.attached(terms(1, false), NOW, &mut rng);
    let report = outbox.next_report(LATER).unwrap();
    assert!(report.snapshot_begin && report.snapshot_end && report.sequence == 3);
    // Or it has numbers from a future that did not happen.
    outbox.attached(terms(40, false), NOW, &mut rng);
    assert_eq!(outbox.next_report(LATER).map(|r| (r.sequence, r.snapshot_begin)), Some((41, true)));
}
