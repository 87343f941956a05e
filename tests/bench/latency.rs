//! From a failure that an agent sees to the order in its hands: against a bare round trip on a bidirectional stream, and
//! against the commits that no order can do without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mooring_core::cause::Cause;
use mooring_tests::agents::{Settings, Shape, Tally, sick};
use mooring_tests::wait::until;
use tokio::sync::mpsc;

use crate::bare::{BareLink, BareServer, Report};
use crate::crowd::{attach, safe, settled};
use crate::stage::{OPEN_POLICY, Stage};
use crate::table::{Table, part, time};

/// Samples of each size of fleet: each on a gateway of its own, so that no backoff runs.
const SAMPLES: u32 = 400;
/// Longest wait for one order; the clerk's own look at the clock would come long before.
const LONGEST: Duration = Duration::from_secs(20);

pub async fn run() -> Result<()> {
    let mut table = Table::new();
    for (agents, gateways) in [(4u32, 100u32), (20, 1_000)] {
        measure(agents, gateways, &mut table).await?;
    }
    table.print(&format!(
        "order-latency: failure seen by the agent → order in its hands, {SAMPLES} samples each"
    ));
    Ok(())
}

async fn measure(agents: u32, gateways: u32, table: &mut Table) -> Result<()> {
    let stage = Stage::set(OPEN_POLICY, "").await?;
    let (orders, mut given) = mpsc::unbounded_channel();
    let settings = Settings { orders: Some(orders), ..Settings::default() };
    let tally = Arc::clone(&settings.tally);
    let shape = Shape::new(gateways, 1);
    let crowd = attach(&stage.agents, 0, agents as usize, &shape, &settings).await?;
    let bare = BareServer::start().await?;
    let mut link = BareLink::open(&bare.address).await?;
    let mut commits = stage.connect().await?;
    sqlx::query("CREATE TABLE one_commit (n bigint)").execute(&mut commits).await?;

    let (mut ours, mut trips, mut disk) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..SAMPLES {
        let agent = &crowd[(n % agents) as usize];
        let instance = n / agents + 1;
        let start = Instant::now();
        drop(agent.report(vec![sick(instance, Cause::SessionLost)]));
        let order = tokio::time::timeout(LONGEST, given.recv())
            .await
            .context("no order came")?
            .context("agents live")?;
        ours.push(order.at.duration_since(start));
        let target = shape.instance_name(&agent.who.id, instance);
        ensure!(order.order.target == target && order.agent == agent.who.id, "{order:?} is not for {target}");
        settled(&tally).await;

        let start = Instant::now();
        link.send(Report { sequence: u64::from(n), ..Report::default() }).await?;
        ensure!(link.answer().await? == u64::from(n));
        trips.push(start.elapsed());
        let start = Instant::now();
        sqlx::query("INSERT INTO one_commit VALUES (1)").execute(&mut commits).await?;
        disk.push(start.elapsed());
    }
    let all = i64::from(SAMPLES);
    until("all orders to succeed", || async {
        match stage.orders().await {
            Ok(made)
                if made.iter().all(|(s, _)| s.starts_with("succeeded"))
                    && made.iter().map(|(_, n)| n).sum::<i64>() == all =>
            {
                Ok(())
            }
            other => Err(other),
        }
    })
    .await;
    safe(&tally)?;
    ensure!(Tally::of(&tally.orders) == u64::from(SAMPLES), "one failure, one order");

    for samples in [&mut ours, &mut trips, &mut disk] {
        samples.sort_unstable();
    }
    let fleet = format!("{} instances", agents * gateways);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, trip, commit) = (part(&ours, share), part(&trips, share), part(&disk, share));
        let over = |limit: Duration| ours.as_secs_f64() / limit.as_secs_f64();
        table.fact(format!("{fleet}: bare tonic round trip, {name}"), time(trip));
        table.fact(format!("{fleet}: one durable commit of one row, {name}"), time(commit));
        table.row(
            format!("{fleet}: failure → order, {name}"),
            time(ours),
            "≤ 3 × bare tonic; ≤ 1.5 ×",
            format!(
                "{:.1} × bare tonic; {:.2} × (bare tonic + 2 commits)",
                over(trip),
                over(trip + commit * 2)
            ),
        );
    }
    Ok(())
}
