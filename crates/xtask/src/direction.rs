//! Our crates depend on each other in one direction, and the core depends on nothing that does I/O.
//!
//! The table is the design's, written down where a machine reads it. Dependencies of tests are free: a test may look at
//! anything. A crate that is not in the table fails, so that a new one states its place.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use crate::deps::{Graph, Kind, TARGETS};
use crate::workspace::Workspace;

/// Each crate of ours and the crates of ours it may depend on. `None`: all of them.
const DIRECTION: &[(&str, Option<&[&str]>)] = &[
    ("mooring-core", Some(&[])),
    ("mooring-proto", Some(&["mooring-core"])),
    ("mooring-wire", Some(&["mooring-core"])),
    ("mooring-kernel", Some(&["mooring-core"])),
    ("mooring-store", Some(&["mooring-core"])),
    ("mooring-store-pg", Some(&["mooring-core", "mooring-store"])),
    ("mooring-runtime", Some(&[])),
    ("mooring-report", Some(&["mooring-core", "mooring-proto", "mooring-runtime"])),
    ("mooring-relay", Some(&["mooring-core", "mooring-wire"])),
    ("mooring-proxyconf", Some(&["mooring-core"])),
    ("mooring-socketio", Some(&["mooring-core", "mooring-wire"])),
    ("mooring-doctor", Some(&["mooring-core", "mooring-wire", "mooring-socketio"])),
    ("mooring-gateways", Some(&["mooring-core", "mooring-wire", "mooring-socketio", "mooring-runtime"])),
    (
        "mooring-agent",
        Some(&[
            "mooring-doctor",
            "mooring-gateways",
            "mooring-socketio",
            "mooring-core",
            "mooring-proto",
            "mooring-wire",
            "mooring-runtime",
            "mooring-relay",
            "mooring-kernel",
            "mooring-report",
        ]),
    ),
    (
        "mooring-controller",
        Some(&["mooring-core", "mooring-proto", "mooring-store", "mooring-store-pg", "mooring-runtime"]),
    ),
    (
        "mooring-cli",
        Some(&[
            "mooring-core",
            "mooring-proto",
            "mooring-wire",
            "mooring-runtime",
            "mooring-agent",
            "mooring-controller",
            "mooring-doctor",
            "mooring-proxyconf",
        ]),
    ),
    ("mooring-sample-gateway", Some(&[])),
    ("mooring-xtask", Some(&[])),
    ("mooring-tests", None),
];

/// What the core may not reach, directly or through another crate: runtimes, sockets, databases, wire formats.
const NOT_IN_CORE: &[&str] = &[
    "async-io",
    "async-std",
    "h2",
    "hyper",
    "mio",
    "opentelemetry",
    "prost",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tonic",
    "tower",
    "tungstenite",
];

/// What is linked into a crate: its build script's dependencies count, since what it generates needs them too.
const LINKED: &[Kind] = &[Kind::Normal, Kind::Build];

/// Checks both rules and reports all that is wrong.
pub fn run(workspace: &Workspace) -> anyhow::Result<String> {
    let graph = Graph::load(workspace, TARGETS)?;
    let mut found = wrong_way(&graph, DIRECTION);
    found.extend(impure(&graph, "mooring-core", NOT_IN_CORE));
    if !found.is_empty() {
        bail!("crates depend the wrong way:\n  {}", found.join("\n  "));
    }
    Ok(format!("{} crates", DIRECTION.len()))
}

fn wrong_way(graph: &Graph, table: &[(&str, Option<&[&str]>)]) -> Vec<String> {
    let table: BTreeMap<&str, Option<&[&str]>> = table.iter().copied().collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for package in graph.packages.values().filter(|package| package.member) {
        let name = package.name.as_str();
        seen.insert(name);
        let Some(allowed) = table.get(name) else {
            found.push(format!(
                "{name} is not in the table of crates/xtask/src/direction.rs: say what it may depend on"
            ));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for (to, kind) in &package.needs {
            let to = &graph.packages[to];
            if to.member && LINKED.contains(kind) && !allowed.contains(&to.name.as_str()) {
                found.push(format!("{name} may not depend on {}", to.name));
            }
        }
    }
    found.extend(
        table
            .keys()
            .filter(|name| !seen.contains(*name))
            .map(|name| format!("{name} is in the table but not in the workspace")),
    );
    found
}

fn impure(graph: &Graph, core: &str, banned: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (id, _) in graph.named(core) {
        for (to, way) in graph.reached(id, LINKED) {
            if banned.contains(&graph.packages[&to].name.as_str()) {
                found.push(format!("{core} does no I/O, but reaches {}", way.join(" > ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deps::fixture::graph;

    const TABLE: &[(&str, Option<&[&str]>)] =
        &[("mooring-core", Some(&[])), ("mooring-agent", Some(&["mooring-core"])), ("mooring-tests", None)];

    fn packages() -> Vec<(&'static str, &'static str, &'static str)> {
        ["mooring-core", "mooring-agent", "mooring-tests", "rand", "tokio"]
            .map(|name| (name, "1.0.0", "MIT"))
            .to_vec()
    }

    #[test]
    fn the_right_way_passes() {
        let graph = graph(
            &packages(),
            &[
                ("mooring-agent@1.0.0", "mooring-core@1.0.0", Kind::Normal),
                ("mooring-tests@1.0.0", "mooring-agent@1.0.0", Kind::Normal),
                ("mooring-core@1.0.0", "mooring-agent@1.0.0", Kind::Dev),
                ("mooring-core@1.0.0", "tokio@1.0.0", Kind::Dev),
                ("mooring-core@1.0.0", "rand@1.0.0", Kind::Normal),
            ],
        );
        assert!(wrong_way(&graph, TABLE).is_empty());
        assert!(impure(&graph, "mooring-core", &["tokio"]).is_empty());
    }

    #[test]
    fn a_wrong_way_an_unknown_crate_and_a_forgotten_line_are_found() {
        let mut packages = packages();
        packages.retain(|(name, ..)| *name != "mooring-tests");
        packages.push(("mooring-new", "1.0.0", "MIT"));
        let graph = graph(&packages, &[("mooring-core@1.0.0", "mooring-agent@1.0.0", Kind::Build)]);
        assert_eq!(
            wrong_way(&graph, TABLE),
            [
                "mooring-core may not depend on mooring-agent",
                "mooring-new is not in the table of crates/xtask/src/direction.rs: say what it may depend on",
                "mooring-tests is in the table but not in the workspace",
            ]
        );
    }

    #[test]
    fn the_core_is_pure_through_others_too() {
        let graph = graph(
            &packages(),
            &[
                ("mooring-core@1.0.0", "rand@1.0.0", Kind::Normal),
                ("rand@1.0.0", "tokio@1.0.0", Kind::Normal),
            ],
        );
        assert_eq!(
            impure(&graph, "mooring-core", &["tokio"]),
            ["mooring-core does no I/O, but reaches mooring-core@1.0.0 > rand@1.0.0 > tokio@1.0.0"]
        );
    }
}
