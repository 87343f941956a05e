//! Begins the watchers of a gateway's real sessions: the relay and the kernel's view. (Reports come in elsewhere, for all
//! gateways at once.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::observation::Observation;
use mooring_core::session::Source;
use mooring_gateways::Desk;
use mooring_relay::{CloseOrder, Queue, Relay, RelayHandle, handover};
use mooring_runtime::lifecycle::{Kind, Stage, Tokens, error_chain};
use mooring_runtime::reload::{POLL, Reload, watch as watch_files};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::heritage::Heritage;
use super::shared::Shared;
use crate::config::{GatewayConfig, RelaySection, SourceDiff};
use crate::executor::{ProcessStatus, tell};
use crate::sessions::adapter::{AdapterSource, Listening as Hearing};
use crate::sessions::kernel::KernelSource;
use crate::sessions::relay::{EVENTS, Listening, RelaySource};
use crate::sessions::tap::{Hookup, Outside, Tap};
use crate::sessions::{SessionSource, Sources};

/// Whoever takes the listeners over has so long to do it, once it said that it would.
const HEIR: Duration = Duration::from_secs(60);

/// The watchers of one gateway's real sessions that are in use.
#[derive(Debug, Default)]
pub(super) struct Watching(BTreeMap<Source, Active>);

#[derive(Debug)]
struct Active {
    source: Arc<dyn SessionSource>,
    end: CancellationToken,
}

impl Watching {
    /// All of them.
    pub(super) fn sources(&self) -> Arc<Sources> {
        Arc::new(Sources::new(self.0.values().map(|active| Arc::clone(&active.source)).collect()))
    }

    /// Begins anew, or ends, what changed. When one cannot be begun, what there was before stays.
    pub(super) async fn change(
        &mut self,
        which: SourceDiff,
        shared: &Shared,
        config: &GatewayConfig,
        process: Option<&watch::Receiver<ProcessStatus>>,
        hookup: &Hookup,
    ) -> Result<(), String> {
        let mut begun = Vec::new();
        for way in which.ways() {
            let end = CancellationToken::new();
            let source = match way {
                _ if !config.watched_by(way) => Ok(None),
                Source::Canary => Ok(None),
                Source::Adapter => adapter(shared, config, hookup.clone(), &end).await.map(Some),
                Source::Relay => relay(shared, config, hookup.clone(), &end).await.map(Some),
                Source::Kernel => kernel(shared, config, process.cloned(), hookup.clone(), &end).map(Some),
                Source::Report => match &shared.reporting {
                    Some(reporting) => Ok(Some(reporting.enter(config, hookup.clone()))),
                    None => Err("the report API is not open; restart the agent".to_owned()),
                },
            };
            match source {
                Ok(source) => begun.push((way, source.map(|source| Active { source, end }))),
                Err(why) => {
                    begun.iter().filter_map(|(_, active)| active.as_ref()).for_each(|a| a.end.cancel());
                    return Err(format!("gateway `{}`: {way}: {why}", config.id));
                }
            }
        }
        for (way, active) in begun {
            let gone = active.is_none();
            let before = match active {
                Some(active) => self.0.insert(way, active),
                None => self.0.remove(&way),
            };
            let Some(before) = before else { continue };
            before.end.cancel();
            if gone
                && way == Source::Report
                && let Some(reporting) = &shared.reporting
            {
                reporting.leave(&config.id);
            }
            // What a gateway reported goes on to hold; what was seen by the others is seen anew.
            if gone || way != Source::Report {
                tell(&hookup.sightings, None, Observation::Withdrawn(way)).await;
            }
        }
        Ok(())
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        for active in std::mem::take(&mut self.0).into_values() {
            active.end.cancel();
        }
    }
}

/// Starts the relay of a gateway. Listeners of a relay that was there before, in this process or in the agent before this
/// one, are taken over; that one then drains.
async fn relay(
    shared: &Shared,
    config: &GatewayConfig,
    hookup: Hookup,
    end: &CancellationToken,
) -> Result<Arc<dyn SessionSource>, String> {
    let section = config.relay.clone().unwrap_or_default();
    let (settings, gateway) = (section.clone(), config.clone());
    let setup = tokio::task::spawn_blocking(move || settings.setup(&gateway))
        .await
        .map_err(|_| "reading its settings panicked".to_owned())??;
    let (queue, events) = Queue::new(EVENTS);
    let (taken, confirm) = shared.heritage.take(&config.id).await;
    let relay = Relay::start(setup.config, taken, Arc::clone(&queue) as _).map_err(|e| error_chain(&e))?;
    if let Some(confirm) = confirm
        && let Err(error) = confirm.ready().await
    {
        tracing::warn!(gateway = %config.id, error = error_chain(&error), "the relay before this one may still accept too");
    }
    let offer = shared.heritage.offer(&config.id).await;
    let name = |what: &str| format!("{what} of {}", config.id);
    let task = Serving {
        relay: relay.clone(),
        offer,
        section: section.clone(),
        heritage: shared.heritage.clone(),
        end: end.clone(),
        draining: shared.handle.draining(),
    };
    shared.handle.spawn(Stage::Connections, Kind::Finite, name("relay"), move |tokens| task.run(tokens));
    let instances = config.instances();
    let only = match instances.as_slice() {
        [only] => Some(only.id.clone()),
        _ => None,
    };
    let listening = Listening { relay: relay.clone(), events, queue, only };
    // Where instances are told apart by their path, a session on another path is nobody's.
    let apart = instances.len() > 1 && instances.iter().any(|i| i.path.is_some());
    let tap = Tap::new(Source::Relay, hookup.clone()).apart(apart);
    let (outside, stop) = (Outside::of(&hookup), end.clone());
    shared.handle.spawn(Stage::Work, Kind::Finite, name("relayed sessions"), move |tokens| async move {
        tokens.soft.run_until_cancelled(listening.run(tap, outside, stop)).await;
    });
    if let Some(tls) = setup.tls {
        let stop = end.clone();
        shared.handle.spawn(Stage::Intake, Kind::Finite, name("certificate"), move |tokens| async move {
            stop.run_until_cancelled(watch_files(vec![tls as Arc<dyn Reload>], POLL, tokens)).await;
        });
    }
    for listen in &section.listen {
        tracing::info!(gateway = %config.id, listen, "a relay takes connections");
    }
    Ok(Arc::new(RelaySource::new(relay, section)))
}

/// Holds a relay to its end.
struct Serving {
    relay: RelayHandle,
    offer: Option<handover::Offer>,
    section: RelaySection,
    heritage: Heritage,
    end: CancellationToken,
    draining: CancellationToken,
}

impl Serving {
    async fn run(self, tokens: Tokens) {
        let heir = self.heritage.handed_on();
        let handed = tokio::select! {
            () = self.handed_over() => true,
            () = self.end.cancelled() => false,
            () = self.draining.cancelled() => {
                // Connections go on to come in here until the agent after this one has the listeners.
                heir.is_cancelled() && tokio::time::timeout(HEIR, self.handed_over()).await.is_ok()
            }
        };
        let order = CloseOrder {
            // Clients come back: to the relay after this one, or when the agent is back.
            code: if handed { self.section.close_code } else { 1001 },
            reason: self.section.close_reason.clone(),
            window: self.section.drain.get(),
            seed: rand::random(),
            ..CloseOrder::default()
        };
        tokio::select! {
            closed = self.relay.shutdown(&order) => {
                tracing::info!(?closed, handed, "a relay has ended");
            }
            () = tokens.hard.cancelled() => tracing::warn!("a relay was ended with sessions open"),
        }
    }

    /// Completes when another relay accepts on these listeners.
    async fn handed_over(&self) {
        let Some(offer) = &self.offer else { return std::future::pending().await };
        loop {
            match offer.serve(&self.relay).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(
                        error = error_chain(&error),
                        "listeners were asked for and not handed over"
                    );
                    // Whoever asks wrongly may ask again at once.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

/// Begins the adapter of a gateway's kind.
async fn adapter(
    shared: &Shared,
    config: &GatewayConfig,
    hookup: Hookup,
    end: &CancellationToken,
) -> Result<Arc<dyn SessionSource>, String> {
    let settings = config.adapter().ok_or_else(|| format!("`[gateway.{}]` is missing", config.kind))?;
    // It reads keys and certificates.
    let made = tokio::task::spawn_blocking(move || settings.make()).await;
    let adapter = made.map_err(|_| "reading its settings panicked".to_owned())??;
    let (desk, words, asks) = Desk::new();
    let name = |what: &str| format!("{what} of {}", config.id);
    let stop = end.clone();
    shared.handle.spawn(Stage::Intake, Kind::Finite, name("adapter"), move |tokens| async move {
        // One token for both ends of it: its own, and the agent's.
        let both = tokens.soft.child_token();
        let mut running = adapter.run(desk, both.clone());
        tokio::select! {
            () = &mut running => {}
            () = stop.cancelled() => {
                both.cancel();
                running.await;
            }
        }
    });
    let known = config.instances.iter().map(|i| i.id.clone()).collect();
    let listening = Hearing { gateway: config.id.clone(), words, adopt: shared.adopt.clone(), known };
    let (tap, stop) = (Tap::new(Source::Adapter, hookup), end.clone());
    shared.handle.spawn(Stage::Work, Kind::Finite, name("adapter's words"), move |tokens| async move {
        tokens.soft.run_until_cancelled(listening.run(tap, stop)).await;
    });
    Ok(Arc::new(AdapterSource::new(asks)))
}

/// Begins to read a gateway's connections from the kernel.
fn kernel(
    shared: &Shared,
    config: &GatewayConfig,
    process: Option<watch::Receiver<ProcessStatus>>,
    hookup: Hookup,
    end: &CancellationToken,
) -> Result<Arc<dyn SessionSource>, String> {
    let source = KernelSource::new(config, process)?;
    let (reading, stop) = (source.clone(), end.clone());
    let (tap, outside) = (Tap::new(Source::Kernel, hookup.clone()), Outside::of(&hookup));
    let name = format!("connections of {}", config.id);
    shared.handle.spawn(Stage::Intake, Kind::Finite, name, move |tokens| async move {
        tokens.soft.run_until_cancelled(Box::pin(reading.run(tap, outside, stop))).await;
    });
    Ok(Arc::new(source))
}
