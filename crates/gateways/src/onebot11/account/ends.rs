//! How connections end and how dials do, and what is made of it.

use mooring_core::cause::{Cause, Handling};
use mooring_core::classify::cause_of_close;
use mooring_core::condition::Evidence;
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Close;
use mooring_core::time::Now;
use tokio_tungstenite::WebSocketStream;

use super::{Account, HALF_OPEN, Side};
use crate::onebot11::health::{End, Role};
use crate::onebot11::refusal::{Refusal, of_close};
use crate::onebot11::socket::{Ended, Stream};
use crate::onebot11::state::Framework;
use crate::onebot11::wire::short;

impl Account {
    pub(super) fn ended(&mut self, at: Now, role: Role, side: Side, ended: Ended) {
        let Some(line) = self.lines.get_mut(&role) else { return };
        match side {
            Side::Implementation => {
                let Some(wire) = line.implementation.take() else { return };
                let (close, before) = wire.close(at.mono, ended, &mut line.arrivals);
                let verdict = cause_of_close(&close, &before);
                let message = format!(
                    "the implementation's connection ended and it has not dialled in again: {}",
                    verdict.message
                );
                let cause = if half_open(&close) { Cause::HalfOpen } else { Cause::PeerAbsent };
                tracing::info!(account = %self.id, role = role.name(), why = %verdict.message, "the OneBot implementation is gone");
                let evidence = evidence(&close);
                self.health.left(role, End::Away { since: at.mono, cause, message, evidence });
                self.question = None;
                let effects = line.link.left(at.mono);
                self.record(wire.record(
                    at,
                    &self.id,
                    "implementation",
                    &close,
                    (Some(verdict.cause), verdict.message),
                ));
                self.perform(role, effects);
            }
            Side::Framework => {
                let Some(wire) = line.framework.take() else { return };
                let (close, before) = wire.close(at.mono, ended, &mut line.ends);
                let (cause, message) = match close.error.as_deref().filter(|_| half_open(&close)) {
                    Some(error) => (Cause::HalfOpen, error.to_owned()),
                    None => of_close(&close, &before, &line.admitted.path, wire.spoke),
                };
                let message = clip(&format!("the framework at {}: {message}", self.url), MAX_MESSAGE);
                tracing::info!(account = %self.id, role = role.name(), why = %message, "the OneBot framework is gone");
                line.doubted = cause.handling() == Handling::Human;
                // After its goodbye it does not hold our id any more.
                line.link.lost(at.mono, close.code.is_some(), &mut self.rng);
                let evidence = evidence(&close);
                let record = wire.record(at, &self.id, "framework", &close, (Some(cause), message.clone()));
                if !wire.closing {
                    self.health.framework(role, End::Away { since: at.mono, cause, message, evidence });
                }
                self.record(record);
            }
        }
    }

    pub(super) fn dialled(
        &mut self,
        at: Now,
        role: Role,
        number: u64,
        result: Result<Box<WebSocketStream<Stream>>, Refusal>,
    ) {
        let Some(line) = self.lines.get_mut(&role) else { return };
        if line.dialling.take_if(|(dial, _)| *dial == number).is_none() {
            return;
        }
        match result {
            Ok(ws) => {
                // It may have become superfluous meanwhile.
                if line.link.framework() != Framework::Dialling {
                    return;
                }
                tracing::info!(account = %self.id, role = role.name(), framework = %self.url, "connected to the OneBot framework");
                let peer = format!("{}:{}", self.url.host(), self.url.port());
                let wire = self.wire(at.mono, role, Side::Framework, *ws, peer);
                let Some(line) = self.lines.get_mut(&role) else { return };
                if !line.doubted {
                    self.health.framework(role, End::Here(at.mono));
                }
                line.framework = Some(wire);
                let effects = line.link.opened(at.mono);
                self.perform(role, effects);
            }
            Err(refusal) => {
                let locked = line.link.refused(at.mono, refusal.bare_403, &mut self.rng);
                let (cause, message) = match locked {
                    Some(_) => (
                        Cause::PeerLockedOut,
                        format!(
                            "the framework at {} still holds the connection that was lost and answers 403 until its own ping has found out, within {} as a rule: waiting",
                            self.url,
                            short(self.settings.lockout.get())
                        ),
                    ),
                    None => (refusal.cause, refusal.message),
                };
                tracing::debug!(account = %self.id, %cause, message, "the OneBot framework cannot be dialled");
                let evidence = vec![
                    ("framework".to_owned(), self.url.to_string()),
                    ("path".to_owned(), line.admitted.path.clone()),
                ];
                self.health.framework(role, End::Away { since: at.mono, cause, message, evidence });
            }
        }
    }
}

fn half_open(close: &Close) -> bool {
    close.error.as_deref().is_some_and(|error| error.starts_with(HALF_OPEN))
}

fn evidence(close: &Close) -> Evidence {
    let mut evidence = vec![("open_for".to_owned(), short(close.age))];
    let code = close.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    evidence.push(("close.code".to_owned(), code));
    if !close.reason.is_empty() {
        evidence.push(("close.reason".to_owned(), clip(&close.reason, 120)));
    }
    if let Some(error) = &close.error {
        evidence.push(("error".to_owned(), clip(error, 200)));
    }
    evidence
}
