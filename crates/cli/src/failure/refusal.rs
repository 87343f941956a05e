//! What a refusal says, in full.
//!
//! The controller sends google.rpc details with every error: which field, which gate with which numbers, when to try
//! again, the message in the operator's language. All of them are shown, since they are the difference between "failed"
//! and knowing what to do; nothing is shown twice.

use std::fmt::Write as _;
use std::time::Duration;

use mooring_core::cause::Lang;
use mooring_proto::link::printable;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::text::{Text, duration};

/// A refusal with everything the controller said about it that the message does not say already.
pub(super) fn words(status: &Status, lang: Lang) -> String {
    let details = status.get_error_details();
    let localized =
        details.localized_message().filter(|m| lang == Lang::ZhCn && Lang::from_tag(&m.locale) == lang);
    let message = localized.map_or_else(|| status.message().to_owned(), |m| m.message.clone());
    let gates = gates(&details);
    let headline = match (&gates, localized) {
        // The message lists the gates in one long line; below they have a line each.
        (Some(shut), None) => format!("{}: {}", shut.order, Text::NotPossibleNow.of(lang)),
        (Some(shut), Some(_)) => format!("{}: {message}", shut.order),
        (None, _) => message.clone(),
    };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}: {}: {}",
        Text::Error.of(lang),
        mooring_proto::code_name(status.code()),
        printable(&headline)
    );
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "  {label}: {}", printable(text).replace('\n', " "));
    };
    if let Some(info) = details.error_info() {
        line(Text::Reason.of(lang), &info.reason);
    }
    match gates {
        Some(shut) => {
            for (gate, words) in shut.gates {
                line(&format!("{} {gate}", Text::Gate.of(lang)), &words);
            }
        }
        None => {
            for (label, text) in
                violations(&details, lang).into_iter().filter(|(_, text)| !message.contains(text))
            {
                line(&label, &text);
            }
        }
    }
    if let Some(delay) = details.retry_info().and_then(|r| r.retry_delay) {
        line(Text::TryAgainIn.of(lang), &duration(round_up(delay)));
    }
    for link in details.help().map(|h| h.links.as_slice()).unwrap_or_default() {
        line(&link.description, &link.url);
    }
    if let Some(request) = details.request_info() {
        line(Text::RequestId.of(lang), &request.request_id);
    }
    if status.code() == Code::Unauthenticated {
        let _ = writeln!(out, "  {}", Text::TokenHint.of(lang));
    }
    out
}

/// What stands in the lists of things at fault: label and words.
fn violations(details: &ErrorDetails, lang: Lang) -> Vec<(String, String)> {
    let fields = details.bad_request().map(|b| b.field_violations.as_slice()).unwrap_or_default();
    let states = details.precondition_failure().map(|p| p.violations.as_slice()).unwrap_or_default();
    let quotas = details.quota_failure().map(|q| q.violations.as_slice()).unwrap_or_default();
    let fields =
        fields.iter().map(|v| (format!("{} {}", Text::Field.of(lang), v.field), v.description.clone()));
    let states = states.iter().map(|v| (v.subject.clone(), v.description.clone()));
    let quotas = quotas.iter().map(|v| (v.subject.clone(), v.description.clone()));
    fields.chain(states).chain(quotas).collect()
}

/// The gates that are shut.
struct Shut {
    /// The action and its target.
    order: String,
    /// Each gate with its words and numbers.
    gates: Vec<(String, String)>,
}

/// The shut gates. The controller puts them into the metadata: `gates` names them, `{gate}.message` and
/// `{gate}.{number}` are what each says.
fn gates(details: &ErrorDetails) -> Option<Shut> {
    let metadata = &details.error_info()?.metadata;
    let get = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let names = metadata.get("gates")?;
    let of = |gate: &str| {
        let prefix = format!("{gate}.");
        let mut numbers: Vec<(&str, &str)> = metadata
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value.as_str())))
            .filter(|(key, _)| *key != "message")
            .collect();
        numbers.sort_unstable();
        let numbers: Vec<String> =
            numbers.iter().map(|(key, value)| number(gate, key, value.parse().unwrap_or_default())).collect();
        let message = get(&format!("{gate}.message"));
        let words = if numbers.is_empty() { message } else { format!("{message}  ({})", numbers.join(", ")) };
        (gate.to_owned(), words)
    };
    Some(Shut {
        order: format!("{} {}", get("action"), get("target")),
        gates: names.split(',').map(of).collect(),
    })
}

/// A number of a gate. Times are in milliseconds, and shown as durations: every number of the gates that are about time,
/// and windows and cooldowns everywhere.
pub(crate) fn number(gate: &str, key: &str, value: i64) -> String {
    let time = matches!(gate, "cooldown" | "backoff") || matches!(key, "window" | "cooldown");
    match u64::try_from(value) {
        Ok(millis) if time => format!("{key} {}", duration(Duration::from_millis(millis))),
        _ => format!("{key} {value}"),
    }
}

/// Trying a moment too early is refused again, so the time is rounded up to what is shown.
fn round_up(delay: Duration) -> Duration {
    if delay < Duration::from_secs(1) {
        return Duration::from_millis(u64::try_from(delay.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX));
    }
    Duration::from_secs(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn shut_gate() -> Status {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = [
            ("target", "agents/a/gateways/g"),
            ("action", "restart_gateway"),
            ("gates", "cooldown,storm"),
            ("cooldown.message", "the last order ended 3s ago"),
            ("cooldown.limit", "10000"),
            ("cooldown.used", "3000"),
            ("storm.message", "4 of 5 gateways are sick"),
            ("storm.sick", "4"),
            ("retry_after_ms", "6100"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        details
            .set_error_info("GATE_COOLDOWN", "mooring.v1", metadata)
            .add_quota_failure_violation("cooldown:agents/a/gateways/g", "the last order ended 3s ago")
            .set_retry_info(Some(Duration::from_millis(6_100)))
            .set_localized_message("zh-CN", "冷却时间未到");
        Status::with_error_details(Code::ResourceExhausted, "long", details)
    }

    #[test]
    fn shut_gates_have_a_line_each_with_their_numbers() {
        assert_eq!(
            words(&shut_gate(), Lang::En),
            "error: RESOURCE_EXHAUSTED: restart_gateway agents/a/gateways/g: not possible now\n  \
               reason: GATE_COOLDOWN\n  \
               gate cooldown: the last order ended 3s ago  (limit 10s, used 3s)\n  \
               gate storm: 4 of 5 gateways are sick  (sick 4)\n  \
               try again in: 7s\n"
        );
        let chinese = words(&shut_gate(), Lang::ZhCn);
        assert!(
            chinese
                .starts_with("错误: RESOURCE_EXHAUSTED: restart_gateway agents/a/gateways/g: 冷却时间未到\n")
        );
    }

    #[test]
    fn fields_quotas_and_help_are_shown_unless_said_already() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("reason", "must not be empty")
            .add_bad_request_violation("action", "said already")
            .add_quota_failure_violation("groups/lab", "10 of 10 in flight")
            .add_help_link("how budgets work", "https://example.org/budgets");
        let status = Status::with_error_details(Code::InvalidArgument, "bad: said already", details);
        assert_eq!(
            words(&status, Lang::En),
            "error: INVALID_ARGUMENT: bad: said already\n  field reason: must not be empty\n  \
             groups/lab: 10 of 10 in flight\n  how budgets work: https://example.org/budgets\n"
        );
    }

    #[test]
    fn what_a_peer_says_cannot_command_the_terminal() {
        let status = Status::internal("a\u{1b}[2Jb");
        assert!(!words(&status, Lang::En).contains('\u{1b}'));
    }
}
