//! Opens one stream: connection, token, `Hello`, `Welcome`.

use std::time::Duration;

use mooring_core::id::BootId;
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::agent_service_client::AgentServiceClient;
use mooring_proto::duration_from;
use mooring_runtime::auth::{TokenError, bearer};
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, TlsError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::config::{ControllerSection, Identity};
use crate::outbox::{Terms, Usage};

/// Largest message either way; gRPC's customary limit, stated.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// For the TCP connection, and for the TLS handshake on it.
const CONNECT: Duration = Duration::from_secs(5);
/// From `Hello` to `Welcome`. The controller needs a database transaction for it, and up to 2 s to find out whether an
/// older boot of this agent lives.
const WELCOME: Duration = Duration::from_secs(15);
/// Pings of the transport find a dead path below us; the heartbeats inside the stream find everything else.
const HTTP2_PING: Duration = Duration::from_secs(60);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// Room for heartbeats and acknowledgements beside a window of reports.
const ROOM: usize = 32;
/// A controller's window is believed up to here.
const MAX_WINDOW: usize = 1_024;

/// Why no stream was opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The address cannot be used.
    #[error("{address} is not a controller's address: {reason}")]
    Address {
        /// As configured, or as a controller named it.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The join token cannot be read.
    #[error("cannot read the join token: {}", error_chain(.0))]
    Token(TokenError),
    /// The TLS settings cannot be used.
    #[error("cannot set up TLS: {}", error_chain(.0))]
    Tls(TlsError),
    /// No connection.
    #[error("{address}: cannot connect: {reason}")]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The controller said no.
    #[error("{address}: the controller refused: {} ({})", .status.message(), code(.status))]
    Refused {
        /// Where.
        address: String,
        /// What it said.
        status: Box<Status>,
    },
    /// It said something else than `Welcome`, or nothing.
    #[error("{address}: {reason}")]
    NoWelcome {
        /// Where.
        address: String,
        /// What it did.
        reason: &'static str,
    },
}

fn code(status: &Status) -> String {
    format!("{:?}", status.code())
}

impl DialError {
    /// How long the controller wants us to stay away, where it says.
    pub(super) fn hint(&self) -> Option<Duration> {
        match self {
            Self::Refused { status, .. } => hint(status),
            _ => None,
        }
    }
}

/// The delay in a status: `google.rpc.RetryInfo`, or `retry-after` in seconds, which proxies send.
pub(super) fn hint(status: &Status) -> Option<Duration> {
    let info = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let after = || status.metadata().get("retry-after")?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    info.or_else(after)
}

/// An open stream whose controller has let us in.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) address: String,
    pub(super) outbound: mpsc::Sender<pb::AttachRequest>,
    pub(super) inbound: Streaming<pb::AttachResponse>,
    pub(super) epoch: u64,
    pub(super) controller: String,
    pub(super) beat: Duration,
    pub(super) silence: Duration,
    pub(super) terms: Terms,
}

/// What an agent says of itself.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) identity: Identity,
    pub(super) boot: BootId,
}

/// The capability of agents that answer questions about sessions.
const SESSIONS: &str = "sessions";

impl Who {
    pub(super) fn hello(&self, last_sequence: u64, usage: Usage) -> pb::Hello {
        pb::Hello {
            agent_id: self.identity.agent.to_string(),
            boot_id: self.boot.0.to_string(),
            node: self.identity.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: vec![SESSIONS.to_owned(), mooring_proto::examine::CAPABILITY.to_owned()],
            last_sequence,
            gateways: u32::try_from(usage.gateways).unwrap_or(u32::MAX),
            instances: u32::try_from(usage.instances).unwrap_or(u32::MAX),
        }
    }
}

/// Opens a stream. Files are read anew each time, so renewed certificates and tokens are followed.
pub(super) async fn dial(
    address: &str,
    config: &ControllerSection,
    hello: pb::Hello,
) -> Result<Attachment, DialError> {
    let endpoint = endpoint(address, config).await?;
    let token = match config.join_token_file.clone() {
        None => None,
        Some(file) => Some(blocking(move || bearer(&file)).await.map_err(DialError::Token)?),
    };
    let connecting = |error: &(dyn std::error::Error + 'static)| DialError::Connect {
        address: address.to_owned(),
        reason: error_chain(error),
    };
    let channel = match tokio::time::timeout(CONNECT * 2, endpoint.connect()).await {
        Ok(channel) => channel.map_err(|e| connecting(&e))?,
        Err(elapsed) => return Err(connecting(&elapsed)),
    };
    let mut client = AgentServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    // The window is not known yet; the largest believed costs nothing until it is used.
    let (outbound, requests) = mpsc::channel(MAX_WINDOW + ROOM);
    let first = pb::AttachRequest { message: Some(pb::attach_request::Message::Hello(hello)) };
    let mut request = Request::new(ReceiverStream::new(requests));
    if let Some(token) = token.and_then(|t| MetadataValue::<Ascii>::try_from(t.as_bytes()).ok()) {
        let mut token = token;
        token.set_sensitive(true);
        request.metadata_mut().insert("authorization", token);
    }
    let opening = async {
        // The channel was made a moment ago, and has room.
        let _ = outbound.try_send(first);
        let refused = |status| DialError::Refused { address: address.to_owned(), status: Box::new(status) };
        let mut inbound = client.attach(request).await.map_err(refused)?.into_inner();
        let message = inbound.message().await.map_err(refused)?.and_then(|m| m.message);
        match message {
            Some(pb::attach_response::Message::Welcome(welcome)) => Ok((inbound, welcome)),
            _ => Err(DialError::NoWelcome {
                address: address.to_owned(),
                reason: "the controller's first message is not a Welcome; is this a controller's address for agents?",
            }),
        }
    };
    let Ok(opened) = tokio::time::timeout(WELCOME, opening).await else {
        return Err(DialError::NoWelcome {
            address: address.to_owned(),
            reason: "the controller did not answer Hello within 15 s",
        });
    };
    let (inbound, welcome) = opened?;
    Ok(attachment(address, outbound, inbound, &welcome))
}

fn attachment(
    address: &str,
    outbound: mpsc::Sender<pb::AttachRequest>,
    inbound: Streaming<pb::AttachResponse>,
    welcome: &pb::Welcome,
) -> Attachment {
    let time =
        |d: &Option<prost_types::Duration>| d.as_ref().and_then(duration_from).filter(|d| !d.is_zero());
    let beat = beat(time(&welcome.heartbeat_interval));
    let silence = time(&welcome.silence_timeout).unwrap_or(beat * 3).clamp(beat, Duration::from_secs(3_600));
    Attachment {
        address: address.to_owned(),
        outbound,
        inbound,
        epoch: welcome.session_epoch,
        controller: mooring_proto::link::printable(&mooring_core::limits::clip(&welcome.controller, 200)),
        beat,
        silence,
        terms: Terms {
            resume_after: welcome.resume_after,
            snapshot: welcome.snapshot,
            spread: time(&welcome.spread).unwrap_or_default().min(Duration::from_secs(600)),
            window: (welcome.window as usize).clamp(1, MAX_WINDOW),
        },
    }
}

/// A heartbeat interval within reason.
pub(super) fn beat(asked: Option<Duration>) -> Duration {
    asked.unwrap_or(Duration::from_secs(10)).clamp(Duration::from_millis(50), Duration::from_secs(600))
}

async fn endpoint(address: &str, config: &ControllerSection) -> Result<Endpoint, DialError> {
    let bad = |reason: String| DialError::Address { address: address.to_owned(), reason };
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|e| bad(error_chain(&e)))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .http2_keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .keep_alive_while_idle(false)
        .http2_max_header_list_size(16 * 1024)
        .user_agent(concat!("mooring-agent/", env!("CARGO_PKG_VERSION")))
        .map_err(|e| bad(error_chain(&e)))?;
    if endpoint.uri().scheme_str() == Some("https") {
        let tls = config.tls.clone();
        let tls = blocking(move || ClientTls::load(&tls)).await.map_err(DialError::Tls)?;
        endpoint = endpoint.tls_config(tls.tonic(CONNECT)).map_err(|e| bad(error_chain(&e)))?;
    }
    Ok(endpoint)
}

/// Reads files without holding up the runtime.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(read).await {
        Ok(value) => value,
        // The runtime is going down, or reading panicked: this task ends with it.
        Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
    }
}
