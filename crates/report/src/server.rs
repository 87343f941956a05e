//! The server: both listeners behind one set of calls.
//!
//! ```no_run
//! # async fn f(tokens: mooring_runtime::lifecycle::Tokens) -> Result<(), Box<dyn std::error::Error>> {
//! use mooring_report::{ReportConfig, ReportServer, hub};
//! let (hub, mut end) = hub();
//! let server = ReportServer::bind(&ReportConfig::default(), vec![], "/var/lib/mooring/agent".as_ref(), hub)?;
//! let serving = tokio::spawn(server.serve(tokens));
//! while let Some(reported) = end.reports.recv().await { /* Book::take */ }
//! # Ok(()) }
//! ```

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mooring_proto::report_v1::report_service_server::ReportServiceServer;
use mooring_runtime::auth::{TokenError, TokenSet};
use mooring_runtime::config::HumanDuration;
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::{BindError, Limits, ListenAddr, Listener};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::api::{Api, now};
use crate::config::{GatewayEntry, ReportConfig};
use crate::desk::Desk;
use crate::directory::Directory;
use crate::http::HttpLayer;
use crate::hub::{Hub, OrderRequest};

/// What calls under way are given when the agent stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Calls at once on one HTTP/2 connection.
const CALLS: u32 = 64;

/// Longest that a call may take until its answer begins, its request's way here included: more than the longest poll. A
/// stream of orders has begun its answer and lives on.
const CALL_TIME: Duration = Duration::from_secs(75);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port would be open to other machines without a token.
    #[error(
        "the report API would listen on {0} without a token: listen on 127.0.0.1, or set `report.token_file`"
    )]
    Open(SocketAddr),
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The socket's mode cannot be set.
    #[error("cannot set the mode of the report socket {path}")]
    Mode {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The tokens cannot be read.
    #[error("report API: {0}")]
    Tokens(#[from] TokenError),
}

/// The API, bound and ready.
#[derive(Debug)]
pub struct ReportServer {
    listeners: Vec<Listener>,
    addresses: Vec<ListenAddr>,
    directory: Directory,
    desk: Desk,
    tokens: Option<Arc<TokenSet>>,
    api: Api,
    orders: mpsc::Receiver<OrderRequest>,
    stop: CancellationToken,
    max_body: usize,
}

impl ReportServer {
    /// Binds the socket (one that a dead agent left behind is replaced, a live one is not) and the port.
    ///
    /// # Errors
    /// When an address cannot be bound or would be open to others without a token, or the tokens cannot be read.
    pub fn bind(
        config: &ReportConfig,
        gateways: Vec<GatewayEntry>,
        data_dir: &Path,
        hub: Hub,
    ) -> Result<Self, StartError> {
        let tokens = config.token_file.clone().map(|file| TokenSet::load(&[file], "gateway")).transpose()?;
        let limits = Limits {
            max_connections: config.limits.connections,
            max_connections_per_source: config.limits.connections,
            max_handshakes: 1,
            handshake_timeout: HumanDuration::from_secs(1),
        };
        let path = config.socket_path(data_dir);
        let socket = Listener::bind(&ListenAddr::Unix(path.clone()), limits.clone(), None)?;
        let mode = std::fs::Permissions::from_mode(config.socket_mode.bits());
        std::fs::set_permissions(&path, mode)
            .map_err(|source| StartError::Mode { path: path.clone(), source })?;
        let mut listeners = vec![socket];
        if config.http {
            let address = ListenAddr::Tcp(config.listen);
            if !address.is_local() && tokens.is_none() {
                return Err(StartError::Open(config.listen));
            }
            if !address.is_local() {
                tracing::warn!(%address, "the report API can be reached from other machines, with a token but unencrypted");
            }
            listeners.push(Listener::bind(&address, limits, None)?);
        }
        let asked = std::iter::once(ListenAddr::Unix(path)).chain([ListenAddr::Tcp(config.listen)]);
        let addresses =
            listeners.iter().zip(asked).map(|(l, asked)| l.local_addr().unwrap_or(asked)).collect();
        let directory = Directory::new(gateways, config.limits, now().mono);
        let desk = Desk::new(directory.clone());
        let stop = CancellationToken::new();
        let api = Api::new(directory.clone(), desk.clone(), hub.reports, stop.clone());
        let max_body = config.limits.request;
        Ok(Self { listeners, addresses, directory, desk, tokens, api, orders: hub.orders, stop, max_body })
    }

    /// Where it listens: the socket, then the port.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// The gateways that may report, to be replaced when the configuration changes.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// The tokens, to be read again when the configuration is.
    #[must_use]
    pub fn tokens(&self) -> Option<Arc<TokenSet>> {
        self.tokens.clone()
    }

    /// Serves until told to stop: then nothing new is taken, waiting calls end with an empty answer, orders without an
    /// answer end as not known.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn serve(self, tokens: Tokens) -> Result<(), tonic::transport::Error> {
        let Self { listeners, desk, tokens: bearer, api, orders, stop, max_body, .. } = self;
        for address in &self.addresses {
            tracing::info!(%address, "gateways may report");
        }
        let carrying = tokio::spawn(desk.run(orders, tokens.soft.clone()));
        let mut servers = tokio::task::JoinSet::new();
        for listener in listeners {
            let service = ReportServiceServer::new(api.clone())
                .max_decoding_message_size(max_body)
                .max_encoding_message_size(max_body);
            let soft = tokens.soft.clone();
            let stop = stop.clone();
            let server = Server::builder()
                .accept_http1(true)
                .timeout(CALL_TIME)
                .layer(HttpLayer::new(api.clone(), bearer.clone(), max_body))
                .max_concurrent_streams(Some(CALLS))
                .http2_keepalive_interval(Some(Duration::from_secs(30)))
                .http2_keepalive_timeout(Some(Duration::from_secs(20)))
                .http2_max_header_list_size(Some(16 * 1024))
                .add_service(service)
                .serve_with_incoming_shutdown(listener.incoming(tokens.soft.clone()), async move {
                    soft.cancelled().await;
                    // Told first, so that polls and streams end with a word.
                    stop.cancel();
                });
            servers.spawn(server);
        }
        let mut outcome = Ok(());
        let deadline = async {
            tokens.soft.cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(DRAIN) => {}
                () = tokens.hard.cancelled() => {}
            }
        };
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = servers.join_next() => match ended {
                    None => break,
                    Some(Ok(ended)) => outcome = outcome.and(ended),
                    // A panic is a bug of ours; the supervisor judges it like any other.
                    Some(Err(error)) => if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    },
                },
                () = &mut deadline => break,
            }
        }
        servers.shutdown().await;
        let _ = carrying.await;
        outcome
    }
}
