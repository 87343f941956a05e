//! One gateway as it is being watched: its instances' watches, its process, and the post between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::observation::Observation;
use mooring_core::session::Source;
use mooring_proto::link::GatewayDecl;
use mooring_runtime::lifecycle::{Kind, Stage};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::{Changed, GatewayConfig, InstanceConfig, SourceDiff, WatchConfig};
use crate::executor::{
    How, ReconnectRequest, Sighting, SuperviseConfig, Supervised, SupervisedHandle, Surroundings,
};
use crate::inbox::GatewayHands;
use crate::outbox::Outgoing;
use crate::sessions::Sources;
use crate::sessions::tap::{Disturbance, Hookup};
use crate::track::{Around, MAILBOX, Note, Watch};

use super::shared::Shared;
use super::sources::Watching;

/// Sightings and requests that wait.
const QUEUE: usize = 64;

/// Disturbances that a tap may not have heard of yet.
const DISTURBANCES: usize = 64;

type Mailboxes = Arc<Mutex<HashMap<InstanceId, mpsc::Sender<Note>>>>;

#[derive(Debug)]
struct Instance {
    handle: u32,
    mailbox: mpsc::Sender<Note>,
    remove: CancellationToken,
}

#[derive(Debug)]
struct Process {
    handle: SupervisedHandle,
    remove: CancellationToken,
}

/// A gateway that is watched.
#[derive(Debug)]
pub(super) struct Gateway {
    shared: Shared,
    config: GatewayConfig,
    handle: u32,
    instances: HashMap<InstanceId, Instance>,
    mailboxes: Mailboxes,
    /// Instances that it made known itself.
    registered: Vec<InstanceConfig>,
    process: Option<Process>,
    /// Who watches its real sessions, and what they say when they are asked.
    watching: Watching,
    sources: Arc<Sources>,
    disturbances: broadcast::Sender<Disturbance>,
    sightings: mpsc::Sender<Sighting>,
    reconnects: mpsc::Sender<ReconnectRequest>,
    remove: CancellationToken,
}

impl Gateway {
    /// Declares the gateway and begins to watch it.
    pub(super) async fn begin(shared: Shared, config: GatewayConfig) -> Result<Self, String> {
        let handle = shared.outgoing.declare_gateway(declaration(&config, None));
        let (sightings, sighted) = mpsc::channel(QUEUE);
        let (reconnects, requests) = mpsc::channel(QUEUE);
        let mailboxes: Mailboxes = Arc::default();
        let remove = CancellationToken::new();
        let (disturbances, _) = broadcast::channel(DISTURBANCES);
        let post = Post {
            gateway: handle,
            outgoing: shared.outgoing.clone(),
            mailboxes: Arc::clone(&mailboxes),
            disturbances: disturbances.clone(),
            sighted,
            requests,
        };
        let stop = remove.clone();
        // In the last stage: what executors still say while they end must find somebody who listens.
        shared.handle.spawn(
            Stage::Storage,
            Kind::Finite,
            format!("post of {}", config.id),
            move |tokens| async move {
                tokio::select! {
                    () = tokens.soft.cancelled() => {}
                    () = stop.cancelled() => {}
                    () = post.run() => {}
                }
            },
        );
        let mut gateway = Self {
            shared,
            config,
            handle,
            instances: HashMap::new(),
            mailboxes,
            registered: Vec::new(),
            process: None,
            watching: Watching::default(),
            sources: Arc::default(),
            disturbances,
            sightings,
            reconnects,
            remove,
        };
        for instance in gateway.config.instances() {
            gateway.add(&instance)?;
        }
        gateway.set_process();
        gateway.change_sources(SourceDiff::ALL).await?;
        Ok(gateway)
    }

    /// An instance that the gateway made known itself.
    pub(super) fn register(&mut self, id: InstanceId) -> Result<(), String> {
        if self.instances.contains_key(&id) {
            return Ok(());
        }
        let instance = InstanceConfig { id, path: None, reconnect: None, restart: None };
        self.add(&instance)?;
        self.registered.push(instance);
        Ok(())
    }

    /// One that it made known is not there any more. What stands in the configuration stays.
    pub(super) fn unregister(&mut self, id: &InstanceId) {
        let before = self.registered.len();
        self.registered.retain(|i| i.id != *id);
        if self.registered.len() < before {
            self.drop_instance(id);
        }
    }

    fn hookup(&self) -> Hookup {
        Hookup {
            gateway: self.config.id.clone(),
            handle: self.handle,
            outgoing: self.shared.outgoing.clone(),
            sightings: self.sightings.clone(),
            metrics: self.shared.metrics.clone(),
            disturbances: self.disturbances.clone(),
            lag: self.shared.lag.clone(),
            counted_by: [Source::Relay, Source::Report, Source::Kernel]
                .into_iter()
                .find(|way| self.config.watched_by(*way))
                .unwrap_or(Source::Kernel),
        }
    }

    /// Begins to watch real sessions, as configured, and lets go of what watched them before.
    async fn change_sources(&mut self, which: SourceDiff) -> Result<(), String> {
        let process = self.process.as_ref().map(|p| p.handle.status());
        let hookup = self.hookup();
        self.watching.change(which, &self.shared, &self.config, process.as_ref(), &hookup).await?;
        self.sources = self.watching.sources();
        self.shared.directory.put(self.config.id.clone(), Arc::clone(&self.sources));
        Ok(())
    }

    /// Applies what a reload changed of it; all of it or, where that cannot be done, nothing.
    pub(super) async fn change(&mut self, config: GatewayConfig, changed: &Changed) -> Result<(), String> {
        let before = std::mem::replace(&mut self.config, config);
        // Whose connections the kernel is to show may depend on who runs the process; one that is no longer run is let go
        // of last.
        let runs = supervised(&self.config).is_some();
        if changed.process && runs {
            self.change_process().await;
        }
        if let Err(why) = self.change_sources(changed.sources).await {
            self.config = before;
            if changed.process && runs {
                self.change_process().await;
            }
            return Err(why);
        }
        if changed.process && !runs {
            self.change_process().await;
        }
        if changed.declaration {
            let incarnation = self.process.as_ref().and_then(|p| p.handle.status().borrow().incarnation);
            self.shared.outgoing.declare_gateway(declaration(&self.config, incarnation));
        }
        let instances = &changed.instances;
        // One that made itself known and is in the file now is as the file says.
        self.registered.retain(|i| !instances.added.contains(&i.id) && !instances.removed.contains(&i.id));
        for id in &instances.removed {
            self.drop_instance(id);
        }
        for instance in self.config.instances() {
            if instances.added.contains(&instance.id) {
                self.add(&instance)?;
            } else if instances.changed.contains(&instance.id)
                && let Some(known) = self.instances.get(&instance.id)
            {
                let note = Note::Reconfigure(Box::new(self.config.watch(&instance)));
                if known.mailbox.send(note).await.is_err() {
                    return Err(format!("the watch on {} is gone", instance.id));
                }
            }
        }
        Ok(())
    }

    async fn change_process(&mut self) {
        match (supervised(&self.config), &self.process) {
            (Some(config), Some(process)) => process.handle.configure(config.clone()).await,
            _ => self.set_process(),
        }
    }

    /// Lets it go: watches end, a supervised process is stopped.
    pub(super) fn end(mut self) {
        let instances: Vec<InstanceId> = self.instances.keys().cloned().collect();
        for id in instances {
            self.drop_instance(&id);
        }
        if let Some(process) = self.process.take() {
            process.remove.cancel();
        }
        self.watching.end();
        if let Some(reporting) = &self.shared.reporting {
            reporting.leave(&self.config.id);
        }
        self.shared.directory.remove(&self.config.id);
        self.shared.outgoing.gateway_gone(self.handle);
        self.remove.cancel();
    }

    /// What can be done to it now.
    pub(super) fn hands(&self) -> Result<GatewayHands, String> {
        let process = self.process.as_ref().map(|p| p.handle.clone());
        let around = Surroundings {
            instance: None,
            watcher: Some(self.reconnects.clone()),
            process,
            sessions: Arc::clone(&self.sources),
            reporting: self
                .shared
                .reporting
                .as_ref()
                .filter(|_| self.config.watched_by(Source::Report))
                .map(|reporting| (self.config.id.clone(), reporting.orders())),
        };
        GatewayHands::build(&self.config, &self.registered, &around, self.sightings.clone())
    }

    fn add(&mut self, instance: &InstanceConfig) -> Result<(), String> {
        let id = instance.id.clone();
        if let Some(known) = self.instances.remove(&id) {
            known.remove.cancel();
        }
        let Some(handle) = self.shared.outgoing.declare_instance(self.handle, id.clone()) else {
            return Err(format!("gateway {} is gone", self.config.id));
        };
        let (mailbox, notes) = mpsc::channel(MAILBOX);
        let around = Around {
            handle,
            name: format!("{}/{id}", self.config.id),
            outgoing: self.shared.outgoing.clone(),
            metrics: self.shared.metrics.clone(),
            mailbox: notes,
            lag: self.shared.lag.subscribe(),
        };
        let config: WatchConfig = self.config.watch(instance);
        let name = format!("watch on {}", around.name);
        let watch = Watch::new(config, around).map_err(|why| format!("{name}: {why}"))?;
        let remove = CancellationToken::new();
        let removed = remove.clone();
        // A watch that panics would leave its instance as it last was, for ever: the process ends with it instead.
        self.shared.handle.spawn(Stage::Intake, Kind::Finite, name, move |tokens| async move {
            let stop = tokens.soft.child_token();
            let watching = watch.run(stop.clone());
            let mut watching = Box::pin(watching);
            tokio::select! {
                () = &mut watching => {}
                () = removed.cancelled() => {
                    stop.cancel();
                    watching.await;
                }
            }
        });
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), mailbox.clone());
        self.instances.insert(id, Instance { handle, mailbox, remove });
        Ok(())
    }

    fn drop_instance(&mut self, id: &InstanceId) {
        if let Some(instance) = self.instances.remove(id) {
            instance.remove.cancel();
            self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            self.shared.outgoing.instance_gone(instance.handle);
        }
    }

    /// Begins or ends running its process, as configured.
    fn set_process(&mut self) {
        if let Some(process) = self.process.take() {
            process.remove.cancel();
            self.shared.outgoing.gateway_changed(self.handle, None);
        }
        let Some(config) = supervised(&self.config).cloned() else { return };
        let id: GatewayId = self.config.id.clone();
        let (handle, task) =
            Supervised::new(id.clone(), config, &self.shared.data_dir, self.sightings.clone());
        let remove = CancellationToken::new();
        let removed = remove.clone();
        let heir = self.shared.heritage.handed_on();
        self.shared.handle.spawn(
            Stage::Work,
            Kind::Finite,
            format!("process of {id}"),
            move |tokens| async move {
                let stop = tokens.soft.child_token();
                let mut running = Box::pin(task.run(stop.clone()));
                tokio::select! {
                    () = &mut running => return,
                    () = removed.cancelled() => stop.cancel(),
                    () = tokens.hard.cancelled() => return,
                    // The next agent adopts it, and it does not notice.
                    () = heir.cancelled() => return,
                }
                tokio::select! {
                    () = running => {}
                    // It lives on, and the next agent adopts it.
                    () = tokens.hard.cancelled() => {}
                }
            },
        );
        self.process = Some(Process { handle, remove });
    }
}

fn supervised(config: &GatewayConfig) -> Option<&SuperviseConfig> {
    match &config.restart {
        Some(How::Supervise(config)) => Some(config),
        _ => None,
    }
}

/// What the controller is told of it.
fn declaration(config: &GatewayConfig, incarnation: Option<mooring_core::id::Incarnation>) -> GatewayDecl {
    GatewayDecl {
        handle: 0,
        id: config.id.clone(),
        kind: Some(config.kind),
        // Query strings carry tokens often enough: shown as the dialler shows it.
        address: config.url.parse().map_or_else(|_| String::new(), |url: mooring_wire::Url| url.to_string()),
        group: config.group.clone(),
        labels: config.labels.clone(),
        abilities: config.abilities(),
        incarnation,
        watch: config.ways(),
    }
}

/// Carries what executors say to the watches they say it of.
struct Post {
    gateway: u32,
    outgoing: Outgoing,
    mailboxes: Mailboxes,
    disturbances: broadcast::Sender<Disturbance>,
    sighted: mpsc::Receiver<Sighting>,
    requests: mpsc::Receiver<ReconnectRequest>,
}

impl Post {
    async fn run(mut self) {
        loop {
            tokio::select! {
                // What was seen before what is asked: a disturbance is announced before it happens.
                biased;
                Some(sighting) = self.sighted.recv() => self.sighting(sighting).await,
                Some(request) = self.requests.recv() => self.reconnect(request).await,
                else => return,
            }
        }
    }

    async fn sighting(&self, sighting: Sighting) {
        if let Observation::ProcessStarted { incarnation, .. } = &sighting.observation {
            self.outgoing.gateway_changed(self.gateway, Some(*incarnation));
        }
        // Who listens to real sessions learns of it too; where nobody does, nobody is told.
        match &sighting.observation {
            Observation::DisturbanceBegan => {
                let _ = self.disturbances.send((sighting.instance.clone(), true));
            }
            Observation::DisturbanceEnded => {
                let _ = self.disturbances.send((sighting.instance.clone(), false));
            }
            _ => {}
        }
        let to: Vec<mpsc::Sender<Note>> = {
            let mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
            match &sighting.instance {
                Some(instance) => mailboxes.get(instance).cloned().into_iter().collect(),
                None => mailboxes.values().cloned().collect(),
            }
        };
        for mailbox in to {
            // A watch that has ended has nothing more to learn.
            let _ = mailbox.send(Note::Observed(sighting.observation.clone())).await;
        }
    }

    async fn reconnect(&self, request: ReconnectRequest) {
        let mailbox =
            self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).get(&request.instance).cloned();
        let Some(mailbox) = mailbox else {
            let _ = request.begun.send(Err(format!("`{}` is not watched any more", request.instance)));
            return;
        };
        // If the watch has ended, the request is dropped, and whoever asked learns it by that.
        let _ = mailbox.send(Note::Reconnect { delay: request.delay, begun: request.begun }).await;
    }
}
