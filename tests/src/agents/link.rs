//! The bare stream: opened, written to, read from. No rule is kept for its user.

use std::time::{Duration, Instant};

use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::agent_service_client::AgentServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

use crate::wait::LIMIT;

/// What an agent says.
pub use pb::attach_request::Message as Up;
/// What a controller says.
pub use pb::attach_response::Message as Down;

/// Most messages that wait to be sent: more than any window.
const ROOM: usize = 2_048;
/// Larger than what a controller takes, so that the refusal is the controller's.
const MAX_MESSAGE: usize = 64 << 20;

/// Who an agent says it is.
#[derive(Debug, Clone)]
pub struct Who {
    /// Its id.
    pub id: String,
    /// This life of it.
    pub boot: Uuid,
    /// Its join token.
    pub token: Option<String>,
}

impl Who {
    /// A new life of an agent, without a token.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), boot: Uuid::new_v4(), token: None }
    }

    /// With a join token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The first word.
    #[must_use]
    pub fn hello(&self) -> pb::Hello {
        pb::Hello {
            agent_id: self.id.clone(),
            boot_id: self.boot.to_string(),
            node: "simulated".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        }
    }
}

/// An open stream. Dropping it ends it.
#[derive(Debug)]
pub struct Link {
    /// What the controller answered to `Hello`.
    pub welcome: pb::Welcome,
    outbound: mpsc::Sender<pb::AttachRequest>,
    inbound: Streaming<pb::AttachResponse>,
}

impl Link {
    /// Connects to `127.0.0.1:PORT`, says `Hello`, and waits for `Welcome`.
    ///
    /// # Errors
    /// What the controller answers instead.
    pub async fn open(address: &str, token: Option<&str>, hello: pb::Hello) -> Result<Self, Status> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| Status::internal(e.to_string()))?;
        let channel =
            endpoint.tcp_nodelay(true).connect().await.map_err(|e| Status::unavailable(e.to_string()))?;
        let mut client = AgentServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (outbound, requests) = mpsc::channel(ROOM);
        let first = pb::AttachRequest { message: Some(Up::Hello(hello)) };
        outbound.try_send(first).map_err(|e| Status::internal(e.to_string()))?;
        let mut request = Request::new(ReceiverStream::new(requests));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse();
            request
                .metadata_mut()
                .insert("authorization", value.map_err(|_| Status::internal("not a header"))?);
        }
        let mut inbound = client.attach(request).await?.into_inner();
        match inbound.message().await?.and_then(|m| m.message) {
            Some(Down::Welcome(welcome)) => Ok(Self { welcome, outbound, inbound }),
            other => Err(Status::internal(format!("the first message is not Welcome but {other:?}"))),
        }
    }

    /// Says something. Whether it arrives is not known; that the stream has ended shows when it is read.
    pub async fn send(&self, message: Up) {
        // An error means that the stream is over, which the reader is told with the reason.
        let _ = self.outbound.send(pb::AttachRequest { message: Some(message) }).await;
    }

    /// Sends a report.
    pub async fn report(&self, report: pb::Report) {
        self.send(Up::Report(report)).await;
    }

    /// The next thing the controller says; `None` when it has ended the stream without a word.
    ///
    /// # Errors
    /// The word it ended the stream with.
    pub async fn next(&mut self) -> Result<Option<Down>, Status> {
        loop {
            match self.inbound.message().await? {
                Some(m) => {
                    if let Some(message) = m.message {
                        return Ok(Some(message));
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// Reads, answering heartbeats, until `find` takes something.
    ///
    /// # Errors
    /// The controller's word when it ended the stream first.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(Down) -> Option<T>,
    ) -> Result<T, Status> {
        let limit = Instant::now() + LIMIT;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let next = tokio::time::timeout(left, self.next()).await;
            let message = next.unwrap_or_else(|_| panic!("waited {LIMIT:?} for {what}"))?;
            let Some(message) = message else {
                return Err(Status::unavailable("the stream ended without a word"));
            };
            if let Down::Heartbeat(h) = &message {
                self.send(Up::Heartbeat(pb::Heartbeat {
                    number: h.number,
                    seen: h.number,
                    ..Default::default()
                }))
                .await;
            }
            if let Some(found) = find(message) {
                return Ok(found);
            }
        }
    }

    /// Waits until reports up to this one are durable. Returns how long that took.
    ///
    /// # Errors
    /// The controller's word when it ended the stream first.
    pub async fn acked(&mut self, sequence: u64) -> Result<Duration, Status> {
        let start = Instant::now();
        let what = format!("the acknowledgement of report {sequence}");
        self.until(&what, |m| matches!(m, Down::Ack(a) if a.sequence >= sequence).then_some(())).await?;
        Ok(start.elapsed())
    }

    /// Waits until the controller ends the stream. Returns its word.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ended(&mut self) -> Status {
        match self.until::<()>("the end of the stream", |_| None).await {
            Err(status) => status,
            Ok(()) => unreachable!("nothing is looked for"),
        }
    }
}
