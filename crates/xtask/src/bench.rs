//! `cargo xtask bench`: the benchmarks, in release mode. They print tables and assert nothing.

use crate::workspace::Workspace;
use crate::{needs, npm, process, python};

/// Builds and becomes the benchmark program. Returns only on failure.
pub fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<()> {
    needs::ensure(&[needs::C_COMPILER, needs::POSTGRES])?;
    if args.iter().any(|arg| arg == "relay" || arg == "relay-faults") {
        // Somebody who may not install them can still measure what is here: the benchmark says what is left out.
        if let Err(error) = needs::ensure(&[needs::NGINX, needs::HAPROXY]) {
            println!("{error:#}");
        }
    }
    if args.iter().any(|arg| arg == "doctor") {
        // The catalogue of faults is made of other people's software.
        needs::ensure(&[needs::NODE, needs::PYTHON, needs::NGINX, needs::HAPROXY, needs::APACHE])?;
        npm::install(workspace, "tests/gateways")?;
        npm::install(workspace, "tests/gateways/onebot")?;
        python::install(workspace)?;
    }
    let mut bench = workspace.cargo();
    bench.args(["run", "--release", "--package", "mooring-tests", "--bin", "bench", "--"]);
    process::become_program(bench.args(args.iter().skip_while(|arg| *arg == "--")))
}
