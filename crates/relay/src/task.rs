//! The task of one connection: handshake, relaying, letting go.
//!
//! The three phases are far apart in size: a handshake holds heads, buffers and timers, a session lives for months in a few
//! hundred bytes. So the first and the last are boxed, and only the middle one lies in the task itself.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::pump::{LingerFuture, Opening, Pump};
use crate::shared::Shared;

/// A handshake: ends in a session, or in nothing.
pub(crate) type Handshake = Pin<Box<dyn Future<Output = Option<Box<Opening>>> + Send>>;

/// One connection.
pub(crate) struct Task(Phase);

#[expect(clippy::large_enum_variant, reason = "the large one is the one that lasts")]
enum Phase {
    Handshake(Handshake, Arc<Shared>),
    Relaying(Pump),
    LettingGo(Pin<Box<LingerFuture>>),
    Done,
}

impl Task {
    pub(crate) fn new(shared: Arc<Shared>, handshake: Handshake) -> Self {
        Self(Phase::Handshake(handshake, shared))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let phase = &mut self.get_mut().0;
        loop {
            *phase = match phase {
                Phase::Handshake(handshake, shared) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| {
                        handshake.as_mut().poll(cx).map(|opening| opening.map(|o| Pump::new(*o)))
                    }));
                    match polled {
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(Some(pump))) => Phase::Relaying(pump),
                        Ok(Poll::Ready(None)) => Phase::Done,
                        Err(_) => {
                            shared.tell_of_panic();
                            Phase::Done
                        }
                    }
                }
                Phase::Relaying(pump) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| pump.poll(cx)));
                    if let Ok(Poll::Pending) = polled {
                        return Poll::Pending;
                    }
                    let Phase::Relaying(pump) = std::mem::replace(phase, Phase::Done) else { continue };
                    let shared = pump.shared();
                    let ended = catch_unwind(AssertUnwindSafe(|| match polled {
                        Ok(Poll::Ready(ended)) => Some(pump.finish(ended)),
                        _ => {
                            pump.give_up();
                            None
                        }
                    }));
                    match ended {
                        Ok(Some(Some(letting_go))) => Phase::LettingGo(letting_go),
                        Ok(Some(None)) => Phase::Done,
                        Ok(None) | Err(_) => {
                            shared.tell_of_panic();
                            Phase::Done
                        }
                    }
                }
                Phase::LettingGo(letting_go) => {
                    ready!(letting_go.as_mut().poll(cx));
                    Phase::Done
                }
                Phase::Done => return Poll::Ready(()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_as_small_as_the_session() {
        assert!(size_of::<Task>() <= size_of::<Pump>() + 8, "{}", size_of::<Task>());
    }
}
