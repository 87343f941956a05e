//! The limit: a tonic server that does nothing but what gRPC itself needs, in a process of its own.
//!
//! One bidirectional stream per agent. Each message up holds changes as rows (one message each, as most protocols have
//! it, where Mooring's link has columns); the server writes them into a table in memory and answers with the number.
//! No names, no checks, no database: nobody can be faster in this transport.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use mooring_tests::process::Process;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The argument that makes this program the bare server.
pub const ARGUMENT: &str = "--bare-server";

/// A change as a row.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Row {
    #[prost(uint32, tag = "1")]
    pub instance: u32,
    #[prost(uint32, tag = "2")]
    pub condition_status: u32,
    #[prost(uint32, tag = "3")]
    pub cause: u32,
    #[prost(int64, tag = "4")]
    pub since_ms: i64,
    #[prost(string, tag = "5")]
    pub message: String,
}

/// What an agent says.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Report {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(message, repeated, tag = "2")]
    pub rows: Vec<Row>,
}

/// What it is answered.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Answer {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
}

/// Serves until it is killed; prints its address first.
pub async fn serve() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{{\"listening\":\"{}\"}}", listener.local_addr()?);
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        stream.inspect(|s| {
            // As the controller's listener does.
            let _ = s.set_nodelay(true);
        })
    });
    Ok(Server::builder().add_service(Bare).serve_with_incoming(incoming).await?)
}

#[derive(Debug, Clone, Copy)]
struct Bare;

impl NamedService for Bare {
    const NAME: &'static str = "bench.Bare";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Answer, Report>::default());
            Ok(grpc.streaming(Attach, request).await)
        })
    }
}

struct Attach;

impl StreamingService<Report> for Attach {
    type Response = Answer;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Answer, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Report>>) -> Self::Future {
        let table: Vec<(u32, u32, i64)> = Vec::new();
        let answers =
            futures_util::stream::unfold((request.into_inner(), table), |(mut inbound, mut table)| async {
                let report = match inbound.message().await {
                    Ok(Some(report)) => report,
                    Ok(None) => return None,
                    Err(status) => return Some((Err(status), (inbound, table))),
                };
                for row in &report.rows {
                    let at = row.instance as usize;
                    if at >= table.len() {
                        table.resize(at + 1, (0, 0, 0));
                    }
                    table[at] = (row.condition_status, row.cause, row.since_ms);
                }
                Some((Ok(Answer { sequence: report.sequence }), (inbound, table)))
            });
        Box::pin(async move { Ok(Response::new(Box::pin(answers) as Self::ResponseStream)) })
    }
}

/// A bare server in a process of its own.
pub struct BareServer {
    /// The process.
    pub process: Process,
    /// Its address.
    pub address: String,
}

impl BareServer {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let process = Process::start("bare tonic server", command.arg(ARGUMENT));
        let address = process.line("the address", mooring_tests::gateway::announced).await;
        Ok(Self { process, address })
    }
}

/// One stream to a bare server.
pub struct BareLink {
    outbound: mpsc::Sender<Report>,
    inbound: Streaming<Answer>,
}

impl BareLink {
    /// Connects, and makes one round trip so that the stream is really open.
    pub async fn open(address: &str) -> Result<Self> {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(Duration::from_secs(10));
        let mut grpc = tonic::client::Grpc::new(endpoint.tcp_nodelay(true).connect().await?);
        grpc.ready().await?;
        let (outbound, requests) = mpsc::channel(1_024);
        let path = http::uri::PathAndQuery::from_static("/bench.Bare/Attach");
        let codec = ProstCodec::<Report, Answer>::default();
        let request = Request::new(ReceiverStream::new(requests));
        outbound.send(Report::default()).await?;
        let mut inbound = grpc.streaming(request, path, codec).await?.into_inner();
        inbound.message().await?.context("the bare server answers")?;
        Ok(Self { outbound, inbound })
    }

    /// Sends a report.
    pub async fn send(&self, report: Report) -> Result<()> {
        Ok(self.outbound.send(report).await?)
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Result<u64> {
        Ok(self.inbound.message().await?.context("the bare server answers")?.sequence)
    }
}
