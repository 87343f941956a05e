//! Static checks of the container file and the systemd units.
//!
//! No engine and no init system is at hand where the checks run, so nothing is built or started. What is checked is what
//! gets lost in edits: files that are copied exist, images are pinned, no image runs as root, and the units keep their
//! hardening. Whether an image works is for a machine with an engine.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, bail};

use crate::workspace::Workspace;

const CONTAINERFILE: &str = "deploy/Containerfile";

/// The images people build.
const IMAGES: &[&str] = &["controller", "agent", "mooring"];

/// The units, and the settings each must keep: section, key, value.
const UNITS: &[&str] = &["deploy/systemd/mooring-controller.service", "deploy/systemd/mooring-agent.service"];
const SETTINGS: &[(&str, &str, &str)] = &[
    ("Service", "NoNewPrivileges", "yes"),
    ("Service", "ProtectSystem", "strict"),
    ("Service", "ProtectHome", "yes"),
    ("Service", "PrivateTmp", "yes"),
    ("Service", "Restart", "on-failure"),
    ("Service", "ExecReload", "/bin/kill -HUP $MAINPID"),
    ("Service", "CapabilityBoundingSet", ""),
    ("Install", "WantedBy", "multi-user.target"),
];

/// Checks them all and reports all that is wrong.
pub fn run(workspace: &Workspace) -> anyhow::Result<String> {
    let mut problems = Vec::new();
    let text = fs::read_to_string(workspace.path(CONTAINERFILE))
        .with_context(|| format!("cannot read {CONTAINERFILE}"))?;
    let exists = |path: &str| workspace.path(path).exists();
    problems.extend(
        container_problems(&text, IMAGES, exists)
            .into_iter()
            .map(|problem| format!("{CONTAINERFILE}: {problem}")),
    );
    for unit in UNITS {
        let text = fs::read_to_string(workspace.path(unit)).with_context(|| format!("cannot read {unit}"))?;
        problems.extend(unit_problems(&text).into_iter().map(|problem| format!("{unit}: {problem}")));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(format!("{} images, {} units", IMAGES.len(), UNITS.len()))
}

/// What a stage of a container file ends up with.
#[derive(Debug, Clone, Default)]
struct Stage {
    user: Option<String>,
    entrypoint: Option<String>,
}

fn container_problems(text: &str, images: &[&str], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut current = String::new();
    for (instruction, rest) in instructions(text) {
        match instruction.as_str() {
            "FROM" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let base = words.first().copied().unwrap_or_default();
                current = words.last().copied().unwrap_or_default().to_owned();
                let inherited = stages.get(base).cloned();
                if inherited.is_none() && !is_pinned(base) {
                    problems.push(format!("image {base} is not pinned to a version"));
                }
                stages.insert(current.clone(), inherited.unwrap_or_default());
            }
            "COPY" if !rest.contains("--from=") => {
                let paths: Vec<&str> =
                    rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                for path in &paths[..paths.len().saturating_sub(1)] {
                    if !exists(path) {
                        problems.push(format!("COPY of {path}, which does not exist"));
                    }
                }
            }
            "USER" => stages.entry(current.clone()).or_default().user = Some(rest),
            "ENTRYPOINT" => stages.entry(current.clone()).or_default().entrypoint = Some(rest),
            _ => {}
        }
    }
    for image in images {
        let Some(stage) = stages.get(*image) else {
            problems.push(format!("there is no image called {image}"));
            continue;
        };
        // Kubernetes can only see that a user is not root when it is given as a number.
        let uid = stage.user.as_deref().and_then(|user| user.split(':').next()?.parse::<u32>().ok());
        if uid.is_none_or(|uid| uid == 0) {
            problems.push(format!("image {image} must set a numeric USER other than 0"));
        }
        if !stage.entrypoint.as_deref().is_some_and(|entrypoint| entrypoint.starts_with('[')) {
            problems.push(format!("image {image} must set ENTRYPOINT as a list, or signals end at a shell"));
        }
    }
    problems
}

/// The instructions with their arguments, continued lines joined, comments left out.
fn instructions(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(start) => {
                pending.push_str(start);
                pending.push(' ');
            }
            None => {
                pending.push_str(line);
                if let Some((instruction, rest)) = pending.split_once(char::is_whitespace) {
                    found.push((instruction.to_uppercase(), rest.trim().to_owned()));
                }
                pending.clear();
            }
        }
    }
    found
}

fn is_pinned(image: &str) -> bool {
    image.contains('@')
        || image
            .rsplit('/')
            .next()
            .and_then(|name| name.split_once(':'))
            .is_some_and(|(_, tag)| tag != "latest")
}

fn unit_problems(text: &str) -> Vec<String> {
    let mut settings: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            settings.insert((section.clone(), key.trim().to_owned()), value.trim().to_owned());
        }
    }
    let wrong = SETTINGS.iter().filter_map(|(section, key, value)| {
        let found = settings.get(&((*section).to_owned(), (*key).to_owned()));
        match found {
            Some(found) if found == value => None,
            Some(found) => Some(format!("[{section}] {key} must be {value:?}, is {found:?}")),
            None => Some(format!("[{section}] {key}={value} is missing")),
        }
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "FROM rust:1.95-bookworm AS build\nCOPY Cargo.toml \\\n  crates ./\n# a comment\nFROM debian:12-slim AS base\n\
                        USER 65532:65532\nFROM base AS agent\nCOPY --from=build /out/agent /usr/bin/\nENTRYPOINT [\"agent\"]\n";

    #[test]
    fn a_pinned_image_without_root_passes() {
        assert!(container_problems(GOOD, &["agent"], |_| true).is_empty());
    }

    #[test]
    fn each_broken_promise_of_an_image_is_found() {
        let broken = |from: &str, to: &str, image: &str| {
            container_problems(&GOOD.replace(from, to), &[image], |path| path != "crates").join("; ")
        };
        assert_eq!(broken("", "", "agent"), "COPY of crates, which does not exist");
        let rest = |text: String| text.replace("COPY of crates, which does not exist; ", "");
        assert!(broken("debian:12-slim", "debian:latest", "agent").contains("debian:latest is not pinned"));
        assert_eq!(
            rest(broken("65532:65532", "0", "agent")),
            "image agent must set a numeric USER other than 0"
        );
        assert_eq!(
            rest(broken("65532:65532", "mooring", "agent")),
            "image agent must set a numeric USER other than 0"
        );
        assert!(
            rest(broken("[\"agent\"]", "agent", "agent"))
                .starts_with("image agent must set ENTRYPOINT as a list")
        );
        assert_eq!(rest(broken("", "", "mooring")), "there is no image called mooring");
    }

    #[test]
    fn an_image_is_pinned_by_tag_or_digest() {
        assert!(is_pinned("docker.io/library/debian:12-slim") && is_pinned("debian@sha256:00"));
        assert!(!is_pinned("debian") && !is_pinned("localhost:5000/debian") && !is_pinned("debian:latest"));
    }

    #[test]
    fn a_softened_unit_is_found() {
        let lines: Vec<String> = ["Service", "Install"]
            .iter()
            .flat_map(|section| {
                let of_section = SETTINGS.iter().filter(move |(name, ..)| name == section);
                std::iter::once(format!("[{section}]"))
                    .chain(of_section.map(|(_, key, value)| format!("{key}={value}")))
            })
            .collect();
        let unit = lines.join("\n");
        assert!(unit_problems(&unit).is_empty());
        let softened =
            unit.replace("ProtectSystem=strict", "ProtectSystem=full").replace("NoNewPrivileges=yes", "");
        assert_eq!(
            unit_problems(&softened),
            [
                "[Service] NoNewPrivileges=yes is missing",
                "[Service] ProtectSystem must be \"strict\", is \"full\""
            ]
        );
    }
}
