//! The Kubernetes manifests, checked without a cluster.
//!
//! kubernetes-validate carries the schemas of every minor version and, asked strictly, refuses a field that the schema does
//! not know, which is how most mistakes in manifests look. `kubectl --dry-run=client` would want a server. The oldest and the
//! newest supported minor are checked; what is valid in both is taken to be valid between them.
//!
//! The configuration inside a ConfigMap has no schema and no line numbers, so it is kept as a TOML file in
//! `deploy/kubernetes/config`, which `samples` parses, and copied into the manifest by `cargo xtask kubernetes --write`.

use std::fs;

use anyhow::{Context as _, bail, ensure};

use crate::workspace::Workspace;
use crate::{process, python};

/// The oldest and the newest supported Kubernetes minor.
const MINORS: &[&str] = &["1.33", "1.37"];

const FOLDER: &str = "deploy/kubernetes";

/// The ConfigMaps made from files: component, manifest, configuration file.
const CONFIG_MAPS: &[(&str, &str, &str)] = &[
    ("controller", "10-controller-config.yaml", "controller.toml"),
    ("agent", "10-agent-config.yaml", "agent.toml"),
];

/// Compares (or, with `write`, renews) the ConfigMaps, then validates all manifests.
pub fn run(workspace: &Workspace, write: bool) -> anyhow::Result<String> {
    for (component, manifest, file) in CONFIG_MAPS {
        let source = workspace.path(&format!("{FOLDER}/config/{file}"));
        let text =
            fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let wanted = config_map(component, file, &text);
        let path = workspace.path(&format!("{FOLDER}/{manifest}"));
        if write {
            fs::write(&path, wanted).with_context(|| format!("cannot write {}", path.display()))?;
        } else {
            let found = fs::read_to_string(&path).unwrap_or_default();
            ensure!(
                found == wanted,
                "{FOLDER}/{manifest} is not what {file} gives; run `cargo xtask kubernetes --write`"
            );
        }
    }
    let manifests = manifests(workspace)?;
    ensure!(!manifests.is_empty(), "there are no manifests in {FOLDER}");
    let validator = python::install(workspace)?.join("kubernetes-validate");
    for minor in MINORS {
        let mut validate = workspace.command(&validator);
        validate.args(["--strict", "--quiet", "--kubernetes-version", minor]).args(&manifests);
        let said = process::output(&mut validate)?;
        // A kind it has no schema for is only a warning to it, with exit code 0: nothing was checked, so it is a failure to us.
        if let Some(warning) = said.lines().find(|line| line.starts_with("WARN")) {
            bail!("Kubernetes {minor}: {warning}");
        }
    }
    Ok(format!("{} manifests, Kubernetes {}", manifests.len(), MINORS.join(" and ")))
}

/// The manifests, in the order `kubectl apply` takes them.
fn manifests(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace.path(FOLDER)).with_context(|| format!("cannot read {FOLDER}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") {
            found.push(format!("{FOLDER}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}

fn config_map(component: &str, file: &str, text: &str) -> String {
    let mut manifest = format!(
        "# Made from config/{file} by `cargo xtask kubernetes --write`: edit that file, not this one.\n\
         apiVersion: v1\n\
         kind: ConfigMap\n\
         metadata:\n\
         \x20 name: mooring-{component}\n\
         \x20 namespace: mooring\n\
         \x20 labels:\n\
         \x20   app.kubernetes.io/name: mooring-{component}\n\
         \x20   app.kubernetes.io/part-of: mooring\n\
         data:\n\
         \x20 {file}: |\n"
    );
    for line in text.lines() {
        if !line.is_empty() {
            manifest.push_str("    ");
            manifest.push_str(line);
        }
        manifest.push('\n');
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_map_holds_the_file_word_for_word() {
        let manifest = config_map("agent", "agent.toml", "# an agent\n\n[link]\nurl = \"x\"\n");
        let (_, block) = manifest.split_once("  agent.toml: |\n").unwrap();
        assert_eq!(block, "    # an agent\n\n    [link]\n    url = \"x\"\n");
        assert!(manifest.contains("\n  name: mooring-agent\n  namespace: mooring\n"), "{manifest}");
    }
}
