//! Upgrades, as asked for and varied: without the query, on other paths, with an identity.

use std::time::Duration;

use mooring_core::diagnosis::{Finding, Probe, Saw, Sign};
use mooring_core::kind::Kind;
use mooring_wire::{ExamineConfig, Examined, Target, TargetError, examine};

use crate::exam::{Exam, RESERVED_ID, Spot, is_identity};

/// Paths that OneBot frameworks are found on, the likeliest first: NoneBot and Karin, Yunzai, NoneBot's other, aiocqhttp,
/// Koishi.
const ONEBOT_PATHS: [&str; 5] = ["/onebot/v11/ws", "/OneBotv11", "/onebot/v11/", "/ws", "/onebot"];
/// Paths of others.
const OTHER_PATHS: [&str; 4] = ["/ws", "/websocket", "/socket", "/"];

/// `None`: this form makes no sense here.
pub(super) async fn upgrade(exam: &Exam, spot: &Spot, probe: Probe) -> Option<Saw> {
    let onebot = exam.expect == Some(Kind::Onebot11);
    let url = spot.target.url();
    let path = url.path();
    let query = url.query().map_or_else(String::new, |q| format!("?{q}"));
    let target = match probe {
        Probe::Upgrade => Ok(spot.target.clone()),
        Probe::UpgradeWithoutQuery => spot.target.at(path),
        Probe::UpgradeOtherSlash => match path.strip_suffix('/') {
            Some("") => return None,
            Some(bare) => spot.target.at(&format!("{bare}{query}")),
            None => spot.target.at(&format!("{path}/{query}")),
        },
        Probe::UpgradeKnownPaths => return known_paths(exam, spot, onebot).await,
        Probe::UpgradeWithIdentity => {
            exam.dial.target(&spot.url, |name| !is_identity(name)).and_then(identity)
        }
        Probe::UpgradeEngineIo => spot.target.at(&format!("{path}?EIO=4&transport=websocket")),
        Probe::UpgradeWithoutSubprotocol => {
            let dial = crate::exam::Dial { subprotocols: Vec::new(), ..exam.dial.clone() };
            dial.target(&spot.url, |_| true)
        }
        Probe::UpgradeOtherScheme => {
            let other = match spot.url.split_once("://") {
                Some(("ws", rest)) => format!("wss://{rest}"),
                Some(("wss", rest)) => format!("ws://{rest}"),
                _ => return None,
            };
            match exam.dial.target(&other, |_| true) {
                // A token of ours must not be read on the way because TLS failed.
                Ok(target) if !exam.dial.trusts(target.url()) => target.at(path),
                target => target,
            }
        }
        _ => return None,
    };
    let target = match target {
        Ok(target) if exam.adds_identity() => identity(target),
        other => other,
    };
    let target = target.ok()?;
    target.check().ok()?;
    Some(look(&target, onebot).await)
}

/// A role never goes out without an id: one framework dies of that.
pub(super) fn identity(target: Target) -> Result<Target, TargetError> {
    target.header("X-Self-ID", RESERVED_ID)?.header("X-Client-Role", "Universal")
}

async fn known_paths(exam: &Exam, spot: &Spot, onebot: bool) -> Option<Saw> {
    let paths: &[&str] = if onebot { &ONEBOT_PATHS } else { &OTHER_PATHS };
    let mut last = None;
    for path in paths.iter().filter(|path| **path != spot.target.url().path()) {
        if last.is_some() {
            tokio::time::sleep(exam.pace).await;
        }
        let target = spot.target.at(path).ok()?;
        let target = if exam.adds_identity() { identity(target).ok()? } else { target };
        let saw = Saw { variant: Some((*path).to_owned()), ..look(&target, onebot).await };
        let finding = Finding { place: 0, probe: Probe::UpgradeKnownPaths, saw };
        let good = matches!(Sign::of(&finding), Some(Sign::Works | Sign::KarinNoToken | Sign::KarinBadToken));
        // The first that is accepted is the answer; until then, the one most like the usual refusal.
        last = Some(finding.saw);
        if good {
            break;
        }
    }
    last
}

async fn look(target: &Target, onebot: bool) -> Saw {
    let config = ExamineConfig {
        // A session that is dropped by the application is dropped within milliseconds; one OneBot framework takes
        // three seconds to say that it does not know the path.
        settle: Duration::from_millis(if onebot { 3400 } else { 400 }),
        ..ExamineConfig::default()
    };
    let Examined { report, after } = examine(target, config).await;
    let mut saw = Saw::of_report(&report);
    saw.http_after_101 = saw.failed.as_ref().is_some_and(|f| f.message.contains("HTTP text after the 101"));
    if let Some(after) = after {
        saw.established = true;
        saw.rtt = after.rtt;
        saw.close = after.closed;
    }
    saw
}
