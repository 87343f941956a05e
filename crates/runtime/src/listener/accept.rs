//! The accept loop.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Limits;
use super::address::ListenAddr;
use super::bind::{BindError, Bound, bind};
use super::connection::Connection;
use super::sources::{Refused, Source, Sources};
use crate::tls::ServerTls;

/// Connections that are ready but not yet taken by the server.
const READY: usize = 64;

/// How long to wait before accepting again when accepting failed for want of resources.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound address. It queues connections from now on, and serves them once [`incoming`](Self::incoming) is polled.
#[derive(Debug)]
pub struct Listener {
    bound: Bound,
    limits: Limits,
    tls: Option<Arc<ServerTls>>,
}

impl Listener {
    /// Binds `address`. With `tls`, connections are encrypted, Unix sockets excepted: their bytes stay in the kernel.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, with what to do about it.
    pub fn bind(
        address: &ListenAddr,
        limits: Limits,
        tls: Option<Arc<ServerTls>>,
    ) -> Result<Self, BindError> {
        Ok(Self { bound: bind(address)?, limits, tls })
    }

    /// The address bound, with the port the system chose if none was named.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<ListenAddr> {
        match &self.bound {
            Bound::Tcp(listener) => listener.local_addr().map(ListenAddr::Tcp),
            Bound::Unix(listener, _) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().ok_or(io::ErrorKind::AddrNotAvailable)?;
                Ok(ListenAddr::Unix(path.to_owned()))
            }
        }
    }

    /// The connections, until `stop` is cancelled: then the address is let go at once and the stream ends. For
    /// `serve_with_incoming_shutdown`, with the same token as its signal.
    pub fn incoming(self, stop: CancellationToken) -> Incoming {
        let (ready, connections) = mpsc::channel(READY);
        let refusals = opentelemetry::global::meter("mooring.runtime")
            .u64_counter("mooring.listener.refused")
            .with_unit("{connection}")
            .with_description("Connections closed at a limit or for a failed TLS handshake.")
            .build();
        let accepting = Accepting {
            sources: Sources::new(&self.limits),
            limits: self.limits,
            tls: self.tls,
            handshakes: JoinSet::new(),
            ready,
            refusals,
        };
        let task = tokio::spawn(accepting.run(self.bound, stop));
        Incoming { connections, _task: AbortOnDropHandle::new(task) }
    }
}

/// The connections of a [`Listener`].
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    _task: AbortOnDropHandle<()>,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

enum Accepted {
    Tcp(TcpStream, std::net::SocketAddr),
    Unix(UnixStream),
}

struct Accepting {
    limits: Limits,
    sources: Arc<Sources>,
    tls: Option<Arc<ServerTls>>,
    handshakes: JoinSet<()>,
    ready: mpsc::Sender<Connection>,
    refusals: Counter<u64>,
}

impl Accepting {
    async fn run(mut self, bound: Bound, stop: CancellationToken) {
        loop {
            let room = self.handshakes.len() < self.limits.max_handshakes.max(1);
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                () = self.ready.closed() => return,
                Some(_) = self.handshakes.join_next() => continue,
                accepted = accept(&bound), if room => accepted,
            };
            match accepted {
                Ok(accepted) => self.admit(accepted).await,
                // The client changed its mind while it was queued: nothing of ours.
                Err(error) if of_one_connection(error.kind()) => {}
                // Out of descriptors or memory: connections will end, so wait and try again.
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn admit(&mut self, accepted: Accepted) {
        let source = match &accepted {
            Accepted::Tcp(_, peer) => Some(Source::of(peer.ip())),
            Accepted::Unix(_) => None,
        };
        let tls = self.tls.as_ref().filter(|_| source.is_some());
        let permit = match self.sources.admit(source, tls.is_some()) {
            Ok(permit) => permit,
            Err(refused) => return self.refuse(refused),
        };
        let connection = match (accepted, tls) {
            (Accepted::Unix(stream), _) => Connection::unix(stream, permit),
            (Accepted::Tcp(stream, peer), None) => {
                nodelay(&stream);
                Connection::tcp(stream, peer, permit)
            }
            (Accepted::Tcp(stream, peer), Some(tls)) => {
                nodelay(&stream);
                let (acceptor, ready) = (tls.acceptor(), self.ready.clone());
                let (patience, refusals) = (self.limits.handshake_timeout.get(), self.refusals.clone());
                self.handshakes.spawn(async move {
                    // Boxed: a handshake's state is large, and most of the time there is none.
                    let handshake = Box::pin(tokio::time::timeout(patience, acceptor.accept(stream)));
                    let why = match handshake.await {
                        Ok(Ok(stream)) => {
                            // An error means that the server is gone, and with it the point of all this.
                            let _ = ready.send(Connection::tls(stream, peer, permit)).await;
                            return;
                        }
                        Ok(Err(error)) => error.to_string(),
                        Err(_) => "timed out".to_owned(),
                    };
                    refusals.add(1, &[KeyValue::new("reason", "tls")]);
                    tracing::debug!(%peer, why, "TLS handshake failed");
                });
                return;
            }
        };
        let _ = self.ready.send(connection).await;
    }

    fn refuse(&self, refused: Refused) {
        self.refusals.add(1, &[KeyValue::new("reason", refused.name())]);
        tracing::debug!(limit = refused.name(), "connection refused at a limit");
    }
}

/// Small messages must not wait for the acknowledgement of the last ones (Nagle's algorithm).
fn nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}

async fn accept(bound: &Bound) -> io::Result<Accepted> {
    match bound {
        Bound::Tcp(listener) => listener.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer)),
        Bound::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
    }
}

const fn of_one_connection(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
