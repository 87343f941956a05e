//! The doctor before a scene: what it says, from all places or from the outermost alone.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::diagnosis::{LinkSaw, Saw};
use mooring_core::kind::Kind;
use mooring_core::observation::Close;
use mooring_doctor::{Dial, Exam, Examination, examine};
use mooring_runtime::tls::{ClientTls, ClientTlsConfig};
use mooring_wire::Timeouts;
use rustls::ClientConfig;

use super::view::{ClientView, Side};
use super::{Fault, Scene};

/// Sessions that end within this of each other end in the same moment.
const SAME_MOMENT: Duration = Duration::from_millis(100);

/// From where it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eyes {
    /// The address, each hop and the gateway itself.
    All,
    /// The address alone, as most people begin.
    Outermost,
}

/// What was said.
#[derive(Debug)]
pub struct Judged {
    /// The whole.
    pub examination: Examination,
}

impl Judged {
    /// The cause, where one was named.
    #[must_use]
    pub fn verdict(&self) -> Option<Cause> {
        self.examination.diagnosis.faults.iter().find_map(|f| f.verdict()).map(|c| c.cause)
    }

    /// Every cause that is the first of its fault.
    #[must_use]
    pub fn firsts(&self) -> Vec<Cause> {
        let faults = &self.examination.diagnosis.faults;
        faults.iter().filter_map(|f| f.candidates.first()).map(|c| c.cause).collect()
    }

    /// Every cause that was thought of.
    #[must_use]
    pub fn candidates(&self) -> Vec<(Cause, u8)> {
        let faults = &self.examination.diagnosis.faults;
        faults.iter().flat_map(|f| &f.candidates).map(|c| (c.cause, c.score)).collect()
    }

    /// Everything that was seen, for the report of a failure.
    #[must_use]
    pub fn told(&self) -> String {
        let case = &self.examination.case;
        let lines = case.findings.iter().map(|f| {
            let sign = mooring_core::diagnosis::Sign::of(f).map_or("?", mooring_core::diagnosis::Sign::name);
            format!(
                "  [{}] {}: {sign}: {}\n",
                f.place,
                f.probe.name(),
                f.detail(mooring_core::cause::Lang::En)
            )
        });
        format!("{}  => {:?}\n", lines.collect::<String>(), self.candidates())
    }
}

/// Examines a scene.
///
/// # Panics
/// When the scene's own description cannot be used.
pub async fn judge(fault: &Fault, scene: &Scene, eyes: Eyes) -> Judged {
    judge_exam(&exam(fault, scene, eyes)).await
}

/// Examines what was prepared.
pub async fn judge_exam(exam: &Exam) -> Judged {
    Judged { examination: Box::pin(examine(exam, |_, _| {})).await }
}

/// What is to be examined of a scene.
///
/// # Panics
/// When the scene's own description cannot be used.
#[must_use]
pub fn exam(fault: &Fault, scene: &Scene, eyes: Eyes) -> Exam {
    let tls = scene.trust.as_ref().map(|ca| trust(ca));
    let dial = Dial {
        headers: scene.headers.clone(),
        subprotocols: scene.subprotocol.clone().into_iter().collect(),
        tls,
        // Whatever is silent here is so for ever.
        timeouts: Timeouts { answer: Duration::from_secs(4), ..Timeouts::default() },
        ..Dial::default()
    };
    let mut exam = Exam::new(&scene.url, dial).expect("the scene's address");
    if eyes == Eyes::All {
        for via in &scene.via {
            exam = exam.via(via).expect("a hop's address");
        }
        if let Some(direct) = &scene.direct {
            exam = exam.direct(direct).expect("the backend's address");
        }
    }
    exam.expect = scene.expect;
    exam.origin.clone_from(&scene.origin);
    exam.namespace.clone_from(&scene.namespace);
    exam.watch = fault.watch;
    exam.pace = Duration::from_millis(20);
    exam.told = told(&scene.seen, scene.expect == Some(Kind::Onebot11));
    exam
}

fn trust(ca: &std::path::Path) -> Arc<ClientConfig> {
    let config = ClientTlsConfig { ca: Some(ca.to_path_buf()), ..ClientTlsConfig::default() };
    ClientTls::load(&config).expect("the authority").rustls(&[b"http/1.1"]).expect("a configuration")
}

/// What clients saw, as evidence. A server's view tells what its client did.
fn told(views: &[ClientView], onebot: bool) -> Vec<Saw> {
    let client = |v: &&ClientView| v.side == Side::Client;
    views.iter().filter(client).map(|view| saw(view, views, onebot)).collect()
}

fn saw(view: &ClientView, all: &[ClientView], onebot: bool) -> Saw {
    let engine = view.promise.is_some();
    let together = all
        .iter()
        .filter(|other| other.side == view.side && other.at.abs_diff(view.at) <= SAME_MOMENT)
        .count()
        .saturating_sub(1);
    let link = LinkSaw {
        age: view.age,
        silent_for: view.silent_for,
        pings: view.heard_pings,
        sent_pong: engine.then_some(view.sent_pong > 0),
        sent_connect: engine.then_some(view.sent_connect),
        sent_text: (engine || onebot).then_some(view.sent_text > 0),
        others: u32::try_from(together).unwrap_or(u32::MAX),
        ..LinkSaw::default()
    };
    let close = Close {
        code: view.code,
        reason: view.reason.clone(),
        by_us: false,
        age: view.age,
        silent_for: view.silent_for,
        error: None,
    };
    Saw { established: true, close: Some(close), link: Some(link), ..Saw::default() }
}
