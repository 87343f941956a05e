//! An agent in this process, with a supervisor and a data folder of its own.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mooring_agent::app::{self, Agent, Options};
use mooring_agent::config::{AgentConfig, ENV_PREFIX, GatewayConfig, PromiseConfig};
use mooring_agent::uplink::UplinkState;
use mooring_core::backoff::Backoff;
use mooring_core::id::{AgentId, Fence, GatewayId, OrderId};
use mooring_core::order::Action;
use mooring_proto::link::OrderMessage;
use mooring_runtime::config::HumanDuration;
use mooring_runtime::lifecycle::{ExitReport, Signal, Supervisor};
use mooring_runtime::process::ConfigArgs;
use mooring_sample_gateway::{Gateway, Options as GatewayOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use uuid::Uuid;

use crate::controller::Controller;

/// Far more than anything here takes; only a failure waits for it.
pub const BOUND: Duration = Duration::from_secs(30);

/// Awaits what must happen.
pub async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BOUND, it).await {
        Ok(value) => value,
        Err(_) => panic!("waited {BOUND:?} in vain for: {what}"),
    }
}

/// A gateway that is quiet unless asked.
pub async fn gateway() -> Gateway {
    let options = GatewayOptions { tick: Duration::ZERO, ..GatewayOptions::default() };
    Gateway::start(options).await.expect("a free port")
}

/// The watch on it: pinged often, and known to answer at once.
pub fn watched(id: &str, gateway: &Gateway) -> GatewayConfig {
    let mut config =
        GatewayConfig::new(GatewayId::new(id).expect("set up"), format!("ws://{}/ws", gateway.local_addr()));
    config.heartbeat.ping_interval = HumanDuration::from_millis(200);
    config.heartbeat.promise = Some(PromiseConfig {
        interval: HumanDuration::from_millis(200),
        timeout: HumanDuration::from_millis(1_500),
    });
    config
}

/// An agent's folder, and the settings that go with it.
pub struct Home {
    pub folder: tempfile::TempDir,
    pub config: AgentConfig,
}

impl Home {
    pub fn new(controller: &Controller, gateways: Vec<GatewayConfig>) -> Self {
        let folder = tempfile::tempdir().expect("set up");
        let mut config = AgentConfig { gateways, ..AgentConfig::default() };
        config.agent.id = Some(AgentId::new("a1").expect("set up"));
        config.agent.data_dir = folder.path().join("data");
        config.controller.addresses = vec![controller.url()];
        Self { folder, config }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Writes the settings where a reload finds them.
    pub fn write(&self) {
        std::fs::write(self.file(), mooring_runtime::config::effective(&self.config)).expect("set up");
    }

    pub async fn start(&self) -> Running {
        let supervisor = Supervisor::new(Duration::from_secs(20));
        let args = ConfigArgs { config: Some(self.file()), set: Vec::new() };
        let options = Options {
            reread: Some(Arc::new(move || args.load(ENV_PREFIX))),
            retry: Backoff::new(Duration::from_millis(20), Duration::from_millis(200)).expect("set up"),
            ..Options::new(self.config.clone())
        };
        let agent = app::start(options, &supervisor.handle()).await.expect("set up");
        let (signals, receiver) = mpsc::unbounded_channel();
        let report = tokio::spawn(supervisor.run_with(UnboundedReceiverStream::new(receiver)));
        Running { agent, signals, report }
    }
}

/// A running agent.
pub struct Running {
    pub agent: Agent,
    pub signals: mpsc::UnboundedSender<Signal>,
    report: JoinHandle<ExitReport>,
}

impl Running {
    /// Ends it in order.
    pub async fn stop(self) -> ExitReport {
        self.signals.send(Signal::Terminate).expect("it runs");
        soon("the agent's end", self.report).await.expect("no panic")
    }

    pub async fn reload(&mut self) {
        self.agent.reloads.borrow_and_update();
        self.signals.send(Signal::Reload).expect("it runs");
        soon("a reload", self.agent.reloads.changed()).await.expect("it runs");
    }

    pub async fn until_link(&mut self, what: &str, fits: impl FnMut(&UplinkState) -> bool) {
        soon(what, self.agent.uplink.wait_for(fits)).await.expect("it runs");
    }
}

/// Asks until the answer fits.
pub async fn eventually(what: &str, mut fits: impl FnMut() -> bool) {
    soon(what, async {
        while !fits() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// An order for `target` of agent a1.
pub fn order(target: &str, action: Action, fence: u64) -> OrderMessage {
    OrderMessage {
        id: OrderId(Uuid::now_v7()),
        target: format!("agents/a1/{target}").parse().expect("set up"),
        action,
        fence: Fence(fence),
        incarnation: None,
        valid_for: Duration::from_secs(60),
        delay: Duration::ZERO,
        time_limit: Duration::from_secs(20),
        spread: None,
        reason: "a test".to_owned(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    }
}
