//! What was found in a proxy's configuration: under the fault that it explains, or on its own.

use std::fmt::Write as _;

use comfy_table::Color;
use mooring_core::cause::Cause;
use mooring_proto::v1::{DiagnosisFault, DiagnosisLint};

use super::{Look, one_line};
use crate::text::either;

/// Causes that one and the same line of a configuration makes, depending on who answers instead of the gateway.
const KIN: &[&[Cause]] = &[
    &[
        Cause::ProxyStrippedUpgrade,
        Cause::UpstreamHttp10,
        Cause::SpaFallback,
        Cause::UpgradeNotPerformed,
        Cause::WrongPath,
    ],
    &[Cause::IdleCut, Cause::TimersMisfit],
];

fn kin(one: &str, other: &str) -> bool {
    let both = |family: &&[Cause]| [one, other].iter().all(|name| family.iter().any(|c| c.name() == *name));
    one == other || KIN.iter().any(both)
}

/// Whether it is what a fault comes from, as far as can be told: the same cause as the verdict, or as one of the first
/// `thought_of` where there is none.
pub(super) fn explains(lint: &DiagnosisLint, fault: &DiagnosisFault, thought_of: usize) -> bool {
    if lint.cause.is_empty() {
        return false;
    }
    if !fault.cause.is_empty() {
        return kin(&lint.cause, &fault.cause);
    }
    fault.candidates.iter().take(thought_of).any(|c| kin(&lint.cause, &c.cause))
}

/// The lines that a patch changes, without their numbers.
fn changes(lint: &DiagnosisLint) -> Vec<&str> {
    let marked =
        |line: &'_ str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().len();
    let lines = lint.patch.lines().map(|line| line.get(line.len() - marked(line)..).unwrap_or(""));
    lines.filter(|line| line.starts_with(['+', '-'])).collect()
}

/// Whether what is to be changed for it is among what is to be changed for another one: who wrote both would write some
/// lines twice, which nginx refuses.
fn is_part(lint: &DiagnosisLint, of: &DiagnosisLint) -> bool {
    let (own, others) = (changes(lint), changes(of));
    let same_place = lint.file == of.file && lint.place == of.place;
    same_place && !own.is_empty() && own.len() < others.len() && own.iter().all(|line| others.contains(line))
}

/// Under its fault; `all` are those of the whole diagnosis.
pub(super) fn under(lint: &DiagnosisLint, all: &[DiagnosisLint], look: &Look) -> String {
    let words = match lint.patch.is_empty() {
        true => either(look.lang, "where it comes from", "出处"),
        false => either(look.lang, "the line to change", "要修改的行"),
    };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {} {}", look.bold(&format!("{words}:")), at(lint));
    out.push_str(&body(lint, all, look, "    "));
    out
}

/// Those that explain no fault, and what could not be judged.
pub(super) fn others(lints: &[&DiagnosisLint], all: &[DiagnosisLint], look: &Look) -> String {
    let mut out = String::new();
    for lint in lints.iter().filter(|l| l.severity != "doubt") {
        let color = if lint.severity == "error" { Color::Red } else { Color::Yellow };
        let severity = match lint.severity.as_str() {
            "error" => either(look.lang, "error", "错误"),
            "warning" => either(look.lang, "warning", "警告"),
            _ => either(look.lang, "note", "提示"),
        };
        let head =
            [lint.cause.as_str(), severity].iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>();
        let _ = writeln!(out, "\n{}  {}", look.bold(&look.paint(&head.join("  "), Some(color))), at(lint));
        out.push_str(&body(lint, all, look, "  "));
    }
    let mut doubts = lints.iter().filter(|l| l.severity == "doubt").peekable();
    if doubts.peek().is_some() {
        let words = either(
            look.lang,
            "Could not be judged, and nothing was concluded from it:",
            "以下内容无法判断，未据此作出任何结论：",
        );
        let _ = writeln!(out, "\n{words}");
        for lint in doubts {
            let _ = writeln!(out, "  {}: {}", at(lint), one_line(&lint.text));
        }
    }
    out
}

fn at(lint: &DiagnosisLint) -> String {
    let file = format!("{}:{}", one_line(&lint.file), lint.line);
    if lint.place.is_empty() { file } else { format!("{file}  {}", one_line(&lint.place)) }
}

fn body(lint: &DiagnosisLint, all: &[DiagnosisLint], look: &Look, indent: &str) -> String {
    let mut out = String::new();
    if !lint.found.is_empty() {
        let words = either(look.lang, "found", "现状");
        let _ = writeln!(out, "{indent}{words}: {}", one_line(&lint.found));
    }
    let _ = writeln!(out, "{indent}{}", one_line(&lint.text));
    if let Some(whole) = all.iter().find(|other| is_part(lint, other)) {
        let words = either(
            look.lang,
            "the lines to change are among those for",
            "要修改的行已包含在以下原因的修改中：",
        );
        let _ = writeln!(out, "{indent}  {words} {}", whole.cause);
        return out;
    }
    for line in lint.patch.lines() {
        let line = mooring_proto::link::printable(line);
        // The number of the line comes before the mark.
        let mark =
            line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().chars().next();
        let color = match mark {
            Some('+') => Some(Color::Green),
            Some('-') => Some(Color::Red),
            _ => None,
        };
        let _ = writeln!(out, "{indent}  {}", look.paint(&line, color));
    }
    out
}
