//! Orders through the inbox on a real ledger, with executors that tell when they run and end when they are told to.

use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{AgentId, Fence, Incarnation, Target};
use mooring_core::observation::Observation;
use mooring_core::order::Action;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::executor::{ExecContext, Executor, Outcome, ProcessStatus, Sighting, Sightings};

const LONG: Duration = Duration::from_secs(20);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// An execution that has begun: which, and how to end it.
type Begun = (ExecContext, oneshot::Sender<Outcome>);

#[derive(Debug)]
struct Puppet(mpsc::UnboundedSender<Begun>);

impl Executor for Puppet {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            if context.reason == "panic" {
                panic!("as the test asked");
            }
            let (end, ended) = oneshot::channel();
            self.0.send((context.clone(), end)).unwrap();
            if context.reason == "deaf" {
                return std::future::pending().await;
            }
            tokio::select! {
                outcome = ended => outcome.unwrap_or_else(|_| Outcome::failed("the puppet was dropped")),
                () = cancel.cancelled() => Outcome::failed("gave up when told to"),
            }
        }
        .boxed()
    }
}

struct World {
    folder: TempDir,
    process: watch::Sender<ProcessStatus>,
}

struct Agent {
    inbox: InboxHandle,
    receipts: mpsc::Receiver<Receipt>,
    begun: mpsc::UnboundedReceiver<Begun>,
    sightings: mpsc::Receiver<Sighting>,
    soft: CancellationToken,
    hard: CancellationToken,
    task: JoinHandle<()>,
    _catalogue: watch::Sender<Arc<Catalogue>>,
}

impl World {
    fn new() -> Self {
        let (process, _) =
            watch::channel(ProcessStatus { incarnation: Some(Incarnation(4)), ..ProcessStatus::default() });
        Self { folder: tempfile::tempdir().unwrap(), process }
    }

    fn agent(&self) -> Agent {
        self.agent_in(self.folder.path())
    }

    fn agent_in(&self, folder: &Path) -> Agent {
        let (begun_tx, begun) = mpsc::unbounded_channel();
        let (sightings_tx, sightings) = mpsc::channel(64);
        let (receipts_tx, receipts) = mpsc::channel(1024);
        let catalogue = Arc::new(catalogue(begun_tx, sightings_tx, self.process.subscribe()));
        let (catalogue_tx, catalogue) = watch::channel(catalogue);
        let ledger = Ledger::open(folder, now().wall).unwrap();
        let (inbox, actor) = Inbox::new(ledger, catalogue, receipts_tx);
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(actor.run(soft.clone(), hard.clone()));
        Agent { inbox, receipts, begun, sightings, soft, hard, task, _catalogue: catalogue_tx }
    }
}

fn catalogue(
    begun: mpsc::UnboundedSender<Begun>,
    sightings: Sightings,
    process: watch::Receiver<ProcessStatus>,
) -> Catalogue {
    let puppet = || -> Arc<dyn Executor> { Arc::new(Puppet(begun.clone())) };
    let hands = |restartable: bool| GatewayHands {
        sessions: None,
        restart: restartable.then(puppet),
        instances: ["x", "y"]
            .map(|i| (i.parse().unwrap(), InstanceHands { reconnect: puppet(), restart: None }))
            .into(),
        process: restartable.then(|| process.clone()),
        sightings: sightings.clone(),
    };
    let agent = AgentId::new("a").unwrap();
    Catalogue::new(&agent, [("g".parse().unwrap(), hands(true)), ("bare".parse().unwrap(), hands(false))])
}

impl Agent {
    async fn next(&mut self) -> Receipt {
        tokio::time::timeout(LONG, self.receipts.recv()).await.expect("no receipt came").unwrap()
    }

    async fn says(&mut self, n: u128, stage: Stage) -> String {
        let receipt = self.next().await;
        assert_eq!((receipt.order, receipt.stage), (id(n), stage), "{receipt:?}");
        receipt.message
    }

    async fn begins(&mut self) -> Begun {
        tokio::time::timeout(LONG, self.begun.recv()).await.expect("nothing was begun").unwrap()
    }

    /// Delivers, and awaits the answer to a second message: everything delivered has then been judged.
    async fn deliver(&self, orders: impl IntoIterator<Item = OrderMessage>) {
        self.inbox.deliver(orders.into_iter().collect()).await.unwrap();
    }

    /// As `kill -9` ends an agent.
    async fn die(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        // The executions die with the inbox; the ledger's lock with the last of them.
        tokio::time::timeout(LONG, async {
            while !self.receipts.is_closed() {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
    }
}

fn id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn order(n: u128, target: &str, action: Action) -> OrderMessage {
    let target: Target = format!("agents/a/gateways/{target}").parse().unwrap();
    OrderMessage {
        id: id(n),
        target,
        action,
        fence: Fence(u64::try_from(n).unwrap()),
        incarnation: None,
        valid_for: LONG,
        delay: Duration::from_millis(3),
        time_limit: LONG,
        spread: None,
        reason: "because".to_owned(),
        traceparent: Some(PARENT.to_owned()),
    }
}

fn reconnect(n: u128) -> OrderMessage {
    order(n, "g/instances/x", Action::Reconnect)
}

fn restart(n: u128) -> OrderMessage {
    order(n, "g", Action::RestartGateway)
}

#[tokio::test]
async fn an_order_goes_its_way_from_acceptance_to_its_end() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(1)]).await;
    agent.says(1, Stage::Accepted).await;
    let (context, end) = agent.begins().await;
    assert_eq!((context.order, context.delay, context.time_limit), (id(1), Duration::from_millis(3), LONG));
    assert_eq!(context.traceparent.as_deref(), Some(PARENT));
    let started = agent.next().await;
    assert_eq!(started.stage, Stage::Started);
    // The trackers know before it begins, and whose sessions it is about.
    let sighting = agent.sightings.try_recv().unwrap();
    assert_eq!(
        (sighting.instance, sighting.observation),
        (Some("x".parse().unwrap()), Observation::DisturbanceBegan)
    );
    assert!(agent.sightings.try_recv().is_err());
    end.send(Outcome::done("done it").with_output("printed")).unwrap();
    let done = agent.next().await;
    assert_eq!(
        (done.stage, done.message.as_str(), done.output.as_str()),
        (Stage::Done, "done it", "printed")
    );
    assert_eq!(done.traceparent.as_deref(), Some(PARENT));
    assert!(done.at >= started.at);
    let sighting = tokio::time::timeout(LONG, agent.sightings.recv()).await.unwrap().unwrap();
    assert_eq!(sighting.observation, Observation::DisturbanceEnded);
    agent.deliver([restart(2)]).await;
    agent.says(2, Stage::Accepted).await;
    let (_, end) = agent.begins().await;
    assert_eq!(agent.sightings.try_recv().unwrap().instance, None, "a restart disturbs every instance");
    agent.says(2, Stage::Started).await;
    end.send(Outcome::failed("could not")).unwrap();
    assert_eq!(agent.says(2, Stage::Failed).await, "could not");
}

#[tokio::test]
async fn a_duplicate_is_answered_and_never_carried_out_again() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(1), reconnect(1)]).await;
    agent.says(1, Stage::Accepted).await;
    let (_, end) = agent.begins().await;
    agent.says(1, Stage::Started).await;
    agent.deliver([reconnect(1)]).await;
    agent.says(1, Stage::Started).await;
    end.send(Outcome::done("done it")).unwrap();
    agent.says(1, Stage::Done).await;
    agent.deliver([reconnect(1), reconnect(1)]).await;
    assert_eq!(agent.says(1, Stage::Done).await, "done it");
    agent.says(1, Stage::Done).await;
    assert!(agent.begun.try_recv().is_err());
    // Across a death as well, acknowledged or not.
    agent.inbox.acknowledged(vec![(id(1), Stage::Done)]).await.unwrap();
    agent.inbox.resend().await.unwrap();
    agent.deliver([reconnect(1)]).await;
    agent.says(1, Stage::Done).await;
    agent.die().await;
    let mut agent = world.agent();
    agent.deliver([reconnect(1)]).await;
    assert_eq!(agent.says(1, Stage::Done).await, "done it");
    assert!(agent.begun.try_recv().is_err());
}

#[tokio::test]
async fn killed_while_carrying_out_it_is_reported_and_not_begun_again() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([restart(1), reconnect(2)]).await;
    agent.says(1, Stage::Accepted).await;
    agent.says(2, Stage::Accepted).await;
    let (_, _end) = agent.begins().await;
    agent.says(1, Stage::Started).await;
    agent.die().await;

    let mut agent = world.agent();
    assert!(agent.says(1, Stage::Failed).await.contains("not known whether it took effect"));
    assert!(agent.says(2, Stage::Failed).await.contains("not begun before the agent died"));
    agent.deliver([restart(1), reconnect(2)]).await;
    agent.says(1, Stage::Failed).await;
    agent.says(2, Stage::Failed).await;
    assert!(agent.begun.try_recv().is_err(), "an order was begun a second time");
    // And a later one is taken.
    agent.deliver([restart(3)]).await;
    agent.says(3, Stage::Accepted).await;
    agent.begins().await;
}

#[tokio::test]
async fn what_nobody_acknowledged_is_said_again() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(1), order(2, "g/instances/y", Action::Reconnect)]).await;
    for _ in 0..2 {
        agent.begins().await.1.send(Outcome::done("")).unwrap();
    }
    for _ in 0..6 {
        agent.next().await;
    }
    agent.inbox.acknowledged(vec![(id(1), Stage::Done)]).await.unwrap();
    agent.inbox.resend().await.unwrap();
    agent.says(2, Stage::Done).await;
    agent.die().await;
    let mut agent = world.agent();
    agent.says(2, Stage::Done).await;
    assert!(agent.receipts.try_recv().is_err());
}

#[tokio::test]
async fn what_may_not_be_done_is_refused_with_the_reason() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(10)]).await;
    agent.says(10, Stage::Accepted).await;
    agent.begins().await.1.send(Outcome::done("")).unwrap();
    agent.says(10, Stage::Started).await;
    agent.says(10, Stage::Done).await;
    let stale = OrderMessage { fence: Fence(10), ..reconnect(11) };
    let other_run = OrderMessage { incarnation: Some(Incarnation(3)), ..restart(12) };
    let late = OrderMessage { valid_for: Duration::ZERO, ..reconnect(13) };
    let elsewhere = OrderMessage {
        target: "agents/b/gateways/g".parse().unwrap(),
        ..order(16, "g", Action::RestartGateway)
    };
    for (order, stage, why) in [
        (stale, Stage::Refused, "fence 10 is not above 10"),
        (other_run, Stage::Refused, "run 3 of the gateway's process, which is in run 4"),
        (late, Stage::Expired, "was valid for 0s"),
        (order(14, "g/instances/nobody", Action::Reconnect), Stage::Refused, "is not watched by this agent"),
        (order(15, "none", Action::RestartGateway), Stage::Refused, "is not watched by this agent"),
        (elsewhere, Stage::Refused, "agents/b/gateways/g is not watched by this agent"),
        (order(17, "bare", Action::RestartGateway), Stage::Refused, "nothing is configured"),
        (order(18, "g/instances/x", Action::RestartInstance), Stage::Refused, "nothing is configured"),
        (order(19, "g", Action::Reconnect), Stage::Refused, "aimed at an instance"),
        (order(20, "g/instances/x", Action::RestartGateway), Stage::Refused, "aimed at a gateway"),
    ] {
        let id = order.id.0.as_u128();
        agent.deliver([order.clone()]).await;
        let message = agent.says(id, stage).await;
        assert!(message.contains(why), "{message}");
        // Answered alike when it comes again, though it might be possible by now.
        agent.deliver([OrderMessage { valid_for: LONG, ..order }]).await;
        assert_eq!(agent.says(id, stage).await, message);
    }
    assert!(agent.begun.try_recv().is_err());
    assert!(agent.sightings.recv().await.is_some() && agent.sightings.recv().await.is_some());
    assert!(agent.sightings.try_recv().is_err(), "what is refused disturbs nobody");
    // A refusal takes no fence: this one is above the last that was taken.
    let next = OrderMessage { fence: Fence(11), incarnation: Some(Incarnation(4)), ..reconnect(21) };
    agent.deliver([next]).await;
    agent.says(21, Stage::Accepted).await;
}

#[tokio::test]
async fn fences_hold_within_a_batch_and_across_a_death() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(5), OrderMessage { fence: Fence(4), ..reconnect(6) }]).await;
    agent.says(6, Stage::Refused).await;
    agent.says(5, Stage::Accepted).await;
    agent.die().await;
    let mut agent = world.agent();
    agent.says(6, Stage::Refused).await;
    agent.says(5, Stage::Failed).await;
    agent.deliver([OrderMessage { fence: Fence(5), ..reconnect(7) }]).await;
    assert!(agent.says(7, Stage::Refused).await.contains("fence 5 is not above 5"));
}

#[tokio::test]
async fn the_world_is_looked_at_again_when_the_turn_comes() {
    let world = World::new();
    let mut agent = world.agent();
    let aimed = OrderMessage { incarnation: Some(Incarnation(4)), ..reconnect(2) };
    agent.deliver([restart(1), aimed]).await;
    agent.says(1, Stage::Accepted).await;
    agent.says(2, Stage::Accepted).await;
    let (_, end) = agent.begins().await;
    agent.says(1, Stage::Started).await;
    world.process.send_modify(|status| status.incarnation = Some(Incarnation(5)));
    end.send(Outcome::done("")).unwrap();
    agent.says(1, Stage::Done).await;
    assert!(agent.says(2, Stage::Refused).await.contains("in run 5"));
    assert!(agent.begun.try_recv().is_err());
}

#[tokio::test]
async fn instances_run_beside_each_other_and_a_restart_alone() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([reconnect(1), order(2, "g/instances/y", Action::Reconnect), restart(3)]).await;
    let (first, end_first) = agent.begins().await;
    let (second, end_second) = agent.begins().await;
    assert_eq!([first.order, second.order].iter().filter(|o| [id(1), id(2)].contains(o)).count(), 2);
    end_first.send(Outcome::done("")).unwrap();
    while agent.next().await.stage != Stage::Done {}
    assert!(agent.begun.try_recv().is_err(), "the restart did not wait for both");
    end_second.send(Outcome::done("")).unwrap();
    assert_eq!(agent.begins().await.0.order, id(3));
}

#[tokio::test]
async fn a_flood_is_refused_and_not_stored_up() {
    let world = World::new();
    let mut agent = world.agent();
    let most = u128::try_from(lanes::MAX_QUEUED).unwrap();
    agent.deliver((1..=most + 3).map(reconnect)).await;
    let mut refused = Vec::new();
    for _ in 0..most + 3 {
        let receipt = agent.next().await;
        if receipt.stage == Stage::Refused {
            assert!(receipt.message.contains("run or wait already"), "{receipt:?}");
            refused.push(receipt.order);
        }
    }
    assert_eq!(refused, [id(most + 1), id(most + 2), id(most + 3)]);
}

#[tokio::test]
async fn time_limits_panics_and_deaf_executors_end_as_failures() {
    let world = World::new();
    let mut agent = world.agent();
    let slow = OrderMessage { time_limit: Duration::from_millis(50), ..reconnect(1) };
    agent.deliver([slow]).await;
    agent.says(1, Stage::Accepted).await;
    let _begun = agent.begins().await;
    agent.says(1, Stage::Started).await;
    assert_eq!(agent.says(1, Stage::Failed).await, "gave up when told to");

    agent.deliver([OrderMessage { reason: "panic".to_owned(), ..reconnect(2) }]).await;
    agent.says(2, Stage::Accepted).await;
    agent.says(2, Stage::Started).await;
    assert!(agent.says(2, Stage::Failed).await.contains("mistake in the agent"));

    let deaf =
        OrderMessage { reason: "deaf".to_owned(), time_limit: Duration::from_millis(20), ..reconnect(3) };
    let (begun, mut seen) = mpsc::unbounded_channel();
    let outcome =
        execute::carry_out(&Puppet(begun), &Job::new(deaf, now().mono), Duration::from_millis(20)).await;
    assert!(
        !outcome.ok && outcome.message.contains("did not end within 20ms; it is not known"),
        "{outcome:?}"
    );
    assert!(seen.recv().await.is_some());
}

#[tokio::test]
async fn a_disk_that_refuses_refuses_orders_and_heals() {
    let world = World::new();
    let place = world.folder.path().join("data");
    std::fs::write(&place, "").unwrap();
    let mut agent = world.agent_in(&place);
    agent.deliver([reconnect(1)]).await;
    let message = agent.says(1, Stage::Refused).await;
    assert!(message.contains("cannot be put on record, so it is not carried out"), "{message}");
    assert!(agent.begun.try_recv().is_err());
    std::fs::remove_file(&place).unwrap();
    agent.deliver([reconnect(2)]).await;
    agent.says(2, Stage::Accepted).await;
    agent.begins().await;
}

#[tokio::test]
async fn a_stop_in_order_lets_end_what_runs_and_drops_what_waits() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([restart(1), reconnect(2)]).await;
    agent.says(1, Stage::Accepted).await;
    agent.says(2, Stage::Accepted).await;
    let (_, end) = agent.begins().await;
    agent.says(1, Stage::Started).await;
    agent.soft.cancel();
    assert!(agent.says(2, Stage::Failed).await.contains("stopped before it was begun"));
    assert!(!agent.task.is_finished());
    end.send(Outcome::done("")).unwrap();
    agent.says(1, Stage::Done).await;
    agent.task.await.unwrap();
    assert_eq!(agent.inbox.deliver(vec![reconnect(3)]).await, Err(Stopped));
}

#[tokio::test]
async fn a_hard_stop_leaves_the_answer_to_the_next_agent() {
    let world = World::new();
    let mut agent = world.agent();
    agent.deliver([restart(1)]).await;
    let (_, _end) = agent.begins().await;
    agent.soft.cancel();
    agent.hard.cancel();
    agent.task.await.unwrap();
    while agent.receipts.recv().await.is_some() {}
    let mut agent = world.agent();
    assert!(agent.says(1, Stage::Failed).await.contains("not known whether it took effect"));
}
