//! The agents' link against agents that lie, flood, return, and come twice.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::to_columns;
use mooring_proto::v1::{
    ConditionStatus, CreateOrderRequest, GetOrderRequest, OrderAction, OrderState, Phase,
};
use mooring_tests::agents::{
    Down, Link, Obedience, Settings, Shape, Simulated, Tally, Up, Who, condition, now, sick,
};
use mooring_tests::postgres::fresh_database;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, World};
use tonic::Code;

/// A controller without an agent of its own.
async fn controller(settings: &[(&str, &str)]) -> World {
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    for (section, line) in settings {
        world.set("controller.toml", section, line);
    }
    world.start_controller().await;
    world
}

/// An agent that keeps the rules, in sync.
async fn good(world: &World, id: &str, shape: Shape) -> Simulated {
    let agent = Simulated::start(&world.agents_address, Who::new(id), shape, Settings::default()).await;
    agent.expect("it is let in")
}

/// Proves that a stream still works: what it reports becomes durable.
async fn untouched(agent: &Simulated) {
    let change = condition(1, ConditionKind::Stable, Status::True, None, now());
    agent.report(vec![change]).await.expect("its reports are acknowledged");
    assert!(agent.is_attached());
}

/// An agent that has said `Hello` and told a snapshot of this shape by hand, as report 1.
async fn by_hand(world: &World, who: &Who, shape: &Shape) -> Link {
    let mut link =
        Link::open(&world.agents_address, who.token.as_deref(), who.hello()).await.expect("it is let in");
    assert!(link.welcome.snapshot, "{:?}", link.welcome);
    for report in shape.snapshot(&[]) {
        link.report(pb::Report { sequence: 1, ..report }).await;
    }
    link.acked(1).await.expect("the snapshot is taken");
    link
}

/// What becomes of an agent that sends this as its report 2, while another's stream goes on.
async fn refused(world: &World, bystander: &Simulated, report: pb::Report) -> tonic::Status {
    let mut link = by_hand(world, &Who::new("liar"), &Shape::new(1, 2)).await;
    link.report(pb::Report { sequence: 2, ..report }).await;
    let status = link.ended().await;
    untouched(bystander).await;
    status
}

#[tokio::test]
async fn a_bound_token_admits_its_own_agent_and_no_other() {
    let (bound, free) = ("0123456789abcdef-bound", "0123456789abcdef-free");
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    let file = world.file("join-tokens");
    std::fs::write(&file, format!("agent-a:{bound}\n{free}\n")).expect("tokens");
    world.set("controller.toml", "agents", &format!("join_tokens_file = {file:?}"));
    world.start_controller().await;
    let open = async |who: Who| Link::open(&world.agents_address, who.token.as_deref(), who.hello()).await;

    let other = open(Who::new("agent-b").with_token(bound)).await.expect_err("it is bound to agent-a");
    assert_eq!(other.code(), Code::PermissionDenied, "{other:?}");
    assert!(other.message().contains("agent-a"), "{other:?}");
    for (who, why) in [
        (Who::new("agent-a"), "without a token"),
        (Who::new("agent-a").with_token("0123456789abcdef-other"), "with a token nobody has"),
    ] {
        let refused = open(who).await.expect_err(why);
        assert_eq!(refused.code(), Code::Unauthenticated, "{why}: {refused:?}");
        assert!(!refused.message().contains("0123456789"), "no token is shown: {refused:?}");
    }
    open(Who::new("agent-a").with_token(bound)).await.expect("its own agent");
    open(Who::new("agent-b").with_token(free)).await.expect("a token that is bound to nobody");
}

#[tokio::test]
async fn a_handle_that_was_never_bound_ends_that_stream_and_no_other() {
    let world = controller(&[]).await;
    let bystander = good(&world, "bystander", Shape::new(1, 2)).await;
    // Handle 2 exists at both, 3 at neither: handles mean nothing outside their own stream.
    let report =
        pb::Report { conditions: Some(to_columns(&[sick(3, Cause::SessionLost)])), ..Default::default() };
    let status = refused(&world, &bystander, report).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("conditions.instance"), "{status:?}");
    let orphan = pb::Instance { handle: 9, gateway: 7, id: "x".to_owned() };
    let status =
        refused(&world, &bystander, pb::Report { instances: vec![orphan], ..Default::default() }).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("instances.gateway"), "{status:?}");
    // What it said of its own instance is about its own, whatever another's has as a name.
    let name = bystander.shape.instance_name("bystander", 2);
    assert_eq!(world.api.instance(&name).await.expect("it is there").phase(), Phase::Healthy);
}

#[tokio::test]
async fn columns_that_make_no_sense_are_refused_with_the_field() {
    let world = controller(&[]).await;
    let bystander = good(&world, "bystander", Shape::new(1, 1)).await;
    let sound = || to_columns(&[sick(1, Cause::SessionLost)]);
    let mut short = sound();
    short.cause.clear();
    let mut code = sound();
    code.condition_status[0] = 4 * 77;
    let mut status_code = sound();
    status_code.condition_status[0] = 3;
    let mut row = sound();
    row.details.push(pb::Detail { row: u32::MAX, ..Default::default() });
    let mut time = sound();
    time.base_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 });
    let many = pb::ConditionChanges {
        instance: vec![1; 20_000],
        condition_status: vec![2; 20_000],
        cause: vec![0; 20_000],
        since_offset_us: vec![0; 20_000],
        ..Default::default()
    };
    for (columns, field) in [
        (short, "conditions.cause"),
        (code, "conditions.condition_status"),
        (status_code, "conditions.condition_status"),
        (row, "conditions.details.row"),
        (time, "conditions.base_time"),
        (many, "at most 16384"),
    ] {
        let report = pb::Report { conditions: Some(columns), ..Default::default() };
        let status = refused(&world, &bystander, report).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        assert!(status.message().contains(field), "{field}: {status:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_the_limit() {
    let world = controller(&[("agents", "max_instances_per_agent = 50\nmax_gateways_per_agent = 5")]).await;
    let bystander = good(&world, "bystander", Shape::new(1, 2)).await;
    let open = async |hello: pb::Hello| Link::open(&world.agents_address, None, hello).await;

    // Said beforehand: refused before anything is read.
    let honest = open(pb::Hello { instances: 51, ..Who::new("large").hello() }).await.expect_err("too many");
    assert_eq!(honest.code(), Code::ResourceExhausted, "{honest:?}");
    assert!(honest.message().contains("at most 50"), "{honest:?}");
    let honest = open(pb::Hello { gateways: 6, ..Who::new("large").hello() }).await.expect_err("too many");
    assert!(honest.message().contains("at most 5"), "{honest:?}");

    // Not said: refused when it shows.
    let instances =
        (3..=60).map(|i| pb::Instance { handle: i, gateway: 1, id: Shape::instance_id(i) }).collect();
    let status = refused(&world, &bystander, pb::Report { instances, ..Default::default() }).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("more than 50"), "{status:?}");
    let shape = Shape::new(6, 0);
    let gateways = (2..=6).map(|g| shape.gateway(g)).collect();
    let status = refused(&world, &bystander, pb::Report { gateways, ..Default::default() }).await;
    assert!(status.message().contains("more than 5"), "{status:?}");

    // A report beyond 4 MiB is not even decoded.
    let receipt = pb::Receipt { output: "x".repeat(5 << 20), ..Default::default() };
    let status =
        refused(&world, &bystander, pb::Report { receipts: vec![receipt], ..Default::default() }).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("too large"), "{status:?}");
}

#[tokio::test]
async fn more_reports_than_the_window_end_the_stream() {
    let world = controller(&[("agents", "window = 2")]).await;
    let bystander = good(&world, "bystander", Shape::new(1, 1)).await;
    let mut link = by_hand(&world, &Who::new("liar"), &Shape::new(1, 2)).await;
    assert_eq!(link.welcome.window, 2);
    for sequence in 2..66 {
        let status = if sequence % 2 == 0 { Status::True } else { Status::Unknown };
        let change = condition(1, ConditionKind::Stable, status, None, now());
        link.report(pb::Report { sequence, conditions: Some(to_columns(&[change])), ..Default::default() })
            .await;
    }
    let status = link.ended().await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("more than 2 reports"), "{status:?}");
    untouched(&bystander).await;
}

#[tokio::test]
async fn a_receipt_for_another_agents_order_is_ignored() {
    let world = controller(&[]).await;
    let silent = Settings { obedience: Obedience::Silent, ..Settings::default() };
    let (orders, mut given) = tokio::sync::mpsc::unbounded_channel();
    let settings = Settings { orders: Some(orders), ..silent };
    let shape = Shape::new(1, 1);
    let owner = Simulated::start(&world.agents_address, Who::new("owner"), shape.clone(), settings)
        .await
        .expect("in");
    let request = CreateOrderRequest {
        target: shape.instance_name("owner", 1),
        action: OrderAction::Reconnect.into(),
        reason: "the test wants one".to_owned(),
        ..Default::default()
    };
    let order = world.api.orders.clone().create_order(request).await.expect("made").into_inner();
    let given = given.recv().await.expect("the order arrives");
    assert!(order.name.ends_with(&given.order.order_id), "{order:?}");

    let mut liar = by_hand(&world, &Who::new("liar"), &shape).await;
    let stages = [pb::Stage::Accepted, pb::Stage::Started, pb::Stage::Done, pb::Stage::Failed];
    let receipt = |stage: pb::Stage| pb::Receipt {
        order_id: given.order.order_id.clone(),
        stage: stage.into(),
        time: Some(mooring_proto::timestamp(now())),
        message: "a lie".to_owned(),
        ..Default::default()
    };
    let receipts = stages.map(receipt).to_vec();
    liar.report(pb::Report { sequence: 2, receipts, ..Default::default() }).await;
    liar.acked(2).await.expect("it is taken, and means nothing");
    let request = GetOrderRequest { name: order.name.clone() };
    let seen = world.api.orders.clone().get_order(request).await.expect("it is there").into_inner();
    assert_eq!(seen.state(), OrderState::Dispatched, "{seen:#?}");
    assert!(!seen.outcome.contains("lie"), "{seen:#?}");
    untouched(&owner).await;
}

/// An agent so fast that its receipts and the recovery come in the same report: the recovery is the order's own doing.
#[tokio::test]
async fn what_is_carried_out_at_once_is_verified_all_the_same() {
    let world = controller(&[]).await;
    let agent = good(&world, "quick", Shape::new(30, 1)).await;
    for instance in 1..=30 {
        agent.report(vec![sick(instance, Cause::SessionLost)]).await.expect("durable");
    }
    until("all orders to have succeeded, one for each", || async {
        let orders = world.api.orders().await;
        let well = |o: &mooring_proto::v1::Order| o.state() == OrderState::Succeeded;
        let done = orders.as_ref().is_ok_and(|o| o.len() == 30 && o.iter().all(well));
        if done { Ok(()) } else { Err(orders) }
    })
    .await;
}

#[tokio::test]
async fn of_two_boots_the_live_one_stays_and_a_dead_one_is_followed() {
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    // Slow beats: that one is dead shows when it is asked, long before its silence is noticed.
    let path = world.file("controller.toml");
    let config = std::fs::read_to_string(&path).expect("controller.toml");
    let slow =
        config.replace("beat = \"500ms\"", "beat = \"5s\"").replace("grace = \"3s\"", "grace = \"30s\"");
    assert_ne!(config, slow);
    std::fs::write(&path, slow).expect("controller.toml");
    world.start_controller().await;
    let first = good(&world, "twin", Shape::new(1, 1)).await;
    let second = Who::new("twin");
    let open = async || Link::open(&world.agents_address, None, second.hello()).await;

    let turned_away = open().await.expect_err("the first one lives");
    assert_eq!(turned_away.code(), Code::AlreadyExists, "{turned_away:?}");
    untouched(&first).await;
    let events = world.api.events().await.expect("events");
    assert!(
        events.iter().any(|e| e.subject == "agents/twin" && e.message.contains("two agents")),
        "{events:#?}"
    );

    drop(first);
    let link = until("the second to be let in", open).await;
    assert!(link.welcome.snapshot, "another boot begins anew: {:?}", link.welcome);
    assert_eq!(link.welcome.session_epoch, 2);

    // One that holds its stream open and says nothing is dead, too.
    let third = Who::new("twin");
    let third =
        Link::open(&world.agents_address, None, third.hello()).await.expect("the second does not answer");
    assert_eq!(third.welcome.session_epoch, 3);
    let mut link = link;
    let status = async {
        loop {
            match link.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it is told why"),
                Err(status) => return status,
            }
        }
    };
    assert_eq!(status.await.code(), Code::Aborted);
}

#[tokio::test]
async fn a_returning_agent_is_asked_for_nothing_that_is_known() {
    let mut world = controller(&[]).await;
    let who = Who::new("back");
    let shape = Shape::new(2, 3);
    let start = async |world: &World| {
        Simulated::start(&world.agents_address, who.clone(), shape.clone(), Settings::default())
            .await
            .expect("in")
    };
    let agent = start(&world).await;
    assert!(agent.welcome.snapshot && agent.welcome.resume_after == 0);
    let degraded = condition(5, ConditionKind::Delivering, Status::False, Some(Cause::Unrecognised), now());
    agent.report(vec![degraded]).await.expect("durable");
    let told = agent.stop().await.expect("it leaves by itself").sequence;
    assert_eq!(told, 2);

    let agent = start(&world).await;
    assert_eq!((agent.welcome.snapshot, agent.welcome.resume_after), (false, told));
    // Its handles still mean what they meant.
    let name = shape.instance_name("back", 6);
    agent
        .report(vec![condition(6, ConditionKind::Stable, Status::True, None, now())])
        .await
        .expect("durable");
    let instance = world.api.instance(&name).await.expect("it is there");
    assert!(
        instance.conditions.iter().any(|c| c.r#type == "Stable" && c.status() == ConditionStatus::True),
        "{instance:#?}"
    );
    let told = agent.stop().await.expect("it leaves by itself").sequence;

    world.kill_controller().await;
    world.start_controller().await;
    let agent = start(&world).await;
    assert_eq!(
        (agent.welcome.snapshot, agent.welcome.resume_after),
        (false, told),
        "also by a new controller"
    );
    let change = condition(4, ConditionKind::Stable, Status::True, None, now());
    agent.report(vec![change]).await.expect("durable");
    world.api.phase(&shape.instance_name("back", 5), Phase::Degraded).await;
    drop(agent);

    let mut link = until("to be let in", || Link::open(&world.agents_address, None, who.hello())).await;
    let next = link.welcome.resume_after + 1;
    let change = || Some(to_columns(&[condition(1, ConditionKind::Stable, Status::True, None, now())]));
    link.report(pb::Report { sequence: next + 1, conditions: change(), ..Default::default() }).await;
    let asked = link
        .until("a resync", |m| if let Down::Resync(r) = m { Some(r) } else { None })
        .await
        .expect("a gap");
    assert!(asked.reason.contains(&next.to_string()), "{asked:?}");
    // One that was told already is acknowledged again and changes nothing.
    link.report(pb::Report { sequence: next - 1, conditions: change(), ..Default::default() }).await;
    link.acked(next - 1).await.expect("acknowledged again");
    for report in shape.snapshot(&[]) {
        link.report(pb::Report { sequence: next + 7, ..report }).await;
    }
    link.acked(next + 7).await.expect("a snapshot may begin at any number");
    let better = to_columns(&[condition(5, ConditionKind::Delivering, Status::True, None, now())]);
    link.report(pb::Report { sequence: next + 8, conditions: Some(better), ..Default::default() }).await;
    link.acked(next + 8).await.expect("it goes on from there");
    world.api.phase(&shape.instance_name("back", 5), Phase::Healthy).await;
    link.send(Up::Goodbye(pb::Goodbye { reason: "done".to_owned() })).await;
    let instance = world.api.phase(&shape.instance_name("back", 5), Phase::Unknown).await;
    assert!(instance.conditions.iter().all(|c| c.cause == "AgentSilent"), "{instance:#?}");
}

/// An acknowledgement waits for the commit under way and for its own: one agent can make these longer, within bounds.
#[tokio::test]
async fn one_that_floods_does_not_hold_up_another() {
    const BOUND: Duration = Duration::from_millis(1_500);
    let world = controller(&[]).await;
    let quiet = good(&world, "quiet", Shape::new(1, 1)).await;
    let flooding = Shape::new(10, 100);
    let settings = Settings::default();
    let tally = std::sync::Arc::clone(&settings.tally);
    let flood = Simulated::start(&world.agents_address, Who::new("flood"), flooding.clone(), settings)
        .await
        .expect("in");
    let stream = async {
        // As much as the window lets through, all the time.
        let mut round = 0u32;
        let mut waiting = std::collections::VecDeque::new();
        loop {
            round += 1;
            let status = if round.is_multiple_of(2) { Status::True } else { Status::Unknown };
            let all = 1..=flooding.total();
            let rows = all.map(|i| condition(i, ConditionKind::Stable, status, None, now())).collect();
            waiting.push_back(flood.report(rows));
            if waiting.len() > flood.welcome.window as usize
                && let Some(oldest) = waiting.pop_front()
            {
                oldest.await.expect("the flood keeps to the rules");
            }
        }
    };
    let measure = async {
        until("the flood to rise", || async {
            let changes = Tally::of(&tally.changes);
            if changes > 20_000 { Ok(()) } else { Err(changes) }
        })
        .await;
        let mut took = Vec::new();
        for n in 0..15 {
            let status = if n % 2 == 0 { Status::Unknown } else { Status::True };
            let start = std::time::Instant::now();
            let acked = quiet.report(vec![condition(1, ConditionKind::Stable, status, None, now())]);
            acked.await.expect("acknowledged");
            took.push(start.elapsed());
        }
        took.sort_unstable();
        took
    };
    let took = tokio::select! {
        never = stream => never,
        took = measure => took,
    };
    let median = took[took.len() / 2];
    eprintln!(
        "beside a flood of {} changes: median {median:?}, worst {:?}",
        Tally::of(&tally.changes),
        took.last()
    );
    assert!(median < BOUND, "{took:?}");
    assert!(flood.is_attached() && quiet.is_attached());
}

#[tokio::test]
async fn two_controllers_start_on_one_empty_database() {
    let database = fresh_database().await;
    let mut one = World::prepare(QUICK_POLICY, database.clone());
    let mut two = World::prepare(QUICK_POLICY, database);
    tokio::join!(one.start_controller(), two.start_controller());
    // Both serve, and both write to the same tables.
    let (a, b) =
        (good(&one, "agent-a", Shape::new(1, 1)).await, good(&two, "agent-b", Shape::new(1, 1)).await);
    untouched(&a).await;
    untouched(&b).await;
}
