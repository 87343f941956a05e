//! 100,000 instances from 1,000 agents on this machine: connecting, telling everything, and then nothing but heartbeats.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use mooring_proto::v1::GetFleetRequest;
use mooring_tests::agents::{Settings, Shape, Tally};

use crate::bare::{BareLink, BareServer};
use crate::crowd::{attach, safe};
use crate::procfs::{cpu, rss};
use crate::stage::{Stage, WATCHING_POLICY, rest};
use crate::table::{Table, big, bytes};

const AGENTS: usize = 1_000;
/// Gateways of each agent, and instances of each gateway.
const SHAPE: (u32, u32) = (10, 10);
/// How long nothing happens.
const STEADY: Duration = Duration::from_secs(20);

pub async fn run() -> Result<()> {
    let mut table = Table::new();
    let (ours, limit) = (per_connection().await?, per_bare_connection().await?);
    table.fact("bare tonic, RSS per idle stream, one connection each", bytes(limit));
    table.row(
        "RSS per agent connection, agents without instances",
        bytes(ours),
        "≤ 1.3 × bare tonic; ≤ 1.1 ×",
        format!("{:.2} ×", ours / limit),
    );
    whole(&mut table).await?;
    table.print(&format!("fleet: {AGENTS} simulated agents"));
    Ok(())
}

async fn per_connection() -> Result<f64> {
    let stage = Stage::set(WATCHING_POLICY, "").await?;
    let settings = Settings::default();
    // The first few pay for what all share.
    let _warm = attach(&stage.agents, 0, 10, &Shape::new(0, 0), &settings).await?;
    rest().await;
    let before = rss(stage.controller.pid());
    let _crowd = attach(&stage.agents, 10, AGENTS, &Shape::new(0, 0), &settings).await?;
    rest().await;
    let after = rss(stage.controller.pid());
    safe(&settings.tally)?;
    Ok((after - before) / AGENTS as f64)
}

async fn per_bare_connection() -> Result<f64> {
    let bare = BareServer::start().await?;
    let _warm = try_join_all((0..10).map(|_| BareLink::open(&bare.address))).await?;
    rest().await;
    let before = rss(bare.process.pid());
    // A bare server's queue of connections waiting to be accepted is short: a thousand at once would overflow it.
    let opening = futures_util::stream::iter((0..AGENTS).map(|_| BareLink::open(&bare.address)));
    let _crowd: Vec<BareLink> = opening.buffer_unordered(50).try_collect().await?;
    rest().await;
    Ok((rss(bare.process.pid()) - before) / AGENTS as f64)
}

async fn whole(table: &mut Table) -> Result<()> {
    let stage = Stage::set(WATCHING_POLICY, "").await?;
    let pid = stage.controller.pid();
    let settings = Settings::default();
    let tally = Arc::clone(&settings.tally);
    let shape = Shape::new(SHAPE.0, SHAPE.1);
    let all = AGENTS as f64 * f64::from(shape.total());
    let (start, cpu_start) = (Instant::now(), cpu(pid));
    let crowd = attach(&stage.agents, 0, AGENTS, &shape, &settings).await?;
    let synced = start.elapsed().as_secs_f64();
    let fleet = stage.api.fleet.clone().get_fleet(GetFleetRequest {}).await?.into_inner();
    ensure!(f64::from(fleet.instances) == all && fleet.agents_online as usize == AGENTS, "{fleet:?}");
    table.fact(
        format!("{} instances: all connected, told and durable, all at once", big(all)),
        format!("{synced:.1} s, {:.1} s of processor time", cpu(pid) - cpu_start),
    );
    rest().await;
    table.fact("RSS then", bytes(rss(pid)));

    let (cpu_from, beats, from) = (cpu(pid), Tally::of(&tally.beats), Instant::now());
    let written = stage.written().await?;
    tokio::time::sleep(STEADY).await;
    let seconds = from.elapsed().as_secs_f64();
    let (used, beats) = (cpu(pid) - cpu_from, Tally::of(&tally.beats) - beats);
    let rows = stage.written().await?.rows - written.rows;
    safe(&tally)?;
    ensure!(crowd.iter().all(|a| a.is_attached()), "every agent is still attached");
    table.fact(
        format!("steady state, {:.0} heartbeats a second", beats as f64 / seconds),
        format!("{:.2} % of a core", used / seconds * 100.0),
    );
    let idle = used / seconds / all * 1e9;
    table.row(
        "processor time per instance and second",
        format!("{idle:.0} ns"),
        "≤ 10 ns; ≤ 2 ns",
        format!("{:.1} × floor", idle / 10.0),
    );
    table.row(
        "Postgres rows per heartbeat",
        format!("{:.3}", rows / beats.max(1) as f64),
        "0; 0",
        String::new(),
    );
    Ok(())
}
