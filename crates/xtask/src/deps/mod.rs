//! Rules on what we depend on, checked from cargo's own view of the tree in about a second.
//!
//! What it checks, over every package that is really built for the platforms we ship (our own tests and build scripts
//! included): licences against an allow-list; crates that may not come in, each with its reason; the oldest version of some
//! crates that is free of a known flaw; one version only of the crates that carry shared types; and crates.io as the only source.
//! The rules are tables in [`rules`]; an exception that is no longer needed fails too, so the list can only shrink.
//!
//! **What it does not do:** it holds no live advisory database. A flaw published tomorrow is known here only when somebody adds a
//! floor or a ban. `cargo deny check advisories` and `cargo audit` fetch that database; run one of them on a schedule where the
//! network allows it. They are not steps of `test`, because they take minutes to compile and need an address beside the
//! package registry.
//!
//! Why not simply what `cargo metadata` resolves: its graph also holds packages behind optional features that nothing turns on
//! (`ring` under rustls, for one). `cargo tree` knows what is built, so it picks the packages, and metadata supplies the facts.

mod check;
mod graph;
mod lock;
mod rules;

use anyhow::bail;

#[cfg(test)]
pub use graph::fixture;
pub use graph::{Graph, Kind};

use crate::workspace::Workspace;

/// The platforms Mooring is built for, whose dependencies are judged.
pub const TARGETS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// What breaks it, how it came in, and what to do.
    pub message: String,
}

/// Checks every rule and reports all that are broken.
pub fn run(workspace: &Workspace) -> anyhow::Result<String> {
    let graph = Graph::load(workspace, TARGETS)?;
    let lock = std::fs::read_to_string(workspace.path("Cargo.lock"))?;
    let mut violations = check::all(&graph);
    violations.extend(lock::check(&lock)?);
    if violations.is_empty() {
        return Ok(format!("{} packages on {} platforms", graph.packages.len(), TARGETS.len()));
    }
    let lines: Vec<String> =
        violations.iter().map(|broken| format!("  {}: {}", broken.rule, broken.message)).collect();
    bail!("{} dependency rules are broken:\n{}", violations.len(), lines.join("\n"))
}
