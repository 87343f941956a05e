//! Memory of a relay per session at rest, after a small message and after a large one; then that all of it, descriptors
//! included, comes back.
//!
//! A process is started afresh for each measurement, since allocators keep what they once had. What is counted is the
//! memory of the process; the kernel's sockets, about 4 kB each and the same for all, are not in it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};

use super::crowd::Crowd;
use super::echo::Echo;
use super::report::Report;
use super::{Options, on_cores};
use crate::stage::rest;

/// How long descriptors may take to come back.
const CLOSING: Duration = Duration::from_secs(10);

/// Measures.
pub async fn run(options: &Options) -> Result<Report> {
    let sessions = options.sessions();
    let rounds = options.rounds.min(3);
    let kinds = options.kinds();
    let mut figures: Vec<Vec<[f64; 5]>> = Vec::new();
    for _ in 0..rounds {
        let mut round = Vec::new();
        for kind in &kinds {
            let flags = options.flags_of(*kind);
            round.push(measure(*kind, &flags, sessions).await?);
        }
        figures.push(round);
    }
    let mut report = Report::new(&kinds);
    report.title = format!(
        "relay: {sessions} idle sessions, {rounds} rounds{}",
        if sessions == 10_000 || options.quick {
            ""
        } else {
            " (10,000 need more descriptors than this machine allows)"
        }
    );
    let rows = [
        ("bytes per session after a message of 64 B", "≤ 1.0; ≤ 0.5 × HAProxy tcp"),
        ("bytes per session after a message of 16 KiB", ""),
        ("16 KiB ÷ 64 B", "≤ 1.05; ≤ 1.02, each by itself"),
        ("RSS of the process, all sessions open, kB", ""),
        ("RSS after all sessions have ended, kB", ""),
    ];
    for (at, (name, target)) in rows.into_iter().enumerate() {
        let row =
            |round: &Vec<[f64; 5]>| std::iter::once(f64::NAN).chain(round.iter().map(|f| f[at])).collect();
        report.row(name, figures.iter().map(row).collect(), target);
    }
    Ok(report)
}

async fn measure(kind: Kind, flags: &[&str], sessions: usize) -> Result<[f64; 5]> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, flags).await?;
    let pids = relay.pids();
    rest().await;
    let rss = || cost::rss(&pids) as f64;
    let (before, files) = (rss(), cost::descriptors(&pids));
    let cores: Vec<usize> = (0..std::thread::available_parallelism()?.get()).collect();
    let mut crowd = on_cores(&cores, || -> Result<Crowd> {
        let mut crowd = Crowd::open(&relay.address, sessions)?;
        crowd.once(64)?;
        Ok(crowd)
    })?;
    rest().await;
    let small = rss();
    let open = cost::descriptors(&pids);
    ensure!(
        open + 8 >= files + 2 * sessions,
        "{} has {open} descriptors, {files} before {sessions} sessions",
        kind.name()
    );
    on_cores(&cores, || crowd.once(16_384))?;
    rest().await;
    let large = rss();
    drop(crowd);
    let start = Instant::now();
    // A few for what opens lazily.
    while cost::descriptors(&pids) > files + 8 {
        ensure!(
            start.elapsed() < CLOSING,
            "{}: {} descriptors are still open, {files} were before any session",
            kind.name(),
            cost::descriptors(&pids)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rest().await;
    let each = |then: f64| (then - before) / sessions as f64;
    Ok([each(small), each(large), each(large) / each(small), small / 1e3, rss() / 1e3])
}
