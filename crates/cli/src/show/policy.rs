//! Policies: as a list, and one with its ladders.

use std::fmt::Write as _;

use mooring_proto::v1::Policy;

use super::{Look, finish, or_dash, short, span};
use crate::text::{Text, either};

fn source(policy: &Policy, look: &Look) -> &'static str {
    if policy.from_file { either(look.lang, "file", "文件") } else { either(look.lang, "API", "接口") }
}

/// A number for which zero has a meaning of its own: unset is shown as such.
fn count(number: Option<i32>) -> String {
    number.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

/// A list.
pub(crate) fn list(policies: &[Policy], look: &Look) -> String {
    let mut table = look.table(&[
        Text::ColGroup,
        Text::ColDryRun,
        Text::ColInFlight,
        Text::ColPerMinute,
        Text::ColRestarts,
        Text::ColStorm,
        Text::ColVerify,
        Text::ColSource,
    ]);
    for policy in policies {
        table.add_row([
            short(&policy.name),
            either(
                look.lang,
                if policy.dry_run { "yes" } else { "no" },
                if policy.dry_run { "是" } else { "否" },
            )
            .to_owned(),
            format!("{} / {}%", policy.max_in_flight, policy.max_in_flight_percent),
            policy.max_per_minute.to_string(),
            format!("{} / {}", count(policy.restart_count), span(policy.restart_window.as_ref())),
            format!("{}%, ≥{}", policy.storm_percent, policy.storm_at_least),
            span(policy.verify_within.as_ref()),
            source(policy, look).to_owned(),
        ]);
    }
    finish(table, look)
}

/// One policy, every number by the name it has in the API.
pub(crate) fn detail(policy: &Policy, look: &Look) -> String {
    let mut out = format!("{}  ({})\n", look.bold(&policy.name), source(policy, look));
    let mut table = look.bare();
    let numbers = [
        ("dry_run", policy.dry_run.to_string()),
        ("act_after", span(policy.act_after.as_ref())),
        ("cooldown", span(policy.cooldown.as_ref())),
        ("backoff_base", span(policy.backoff_base.as_ref())),
        ("backoff_cap", span(policy.backoff_cap.as_ref())),
        ("stable_for", span(policy.stable_for.as_ref())),
        ("order_ttl", span(policy.order_ttl.as_ref())),
        ("verify_within", span(policy.verify_within.as_ref())),
        ("max_in_flight", policy.max_in_flight.to_string()),
        ("max_in_flight_percent", policy.max_in_flight_percent.to_string()),
        ("max_per_minute", policy.max_per_minute.to_string()),
        ("restart_count", count(policy.restart_count)),
        ("restart_window", span(policy.restart_window.as_ref())),
        ("storm_percent", policy.storm_percent.to_string()),
        ("storm_at_least", policy.storm_at_least.to_string()),
        ("storm_cooldown", span(policy.storm_cooldown.as_ref())),
        ("etag", or_dash(&policy.etag)),
    ];
    for (name, value) in numbers {
        table.add_row([name.to_owned(), value]);
    }
    out.push_str(&finish(table, look));
    for ladder in &policy.ladders {
        let any = |list: &[String]| if list.is_empty() { "*".to_owned() } else { list.join(", ") };
        let steps: Vec<String> =
            ladder.steps.iter().map(|s| format!("{} ×{}", or_dash(&s.action), s.times.max(1))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} [{}]: {}", any(&ladder.causes), any(&ladder.kinds), steps.join(" → "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::look;
    use mooring_core::cause::Lang;
    use mooring_proto::v1::{Ladder, LadderStep};

    #[test]
    fn a_policy_in_list_and_detail() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let step = |action: &str, times| LadderStep { action: action.to_owned(), times };
        let policy = Policy {
            name: "policies/lab".to_owned(),
            max_in_flight: 10,
            max_in_flight_percent: 25,
            max_per_minute: 30,
            restart_count: Some(2),
            restart_window: seconds(1_800),
            storm_percent: 55,
            storm_at_least: 3,
            verify_within: seconds(60),
            from_file: true,
            ladders: vec![Ladder {
                causes: vec!["SessionLost".to_owned()],
                kinds: vec![],
                steps: vec![step("reconnect", 2), step("call_human", 0)],
            }],
            ..Policy::default()
        };
        assert_eq!(
            list(std::slice::from_ref(&policy), &look(Lang::En)),
            "GROUP  DRY RUN  IN FLIGHT  PER MIN  RESTARTS  STORM BRAKE  VERIFY  SOURCE\n\
             lab    no       10 / 25%   30       2 / 30m   55%, ≥3      1m      file\n"
        );
        let shown = detail(&policy, &look(Lang::En));
        assert!(shown.contains("verify_within          1m\n"), "{shown}");
        assert!(shown.ends_with("SessionLost [*]: reconnect ×2 → call_human ×1\n"), "{shown}");
    }
}
