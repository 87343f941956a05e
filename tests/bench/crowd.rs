//! Many simulated agents at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use mooring_tests::agents::{Settings, Shape, Simulated, Tally, Who};
use mooring_tests::wait::until;

/// How many attach at the same time: more only queue in the kernel.
const AT_ONCE: usize = 128;

/// Attaches agents, named from `first` on, and waits until all their snapshots are durable.
pub async fn attach(
    address: &str,
    first: usize,
    n: usize,
    shape: &Shape,
    settings: &Settings,
) -> Result<Vec<Simulated>> {
    let one = |i: usize| {
        let who = Who::new(&format!("agent-{i:05}"));
        Simulated::start(address, who, shape.clone(), settings.clone())
    };
    let agents = futures_util::stream::iter(first..first + n).map(one).buffer_unordered(AT_ONCE);
    Ok(agents.try_collect().await?)
}

/// Waits until everything that was reported is acknowledged.
pub async fn settled(tally: &Tally) {
    until("all reports to be acknowledged", || async {
        let (sent, acked) = (Tally::of(&tally.reports), Tally::of(&tally.acked));
        if sent == acked { Ok(()) } else { Err((sent, acked)) }
    })
    .await;
    // What was carried out is reported a moment after the order came.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// What must hold in every run, however fast it was.
pub fn safe(tally: &Arc<Tally>) -> Result<()> {
    let of = |name: &str, n: u64| -> Result<()> {
        ensure!(n == 0, "{n} {name}");
        Ok(())
    };
    of("streams ended by the controller", Tally::of(&tally.ended))?;
    of("orders with a fence that had been used", Tally::of(&tally.stale))?;
    of("snapshots asked for again", Tally::of(&tally.resyncs))?;
    let (sent, acked) = (Tally::of(&tally.reports), Tally::of(&tally.acked));
    ensure!(sent == acked, "{sent} reports sent, {acked} acknowledged");
    Ok(())
}
