//! Settings from a TOML file, the environment and the command line, in rising order of precedence.
//!
//! The environment is spelt `PREFIX__SECTION__KEY` (two underscores between the parts, since one occurs within names),
//! the command line `--set section.key=value`. Both read their text as TOML where it is TOML and as a plain string
//! where it is not, so `[1, 2]`, `true`, `10s` and `127.0.0.1:9000` all do what they look like. Keys are lower-case.
//!
//! A configuration that is refused is refused with everything that is wrong with it, each with its place and, for a
//! mistyped key, the likely one: types should carry `#[serde(deny_unknown_fields)]`. Nothing ambient is read: the
//! caller passes the environment in, which is what makes the whole of this testable.

mod problem;
mod secret;
mod solve;
mod tree;
mod units;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use problem::{ConfigError, Origin, Problem, Validate};
pub use secret::{MAX_SECRET_BYTES, Secret, SecretFile, SecretFileError};
pub use units::{HumanDuration, ParseUnitError, Percent};

use tree::Node;

/// A configuration file longer than this (in bytes) is refused rather than read.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The layers to load from, weakest first: file, environment, overrides.
#[derive(Debug)]
pub struct Sources<'a, E> {
    /// The TOML file, if there is one.
    pub file: Option<PathBuf>,
    /// The prefix of the variables that are settings, without the two underscores: `MOORING_CONTROLLER`.
    pub env_prefix: &'a str,
    /// The environment; usually [`std::env::vars`].
    pub env: E,
    /// Overrides of the form `key.path=value`, the later ones winning.
    pub overrides: &'a [String],
}

/// A configuration that was accepted.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The settings.
    pub value: T,
    /// The file they were read from, if any.
    pub file: Option<PathBuf>,
    tree: Node,
}

impl<T> Loaded<T> {
    /// Where the setting at `key` (dotted path) was written; `None` when it is a default.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        let segments = split(key);
        match self.tree.deepest(&segments) {
            (node, depth) if depth == segments.len() => node.value_origin.clone(),
            _ => None,
        }
    }

    /// Adds to a problem found later (when an address is bound, say) the place where its setting was written.
    pub fn locate(&self, problem: Problem) -> Problem {
        locate(&self.tree, problem)
    }
}

/// Loads, merges, types and validates a configuration.
///
/// # Errors
///
/// Everything found wrong, at once: unreadable file, syntax, unknown keys, wrong types, missing keys, and (only once
/// the types are right) whatever [`Validate`] finds.
pub fn load<T>(
    sources: Sources<'_, impl IntoIterator<Item = (String, String)>>,
) -> Result<Loaded<T>, ConfigError>
where
    T: DeserializeOwned + Validate,
{
    let mut problems = Vec::new();
    let mut tree = match &sources.file {
        None => Node::table("", None),
        Some(path) => {
            let text = read(path).map_err(|problem| ConfigError::new(vec![problem]))?;
            tree::parse_file(path, &text).map_err(ConfigError::new)?
        }
    };
    for (segments, node) in environment(sources.env_prefix, sources.env) {
        problems.extend(tree.set(&segments, node).err());
    }
    for flag in sources.overrides {
        problems.extend(parse_flag(flag).and_then(|(segments, node)| tree.set(&segments, node)).err());
    }
    let value = match solve::solve::<T>(tree.clone()) {
        Ok(value) => value,
        Err(more) => {
            problems.extend(more);
            return Err(ConfigError::new(problems));
        }
    };
    problems.extend(value.validate().into_iter().map(|problem| locate(&tree, problem)));
    if problems.is_empty() {
        Ok(Loaded { value, file: sources.file, tree })
    } else {
        Err(ConfigError::new(problems))
    }
}

/// The configuration in force, defaults included, as TOML.
///
/// Secrets do not appear: they are paths ([`SecretFile`]) or mask themselves ([`Secret`]).
pub fn effective<T: Serialize>(value: &T) -> String {
    toml::to_string_pretty(value)
        .unwrap_or_else(|error| format!("# these settings cannot be shown as TOML: {error}\n"))
}

fn split(key: &str) -> Vec<String> {
    key.split('.').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// Gives a problem the place of its key, or of the nearest table above it.
fn locate(tree: &Node, problem: Problem) -> Problem {
    if problem.origin.is_some() {
        return problem;
    }
    let (node, _) = tree.deepest(&split(&problem.key));
    let origin = node.value_origin.clone();
    problem.at(origin)
}

fn read(path: &Path) -> Result<String, Problem> {
    let problem = |what: String| Problem::plain("", format!("{}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => problem("no such configuration file".into()),
        std::io::ErrorKind::PermissionDenied => {
            problem("this user may not read the configuration file".into())
        }
        _ => problem(format!("cannot open the configuration file: {error}")),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| problem(format!("cannot read the configuration file: {error}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(problem(format!("longer than the {MAX_FILE_BYTES} bytes a configuration may have")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let (line, column) = tree::position(&text, good);
        Problem::plain("", "not UTF-8 from here on; a configuration is UTF-8 text").at(Some(Origin::File {
            path: path.to_owned(),
            line,
            column,
        }))
    })
}

/// The settings in the environment, sorted so that the outcome never depends on the order of the variables.
fn environment(prefix: &str, env: impl IntoIterator<Item = (String, String)>) -> Vec<(Vec<String>, Node)> {
    let prefix = format!("{prefix}__");
    let mut found: Vec<(String, String)> =
        env.into_iter().filter(|(name, _)| name.len() > prefix.len() && name.starts_with(&prefix)).collect();
    found.sort();
    found
        .into_iter()
        .map(|(name, text)| {
            let segments: Vec<String> = name[prefix.len()..].split("__").map(str::to_lowercase).collect();
            let node = tree::parse_override(&segments.join("."), &text, Origin::Variable(name.clone()));
            (segments, node)
        })
        .collect()
}

fn parse_flag(flag: &str) -> Result<(Vec<String>, Node), Problem> {
    let Some((key, text)) = flag.split_once('=') else {
        return Err(Problem::plain("", "expected `key.path=value`").at(Some(Origin::Flag(flag.to_owned()))));
    };
    let key = key.trim();
    let segments: Vec<String> = key.split('.').map(str::to_owned).collect();
    if segments.iter().any(String::is_empty) {
        return Err(
            Problem::plain("", "a part of the key path is empty").at(Some(Origin::Flag(key.to_owned())))
        );
    }
    let node = tree::parse_override(key, text, Origin::Flag(key.to_owned()));
    Ok((segments, node))
}
