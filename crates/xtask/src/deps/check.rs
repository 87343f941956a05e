//! The checks of the built graph against the tables.

use std::collections::BTreeSet;

use cargo_metadata::semver::Version;
use spdx::{Expression, LicenseReq, ParseMode};

use super::graph::{Graph, Package};
use super::{Violation, rules};

/// Everything wrong with the graph.
pub fn all(graph: &Graph) -> Vec<Violation> {
    let mut found = licences(graph, rules::LICENCES, rules::LICENCE_EXCEPTIONS);
    found.extend(bans(graph, rules::BANS));
    found.extend(floors(graph, rules::FLOORS));
    found.extend(single(graph, rules::SINGLE));
    found.extend(sources(graph));
    found
}

/// Every package must be usable under licences of the list alone, or have an exception that it needs.
fn licences(graph: &Graph, allowed: &[&str], exceptions: &[(&str, &str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (id, package) in &graph.packages {
        let rule = "licence";
        match judge(package, allowed, exceptions) {
            Ok(exception) => used.extend(exception),
            Err(why) => found
                .push(Violation { rule, message: format!("{why} (it comes in by {})", graph.way_to(id)) }),
        }
    }
    for (index, (name, licence, _)) in exceptions.iter().enumerate() {
        if !used.contains(&index) {
            let message = format!("the exception of {name} for {licence} is not needed; take it out");
            found.push(Violation { rule: "licence", message });
        }
    }
    found
}

/// The index of the exception that was needed, if any; or what is wrong.
fn judge(
    package: &Package,
    allowed: &[&str],
    exceptions: &[(&str, &str, &str)],
) -> Result<Option<usize>, String> {
    let subject = format!("{} {}", package.name, package.version);
    let Some(text) = &package.licence else { return Err(format!("{subject} states no licence")) };
    // Old manifests write "/" for OR; cargo never parsed the field.
    let mode = ParseMode { allow_slash_as_or_operator: true, ..ParseMode::STRICT };
    let expression = Expression::parse_mode(text, mode)
        .map_err(|error| format!("{subject}: unreadable licence {text:?}: {}", error.reason))?;
    let named = |requirement: &LicenseReq| requirement.license.id().map_or("", |id| id.name);
    if expression.evaluate(|requirement| allowed.contains(&named(requirement))) {
        return Ok(None);
    }
    let excepted = exceptions.iter().position(|(name, licence, _)| {
        *name == package.name
            && expression.evaluate(|requirement| {
                named(requirement) == *licence || allowed.contains(&named(requirement))
            })
    });
    excepted
        .map(Some)
        .ok_or_else(|| format!("{subject} is under {text}, which is not in the list of accepted licences"))
}

fn bans(graph: &Graph, bans: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, reason) in bans {
        for (id, _) in graph.named(name) {
            found.push(Violation {
                rule: "ban",
                message: format!("{id}: {reason} (it comes in by {})", graph.way_to(id)),
            });
        }
    }
    found
}

fn floors(graph: &Graph, floors: &[(&str, &str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, floor, reason) in floors {
        let oldest = match Version::parse(floor) {
            Ok(version) => version,
            Err(error) => {
                found.push(Violation {
                    rule: "floor",
                    message: format!("{name}: {floor} is no version: {error}"),
                });
                continue;
            }
        };
        for (id, package) in graph.named(name) {
            if package.version < oldest {
                let message =
                    format!("{id} is older than {floor}: {reason} (it comes in by {})", graph.way_to(id));
                found.push(Violation { rule: "floor", message });
            }
        }
    }
    found
}

fn single(graph: &Graph, names: &[&str]) -> Vec<Violation> {
    let mut found = Vec::new();
    for name in names {
        let ways: Vec<String> = graph.named(name).map(|(id, _)| graph.way_to(id)).collect();
        if ways.len() > 1 {
            let message =
                format!("{} versions of {name} in one tree:\n      {}", ways.len(), ways.join("\n      "));
            found.push(Violation { rule: "one version", message });
        }
    }
    found
}

fn sources(graph: &Graph) -> Vec<Violation> {
    let wrong = graph.packages.iter().filter(|(_, package)| match &package.source {
        Some(source) => source != rules::SOURCE,
        None => !package.member,
    });
    wrong
        .map(|(id, package)| Violation {
            rule: "source",
            message: format!(
                "{id} comes from {}, not from crates.io",
                package.source.as_deref().unwrap_or("a path")
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::Kind;
    use super::super::graph::fixture::graph;
    use super::*;

    const NO_EXCEPTIONS: &[(&str, &str, &str)] = &[];

    fn messages(found: &[Violation]) -> String {
        found.iter().map(|violation| violation.message.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn one_accepted_alternative_is_enough_and_every_conjunct_is_needed() {
        let graph = graph(
            &[
                ("either", "1.0.0", "GPL-3.0-only OR MIT"),
                ("old", "1.0.0", "MIT/Apache-2.0"),
                ("both", "1.0.0", "MIT AND GPL-3.0-only"),
                ("with", "1.0.0", "Apache-2.0 WITH LLVM-exception OR MIT"),
            ],
            &[],
        );
        let found = licences(&graph, &["MIT"], NO_EXCEPTIONS);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("both 1.0.0 is under MIT AND GPL-3.0-only"), "{found:?}");
    }

    #[test]
    fn no_licence_and_no_known_licence_are_refused() {
        let mut graph = graph(&[("silent", "1.0.0", "MIT"), ("odd", "1.0.0", "See LICENSE file")], &[]);
        graph.packages.get_mut("silent@1.0.0").unwrap().licence = None;
        let found = messages(&licences(&graph, &["MIT"], NO_EXCEPTIONS));
        assert!(
            found.contains("silent 1.0.0 states no licence")
                && found.contains("odd 1.0.0: unreadable licence"),
            "{found}"
        );
    }

    #[test]
    fn an_exception_serves_its_package_only_and_goes_when_not_needed() {
        let exceptions = &[("roots", "CDLA-Permissive-2.0", "data"), ("gone", "MPL-2.0", "was needed once")];
        let graph = graph(
            &[("roots", "1.0.0", "CDLA-Permissive-2.0"), ("other", "1.0.0", "CDLA-Permissive-2.0")],
            &[],
        );
        let found = messages(&licences(&graph, &["MIT"], exceptions));
        assert!(!found.contains("roots 1.0.0"), "{found}");
        assert!(found.contains("other 1.0.0 is under CDLA-Permissive-2.0"), "{found}");
        assert!(found.contains("the exception of gone for MPL-2.0 is not needed"), "{found}");
    }

    #[test]
    fn a_ban_says_why_and_how_it_came_in() {
        let graph = graph(
            &[("mooring-core", "0.1.0", "MIT"), ("nice", "1.0.0", "MIT"), ("bad", "1.0.0", "MIT")],
            &[("mooring-core@0.1.0", "nice@1.0.0", Kind::Normal), ("nice@1.0.0", "bad@1.0.0", Kind::Normal)],
        );
        let found = bans(&graph, &[("bad", "it is bad"), ("absent", "it is not there")]);
        assert_eq!(
            messages(&found),
            "bad@1.0.0: it is bad (it comes in by mooring-core@0.1.0 > nice@1.0.0 > bad@1.0.0)"
        );
    }

    #[test]
    fn a_floor_is_a_version_and_not_a_text() {
        let graph = graph(&[("a", "0.4.9", "MIT"), ("b", "0.4.16", "MIT"), ("c", "0.10.0", "MIT")], &[]);
        let floors_ = &[("a", "0.4.16", "flaw"), ("b", "0.4.16", "flaw"), ("c", "0.9.0", "flaw")];
        let found = messages(&floors(&graph, floors_));
        assert!(found.contains("a@0.4.9 is older than 0.4.16: flaw"), "{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }

    #[test]
    fn a_second_version_is_shown_with_both_ways_in() {
        let graph = graph(
            &[("mooring-a", "0.1.0", "MIT"), ("http", "0.2.0", "MIT"), ("http", "1.0.0", "MIT")],
            &[("mooring-a@0.1.0", "http@0.2.0", Kind::Normal), ("mooring-a@0.1.0", "http@1.0.0", Kind::Dev)],
        );
        let found = messages(&single(&graph, &["http"]));
        assert!(
            found.contains("mooring-a@0.1.0 > http@0.2.0") && found.contains("mooring-a@0.1.0 > http@1.0.0"),
            "{found}"
        );
        assert!(single(&graph, &["mooring-a"]).is_empty());
    }

    #[test]
    fn only_the_registry_and_ourselves_are_sources() {
        let mut graph = graph(
            &[
                ("mooring-a", "0.1.0", "MIT"),
                ("good", "1.0.0", "MIT"),
                ("git", "1.0.0", "MIT"),
                ("path", "1.0.0", "MIT"),
            ],
            &[],
        );
        graph.packages.get_mut("git@1.0.0").unwrap().source = Some("git+https://example.org/git".to_owned());
        graph.packages.get_mut("path@1.0.0").unwrap().source = None;
        let found = messages(&sources(&graph));
        assert_eq!(
            found,
            "git@1.0.0 comes from git+https://example.org/git, not from crates.io\npath@1.0.0 comes from a path, not from crates.io"
        );
    }

    #[test]
    fn every_floor_is_a_version_and_no_name_is_ruled_twice() {
        for (name, floor, _) in rules::FLOORS {
            Version::parse(floor).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let bans: BTreeSet<&str> = rules::BANS.iter().map(|(name, _)| *name).collect();
        assert_eq!(bans.len(), rules::BANS.len());
        let licences: Vec<_> =
            rules::LICENCES.iter().filter(|name| spdx::license_id(name).is_none()).collect();
        assert!(licences.is_empty(), "not SPDX identifiers: {licences:?}");
    }
}
