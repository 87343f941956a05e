//! The lock file: every package in it, built here or not, comes from crates.io and has a checksum.
//!
//! The built graph cannot tell this of packages for other platforms, which a developer's machine may still fetch.

use anyhow::Context as _;
use serde::Deserialize;

use super::{Violation, rules};

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Everything wrong with the text of a `Cargo.lock`.
pub fn check(text: &str) -> anyhow::Result<Vec<Violation>> {
    let lock: Lock = toml::from_str(text).context("Cargo.lock cannot be read")?;
    let mut found = Vec::new();
    for package in lock.package {
        let Some(source) = package.source else { continue };
        let subject = format!("{}@{}", package.name, package.version);
        if source != rules::SOURCE {
            found.push(Violation {
                rule: "source",
                message: format!("Cargo.lock: {subject} comes from {source}, not from crates.io"),
            });
        } else if package.checksum.is_none() {
            found.push(Violation {
                rule: "source",
                message: format!("Cargo.lock: {subject} has no checksum"),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_source_and_a_missing_checksum_are_found() {
        let text = r#"
            version = 4
            [[package]]
            name = "ours"
            version = "0.1.0"
            [[package]]
            name = "good"
            version = "1.0.0"
            source = "registry+https://github.com/rust-lang/crates.io-index"
            checksum = "00"
            [[package]]
            name = "bare"
            version = "1.0.0"
            source = "registry+https://github.com/rust-lang/crates.io-index"
            [[package]]
            name = "git"
            version = "1.0.0"
            source = "git+https://example.org/git#0123"
        "#;
        let found: Vec<String> =
            check(text).unwrap().into_iter().map(|violation| violation.message).collect();
        assert_eq!(
            found,
            [
                "Cargo.lock: bare@1.0.0 has no checksum",
                "Cargo.lock: git@1.0.0 comes from git+https://example.org/git#0123, not from crates.io"
            ]
        );
    }
}
