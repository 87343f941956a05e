//! From a name to a TCP connection.
//!
//! Addresses are tried one after the other, each with its share of what is left of the connect budget, so that a first
//! address that swallows packets leaves time for the second. When all fail, the most telling failure is reported: a
//! refusal proves that the host lives, a timeout that a route exists.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, refusal_from_io};
use mooring_core::handshake::{Refusal, Step};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::record::Recorder;
use super::{Failure, fault_of};
use crate::target::Target;
use crate::url::Host;

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

pub(super) async fn resolve(
    target: &Target,
    recorder: &mut Recorder,
) -> Result<Vec<SocketAddr>, Box<Failure>> {
    let (host, port) = target.endpoint();
    let name = match host {
        Host::Ip(ip) => {
            if !target.admits(*ip) {
                return Err(out_of_reach(&[SocketAddr::new(*ip, port)]));
            }
            recorder.done(Step::Resolve, "the url holds an address");
            return Ok(vec![SocketAddr::new(*ip, port)]);
        }
        Host::Name(name) => name,
    };
    let refuse = |recorder: &Recorder, fault, detail: &str| {
        let refusal =
            refusal_from_io(fault, Step::Resolve, recorder.since_last(), &format!("{name}: {detail}"));
        Failure::without_connection(refusal)
    };
    let found = match timeout(target.timeouts.resolve, lookup_host((name.as_str(), port))).await {
        Err(_) => return Err(refuse(recorder, IoFault::TimedOut, "the resolver does not answer")),
        Ok(Err(error)) => {
            let fault = match IoFault::of(&error) {
                IoFault::LocalResources => IoFault::LocalResources,
                _ => IoFault::NotResolved,
            };
            return Err(refuse(recorder, fault, &error.to_string()));
        }
        Ok(Ok(found)) => found,
    };
    let mut addresses = Vec::new();
    for address in found {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(refuse(recorder, IoFault::NotResolved, "the name has no address"));
    }
    let (addresses, refused): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| target.admits(a.ip()));
    if addresses.is_empty() {
        return Err(out_of_reach(&refused));
    }
    let list: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
    recorder.done(Step::Resolve, &list.join(", "));
    Ok(addresses)
}

/// Not the peer's doing: nothing was asked of it.
fn out_of_reach(addresses: &[SocketAddr]) -> Box<Failure> {
    let list: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
    let message = format!("{} must not be dialled from here", list.join(", "));
    Failure::without_connection(Refusal { step: Step::Resolve, cause: Cause::ObserverStalled, message })
}

pub(super) async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    recorder: &mut Recorder,
) -> Result<(TcpStream, SocketAddr), Box<Failure>> {
    let end = Instant::now() + target.timeouts.connect;
    let mut failures: Vec<(SocketAddr, IoFault, String)> = Vec::new();
    for (i, address) in addresses.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - i).unwrap_or(1);
        match open(*address, share).await {
            Ok(tcp) => {
                recorder.done(Step::Connect, &address.to_string());
                return Ok((tcp, *address));
            }
            Err(error) => {
                let (fault, words) = fault_of(&error);
                failures.push((*address, fault, words));
            }
        }
    }
    let told = failures.iter().map(|f| f.1).min_by_key(|f| rank(*f)).unwrap_or(IoFault::Other);
    let detail: Vec<_> = failures.iter().map(|(address, _, words)| format!("{address}: {words}")).collect();
    let refusal = refusal_from_io(told, Step::Connect, recorder.since_last(), &detail.join("; "));
    Err(Failure::without_connection(refusal))
}

async fn open(address: SocketAddr, share: Duration) -> io::Result<TcpStream> {
    let tcp = match timeout(share, TcpStream::connect(address)).await {
        Ok(result) => result?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
    };
    // A ping must not wait for an acknowledgement of the one before it.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// The lower, the more it tells.
fn rank(fault: IoFault) -> u8 {
    match fault {
        IoFault::Refused => 0,
        IoFault::TimedOut => 1,
        IoFault::LocalResources => 2,
        IoFault::Unreachable => 3,
        _ => 4,
    }
}
