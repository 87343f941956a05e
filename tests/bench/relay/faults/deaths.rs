//! Killed under load: the gateway behind a relay, and the relay itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mooring_tests::cost;
use mooring_tests::process::send;
use mooring_tests::relay::{Kind, Relay};
use rustix::process::Signal;

use super::{Holding, facts, fill};
use crate::relay::Options;
use crate::relay::crowd::{Crowd, End, How};
use crate::relay::echo::Echo;
use crate::table::{part, time};

/// How long a client waits to be told.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs both.
pub async fn run(options: &Options, kinds: &[Kind]) -> Result<()> {
    let sessions = if options.quick { 500 } else { 5_000.min(options.sessions()) };
    let mut columns = vec![direct(sessions).await?];
    for kind in kinds {
        columns.push(gateway(options, *kind, sessions).await.with_context(|| kind.name())?);
    }
    let mut table = crate::relay::report::Facts::new(crate::relay::names(kinds));
    let rows =
        ["clients saw", "first / median / last told", "served by the next gateway", "descriptors and memory"];
    fill(&mut table, &rows, &columns);
    table.print(&format!("relay-faults: the gateway is killed under {sessions} sessions"));

    let mut columns = Vec::new();
    for kind in kinds {
        columns.push(relay(options, *kind, sessions).await.with_context(|| kind.name())?);
    }
    let mut table = facts(kinds);
    let rows = ["clients saw", "first / median / last told", "gateway has let go of all after"];
    fill(&mut table, &rows, &columns);
    table.print(&format!("relay-faults: the relay is killed under {sessions} sessions"));
    Ok(())
}

/// What the kernel itself tells clients.
async fn direct(sessions: usize) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let crowd = open(&echo.address, sessions)?;
    let since = Instant::now();
    send(echo.process.pid(), Signal::KILL);
    seen(crowd, since)
}

async fn gateway(options: &Options, kind: Kind, sessions: usize) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?;
    let before = Holding::of(&relay).await;
    let crowd = open(&relay.address, sessions)?;
    let since = Instant::now();
    send(echo.process.pid(), Signal::KILL);
    let mut cells = seen(crowd, since)?;
    let next = Echo::start_at(&echo.address).await?;
    let start = Instant::now();
    // A relay may hold new connections back for a moment after so many have failed.
    let took = loop {
        match open(&relay.address, 10) {
            Ok(_) => break start.elapsed(),
            Err(e) => ensure!(start.elapsed() < LIMIT, "nothing is relayed to the next gateway: {e:#}"),
        }
    };
    cells.push(format!("after {}", time(took)));
    drop(next);
    cells.push(before.again(&relay).await?);
    Ok(cells)
}

async fn relay(options: &Options, kind: Kind, sessions: usize) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?;
    let held = cost::descriptors(&[echo.process.pid()]);
    let crowd = open(&relay.address, sessions)?;
    let since = Instant::now();
    for pid in relay.pids() {
        send(pid, Signal::KILL);
    }
    let mut cells = seen(crowd, since)?;
    while cost::descriptors(&[echo.process.pid()]) > held {
        ensure!(since.elapsed() < LIMIT, "the gateway keeps sessions of a relay that is gone");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cells.push(time(since.elapsed()));
    Ok(cells)
}

fn open(address: &str, sessions: usize) -> Result<Crowd> {
    tokio::task::block_in_place(|| {
        let mut crowd = Crowd::open(address, sessions)?;
        crowd.once(64)?;
        Ok(crowd)
    })
}

/// What was seen, and when.
fn seen(crowd: Crowd, since: Instant) -> Result<Vec<String>> {
    let ends = tokio::task::block_in_place(|| crowd.ends(since, LIMIT))?;
    ensure!(
        ends.iter().all(|e| e.how != How::StillOpen),
        "clients were not told within {LIMIT:?}: {}",
        ways(&ends)
    );
    let mut after: Vec<Duration> = ends.iter().map(|e| e.after).collect();
    after.sort_unstable();
    let times = [0.0, 0.5, 1.0].map(|share| time(part(&after, share)));
    Ok(vec![ways(&ends), times.join(" / ")])
}

fn ways(ends: &[End]) -> String {
    let mut counts: BTreeMap<How, usize> = BTreeMap::new();
    for end in ends {
        *counts.entry(end.how).or_default() += 1;
    }
    let shown = |(how, n): (&How, &usize)| match how {
        How::Close(code) => format!("{n} Close {code}"),
        How::Eof => format!("{n} end of stream"),
        How::Reset => format!("{n} reset"),
        How::StillOpen => format!("{n} nothing"),
    };
    counts.iter().map(shown).collect::<Vec<_>>().join(", ")
}
