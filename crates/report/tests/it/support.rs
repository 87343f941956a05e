//! A server in this process, and the smallest HTTP client there is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mooring_core::id::{GatewayId, InstanceId, OrderId};
use mooring_core::order::Action;
use mooring_report::{
    Directory, GatewayEntry, GatewayReport, HubEnd, OrderRequest, ReportConfig, ReportServer, Reported,
    hub_of,
};
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::ListenAddr;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Served {
    pub port: u16,
    pub socket: PathBuf,
    pub end: HubEnd,
    pub directory: Directory,
    pub stop: CancellationToken,
    pub task: JoinHandle<Result<(), tonic::transport::Error>>,
    _folder: tempfile::TempDir,
}

/// A gateway `bots` with one configured instance, `configured`.
pub fn bots(report: GatewayReport) -> GatewayEntry {
    GatewayEntry {
        id: GatewayId::new("bots").unwrap(),
        instances: vec![InstanceId::new("configured").unwrap()],
        report,
    }
}

impl Served {
    pub async fn start() -> Self {
        Self::with(ReportConfig::default(), vec![bots(GatewayReport::default())], 16_384).await
    }

    pub async fn with(config: ReportConfig, gateways: Vec<GatewayEntry>, queue: usize) -> Self {
        let config = ReportConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config };
        let folder = tempfile::tempdir().unwrap();
        let (hub, end) = hub_of(queue);
        let server = ReportServer::bind(&config, gateways, folder.path(), hub).unwrap();
        let [ListenAddr::Unix(socket), ListenAddr::Tcp(address)] = server.addresses() else {
            panic!("two listeners")
        };
        let (socket, port, directory) = (socket.clone(), address.port(), server.directory());
        let stop = CancellationToken::new();
        let (_, reload) = watch::channel(0);
        let tokens = Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload };
        let task = tokio::spawn(server.serve(tokens));
        Self { port, socket, end, directory, stop, task, _folder: folder }
    }

    /// Sends a request over TCP; gives status, headers and body.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let json = "content-type: application/json\r\n";
        self.raw(&request(method, path, &format!("host: localhost\r\n{json}"), body)).await
    }

    pub async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(stream).await
    }

    /// The same over the Unix socket.
    pub async fn unix(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let text = request(method, path, "host: x\r\ncontent-type: application/json\r\n", body);
        stream.write_all(text.as_bytes()).await.unwrap();
        Answer::read(stream).await
    }

    /// The next thing reported.
    pub async fn next(&mut self) -> Reported {
        tokio::time::timeout(PATIENCE, self.end.reports.recv()).await.expect("something is reported").unwrap()
    }

    /// Gives an order and what comes of it.
    pub async fn order(
        &self,
        action: Action,
        instance: Option<&str>,
        limit: Duration,
    ) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let request = OrderRequest {
            id: OrderId(uuid::Uuid::now_v7()),
            gateway: GatewayId::new("bots").unwrap(),
            action,
            instance: instance.map(|i| InstanceId::new(i).unwrap()),
            session: "s7".to_owned(),
            delay: Some(Duration::from_millis(1500)),
            reason: "because".to_owned(),
            time_limit: limit,
            reply,
        };
        self.end.orders.send(request).await.unwrap();
        outcome
    }

    pub async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("stops").unwrap().unwrap();
    }
}

pub type Outcome = Result<String, String>;

pub async fn outcome(of: oneshot::Receiver<Outcome>) -> Outcome {
    tokio::time::timeout(PATIENCE, of).await.expect("an outcome").unwrap()
}

pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    async fn read(mut stream: impl tokio::io::AsyncRead + Unpin) -> Self {
        let mut bytes = Vec::new();
        // A connection that is closed while we still send ends in an error after the answer.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer");
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn reason(&self) -> (u16, String) {
        (self.status, self.json()["reason"].as_str().unwrap_or_default().to_owned())
    }
}
