//! The events' socket: kept open, its pings counted, its messages handed on.
//!
//! WAHA takes the key in two ways: versions of 2024 in the header as REST does, those of 2026 in the query only, and close
//! with 1008 otherwise. An address ends up in the logs of proxies, so the header is tried first and the query only where
//! the header was refused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderValue, Request};
use mooring_core::cause::Cause;
use mooring_core::limits::clip;
use mooring_runtime::lifecycle::error_chain;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;

use super::api::{self, escape};
use super::client::Client;
use super::settings::split;
use super::state::Event;

/// Largest message: a status, with the session's settings around it.
const MAX_MESSAGE: usize = 1024 * 1024;
/// A socket on which nothing comes for so long is given up: every version pings more often.
const DEAF: Duration = Duration::from_secs(180);
/// Pause before the socket is opened anew, growing to the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Longest that is waited for the answer to our Close.
const FAREWELL: Duration = Duration::from_secs(2);

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
type Socket = WebSocketStream<Box<dyn Io>>;

/// Why the socket is not open.
struct Shut {
    cause: Cause,
    words: String,
}

/// Keeps the socket open until told to stop.
pub(super) async fn listen(client: Arc<Client>, to: mpsc::Sender<Event>, stop: CancellationToken) {
    let mut key_in_query = false;
    let mut pause = PAUSE.0;
    loop {
        let began = Instant::now();
        let session = async {
            match Box::pin(open(&client, key_in_query)).await {
                Ok(socket) => Box::pin(hear(socket, &to, &stop)).await,
                Err(shut) => Some(shut),
            }
        };
        let Some(shut) = session.await else { return };
        if began.elapsed() > PAUSE.1 {
            pause = PAUSE.0;
        }
        let changed = !key_in_query && shut.cause == Cause::CredentialsRefused && client.key().is_some();
        key_in_query |= changed;
        if !changed && to.send(Event::Shut(shut.cause, shut.words)).await.is_err() {
            return;
        }
        // Many agents lose many sockets in the same moment; they do not come back in the same.
        let jitter = pause.mul_f64(rand::random::<f64>() / 4.0);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause + jitter) => {}
        }
        pause = if changed { pause } else { (pause * 2).min(PAUSE.1) };
    }
}

async fn open(client: &Client, key_in_query: bool) -> Result<Socket, Shut> {
    let limit = client.settings.time_limit.get();
    let dial = Box::pin(dial(client, key_in_query));
    let late = |_| Shut { cause: Cause::HandshakeTimedOut, words: format!("no answer within {limit:?}") };
    timeout(limit, dial).await.map_err(late)?
}

async fn dial(client: &Client, key_in_query: bool) -> Result<Socket, Shut> {
    let (secure, rest) = split(&client.settings.url).map_err(ours)?;
    let request = request(client, key_in_query, secure, rest)?;
    let host =
        request.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| Shut {
        cause: match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
            _ => Cause::NetworkUnreachable,
        },
        words: error.to_string(),
    })?;
    let io: Box<dyn Io> = match client.tls.as_ref().filter(|_| secure) {
        None => Box::new(stream),
        Some(tls) => {
            let failed = |words: String| Shut { cause: Cause::TlsFailed, words };
            let name = tls.server_name().unwrap_or(&host).to_owned();
            let name = ServerName::try_from(name).map_err(|e| failed(e.to_string()))?;
            let config = tls.rustls(&[b"http/1.1"]).map_err(|e| failed(error_chain(&e)))?;
            Box::new(
                TlsConnector::from(config).connect(name, stream).await.map_err(|e| failed(e.to_string()))?,
            )
        }
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(8 * 1024);
    let opened = client_async_with_config(request, io, Some(config)).await;
    opened.map(|(socket, _)| socket).map_err(|error| refused(&error))
}

fn request(client: &Client, key_in_query: bool, secure: bool, rest: &str) -> Result<Request<()>, Shut> {
    let scheme = if secure { "wss" } else { "ws" };
    let mut url = format!("{scheme}://{rest}/ws?session=*&events=session.status");
    let key = client.key();
    if let Some(key) = key.as_ref().filter(|_| key_in_query) {
        url.push_str(&format!("&x-api-key={}", escape(key.expose_secret().trim())));
    }
    // The error would quote the address, and with it the key.
    let unusable = || ours("the address or the key cannot be sent".to_owned());
    let mut request = url.into_client_request().map_err(|_| unusable())?;
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(key.expose_secret().trim()).map_err(|_| unusable())?;
        value.set_sensitive(true);
        request.headers_mut().insert("x-api-key", value);
    }
    Ok(request)
}

fn ours(words: String) -> Shut {
    Shut { cause: Cause::NotObservable, words }
}

fn refused(error: &Error) -> Shut {
    let Error::Http(answer) = error else {
        // Never `Error::Url`: the address was parsed before.
        return Shut { cause: Cause::WrongProtocol, words: clip(&error.to_string(), 200) };
    };
    let cause = match answer.status().as_u16() {
        401 | 403 => Cause::CredentialsRefused,
        400 | 404 => Cause::WrongPath,
        426 => Cause::ProxyStrippedUpgrade,
        502 | 503 => Cause::BackendDown,
        504 => Cause::BackendHung,
        _ => Cause::UpgradeNotPerformed,
    };
    Shut { cause, words: format!("HTTP {} instead of 101", answer.status().as_u16()) }
}

/// Hands on what comes; `None` when told to stop, or when nobody listens.
async fn hear(mut socket: Socket, to: &mpsc::Sender<Event>, stop: &CancellationToken) -> Option<Shut> {
    // Said with the first frame and not with the 101: who is refused by policy was never listening.
    let mut said = false;
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => {
                leave(socket).await;
                return None;
            }
            next = timeout(DEAF, socket.next()) => next,
        };
        if !said && matches!(next, Ok(Some(Ok(Message::Ping(_) | Message::Text(_))))) {
            said = true;
            to.send(Event::Opened).await.ok()?;
        }
        let event = match next {
            Err(_) => {
                leave(socket).await;
                let words = format!("nothing came for {} s", DEAF.as_secs());
                return Some(Shut { cause: Cause::HalfOpen, words });
            }
            // Answered by the library, with the next read.
            Ok(Some(Ok(Message::Ping(_)))) => Some(Event::Ping),
            Ok(Some(Ok(Message::Text(text)))) => {
                api::message(&text).map(|(name, status)| Event::Status(name, status))
            }
            Ok(Some(Ok(Message::Close(frame)))) => {
                let shut = closed(frame);
                // The library has queued the answer; reading on sends it and sees the end.
                while timeout(FAREWELL, socket.next()).await.is_ok_and(|next| next.is_some_and(|m| m.is_ok()))
                {
                }
                return Some(shut);
            }
            Ok(Some(Ok(_))) => None,
            Ok(Some(Err(error))) => {
                return Some(Shut { cause: Cause::SessionLost, words: clip(&error.to_string(), 200) });
            }
            Ok(None) => {
                return Some(Shut {
                    cause: Cause::SessionLost,
                    words: "it ended without a Close".to_owned(),
                });
            }
        };
        if let Some(event) = event {
            to.send(event).await.ok()?;
        }
    }
}

fn closed(frame: Option<CloseFrame>) -> Shut {
    let (code, reason) =
        frame.map_or((1005, String::new()), |f| (u16::from(f.code), f.reason.as_str().to_owned()));
    let cause = match code {
        1001 | 1012 | 1013 => Cause::GatewayRestarting,
        1008 => Cause::CredentialsRefused,
        1011 => Cause::GatewayFailed,
        // WAHA's own: the query asks for what this version does not have.
        4001 => Cause::HandshakeRefused,
        _ => Cause::ClosedByGateway,
    };
    Shut { cause, words: format!("closed with {code} {}", clip(&reason, 150)) }
}

async fn leave(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let farewell = async {
        if socket.close(Some(frame)).await.is_ok() {
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        }
    };
    // A server that does not answer is left all the same.
    let _ = timeout(FAREWELL, farewell).await;
}
