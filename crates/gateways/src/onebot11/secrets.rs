//! The two tokens, read from their files.
//!
//! They are looked at whenever one is used, and read again when their file has changed: a token that was replaced needs no
//! restart. A file that cannot be read lets nobody in and says so once, in the log.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mooring_runtime::config::SecretFile;
use secrecy::{ExposeSecret as _, SecretString};

use super::settings::Settings;

/// What stands in for a token that cannot be read: nobody can show it.
const UNREADABLE: &str = "\0";

/// See the module.
#[derive(Debug)]
pub struct Secrets {
    ours: Option<Kept>,
    framework: Option<Kept>,
}

/// A file, and what it held when it was last read.
#[derive(Debug)]
struct Kept {
    file: SecretFile,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Its time and length then.
    stamp: Option<(SystemTime, u64)>,
    secret: Option<SecretString>,
    complaint: String,
}

impl Secrets {
    /// Of these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let keep = |file: &Option<SecretFile>| file.clone().map(|file| Kept { file, last: Mutex::default() });
        Self { ours: keep(&settings.token_file), framework: keep(&settings.forward_token_file) }
    }

    /// What the implementation must show; `None` where nothing is demanded.
    #[must_use]
    pub fn demanded(&self) -> Option<String> {
        let kept = self.ours.as_ref()?;
        Some(kept.read().map_or_else(|| UNREADABLE.to_owned(), |secret| secret.expose_secret().to_owned()))
    }

    /// What the implementation's own server is shown.
    #[must_use]
    pub fn shown(&self) -> Option<SecretString> {
        self.ours.as_ref().and_then(Kept::read)
    }

    /// What the framework is shown: its own token, or else the implementation's.
    #[must_use]
    pub fn framework(&self, dialled_with: Option<&str>) -> Option<SecretString> {
        match &self.framework {
            Some(kept) => kept.read(),
            None => dialled_with.map(SecretString::from),
        }
    }
}

impl Kept {
    fn read(&self) -> Option<SecretString> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp =
            std::fs::metadata(self.file.path()).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        if stamp.is_some() && stamp == last.stamp {
            return last.secret.clone();
        }
        last.stamp = stamp;
        last.secret = match self.file.read() {
            Ok(secret) => {
                last.complaint.clear();
                Some(secret)
            }
            Err(error) => {
                let words = mooring_runtime::lifecycle::error_chain(&error);
                if last.complaint != words {
                    tracing::error!(error = %words, "a OneBot token cannot be read: nobody is let in without it");
                    last.complaint = words;
                }
                None
            }
        };
        last.secret.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_replaced_is_followed_and_one_that_is_gone_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let settings = Settings { token_file: Some(SecretFile::new(&path)), ..Settings::default() };
        let secrets = Secrets::new(&settings);
        assert_eq!(secrets.demanded().as_deref(), Some("first"));
        std::fs::write(&path, "the second").unwrap();
        assert_eq!(secrets.demanded().as_deref(), Some("the second"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secrets.demanded().as_deref(), Some(UNREADABLE));
        assert!(http::HeaderValue::from_str(UNREADABLE).is_err(), "nobody can say it");
        assert!(!format!("{secrets:?}").contains("second"));
        let open = Secrets::new(&Settings::default());
        assert!(open.demanded().is_none() && open.framework(Some("theirs")).is_some());
    }
}
