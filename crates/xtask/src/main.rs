//! `cargo xtask`: every chore of this repository, on a machine that has Rust and nothing else set up.
//!
//! Two rules shape this crate. It compiles in seconds, so it uses few dependencies, no async runtime, and talks to other
//! programs as a person at a terminal would. And CI runs nothing that a developer cannot run by the same name: `test`
//! *is* CI, its steps are the table in [`steps`], and each can be run alone.

mod bench;
mod deploy;
mod deps;
mod direction;
mod docs;
mod kubernetes;
mod needs;
mod npm;
mod postgres;
mod process;
mod proto;
mod python;
mod samples;
mod slow;
mod sqlx;
mod steps;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The chores of the Mooring repository",
    version
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build Mooring and run all of it on this machine: Postgres, controller, agent and sample gateways.
    Up {
        /// Passed on to `mooring up --demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run everything CI runs, report every failure, and end with a summary.
    Test {
        /// Run only these steps (comma-separated).
        #[arg(long, value_delimiter = ',', value_name = "STEP")]
        only: Vec<String>,
        /// Leave these steps out (comma-separated).
        #[arg(long, value_delimiter = ',', value_name = "STEP")]
        skip: Vec<String>,
        /// List the steps and stop.
        #[arg(long)]
        list: bool,
    },
    /// Check licences, banned crates, version floors, duplicates and sources of the dependency tree.
    Deps,
    /// Check that our crates depend on each other in the one direction the design allows.
    Direction,
    /// Renew the committed query data (`.sqlx`) that lets the workspace build without a database.
    Sqlx {
        /// Change nothing; fail when the committed data is not what the queries and migrations give.
        #[arg(long)]
        check: bool,
    },
    /// Lint the protocol files with buf.
    Lint,
    /// Refuse incompatible changes of the protocol against the baseline (`proto/baseline.binpb`).
    Breaking {
        /// Make the protocol as it is now the new baseline. Do this at a release, and never to silence a failure.
        #[arg(long)]
        accept: bool,
    },
    /// Validate the Kubernetes manifests offline, strictly, for the oldest and newest supported minor.
    Kubernetes {
        /// Write the configuration files of `deploy/kubernetes/config` into the ConfigMap manifests first.
        #[arg(long)]
        write: bool,
    },
    /// Check the container file and the systemd units.
    Deploy,
    /// Write the pages of the documentation that are made from the code.
    Docs {
        /// Change nothing; fail when the committed pages are not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Parse every sample configuration with the program it is for.
    Samples,
    /// Run the tests that wait for other software's own timers: minutes, and not part of `test`.
    Slow,
    /// Build in release mode and run the benchmarks.
    Bench {
        /// Passed on to the benchmark program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // Not returned from main: a failed check is news, not a crash, and wants no backtrace under it.
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Up { args } => up::run(&workspace, &args),
        Command::Test { only, skip, list } => test::run(&workspace, &test::Selection { only, skip, list }),
        Command::Deps => report(deps::run(&workspace)),
        Command::Direction => report(direction::run(&workspace)),
        Command::Sqlx { check } => {
            report(sqlx::run(&workspace, if check { sqlx::Mode::Check } else { sqlx::Mode::Write }))
        }
        Command::Lint => report(proto::lint(&workspace)),
        Command::Breaking { accept: false } => report(proto::breaking(&workspace)),
        Command::Breaking { accept: true } => report(proto::accept(&workspace)),
        Command::Kubernetes { write } => report(kubernetes::run(&workspace, write)),
        Command::Deploy => report(deploy::run(&workspace)),
        Command::Docs { check } => report(docs::run(&workspace, check)),
        Command::Samples => report(samples::run(&workspace)),
        Command::Slow => slow::run(&workspace),
        Command::Bench { args } => bench::run(&workspace, &args),
    }
}

/// Prints what a check has to say for itself, which `test` puts into its summary instead.
fn report(outcome: anyhow::Result<String>) -> anyhow::Result<()> {
    println!("{}", outcome?);
    Ok(())
}
