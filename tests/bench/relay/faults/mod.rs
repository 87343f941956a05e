//! `cargo xtask bench relay-faults`: what clients see when something around a relay breaks, and what the relay keeps of it.
//!
//! Five faults, each with a relay of its own that has done nothing else, each followed by a count of its descriptors and
//! its memory: what was opened for sessions that are gone has to be closed, and memory has to stop growing.
//!
//! - the gateway is killed (SIGKILL) under 5,000 sessions: how, and how soon, does each client learn of it; does the relay
//!   serve the next gateway at the same address;
//! - the relay is killed under 5,000 sessions: the same, and how soon the gateway has let go of them;
//! - readers that do not read: how much goes into the relay before it holds the sender back, and what others notice;
//! - a client that sends a byte a second, in its handshake and in an open session;
//! - short connections (connect, handshake, one message, Close, end), for a minute, or a million with `--full`.
//!
//! `--only=deaths,slow,drip,churn` picks some of them; the flags of `relay` hold here, too.
//!
//! Nothing here is better for being fast; a session that ends without the client's knowing, a byte that is lost or a
//! descriptor that stays is an error and ends the run.

mod churn;
mod deaths;
mod drip;
mod slow;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};

use super::report::Facts;
use super::{Options, names};
use crate::stage::rest;

/// Runs them.
pub async fn run(options: &Options) -> Result<()> {
    let kinds = options.kinds();
    ensure!(!kinds.is_empty(), "no relay is left");
    if options.wants("deaths") {
        deaths::run(options, &kinds).await?;
    }
    if options.wants("slow") {
        slow::run(options, &kinds).await?;
    }
    if options.wants("drip") {
        drip::run(options, &kinds).await?;
    }
    if options.wants("churn") {
        churn::run(options, &kinds).await?;
    }
    Ok(())
}

/// What a relay has open and in memory.
#[derive(Debug, Clone, Copy)]
struct Holding {
    descriptors: usize,
    rss: u64,
}

impl Holding {
    async fn of(relay: &Relay) -> Self {
        rest().await;
        let pids = relay.pids();
        Self { descriptors: cost::descriptors(&pids), rss: cost::rss(&pids) }
    }

    /// Waits until its descriptors are as few as before, and shows both.
    async fn again(self, relay: &Relay) -> Result<String> {
        let start = Instant::now();
        // A few for what opens lazily.
        while cost::descriptors(&relay.pids()) > self.descriptors + 8 {
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "{} has {} descriptors, {} before",
                relay.kind.name(),
                cost::descriptors(&relay.pids()),
                self.descriptors
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let now = Self::of(relay).await;
        Ok(format!(
            "{} → {} open, {:.1} → {:.1} MB",
            self.descriptors,
            now.descriptors,
            self.rss as f64 / 1e6,
            now.rss as f64 / 1e6
        ))
    }
}

/// A table with a column for each relay, without one for direct.
fn facts(kinds: &[Kind]) -> Facts {
    Facts::new(names(kinds).split_off(1))
}

/// Cells of a table by row, from cells by column.
fn fill(facts: &mut Facts, rows: &[&str], columns: &[Vec<String>]) {
    for (at, name) in rows.iter().enumerate() {
        facts.row(name, columns.iter().map(|c| c.get(at).cloned().unwrap_or_default()).collect());
    }
}
