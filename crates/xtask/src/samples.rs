//! Every sample configuration is parsed by the very program it is for, with the `config check` an operator would use.
//!
//! A sample that no longer parses is worse than none, so a file missing here fails, and so does one in the folders
//! that is not in the table.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use crate::process;
use crate::workspace::Workspace;

/// Which program reads which file.
const SAMPLES: &[(&str, &str)] = &[
    ("mooring-controller", "deploy/samples/controller.toml"),
    ("mooring-agent", "deploy/samples/agent.toml"),
    ("mooring-agent", "deploy/samples/agent-gateways.toml"),
    ("mooring-controller", "deploy/kubernetes/config/controller.toml"),
    ("mooring-agent", "deploy/kubernetes/config/agent.toml"),
];

/// Files that are no configuration by themselves: the controller's samples name them and read them.
const READ_BY_ANOTHER: &[&str] = &["deploy/samples/policy.toml", "deploy/kubernetes/config/policy.toml"];

/// The folders in which each TOML file must be known.
const FOLDERS: &[&str] = &["deploy/samples", "deploy/kubernetes/config"];

/// Parses them all.
pub fn run(workspace: &Workspace) -> anyhow::Result<String> {
    let mut problems = unknown(workspace)?;
    let programs: BTreeSet<&str> = SAMPLES.iter().map(|(program, _)| *program).collect();
    let mut build = workspace.cargo();
    build.arg("build");
    for program in programs {
        build.args(["--bin", program]);
    }
    process::run(&mut build)?;
    for (program, file) in SAMPLES {
        let mut check = workspace.command(workspace.debug_program(program));
        if let Err(error) = process::output(check.args(["--config", file, "config", "check"])) {
            problems.push(format!("{file}: {error}"));
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(format!("{} files parsed", SAMPLES.len()))
}

fn unknown(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let known: BTreeSet<&str> =
        SAMPLES.iter().map(|(_, file)| *file).chain(READ_BY_ANOTHER.iter().copied()).collect();
    let mut problems = Vec::new();
    for folder in FOLDERS {
        for entry in
            std::fs::read_dir(workspace.path(folder)).with_context(|| format!("cannot read {folder}"))?
        {
            let file = format!("{folder}/{}", entry?.file_name().to_string_lossy());
            if file.ends_with(".toml") && !known.contains(file.as_str()) {
                problems.push(format!("{file}: no program is named for it in crates/xtask/src/samples.rs"));
            }
        }
    }
    Ok(problems)
}
