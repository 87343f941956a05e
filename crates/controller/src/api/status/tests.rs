//! What every error must have, and what gates turn into.

use mooring_core::cause::Lang;
use mooring_core::gate::{Gate, Verdict};
use mooring_core::id::{OrderId, Target};
use mooring_core::order::Action;
use tonic_types::ErrorDetail;

use super::*;

fn info(status: &Status) -> tonic_types::ErrorInfo {
    let details = status.get_error_details_vec();
    let mut infos = details.into_iter().filter_map(|d| match d {
        ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let first = infos.next().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert!(infos.next().is_none(), "more than one ErrorInfo in {status:?}");
    assert_eq!(first.domain, DOMAIN);
    assert_eq!(Reason::ALL.iter().filter(|r| r.name() == first.reason).count(), 1, "{}", first.reason);
    first
}

fn target() -> Target {
    "agents/a/gateways/g".parse().unwrap()
}

fn verdict(gate: Gate, open: bool, retry: Option<u64>) -> Verdict {
    Verdict {
        gate,
        open,
        message: format!("{} has words", gate.name()),
        numbers: vec![("used".to_owned(), 3), ("limit".to_owned(), 2)],
        retry_after: retry.map(Duration::from_secs),
    }
}

#[test]
fn every_error_carries_exactly_one_error_info() {
    let all = [
        unauthenticated(&Denied::Missing),
        permission_denied(Reason::PermissionDenied, "no"),
        already_exists("AGENT_ID_IN_USE", "two", &[("agent", "a")]),
        bad_field("name", "is wrong"),
        bad_fields(&[("a".to_owned(), "x".to_owned()), ("b".to_owned(), "y".to_owned())]),
        not_found("Instance", "agents/a/gateways/g/instances/i"),
        precondition(Reason::PolicyFromFile, "policies/x", "from a file", &[]),
        etag_mismatch("policies/x", "\"1\"", Some("\"2\"")),
        exhausted(Reason::TooManyWatches, "200 watches", Some(SOON)),
        watch_too_old("old"),
        database_away(),
        stopping(),
        timed_out(SOON),
        store(&StoreError::Conflict("order".to_owned())),
        store(&StoreError::Broken("table x".to_owned())),
        desk(&DeskError::NoOrder(OrderId(Uuid::nil())), "orders/0"),
        shut(&target(), Action::RestartGateway, &[verdict(Gate::Storm, false, None)], Lang::En),
        complete(Status::unimplemented("")),
        complete(Status::cancelled("Timeout expired")),
    ];
    for status in &all {
        info(status);
        assert!(!status.message().is_empty(), "{status:?}");
    }
}

#[test]
fn one_shut_quota_is_exhausted_with_its_numbers_and_when_to_retry() {
    let verdicts = [verdict(Gate::Paused, true, None), verdict(Gate::GroupRate, false, Some(12))];
    let status = shut(&target(), Action::RestartGateway, &verdicts, Lang::En);
    let info = info(&status);
    assert_eq!((status.code(), info.reason.as_str()), (Code::ResourceExhausted, "GATE_GROUP_RATE"));
    assert_eq!(info.metadata["gates"], "group_rate");
    assert_eq!(
        (info.metadata["group_rate.used"].as_str(), info.metadata["retry_after_ms"].as_str()),
        ("3", "12000")
    );
    let details = status.get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(12)));
    assert_eq!(details.quota_failure().unwrap().violations.len(), 1);
    assert!(details.precondition_failure().is_none() && details.localized_message().is_none());
}

#[test]
fn a_shut_precondition_decides_but_every_gate_is_named() {
    let verdicts = [
        verdict(Gate::Cooldown, false, Some(5)),
        verdict(Gate::AgentOffline, false, None),
        verdict(Gate::Storm, false, Some(60)),
    ];
    let status = shut(&target(), Action::RestartGateway, &verdicts, Lang::ZhCn);
    let info = info(&status);
    assert_eq!((status.code(), info.reason.as_str()), (Code::FailedPrecondition, "GATE_AGENT_OFFLINE"));
    assert_eq!(info.metadata["gates"], "cooldown,agent_offline,storm");
    for gate in ["cooldown", "agent_offline", "storm"] {
        assert!(status.message().contains(gate), "{}", status.message());
    }
    let details = status.get_error_details();
    assert_eq!(details.quota_failure().unwrap().violations.len(), 2);
    assert_eq!(details.precondition_failure().unwrap().violations.len(), 1);
    assert!(details.retry_info().is_none(), "waiting alone does not bring an agent back");
    let local = details.localized_message().unwrap();
    assert!(local.locale == "zh-CN" && local.message.contains("代理未连接"), "{local:?}");
}

#[test]
fn all_gates_shut_still_fit_a_trailer() {
    let verdicts: Vec<Verdict> = Gate::ALL
        .iter()
        .map(|g| Verdict { message: "w".repeat(120), ..verdict(*g, false, Some(60)) })
        .collect();
    let status = shut(&target(), Action::RestartGateway, &verdicts, Lang::ZhCn);
    assert!(status.details().len() < 8 * 1024, "{} bytes of details", status.details().len());
}

#[test]
fn what_is_inside_stays_inside() {
    let status = store(&StoreError::Broken("secret table".to_owned()));
    assert!(!format!("{status:?}").contains("secret"), "{status:?}");
    assert_eq!(status.code(), Code::Internal);
    let status = store(&StoreError::Away("db.internal:5432 refused".to_owned()));
    assert!(!format!("{status:?}").contains("5432"), "{status:?}");
    assert!(status.get_error_details().retry_info().is_some());
}

#[test]
fn a_status_with_details_is_left_alone() {
    let given = bad_field("x", "y");
    assert_eq!(complete(given.clone()).details(), given.details());
    assert!(complete(Status::ok("")).details().is_empty());
}
