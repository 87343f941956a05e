//! The agent, put together: watches, inbox, uplink, and the reload of its settings.
//!
//! [`start`] gives tasks to a supervisor and returns; the supervisor runs them to their end. The binary does it with the
//! process's own supervisor, `mooring up` and tests with one of their own, in the same process as everything else.
//!
//! What ends when, in the order of the supervisor's stages:
//!
//! 1. *Intake*: orders are no longer taken (from the very beginning of the shutdown), watches close their sessions.
//! 2. *Work*: orders that run are waited for, supervised gateways are stopped, as they are configured.
//! 3. *Storage*: the uplink tells what is left to tell and says goodbye.
//! 4. *Connections*: relays have drained the sessions that are theirs to keep for a while.

mod descriptors;
mod desk;
mod gateway;
mod heritage;
mod reload;
mod reporting;
mod shared;
mod sources;
mod watches;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::backoff::Backoff;
use mooring_core::id::BootId;
use mooring_runtime::config::{ConfigError, Loaded};
use mooring_runtime::health::Readiness;
use mooring_runtime::lifecycle::{Handle, Kind, Stage};
use mooring_wire::LagMeter;
use tokio::sync::{broadcast, mpsc, watch};
use uuid::Uuid;

use crate::clock::now;
use crate::config::{AgentConfig, Identity, host_name};
use crate::inbox::Inbox;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::outbox::Outgoing;
use crate::sessions::Directory;
use crate::track::Lateness;
use crate::uplink::{Uplink, UplinkState, default_retry};
use desk::Desk;
use heritage::Heritage;
use shared::Shared;
use watches::Watches;

/// Instances that wait to be watched.
const ADOPTIONS: usize = 256;
/// Receipts on their way to the outbox.
const RECEIPTS: usize = 64;
/// Lags that a watch may not have heard of yet; older ones are overtaken by newer ones.
const LAGS: usize = 8;

/// How long the agent before this one may take to let go of the record of orders: its orders under way are waited for.
const LEAVING: Duration = Duration::from_secs(60);

/// How long an agent's tasks have to end, unless the embedder gives them another time: the longest grace of a supervised
/// gateway is added by [`grace`].
pub const GRACE: Duration = Duration::from_secs(20);

/// Reads the settings again, as they were read at the start.
pub type Reread = Arc<dyn Fn() -> Result<Loaded<AgentConfig>, ConfigError> + Send + Sync>;

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It does not know who it is.
    #[error("{0}")]
    Identity(String),
    /// Another agent works with the same data folder.
    #[error("cannot open the record of orders")]
    Ledger(#[from] LedgerError),
    /// A gateway's settings cannot be put to use.
    #[error("{0}")]
    Gateway(String),
    /// Gateways cannot report.
    #[error("cannot open the report API")]
    Report(#[from] mooring_report::StartError),
    /// The agent before this one does not hand over.
    #[error("{0}")]
    Takeover(String),
}

/// Everything an agent is started with.
pub struct Options {
    /// The settings in force at the start.
    pub config: AgentConfig,
    /// How they are read again on a reload (SIGHUP); `None`: they are not.
    pub reread: Option<Reread>,
    /// The law of delays between tries to attach.
    pub retry: Backoff,
    /// Where the agent says whether it is attached; `None`: nowhere.
    pub readiness: Option<Readiness>,
    /// An agent that works with the same data folder is asked to leave, and its listeners are taken over.
    pub takeover: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config)
            .field("reread", &self.reread.is_some())
            .finish_non_exhaustive()
    }
}

impl Options {
    /// With these settings, and nothing else out of the ordinary.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        Self { config, reread: None, retry: default_retry(), readiness: None, takeover: false }
    }
}

/// An agent that was started. Dropping this ends nothing: the supervisor does.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Who it is.
    pub identity: Identity,
    /// This life of it.
    pub boot: BootId,
    /// Whether it is attached, and each change of that.
    pub uplink: watch::Receiver<UplinkState>,
    /// What it has yet to tell.
    pub outgoing: Outgoing,
    /// Counts the reloads that were dealt with, refused ones too.
    pub reloads: watch::Receiver<u64>,
}

/// The time to give a supervisor whose agent runs these gateways.
#[must_use]
pub fn grace(config: &AgentConfig) -> Duration {
    let longest = config.gateways.iter().filter_map(|g| g.restart.as_ref()?.longest()).max();
    let drain = config.gateways.iter().filter_map(|g| Some(g.relay.as_ref()?.drain.get())).max();
    GRACE + longest.unwrap_or_default() + drain.unwrap_or_default()
}

/// Starts an agent: gives its tasks to the supervisor behind `handle`.
///
/// # Errors
/// When it has no id, its data folder is in use, or a gateway cannot be watched. Nothing that needs the network can fail
/// here: a controller or gateway that is away is waited for.
pub async fn start(options: Options, handle: &Handle) -> Result<Agent, StartError> {
    mooring_runtime::tls::install_provider();
    let Options { config, reread, retry, readiness, takeover } = options;
    let identity = config.identity(&host_name()).map_err(StartError::Identity)?;
    descriptors::prepare(&config);
    let boot = BootId(Uuid::now_v7());
    let data_dir: Arc<Path> = config.agent.data_dir.as_path().into();
    let ledger = open_ledger(Arc::clone(&data_dir), takeover).await?;
    let heritage = Heritage::new(Arc::clone(&data_dir));
    heritage.leave_when_asked(handle);
    let (outgoing, metrics, lateness) = (Outgoing::new(), Metrics::new(), Lateness::default());
    let (lag, _) = broadcast::channel(LAGS);

    let directory = Directory::default();
    let (adopt, adoptions) = mpsc::channel(ADOPTIONS);
    let reporting = reporting::open(&config, &data_dir, handle, adopt.clone())?;
    let shared = Shared {
        handle: handle.clone(),
        outgoing: outgoing.clone(),
        metrics: metrics.clone(),
        lag: lag.clone(),
        data_dir,
        directory: directory.clone(),
        reporting,
        adopt,
        heritage: heritage.clone(),
    };
    let watches =
        Watches::begin(identity.agent.clone(), shared, config.clone()).await.map_err(StartError::Gateway)?;
    let catalogue = watches.catalogue();

    let (receipts_in, receipts) = mpsc::channel(RECEIPTS);
    let (inbox_handle, inbox) = Inbox::new(ledger, catalogue, receipts_in);
    let desk = Desk::new(inbox_handle);
    handle.spawn(Stage::Work, Kind::Critical, "inbox", move |tokens| inbox.run(tokens.soft, tokens.hard));
    let (pump, outgoing_too) = (desk.clone(), outgoing.clone());
    handle.spawn(Stage::Work, Kind::Finite, "receipts", move |tokens| {
        pump.pump(receipts, outgoing_too, tokens.hard)
    });
    let (lateness_too, metrics_too) = (lateness.clone(), metrics.clone());
    handle.spawn(Stage::Intake, Kind::Critical, "lag meter", move |tokens| async move {
        tokens.soft.run_until_cancelled(measure_lag(lag, lateness_too, metrics_too)).await;
    });

    let uplink = Uplink {
        controller: config.controller.clone(),
        identity: identity.clone(),
        boot,
        outgoing: outgoing.clone(),
        desk: Arc::new(desk),
        sessions: Arc::new(directory),
        lateness,
        metrics: metrics.clone(),
        retry,
        refuse_orders: handle.draining(),
        handed_on: heritage.handed_on(),
    };
    let (task, state) = uplink.prepare();
    handle.spawn(Stage::Storage, Kind::Critical, "uplink", move |tokens| task.run(tokens));
    if let Some(readiness) = readiness {
        let flag = readiness.flag("controller");
        let state = state.clone();
        handle.spawn(Stage::Storage, Kind::Background, "readiness", move |tokens| async move {
            tokens.soft.run_until_cancelled(show(state, flag)).await;
        });
    }
    let (reloaded, reloads) = watch::channel(0);
    let reloading = reload::Reloading { watches, reread, metrics, adoptions, done: reloaded };
    handle.spawn(Stage::Intake, Kind::Critical, "reload", move |tokens| reloading.run(tokens));

    tracing::info!(agent = %identity.agent, node = identity.node, gateways = config.gateways.len(), "the agent watches");
    Ok(Agent { identity, boot, uplink: state, outgoing, reloads })
}

/// Opens the record of orders; with `takeover`, an agent that has it is asked to leave, and waited for.
async fn open_ledger(data_dir: Arc<Path>, takeover: bool) -> Result<Ledger, StartError> {
    let left = takeover && heritage::ask_to_leave(&data_dir).await.map_err(StartError::Takeover)?;
    let until = tokio::time::Instant::now() + LEAVING;
    loop {
        let (folder, at) = (Arc::clone(&data_dir), now().wall);
        let opened = tokio::task::spawn_blocking(move || Ledger::open(&folder, at)).await;
        let path = data_dir.join("orders.log");
        let opened =
            opened.unwrap_or_else(|error| Err(LedgerError::Degraded { path, reason: error.to_string() }));
        match opened {
            // A lock has no way to be waited for without a thread of its own.
            Err(LedgerError::Locked { .. }) if left && tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// One meter for the process; every watch hears of it.
async fn measure_lag(to: broadcast::Sender<Duration>, lateness: Lateness, metrics: Metrics) {
    let mut meter = LagMeter::default();
    loop {
        let lag = meter.next_lag().await;
        tracing::warn!(?lag, "the agent itself was held up; what it did not hear meanwhile proves nothing");
        lateness.note(lag);
        metrics.lag(lag);
        // No watch, nobody to tell.
        let _ = to.send(lag);
    }
}

async fn show(mut state: watch::Receiver<UplinkState>, flag: mooring_runtime::health::Flag) {
    loop {
        match &*state.borrow_and_update() {
            UplinkState::Attached { .. } => flag.ready(),
            // Why, the log says and the state holds. Here it would make each new reason a change of readiness.
            UplinkState::Disconnected { .. } => flag.not_ready("not attached to a controller"),
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}
