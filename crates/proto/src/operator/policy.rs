//! Policies, to the operator and back.
//!
//! A policy on the wire is flat and every number may be left out; in core it is nested and every number is there. One
//! table of paths says which is which: it drives the update mask, and an unknown path is an error (AIP-134).

use std::time::Duration;

use mooring_core::id::PolicyId;
use mooring_core::policy::{Ladder, Policy, Rung, RungAction, StoredPolicy};

use super::etag;
use crate::{Invalid, duration, duration_from, v1};

/// The paths of an update mask.
pub const MASK_PATHS: [&str; 17] = [
    "dry_run",
    "act_after",
    "cooldown",
    "backoff_base",
    "backoff_cap",
    "stable_for",
    "order_ttl",
    "verify_within",
    "max_in_flight",
    "max_in_flight_percent",
    "max_per_minute",
    "restart_count",
    "restart_window",
    "storm_percent",
    "storm_at_least",
    "storm_cooldown",
    "ladders",
];

/// The resource name of a policy.
#[must_use]
pub fn policy_name(id: &PolicyId) -> String {
    format!("policies/{id}")
}

/// The policy in a resource name. `field` is where it stood.
///
/// # Errors
/// When it is none.
pub fn policy_name_from(field: &str, name: &str) -> Result<PolicyId, Invalid> {
    let id = name
        .strip_prefix("policies/")
        .ok_or_else(|| Invalid::new(field, "must be of the form policies/{group}"))?;
    PolicyId::new(id).map_err(|e| Invalid::new(field, e))
}

/// A policy.
#[must_use]
pub fn policy(stored: &StoredPolicy) -> v1::Policy {
    let p = &stored.policy;
    v1::Policy {
        name: policy_name(&stored.id),
        dry_run: p.dry_run,
        act_after: Some(duration(p.act_after)),
        cooldown: Some(duration(p.cooldown)),
        backoff_base: Some(duration(p.backoff.base)),
        backoff_cap: Some(duration(p.backoff.cap)),
        stable_for: Some(duration(p.stable_for)),
        order_ttl: Some(duration(p.order_ttl)),
        verify_within: Some(duration(p.verify_within)),
        max_in_flight: int(p.budget.in_flight),
        max_in_flight_percent: int(p.budget.in_flight_percent),
        max_per_minute: int(p.budget.per_minute),
        restart_count: Some(int(p.restarts.count)),
        restart_window: Some(duration(p.restarts.window)),
        storm_percent: int(p.storm.percent),
        storm_at_least: int(p.storm.at_least),
        storm_cooldown: Some(duration(p.storm.cooldown)),
        ladders: p.ladders.iter().map(ladder).collect(),
        from_file: stored.from_file,
        etag: etag(stored.version),
    }
}

/// `base` with the fields that `paths` names taken from the wire; what is unset there takes its default. The result is
/// well formed, but its numbers may still make no sense: see [`Policy::problems`].
///
/// # Errors
/// For a path that is no field, a negative number, a malformed duration, or a ladder with unknown words.
pub fn policy_from(pb: &v1::Policy, base: Policy, paths: &[&str]) -> Result<Policy, Invalid> {
    let default = Policy::default();
    let mut p = base;
    for path in paths {
        let field = format!("policy.{path}");
        let time = |d: &Option<prost_types::Duration>, default: Duration| match d {
            None => Ok(default),
            Some(d) => duration_from(d)
                .ok_or_else(|| Invalid::new(field.as_str(), "is not a duration of zero or more")),
        };
        let number = |n: i32, default: u32| match n {
            0 => Ok(default),
            n => natural(&field, n),
        };
        match *path {
            "dry_run" => p.dry_run = pb.dry_run,
            "act_after" => p.act_after = time(&pb.act_after, default.act_after)?,
            "cooldown" => p.cooldown = time(&pb.cooldown, default.cooldown)?,
            "backoff_base" => p.backoff.base = time(&pb.backoff_base, default.backoff.base)?,
            "backoff_cap" => p.backoff.cap = time(&pb.backoff_cap, default.backoff.cap)?,
            "stable_for" => p.stable_for = time(&pb.stable_for, default.stable_for)?,
            "order_ttl" => p.order_ttl = time(&pb.order_ttl, default.order_ttl)?,
            "verify_within" => p.verify_within = time(&pb.verify_within, default.verify_within)?,
            "max_in_flight" => p.budget.in_flight = number(pb.max_in_flight, default.budget.in_flight)?,
            "max_in_flight_percent" => {
                p.budget.in_flight_percent =
                    number(pb.max_in_flight_percent, default.budget.in_flight_percent)?;
            }
            "max_per_minute" => p.budget.per_minute = number(pb.max_per_minute, default.budget.per_minute)?,
            "restart_count" => {
                p.restarts.count = match pb.restart_count {
                    None => default.restarts.count,
                    Some(n) => natural(&field, n)?,
                };
            }
            "restart_window" => p.restarts.window = time(&pb.restart_window, default.restarts.window)?,
            "storm_percent" => p.storm.percent = number(pb.storm_percent, default.storm.percent)?,
            "storm_at_least" => p.storm.at_least = number(pb.storm_at_least, default.storm.at_least)?,
            "storm_cooldown" => p.storm.cooldown = time(&pb.storm_cooldown, default.storm.cooldown)?,
            "ladders" => p.ladders = ladders_from(&pb.ladders)?,
            other => {
                let known = MASK_PATHS.join(", ");
                return Err(Invalid::new(
                    "update_mask",
                    format!("`{other}` is not a field that can be changed: {known}"),
                ));
            }
        }
    }
    Ok(p)
}

fn int(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn natural(field: &str, n: i32) -> Result<u32, Invalid> {
    u32::try_from(n).map_err(|_| Invalid::new(field, "must not be negative"))
}

fn ladder(l: &Ladder) -> v1::Ladder {
    v1::Ladder {
        causes: l.causes.iter().map(|c| c.name().to_owned()).collect(),
        kinds: l.kinds.iter().map(|k| k.name().to_owned()).collect(),
        steps: l
            .steps
            .iter()
            .map(|s| v1::LadderStep { action: rung_name(s.action).to_owned(), times: int(s.times) })
            .collect(),
    }
}

/// Most ladders of one policy, and most causes or kinds of one ladder: as many as there can ever sensibly be.
const MAX_LADDERS: usize = 64;

fn ladders_from(ladders: &[v1::Ladder]) -> Result<Vec<Ladder>, Invalid> {
    if ladders.len() > MAX_LADDERS {
        return Err(Invalid::new(
            "policy.ladders",
            format!("{} ladders, at most {MAX_LADDERS}", ladders.len()),
        ));
    }
    ladders.iter().enumerate().map(|(i, l)| ladder_from(&format!("policy.ladders[{i}]"), l)).collect()
}

fn ladder_from(at: &str, l: &v1::Ladder) -> Result<Ladder, Invalid> {
    let causes =
        l.causes.iter().map(|c| c.parse().map_err(|e: String| Invalid::new(format!("{at}.causes"), e)));
    let kinds = l.kinds.iter().map(|k| k.parse().map_err(|e: String| Invalid::new(format!("{at}.kinds"), e)));
    let steps = l.steps.iter().enumerate().map(|(j, s)| {
        let at = format!("{at}.steps[{j}]");
        let action = RUNGS.iter().find(|(_, name)| *name == s.action).map(|(a, _)| *a).ok_or_else(|| {
            let known: Vec<&str> = RUNGS.iter().map(|(_, name)| *name).collect();
            Invalid::new(format!("{at}.action"), format!("must be one of {}", known.join(", ")))
        })?;
        let times = if s.times == 0 { 1 } else { natural(&format!("{at}.times"), s.times)? };
        Ok(Rung { action, times })
    });
    Ok(Ladder {
        causes: causes.collect::<Result<_, _>>()?,
        kinds: kinds.collect::<Result<_, _>>()?,
        steps: steps.collect::<Result<_, Invalid>>()?,
    })
}

const RUNGS: [(RungAction, &str); 5] = [
    (RungAction::Reconnect, "reconnect"),
    (RungAction::ReconnectSlowly, "reconnect_slowly"),
    (RungAction::RestartInstance, "restart_instance"),
    (RungAction::RestartGateway, "restart_gateway"),
    (RungAction::CallHuman, "call_human"),
];

fn rung_name(action: RungAction) -> &'static str {
    RUNGS.iter().find(|(a, _)| *a == action).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::cause::Cause;
    use mooring_core::kind::Kind;

    fn odd() -> Policy {
        let mut p = Policy { dry_run: true, act_after: Duration::from_millis(1_500), ..Policy::default() };
        p.cooldown = Duration::ZERO;
        p.restarts.count = 0;
        p.budget.in_flight = 3;
        p.storm.percent = 70;
        p.ladders = vec![Ladder {
            causes: vec![Cause::ConnectionRefused],
            kinds: vec![Kind::Websocket],
            steps: vec![
                Rung { action: RungAction::RestartGateway, times: 2 },
                Rung { action: RungAction::CallHuman, times: 1 },
            ],
        }];
        p
    }

    #[test]
    fn a_policy_survives_the_way_there_and_back() {
        let stored =
            StoredPolicy { id: PolicyId::new("lines").unwrap(), policy: odd(), version: 4, from_file: false };
        let pb = policy(&stored);
        assert_eq!((pb.name.as_str(), pb.etag.as_str()), ("policies/lines", "\"4\""));
        assert_eq!(policy_from(&pb, Policy::default(), &MASK_PATHS), Ok(odd()));
    }

    #[test]
    fn an_empty_policy_is_the_default_and_a_mask_touches_nothing_else() {
        let empty = v1::Policy::default();
        assert_eq!(policy_from(&empty, odd(), &MASK_PATHS), Ok(Policy::default()));
        let changed =
            policy_from(&v1::Policy { max_in_flight: 9, ..empty }, odd(), &["max_in_flight"]).unwrap();
        let mut want = odd();
        want.budget.in_flight = 9;
        assert_eq!(changed, want);
    }

    #[test]
    fn what_is_malformed_is_named() {
        let of = |pb: v1::Policy, path: &str| policy_from(&pb, Policy::default(), &[path]).unwrap_err().field;
        let empty = v1::Policy::default;
        assert_eq!(of(empty(), "etag"), "update_mask");
        assert_eq!(
            of(v1::Policy { max_per_minute: -1, ..empty() }, "max_per_minute"),
            "policy.max_per_minute"
        );
        let backwards = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        assert_eq!(of(v1::Policy { cooldown: backwards, ..empty() }, "cooldown"), "policy.cooldown");
        let step = v1::LadderStep { action: "reboot".to_owned(), times: 1 };
        let ladders = vec![v1::Ladder { steps: vec![step], ..v1::Ladder::default() }];
        assert_eq!(of(v1::Policy { ladders, ..empty() }, "ladders"), "policy.ladders[0].steps[0].action");
        let ladders = vec![v1::Ladder { causes: vec!["Gremlins".to_owned()], ..v1::Ladder::default() }];
        assert_eq!(of(v1::Policy { ladders, ..empty() }, "ladders"), "policy.ladders[0].causes");
    }
}
