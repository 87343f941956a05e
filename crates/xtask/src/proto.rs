//! The protocol files: buf's lint and buf's judgement of what would break a client.
//!
//! buf comes from npm as a bare binary in a platform package, pinned in `tests/tools`; on a platform without one, a `buf` in
//! `PATH` is used. It runs offline: `buf.yaml` names no module of the schema registry.
//!
//! Compatibility is judged against the last released protocol at FILE level, the strictest. Until there is a release,
//! `proto/baseline.binpb` is the promise: `cargo xtask breaking --accept` renews it.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::workspace::Workspace;
use crate::{needs, npm, process};

const BASELINE: &str = "proto/baseline.binpb";

/// Lints every protocol file.
pub fn lint(workspace: &Workspace) -> anyhow::Result<String> {
    process::run(buf(workspace)?.arg("lint"))?;
    Ok("lint clean".to_owned())
}

/// Refuses what would break a client of the baseline.
pub fn breaking(workspace: &Workspace) -> anyhow::Result<String> {
    if !workspace.path(BASELINE).is_file() {
        bail!("{BASELINE} is missing; make the first one with `cargo xtask breaking --accept`");
    }
    process::run(buf(workspace)?.args(["breaking", "--against", BASELINE]))?;
    Ok("nothing breaks the baseline".to_owned())
}

/// Makes the protocol as it is now the baseline. Comments are left out: they would change the file, and promise nothing.
pub fn accept(workspace: &Workspace) -> anyhow::Result<String> {
    process::run(buf(workspace)?.args(["build", "--exclude-source-info", "--output", BASELINE]))?;
    Ok(format!("{BASELINE} is the protocol as it is now"))
}

fn buf(workspace: &Workspace) -> anyhow::Result<Command> {
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "buf-linux-x64",
        ("linux", "aarch64") => "buf-linux-aarch64",
        (os, arch) => {
            let found = process::on_path("buf").with_context(|| {
                format!("no pinned buf for {os} on {arch}; install one (brew install bufbuild/buf/buf)")
            })?;
            return Ok(workspace.command(found));
        }
    };
    needs::ensure(&[needs::NODE])?;
    npm::install(workspace, "tests/tools")?;
    Ok(workspace.command(workspace.path(&format!("tests/tools/node_modules/@bufbuild/{package}/bin/buf"))))
}
