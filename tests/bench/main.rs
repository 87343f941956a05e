//! `cargo xtask bench [-- NAME …]`: what Mooring costs, measured on this machine and set beside its limits.
//!
//! Each benchmark starts what it needs (a Postgres that forces commits to disk, the release controller, simulated agents)
//! on loopback, ends by itself within about a minute (`doctor` within five), and prints a table: what was measured, the
//! target, the ratio.
//! Speed is never asserted, since machines differ; that nothing was lost, ordered twice or left unacknowledged is,
//! since a figure got by weakening that would be none. Where a figure has a natural limit (a bare tonic server doing the
//! same without Mooring) both are measured in turns in the same run, and the ratio is what counts.
//!
//! Generator and controller share the machine: on two cores the generator takes its part, so rates are a lower bound,
//! while processor time per change is the controller's own.

mod bare;
mod crowd;
mod detector;
mod doctor;
mod fleet;
mod ingest;
mod kernel;
mod latency;
mod memory;
mod procfs;
mod relay;
mod stage;
mod table;

use anyhow::{Context as _, Result, bail};

/// Descriptors that the largest benchmark needs in this process: a socket per agent, and room.
const DESCRIPTORS: u64 = 3_000;

const NAMES: [&str; 9] =
    ["ingest", "order-latency", "memory", "fleet", "detector", "relay", "relay-faults", "kernel", "doctor"];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(std::env::args().skip(1).collect()))
}

async fn run(args: Vec<String>) -> Result<()> {
    if args.first().is_some_and(|a| a == bare::ARGUMENT) {
        return bare::serve().await;
    }
    if let [first, address] = &args[..]
        && first == relay::echo::ARGUMENT
    {
        return tokio::task::block_in_place(|| relay::echo::serve(address));
    }
    // Flags are the relay benchmarks', but for the doctor's.
    let (mut flags, args): (Vec<String>, Vec<String>) = args.into_iter().partition(|a| a.starts_with("--"));
    let scenes = doctor::Options::take(&mut flags)?;
    let options = relay::Options::read(&flags)?;
    for name in &args {
        if !NAMES.contains(&name.as_str()) {
            bail!("there is no benchmark `{name}`; there are: {}", NAMES.join(", "));
        }
    }
    descriptors()?;
    // What the doctor waits for are others' timers.
    if cfg!(debug_assertions) && (args.is_empty() || args.iter().any(|a| a != "doctor")) {
        println!("**Built without optimisation: these figures mean nothing. Use `cargo xtask bench`.**\n");
    }
    println!("{}\n", procfs::machine());
    let wanted = |name: &str| args.is_empty() || args.iter().any(|a| a == name);
    if wanted("ingest") {
        ingest::run().await.context("ingest")?;
    }
    if wanted("order-latency") {
        latency::run().await.context("order-latency")?;
    }
    if wanted("memory") {
        memory::run().await.context("memory")?;
    }
    if wanted("fleet") {
        fleet::run().await.context("fleet")?;
    }
    // Minutes of arithmetic: only when it is asked for.
    if args.iter().any(|a| a == "detector") {
        detector::run()?;
    }
    // The relay's need other programs, and all cores: only when they are asked for, too.
    let asked = |name: &str| args.iter().any(|a| a == name);
    if asked("relay") {
        relay::run(&options).await.context("relay")?;
    }
    if asked("relay-faults") {
        relay::faults::run(&options).await.context("relay-faults")?;
    }
    if asked("kernel") {
        kernel::run(&options).await.context("kernel")?;
    }
    if asked("doctor") {
        doctor::run(&scenes).await.context("doctor")?;
    }
    Ok(())
}

/// Raises the limit of open files as far as it may be, for the processes started from here as well.
fn descriptors() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    if let Some(limit) = maximum.filter(|l| *l < DESCRIPTORS) {
        bail!(
            "at most {limit} open files, {DESCRIPTORS} are needed: run `ulimit -Hn {DESCRIPTORS}` as root first"
        );
    }
    Ok(())
}
