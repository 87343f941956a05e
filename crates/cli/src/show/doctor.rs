//! What an examination found: the steps, then each fault with its cause, how sure, why, and what to do.

use std::fmt::Write as _;

use comfy_table::Color;
use mooring_core::cause::Lang;
use mooring_proto::v1::{Diagnosis, DiagnosisCandidate, DiagnosisFault, DiagnosisFinding, DiagnosisLint};

use super::{Look, lint, one_line};
use crate::text::{Text, either};

/// Candidates shown where nothing is certain.
const SHOWN: usize = 4;

/// One step, as it happens.
pub(crate) fn step(finding: &DiagnosisFinding, look: &Look) -> String {
    let good = matches!(
        finding.sign.as_str(),
        "Works" | "Polls" | "NamespaceOk" | "CorsOpen" | "StickyKept" | "HeldThrough" | "GetAnswered"
    );
    let mark =
        if good { look.paint("✓", Some(Color::Green)) } else { look.paint("·", Some(Color::Yellow)) };
    let meaning = if finding.meaning.is_empty() {
        either(look.lang, "nothing known", "未知现象").to_owned()
    } else {
        finding.meaning.clone()
    };
    let mut line =
        format!("{mark} {}  {}: {meaning}", one_line(&finding.place), probe(&finding.probe, look.lang));
    if !finding.detail.is_empty() {
        let _ = write!(line, "  ({})", one_line(&finding.detail));
    }
    line
}

fn probe(name: &str, lang: Lang) -> String {
    mooring_core::diagnosis::Probe::from_name(name)
        .map_or_else(|| name.to_owned(), |p| p.words().lang(lang).to_owned())
}

/// The whole.
pub(crate) fn diagnosis(diagnosis: &Diagnosis, steps_shown: bool, look: &Look) -> String {
    let lang = look.lang;
    let mut out = String::new();
    if !steps_shown {
        for finding in &diagnosis.findings {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", step(finding, look));
        }
        out.push('\n');
    }
    // Where nothing was examined, the files are all there is.
    let examined = !diagnosis.places.is_empty();
    if diagnosis.healthy && examined {
        let words = either(lang, "All is well with what was looked at.", "所检查的各项均正常。");
        let _ = writeln!(out, "{}", look.paint(words, Some(Color::Green)));
    }
    if !diagnosis.healthy && diagnosis.faults.is_empty() && examined {
        let words = either(
            lang,
            "Nothing known fits what was seen: the lines above are all there is.",
            "所见现象与已知原因均不吻合，请参考以上各行。",
        );
        let _ = writeln!(out, "{}", look.paint(words, Some(Color::Yellow)));
    }
    let mut rest: Vec<&DiagnosisLint> = diagnosis.lints.iter().collect();
    for (number, fault) in diagnosis.faults.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        // A line that explains a fault is told there, and not again.
        let (here, others) = rest.into_iter().partition(|l| lint::explains(l, fault, SHOWN));
        rest = others;
        out.push_str(&one_fault(fault, &here, &diagnosis.lints, look));
    }
    out.push_str(&lint::others(&rest, &diagnosis.lints, look));
    if !examined && diagnosis.lints.iter().all(|l| l.severity == "note") {
        let words = either(
            lang,
            "Nothing in these files stands in the way of sessions.",
            "这些配置中没有妨碍会话的内容。",
        );
        let _ = writeln!(out, "{}", look.paint(words, Some(Color::Green)));
    }
    for note in &diagnosis.notes {
        let _ = writeln!(out, "\n{} {}", look.paint(&note.cause, Some(Color::Yellow)), one_line(&note.text));
    }
    if diagnosis.cut_short {
        let words = either(
            lang,
            "Not everything was asked: the bound on probes was reached.",
            "未能完成全部检查：已达到探测次数上限。",
        );
        let _ = writeln!(out, "\n{words}");
    }
    // Paragraphs are set apart from what stands before them, and the first has nothing there.
    out.trim_start_matches('\n').to_owned()
}

fn one_fault(fault: &DiagnosisFault, lints: &[&DiagnosisLint], all: &[DiagnosisLint], look: &Look) -> String {
    let lang = look.lang;
    let mut out = String::new();
    let mut place = one_line(&fault.place);
    if !fault.seen_at.is_empty() {
        let others: Vec<String> = fault.seen_at.iter().map(|p| one_line(p)).collect();
        let _ = write!(place, " ({} {})", either(lang, "also seen at", "同时见于"), others.join(", "));
    }
    let first = fault.candidates.first();
    match first.filter(|c| c.cause == fault.cause) {
        Some(verdict) => {
            let head = format!("{}  {} ({})", verdict.cause, verdict.sureness, percent(verdict));
            let _ = writeln!(out, "{}  {place}", look.bold(&look.paint(&head, Some(Color::Red))));
            // Who has the very line to change needs none to paste.
            let mended = lints.iter().any(|l| !l.patch.is_empty());
            out.push_str(&told(verdict, look, true, !mended));
            let others: Vec<String> = fault
                .candidates
                .iter()
                .skip(1)
                .take(SHOWN)
                .map(|c| format!("{} ({})", c.cause, percent(c)))
                .collect();
            if !others.is_empty() {
                let _ =
                    writeln!(out, "  {}: {}", either(lang, "less likely", "可能性较低"), others.join(", "));
            }
        }
        None => {
            let words = either(lang, "Not certain; it may be one of these", "尚不能确定，可能是以下之一");
            let _ = writeln!(out, "{}  {place}", look.bold(&look.paint(words, Some(Color::Yellow))));
            for candidate in fault.candidates.iter().take(SHOWN) {
                let _ = writeln!(
                    out,
                    "  {}  {} ({})",
                    look.bold(&candidate.cause),
                    candidate.sureness,
                    percent(candidate)
                );
                out.push_str(&told(candidate, look, false, false));
            }
        }
    }
    for found in lints {
        out.push_str(&lint::under(found, all, look));
    }
    out
}

fn percent(candidate: &DiagnosisCandidate) -> String {
    format!("{} %", candidate.score)
}

fn told(candidate: &DiagnosisCandidate, look: &Look, verdict: bool, snippets: bool) -> String {
    let lang = look.lang;
    let indent = if verdict { "  " } else { "    " };
    let mut out = String::new();
    let mut line = |head: &str, words: &str| {
        let _ = writeln!(out, "{indent}{head}: {}", one_line(words));
    };
    line(Text::Summary.of(lang), &candidate.summary);
    line(either(lang, "seen", "现象"), &candidate.sign);
    for pro in &candidate.pros {
        line(either(lang, "for it", "支持"), pro);
    }
    for con in &candidate.cons {
        line(either(lang, "against it", "反对"), con);
    }
    line(Text::Remedy.of(lang), &candidate.remedy);
    if snippets {
        for snippet in &candidate.snippets {
            let place = one_line(&snippet.r#where);
            let colon = if place.ends_with(['.', '。']) || snippet.text.is_empty() { "" } else { ":" };
            let _ = writeln!(out, "{indent}{}{colon}", look.bold(&place));
            for text in snippet.text.lines() {
                let _ = writeln!(out, "{indent}  {}", mooring_proto::link::printable(text));
            }
        }
    }
    out
}
