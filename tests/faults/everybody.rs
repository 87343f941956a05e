//! All scenes at once: what holds for each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use mooring_tests::faults::{Fault, all};
use mooring_wire::{ExamineConfig, examine};

use crate::tls::target;

#[test]
fn each_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = all().iter().map(|fault| fault.id).collect();
    assert_eq!(names.len(), all().len());
}

/// Two cores run them: more at once would only wait for each other.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn nobody_dies_of_being_examined_and_what_is_well_is_found_well() {
    let examined = |fault: Fault| async move {
        let scene = (fault.build)().await;
        let mut target = target(&scene);
        target.timeouts.answer = Duration::from_secs(6);
        if let Some(subprotocol) = &scene.subprotocol {
            target = target.subprotocol(subprotocol).unwrap().require_subprotocol(true);
        }
        let report = examine(&target, ExamineConfig::default()).await;
        assert!(scene.dead().is_empty(), "{}: {:?} died\n{}", fault.id, scene.dead(), scene.logs());
        if fault.cause.is_none() {
            assert!(report.outcome.is_ok(), "{}: {report:?}\n{}", fault.id, scene.logs());
        }
        match report.outcome {
            Ok(_) => eprintln!("{:22} established", fault.id),
            Err(refusal) => eprintln!("{:22} {}: {}", fault.id, refusal.cause, refusal.message),
        }
    };
    futures_util::stream::iter(all()).for_each_concurrent(AT_ONCE, examined).await;
}
