//! The fleet's numbers, agents, gateways, pauses.

use std::fmt::Write as _;

use comfy_table::Color;
use mooring_core::cause::Lang;
use mooring_core::phase::Phase as CorePhase;
use mooring_proto::v1::{Agent, Fleet, Gateway, OrderAction, Pause, Phase};

use super::{Look, agent_color, finish, one_line, or_dash, phase_color, rfc3339};
use crate::text::{self, Text};

/// The fleet's numbers by phase, worst first; phases that do not occur are left out.
pub(crate) fn phases(fleet: &Fleet, look: &Look) -> Vec<String> {
    let known = CorePhase::ALL.iter().rev().filter_map(|phase| {
        let count = fleet.phases.get(phase.name()).copied().filter(|n| *n > 0)?;
        let wire = wire_phase(*phase);
        Some(look.paint(&format!("{} {count}", text::phase(wire, look.lang)), phase_color(wire)))
    });
    let unknown_names = fleet
        .phases
        .iter()
        .filter(|(name, n)| **n > 0 && !CorePhase::ALL.iter().any(|p| p.name() == name.as_str()));
    known.chain(unknown_names.map(|(name, n)| format!("{name} {n}"))).collect()
}

fn wire_phase(phase: CorePhase) -> Phase {
    match phase {
        CorePhase::Unknown => Phase::Unknown,
        CorePhase::Healthy => Phase::Healthy,
        CorePhase::Degraded => Phase::Degraded,
        CorePhase::Down => Phase::Down,
        CorePhase::Flapping => Phase::Flapping,
        CorePhase::NeedsHuman => Phase::NeedsHuman,
    }
}

/// Whether somebody should look: anything sick, a storm, no database.
pub(crate) fn troubled(fleet: &Fleet) -> bool {
    let sick = ["Degraded", "Down", "Flapping", "NeedsHuman"];
    fleet.database_away
        || !fleet.storms.is_empty()
        || fleet.phases.iter().any(|(name, n)| *n > 0 && sick.contains(&name.as_str()))
}

/// What holds the controller back, a line each.
pub(crate) fn alarms(fleet: &Fleet, look: &Look) -> Vec<String> {
    let mut alarms = Vec::new();
    if fleet.database_away {
        let since = fleet.database_away_since.as_ref();
        let since = since
            .map(|t| format!(" ({} {})", Text::Since.of(look.lang), look.time(Some(t))))
            .unwrap_or_default();
        alarms.push(look.paint(&format!("{}{since}", Text::DatabaseAway.of(look.lang)), Some(Color::Red)));
    }
    if !fleet.storms.is_empty() {
        let groups = one_line(&fleet.storms.join(" "));
        alarms.push(look.paint(&format!("{}: {groups}", Text::Storms.of(look.lang)), Some(Color::Magenta)));
    }
    if !fleet.warming_up.is_empty() {
        let why = one_line(&fleet.warming_up);
        alarms.push(look.paint(&format!("{}: {why}", Text::WarmingUp.of(look.lang)), Some(Color::Yellow)));
    }
    alarms
}

/// The fleet in a few lines, with its live orders and pauses.
pub(crate) fn status(fleet: &Fleet, pauses: &[Pause], look: &Look) -> String {
    let lang = look.lang;
    let mut table = look.bare();
    let phases = phases(fleet, look);
    let agents = match lang {
        Lang::En => format!("{} of {} {}", fleet.agents_online, fleet.agents_known, Text::Online.of(lang)),
        Lang::ZhCn => format!("{} / {} {}", fleet.agents_online, fleet.agents_known, Text::Online.of(lang)),
    };
    table.add_row([Text::Controller.of(lang).to_owned(), or_dash(&fleet.version)]);
    table.add_row([Text::Agents.of(lang).to_owned(), agents]);
    table.add_row([Text::Gateways.of(lang).to_owned(), fleet.gateways.to_string()]);
    let detail = if phases.is_empty() { String::new() } else { format!("  ({})", phases.join(", ")) };
    table.add_row([Text::Instances.of(lang).to_owned(), format!("{}{detail}", fleet.instances)]);
    table.add_row([Text::LiveOrders.of(lang).to_owned(), fleet.live_orders.to_string()]);
    table.add_row([Text::Pauses.of(lang).to_owned(), fleet.pauses.to_string()]);
    let mut out = finish(table, look);
    for alarm in alarms(fleet, look) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "! {alarm}");
    }
    if !pauses.is_empty() {
        let _ = write!(out, "\n{}", self::pauses(pauses, look));
    }
    out
}

/// Agents.
pub(crate) fn agents(agents: &[Agent], look: &Look) -> String {
    let mut headings = vec![
        Text::ColAgent,
        Text::ColState,
        Text::ColNode,
        Text::ColVersion,
        Text::ColGateways,
        Text::ColInstances,
        Text::ColSeen,
    ];
    if look.wide {
        headings.push(Text::ColAttached);
    }
    let mut table = look.table(&headings);
    for agent in agents {
        let mut row = vec![
            look.cell(look.name(&agent.name), None),
            look.cell(text::agent_state(agent.state(), look.lang), agent_color(agent.state())),
            look.cell(or_dash(&agent.node), None),
            look.cell(or_dash(&agent.version), None),
            look.cell(agent.gateway_count, None),
            look.cell(agent.instance_count, None),
            look.cell(look.time(agent.last_seen_time.as_ref()), None),
        ];
        if look.wide {
            row.push(look.cell(look.time(agent.attach_time.as_ref()), None));
        }
        table.add_row(row);
    }
    finish(table, look)
}

/// Gateways.
pub(crate) fn gateways(gateways: &[Gateway], look: &Look) -> String {
    let mut headings = vec![
        Text::ColName,
        Text::ColKind,
        Text::ColGroup,
        Text::ColInstances,
        Text::ColHealthy,
        Text::ColSick,
        Text::ColAddress,
    ];
    if look.wide {
        headings.extend([Text::ColWatch, Text::ColActions]);
    }
    let mut table = look.table(&headings);
    for gateway in gateways {
        let sick = (gateway.sick_count > 0).then_some(Color::Red);
        let mut row = vec![
            look.cell(look.name(&gateway.name), None),
            look.cell(or_dash(&gateway.kind), None),
            look.cell(or_dash(&gateway.group), None),
            look.cell(gateway.instance_count, None),
            look.cell(gateway.healthy_count, None),
            look.cell(gateway.sick_count, sick),
            look.cell(or_dash(&gateway.address), None),
        ];
        if look.wide {
            let actions: Vec<&str> = gateway
                .actions()
                .filter(|a| *a != OrderAction::Unspecified)
                .map(|a| text::action(a, look.lang))
                .collect();
            row.push(look.cell(or_dash(&gateway.watch.join(", ")), None));
            row.push(look.cell(or_dash(&actions.join(", ")), None));
        }
        table.add_row(row);
    }
    finish(table, look)
}

/// Pauses.
pub(crate) fn pauses(pauses: &[Pause], look: &Look) -> String {
    let mut table =
        look.table(&[Text::ColName, Text::ColScope, Text::ColUntil, Text::ColBy, Text::ColReason]);
    for pause in pauses {
        table.add_row([
            look.name(&pause.name),
            scope(&pause.scope, look),
            look.time(pause.expire_time.as_ref()),
            or_dash(&pause.created_by),
            one_line(&pause.reason),
        ]);
    }
    finish(table, look)
}

/// What a pause covers.
pub(crate) fn scope(scope: &str, look: &Look) -> String {
    match scope {
        "" | "*" => Text::Everything.of(look.lang).to_owned(),
        name if name.starts_with("groups/") => one_line(name),
        name => look.name(name),
    }
}

/// One pause in a line.
pub(crate) fn pause_line(pause: &Pause, look: &Look) -> String {
    let until = pause.expire_time.as_ref().map(rfc3339).unwrap_or_default();
    format!(
        "{}: {} ({}) {until}",
        Text::Paused.of(look.lang),
        scope(&pause.scope, look),
        super::short(&pause.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ago, look};

    fn fleet() -> Fleet {
        Fleet {
            agents_online: 1,
            agents_known: 2,
            gateways: 3,
            instances: 4,
            phases: [("Healthy".to_owned(), 3), ("Down".to_owned(), 1), ("Flapping".to_owned(), 0)].into(),
            live_orders: 1,
            version: "0.1.0".to_owned(),
            ..Fleet::default()
        }
    }

    #[test]
    fn status_in_a_few_lines() {
        assert_eq!(
            status(&fleet(), &[], &look(Lang::En)),
            "\
controller   0.1.0
agents       1 of 2 online
gateways     3
instances    4  (Down 1, Healthy 3)
live orders  1
pauses       0
"
        );
    }

    #[test]
    fn how_a_gateway_is_watched_and_what_it_takes_is_in_wide() {
        let mut gateway = Gateway {
            name: "agents/h/gateways/chat".to_owned(),
            watch: vec!["relay".to_owned(), "kernel".to_owned()],
            ..Gateway::default()
        };
        for action in [OrderAction::CloseSession, OrderAction::CloseSessions, OrderAction::Drain] {
            gateway.push_actions(action);
        }
        let wide = gateways(std::slice::from_ref(&gateway), &Look { wide: true, ..look(Lang::En) });
        assert!(wide.contains("relay, kernel  close session, close sessions, drain\n"), "{wide}");
        assert!(!gateways(&[gateway], &look(Lang::En)).contains("WATCH"));
    }

    #[test]
    fn what_holds_the_controller_back_is_said() {
        let mut fleet = fleet();
        fleet.database_away = true;
        fleet.database_away_since = Some(ago(5));
        fleet.storms = vec!["lab".to_owned()];
        fleet.warming_up = "0 of 2 agents are back".to_owned();
        let shown = status(&fleet, &[], &look(Lang::En));
        assert!(shown.contains(
            "! the database is away: what is shown is from memory, and no order is made (since 5s ago)"
        ));
        assert!(shown.contains("! storm brake on: lab\n! warming up: 0 of 2 agents are back\n"), "{shown}");
    }

    #[test]
    fn trouble_is_what_exit_code_tells() {
        assert!(troubled(&fleet()));
        let calm = Fleet { phases: [("Healthy".to_owned(), 3), ("Unknown".to_owned(), 1)].into(), ..fleet() };
        assert!(!troubled(&calm));
        assert!(troubled(&Fleet { storms: vec!["lab".to_owned()], ..calm }));
    }

    #[test]
    fn pauses_and_agents() {
        let pause = Pause {
            name: "pauses/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901".to_owned(),
            scope: "*".to_owned(),
            reason: "maintenance".to_owned(),
            created_by: "operator:ann".to_owned(),
            expire_time: Some(ago(-600)),
            ..Pause::default()
        };
        assert_eq!(
            pauses(&[pause], &look(Lang::En)),
            "NAME          SCOPE       UNTIL   BY            REASON\n4fd3a6b2c901  everything  in 10m  operator:ann  maintenance\n"
        );
        let agent =
            Agent { name: "agents/h".to_owned(), state: 1, last_seen_time: Some(ago(3)), ..Agent::default() };
        assert_eq!(
            agents(&[agent], &look(Lang::En)),
            "AGENT  STATE   NODE  VERSION  GATEWAYS  INSTANCES  LAST SEEN\nh      online  -     -        0         0          3s ago\n"
        );
    }
}
