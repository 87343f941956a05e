//! The committed query data (`.sqlx`): one file per checked query, written by sqlx's own macros.
//!
//! sqlx's command-line tool is not used, because it takes minutes to compile and does little: with `DATABASE_URL` and
//! `SQLX_OFFLINE_DIR` set and `SQLX_OFFLINE` not true, the macros describe each query against the live server and write what
//! they learn into that folder (`query-<sha256 of the text>.json`). So: a throwaway server, our migrations, one `cargo check`
//! of the crates that hold queries. The compiler does not know that macros read a database, so their sources are touched first.
//!
//! The data is written into a fresh folder and only then compared or copied, so a broken query leaves the committed data as it
//! was, and stale files are seen. Which columns may be null is partly read from query plans; should two Postgres major versions
//! ever disagree, the committed data is what Debian 12's version (15) says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};

use crate::postgres::Throwaway;
use crate::workspace::Workspace;
use crate::{needs, process};

/// The packages that hold checked queries, with the folder each is in.
const PACKAGES: &[(&str, &str)] = &[("mooring-store-pg", "crates/store-pg")];

/// What to do with the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Replace what is committed.
    Write,
    /// Compare with what is committed, change nothing.
    Check,
}

/// Makes the query data anew, then writes or compares it.
pub fn run(workspace: &Workspace, mode: Mode) -> anyhow::Result<String> {
    needs::ensure(&[needs::POSTGRES, needs::C_COMPILER])?;
    let fresh = workspace.scratch("sqlx");
    recreate(&fresh)?;

    let server = Throwaway::start()?;
    let version = server.version()?;
    for migration in migrations(&workspace.path("migrations"))? {
        server.apply(&migration).with_context(|| format!("migration {}", migration.display()))?;
    }
    for (_, folder) in PACKAGES {
        touch(&workspace.path(folder))?;
    }
    let mut check = workspace.cargo();
    check.arg("check").arg("--all-targets");
    for (package, _) in PACKAGES {
        check.args(["--package", package]);
    }
    check.env("SQLX_OFFLINE", "false").env("DATABASE_URL", server.url()).env("SQLX_OFFLINE_DIR", &fresh);
    process::run(&mut check)?;
    drop(server);

    let made = read(&fresh)?;
    ensure!(!made.is_empty(), "the macros wrote no query data: no query was expanded");
    let committed_folder = workspace.path(".sqlx");
    let committed = read(&committed_folder)?;
    let difference = compare(&committed, &made);
    match mode {
        Mode::Check if difference.is_empty() => Ok(format!("{} queries, Postgres {version}", made.len())),
        Mode::Check => bail!(
            "the committed query data is out of date; run `cargo xtask sqlx`:\n{}",
            difference.join("\n")
        ),
        Mode::Write => {
            recreate(&committed_folder)?;
            for (name, text) in &made {
                fs::write(committed_folder.join(name), text)?;
            }
            Ok(format!("{} queries written, {} changed, Postgres {version}", made.len(), difference.len()))
        }
    }
}

/// The up-migrations in the order of their numbers, as sqlx orders them.
fn migrations(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.ends_with(".sql") || name.ends_with(".down.sql") {
            continue;
        }
        let number: u64 = name
            .split('_')
            .next()
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("{name}: a migration is called <number>_<what it does>.sql"))?;
        found.push((number, path));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Marks a package's library as changed, so that cargo compiles it and its macros run.
fn touch(package: &Path) -> anyhow::Result<()> {
    let source = package.join("src/lib.rs");
    let file = fs::File::options()
        .append(true)
        .open(&source)
        .with_context(|| format!("cannot touch {}", source.display()))?;
    Ok(file.set_modified(SystemTime::now())?)
}

fn recreate(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// The query files of a folder by name; a folder that is not there holds none.
fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

/// One line per file that differs, naming the query, since its file name says nothing to anybody.
fn compare(committed: &BTreeMap<String, String>, made: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, text) in made {
        match committed.get(name) {
            None => lines.push(format!("  missing: {} ({name})", query(text))),
            Some(old) if old != text => lines.push(format!("  changed: {} ({name})", query(text))),
            Some(_) => {}
        }
    }
    for (name, text) in committed {
        if !made.contains_key(name) {
            lines.push(format!("  stale:   {} ({name})", query(text)));
        }
    }
    lines
}

/// The start of a query's text, on one line.
fn query(data: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let text = value["query"].as_str().unwrap_or("unreadable");
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(name, query)| ((*name).to_owned(), format!(r#"{{"query": "{query}"}}"#)))
            .collect()
    }

    #[test]
    fn every_kind_of_difference_is_named_by_its_query() {
        let committed = files(&[("query-a.json", "select 1"), ("query-b.json", "select 2")]);
        let made = files(&[("query-b.json", "select   2 -- now"), ("query-c.json", "select 3")]);
        assert_eq!(
            compare(&committed, &made),
            [
                "  changed: select 2 -- now (query-b.json)",
                "  missing: select 3 (query-c.json)",
                "  stale:   select 1 (query-a.json)"
            ]
        );
        assert!(compare(&made, &made).is_empty());
    }

    #[test]
    fn migrations_go_by_number_and_only_upwards() {
        let folder = std::env::temp_dir().join(format!("mooring-xtask-migrations-{}", std::process::id()));
        recreate(&folder).unwrap();
        for name in ["10_ten.sql", "2_two.sql", "0001_one.up.sql", "0001_one.down.sql", "README.md"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = migrations(&folder).unwrap();
        fs::write(folder.join("nameless.sql"), "").unwrap();
        let error = migrations(&folder).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, ["0001_one.up.sql", "2_two.sql", "10_ten.sql"].map(|name| folder.join(name)));
        assert!(error.contains("nameless.sql"), "{error}");
    }
}
