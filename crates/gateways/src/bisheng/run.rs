//! The loop: looks, claims, and answers to orders. Nothing is decided here.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{InstanceId, NameError};
use mooring_core::time::Mono;
use mooring_runtime::tls::TlsError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::orders::refusal;
use super::probe::Probe;
use super::settings::Settings;
use super::state::{Look, State};
use crate::adapter::{Adapter, Ask, Desk, Said, Word};

/// The only instance: the gateway itself. Its chats are its users', and come and go with them.
pub const INSTANCE: &str = "bisheng";

/// Why an adapter could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The settings are unusable.
    #[error("{0}")]
    Settings(String),
    /// The files for TLS are.
    #[error("TLS for Bisheng: {0}")]
    Tls(#[from] TlsError),
    /// Ours; cannot happen.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The adapter.
#[derive(Debug)]
pub struct Bisheng {
    instance: InstanceId,
    state: State,
    probe: Probe,
}

/// A look that is under way: it gives the probe back.
type Looking = oneshot::Receiver<(Probe, Look, Duration)>;

impl Bisheng {
    /// An adapter for these settings.
    ///
    /// # Errors
    /// When they are unusable; [`Settings::problems`] says it better and earlier.
    pub fn new(settings: Settings) -> Result<Self, MakeError> {
        let problems: Vec<_> = settings.problems("bisheng").iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(MakeError::Settings(problems.join("; ")));
        }
        let instance = InstanceId::new(INSTANCE)?;
        Ok(Self { instance, state: State::new(&settings), probe: Probe::new(settings)? })
    }

    async fn watch(self, mut desk: Desk, stop: CancellationToken) {
        let Self { instance, mut state, probe } = self;
        let began = Instant::now();
        let mono = || Mono(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        let say = |said| desk.words.send(Word { instance: instance.clone(), said });
        if say(Said::Here).await.is_err() {
            return;
        }
        let mut looking = look_after(Duration::ZERO, probe, true, stop.clone());
        let mut asking = true;
        loop {
            tokio::select! {
                ask = desk.asks.recv(), if asking => match ask {
                    Some(ask) => answer(ask),
                    None => asking = false,
                },
                looked = &mut looking => {
                    // Lost only when told to stop, or with the runtime itself.
                    let Ok((probe, look, took)) = looked else { return };
                    let claims = state.step(mono(), &look, took);
                    if !claims.is_empty() && say(Said::Claims(claims)).await.is_err() {
                        return;
                    }
                    let pause = state.pause();
                    let walk = state.wants_walk(mono().after(pause));
                    looking = look_after(pause, probe, walk, stop.clone());
                }
            }
        }
    }
}

impl Adapter for Bisheng {
    fn run(self: Box<Self>, desk: Desk, stop: CancellationToken) -> BoxFuture<'static, ()> {
        // Told to stop, it ends wherever it is: a look that has begun is in a task of its own.
        async move { stop.clone().run_until_cancelled_owned(self.watch(desk, stop)).await.unwrap_or_default() }
            .boxed()
    }
}

/// Looks in a task of its own: a look that has begun goes to its end even when the adapter is told to stop, because
/// giving up half-way would cut handshakes off.
fn look_after(pause: Duration, mut probe: Probe, walk: bool, stop: CancellationToken) -> Looking {
    let (done, looking) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let began = Instant::now();
        let look = Box::pin(probe.look(walk)).await;
        // Nobody waits for it any more when the adapter has ended.
        let _ = done.send((probe, look, began.elapsed()));
    });
    looking
}

fn answer(ask: Ask) {
    tracing::info!(order = %ask.order, instance = %ask.instance, doing = ?ask.doing, "refused for Bisheng");
    // Who asked may have gone.
    let _ = ask.reply.send(Err(refusal(ask.doing).to_owned()));
}
