//! What can be wrong with a configuration, said so that a person can mend it without reading our source.
//!
//! A [`Problem`] is data: the key it is about, what is wrong, perhaps a hint, and where the value came from. It is
//! rendered in the `file:line:column: message` form that editors and terminals turn into links. Problems that come from
//! the environment or the command line name the variable or the flag instead, because that is what has to be changed.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file.
    File {
        /// The file, as it was named to the loader.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In a `--set` flag for this key path.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(key) => write!(f, "--set {key}"),
        }
    }
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key path, such as `api.listen` or `gateways.0.address`; empty for the configuration as a whole.
    pub key: String,
    /// What is wrong, as a fragment that follows the location.
    pub message: String,
    /// What to do about it, where that can be guessed.
    pub hint: Option<String>,
    /// Where the offending value (or the table that lacks one) was written, where known.
    pub origin: Option<Origin>,
}

impl Problem {
    /// A problem with the setting at `key` (dotted path); the loader adds where it was written.
    ///
    /// The message should read well after the key: `must be longer than the ping interval (10s)`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let key = key.into();
        let message = message.into();
        let message = if key.is_empty() { message } else { format!("`{key}`: {message}") };
        Self { key, message, hint: None, origin: None }
    }

    /// A problem whose message already says everything, such as a syntax error.
    pub(crate) fn plain(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None, origin: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, origin: Option<Origin>) -> Self {
        self.origin = origin;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, ": {hint}")?;
        }
        Ok(())
    }
}

/// A configuration that was refused, with everything found wrong with it (never empty).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The problems: those of the file in the order of its lines, then the environment's and the flags'.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match &problem.origin {
            None => (0, 0, 0),
            Some(Origin::File { line, column, .. }) => (1, *line, *column),
            Some(Origin::Variable(_)) => (2, 0, 0),
            Some(Origin::Flag(_)) => (3, 0, 0),
        });
        problems.dedup();
        Self { problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Checks of meaning that a type alone cannot express: inequalities, files that belong together, addresses.
///
/// Every problem is returned at once. The keys are full paths from the root of the configuration; a section that is
/// used under several names takes its prefix as an argument of a function of its own.
pub trait Validate {
    /// What is wrong with this configuration; empty when it may be used.
    fn validate(&self) -> Vec<Problem>;
}
