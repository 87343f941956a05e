//! The probes: one question each, answered with findings.

mod engine;
mod get;
mod hold;
mod upgrade;

use mooring_core::diagnosis::{Finding, Probe, Want};

use crate::exam::Exam;

/// Carries out what is wanted. Nothing: it cannot be done here.
pub(crate) async fn take(exam: &Exam, want: Want) -> Vec<Finding> {
    let Some(spot) = exam.spots.get(want.place) else { return Vec::new() };
    let one = |saw| vec![Finding { place: want.place, probe: want.probe, saw }];
    match want.probe {
        Probe::Root => one(get::root(spot).await),
        Probe::Polling => engine::polling(exam, spot).await.map_or_else(Vec::new, one),
        Probe::Sticky => engine::sticky(exam, spot).await.map_or_else(Vec::new, one),
        Probe::Cors => match &exam.origin {
            Some(origin) => engine::cors(exam, spot, origin).await.map_or_else(Vec::new, one),
            None => Vec::new(),
        },
        Probe::Namespace => engine::namespace(exam, spot).await.map_or_else(Vec::new, one),
        Probe::HoldSilent | Probe::HoldPinging => match exam.watch {
            Some(time) if exam.speaks_engine_io() => {
                engine::hold(exam, spot, time).await.map_or_else(Vec::new, one)
            }
            Some(time) => hold::hold(exam, spot, want.place, time).await,
            None => Vec::new(),
        },
        // What somebody told is there from the beginning or not at all.
        Probe::Told => Vec::new(),
        probe => upgrade::upgrade(exam, spot, probe).await.map_or_else(Vec::new, one),
    }
}
