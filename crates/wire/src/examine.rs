//! A one-shot examination for people: dial, ping once, close properly, tell everything.
//!
//! It lasts a moment longer than the ping, because some gateways accept first and drop a few milliseconds later: a
//! wrong path on those would otherwise look like success. It leaves as it should (1000), and sends nothing that an
//! application could take for a message.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::{RecentCloses, cause_of_close};
use mooring_core::handshake::{HandshakeReport, Refusal, Step, StepRecord};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};
use mooring_core::observation::Close;
use tokio::time::{Instant, timeout_at};

use crate::dial::{Dialled, dial};
use crate::session::{End, Event, Session};
use crate::target::Target;

/// How long an examination waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamineConfig {
    /// For the answer to the ping. Default 5 s.
    pub ping_timeout: Duration,
    /// At least so long the session is watched before it is closed. Default 250 ms.
    pub settle: Duration,
    /// For the peer's Close frame in answer to ours. Default 2 s.
    pub close_timeout: Duration,
}

impl Default for ExamineConfig {
    fn default() -> Self {
        Self {
            ping_timeout: Duration::from_secs(5),
            settle: Duration::from_millis(250),
            close_timeout: Duration::from_secs(2),
        }
    }
}

/// What was learnt while the session was open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct After {
    /// Messages that came.
    pub messages: usize,
    /// Round trip of our ping.
    pub rtt: Option<Duration>,
    /// How the session ended, where we did not end it.
    pub closed: Option<Close>,
    /// Code and reason of the peer's answer to our Close.
    pub echo: Option<(u16, String)>,
}

/// An examination, told in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Step by step.
    pub report: HandshakeReport,
    /// What came after the handshake, where it went through.
    pub after: Option<After>,
}

/// Examines a target once. The report ends with [`Step::Close`], if the handshake went that far; an end that the
/// gateway brought about itself, and a gateway that is open but answers neither ping nor Close, are refusals at that
/// step. A ping unanswered alone is told in the step's detail.
pub async fn examine(target: &Target, config: ExamineConfig) -> Examined {
    let start = Instant::now();
    let Dialled { mut report, session } = Box::pin(dial(target)).await;
    let Some(mut session) = session else { return Examined { report, after: None } };
    let mut findings = After::default();
    watch(&mut session, &config, &mut findings).await;
    let closing = Instant::now();
    if findings.closed.is_none() {
        leave(&mut session, &config, &mut findings).await;
    }
    let now = Instant::now();
    let (ok, detail, refusal) = verdict(&findings, now.duration_since(closing), &config);
    report.steps.push(StepRecord {
        step: Step::Close,
        at: now.duration_since(start),
        took: now.duration_since(closing),
        ok,
        detail: clip(&detail, MAX_EVIDENCE_VALUE),
    });
    if let Some(refusal) = refusal {
        report.outcome = Err(refusal);
    }
    report.took = now.duration_since(start);
    session.finish().await;
    Examined { report, after: Some(findings) }
}

/// Pings and watches until the answer and the settling time are both there, or the time is over.
async fn watch(session: &mut Session, config: &ExamineConfig, findings: &mut After) {
    let asked = Instant::now();
    let payload = rand::random::<u128>().to_be_bytes();
    session.ping(payload);
    let (settled, patience) = (asked + config.settle, asked + config.ping_timeout.max(config.settle));
    let mut heard = session.opened();
    loop {
        let until = if findings.rtt.is_some() { settled } else { patience };
        let Ok(event) = timeout_at(until, session.event()).await else { return };
        let now = Instant::now();
        let end = |code, reason, error, by_us| Close {
            code,
            reason,
            by_us,
            age: now.duration_since(session.opened()),
            silent_for: now.duration_since(heard),
            error,
        };
        match event {
            Event::Pong(answer) if *answer == payload && findings.rtt.is_none() => {
                findings.rtt = Some(now.duration_since(asked));
            }
            Event::Data(_) => findings.messages += 1,
            Event::Ping | Event::Pong(_) => {}
            Event::Close(code, reason) => {
                findings.closed = Some(end(Some(code), reason, None, false));
                return;
            }
            Event::Ended(End { error, violation }) => {
                findings.closed = Some(end(None, String::new(), error, violation.is_some()));
                if let Some(code) = violation {
                    session.close(code, "");
                }
                return;
            }
        }
        heard = now;
        // A gateway that never stops talking must not keep us.
        if now >= until {
            return;
        }
    }
}

/// Closes with 1000 and waits for the answer.
async fn leave(session: &mut Session, config: &ExamineConfig, findings: &mut After) {
    session.close(1000, "examination over");
    let until = Instant::now() + config.close_timeout;
    while Instant::now() < until {
        match timeout_at(until, session.event()).await {
            Ok(Event::Close(code, reason)) => {
                findings.echo = Some((code, reason));
                return;
            }
            Ok(Event::Ended(_)) | Err(_) => return,
            Ok(Event::Data(_) | Event::Ping | Event::Pong(_)) => {}
        }
    }
}

fn verdict(found: &After, took: Duration, config: &ExamineConfig) -> (bool, String, Option<Refusal>) {
    if let Some(close) = &found.closed {
        let verdict = cause_of_close(close, &RecentCloses::default());
        let refusal = Refusal { step: Step::Close, cause: verdict.cause, message: verdict.message.clone() };
        return (false, verdict.message, Some(refusal));
    }
    let ping = match found.rtt {
        Some(rtt) => format!("ping answered in {rtt:.1?}"),
        None => format!("ping not answered within {:?}", config.ping_timeout),
    };
    let messages =
        if found.messages == 0 { String::new() } else { format!(", {} messages received", found.messages) };
    match &found.echo {
        Some((code, _)) => {
            (true, format!("{ping}{messages}; close answered with {code} in {took:.1?}"), None)
        }
        None => {
            let detail = format!("{ping}{messages}; close not answered within {:?}", config.close_timeout);
            let mute = found.rtt.is_none() && found.messages == 0;
            let refusal = mute.then(|| Refusal {
                step: Step::Close,
                cause: Cause::HeartbeatMissed,
                message: format!("the session is open, but nothing comes: {detail}"),
            });
            (false, detail, refusal)
        }
    }
}
