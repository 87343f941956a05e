//! Health changes per second from many agents, made durable, and what each costs: against a bare tonic server that
//! receives the same changes as rows and keeps them in memory only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_proto::link::ConditionChange;
use mooring_tests::agents::{Settings, Shape, Simulated, Tally, condition, now};

use crate::bare::{BareLink, BareServer, Report, Row};
use crate::crowd::{attach, safe, settled};
use crate::procfs::{cpu, cpu_of_children};
use crate::stage::{Stage, WATCHING_POLICY};
use crate::table::{Table, big, bytes};

const AGENTS: usize = 100;
/// Changes of one report.
const ROWS: u32 = 64;
/// One more than the window: a condition is never changed again while its last change is under way.
const GATEWAYS: u32 = 17;
/// Turns of each side, one after the other.
const TURNS: usize = 2;
/// Length of a turn.
const TURN: Duration = Duration::from_secs(5);
/// What a condition that is False says.
const WORDS: &str = "no pong for 4.1 s";

/// One side's turns, summed up.
#[derive(Debug, Default)]
struct Side {
    changes: f64,
    seconds: f64,
    cpu: f64,
    postgres: f64,
}

pub async fn run() -> Result<()> {
    let stage = Stage::set(WATCHING_POLICY, "").await?;
    let settings = Settings::default();
    let tally = Arc::clone(&settings.tally);
    let shape = Shape::new(GATEWAYS, ROWS);
    let start = Instant::now();
    let agents = attach(&stage.agents, 0, AGENTS, &shape, &settings).await?;
    let told = start.elapsed();
    let bare = BareServer::start().await?;
    let links = try_join_all((0..AGENTS).map(|_| BareLink::open(&bare.address))).await?;
    let mut links: Vec<BareLink> = links;

    let before = stage.written().await?;
    let (first, first_changes) = (stage.transitions().await?, Tally::of(&tally.changes));
    let (mut ours, mut limit) = (Side::default(), Side::default());
    let mut rounds = vec![0u32; AGENTS];
    for _ in 0..TURNS {
        our_turn(&stage, &agents, &mut rounds, &tally, &mut ours).await?;
        links = bare_turn(&bare, links, &mut limit).await?;
    }
    safe(&tally)?;
    let after = stage.written().await?;
    let changes = (Tally::of(&tally.changes) - first_changes) as f64;
    let events = stage.transitions().await? - first;
    anyhow::ensure!(events as f64 == changes, "{changes} changes were acknowledged, {events} are on record");
    anyhow::ensure!(stage.orders().await?.is_empty(), "nothing was to be ordered");

    let per = |s: &Side| s.cpu / s.changes * 1e6;
    let mut table = Table::new();
    let setting = format!(
        "{AGENTS} agents × {ROWS} changes a report, {} instances",
        big(f64::from(shape.total()) * AGENTS as f64)
    );
    table.fact("first snapshot of all, durable", format!("{:.1} s", told.as_secs_f64()));
    table.fact("changes committed per second", big(ours.changes / ours.seconds));
    table.fact("bare tonic, rows, in memory only: changes per second", big(limit.changes / limit.seconds));
    table.fact("controller, processor time per change", format!("{:.2} µs", per(&ours)));
    table.fact("bare tonic, processor time per change", format!("{:.3} µs", per(&limit)));
    table.row(
        "changes per second and core, ÷ bare tonic",
        big(1e6 / per(&ours)),
        "≥ 1.0 ×; ≥ 2.5 ×",
        format!("{:.3} ×", per(&limit) / per(&ours)),
    );
    table
        .fact("Postgres, processor time per change", format!("{:.2} µs", ours.postgres / ours.changes * 1e6));
    table.row(
        "Postgres rows per change",
        format!("{:.3}", (after.rows - before.rows) / changes),
        "≤ 2; ≤ 1.1",
        String::new(),
    );
    table.fact("write-ahead log per change", bytes((after.wal - before.wal) / changes));
    table.fact("changes acknowledged = changes on record", format!("{changes} = {events}"));
    table.print(&format!("ingest: {setting}"));
    Ok(())
}

/// Keeps every agent's window full for a turn.
async fn our_turn(
    stage: &Stage,
    agents: &[Simulated],
    rounds: &mut [u32],
    tally: &Arc<Tally>,
    side: &mut Side,
) -> Result<()> {
    let pid = stage.controller.pid();
    let postgres = stage.postgres.pid().unwrap_or(0);
    let (from, cpu_from, pg_from) = (Tally::of(&tally.changes), cpu(pid), cpu_of_children(postgres));
    let start = Instant::now();
    let each = agents.iter().zip(rounds).map(|(agent, round)| async move {
        let mut waiting = std::collections::VecDeque::new();
        while start.elapsed() < TURN {
            waiting.push_back(agent.report(flip(&agent.shape, *round)));
            *round += 1;
            if waiting.len() >= agent.welcome.window as usize
                && let Some(oldest) = waiting.pop_front()
            {
                oldest.await?;
            }
        }
        for left in waiting {
            left.await?;
        }
        anyhow::Ok(())
    });
    try_join_all(each).await?;
    settled(tally).await;
    side.seconds += start.elapsed().as_secs_f64();
    side.changes += (Tally::of(&tally.changes) - from) as f64;
    side.cpu += cpu(pid) - cpu_from;
    side.postgres += cpu_of_children(postgres) - pg_from;
    Ok(())
}

/// The other answer for every instance of the gateway whose turn it is.
fn flip(shape: &Shape, round: u32) -> Vec<ConditionChange> {
    let at = now();
    let down = (round / GATEWAYS).is_multiple_of(2);
    let change = |i: u32| {
        if !down {
            return condition(i, ConditionKind::Beating, Status::True, None, at);
        }
        let mut change =
            condition(i, ConditionKind::Beating, Status::False, Some(Cause::HeartbeatMissed), at);
        WORDS.clone_into(&mut change.condition.message);
        change
    };
    shape.instances_of(round % GATEWAYS + 1).map(change).collect()
}

async fn bare_turn(bare: &BareServer, links: Vec<BareLink>, side: &mut Side) -> Result<Vec<BareLink>> {
    let pid = bare.process.pid();
    let from = cpu(pid);
    let start = Instant::now();
    let changes = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = links
        .into_iter()
        .map(|link| tokio::spawn(pump(link, Arc::clone(&changes), Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(TURN).await;
    stop.store(true, Ordering::Relaxed);
    let mut links = Vec::new();
    for task in tasks {
        links.push(task.await??);
    }
    side.seconds += start.elapsed().as_secs_f64();
    side.changes += changes.load(Ordering::Relaxed) as f64;
    side.cpu += cpu(pid) - from;
    Ok(links)
}

async fn pump(mut link: BareLink, changes: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Result<BareLink> {
    let mut under_way = 0u32;
    let mut round = 0u32;
    loop {
        while under_way < GATEWAYS - 1 && !stop.load(Ordering::Relaxed) {
            let message = if (round / GATEWAYS).is_multiple_of(2) { WORDS } else { "" };
            let row = |i| Row {
                instance: (round % GATEWAYS) * ROWS + i,
                condition_status: 5,
                cause: 62,
                since_ms: now().0 / 1_000,
                message: message.to_owned(),
            };
            link.send(Report { sequence: u64::from(round), rows: (0..ROWS).map(row).collect() }).await?;
            round += 1;
            under_way += 1;
        }
        if under_way == 0 {
            return Ok(link);
        }
        link.answer().await?;
        under_way -= 1;
        changes.fetch_add(u64::from(ROWS), Ordering::Relaxed);
    }
}
