//! Where implementations dial in: HTTP until the upgrade, and an answer in words for everybody who may not come in.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role as End;
use tokio_util::sync::CancellationToken;

use super::door::{Admitted, TurnedAway, check};
use super::secrets::Secrets;
use super::settings::Settings;
use super::socket::{Gentle, Stream, config};

/// Requests at once that are not yet a WebSocket.
const AT_ONCE: usize = 256;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// A pause where accepting fails for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Whom the door tells.
pub trait Host: Send + Sync + 'static {
    /// Whether there is room for this one; in words, if there is not.
    ///
    /// # Errors
    /// What to tell it.
    fn room(&self, admitted: &Admitted) -> Result<(), String>;
    /// It came in.
    fn arrived(&self, admitted: Admitted, ws: WebSocketStream<Stream>, peer: SocketAddr);
    /// It was turned away.
    fn turned_away(&self, away: &TurnedAway, from: IpAddr);
}

/// Serves until told to stop.
pub async fn serve(
    listener: TcpListener,
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    host: Arc<dyn Host>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (tcp, peer) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a OneBot connection; trying again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let visit = Visit {
            settings: Arc::clone(&settings),
            secrets: Arc::clone(&secrets),
            host: Arc::clone(&host),
            peer,
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = visit.serve(tcp) => {}
            }
            drop(place);
        });
    }
}

struct Visit {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    host: Arc<dyn Host>,
    peer: SocketAddr,
}

impl Visit {
    async fn serve(self, tcp: TcpStream) {
        // Only latency would be lost.
        let _ = tcp.set_nodelay(true);
        let visit = Arc::new(self);
        let service = service_fn(move |request| {
            let visit = Arc::clone(&visit);
            async move { Ok::<_, Infallible>(visit.answer(request)) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(Gentle::new(tcp)), service)
            .with_upgrades();
        // What goes wrong here is a visitor that went away.
        let _ = served.await;
    }

    fn answer(self: &Arc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let token = self.secrets.demanded();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let admitted = match check(&self.settings, token.as_deref(), method, uri, headers) {
            Ok(admitted) => admitted,
            Err(away) => {
                self.host.turned_away(&away, self.peer.ip());
                return refusal(away.status, &away.words);
            }
        };
        if let Err(words) = self.host.room(&admitted) {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, &words);
        }
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "Sec-WebSocket-Key is missing: this is no WebSocket handshake",
            );
        };
        let accept = derive_accept_key(key.as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        let visit = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let stream: Stream = Box::new(TokioIo::new(upgraded));
            let config = config(visit.settings.max_message);
            let ws = WebSocketStream::from_raw_socket(stream, End::Server, Some(config)).await;
            visit.host.arrived(admitted, ws, visit.peer);
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fields = response.headers_mut();
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

fn refusal(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{words}\n")));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::UNAUTHORIZED {
        fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}
