//! The pages of the documentation that are made from the code.
//!
//! What makes them is an example of the crate that knows: this one depends on none of ours.

use crate::process;
use crate::workspace::Workspace;

/// Writes the pages of the causes; with `check`, changes nothing and fails when they are not what the code says.
pub fn run(workspace: &Workspace, check: bool) -> anyhow::Result<String> {
    let mut command = workspace.cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "mooring-core",
        "--example",
        "cause_pages",
        "--",
        "docs/causes",
    ]);
    if check {
        command.arg("--check");
    }
    Ok(process::output(&mut command)?.trim().to_owned())
}
