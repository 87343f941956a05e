//! Why an instance is as it is; and every cause there is, with what to do about it.

use std::fmt::Write as _;

use comfy_table::Color;
use mooring_core::cause::{Cause, Handling, Lang};
use mooring_proto::v1::{ExplainInstanceResponse, GateVerdict, OrderAction};

use super::{Look, event, finish, instance, one_line, order, phase_color, short, span};
use crate::failure::number;
use crate::text::{self, Text, either};

/// The whole explanation.
pub(crate) fn explanation(answer: &ExplainInstanceResponse, look: &Look) -> String {
    let lang = look.lang;
    let mut out = String::new();
    let shown = answer.instance.clone().unwrap_or_default();
    let phase = look.paint(&instance::phase_words(&shown, look), phase_color(shown.phase()));
    // Writing to a String cannot fail.
    let _ = write!(out, "{}  {phase}", look.bold(&shown.name));
    if answer.phase_age.is_some() {
        let _ = write!(out, "  {} {}", Text::For.of(lang), span(answer.phase_age.as_ref()));
    }
    out.push('\n');
    let mut paragraph = |heading: Text, words: &str| {
        if !words.is_empty() {
            let _ = writeln!(out, "\n{}: {}", look.bold(heading.of(lang)), one_line(words));
        }
    };
    let (summary, remedy) = words(answer, lang);
    paragraph(Text::Summary, &summary);
    paragraph(Text::Remedy, &remedy);
    paragraph(Text::Next, &next(answer, look));
    let _ = write!(
        out,
        "\n{}\n{}",
        look.bold(Text::Conditions.of(lang)),
        instance::conditions(&shown.conditions, look)
    );
    if !answer.gates.is_empty() {
        let policy = if answer.policy.is_empty() {
            String::new()
        } else {
            format!(" ({} {})", Text::Policy.of(lang), short(&answer.policy))
        };
        let _ = write!(out, "\n{}{policy}\n{}", look.bold(Text::Gates.of(lang)), gates(&answer.gates, look));
    }
    if !answer.recent_orders.is_empty() {
        let list = order::list(&answer.recent_orders, look);
        let _ = write!(out, "\n{}\n{list}", look.bold(Text::RecentOrders.of(lang)));
    }
    if !answer.recent_events.is_empty() {
        let list = event::list(&answer.recent_events, look);
        let _ = write!(out, "\n{}\n{list}", look.bold(Text::RecentEvents.of(lang)));
    }
    out
}

/// Summary and remedy: the controller's where it sent them, else those of the cause as this program knows them.
fn words(answer: &ExplainInstanceResponse, lang: Lang) -> (String, String) {
    let cause =
        answer.instance.as_ref().and_then(instance::telling).and_then(|c| c.cause.parse::<Cause>().ok());
    let own = cause.map(|c| c.words(lang));
    let or = |theirs: &str, ours: Option<&'static str>| {
        if theirs.is_empty() { ours.unwrap_or_default().to_owned() } else { theirs.to_owned() }
    };
    (or(&answer.summary, own.map(|w| w.summary)), or(&answer.remedy, own.map(|w| w.remedy)))
}

/// What comes next, when and why.
fn next(answer: &ExplainInstanceResponse, look: &Look) -> String {
    let lang = look.lang;
    let mut line = match answer.next_action() {
        OrderAction::Unspecified => Text::NextNothing.of(lang).to_owned(),
        action => {
            let due = answer.next_action_time.as_ref();
            let passed = due.and_then(mooring_proto::timestamp_from).is_none_or(|t| t <= look.now);
            let when = match due {
                Some(_) if !passed || look.wide => format!("{} {}", Text::NotBefore.of(lang), look.time(due)),
                _ => Text::AtOnce.of(lang).to_owned(),
            };
            format!("{}, {when}", text::action(action, lang))
        }
    };
    if !answer.next_action_reason.is_empty() {
        let _ = write!(line, ": {}", answer.next_action_reason);
    }
    line
}

/// Gates, each with a tick or a cross and its numbers.
pub(crate) fn gates(gates: &[GateVerdict], look: &Look) -> String {
    let mut table = look.table(&[Text::ColGate, Text::ColMessage, Text::ColNumbers]);
    for gate in gates {
        let (mark, color) = if gate.open { ("✓", Color::Green) } else { ("✗", Color::Red) };
        let numbers: Vec<String> =
            gate.numbers.iter().map(|(key, value)| number(&gate.gate, key, *value)).collect();
        let mut message = one_line(&gate.message);
        if gate.retry_after.is_some() && !gate.open {
            let _ =
                write!(message, " ({} {})", Text::TryAgainIn.of(look.lang), span(gate.retry_after.as_ref()));
        }
        table.add_row([
            look.cell(format!("{mark} {}", gate.gate), Some(color)),
            look.cell(message, None),
            look.cell(numbers.join(", "), None),
        ]);
    }
    finish(table, look)
}

/// Every cause, with what it means and what to do.
pub(crate) fn causes(look: &Look) -> String {
    if look.width.is_none() {
        // Piped: paragraphs, since a table's cells would be hundreds of columns wide.
        return Cause::all()
            .map(|cause| {
                let words = cause.words(look.lang);
                let handling = handling(cause.handling(), look.lang);
                format!("{cause} [{handling}]\n  {}\n  {}\n", words.summary, words.remedy)
            })
            .collect();
    }
    let mut table = look.table(&[Text::ColCause, Text::ColHandling, Text::ColMeaning, Text::ColRemedy]);
    for cause in Cause::all() {
        let words = cause.words(look.lang);
        table.add_row([cause.name(), handling(cause.handling(), look.lang), words.summary, words.remedy]);
    }
    finish(table, look)
}

/// Every cause as JSON: not a message of the API, since it is known offline.
pub(crate) fn causes_json(lang: Lang) -> serde_json::Value {
    let causes = Cause::all().map(|cause| {
        let words = cause.words(lang);
        serde_json::json!({
            "cause": cause.name(),
            "handling": handling(cause.handling(), Lang::En),
            "meaning": words.summary,
            "remedy": words.remedy,
        })
    });
    serde_json::json!({ "causes": causes.collect::<Vec<_>>() })
}

fn handling(handling: Handling, lang: Lang) -> &'static str {
    let (en, zh) = match handling {
        Handling::Reconnect => ("reconnect", "重连"),
        Handling::Restart => ("restart", "重启"),
        Handling::Wait => ("wait", "等待"),
        Handling::Human => ("human", "人工"),
    };
    either(lang, en, zh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ago, look, order, sick};
    use mooring_proto::v1::OrderState;

    fn answer() -> ExplainInstanceResponse {
        ExplainInstanceResponse {
            instance: Some(sick("h", "moody", "moody")),
            gates: vec![
                GateVerdict {
                    gate: "cooldown".to_owned(),
                    message: "the last order ended 3s ago".to_owned(),
                    numbers: [("limit".to_owned(), 10_000), ("used".to_owned(), 3_000)].into(),
                    retry_after: Some(prost_types::Duration { seconds: 7, nanos: 0 }),
                    ..GateVerdict::default()
                },
                GateVerdict {
                    gate: "storm".to_owned(),
                    open: true,
                    message: "calm".to_owned(),
                    ..GateVerdict::default()
                },
            ],
            next_action: OrderAction::RestartGateway.into(),
            next_action_time: Some(ago(-7)),
            next_action_reason: "step 1 of 2 for ConnectionRefused".to_owned(),
            policy: "policies/default".to_owned(),
            recent_orders: vec![order(OrderState::Succeeded)],
            phase_age: Some(prost_types::Duration { seconds: 12, nanos: 0 }),
            ..ExplainInstanceResponse::default()
        }
    }

    #[test]
    fn the_explanation_says_what_why_and_what_next() {
        let shown = explanation(&answer(), &look(Lang::En));
        for part in [
            "agents/h/gateways/moody/instances/moody  Down  for 12s\n",
            // The controller sent no words here: those of the cause stand in.
            "summary: Nothing listens on the gateway's port",
            "what to do: The process is down",
            "next: restart gateway, not before in 7s: step 1 of 2 for ConnectionRefused\n",
            "gates, as they would answer the next order now (policy default)\n",
            "✗ cooldown  the last order ended 3s ago (try again in 7s)  limit 10s, used 3s\n",
            "✓ storm     calm\n",
            "recent orders\n",
        ] {
            assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
        }
        let chinese = explanation(&answer(), &look(Lang::ZhCn));
        assert!(chinese.contains("概要: 网关端口上没有进程监听"), "{chinese}");
    }

    #[test]
    fn the_controllers_words_come_first() {
        let mut answer = answer();
        answer.summary = "its own words".to_owned();
        answer.next_action = 0;
        answer.next_action_reason = String::new();
        let shown = explanation(&answer, &look(Lang::En));
        assert!(
            shown.contains("summary: its own words\n") && shown.contains("next: nothing is due\n"),
            "{shown}"
        );
    }

    #[test]
    fn every_cause_is_listed_in_every_form() {
        let narrow = Look { width: Some(100), ..look(Lang::ZhCn) };
        let (piped, table, json) = (causes(&look(Lang::En)), causes(&narrow), causes_json(Lang::En));
        for cause in Cause::all() {
            assert!(piped.contains(&format!("{cause} [")), "{cause}");
            assert!(table.contains(cause.name()) || cause.name().len() > 20, "{cause}");
        }
        assert_eq!(json["causes"].as_array().map(Vec::len), Some(Cause::all().count()));
    }
}
