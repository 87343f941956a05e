//! `cargo xtask slow`: the tests that wait for timers as other software comes with them. CI runs the same with short ones.

use crate::workspace::Workspace;
use crate::{needs, npm, process, python};

/// Runs them, and shows what was seen.
pub fn run(workspace: &Workspace) -> anyhow::Result<()> {
    needs::ensure(&[needs::C_COMPILER, needs::NODE, needs::PYTHON, needs::NGINX, needs::APACHE])?;
    npm::install(workspace, "tests/gateways")?;
    python::install(workspace)?;
    let mut tests = workspace.cargo();
    // They wait; at once they take as long as the longest.
    let args = ["test", "--package", "mooring-tests", "--test", "slow", "--", "--ignored", "--nocapture"];
    process::run(tests.args(args).arg("--test-threads=8"))
}
