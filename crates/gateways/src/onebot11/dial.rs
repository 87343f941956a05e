//! Dials a OneBot server: the framework's in reverse mode, the implementation's in forward mode.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, refusal_from_io};
use mooring_core::handshake::{HttpAnswer, Step};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_runtime::tls::{ClientTls, ClientTlsConfig};
use mooring_wire::Url;
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::refusal::{Refusal, of_answer};
use super::socket::{Gentle, Stream, config};

/// Longest that each step may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest that the answer may take. Yunzai parks upgrades until it has booted.
const ANSWER: Duration = Duration::from_secs(10);

/// What to dial.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where.
    pub url: Url,
    /// In place of the url's path, without a query: one in front of Yunzai makes another path of it.
    pub path: Option<String>,
    /// What goes along.
    pub headers: Vec<(String, String)>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<SecretString>,
    /// For `wss`.
    pub tls: ClientTlsConfig,
    /// Largest message, bytes.
    pub max_message: usize,
}

impl Dial {
    /// The path that is dialled.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(self.url.path())
    }

    /// Dials.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn go(&self) -> Result<WebSocketStream<Stream>, Refusal> {
        let (host, port) = (self.url.host().to_string(), self.url.port());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let began = Instant::now();
        let refuse = |error: &std::io::Error, step| {
            let fault = IoFault::of(error);
            let words = if matches!(fault, IoFault::Eof | IoFault::TimedOut) {
                String::new()
            } else {
                error.to_string()
            };
            let refusal = refusal_from_io(fault, step, began.elapsed(), &words);
            self.refusal(refusal.cause, &refusal.message)
        };
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let tcp = match tokio::time::timeout(CONNECT, TcpStream::connect((bare, port))).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(refuse(&error, Step::Connect)),
            Err(_) => return Err(refuse(&late(), Step::Connect)),
        };
        tcp.set_nodelay(true).map_err(|error| refuse(&error, Step::Connect))?;
        let gentle = Gentle::new(tcp);
        let stream: Stream = if self.url.tls() {
            match tokio::time::timeout(CONNECT, Box::pin(self.encrypt(gentle, bare))).await {
                Ok(stream) => stream?,
                Err(_) => return Err(refuse(&late(), Step::Tls)),
            }
        } else {
            Box::new(gentle)
        };
        let request = self.request(&host, port)?;
        let asked = Instant::now();
        let handshake = Box::pin(tokio_tungstenite::client_async_with_config(
            request,
            stream,
            Some(config(self.max_message)),
        ));
        match tokio::time::timeout(ANSWER, handshake).await {
            Ok(Ok((ws, _))) => Ok(ws),
            Ok(Err(WsError::Http(response))) => {
                let text = |v: &http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
                let body = response.body().as_deref().unwrap_or_default();
                let answer = HttpAnswer {
                    status: response.status().as_u16(),
                    reason: response.status().canonical_reason().unwrap_or_default().to_owned(),
                    headers: response
                        .headers()
                        .iter()
                        .map(|(n, v)| (n.as_str().to_owned(), text(v)))
                        .collect(),
                    body_start: clip(&String::from_utf8_lossy(body), 256),
                };
                let refusal = of_answer(&answer, self.path(), self.token.is_some(), asked.elapsed());
                Err(Refusal {
                    message: clip(&format!("{}: {}", self.url, refusal.message), MAX_MESSAGE),
                    ..refusal
                })
            }
            Ok(Err(WsError::Io(error))) => Err(refuse(&error, Step::Status)),
            Ok(Err(WsError::Protocol(ProtocolError::HandshakeIncomplete))) => {
                Err(refuse(&std::io::ErrorKind::UnexpectedEof.into(), Step::Status))
            }
            Ok(Err(error)) => Err(self.refusal(Cause::WrongProtocol, &error.to_string())),
            Err(_) => Err(refuse(&late(), Step::Status)),
        }
    }

    fn refusal(&self, cause: Cause, message: &str) -> Refusal {
        Refusal { cause, message: clip(&format!("{}: {message}", self.url), MAX_MESSAGE), bare_403: false }
    }

    fn request(&self, host: &str, port: u16) -> Result<Request<()>, Refusal> {
        let scheme = if self.url.tls() { "wss" } else { "ws" };
        let query = self.url.query().filter(|_| self.path.is_none());
        let target = query.map_or_else(|| self.path().to_owned(), |query| format!("{}?{query}", self.path()));
        let mut request = Request::builder()
            .uri(format!("{scheme}://{host}:{port}{target}"))
            .header("Host", format!("{host}:{port}"))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose_secret()));
        }
        // The library's error would show the header that is wrong, which may be the token.
        request
            .body(())
            .map_err(|_| self.refusal(Cause::MalformedHandshake, "a header or the token cannot be sent"))
    }

    async fn encrypt(&self, stream: Gentle, host: &str) -> Result<Stream, Refusal> {
        let failed = |error: String| self.refusal(Cause::TlsFailed, &error);
        // Read anew for each dial, so that renewed files are followed.
        let tls = ClientTls::load(&self.tls).map_err(|e| failed(e.to_string()))?;
        let name = tls.server_name().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|e| failed(e.to_string()))?;
        let config: Arc<rustls::ClientConfig> =
            tls.rustls(&[b"http/1.1"]).map_err(|e| failed(e.to_string()))?;
        let stream =
            TlsConnector::from(config).connect(name, stream).await.map_err(|e| failed(e.to_string()))?;
        Ok(Box::new(stream))
    }
}
