//! The two tokens, read from their files.
//!
//! They are read whenever one is used: a token that was replaced needs no restart. A file that cannot be read lets nobody
//! in and says so once, in the log.

use std::sync::{Mutex, PoisonError};

use mooring_runtime::config::SecretFile;
use secrecy::{ExposeSecret as _, SecretString};

use super::settings::Settings;

/// What stands in for a token that cannot be read: nobody can show it.
const UNREADABLE: &str = "\0";

/// See the module.
#[derive(Debug)]
pub struct Secrets {
    ours: Option<SecretFile>,
    framework: Option<SecretFile>,
    complained: Mutex<Option<String>>,
}

impl Secrets {
    /// Of these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            ours: settings.token_file.clone(),
            framework: settings.forward_token_file.clone(),
            complained: Mutex::new(None),
        }
    }

    /// What the implementation must show; `None` where nothing is demanded.
    #[must_use]
    pub fn demanded(&self) -> Option<String> {
        let file = self.ours.as_ref()?;
        Some(
            self.read(file).map_or_else(|| UNREADABLE.to_owned(), |secret| secret.expose_secret().to_owned()),
        )
    }

    /// What the implementation's own server is shown.
    #[must_use]
    pub fn shown(&self) -> Option<SecretString> {
        self.ours.as_ref().and_then(|file| self.read(file))
    }

    /// What the framework is shown: its own token, or else the implementation's.
    #[must_use]
    pub fn framework(&self, dialled_with: Option<&str>) -> Option<SecretString> {
        match &self.framework {
            Some(file) => self.read(file),
            None => dialled_with.map(SecretString::from),
        }
    }

    fn read(&self, file: &SecretFile) -> Option<SecretString> {
        let found = file.read();
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(secret) => {
                *complained = None;
                Some(secret)
            }
            Err(error) => {
                let words = mooring_runtime::lifecycle::error_chain(&error);
                if complained.as_ref() != Some(&words) {
                    tracing::error!(error = %words, "a OneBot token cannot be read: nobody is let in without it");
                    *complained = Some(words);
                }
                None
            }
        }
    }
}
