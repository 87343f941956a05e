//! `cargo xtask bench kernel`: what watching 10,000 connections through the kernel costs, one scan every two seconds.
//!
//! The connections are real and idle, held by a server in a process of its own; this process holds their other ends. The
//! watcher runs as it does in the agent, on one thread: a scan by `sock_diag`, each connection judged as it comes. Its
//! processor time is that thread's, by schedstat, the kernel's part of the dump included, and the scans are two seconds
//! apart so that no cache is warmer than it would be.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mooring_core::time::Mono;
use mooring_kernel::judge::{Event, Judge, JudgeConfig};
use mooring_kernel::{Namespace, Process, Reader, Remote, Selector};

use crate::relay::Options;
use crate::relay::crowd::Crowd;
use crate::relay::echo::Echo;
use crate::table::{Table, bytes, part, time};

/// Connections watched.
const CONNECTIONS: usize = 10_000;

/// Connections of somebody who had the same port before us may be ending still.
const STRAYS: usize = 16;

/// Runs it.
pub async fn run(options: &Options) -> Result<()> {
    let (connections, scans, every) = if options.quick {
        (1_000, 5, Duration::from_millis(200))
    } else {
        (CONNECTIONS, 10, Duration::from_secs(2))
    };
    let echo = Echo::start().await?;
    let mut crowd = tokio::task::block_in_place(|| Crowd::open(&echo.address, connections))?;
    tokio::task::block_in_place(|| crowd.once(64))?;
    let address: std::net::SocketAddr = echo.address.parse()?;
    let server = Process::of(echo.process.pid()).context("the server's process")?;
    let selectors = [
        ("by local port", Selector::new().port(address.port())),
        ("by remote address", Selector::new().remote(Remote::exactly(address))),
        ("by process and port", Selector::new().process(server).port(address.port())),
    ];
    let mut table = Table::new();
    for (name, selector) in &selectors {
        let watched = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(selector, connections, scans, every));
            tokio::task::block_in_place(|| {
                watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        let cost = part(&watched.costs, 0.5);
        table.fact(
            format!("{name}: processor time a scan, median of {scans} (most)"),
            format!("{} ({})", time(cost), time(part(&watched.costs, 1.0))),
        );
        table.fact(
            format!("{name}: share of a core at one every 2 s"),
            format!("{:.2} %", cost.as_secs_f64() / 2.0 * 100.0),
        );
        table.fact(
            format!("{name}: per connection and scan"),
            format!("{:.0} ns", cost.as_secs_f64() * 1e9 / connections as f64),
        );
        table.fact(format!("{name}: remembered of each"), bytes(watched.memory as f64 / connections as f64));
    }
    table.print(&format!("kernel: {connections} idle connections watched through sock_diag"));
    Ok(())
}

struct Watched {
    /// Sorted; without the first scan, which meets everybody for the first time.
    costs: Vec<Duration>,
    memory: usize,
}

fn watch(selector: &Selector, connections: usize, scans: usize, every: Duration) -> Result<Watched> {
    let mut reader = Reader::open(Namespace::Own)?;
    let mut judge = Judge::new(JudgeConfig { interval: every, ..JudgeConfig::default() });
    let (start, mut wrong, mut costs) = (Instant::now(), 0usize, Vec::new());
    let mut note = |event| wrong += usize::from(matches!(event, Event::Raised(_)));
    for scan in 0..=scans {
        let due = every * u32::try_from(scan)?;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let before = ran();
        judge.begin(Mono(u64::try_from(start.elapsed().as_micros())? + 1));
        let stats = reader.scan(selector, &mut |c| judge.see(c, &mut note))?;
        let report = judge.finish(stats.complete, &mut note);
        costs.push(ran() - before);
        ensure!(
            stats.complete && (connections..connections + STRAYS).contains(&report.open),
            "{} of {connections} connections were seen: {stats:?}",
            report.open
        );
    }
    ensure!(wrong == 0, "{wrong} findings about connections that are all well");
    costs.remove(0);
    costs.sort_unstable();
    Ok(Watched { costs, memory: judge.memory() })
}

/// Processor time of this thread.
fn ran() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}
