//! One look at a Bisheng: what it answers to REST, and to the same handshake at each place.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use mooring_core::cause::Cause;
use mooring_core::handshake::{HandshakeReport, Refusal, Step};
use mooring_runtime::config::SecretFile;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, TlsError};
use mooring_wire::{ExamineConfig, Target, Timeouts, examine};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Builder;

use super::locate::Walked;
use super::rest::{self, Told};
use super::settings::{BACKEND, PLACE, Settings, split};
use super::state::Look;
use crate::http::{Answer, HttpClient, HttpError};

/// How long a session is watched before it is closed: long enough to see that it is sent away at once.
const SETTLE: Duration = Duration::from_millis(50);

/// What looks are made with.
#[derive(Debug)]
pub struct Probe {
    settings: Settings,
    tls: Option<Arc<ClientTls>>,
    login: Login,
}

/// The cookie, and when its file was written.
#[derive(Debug, Default)]
struct Login {
    cookie: Option<SecretString>,
    written: Option<SystemTime>,
    /// Why it could not be read, already said.
    trouble: Option<String>,
}

impl Probe {
    /// Looks as the settings say.
    ///
    /// # Errors
    /// When an address needs TLS and its files cannot be used.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let tls = if settings.secure() { Some(Arc::new(ClientTls::load(&settings.tls)?)) } else { None };
        Ok(Self { settings, tls, login: Login::default() })
    }

    /// Looks once. `walk`: along the hops, too, even if `/health` is fine.
    ///
    /// Run it to its end: giving up in the middle would cut handshakes off.
    pub async fn look(&mut self, walk: bool) -> Look {
        self.refresh();
        let health = rest::health(&self.get("/health", false).await);
        let login = self.check(&health, self.settings.login_check.as_deref()).await;
        let worker = self.check(&health, self.settings.worker_check.as_deref()).await;
        let walk = if walk || health != Told::Fine { Some(self.walk().await) } else { None };
        Look { health, login, worker, walk }
    }

    /// Follows files that were renewed. What cannot be read any more is used as it was.
    fn refresh(&mut self) {
        if self.tls.is_some() {
            match ClientTls::load(&self.settings.tls) {
                Ok(tls) => self.tls = Some(Arc::new(tls)),
                Err(error) => tracing::warn!("Bisheng's TLS files: {}", error_chain(&error)),
            }
        }
        let Some(file) = &self.settings.cookie_file else { return };
        // Only when it was written: reading warns of a file that others can read, and that is to be said once.
        let written = std::fs::metadata(file.path()).and_then(|m| m.modified()).ok();
        if written.is_none() || written != self.login.written {
            match cookie(file) {
                Ok(cookie) => self.login = Login { cookie: Some(cookie), written, trouble: None },
                Err(why) if self.login.trouble.as_ref() == Some(&why) => {}
                Err(why) => {
                    tracing::warn!("no login for Bisheng: {why}");
                    self.login.trouble = Some(why);
                }
            }
        }
    }

    async fn check(&self, health: &Told, path: Option<&str>) -> Option<Told> {
        let path = path?;
        // A backend that does not answer at all would only not answer once more.
        match health {
            Told::Fine | Told::Wrong { .. } => Some(rest::call(&self.get(path, true).await)),
            mute => Some(mute.clone()),
        }
    }

    async fn get(&self, path: &str, login: bool) -> Result<Answer, HttpError> {
        let (secure, rest) = split(&self.settings.backend).map_err(HttpError::Unusable)?;
        let base = format!("{}://{rest}", if secure { "https" } else { "http" });
        let mut client = HttpClient::new(&base, self.tls.clone())?.time_limit(self.settings.time_limit.get());
        if let Some(cookie) = self.login.cookie.as_ref().filter(|_| login) {
            client = client.header("cookie", cookie.expose_secret())?;
        }
        client.get(path).await
    }

    /// All places at the same moment, so that they are comparable.
    async fn walk(&self) -> Vec<Walked> {
        let hops = self.settings.hops.iter().map(|hop| (hop.name.as_str(), hop.url.as_str()));
        let places = std::iter::once((BACKEND, self.settings.backend.as_str())).chain(hops);
        join_all(places.map(|(name, url)| self.knock(name, url))).await
    }

    async fn knock(&self, place: &str, url: &str) -> Walked {
        let limit = self.settings.time_limit.get();
        let config = ExamineConfig { ping_timeout: limit, settle: SETTLE, close_timeout: limit };
        let report = match self.target(url) {
            Ok(target) => Box::pin(examine(&target, config)).await.report,
            Err(why) => unusable(why),
        };
        Walked { place: place.to_owned(), url: url.to_owned(), report }
    }

    fn target(&self, url: &str) -> Result<Target, String> {
        let (secure, rest) = split(url)?;
        let path = self.settings.chat_path.replace(PLACE, &nobodys());
        let words = |e: mooring_wire::TargetError| e.to_string();
        let scheme = if secure { "wss" } else { "ws" };
        let mut target = Target::new(&format!("{scheme}://{rest}{path}")).map_err(words)?;
        let limit = self.settings.time_limit.get();
        target.timeouts =
            Timeouts { resolve: limit, connect: limit, tls: limit, answer: limit, first_frame: None };
        if let Some(cookie) = &self.login.cookie {
            target = target.header("cookie", cookie.expose_secret()).map_err(words)?;
        }
        if let Some(tls) = self.tls.as_ref().filter(|_| secure) {
            target = target.tls(tls.rustls(&[]).map_err(|e| error_chain(&e))?);
            if let Some(name) = tls.server_name() {
                target = target.server_name(name).map_err(words)?;
            }
        }
        Ok(target)
    }
}

/// An id that no workflow has. It begins with `moorin` in hex, so that it is known in a log for what it is; the rest is
/// random, so that two probes never share a session.
fn nobodys() -> String {
    let mut bytes: [u8; 16] = rand::random();
    for (to, from) in bytes.iter_mut().zip(b"moorin") {
        *to = *from;
    }
    Builder::from_random_bytes(bytes).into_uuid().simple().to_string()
}

fn cookie(file: &SecretFile) -> Result<SecretString, String> {
    let token = file.read().map_err(|e| error_chain(&e))?;
    let token = token.expose_secret().trim();
    // What a JWT is made of; anything else would be another cookie, or another header.
    if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(format!("{} holds no JWT: only letters, digits, - _ and . are", file.path().display()));
    }
    Ok(SecretString::from(format!("access_token_cookie={token}")))
}

/// A dial that cannot be made is a finding of our own, at the step that comes first.
fn unusable(message: String) -> HandshakeReport {
    let refusal = Refusal { step: Step::Resolve, cause: Cause::NotObservable, message };
    HandshakeReport { steps: Vec::new(), answer: None, outcome: Err(refusal), took: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_nobodys_and_known() {
        let (one, other) = (nobodys(), nobodys());
        assert_ne!(one, other);
        for id in [one, other] {
            assert!(id.len() == 32 && id.starts_with("6d6f6f72696e4"), "{id}");
        }
    }

    #[test]
    fn a_cookie_is_a_jwt_and_nothing_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            cookie(&SecretFile::new(file.path())).map(|c| c.expose_secret().to_owned())
        };
        assert_eq!(written("eyJ.a-b_c.d\n"), Ok("access_token_cookie=eyJ.a-b_c.d".to_owned()));
        for bad in ["", "a b", "x; other=1", "x\r\ny: z"] {
            assert!(written(bad).is_err(), "{bad:?}");
        }
    }
}
