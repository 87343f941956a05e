//! The dependency graph as the rules see it: packages that are built, the facts about them, and who wants whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Context as _;
use cargo_metadata::semver::Version;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::process;
use crate::workspace::Workspace;

/// `name@version`. Sources are not part of it: two sources of one version are a broken rule of their own.
pub type Id = String;

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Linked into what we ship.
    Normal,
    /// Used by a build script.
    Build,
    /// Used by tests, benchmarks and examples.
    Dev,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name on the registry.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its licence expression, as its manifest gives it.
    pub licence: Option<String>,
    /// Where it comes from; `None` for a path in this checkout.
    pub source: Option<String>,
    /// Whether it is one of ours.
    pub member: bool,
    /// What it depends on.
    pub needs: BTreeSet<(Id, Kind)>,
}

/// All packages that are built on at least one of the platforms.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// By id.
    pub packages: BTreeMap<Id, Package>,
}

impl Graph {
    /// Asks cargo, once for each target.
    pub fn load(workspace: &Workspace, targets: &[&str]) -> anyhow::Result<Self> {
        let mut graph = Self::default();
        for target in targets {
            let metadata = MetadataCommand::new()
                .current_dir(workspace.root())
                .other_options(vec!["--filter-platform".to_owned(), (*target).to_owned()])
                .exec()
                .with_context(|| format!("cargo metadata for {target}"))?;
            let mut tree = workspace.cargo();
            tree.args(["tree", "--workspace", "--target", target, "--edges", "normal,build,dev"]);
            tree.args(["--prefix", "none", "--format", "{p}"]);
            graph.merge(&metadata, &built(&process::output(&mut tree)?))?;
        }
        Ok(graph)
    }

    fn merge(&mut self, metadata: &Metadata, built: &BTreeSet<Id>) -> anyhow::Result<()> {
        let ids: BTreeMap<_, Id> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, format!("{}@{}", package.name, package.version)))
            .collect();
        for package in &metadata.packages {
            let id = &ids[&package.id];
            if !built.contains(id) {
                continue;
            }
            self.packages.entry(id.clone()).or_insert_with(|| Package {
                name: package.name.to_string(),
                version: package.version.clone(),
                licence: package.license.clone(),
                source: package.source.as_ref().map(|source| source.repr.clone()),
                member: metadata.workspace_members.contains(&package.id),
                needs: BTreeSet::new(),
            });
        }
        let resolve = metadata.resolve.as_ref().context("cargo metadata gave no dependency graph")?;
        for node in &resolve.nodes {
            let Some(package) = self.packages.get_mut(&ids[&node.id]) else { continue };
            for dependency in &node.deps {
                let to = &ids[&dependency.pkg];
                if built.contains(to) {
                    package
                        .needs
                        .extend(dependency.dep_kinds.iter().map(|info| (to.clone(), kind(info.kind))));
                }
            }
        }
        Ok(())
    }

    /// All versions of a package.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Id, &'a Package)> {
        self.packages.iter().filter(move |(_, package)| package.name == name)
    }

    /// Everything reached from `from` over dependencies of the given kinds, with the way there (from, …, to).
    pub fn reached(&self, from: &Id, kinds: &[Kind]) -> BTreeMap<Id, Vec<Id>> {
        let mut ways = BTreeMap::from([(from.clone(), vec![from.clone()])]);
        let mut queue = VecDeque::from([from.clone()]);
        while let Some(id) = queue.pop_front() {
            let Some(package) = self.packages.get(&id) else { continue };
            for (to, kind) in &package.needs {
                if kinds.contains(kind) && !ways.contains_key(to) {
                    let mut way = ways[&id].clone();
                    way.push(to.clone());
                    ways.insert(to.clone(), way);
                    queue.push_back(to.clone());
                }
            }
        }
        ways
    }

    /// How a package comes in: the shortest way from one of ours, for people.
    pub fn way_to(&self, id: &Id) -> String {
        let members = self.packages.iter().filter(|(_, package)| package.member);
        let ways = members.filter_map(|(member, _)| {
            self.reached(member, &[Kind::Normal, Kind::Build, Kind::Dev]).remove(id)
        });
        ways.min_by_key(Vec::len).map_or_else(|| id.clone(), |way| way.join(" > "))
    }
}

fn kind(kind: DependencyKind) -> Kind {
    match kind {
        DependencyKind::Build => Kind::Build,
        DependencyKind::Development => Kind::Dev,
        _ => Kind::Normal,
    }
}

/// The ids in the output of `cargo tree --prefix none --format {p}`: lines of `name vX.Y.Z (more)`.
fn built(tree: &str) -> BTreeSet<Id> {
    let ids = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let version = words.next()?.strip_prefix('v')?;
        Some(format!("{name}@{version}"))
    });
    ids.collect()
}

#[cfg(test)]
pub mod fixture {
    //! Small graphs for the tests of the rules.

    use super::*;

    /// A graph of packages that are not ours: `(name, version, licence)`, and edges between ids.
    pub fn graph(packages: &[(&str, &str, &str)], edges: &[(&str, &str, Kind)]) -> Graph {
        let mut graph = Graph::default();
        for (name, version, licence) in packages {
            graph.packages.insert(
                format!("{name}@{version}"),
                Package {
                    name: (*name).to_owned(),
                    version: version.parse().unwrap(),
                    licence: Some((*licence).to_owned()),
                    source: Some("registry+https://github.com/rust-lang/crates.io-index".to_owned()),
                    member: name.starts_with("mooring-"),
                    needs: BTreeSet::new(),
                },
            );
        }
        for (from, to, kind) in edges {
            assert!(graph.packages.contains_key(*to), "{to} is not in the fixture");
            graph.packages.get_mut(*from).unwrap().needs.insert(((*to).to_owned(), *kind));
        }
        for package in graph.packages.values_mut().filter(|package| package.member) {
            package.source = None;
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_read() {
        let tree = "mooring-core v0.1.0 (/somewhere/core)\nrand v0.10.1\nserde_derive v1.0.2 (proc-macro)\n\nrand v0.10.1 (*)\n";
        let expected = ["mooring-core@0.1.0", "rand@0.10.1", "serde_derive@1.0.2"].map(str::to_owned);
        assert_eq!(built(tree), BTreeSet::from(expected));
    }

    #[test]
    fn the_shortest_way_in_is_told() {
        let graph = fixture::graph(
            &[
                ("mooring-a", "0.1.0", "MIT"),
                ("b", "1.0.0", "MIT"),
                ("c", "1.0.0", "MIT"),
                ("d", "2.0.0", "MIT"),
            ],
            &[
                ("mooring-a@0.1.0", "b@1.0.0", Kind::Normal),
                ("b@1.0.0", "c@1.0.0", Kind::Normal),
                ("c@1.0.0", "d@2.0.0", Kind::Build),
                ("b@1.0.0", "d@2.0.0", Kind::Dev),
            ],
        );
        assert_eq!(graph.way_to(&"d@2.0.0".to_owned()), "mooring-a@0.1.0 > b@1.0.0 > d@2.0.0");
        let normal = graph.reached(&"mooring-a@0.1.0".to_owned(), &[Kind::Normal]);
        assert!(normal.contains_key("c@1.0.0") && !normal.contains_key("d@2.0.0"));
    }
}
