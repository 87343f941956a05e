//! Secrets in configurations: files that hold them, and inline values that hide themselves.
//!
//! A file is the better way: it keeps the secret out of process listings, of version control and of everything that
//! prints a configuration. An inline [`Secret`] exists for settings that are secret only at times, such as a database
//! URL with a password in it. Neither type shows its content in `Debug`, in `Serialize`, or in an error.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret longer than this (in bytes) is taken for the wrong file.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The path of a file that holds a secret. Showing it is safe; only [`SecretFile::read`] opens it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

/// Why a secret could not be had from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file is missing or cannot be read.
    #[error("cannot read the secret file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it but line ends.
    #[error("the secret file {path} is empty")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is too long, or is not text.
    #[error("the secret file {path} is not a text of at most {MAX_SECRET_BYTES} bytes")]
    NotASecret {
        /// The file.
        path: PathBuf,
    },
}

impl SecretFile {
    /// A secret to be read from `path`, which is relative to the working directory unless absolute.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the secret, without the line ends after it. A file that others can read is used, but warned about.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is empty, is over [`MAX_SECRET_BYTES`] or is not UTF-8.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        let path = || self.0.clone();
        let unreadable = |source| SecretFileError::Unreadable { path: path(), source };
        let file = std::fs::File::open(&self.0).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if let Some(who) = exposure(mode) {
            tracing::warn!(
                secret.path = %self.0.display(),
                secret.mode = format_args!("{:04o}", mode & 0o7777),
                "secret file is readable by {who}; chmod 600 makes it private"
            );
        }
        let mut text = String::new();
        match file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text) {
            Ok(_) if text.len() as u64 <= MAX_SECRET_BYTES => {}
            Ok(_) => return Err(SecretFileError::NotASecret { path: path() }),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(SecretFileError::NotASecret { path: path() });
            }
            Err(error) => return Err(unreadable(error)),
        }
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if text.is_empty() {
            return Err(SecretFileError::Empty { path: path() });
        }
        Ok(SecretString::from(text))
    }
}

/// Who besides the owner may read a file of this mode.
fn exposure(mode: u32) -> Option<&'static str> {
    if mode & 0o004 != 0 {
        Some("everyone")
    } else if mode & 0o040 != 0 {
        Some("its group")
    } else {
        None
    }
}

/// A secret written in the configuration itself.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The secret itself; the name is meant to be found by a search.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Hidden)
    }
}

/// Accepts a string. Serde's own complaint about another type quotes the value, so those are answered here.
struct Hidden;

impl Visitor<'_> for Hidden {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string (its value is secret and not shown)")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(format_args!("expected {}", &self as &dyn de::Expected)))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        self.visit_bool(false)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        self.visit_bool(false)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        self.visit_bool(false)
    }
}
