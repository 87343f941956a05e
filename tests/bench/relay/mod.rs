//! `cargo xtask bench relay`: our relay beside nginx and HAProxy as WebSocket relays, and beside no relay at all.
//!
//! One driver, one echo server, one kind of message for all of them. Every workload is measured in turns
//! (direct, nginx, …, ours, and again), so that whatever the machine does meanwhile is done to all; ratios are taken
//! within a round and then their median. Direct is the calibration: a round in which it is more than a quarter off its
//! median is dropped.
//!
//! What the rows mean: *one core* has driver, relay and echo server on one core, which takes the wake-ups between cores
//! out (they cost more than a relay does); *two cores* has the relay on one of its own. *Processor time* is that of all
//! threads of the relay, by schedstat, per round trip: two messages relayed. *Added* is what a relay adds to the
//! direct round trip of the same round. *At 2,000/s* counts from when a message was due.
//!
//! `--quick` is a smoke run of half a minute whose figures mean little. `--rounds=N`, `--with=nginx,mooring`,
//! `--only=load,idle` and `--relay-flag=…` (passed to our program, may be repeated) change what is run.

pub mod crowd;
pub mod echo;
pub mod faults;
mod frames;
mod idle;
mod options;
mod report;
mod rounds;
mod workload;

use std::time::Instant;

use anyhow::{Result, ensure};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};

pub use options::Options;

/// Which cores do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// All on one.
    One,
    /// The relay alone on one, the ends on another.
    Two,
}

/// Runs it.
pub async fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let kinds = options.kinds();
    ensure!(!kinds.is_empty(), "no relay is left to measure");
    let echo = echo::Echo::start().await?;
    let mut relays = Vec::new();
    for kind in kinds {
        relays.push(Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?);
    }
    if options.wants("load") {
        rounds::run(options, &echo, &relays)?.print();
    }
    drop(relays);
    if options.wants("idle") {
        idle::run(options).await?.print();
    }
    println!("Took {:.0} s.\n", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs something that blocks, on a thread of its own that stays on some cores.
pub fn on_cores<T: Send>(cores: &[usize], run: impl FnOnce() -> T + Send) -> T {
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                cost::pin_me(cores);
                run()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Columns of the tables: no relay, then each.
pub fn names(kinds: &[Kind]) -> Vec<&'static str> {
    std::iter::once("direct").chain(kinds.iter().map(|k| k.name())).collect()
}
