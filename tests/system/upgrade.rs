//! From one agent process to the next: taken over in good order, or started after the old one was killed.

use std::time::{Duration, Instant};

use mooring_proto::v1::{OrderAction, OrderState, Phase};
use mooring_tests::gateway::{Gateway, free_port, pid, sample_command};
use mooring_tests::visitor::{Crowd, connect};
use mooring_tests::wait::until;
use mooring_tests::world::{Watched, World};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Sessions that go through the relay when the agent is replaced.
const SESSIONS: usize = 200;
/// The time the old agent has to close them.
const DRAIN: Duration = Duration::from_secs(2);

/// A gateway that the agent runs, behind its relay, full of sessions.
async fn full_house() -> (World, Watched, Crowd, String, u16) {
    house(SESSIONS, DRAIN).await
}

async fn house(sessions: usize, drain: Duration) -> (World, Watched, Crowd, String, u16) {
    let (port, relay) = (free_port(), free_port());
    let keys = format!("drain = \"{}s\"\n", drain.as_secs());
    let chat = Watched::supervised("chat", port, &sample_command(port, &["--tick", "200ms"])).relayed(
        "\"relay\"",
        relay,
        &keys,
    );
    let world = World::start(std::slice::from_ref(&chat)).await;
    let address = format!("127.0.0.1:{relay}");
    let url = format!("ws://{address}/ws");
    until("the relay to serve", || async { connect(&address, &url).await.map(drop) }).await;
    let crowd = Crowd::of(sessions, &address, "/ws");
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    (world, chat, crowd, address, port)
}

/// One new connection after another, until told to stop. Returns how many there were, and those that were refused.
async fn stream(address: String, mut stop: watch::Receiver<bool>) -> (usize, Vec<String>) {
    let (mut n, mut refused) = (0, Vec::new());
    let url = format!("ws://{address}/ws");
    while !*stop.borrow_and_update() {
        n += 1;
        match connect(&address, &url).await {
            // A proper goodbye, so that the gateway's own table does not fill up.
            Ok(mut session) => {
                let _ = session.close(None).await;
            }
            Err(why) => refused.push(why),
        }
    }
    (n, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_upgraded_without_refusing_anybody() {
    let (mut world, chat, crowd, address, port) = full_house().await;
    let gateway = pid(port).await;
    let (stop, stopped) = watch::channel(false);
    let mut streams = JoinSet::new();
    for _ in 0..3 {
        streams.spawn(stream(address.clone(), stopped.clone()));
    }
    let before = crowd.visits();
    assert_eq!((before.open, before.closes.len()), (SESSIONS, 0));

    let begun = Instant::now();
    let mut old = world.take_over();
    let code = tokio::time::timeout(mooring_tests::wait::LIMIT, old.wait()).await.expect("the old one ends");
    let took = begun.elapsed();
    assert_eq!(code, Some(0), "{}", old.log());
    let visits = crowd.when("all to be back", |v| v.open == SESSIONS && v.opened == 2 * SESSIONS).await;
    stop.send_replace(true);
    let mut connections = 0;
    for (n, refused) in streams.join_all().await {
        connections += n;
        assert_eq!(refused, Vec::<String>::new(), "none of {n} was refused");
    }
    assert!(connections > 50, "there was a stream: {connections}");

    assert_eq!(visits.codes(), [1012; SESSIONS]);
    assert!(visits.torn.is_empty() && visits.refused.is_empty(), "{visits:?}");
    let mut at: Vec<Duration> = visits.closes.iter().map(|(.., at)| at.duration_since(begun)).collect();
    at.sort();
    let spread = at[SESSIONS - 1] - at[0];
    assert!(
        spread > DRAIN / 2 && took < DRAIN + Duration::from_secs(20),
        "closed over {spread:?}, ended after {took:?}"
    );

    assert_eq!(pid(port).await, gateway, "the gateway was adopted");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![], "nothing had to be mended");
    // The new one carries orders out, and knows all sessions.
    world.api.listed(&chat.gateway(), "", SESSIONS).await;
    let order = world.api.done(&chat.gateway(), OrderAction::CloseSessions).await;
    assert!(order.outcome.contains(&format!("{SESSIONS} closed properly")), "{order:#?}");
    crowd.when("all to be back again", |v| v.open == SESSIONS && v.opened == 3 * SESSIONS).await;
    // The gateway it adopted is its own: it knows when it dies, and restarts it.
    mooring_tests::process::send(gateway, rustix::process::Signal::KILL);
    until("it to be restarted", || async {
        let orders = world.api.orders().await.unwrap_or_default();
        let restart = orders.iter().find(|o| o.action() == OrderAction::RestartGateway).cloned();
        if restart.as_ref().is_some_and(|o| o.state() == OrderState::Succeeded) {
            Ok(())
        } else {
            Err(restart)
        }
    })
    .await;
    assert_ne!(pid(port).await, gateway);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_is_upgraded_before_the_first_one_is_done() {
    let (mut world, chat, crowd, address, port) = house(30, Duration::from_secs(3)).await;
    let gateway = pid(port).await;
    let (stop, stopped) = watch::channel(false);
    let stream = tokio::spawn(stream(address, stopped));
    let mut first = world.take_over();
    let second = world.agent.as_ref().expect("running");
    second.line("that it watches", |l| l.contains("the agent watches").then_some(())).await;
    let mut second = world.take_over();
    for old in [&mut second, &mut first] {
        let code = tokio::time::timeout(mooring_tests::wait::LIMIT, old.wait()).await.expect("it ends");
        assert_eq!(code, Some(0), "{}", old.log());
    }
    let visits = crowd.when("all to be back", |v| v.open == 30 && v.opened >= 60).await;
    stop.send_replace(true);
    let (n, refused) = stream.await.expect("the stream");
    assert_eq!((refused, visits.refused.len(), visits.torn.len()), (vec![], 0, 0), "{n}: {visits:?}");
    assert!(visits.codes().iter().all(|code| *code == 1012), "{visits:?}");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_eq!(pid(port).await, gateway);
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
    world.api.done(&chat.gateway(), OrderAction::CloseSessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reports_is_taken_over_too() {
    let bots =
        Watched { id: "bots".to_owned(), url: String::new(), more: "watch = [\"report\"]\n".to_owned() };
    let account = format!("{}/instances/acct-1", bots.gateway());
    let mut world = World::start(std::slice::from_ref(&bots)).await;
    let bot = Gateway::reporter(&world.report_address, &[]).await;
    world.api.phase(&account, Phase::Healthy).await;
    let before = world.api.instance(&account).await.expect("it is known");

    let mut old = world.take_over();
    let code = tokio::time::timeout(mooring_tests::wait::LIMIT, old.wait()).await.expect("it ends");
    assert_eq!(code, Some(0), "{}", old.log());
    // The bot hears that this is another agent, and says everything again.
    until("the bot to be known to the next agent", || async {
        let now = world.api.instance(&account).await;
        match &now {
            Ok(i) if i.phase() == Phase::Healthy && !i.stale && i.conditions != before.conditions => Ok(()),
            _ => Err(now),
        }
    })
    .await;
    world.api.done(&account, OrderAction::Reconnect).await;
    assert_eq!(bot.stat("reconnects").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_that_was_not_asked_to_take_over_does_not() {
    let (world, chat, crowd, ..) = full_house().await;
    let mut command = tokio::process::Command::new(mooring_tests::process::binary("mooring-agent"));
    command
        .arg("--config")
        .arg(world.file("agent.toml"))
        .args(["--set", &format!("health.listen=\"127.0.0.1:{}\"", free_port())]);
    let output = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("in use"), "{output:?}");
    assert_eq!(crowd.visits().closes.len(), 0);
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_watches_in_all_ways_stops_in_order() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let relay = free_port();
    let ways = "\"canary\", \"relay\", \"kernel\", \"report\"";
    let chat = Watched::at("chat", &gateway.address).relayed(ways, relay, "drain = \"1s\"\n");
    let mut world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let crowd = Crowd::of(10, &format!("127.0.0.1:{relay}"), "/ws");
    crowd.all_in().await;
    let bot = ["--instance", "chat", "--protocol", "", "--heartbeat", "5s"];
    let _bot = Gateway::reporter(&world.report_address, &bot).await;
    world.api.listed(&chat.gateway(), "source = RELAY", 10).await;
    world.api.listed(&chat.gateway(), "source = REPORT", 1).await;
    // The relay's ten, and the canary's.
    world.api.listed(&chat.gateway(), "source = KERNEL", 11).await;

    let (code, log) = world.agent.take().expect("running").terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
    let visits = crowd.when("all to be out", |v| v.open == 0 && v.refused.len() > 10).await;
    assert!(visits.torn.is_empty() && visits.codes().iter().all(|code| *code == 1001), "{visits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_tears_its_sessions_and_the_next_serves_again() {
    let (mut world, chat, crowd, _, port) = full_house().await;
    let gateway = pid(port).await;

    let killed = Instant::now();
    world.kill_agent().await;
    // The system closes its sockets: no client waits for a time-out to learn of it.
    let visits =
        crowd.when("all to be torn", |v| v.torn.len() == SESSIONS && v.refused.len() > SESSIONS).await;
    let last = visits.torn.iter().map(|(_, at)| at.duration_since(killed)).max().expect("200");
    assert!(last < Duration::from_secs(5), "the last client knew after {last:?}");
    // Nobody answers any more: what is refused is refused by the system.
    assert!(
        visits.closes.is_empty() && visits.refused.iter().all(|why| why.parse::<u16>().is_err()),
        "{visits:?}"
    );

    let started = Instant::now();
    world.start_agent();
    crowd.all_in().await;
    assert!(started.elapsed() < Duration::from_secs(15), "all were in after {:?}", started.elapsed());
    assert_eq!(pid(port).await, gateway, "the gateway was adopted");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
}
