//! The REST side of Evolution API, as far as Mooring asks it, and what its answers are worth.
//!
//! An order that fails answers 200 with `{"error":true,…}`, so a status alone proves nothing here. Nothing of an answer is
//! passed on but what was read out of it; of a refusal's own words a line is kept, with anything in it hidden that might be
//! a key, a code or a number.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mooring_core::cause::Cause;
use mooring_core::limits::clip;
use mooring_runtime::tls::ClientTls;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::name::encoded;
use super::seen::{Row, State, metrics};
use super::settings::Settings;
use super::version::Version;
use crate::http::{Answer, HttpClient, HttpError};

/// How long an answer may take. `GET connect` of a closed instance takes 2 s on purpose.
const LIMIT: Duration = Duration::from_secs(10);
/// A name that no instance has: asked for without a key, its 404 proves that process and database live.
const NOBODY: &str = "mooring-probe-no-such-instance";

/// Why there is no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// None came.
    #[error("{0}")]
    Http(HttpError),
    /// The key is missing or refused.
    #[error("the gateway refuses the API key (401)")]
    Unauthorized,
    /// 404: there is no such instance.
    #[error("the gateway knows no such instance (404)")]
    Unknown,
    /// 503 `LICENSE_REQUIRED`.
    #[error("the gateway is not activated (503 LICENSE_REQUIRED)")]
    Unlicensed,
    /// Any other refusal.
    #[error("the gateway answers {status}: {words}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words, scrubbed.
        words: String,
    },
    /// 200, and not what Evolution says.
    #[error("the answer is not one of Evolution API: {0}")]
    Odd(&'static str),
}

impl Trouble {
    /// What it says of the process: the cause by which it is out of reach. `None`: it answered.
    #[must_use]
    pub fn unreachable(&self) -> Option<Cause> {
        match self {
            Self::Http(HttpError::Connect(why)) if why.contains("refused") => Some(Cause::ConnectionRefused),
            Self::Http(HttpError::Connect(why)) if why.contains("lookup") => Some(Cause::NameNotResolved),
            Self::Http(HttpError::Connect(why)) if why.contains("timed out") => Some(Cause::ConnectTimedOut),
            Self::Http(HttpError::Connect(_)) => Some(Cause::NetworkUnreachable),
            Self::Http(HttpError::Tls(_)) => Some(Cause::TlsFailed),
            Self::Http(HttpError::TimedOut(_)) => Some(Cause::HandshakeTimedOut),
            Self::Http(HttpError::Broken(_)) => Some(Cause::ClosedBeforeAnswer),
            Self::Http(HttpError::TooLong | HttpError::Unusable(_)) | Self::Odd(_) => {
                Some(Cause::WrongProtocol)
            }
            Self::Unlicensed => Some(Cause::LicenseRequired),
            Self::Refused { status: 502 | 503, .. } => Some(Cause::BackendDown),
            Self::Refused { status: 504, .. } => Some(Cause::BackendHung),
            Self::Refused { status: 500.., .. } => Some(Cause::ServerError),
            Self::Refused { .. } | Self::Unauthorized | Self::Unknown => None,
        }
    }
}

/// What an order was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// Taken, says the gateway.
    Taken,
    /// With a QR or pairing code: the instance has no login.
    Pairing,
    /// 200, and an error in the body.
    Error(String),
}

/// Asks one gateway.
#[derive(Debug, Clone)]
pub struct Rest {
    http: HttpClient,
    key: Option<Arc<SecretString>>,
}

impl Rest {
    /// A client by these settings.
    ///
    /// # Errors
    /// In words, when the URL, the TLS files or the key file cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let tls = match settings.url.starts_with("https:") {
            true => Some(Arc::new(ClientTls::load(&settings.tls).map_err(|e| e.to_string())?)),
            false => None,
        };
        let mut http = HttpClient::new(&settings.url, tls).map_err(|e| e.to_string())?.time_limit(LIMIT);
        let key = settings.api_key_file.as_ref().map(|file| file.read().map(Arc::new)).transpose();
        let key = key.map_err(|e| e.to_string())?;
        if let Some(key) = &key {
            http = http.header("apikey", key.expose_secret()).map_err(|e| e.to_string())?;
        }
        Ok(Self { http, key })
    }

    /// Whether there is a key: without one, states cannot be asked for and nothing can be ordered.
    #[must_use]
    pub fn keyed(&self) -> bool {
        self.key.is_some()
    }

    /// The key, for the handshake of the event socket.
    #[must_use]
    pub fn key(&self) -> Option<Arc<SecretString>> {
        self.key.clone()
    }

    /// The version. The gateway fetches something from the internet to answer this: it is asked seldom.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn version(&self) -> Result<Option<Version>, Trouble> {
        let answer = self.asked(Method::GET, "/").await?;
        Ok(answer.get("version").and_then(Value::as_str).and_then(Version::parse))
    }

    /// Whether process and database live; needs no key.
    ///
    /// # Errors
    /// When not, or when something else answers.
    pub async fn alive(&self) -> Result<(), Trouble> {
        match self.asked(Method::GET, &format!("/instance/connectionState/{NOBODY}")).await {
            // A 404 of another server would have no such body; see `read`.
            Err(Trouble::Unknown) => Ok(()),
            Err(other) => Err(other),
            Ok(_) => Err(Trouble::Odd("it knows an instance that nobody made")),
        }
    }

    /// The rows of all instances that the key may see, or of one.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn rows(&self, name: Option<&str>) -> Result<Vec<Row>, Trouble> {
        let query = name.map(|name| format!("?instanceName={}", encoded(name))).unwrap_or_default();
        let answer = self.asked(Method::GET, &format!("/instance/fetchInstances{query}")).await?;
        let rows = answer.as_array().ok_or(Trouble::Odd("a list of instances was expected"))?;
        Ok(rows.iter().filter_map(Row::read).collect())
    }

    /// The state of one instance in memory.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn state(&self, name: &str) -> Result<State, Trouble> {
        let answer = self.asked(Method::GET, &format!("/instance/connectionState/{}", encoded(name))).await?;
        let instance = answer.get("instance").ok_or(Trouble::Odd("no `instance` in it"))?;
        // JSON has no undefined: of what is not loaded, the key is left out.
        Ok(instance.get("state").and_then(Value::as_str).map_or(State::NotLoaded, State::read))
    }

    /// The states of all that are in memory; `None` where `/metrics` is not served to us.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn metrics(&self) -> Result<Option<Vec<(String, State)>>, Trouble> {
        let answer = self.http.get("/metrics").await.map_err(Trouble::Http)?;
        let text = String::from_utf8_lossy(&answer.body);
        let ours = answer.status == 200 && text.contains("evolution_instance");
        Ok(ours.then(|| metrics(&text)))
    }

    /// `GET connect`: a new login, where the instance is closed.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn connect(&self, name: &str) -> Result<Answered, Trouble> {
        self.order(Method::GET, &format!("/instance/connect/{}", encoded(name))).await
    }

    /// `POST restart`: ends its socket, where it has one.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn restart(&self, name: &str) -> Result<Answered, Trouble> {
        self.order(Method::POST, &format!("/instance/restart/{}", encoded(name))).await
    }

    async fn order(&self, method: Method, path: &str) -> Result<Answered, Trouble> {
        let answer = self.asked(method, path).await?;
        if answer.get("error").and_then(Value::as_bool) == Some(true) {
            let words = answer.get("message").and_then(Value::as_str).unwrap_or_default();
            return Ok(Answered::Error(scrub(words)));
        }
        let code = |key: &str| answer.get(key).and_then(Value::as_str).is_some_and(|code| !code.is_empty());
        Ok(if code("code") || code("pairingCode") { Answered::Pairing } else { Answered::Taken })
    }

    async fn asked(&self, method: Method, path: &str) -> Result<Value, Trouble> {
        read(&self.http.send(method, path, None).await.map_err(Trouble::Http)?)
    }
}

fn read(answer: &Answer) -> Result<Value, Trouble> {
    let body = answer.json();
    if (200..300).contains(&answer.status) {
        return body.ok_or(Trouble::Odd("not JSON"));
    }
    let ours = body.as_ref().is_some_and(|body| body.get("response").is_some());
    let licence = body
        .as_ref()
        .is_some_and(|body| body.get("code").and_then(Value::as_str) == Some("LICENSE_REQUIRED"));
    match answer.status {
        503 if licence => Err(Trouble::Unlicensed),
        401 | 403 => Err(Trouble::Unauthorized),
        404 if ours => Err(Trouble::Unknown),
        404 => Err(Trouble::Odd("404 in another server's words")),
        status => {
            let words = body.as_ref().map_or_else(String::new, words);
            Err(Trouble::Refused { status, words })
        }
    }
}

/// What a refusal says of itself.
fn words(body: &Value) -> String {
    let message = body.pointer("/response/message").or_else(|| body.get("message"));
    let message = message.map(|m| m.get(0).unwrap_or(m)).and_then(Value::as_str);
    scrub(message.or_else(|| body.get("error").and_then(Value::as_str)).unwrap_or_default())
}

/// At most a line of the gateway's own words, with every long word hidden that has a digit in it: keys, tokens, QR codes,
/// numbers of people.
fn scrub(text: &str) -> String {
    let hidden = |word: &&str| word.len() >= 12 && word.bytes().any(|b| b.is_ascii_digit());
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if hidden(&word) { "(hidden)" } else { word }).take(32).collect();
    clip(&words.join(" "), 160)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn answers_are_told_apart_by_their_bodies() {
        let absent = r#"{"status":404,"error":"Not Found","response":{"message":["The \"x\" instance does not exist"]}}"#;
        assert_eq!(read(&answer(404, absent)), Err(Trouble::Unknown));
        assert!(matches!(read(&answer(404, "<html>nginx</html>")), Err(Trouble::Odd(_))));
        assert_eq!(read(&answer(401, "{}")), Err(Trouble::Unauthorized));
        assert_eq!(read(&answer(503, r#"{"code":"LICENSE_REQUIRED"}"#)), Err(Trouble::Unlicensed));
        assert!(matches!(read(&answer(503, "")), Err(Trouble::Refused { status: 503, .. })));
        assert_eq!(read(&answer(200, "ok")), Err(Trouble::Odd("not JSON")));
    }

    #[test]
    fn what_a_refusal_says_holds_no_secret() {
        let body = r#"{"status":400,"response":{"message":["key B6D711FCDE4D4FD5936544120E713976 of 5511999999999@s.whatsapp.net is bad"]}}"#;
        let Err(trouble) = read(&answer(400, body)) else { panic!("refused") };
        assert_eq!(trouble.to_string(), "the gateway answers 400: key (hidden) of (hidden) is bad");
        assert!(scrub(&"word ".repeat(1_000)).len() <= 160);
    }
}
