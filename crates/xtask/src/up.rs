//! `cargo xtask up`: from a fresh checkout to a running Mooring in one command.
//!
//! After the build this process *becomes* `mooring up --demo` (as `cargo run` became this one). With nobody in between,
//! the terminal is the program's own, Ctrl-C reaches it once, and its exit code is the exit code.

use crate::workspace::Workspace;
use crate::{needs, process};

/// What `mooring up --demo` starts: itself, and the gateways it watches.
const PACKAGES: &[&str] = &["mooring-cli", "mooring-sample-gateway"];

/// Builds, then runs. Returns only on failure.
pub fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<()> {
    needs::ensure(&[needs::C_COMPILER, needs::POSTGRES])?;
    let mut build = workspace.cargo();
    build.arg("build");
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    process::run(&mut build)?;
    let mut mooring = std::process::Command::new(workspace.debug_program("mooring"));
    process::become_program(mooring.args(["up", "--demo"]).args(args.iter().skip_while(|arg| *arg == "--")))
}
