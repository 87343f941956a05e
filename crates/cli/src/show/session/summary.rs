//! All sessions in a few numbers, and what those numbers leave out.

use comfy_table::Color;
use mooring_core::cause::Lang;
use mooring_proto::v1::{Quantiles, SessionSummary, Unanswered};
use unicode_width::UnicodeWidthStr as _;

use super::{Look, words};
use crate::show::{one_line, short, span};
use crate::text::Text;

/// Most agents without an answer that are named.
const MAX_NAMED: usize = 5;

/// How many have something wrong.
fn sick(summary: &SessionSummary) -> i64 {
    summary.sick.values().fold(0, |sum, n| sum.saturating_add(*n))
}

/// The numbers in a line (where the terminal is narrower, in two or three): how many are open and sick and of what, what
/// half and what 99 of 100 are not above. `shown` is how many are shown when there are more of them.
pub(crate) fn summary(summary: &SessionSummary, shown: Option<usize>, look: &Look) -> String {
    let zh = look.lang == Lang::ZhCn;
    let mut parts =
        vec![if zh { format!("打开 {}", summary.open) } else { format!("{} open", summary.open) }];
    let count = sick(summary);
    if count > 0 {
        let words = if zh { format!("异常 {count}") } else { format!("{count} sick") };
        parts.push(format!("{words}: {}", faults(&summary.sick)));
    }
    if summary.unwatched > 0 {
        let n = summary.unwatched;
        parts.push(if zh { format!("未检查 {n}") } else { format!("{n} not looked at") });
    }
    let latency = words::latency as fn(Option<&prost_types::Duration>) -> String;
    let mut numbers: Vec<String> = [
        (if zh { "往返" } else { "rtt" }, &summary.rtt, latency),
        (if zh { "静默" } else { "silent" }, &summary.silence, span),
        (if zh { "时长" } else { "age" }, &summary.age, span),
    ]
    .into_iter()
    .filter_map(|(label, quantiles, form)| Some(format!("{label} {}", both(quantiles.as_ref()?, form))))
    .collect();
    if let Some(last) = numbers.last_mut() {
        last.push_str(" (p50/p99)");
    }
    parts.extend(numbers);
    if let Some(shown) = shown {
        parts.push(if zh {
            format!("显示 {shown}，更多请用 --limit")
        } else {
            format!("{shown} shown, more with --limit")
        });
    }
    join(&parts, look.width.map(usize::from))
}

fn both(quantiles: &Quantiles, form: impl Fn(Option<&prost_types::Duration>) -> String) -> String {
    format!("{}/{}", form(quantiles.p50.as_ref()), form(quantiles.p99.as_ref()))
}

/// Causes with how many each, the most first.
pub(super) fn faults(by_cause: &std::collections::BTreeMap<String, i64>) -> String {
    let mut faults: Vec<(&String, &i64)> = by_cause.iter().filter(|(_, n)| **n > 0).collect();
    faults.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    faults.iter().map(|(cause, n)| format!("{} {n}", one_line(cause))).collect::<Vec<_>>().join(", ")
}

/// Parts in as few lines as they fit in; none is broken.
fn join(parts: &[String], width: Option<usize>) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for part in parts {
        if used == 0 {
            used = part.width();
        } else if width.is_none_or(|width| used + 2 + part.width() < width) {
            out.push_str("; ");
            used += 2 + part.width();
        } else {
            out.push_str(";\n");
            used = part.width();
        }
        out.push_str(part);
    }
    out.push('\n');
    out
}

/// Who did not answer, a line each, and what that means; nothing when all have.
pub(crate) fn unanswered(unanswered: &[Unanswered], look: &Look) -> Vec<String> {
    let mut lines: Vec<String> = unanswered
        .iter()
        .take(MAX_NAMED)
        .map(|silent| {
            // A name for none in particular: those that the controller itself has left out.
            if silent.name == "agents/-" {
                return format!("... {}", one_line(&silent.reason));
            }
            let name = if look.wide { one_line(&silent.name) } else { short(&silent.name) };
            format!("{name} {}: {}", Text::NoAnswer.of(look.lang), one_line(&silent.reason))
        })
        .collect();
    if unanswered.len() > MAX_NAMED {
        lines.push(format!("... +{}", unanswered.len() - MAX_NAMED));
    }
    if !lines.is_empty() {
        lines.push(Text::NotEverything.of(look.lang).to_owned());
    }
    lines.iter().map(|line| look.paint(&format!("! {line}"), Some(Color::Yellow))).collect()
}
