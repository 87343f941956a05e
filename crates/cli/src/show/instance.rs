//! Instances: as a list, and one with its conditions.

use std::fmt::Write as _;

use mooring_core::cause::Lang;
use mooring_proto::v1::{Condition, ConditionStatus, Evidence, Instance};

use super::{Look, finish, one_line, or_dash, pad, phase_color, rfc3339, short, status_color};
use crate::text::{self, Text};

/// The condition that explains an instance's phase: the first in rank that is False; for an instance of which nothing is
/// known the one that says why.
pub(crate) fn telling(instance: &Instance) -> Option<&Condition> {
    let with = |status: ConditionStatus| move |c: &&Condition| c.status() == status && !c.cause.is_empty();
    let conditions = &instance.conditions;
    conditions.iter().find(with(ConditionStatus::False)).or_else(|| {
        let known = conditions.iter().any(|c| c.status() == ConditionStatus::True);
        conditions.iter().find(with(ConditionStatus::Unknown)).filter(|_| !known)
    })
}

/// Since when it is as it is: the telling condition's time, or the latest of those that are True.
pub(crate) fn since(instance: &Instance) -> Option<&prost_types::Timestamp> {
    match telling(instance) {
        Some(condition) => condition.since_time.as_ref(),
        None => instance
            .conditions
            .iter()
            .filter(|c| c.status() == ConditionStatus::True)
            .filter_map(|c| c.since_time.as_ref())
            .max_by_key(|t| (t.seconds, t.nanos)),
    }
}

/// The phase, with a mark when it may be out of date.
pub(crate) fn phase_words(instance: &Instance, look: &Look) -> String {
    let phase = text::phase(instance.phase(), look.lang);
    if instance.stale { format!("{phase} ({})", Text::Stale.of(look.lang)) } else { phase.to_owned() }
}

/// A list.
pub(crate) fn list(instances: &[Instance], look: &Look) -> String {
    let mut headings =
        vec![Text::ColInstance, Text::ColPhase, Text::ColCause, Text::ColSince, Text::ColOrder];
    if look.wide {
        headings.extend([Text::ColKind, Text::ColGroup]);
    }
    headings.push(Text::ColMessage);
    let mut table = look.table(&headings);
    for instance in instances {
        let why = telling(instance);
        let mut row = vec![
            look.cell(look.name(&instance.name), None),
            look.cell(phase_words(instance, look), phase_color(instance.phase())),
            look.cell(or_dash(why.map_or("", |c| &c.cause)), None),
            look.cell(look.time(since(instance)), None),
            look.cell(or_dash(&look.name(&instance.live_order)), None),
        ];
        if look.wide {
            row.extend([look.cell(or_dash(&instance.kind), None), look.cell(or_dash(&instance.group), None)]);
        }
        row.push(look.cell(one_line(why.map_or("", |c| &c.message)), None));
        table.add_row(row);
    }
    finish(table, look)
}

/// One instance.
pub(crate) fn detail(instance: &Instance, look: &Look) -> String {
    let mut out = String::new();
    let phase = look.paint(&phase_words(instance, look), phase_color(instance.phase()));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}  {phase}", look.bold(&instance.name));
    let (kind, group, order) = match look.lang {
        Lang::En => ("kind", "group", "live order"),
        Lang::ZhCn => ("类型", "组", "进行中的操作单"),
    };
    let _ = writeln!(out, "{kind} {}, {group} {}", or_dash(&instance.kind), or_dash(&instance.group));
    if !instance.live_order.is_empty() {
        let _ = writeln!(out, "{order} {}", or_dash(&instance.live_order));
    }
    let _ = writeln!(out);
    out.push_str(&conditions(&instance.conditions, look));
    out
}

/// Conditions, each with its evidence below.
pub(crate) fn conditions(conditions: &[Condition], look: &Look) -> String {
    let mut table =
        look.table(&[Text::ColCondition, Text::ColStatus, Text::ColCause, Text::ColSince, Text::ColMessage]);
    for condition in conditions {
        table.add_row([
            look.cell(or_dash(&condition.r#type), None),
            look.cell(text::status(condition.status(), look.lang), status_color(condition.status())),
            look.cell(or_dash(&condition.cause), None),
            look.cell(look.time(condition.since_time.as_ref()), None),
            look.cell(one_line(&condition.message), None),
        ]);
    }
    let mut out = finish(table, look);
    // Where the trace goes on is for machines.
    let shown = |e: &&Evidence| look.wide || e.key != "traceparent";
    for condition in conditions.iter().filter(|c| c.evidence.iter().any(|e| shown(&e))) {
        let facts: Vec<String> = condition
            .evidence
            .iter()
            .map(|e| format!("{}={}", one_line(&e.key), one_line(&e.value)))
            .collect();
        let _ =
            writeln!(out, "{} ({}): {}", Text::Evidence.of(look.lang), condition.r#type, facts.join("  "));
    }
    out
}

/// One line for a change, without the time.
pub(crate) fn line(instance: &Instance, look: &Look) -> String {
    let phase = look.paint(&pad(&phase_words(instance, look), 10), phase_color(instance.phase()));
    let mut line = format!("{}  {phase}", short(&instance.name));
    if let Some(why) = telling(instance) {
        let _ = write!(line, "  {} {}: {}", why.r#type, or_dash(&why.cause), one_line(&why.message));
        if look.wide
            && let Some(since) = &why.since_time
        {
            let _ = write!(line, "  ({} {})", Text::Since.of(look.lang), rfc3339(since));
        }
    }
    line.trim_end().trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{healthy, look, sick};
    use mooring_proto::v1::Phase;

    #[test]
    fn a_list_of_instances() {
        let instances = [healthy("h", "chat", "acct-1"), sick("h", "moody", "moody")];
        assert_eq!(
            list(&instances, &look(Lang::En)),
            "\
INSTANCE       PHASE    CAUSE              SINCE    ORDER         MESSAGE
h/chat/acct-1  Healthy  -                  2m ago   -
h/moody        Down     ConnectionRefused  12s ago  4fd3a6b2c901  nothing listens on 127.0.0.1:7652
"
        );
        assert_eq!(
            list(&instances, &look(Lang::ZhCn)),
            "\
实例           阶段  原因               开始于  操作单        说明
h/chat/acct-1  健康  -                  2m前    -
h/moody        中断  ConnectionRefused  12s前   4fd3a6b2c901  nothing listens on 127.0.0.1:7652
"
        );
    }

    #[test]
    fn wide_has_full_names_and_exact_times() {
        let wide = list(&[sick("h", "moody", "moody")], &Look { wide: true, ..look(Lang::En) });
        for part in
            ["agents/h/gateways/moody/instances/moody", "2025-", "websocket", "default", "4fd3a6b2c901"]
        {
            assert!(wide.contains(part), "{part} is missing in\n{wide}");
        }
    }

    #[test]
    fn the_telling_condition_is_the_one_that_fails() {
        assert_eq!(telling(&healthy("h", "g", "i")), None);
        assert_eq!(telling(&sick("h", "g", "i")).map(|c| c.cause.as_str()), Some("ConnectionRefused"));
        let mut unknown = sick("h", "g", "i");
        unknown.set_phase(Phase::Unknown);
        for condition in &mut unknown.conditions {
            condition.set_status(ConditionStatus::Unknown);
            condition.cause = "AgentSilent".to_owned();
        }
        assert_eq!(telling(&unknown).map(|c| c.cause.as_str()), Some("AgentSilent"));
    }

    #[test]
    fn one_instance_shows_conditions_and_evidence() {
        let shown = detail(&sick("h", "moody", "moody"), &look(Lang::En));
        assert!(shown.starts_with("agents/h/gateways/moody/instances/moody  Down\n"), "{shown}");
        assert!(shown.contains("Reachable  False   ConnectionRefused"), "{shown}");
        assert!(shown.contains("evidence (Reachable): errno=111"), "{shown}");
    }

    #[test]
    fn a_change_is_one_line() {
        assert_eq!(
            line(&sick("h", "moody", "moody"), &look(Lang::En)),
            "h/moody  Down        Reachable ConnectionRefused: nothing listens on 127.0.0.1:7652"
        );
        assert_eq!(line(&healthy("h", "chat", "acct-1"), &look(Lang::En)), "h/chat/acct-1  Healthy");
    }
}
