//! Asking WAHA: one request at a time, with the key as its file has it now.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::Method;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, TlsError};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::api::{self, Seen, Trouble, escape};
use super::orders::Call;
use super::settings::Settings;
use crate::http::{Answer, HttpClient, HttpError};

/// Longest that `/ping` is waited for, where something else was not answered in time.
const PING_TIME: Duration = Duration::from_secs(3);

/// Asks WAHA.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) settings: Settings,
    /// The files are read at the start; to follow a renewed CA, the agent is reloaded.
    pub(super) tls: Option<Arc<ClientTls>>,
    key: Mutex<Key>,
}

/// The key, and when its file was written.
#[derive(Debug, Default)]
struct Key {
    text: Option<Arc<SecretString>>,
    written: Option<SystemTime>,
    /// Why it could not be read, already said.
    trouble: Option<String>,
}

impl Client {
    pub(super) fn new(settings: Settings) -> Result<Self, TlsError> {
        let secure = settings.url.starts_with("https://");
        let tls = if secure { Some(Arc::new(ClientTls::load(&settings.tls)?)) } else { None };
        Ok(Self { settings, tls, key: Mutex::default() })
    }

    /// The key, where one is configured and can be read. What cannot be read any more is used as it was.
    pub(super) fn key(&self) -> Option<Arc<SecretString>> {
        let file = self.settings.api_key_file.as_ref()?;
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let written = std::fs::metadata(file.path()).and_then(|m| m.modified()).ok();
        // Only when it was written: reading warns of a file that others can read, and that is to be said once.
        if written.is_none() || written != key.written {
            match file.read() {
                Ok(text) => *key = Key { text: Some(Arc::new(text)), written, trouble: None },
                Err(error) => {
                    let why = error_chain(&error);
                    if key.trouble.as_ref() != Some(&why) {
                        tracing::warn!("no key for WAHA: {why}");
                        key.trouble = Some(why);
                    }
                }
            }
        }
        key.text.clone()
    }

    fn http(&self, limit: Duration) -> Result<HttpClient, HttpError> {
        let client = HttpClient::new(self.settings.url.trim_end_matches('/'), self.tls.clone())?;
        let client = client.time_limit(limit);
        match self.key() {
            Some(key) => client.header("x-api-key", key.expose_secret().trim()),
            None => Ok(client),
        }
    }

    async fn send(&self, method: Method, path: &str) -> Result<Answer, HttpError> {
        let body = (method == Method::POST).then(|| json!({}));
        self.http(self.settings.time_limit.get())?.send(method, path, body.as_ref()).await
    }

    /// Every session, or why there is no list.
    pub(super) async fn list(&self) -> Result<Vec<Seen>, Trouble> {
        match api::sessions(self.send(Method::GET, "/api/sessions?all=true").await) {
            Err(Trouble::Mute { words, .. }) => Err(Trouble::Mute { alive: self.ping().await, words }),
            other => other,
        }
    }

    /// Whether `/ping` is answered, by whatever: a refused key is an answer, too.
    async fn ping(&self) -> bool {
        let limit = PING_TIME.min(self.settings.time_limit.get());
        match self.http(limit) {
            Ok(http) => http.get("/ping").await.is_ok(),
            Err(_) => false,
        }
    }

    /// One session.
    pub(super) async fn one(&self, name: &str) -> Result<Seen, Trouble> {
        api::one(self.send(Method::GET, &format!("/api/sessions/{}", escape(name))).await)
    }

    /// Makes a call. `Ok`: it was answered well, or it is not known what became of it; the effect tells.
    pub(super) async fn call(&self, name: &str, call: Call) -> Result<(), String> {
        let path = format!("/api/sessions/{}/{}", escape(name), call.verb());
        match api::good(self.send(Method::POST, &path).await) {
            Ok(_) | Err(Trouble::Mute { .. }) => Ok(()),
            Err(Trouble::Refused(words)) => Err(format!("POST {path}: WAHA does not listen: {words}")),
            Err(Trouble::Denied(words)) => Err(format!("POST {path}: the key is refused: {words}")),
            Err(Trouble::Other(_, words)) => Err(format!("POST {path}: {words}")),
        }
    }
}
