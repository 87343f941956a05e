//! `ExplainInstance`: everything an operator asks about one instance, in one answer.
//!
//! Nothing here decides anything: the next step is read off the very plan that would be carried out, and the gates are
//! really asked, in the store, with `validate_only`. While the database is away the belief still explains what is
//! wrong; the gates cannot be asked then, and the answer says so instead of guessing.

use std::collections::HashMap;

use mooring_core::cause::{Cause, Lang};
use mooring_core::condition::{Condition, ConditionKind, Status as Answer};
use mooring_core::id::Target;
use mooring_core::order::{Action, Origin, Proposal};
use mooring_core::phase::Phase;
use mooring_core::planner::{Case, NextStep, next_step};
use mooring_core::time::{Timestamp, human};
use mooring_proto::operator::{action, order, policy_name, verdict};
use mooring_proto::{duration, timestamp, v1};
use mooring_store::{Admission, StoreError};
use tonic::Status;

use super::{Shared, convert, request, status};
use crate::fleet::InstanceFull;
use crate::orders::DeskError;

/// How many of the newest orders and events are told.
const RECENT: u32 = 10;

pub(super) async fn explain(
    shared: &Shared,
    request: v1::ExplainInstanceRequest,
    lang: Lang,
) -> Result<v1::ExplainInstanceResponse, Status> {
    let lang = if request.language.is_empty() { lang } else { Lang::from_tag(&request.language) };
    let name = request::instance(&request.name)?;
    let target = Target::Instance(name.clone());
    let now = Shared::now();
    let parts = &shared.parts;
    // Never closed, so this only waits.
    let _question = shared.questions.acquire().await.map_err(|_| status::stopping())?;
    let cases = parts.desk.cases().await.map_err(|e| status::desk(&e, &request.name))?;
    let cases: HashMap<&Target, &Case> = cases.iter().map(|c| (&c.target, c)).collect();
    let (full, view, live) = {
        let state = parts.fleet.read();
        let full = state.instance(&name).ok_or_else(|| status::not_found("Instance", &request.name))?;
        (full, state.gateway_view(&name.gateway), state.live_targets(&name.gateway))
    };
    let (policy_id, policy) = parts.policies.of_group(&full.group);
    let next =
        view.as_ref().map(|view| next_step(now, &policy, view, &|t| cases.get(t).copied(), (&live, &target)));

    let wanted = wish(&target, next.as_ref(), &full);
    let gates = gates(shared, wanted).await?;
    let orders = shared.try_ask(parts.store.orders_on(&target, RECENT)).await?;
    let events = shared.try_ask(parts.store.events_about(&request.name, RECENT)).await?;

    let main = deciding(&full);
    let (summary, remedy) = words(&full, main, now, lang);
    let next_action = next.as_ref().and_then(|n| n.action).map_or(v1::OrderAction::Unspecified, action);
    Ok(v1::ExplainInstanceResponse {
        instance: Some(convert::instance(&full, shared.is_away())),
        summary,
        remedy,
        gates,
        next_action: next_action.into(),
        next_action_time: next.as_ref().and_then(|n| n.not_before).map(timestamp),
        next_action_reason: next.as_ref().map_or_else(unknown_kind, reason),
        policy: policy_name(&policy_id),
        recent_orders: orders.unwrap_or_default().iter().map(order).collect(),
        recent_events: events.unwrap_or_default().iter().map(convert::event).collect(),
        phase_age: main.map(|c| duration(now.since(c.since))),
    })
}

fn unknown_kind() -> String {
    "the gateway is of a kind that this controller does not know, so nothing is planned for it".to_owned()
}

fn reason(next: &NextStep) -> String {
    match &next.at {
        // The planner's own words usually say where on the ladder it stands.
        Some(at) if !next.why.contains(&at.to_string()) => format!("{at}: {}", next.why),
        Some(_) | None => next.why.clone(),
    }
}

/// What the gates are asked about: the planner's next order, or where there is none, its mildest.
fn wish(target: &Target, next: Option<&NextStep>, full: &InstanceFull) -> Proposal {
    let planned = next.and_then(|n| n.action.map(|a| (n.target.clone(), a)));
    let (target, action) = planned.unwrap_or_else(|| (target.clone(), Action::Reconnect));
    let sick = first_false(full);
    Proposal {
        target,
        action,
        origin: Origin::Planner,
        cause: sick.and_then(|c| c.cause),
        reason: "asked by explain".to_owned(),
        expect: sick.map_or(ConditionKind::Reachable, |c| c.kind),
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    }
}

async fn gates(shared: &Shared, wanted: Proposal) -> Result<Vec<v1::GateVerdict>, Status> {
    let name = wanted.target.to_string();
    let answer = if shared.is_away() {
        Err(DeskError::Store(StoreError::Away(String::new())))
    } else {
        shared.parts.desk.ask(wanted, true).await
    };
    match answer {
        Ok(Admission::Made(_, verdicts) | Admission::Shut(verdicts)) => {
            Ok(verdicts.iter().map(verdict).collect())
        }
        Ok(Admission::NoTarget) => Err(status::not_found("Instance", &name)),
        // It has a fresh id and no request id, so neither can be; no verdicts were given, and none are made up.
        Ok(Admission::Already(_) | Admission::RequestIdReused(_)) => Ok(Vec::new()),
        Err(DeskError::Store(StoreError::Away(_))) => Ok(vec![v1::GateVerdict {
            gate: "database_away".to_owned(),
            open: false,
            message: "the database is away: the gates cannot be asked, and nothing is ordered".to_owned(),
            ..v1::GateVerdict::default()
        }]),
        Err(e) => Err(status::desk(&e, &name)),
    }
}

fn first_false(full: &InstanceFull) -> Option<&Condition> {
    full.conditions.iter().find(|c| c.status == Answer::False && c.kind != ConditionKind::Stable)
}

/// The condition that the phase follows from.
fn deciding(full: &InstanceFull) -> Option<&Condition> {
    let of = |kind: ConditionKind| full.conditions.iter().find(|c| c.kind == kind);
    match full.phase {
        // Well since the last condition became so.
        Phase::Healthy => full.conditions.iter().filter(|c| c.status == Answer::True).max_by_key(|c| c.since),
        Phase::Flapping => of(ConditionKind::Stable),
        Phase::Unknown => of(ConditionKind::Reachable),
        Phase::Down | Phase::NeedsHuman | Phase::Degraded => {
            let human = |c: &&Condition| {
                c.status == Answer::False
                    && c.cause.is_some_and(|cause| cause.handling() == mooring_core::cause::Handling::Human)
            };
            // NeedsHuman follows from whichever condition has such a cause.
            full.conditions.iter().find(human).or_else(|| first_false(full))
        }
    }
}

/// The state and what to do, in words.
fn words(full: &InstanceFull, main: Option<&Condition>, now: Timestamp, lang: Lang) -> (String, String) {
    let phase = phase_word(full.phase, lang);
    let age = main.map(|c| human::format(std::time::Duration::from_secs(now.since(c.since).as_secs())));
    let cause =
        main.and_then(|c| c.cause).or((full.phase == Phase::Unknown).then_some(Cause::NotYetObserved));
    let said = main.map(|c| c.message.as_str()).filter(|m| !m.is_empty());
    let Some(cause) = cause.filter(|_| full.phase != Phase::Healthy) else {
        return match (lang, age) {
            (Lang::En, Some(age)) => (format!("{phase} for {age}."), "Nothing to do.".to_owned()),
            (Lang::En, None) => (format!("{phase}."), "Nothing to do.".to_owned()),
            (Lang::ZhCn, Some(age)) => (format!("{phase}，已持续 {age}。"), "无需处理。".to_owned()),
            (Lang::ZhCn, None) => (format!("{phase}。"), "无需处理。".to_owned()),
        };
    };
    let (words, age) = (cause.words(lang), age.unwrap_or_default());
    let summary = match (lang, said) {
        (Lang::En, Some(said)) => format!("{phase} for {age}: {cause}. {} ({said})", words.summary),
        (Lang::En, None) => format!("{phase} for {age}: {cause}. {}", words.summary),
        (Lang::ZhCn, Some(said)) => format!("{phase}，已持续 {age}：{cause}。{}（{said}）", words.summary),
        (Lang::ZhCn, None) => format!("{phase}，已持续 {age}：{cause}。{}", words.summary),
    };
    (summary, words.remedy.to_owned())
}

fn phase_word(phase: Phase, lang: Lang) -> &'static str {
    match (lang, phase) {
        (Lang::En, _) => phase.name(),
        (Lang::ZhCn, Phase::Unknown) => "未知",
        (Lang::ZhCn, Phase::Healthy) => "健康",
        (Lang::ZhCn, Phase::Degraded) => "降级",
        (Lang::ZhCn, Phase::Down) => "故障",
        (Lang::ZhCn, Phase::Flapping) => "抖动",
        (Lang::ZhCn, Phase::NeedsHuman) => "需要人工处理",
    }
}
