//! `cargo xtask bench`: the benchmarks, in release mode. They print tables and assert nothing.

use crate::workspace::Workspace;
use crate::{needs, process};

/// Builds and becomes the benchmark program. Returns only on failure.
pub fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<()> {
    needs::ensure(&[needs::C_COMPILER, needs::POSTGRES])?;
    let mut bench = workspace.cargo();
    bench.args(["run", "--release", "--package", "mooring-tests", "--bin", "bench", "--"]);
    process::become_program(bench.args(args.iter().skip_while(|arg| *arg == "--")))
}
