//! The HTTP/1 server behind the probes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::readiness::{FlagState, Readiness};
use crate::lifecycle::Tokens;

/// The most connections served at once; more wait in the system's queue.
pub const MAX_CONNECTIONS: usize = 64;

/// How long the request line and headers may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one connection may last, keep-alive included.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before accepting again when accepting failed for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The probe server, bound but not yet serving.
#[derive(Debug)]
pub struct HealthServer {
    listener: TcpListener,
    pages: Arc<Pages>,
}

#[derive(Debug)]
struct Pages {
    readiness: Readiness,
    registry: Option<prometheus::Registry>,
}

impl HealthServer {
    /// Binds `address`. Without a registry there is no `/metrics`.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        readiness: Readiness,
        registry: Option<prometheus::Registry>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, pages: Arc::new(Pages { readiness, registry }) })
    }

    /// The address bound, with the port the system chose if none was named.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop. Belongs into the last stage: probes want answers while the rest drains.
    pub async fn serve(self, tokens: Tokens) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = tokens.soft.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let pages = Arc::clone(&self.pages);
                    connections.spawn(async move {
                        connection(stream, pages).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "health: cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever a prober does wrong is its own affair.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serving).await;
}

impl Pages {
    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        }
        match path {
            "/livez" => page(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => self.metrics().await,
            _ => page(StatusCode::NOT_FOUND, TEXT, "try /livez, /readyz or /metrics\n"),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let mut text = String::new();
        let mut status = StatusCode::OK;
        for (name, state) in self.readiness.states() {
            // Writing into a string cannot fail.
            let _ = match state {
                FlagState::Ready => writeln!(text, "{name}: ready"),
                FlagState::NotReady(reason) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    writeln!(text, "{name}: not ready: {reason}")
                }
            };
        }
        text.push_str(if status == StatusCode::OK { "ready\n" } else { "not ready\n" });
        page(status, TEXT, text)
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let Some(registry) = self.registry.clone() else {
            return page(StatusCode::NOT_FOUND, TEXT, "metrics are switched off\n");
        };
        // Gathering runs every observable callback and formats every series: too long for a worker.
        let gathered = tokio::task::spawn_blocking(move || {
            prometheus::TextEncoder::new().encode_to_string(&registry.gather())
        });
        match gathered.await {
            Ok(Ok(text)) => page(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Ok(Err(error)) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "gathering the metrics panicked\n"),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn ask(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_and_scrapers_get_their_pages_until_the_end() {
        let registry = prometheus::Registry::new();
        let gauge = prometheus::IntGauge::new("up_and_running", "for the test").unwrap();
        gauge.set(7);
        registry.register(Box::new(gauge)).unwrap();
        let readiness = Readiness::new();
        let postgres = readiness.flag("postgres");
        let local = "127.0.0.1:0".parse().unwrap();
        let server = HealthServer::bind(local, readiness.clone(), Some(registry)).await.unwrap();
        let address = server.local_addr().unwrap();
        let soft = CancellationToken::new();
        let (_reload, reload) = watch::channel(0);
        let task = tokio::spawn(server.serve(Tokens { soft: soft.clone(), hard: soft.clone(), reload }));

        assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200 OK"));
        postgres.not_ready("connection refused");
        let answer = ask(address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("postgres: not ready: connection refused\nnot ready\n"), "{answer}");
        postgres.ready();
        let answer = ask(address, "GET /readyz?verbose").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("postgres: ready\nready\n"),
            "{answer}"
        );
        let answer = ask(address, "GET /metrics").await;
        assert!(
            answer.contains("\nup_and_running 7\n") && answer.contains("text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /livez").await.starts_with("HTTP/1.1 405"));
        assert!(ask(address, "nonsense").await.starts_with("HTTP/1.1 400"));

        // Idle connections up to the limit do not keep it from stopping.
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        soft.cancel();
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
