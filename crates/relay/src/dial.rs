//! Opening a connection to the gateway: the PROXY header, then TLS, each within one bound of time.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, refusal_from_io};
use mooring_core::handshake::{Refusal, Step};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::UpstreamAddress;
use crate::proxy;
use crate::shared::Shared;
use crate::stream::{Plain, Stream};

/// A gateway that could not be reached.
#[derive(Debug)]
pub(crate) struct Unreached {
    pub(crate) refusal: Refusal,
    /// Nobody listens there: it may be restarting.
    pub(crate) refused: bool,
    pub(crate) timed_out: bool,
}

/// Opens a connection for a client.
pub(crate) async fn dial(
    shared: &Shared,
    client: Option<SocketAddr>,
    to: Option<SocketAddr>,
) -> Result<Stream, Unreached> {
    let begun = Instant::now();
    let limit = shared.config.times.dial;
    let mut step = Step::Connect;
    let outcome = timeout(limit, open(shared, client, to, &mut step)).await;
    let error = match outcome {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    let fault = if step == Step::Tls && error.kind() == io::ErrorKind::InvalidData {
        IoFault::Tls
    } else {
        IoFault::of(&error)
    };
    // A Unix socket that is not there yet is a port where nobody listens yet.
    let absent = step == Step::Connect && error.kind() == io::ErrorKind::NotFound;
    let fault = if absent { IoFault::Refused } else { fault };
    let mut refusal = refusal_from_io(fault, step, begun.elapsed(), &error.to_string());
    if step == Step::Resolve {
        refusal.cause = Cause::NameNotResolved;
    }
    Err(Unreached {
        refused: step == Step::Connect && fault == IoFault::Refused,
        timed_out: fault == IoFault::TimedOut,
        refusal,
    })
}

async fn open(
    shared: &Shared,
    client: Option<SocketAddr>,
    to: Option<SocketAddr>,
    step: &mut Step,
) -> io::Result<Stream> {
    let upstream = &shared.config.upstream;
    let _turn = shared.dials.acquire().await;
    let mut plain = connect(&upstream.address, shared.config.times.tcp_keepalive, step).await?;
    *step = Step::Request;
    if let Some(version) = upstream.proxy {
        let header = proxy::write(version, client.zip(to));
        match &mut plain {
            Plain::Tcp(s) => s.write_all(&header).await?,
            Plain::Unix(s) => s.write_all(&header).await?,
        }
    }
    let (Some(tls), Some(connector)) = (&upstream.tls, &shared.tls) else { return Ok(plain.into()) };
    *step = Step::Tls;
    let stream = connector.connect(tls.name.clone(), plain).await?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

async fn connect(
    address: &UpstreamAddress,
    keepalive: Option<Duration>,
    step: &mut Step,
) -> io::Result<Plain> {
    let tcp = match address {
        UpstreamAddress::Unix(path) => return Ok(Plain::Unix(UnixStream::connect(path).await?)),
        UpstreamAddress::Tcp(address) => TcpStream::connect(address).await?,
        UpstreamAddress::Name { host, port } => {
            *step = Step::Resolve;
            let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
            *step = Step::Connect;
            TcpStream::connect(addresses.as_slice()).await?
        }
    };
    tune(&tcp, keepalive)?;
    Ok(Plain::Tcp(tcp))
}

/// What every TCP connection of a relay has: no delay of small writes, and a kernel that notices dead peers.
pub(crate) fn tune(tcp: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    if let Some(after) = keepalive {
        rustix::net::sockopt::set_tcp_keepidle(tcp, after)?;
        rustix::net::sockopt::set_socket_keepalive(tcp, true)?;
    }
    Ok(())
}
