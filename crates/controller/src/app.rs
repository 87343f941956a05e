//! The wiring: from a configuration to a running controller. The only place that names `store-pg`.
//!
//! Used by the binary and, in-process, by `mooring up` and tests. Start-up order: the database (a private one is started
//! first), migrations, what the store knows, the clerk, then the listeners: nobody is served before the belief is loaded.
//! Shutdown runs the other way round, by the supervisor's stages: intake (listeners, streams), work (clerk, sweeper),
//! storage (journal, prober, then the private Postgres).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mooring_runtime::auth::{TokenError, TokenSet};
use mooring_runtime::config::{ConfigError, Loaded, SecretFile};
use mooring_runtime::health::{HealthServer, Readiness};
use mooring_runtime::lifecycle::{Handle, Kind, Stage, Tokens};
use mooring_runtime::listener::{BindError, Exposure, Limits, ListenAddr, Listener, check_exposure};
use mooring_runtime::reload::{self, Reload};
use mooring_runtime::tls::{ServerTls, ServerTlsConfig, TlsError};
use mooring_store::{FleetRecord, Retention, Store, StoreError};
use mooring_store_pg::private::{self, PrivatePostgres};
use mooring_store_pg::{OpenError, PgStore, PoolSettings};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use crate::api::{self, ApiParts};
use crate::config::ControllerConfig;
use crate::database::{Database, now};
use crate::fleet::Fleet;
use crate::journal::journal;
use crate::link::{Context, Link, LinkConfig, PATIENCE, Sessions};
use crate::metrics::Metrics;
use crate::orders::{Clerk, Parts, Warmup, desk};
use crate::policies::{self, Policies, PolicyFile};
use crate::sweeper::Sweeper;

/// Largest message taken from an agent: a full report of 16,384 rows with words stays below it, and so does an answer with
/// a thousand sessions.
pub(crate) const MAX_REPORT: usize = 4 << 20;
/// How often certificates and token files are looked at.
const RELOAD_POLL: Duration = Duration::from_secs(30);
/// The name of the database in a private Postgres.
const PRIVATE_DATABASE: &str = "mooring";

/// Why a controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private Postgres did not start.
    #[error("the private Postgres did not start")]
    Private(#[from] private::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database is not usable.
    #[error("the database is not usable")]
    Store(#[from] StoreError),
    /// The file with the database's URL cannot be read.
    #[error("database_file")]
    DatabaseFile(#[source] mooring_runtime::config::SecretFileError),
    /// A token file is not usable.
    #[error("{section}")]
    Tokens {
        /// The key of the configuration.
        section: &'static str,
        /// Why.
        source: TokenError,
    },
    /// A certificate is not usable.
    #[error("{section}.tls")]
    Tls {
        /// The section of the configuration.
        section: &'static str,
        /// Why.
        source: Box<TlsError>,
    },
    /// An address cannot be bound.
    #[error("{section}.listen")]
    Bind {
        /// The section of the configuration.
        section: &'static str,
        /// Why.
        source: BindError,
    },
    /// The health page cannot be served.
    #[error("health.listen = {address}")]
    Health {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The policy file is wrong.
    #[error("policy_file: {0}")]
    Policy(#[from] ConfigError),
    /// A listener's address is not what it should be.
    #[error("{0}")]
    Exposure(#[from] mooring_runtime::listener::ExposureError),
}

/// What others need to know of a running controller.
#[derive(Debug, Clone)]
pub struct Running {
    /// Where the operator API listens.
    pub api: ListenAddr,
    /// Where agents attach.
    pub agents: ListenAddr,
    /// Where the health page is, if there is one.
    pub health: Option<std::net::SocketAddr>,
    /// The belief, for in-process observers.
    pub fleet: Fleet,
    /// Whether the database is there.
    pub database: Database,
}

/// Starts a controller under a supervisor. `registry` is what `/metrics` shows.
///
/// # Errors
/// When anything it needs cannot be had; what was started by then is stopped by the supervisor.
pub async fn start(
    config: Loaded<ControllerConfig>,
    handle: &Handle,
    readiness: &Readiness,
    registry: Option<prometheus::Registry>,
) -> Result<Running, StartError> {
    let config = config.value;
    let file = match &config.policy_file {
        Some(path) => policies::read(path)?,
        None => PolicyFile::default(),
    };
    let mut watched: Vec<Arc<dyn Reload>> = Vec::new();
    let api_side = Side::prepare("api", &config.api.tls, &config.api.tokens_file, "operator", &mut watched)?;
    let agents_side = Side::prepare(
        "agents",
        &config.agents.tls,
        &config.agents.join_tokens_file,
        crate::link::ANY_AGENT,
        &mut watched,
    )?;
    announce(&config, &api_side, &agents_side)?;

    let store = open_store(&config, handle).await?;
    let database = Database::default();
    let metrics = Metrics::default();
    let mut record = store.load().await?;
    let policies = Policies::new(store.policies().await?, file);
    let fleet = Fleet::default();
    // What the clerk goes on with; the fleet takes the rest, which may be large, without a copy of it.
    let unfinished = FleetRecord {
        live_orders: record.live_orders.clone(),
        cases: std::mem::take(&mut record.cases),
        ..FleetRecord::default()
    };
    fleet.load(record, now());
    metrics.observe(&fleet, &database);
    let warmup = Warmup::begin(&fleet, config.agents.beat.get(), now());
    let sessions = Sessions::new(metrics.clone(), PATIENCE);
    let (journal, writer) = journal();
    let (desk, slips) = desk();

    let (s, d, f, m) = (Arc::clone(&store), database.clone(), fleet.clone(), metrics.clone());
    handle.spawn(Stage::Storage, Kind::Critical, "journal", move |t| writer.run(s, f, d, m, t));
    let (s, d) = (Arc::clone(&store), database.clone());
    handle.spawn(Stage::Storage, Kind::Critical, "database prober", move |t| d.probe(s, t));
    let parts = Parts {
        store: Arc::clone(&store),
        database: database.clone(),
        fleet: fleet.clone(),
        sessions: sessions.clone(),
        policies: policies.clone(),
        warmup: warmup.clone(),
        metrics: metrics.clone(),
    };
    let clerk = Clerk::new(parts, slips, &unfinished, rand::random());
    handle.spawn(Stage::Work, Kind::Critical, "clerk", move |t| clerk.run(t));
    let sweeper = Sweeper {
        store: Arc::clone(&store),
        database: database.clone(),
        fleet: fleet.clone(),
        grace: config.agents.grace.get(),
        retention: Retention {
            events: config.retention.events.get(),
            orders: config.retention.orders.get(),
            closes: config.retention.session_closes.get(),
        },
    };
    handle.spawn(Stage::Work, Kind::Critical, "sweeper", move |t| sweeper.run(t));
    if let Some(path) = config.policy_file.clone() {
        let (policies, desk) = (policies.clone(), desk.clone());
        handle.spawn(Stage::Work, Kind::Background, "policy file", move |t| {
            reload_policies(path, policies, desk, t)
        });
    }
    handle.spawn(Stage::Work, Kind::Background, "certificates and tokens", move |t| {
        reload::watch(watched, RELOAD_POLL, t)
    });

    let agents_listener = bind("agents", config.agents.listen, &agents_limits(&config), agents_side.tls)?;
    let api_listener = bind("api", config.api.listen, &api_limits(&config), api_side.tls)?;
    let running_agents = address(&agents_listener, config.agents.listen);
    let running_api = address(&api_listener, config.api.listen);

    let stopping = CancellationToken::new();
    let tasks = TaskTracker::new();
    let link = Link::new(
        LinkConfig {
            agents: config.agents.clone(),
            tokens: agents_side.tokens,
            controller: format!("mooring-controller {}", env!("CARGO_PKG_VERSION")),
        },
        Arc::clone(&store),
        database.clone(),
        sessions.clone(),
        Context { fleet: fleet.clone(), journal, desk: desk.clone(), metrics },
        stopping.clone(),
        tasks.clone(),
    );
    handle.spawn(Stage::Intake, Kind::Critical, "agents' listener", move |t| {
        serve_agents(agents_listener, link, stopping, tasks, t)
    });
    let api_parts = ApiParts {
        store: Arc::clone(&store),
        database: database.clone(),
        fleet: fleet.clone(),
        sessions,
        desk,
        policies,
        warmup,
        tokens: api_side.tokens,
        config: config.api.clone(),
    };
    handle.spawn(Stage::Intake, Kind::Critical, "operator API", move |t| {
        api::serve(api_listener, api_parts, t)
    });

    let health = health(&config, handle, readiness, registry).await?;
    let flag = readiness.flag("database");
    let watch = database.clone();
    handle.spawn(Stage::Storage, Kind::Background, "readiness", move |t| async move {
        let mut changes = watch.watch();
        loop {
            match watch.away_since() {
                None => flag.ready(),
                Some(_) => flag.not_ready("the database is away; reads are stale and no order is made"),
            }
            tokio::select! {
                () = t.soft.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    });
    tracing::info!(api = %running_api, agents = %running_agents, "the controller is ready");
    Ok(Running { api: running_api, agents: running_agents, health, fleet, database })
}

/// TLS and tokens of one listener.
struct Side {
    tls: Option<Arc<ServerTls>>,
    tokens: Option<Arc<TokenSet>>,
}

impl Side {
    fn prepare(
        section: &'static str,
        tls: &Option<ServerTlsConfig>,
        tokens: &Option<SecretFile>,
        principal: &str,
        watched: &mut Vec<Arc<dyn Reload>>,
    ) -> Result<Self, StartError> {
        let tls = tls.as_ref().map(ServerTls::load).transpose();
        let tls = tls.map_err(|e| StartError::Tls { section, source: Box::new(e) })?;
        let tokens =
            tokens.as_ref().map(|file| TokenSet::load(std::slice::from_ref(file), principal)).transpose();
        let tokens = tokens.map_err(|source| StartError::Tokens { section, source })?;
        watched.extend(tls.clone().map(|t| t as Arc<dyn Reload>));
        watched.extend(tokens.clone().map(|t| t as Arc<dyn Reload>));
        Ok(Self { tls, tokens })
    }
}

/// The same check as when the configuration was read, said aloud: a listener that is open to others is worth a line.
fn announce(config: &ControllerConfig, api: &Side, agents: &Side) -> Result<(), StartError> {
    let sides: [(&str, std::net::SocketAddr, &Side, bool); 2] = [
        ("operator API", config.api.listen, api, config.api.insecure),
        ("agents' listener", config.agents.listen, agents, config.agents.insecure),
    ];
    for (name, listen, side, insecure) in sides {
        let address = ListenAddr::from(listen);
        let exposure: Exposure =
            check_exposure(&address, side.tls.is_some(), side.tokens.is_some(), insecure)?;
        exposure.announce(name, &address);
    }
    Ok(())
}

fn agents_limits(config: &ControllerConfig) -> Limits {
    Limits {
        max_connections: config.agents.max_agents + 64,
        max_connections_per_source: config.agents.max_connections_per_source,
        ..Limits::default()
    }
}

fn api_limits(config: &ControllerConfig) -> Limits {
    Limits {
        max_connections: config.api.max_connections,
        max_connections_per_source: config.api.max_connections_per_source,
        ..Limits::default()
    }
}

fn bind(
    section: &'static str,
    listen: std::net::SocketAddr,
    limits: &Limits,
    tls: Option<Arc<ServerTls>>,
) -> Result<Listener, StartError> {
    Listener::bind(&listen.into(), limits.clone(), tls).map_err(|source| StartError::Bind { section, source })
}

/// The address in fact bound: the configured one may have left the port to the system.
fn address(listener: &Listener, configured: std::net::SocketAddr) -> ListenAddr {
    listener.local_addr().unwrap_or_else(|_| configured.into())
}

/// Opens the store: a private Postgres is started first, and stopped last.
async fn open_store(config: &ControllerConfig, handle: &Handle) -> Result<Arc<dyn Store>, StartError> {
    let settings = PoolSettings { max_connections: config.database_connections, ..PoolSettings::default() };
    let url = match &config.database_file {
        Some(file) => Some(file.read().map_err(StartError::DatabaseFile)?.expose_secret().to_owned()),
        None if config.database == "private" => None,
        None => Some(config.database.clone()),
    };
    let store = match url {
        Some(url) => PgStore::connect(mooring_store_pg::parse_url(&url)?, settings).await?,
        None => {
            let postgres = PrivatePostgres::start(private::Options::new(&config.data_dir)).await?;
            postgres.create_database(PRIVATE_DATABASE).await?;
            let options = postgres.connect_options(PRIVATE_DATABASE);
            tracing::info!(folder = %postgres.cluster_dir().display(), "the private Postgres is running");
            handle.spawn(Stage::Storage, Kind::Critical, "private Postgres", move |t| keep(postgres, t));
            PgStore::connect(options, settings).await?
        }
    };
    store.migrate().await?;
    Ok(Arc::new(store))
}

/// Keeps a private Postgres running, and stops it once everyone else who needs it has stopped.
async fn keep(mut postgres: PrivatePostgres, tokens: Tokens) -> Result<(), private::Error> {
    loop {
        let died = postgres.died();
        tokio::select! {
            () = tokens.soft.cancelled() => break,
            exit = died => {
                tracing::error!(?exit, "the private Postgres died; it is started again");
                if let Err(e) = postgres.start_again().await {
                    tracing::error!(error = %e, "the private Postgres does not start; tried again in a second");
                    tokio::select! {
                        () = tokens.soft.cancelled() => return Ok(()),
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
            }
        }
    }
    let stopped = postgres.stop().await?;
    tracing::info!(?stopped, "the private Postgres has stopped");
    Ok(())
}

async fn health(
    config: &ControllerConfig,
    handle: &Handle,
    readiness: &Readiness,
    registry: Option<prometheus::Registry>,
) -> Result<Option<std::net::SocketAddr>, StartError> {
    let Some(address) = config.health.listen else { return Ok(None) };
    let fail = |source| StartError::Health { address, source };
    let server = HealthServer::bind(address, readiness.clone(), registry).await.map_err(fail)?;
    let bound = server.local_addr().map_err(fail)?;
    handle.spawn(Stage::Storage, Kind::Background, "health page", move |t| server.serve(t));
    Ok(Some(bound))
}

async fn serve_agents(
    listener: Listener,
    link: Link,
    stopping: CancellationToken,
    tasks: TaskTracker,
    tokens: Tokens,
) -> Result<(), tonic::transport::Error> {
    let service = mooring_proto::agent_v1::agent_service_server::AgentServiceServer::new(link)
        .max_decoding_message_size(MAX_REPORT)
        .max_encoding_message_size(MAX_REPORT);
    let incoming = listener.incoming(tokens.soft.clone());
    let soft = tokens.soft.clone();
    let outcome = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_concurrent_streams(Some(4))
        .concurrency_limit_per_connection(4)
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, async move {
            soft.cancelled().await;
            // Told first, so that streams end with a word instead of a broken connection.
            stopping.cancel();
        })
        .await;
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = tokens.hard.cancelled() => {}
    }
    outcome
}

/// Reads the policy file again when asked to; a bad one is refused with the reason and the old one stays.
async fn reload_policies(
    path: std::path::PathBuf,
    policies: Policies,
    desk: crate::orders::Desk,
    mut tokens: Tokens,
) {
    loop {
        tokio::select! {
            () = tokens.soft.cancelled() => return,
            changed = tokens.reload.changed() => if changed.is_err() { return },
        }
        apply_policy_file(&path, &policies, &desk);
    }
}

fn apply_policy_file(path: &Path, policies: &Policies, desk: &crate::orders::Desk) {
    match policies::read(path) {
        Ok(file) => {
            tracing::info!(file = %path.display(), policies = file.policy.len(), "policies read again");
            policies.replace_file(file);
            desk.look();
        }
        Err(e) => tracing::error!(file = %path.display(), "policies not read again, the old ones stay: {e}"),
    }
}
