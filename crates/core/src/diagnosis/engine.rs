//! From findings to ranked causes, and to the next question worth asking.

use std::cmp::Reverse;

use super::finding::{Case, Finding, Place, Probe, Saw, Say};
use super::rules::{self, Clue, Lift, Rule};
use super::sign::Sign;
use super::timers::{self, Misfit};
use crate::cause::{Cause, Lang};
use crate::classify::agree;
use crate::kind::Kind;

/// How far the first candidate must lead the second to be called the verdict, points of a hundred.
pub const LEAD: u8 = 15;
/// Least that a verdict must have.
const LEAST: u8 = 55;
/// Candidates below this are not worth telling.
const WORTH: u8 = 20;
/// No question is asked any more once somebody leads with this.
const ENOUGH: u8 = 97;

/// How sure a candidate is, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sureness {
    /// It may be.
    Possible,
    /// Most of what was found speaks for it.
    Likely,
    /// What was found leaves little else.
    Certain,
}

impl Sureness {
    /// In words.
    #[must_use]
    pub fn words(self, lang: Lang) -> &'static str {
        let say = match self {
            Self::Possible => Say { en: "possible", zh: "可能" },
            Self::Likely => Say { en: "likely", zh: "很可能" },
            Self::Certain => Say { en: "certain", zh: "确定" },
        };
        say.lang(lang)
    }
}

/// A cause that may be it, with what speaks for and against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub cause: Cause,
    /// How sure, 0 to 100.
    pub score: u8,
    /// The sign it rests on.
    pub sign: Sign,
    /// What else speaks for it.
    pub pros: Vec<Say>,
    /// What speaks against it.
    pub cons: Vec<Say>,
}

impl Candidate {
    /// In a word.
    #[must_use]
    pub fn sureness(&self) -> Sureness {
        match self.score {
            88.. => Sureness::Certain,
            65.. => Sureness::Likely,
            _ => Sureness::Possible,
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is: the innermost place that shows it.
    pub place: usize,
    /// Where else it is seen, further out.
    pub seen_at: Vec<usize>,
    /// What it may be, the likeliest first; never empty.
    pub candidates: Vec<Candidate>,
}

impl Fault {
    /// What it is, where that can be said: the first candidate leads by enough.
    #[must_use]
    pub fn verdict(&self) -> Option<&Candidate> {
        let first = self.candidates.first()?;
        let second = self.candidates.get(1).map_or(0, |c| c.score);
        (first.score >= LEAST && first.score.saturating_sub(second) >= LEAD).then_some(first)
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// The faults, the innermost first. Empty: nothing is wrong with what was looked at.
    pub faults: Vec<Fault>,
    /// Places whose upgrade works.
    pub working: Vec<usize>,
    /// Places whose upgrade shows something that no row knows.
    pub unknown: Vec<usize>,
    /// What the timers on the path have against each other: no fault yet.
    pub notes: Vec<Misfit>,
}

impl Diagnosis {
    /// Whether everything looked at is well, and something was.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.faults.is_empty() && self.unknown.is_empty() && !self.working.is_empty()
    }
}

/// A probe that would tell more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Want {
    /// Where.
    pub place: usize,
    /// What.
    pub probe: Probe,
}

/// Questions that are judged on their own: a CORS list has nothing to do with an idle timeout.
const QUESTIONS: [&[Probe]; 4] = [
    &[Probe::Upgrade],
    &[Probe::Namespace, Probe::Polling, Probe::Sticky],
    &[Probe::Cors],
    &[Probe::HoldSilent, Probe::HoldPinging, Probe::Told],
];

/// What is wrong, from everything that is known.
#[must_use]
pub fn diagnose(case: &Case) -> Diagnosis {
    let mut out = Diagnosis::default();
    // From the gateway outwards.
    for place in (0..case.places.len()).rev() {
        let mut handshake_failed = false;
        for (question, probes) in QUESTIONS.iter().enumerate() {
            // Without a handshake there is nothing else to judge; a browser's view is another matter.
            if handshake_failed && question == 1 {
                continue;
            }
            let signs: Vec<(Sign, &Finding)> = probes
                .iter()
                .filter_map(|probe| case.at(place, *probe))
                .filter_map(|finding| Some((Sign::of(finding)?, finding)))
                .collect();
            let candidates = candidates(case, place, &signs);
            if question == 0 {
                handshake_failed = !candidates.is_empty();
                match signs.first() {
                    Some((Sign::Works, _)) => out.working.push(place),
                    None if case.at(place, Probe::Upgrade).is_some() => out.unknown.push(place),
                    _ => {}
                }
            }
            if candidates.is_empty() {
                continue;
            }
            let outward = signs.iter().any(|(sign, _)| sign.follows());
            let cause = candidates.first().map(|c| c.cause);
            let same = out.faults.iter_mut().find(|fault| {
                fault.place > place
                    && asks(case, fault, probes)
                    && (outward
                        || fault.candidates.first().map(|c| c.cause) == cause
                        || signs.iter().any(|(s, _)| fault.candidates.iter().any(|c| c.sign == *s)))
            });
            match same {
                Some(fault) => fault.seen_at.push(place),
                None => out.faults.push(Fault { place, seen_at: Vec::new(), candidates }),
            }
        }
    }
    // Of several at one place, the surest first.
    let score = |fault: &Fault| fault.candidates.first().map_or(0, |c| c.score);
    out.faults.sort_by_key(|fault| (Reverse(fault.place), Reverse(score(fault))));
    out.notes = timers::notes(case, &out);
    out
}

/// Whether a fault was found by one of these probes.
fn asks(case: &Case, fault: &Fault, probes: &[Probe]) -> bool {
    let Some(sign) = fault.candidates.first().map(|c| c.sign) else { return false };
    probes.iter().any(|p| case.at(fault.place, *p).and_then(Sign::of) == Some(sign))
}

fn candidates(case: &Case, place: usize, signs: &[(Sign, &Finding)]) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for (sign, finding) in signs {
        for rule in rules::all().filter(|rule| rule.signs.contains(sign)) {
            let found = weigh(case, place, rule, *sign, finding);
            match all.iter_mut().find(|c| c.cause == found.cause) {
                Some(known) if known.score >= found.score => {}
                Some(known) => *known = found,
                None => all.push(found),
            }
        }
    }
    all.sort_by(|a, b| b.score.cmp(&a.score).then(a.cause.cmp(&b.cause)));
    let first = all.first().map_or(0, |c| c.score);
    // Something is told even where nothing is likely: an honest "possible".
    all.retain(|c| c.score >= WORTH || c.score == first);
    all
}

fn weigh(case: &Case, place: usize, rule: &Rule, sign: Sign, finding: &Finding) -> Candidate {
    let mut score = i16::from(rule.base);
    let (mut pros, mut cons) = (Vec::new(), Vec::new());
    for Lift { by, clue, why } in rule.lifts {
        if clue.holds(case, place, finding) {
            score += i16::from(*by);
            if *by > 0 { pros.push(*why) } else { cons.push(*why) }
        }
    }
    let score = u8::try_from(score.clamp(1, 99)).unwrap_or(1);
    Candidate { cause: rule.cause, score, sign, pros, cons }
}

/// The upgrade's sign at a place.
fn upgrade(case: &Case, place: usize) -> Option<Sign> {
    case.at(place, Probe::Upgrade).and_then(Sign::of)
}

impl Clue {
    fn holds(self, case: &Case, place: usize, finding: &Finding) -> bool {
        let link = finding.saw.link.as_ref();
        match self {
            Self::Nearer(signs) => {
                place + 1 < case.places.len() && upgrade(case, place + 1).is_some_and(|s| signs.contains(&s))
            }
            Self::Outer(signs) => {
                (0..place).any(|outer| upgrade(case, outer).is_some_and(|s| signs.contains(&s)))
            }
            Self::Here(probe, signs) => {
                case.at(place, probe).and_then(Sign::of).is_some_and(|s| signs.contains(&s))
            }
            Self::Proxied => proxied(&finding.saw) == Some(true),
            Self::NotProxied => proxied(&finding.saw) == Some(false),
            Self::Direct => case.places.get(place).is_some_and(|p| p.direct),
            Self::Expects(kinds) => case.expect.is_some_and(|kind| kinds.contains(&kind)),
            Self::EnginePath => case.engine_path,
            Self::NoToken => case.has_token == Some(false),
            Self::HasIdentity => case.has_identity,
            Self::HasToken => case.has_token == Some(true),
            Self::DefaultIdle => finding.saw.close.as_ref().is_some_and(|c| {
                c.silent_for.abs_diff(std::time::Duration::from_secs(60))
                    <= std::time::Duration::from_millis(1200)
            }),
            Self::Again => finding.saw.close.as_ref().is_some_and(|close| {
                let like = |f: &&Finding| {
                    f.place == place
                        && f.probe == finding.probe
                        && f.saw.close.as_ref().is_some_and(|other| {
                            other.code.is_none() && agree(other.silent_for, close.silent_for)
                        })
                };
                case.findings.iter().filter(like).count() > 1
            }),
            Self::WasSending => link.is_some_and(|l| l.sent_text == Some(true)),
            Self::Others => link.is_some_and(|l| l.others > 0),
        }
    }

    /// The probe that would decide it, where it is not decided.
    fn undecided(self, case: &Case, place: usize) -> Option<Probe> {
        match self {
            Self::Here(probe, _) if case.at(place, probe).is_none() => Some(probe),
            _ => None,
        }
    }
}

/// Whether an answer bears the name of a proxy; `None` without an answer.
fn proxied(saw: &Saw) -> Option<bool> {
    const PROXIES: [&str; 11] = [
        "nginx",
        "openresty",
        "tengine",
        "apache",
        "envoy",
        "caddy",
        "cloudflare",
        "varnish",
        "awselb",
        "litespeed",
        "traefik",
    ];
    let answer = saw.answer.as_ref()?;
    let server = answer.header("server").unwrap_or_default().to_ascii_lowercase();
    Some(PROXIES.iter().any(|p| server.contains(p)) || answer.header("via").is_some())
}

/// What to look at next, the most telling first; empty when nothing would tell more.
#[must_use]
pub fn wanted(case: &Case) -> Vec<Want> {
    let mut wants = Vec::new();
    let can = |probe: Probe| !case.without.contains(&probe);
    let mut want = |place: usize, probe: Probe| {
        let want = Want { place, probe };
        if can(probe) && case.at(place, probe).is_none() && !wants.contains(&want) {
            wants.push(want);
        }
    };
    for place in 0..case.places.len() {
        want(place, Probe::Upgrade);
    }
    let diagnosis = diagnose(case);
    for fault in &diagnosis.faults {
        if fault.candidates.first().is_some_and(|c| c.score >= ENOUGH) {
            continue;
        }
        let mut open: Vec<(u8, Probe)> = Vec::new();
        for candidate in &fault.candidates {
            let rules =
                rules::all().filter(|r| r.cause == candidate.cause && r.signs.contains(&candidate.sign));
            for lift in rules.flat_map(|r| r.lifts) {
                if let Some(probe) = lift.clue.undecided(case, fault.place) {
                    open.push((lift.by.unsigned_abs(), probe));
                }
            }
        }
        open.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, probe) in open {
            want(fault.place, probe);
        }
    }
    // What only a working handshake can show.
    let socket_io = case.engine_path || matches!(case.expect, Some(Kind::Socketio | Kind::Evolution));
    for place in diagnosis.working.iter().rev().copied() {
        let outermost = diagnosis.working.last() == Some(&place);
        if socket_io && outermost {
            want(place, Probe::Polling);
            want(place, Probe::Sticky);
            want(place, Probe::Namespace);
        }
        if outermost {
            want(place, Probe::HoldSilent);
        }
    }
    if socket_io {
        want(0, Probe::Cors);
    }
    wants
}

/// What one finding alone speaks for: the judgement of a watcher that sees nothing else.
#[must_use]
pub fn first_opinion(saw: Saw, probe: Probe) -> Option<Candidate> {
    let place = Place { name: String::new(), direct: false };
    let mut case = Case { places: vec![place], ..Case::default() };
    case.push(Finding { place: 0, probe, saw });
    diagnose(&case).faults.into_iter().next()?.candidates.into_iter().next()
}
