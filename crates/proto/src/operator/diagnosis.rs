//! Diagnoses as operators see them, in the language they asked for.

use std::time::Duration;

use mooring_core::cause::{Cause, Handling, Lang};
use mooring_core::diagnosis::{Candidate, Case, Diagnosis, Fault, Finding, Misfit, Say, Sign};

use crate::{duration, v1};

/// What one probe saw.
#[must_use]
pub fn finding(case: &Case, f: &Finding, lang: Lang) -> v1::DiagnosisFinding {
    let sign = Sign::of(f);
    v1::DiagnosisFinding {
        place: place(case, f.place),
        probe: f.probe.name().to_owned(),
        sign: sign.map_or_else(String::new, |s| s.name().to_owned()),
        meaning: sign.map_or_else(String::new, |s| s.words().lang(lang).to_owned()),
        detail: f.detail(lang),
        took: Some(duration(f.saw.took)),
        failed_step: f.saw.failed.as_ref().map_or_else(String::new, |s| s.step.name().to_owned()),
    }
}

/// What it all means.
#[must_use]
pub fn diagnosis(case: &Case, d: &Diagnosis, took: Duration, cut_short: bool, lang: Lang) -> v1::Diagnosis {
    v1::Diagnosis {
        healthy: d.healthy(),
        faults: d.faults.iter().map(|f| fault(case, f, lang)).collect(),
        places: (0..case.places.len()).map(|i| place(case, i)).collect(),
        working: d.working.iter().map(|i| place(case, *i)).collect(),
        findings: case.findings.iter().map(|f| finding(case, f, lang)).collect(),
        took: Some(duration(took)),
        cut_short,
        notes: d.notes.iter().map(|n| note(n, lang)).collect(),
        lints: Vec::new(),
    }
}

fn note(n: &Misfit, lang: Lang) -> v1::DiagnosisNote {
    v1::DiagnosisNote { cause: n.cause.name().to_owned(), text: format!("{} {}", n.what(lang), n.fix(lang)) }
}

fn place(case: &Case, index: usize) -> String {
    case.places.get(index).map_or_else(String::new, |p| p.name.clone())
}

fn fault(case: &Case, f: &Fault, lang: Lang) -> v1::DiagnosisFault {
    v1::DiagnosisFault {
        place: place(case, f.place),
        seen_at: f.seen_at.iter().map(|i| place(case, *i)).collect(),
        cause: f.verdict().map_or_else(String::new, |c| c.cause.name().to_owned()),
        candidates: f.candidates.iter().map(|c| candidate(c, lang)).collect(),
    }
}

fn candidate(c: &Candidate, lang: Lang) -> v1::DiagnosisCandidate {
    let words = c.cause.words(lang);
    let say = |all: &[Say]| all.iter().map(|s| s.lang(lang).to_owned()).collect();
    v1::DiagnosisCandidate {
        cause: c.cause.name().to_owned(),
        score: i32::from(c.score),
        sureness: c.sureness().words(lang).to_owned(),
        summary: words.summary.to_owned(),
        remedy: words.remedy.to_owned(),
        sign: c.sign.words().lang(lang).to_owned(),
        pros: say(&c.pros),
        cons: say(&c.cons),
        handling: handling(c.cause).to_owned(),
        snippets: c
            .cause
            .guide()
            .snippets
            .iter()
            .map(|s| v1::DiagnosisSnippet {
                r#where: format!("{}: {}", s.software.name(), s.place.of(lang)),
                text: s.text.to_owned(),
            })
            .collect(),
    }
}

fn handling(cause: Cause) -> &'static str {
    match cause.handling() {
        Handling::Reconnect => "RECONNECT",
        Handling::Restart => "RESTART",
        Handling::Wait => "WAIT",
        Handling::Human => "HUMAN",
    }
}
