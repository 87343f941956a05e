//! The doctor before each row of the faults catalogue: the cause is found from all places, what is said from the outermost
//! place alone is honest, and nothing that was examined died of it.
//!
//! A row is a test of its own, so that a failure names it; the list is held against the catalogue.

mod notes;
mod remedies;
mod rows;

use mooring_tests::faults::judge::{Eyes, judge};
use mooring_tests::faults::{self, Fault};

/// Scenes that stand at once: they are processes, and there are few cores.
static PLACES: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(6);

async fn row(id: &str) {
    let _place = PLACES.acquire().await;
    let fault = faults::find(id);
    let scene = (fault.build)().await;
    let all = judge(&fault, &scene, Eyes::All).await;
    let said = all.verdict();
    let alone = scene.via.is_empty() && scene.direct.is_none();
    let ok = match fault.cause {
        // Where one place is all there is, some answers stand for several faults, and it must be said that they do.
        Some(_) if alone && !fault.also.is_empty() => honest(&fault, &all),
        Some(cause) => said == Some(cause),
        None => all.examination.diagnosis.healthy() && all.examination.diagnosis.notes.is_empty(),
    };
    assert!(
        ok,
        "{id} ({}): {:?} instead of {:?}\n{}\n{}",
        fault.what,
        said,
        fault.cause,
        all.told(),
        scene.logs()
    );
    assert!(scene.dead().is_empty(), "{id}: {:?} died of being examined\n{}", scene.dead(), scene.logs());
    let remedy = fault.cause.map(|c| c.words(mooring_core::cause::Lang::En).remedy);
    assert!(remedy.is_none_or(|r| !r.is_empty()));
    if alone {
        return;
    }
    // What happens once, to a session that is held, has happened.
    let once = fault.watch.is_some() && fault.cause.is_some();
    let again = if once { (fault.build)().await } else { scene };
    let one = judge(&fault, &again, Eyes::Outermost).await;
    assert!(honest(&fault, &one), "{id}, from outside alone: {}", one.told());
    assert!(again.dead().is_empty(), "{id}: {:?} died of being examined", again.dead());
}

/// Right, or one of the honest answers, or not sure with the right one among what is thought of.
fn honest(fault: &Fault, judged: &faults::judge::Judged) -> bool {
    let Some(cause) = fault.cause else { return judged.examination.diagnosis.healthy() };
    match judged.verdict() {
        Some(verdict) => verdict == cause || fault.also.contains(&verdict),
        None => judged.candidates().iter().any(|(c, _)| *c == cause),
    }
}

#[test]
fn every_row_of_the_catalogue_is_a_test() {
    let mut missing: Vec<&str> = faults::all().iter().map(|f| f.id).collect();
    missing.retain(|id| !rows::ROWS.contains(id));
    assert!(missing.is_empty(), "add to rows.rs: {missing:?}");
    for id in rows::ROWS {
        assert_eq!(faults::find(id).id, *id);
    }
}
