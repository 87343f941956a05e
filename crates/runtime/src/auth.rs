//! Bearer tokens: which are valid, and for whom.
//!
//! A token file holds `name:token` lines, or one bare token; blank lines and lines that begin with `#` are skipped. The
//! name becomes the principal under which everything done with the token is recorded.
//!
//! Tokens are kept and compared as SHA-256 digests, every entry every time and in constant time, so that neither the
//! time a check takes nor a core dump gives one away. Nothing here knows about gRPC: a refusal is a [`Denied`], and who
//! turns it into a status is the server.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::config::{SecretFile, SecretFileError};
use crate::reload::{Fingerprint, Reload, ReloadError, Reloaded, list};

/// A token shorter than this (in bytes) can be guessed and is refused when it is loaded.
pub const MIN_TOKEN_BYTES: usize = 16;

/// More tokens than this in one set are refused: every check compares with all of them.
pub const MAX_TOKENS: usize = 1000;

/// Who a valid token belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// A principal of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a caller is refused. The text is safe to send back: it says nothing about the tokens that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No `authorization` at all.
    #[error("a bearer token is needed: send `authorization: Bearer <token>`")]
    Missing,
    /// An `authorization` that is not a bearer token.
    #[error("the authorization is not a bearer token: send `authorization: Bearer <token>`")]
    Malformed,
    /// A token that nobody has.
    #[error("the bearer token is not valid here")]
    Unknown,
}

/// Why token files were refused. Lines are named by number, never shown.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A file cannot be read.
    #[error("cannot read tokens")]
    File(#[from] SecretFileError),
    /// A line is not a token.
    #[error("{path}:{line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no token in any of the files.
    #[error("there is no token in {0}")]
    None(String),
    /// There are too many.
    #[error("more than {MAX_TOKENS} tokens")]
    TooMany,
}

struct Entry {
    principal: Principal,
    digest: [u8; 32],
}

/// A set of valid tokens, replaceable while in use.
pub struct TokenSet {
    files: Vec<SecretFile>,
    default_principal: Principal,
    entries: ArcSwap<Vec<Entry>>,
    last_seen: Mutex<Fingerprint>,
}

impl std::fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSet").field("files", &self.files).finish_non_exhaustive()
    }
}

impl TokenSet {
    /// Loads the tokens in `files`; a bare token belongs to `default_principal` (`operator`, say).
    ///
    /// # Errors
    ///
    /// When a file cannot be read, a line is no token, one token is there twice, or there is none or too many.
    pub fn load(files: &[SecretFile], default_principal: &str) -> Result<Arc<Self>, TokenError> {
        let set = Self {
            files: files.to_vec(),
            default_principal: Principal::new(default_principal),
            entries: ArcSwap::default(),
            last_seen: Mutex::new(Fingerprint::of([])),
        };
        let contents = set.read();
        *set.last_seen.lock().unwrap_or_else(PoisonError::into_inner) = fingerprint(&contents);
        set.entries.store(Arc::new(set.parse(contents)?));
        Ok(Arc::new(set))
    }

    /// Checks an `authorization` header, `None` if there is none. The scheme may be written in any case (RFC 9110,
    /// section 11.1).
    ///
    /// # Errors
    ///
    /// Why the caller is refused.
    pub fn check(&self, authorization: Option<&[u8]>) -> Result<Principal, Denied> {
        let header = authorization.ok_or(Denied::Missing)?;
        let (scheme, token) = header.split_at_checked(7).ok_or(Denied::Malformed)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(Denied::Malformed);
        }
        self.check_token(token.trim_ascii())
    }

    /// Checks a bare token.
    ///
    /// # Errors
    ///
    /// [`Denied::Unknown`].
    pub fn check_token(&self, token: &[u8]) -> Result<Principal, Denied> {
        let presented: [u8; 32] = Sha256::digest(token).into();
        let entries = self.entries.load();
        let (mut found, mut at) = (Choice::from(0), 0_u32);
        for (index, entry) in (0_u32..).zip(entries.iter()) {
            let same = entry.digest.ct_eq(&presented);
            at.conditional_assign(&index, same);
            found |= same;
        }
        if !bool::from(found) {
            return Err(Denied::Unknown);
        }
        usize::try_from(at)
            .ok()
            .and_then(|at| entries.get(at))
            .map(|entry| entry.principal.clone())
            .ok_or(Denied::Unknown)
    }

    fn read(&self) -> Vec<Result<SecretString, SecretFileError>> {
        self.files.iter().map(SecretFile::read).collect()
    }

    fn parse(&self, contents: Vec<Result<SecretString, SecretFileError>>) -> Result<Vec<Entry>, TokenError> {
        let mut entries: Vec<Entry> = Vec::new();
        for (file, text) in self.files.iter().zip(contents) {
            let text = text?;
            for (index, line) in text.expose_secret().lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let refuse =
                    |reason| TokenError::Line { path: file.path().to_owned(), line: index + 1, reason };
                let (principal, token) = match line.split_once(':') {
                    Some((name, token)) => (principal(name.trim()).map_err(refuse)?, token.trim()),
                    None => (self.default_principal.clone(), line),
                };
                if token.len() < MIN_TOKEN_BYTES {
                    return Err(refuse(
                        "a token needs at least 16 characters, `openssl rand -hex 32` makes one",
                    ));
                }
                if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(refuse("a token is printable ASCII without spaces"));
                }
                let digest: [u8; 32] = Sha256::digest(token).into();
                if entries.iter().any(|entry| entry.digest == digest) {
                    return Err(refuse("this token is there twice; each principal needs its own"));
                }
                if entries.len() == MAX_TOKENS {
                    return Err(TokenError::TooMany);
                }
                entries.push(Entry { principal, digest });
            }
        }
        if entries.is_empty() {
            let paths: Vec<PathBuf> = self.files.iter().map(|file| file.path().to_owned()).collect();
            return Err(TokenError::None(list(&paths)));
        }
        Ok(entries)
    }
}

fn principal(name: &str) -> Result<Principal, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@/".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        return Err("a principal is 1 to 128 letters, digits and -_.@/");
    }
    Ok(Principal::new(name))
}

fn fingerprint(contents: &[Result<SecretString, SecretFileError>]) -> Fingerprint {
    Fingerprint::of(
        contents.iter().map(|text| text.as_ref().ok().map(|text| text.expose_secret().as_bytes())),
    )
}

impl Reload for TokenSet {
    fn what(&self) -> String {
        let paths: Vec<PathBuf> = self.files.iter().map(|file| file.path().to_owned()).collect();
        format!("tokens in {}", list(&paths))
    }

    fn reload(&self) -> Result<Reloaded, ReloadError> {
        let contents = self.read();
        let fingerprint = fingerprint(&contents);
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *last_seen == fingerprint {
            return Ok(Reloaded::Unchanged);
        }
        *last_seen = fingerprint;
        let entries = self.parse(contents).map_err(|error| ReloadError::chain(&error))?;
        self.entries.store(Arc::new(entries));
        Ok(Reloaded::Replaced)
    }
}

/// The `authorization` header a client sends for the token in `file`, marked sensitive so that nothing prints it.
///
/// # Errors
///
/// When the file cannot be read or holds something that is not one token.
pub fn bearer(file: &SecretFile) -> Result<http::HeaderValue, TokenError> {
    let text = file.read()?;
    let line =
        text.expose_secret().lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let refuse = |reason| TokenError::Line { path: file.path().to_owned(), line: 1, reason };
    let line = line.ok_or_else(|| refuse("there is no token in this file"))?;
    let token = line.split_once(':').map_or(line, |(_, token)| token.trim());
    let mut value = http::HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| refuse("a token is printable ASCII without spaces"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice-0123456789abcdef";
    const BARE: &str = "bare-0123456789abcdef";

    fn file(text: &str) -> (tempfile::TempDir, SecretFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        (folder, SecretFile::new(path))
    }

    fn header(set: &TokenSet, value: &str) -> Result<String, Denied> {
        set.check(Some(value.as_bytes())).map(|principal| principal.name().to_owned())
    }

    #[test]
    fn a_token_is_its_principals_and_nobody_elses() {
        let (_keep, named) = file(&format!("# operators\nalice: {ALICE}\n\nbob:bob-0123456789abcdef\n"));
        let (_keep_too, bare) = file(&format!("{BARE}\n"));
        let set = TokenSet::load(&[named, bare], "operator").unwrap();
        assert_eq!(header(&set, &format!("Bearer {ALICE}")).unwrap(), "alice");
        assert_eq!(header(&set, "bearer bob-0123456789abcdef").unwrap(), "bob");
        assert_eq!(header(&set, &format!("BEARER  {BARE} ")).unwrap(), "operator");
        assert_eq!(set.check(None), Err(Denied::Missing));
        for wrong in [ALICE, "Basic YTpi", "Bearer", "", "é"] {
            assert_eq!(header(&set, wrong), Err(Denied::Malformed), "{wrong}");
        }
        for wrong in ["Bearer x", "Bearer ", "Bearer alice", &format!("Bearer {ALICE}0"), "Bearer é"] {
            assert_eq!(header(&set, wrong), Err(Denied::Unknown), "{wrong}");
        }
    }

    #[test]
    fn new_tokens_take_over_and_a_bad_file_changes_nothing() {
        let (_keep, tokens) = file(ALICE);
        let set = TokenSet::load(std::slice::from_ref(&tokens), "operator").unwrap();
        assert_eq!(set.reload().unwrap(), Reloaded::Unchanged);
        std::fs::write(tokens.path(), "short\n").unwrap();
        assert!(set.reload().unwrap_err().to_string().contains("at least 16"));
        assert_eq!(set.reload().unwrap(), Reloaded::Unchanged, "complains once");
        assert!(set.check_token(ALICE.as_bytes()).is_ok());
        std::fs::remove_file(tokens.path()).unwrap();
        assert!(set.reload().unwrap_err().to_string().contains("No such file"));
        assert!(set.check_token(ALICE.as_bytes()).is_ok());
        std::fs::write(tokens.path(), BARE).unwrap();
        assert_eq!(set.reload().unwrap(), Reloaded::Replaced);
        assert_eq!(set.check_token(ALICE.as_bytes()), Err(Denied::Unknown));
        assert!(set.check_token(BARE.as_bytes()).is_ok());
    }

    #[test]
    fn unusable_lines_are_named_by_number_and_not_shown() {
        for (text, line) in [
            (format!("{ALICE}\nal ice:{BARE}\n"), 2),
            (format!("a:{ALICE}\nb:{ALICE}\n"), 2),
            ("a:with space in it 0123\n".to_owned(), 1),
            ("a:\n".to_owned(), 1),
        ] {
            let (_keep, tokens) = file(&text);
            let error = TokenSet::load(&[tokens], "operator").unwrap_err().to_string();
            assert!(error.contains(&format!("tokens:{line}: ")), "{error}");
            assert!(!error.contains(ALICE) && !error.contains(BARE) && !error.contains("0123"), "{error}");
        }
        let (_keep, comments) = file("# none yet\n");
        assert!(matches!(TokenSet::load(&[comments], "operator"), Err(TokenError::None(_))));
        let many: String = (0..=MAX_TOKENS).map(|number| format!("p{number}:{number:032}\n")).collect();
        let (_keep, many) = file(&many);
        assert!(matches!(TokenSet::load(&[many], "operator"), Err(TokenError::TooMany)));
    }

    #[test]
    fn the_clients_header_is_what_the_server_accepts_and_prints_nothing() {
        for text in [format!("{ALICE}\n"), format!("# mine\nalice:{ALICE}\n")] {
            let (_keep, tokens) = file(&text);
            let set = TokenSet::load(std::slice::from_ref(&tokens), "operator").unwrap();
            let value = bearer(&tokens).unwrap();
            assert!(set.check(Some(value.as_bytes())).is_ok());
            assert!(!format!("{value:?}{set:?}").contains(ALICE));
        }
    }
}
