//! Examinations on the link and in the operator API: what is asked, checked, and the steps that come back.
//!
//! The question is checked twice by the same code, by the controller for the operator and by the agent for itself, which
//! dials what it names. The answers end up in operators' terminals: texts are made printable and clipped, and what cannot
//! be an examination at all (more places, findings or causes than there are) is refused as a whole.

use std::time::Duration;

use mooring_core::cause::Lang;
use mooring_core::diagnosis::{MAX_FINDINGS, MAX_PLACES};
use mooring_core::id::{AgentId, GatewayId, GatewayRef};
use mooring_core::kind::Kind;
use mooring_core::limits::clip;

use crate::link::printable;
use crate::v1::diagnose_response::Event;
use crate::{Invalid, agent_v1 as pb, duration_from, v1};

/// What an agent that examines says in its `Hello`.
pub const CAPABILITY: &str = "doctor";
/// Most examinations under way at one agent.
pub const AT_ONCE: usize = 2;
/// Most answers to one question: the findings and the diagnosis.
pub const MAX_STEPS: usize = MAX_FINDINGS + 1;
/// Longest that sessions are held.
pub const MAX_WATCH: Duration = Duration::from_secs(600);
/// Shortest: below it nothing is learnt.
pub const LEAST_WATCH: Duration = Duration::from_secs(1);
/// Longest an examination may take, apart from the sessions it holds, which are held twice at most.
const MAX_LOOK: Duration = Duration::from_secs(600);

/// Longest address, bytes: as the dialler has it.
const MAX_URL: usize = 4096;
/// Longest other text of a question, bytes.
const MAX_FIELD: usize = 256;
/// Longest stable name in an answer, bytes.
const MAX_NAME: usize = 64;
/// Longest text in an answer, bytes.
const MAX_TEXT: usize = 4096;
/// Most of anything else that an answer repeats.
const MAX_ROWS: usize = 64;

/// The longest an examination that holds sessions for so long may take.
#[must_use]
pub fn at_most(watch: Option<Duration>) -> Duration {
    MAX_LOOK + watch.unwrap_or_default().min(MAX_WATCH) * 2
}

/// What is to be examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// From where.
    pub agent: AgentId,
    /// Which of its gateways, where one is named.
    pub gateway: Option<GatewayId>,
    /// The address as users dial it; none: the gateway's.
    pub url: Option<String>,
    /// Hops between.
    pub via: Vec<String>,
    /// The gateway itself.
    pub direct: Option<String>,
    /// What is said to be there; none: the gateway's kind.
    pub expect: Option<Kind>,
    /// A page's origin.
    pub origin: Option<String>,
    /// The Socket.IO namespace.
    pub namespace: Option<String>,
    /// How long sessions are held; none: not at all.
    pub watch: Option<Duration>,
    /// Of the words; none: nobody said.
    pub lang: Option<Lang>,
}

impl Question {
    /// The longest it may take.
    #[must_use]
    pub fn at_most(&self) -> Duration {
        at_most(self.watch)
    }

    /// From a request.
    ///
    /// # Errors
    /// When a name, address, kind, time or language is none, or there are too many places.
    pub fn from_request(r: &v1::DiagnoseRequest) -> Result<Self, Invalid> {
        let (agent, gateway) = name(&r.name)?;
        let url = some(&r.url);
        if gateway.is_none() && url.is_none() {
            return Err(Invalid::new(
                "url",
                "is needed where `name` is an agent and not one of its gateways",
            ));
        }
        if r.via.len() + 2 > MAX_PLACES {
            let most = MAX_PLACES - 2;
            return Err(Invalid::new("via", format!("{} hops, at most {most} are examined", r.via.len())));
        }
        let direct = some(&r.direct);
        let named = [("url", url), ("direct", direct)].into_iter().filter_map(|(f, u)| Some((f, u?)));
        for (field, url) in named.chain(r.via.iter().map(|via| ("via", via.as_str()))) {
            address(field, url)?;
        }
        for (field, text) in [("origin", &r.origin), ("namespace", &r.namespace)] {
            if text.len() > MAX_FIELD || text.bytes().any(|b| !b.is_ascii_graphic()) {
                let problem = format!("must be at most {MAX_FIELD} characters of ASCII without spaces");
                return Err(Invalid::new(field, problem));
            }
        }
        let expect = match some(&r.expect) {
            None => None,
            Some("ws") => Some(Kind::Websocket),
            Some(kind) => Some(clip(kind, MAX_NAME).parse().map_err(|e| Invalid::new("expect", e))?),
        };
        Ok(Self {
            agent,
            gateway,
            url: url.map(str::to_owned),
            via: r.via.clone(),
            direct: direct.map(str::to_owned),
            expect,
            origin: some(&r.origin).map(str::to_owned),
            namespace: some(&r.namespace).map(str::to_owned),
            watch: watch(r.watch.as_ref())?,
            lang: lang(&r.language)?,
        })
    }
}

/// The tag of a language, as requests have it.
#[must_use]
pub fn lang_tag(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::ZhCn => "zh-CN",
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn name(text: &str) -> Result<(AgentId, Option<GatewayId>), Invalid> {
    let wrong = |why: &dyn std::fmt::Display| Invalid::new("name", why);
    let form = "must be of the form agents/{agent} or agents/{agent}/gateways/{gateway}";
    if text.len() > MAX_FIELD {
        return Err(wrong(&form));
    }
    match text.strip_prefix("agents/") {
        Some(agent) if !agent.contains('/') => Ok((AgentId::new(agent).map_err(|e| wrong(&e))?, None)),
        _ => {
            let gateway: GatewayRef = text.parse().map_err(|_| wrong(&form))?;
            Ok((gateway.agent, Some(gateway.gateway)))
        }
    }
}

/// What an address must be for anybody; the dialler knows the rest. It is not repeated: its query may hold a token.
fn address(field: &str, url: &str) -> Result<(), Invalid> {
    let wrong = |what: &str| Err(Invalid::new(field, what));
    let Some(rest) = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://")) else {
        return wrong("must begin with ws:// or wss://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if url.len() > MAX_URL || url.bytes().any(|b| !b.is_ascii_graphic()) {
        return wrong("must be at most 4096 characters of ASCII without spaces");
    }
    if authority.is_empty() {
        return wrong("names no host");
    }
    if authority.contains('@') {
        return wrong("must not hold a user or password");
    }
    if url.contains('#') {
        return wrong("must not hold a fragment (#...)");
    }
    Ok(())
}

fn watch(given: Option<&prost_types::Duration>) -> Result<Option<Duration>, Invalid> {
    let Some(given) = given else { return Ok(None) };
    let time = duration_from(given).ok_or_else(|| Invalid::new("watch", "is not a valid duration"))?;
    if time.is_zero() {
        return Ok(None);
    }
    if !(LEAST_WATCH..=MAX_WATCH).contains(&time) {
        return Err(Invalid::new("watch", "must be 1s to 600s, or 0 for not at all"));
    }
    Ok(Some(time))
}

fn lang(tag: &str) -> Result<Option<Lang>, Invalid> {
    match tag.to_ascii_lowercase().split(['-', '_']).next() {
        Some("") | None => Ok(None),
        Some("en") => Ok(Some(Lang::En)),
        Some("zh") => Ok(Some(Lang::ZhCn)),
        Some(_) => Err(Invalid::new("language", "must be en or zh-CN")),
    }
}

/// Why there is no examination, in the agent's words, and when to ask again where that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// In words.
    pub why: String,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

/// An answer for the wire: a step, and whether it is the last.
#[must_use]
pub fn answer_to_pb(number: u64, event: Event) -> pb::ExamineAnswer {
    let last = matches!(event, Event::Diagnosis(_));
    let step = v1::DiagnoseResponse { event: Some(event) };
    pb::ExamineAnswer { number, error: String::new(), step: Some(step), last, retry_after: None }
}

/// A refusal for the wire.
#[must_use]
pub fn declined_to_pb(number: u64, declined: &Declined) -> pb::ExamineAnswer {
    pb::ExamineAnswer {
        number,
        error: declined.why.clone(),
        step: None,
        last: true,
        retry_after: declined.retry_after.map(crate::duration),
    }
}

/// An answer from the wire: a step that is fit to be shown, or why there is none.
///
/// # Errors
/// When it holds neither a step nor an error, ends otherwise than with a diagnosis, or holds more than an examination can.
pub fn answer_from_pb(a: pb::ExamineAnswer) -> Result<Result<Event, Declined>, Invalid> {
    if !a.error.is_empty() {
        let retry_after = match &a.retry_after {
            None => None,
            Some(d) => Some(duration_from(d).ok_or_else(|| Invalid::new("retry_after", "is no duration"))?),
        };
        let why = printable(&clip(&a.error, mooring_core::limits::MAX_REASON));
        return Ok(Err(Declined { why, retry_after }));
    }
    match a.step.and_then(|s| s.event) {
        Some(Event::Finding(f)) if !a.last => Ok(Ok(Event::Finding(finding(f)?))),
        Some(Event::Diagnosis(d)) if a.last => Ok(Ok(Event::Diagnosis(diagnosis(d)?))),
        Some(_) => Err(Invalid::new("last", "must stand with the diagnosis, and with nothing else")),
        None => Err(Invalid::new("step", "is missing")),
    }
}

fn text(t: &str) -> String {
    printable(&clip(t, MAX_TEXT))
}

fn short(t: &str) -> String {
    printable(&clip(t, MAX_NAME))
}

fn texts(field: &str, all: &[String]) -> Result<Vec<String>, Invalid> {
    bounded(field, all.len(), MAX_ROWS)?;
    Ok(all.iter().map(|t| text(t)).collect())
}

fn bounded(field: &str, n: usize, most: usize) -> Result<(), Invalid> {
    if n <= most { Ok(()) } else { Err(Invalid::new(field, format!("{n} of them, at most {most} can be"))) }
}

fn took(field: &str, d: Option<prost_types::Duration>) -> Result<Option<prost_types::Duration>, Invalid> {
    match &d {
        Some(given) if duration_from(given).is_none() => Err(Invalid::new(field, "is not a valid duration")),
        _ => Ok(d),
    }
}

fn finding(f: v1::DiagnosisFinding) -> Result<v1::DiagnosisFinding, Invalid> {
    Ok(v1::DiagnosisFinding {
        place: text(&f.place),
        probe: short(&f.probe),
        sign: short(&f.sign),
        meaning: text(&f.meaning),
        detail: text(&f.detail),
        took: took("finding.took", f.took)?,
        failed_step: short(&f.failed_step),
    })
}

fn diagnosis(d: v1::Diagnosis) -> Result<v1::Diagnosis, Invalid> {
    bounded("diagnosis.findings", d.findings.len(), MAX_FINDINGS)?;
    bounded("diagnosis.faults", d.faults.len(), MAX_ROWS)?;
    bounded("diagnosis.places", d.places.len(), MAX_PLACES)?;
    bounded("diagnosis.working", d.working.len(), MAX_PLACES)?;
    bounded("diagnosis.notes", d.notes.len(), MAX_ROWS)?;
    Ok(v1::Diagnosis {
        healthy: d.healthy,
        faults: d.faults.into_iter().map(fault).collect::<Result<_, _>>()?,
        places: texts("diagnosis.places", &d.places)?,
        working: texts("diagnosis.working", &d.working)?,
        findings: d.findings.into_iter().map(finding).collect::<Result<_, _>>()?,
        took: took("diagnosis.took", d.took)?,
        cut_short: d.cut_short,
        notes: d
            .notes
            .into_iter()
            .map(|n| v1::DiagnosisNote { cause: short(&n.cause), text: text(&n.text) })
            .collect(),
        // An agent reads nobody's configuration.
        lints: Vec::new(),
    })
}

fn fault(f: v1::DiagnosisFault) -> Result<v1::DiagnosisFault, Invalid> {
    bounded("fault.candidates", f.candidates.len(), MAX_ROWS)?;
    Ok(v1::DiagnosisFault {
        place: text(&f.place),
        seen_at: texts("fault.seen_at", &f.seen_at)?,
        cause: short(&f.cause),
        candidates: f.candidates.into_iter().map(candidate).collect::<Result<_, _>>()?,
    })
}

fn candidate(c: v1::DiagnosisCandidate) -> Result<v1::DiagnosisCandidate, Invalid> {
    if !(0..=100).contains(&c.score) {
        return Err(Invalid::new("candidate.score", format!("{} is not within 0 to 100", c.score)));
    }
    bounded("candidate.snippets", c.snippets.len(), MAX_ROWS)?;
    Ok(v1::DiagnosisCandidate {
        cause: short(&c.cause),
        score: c.score,
        sureness: short(&c.sureness),
        summary: text(&c.summary),
        remedy: text(&c.remedy),
        sign: text(&c.sign),
        pros: texts("candidate.pros", &c.pros)?,
        cons: texts("candidate.cons", &c.cons)?,
        handling: short(&c.handling),
        snippets: c
            .snippets
            .into_iter()
            .map(|s| v1::DiagnosisSnippet { r#where: text(&s.r#where), text: text(&s.text) })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::DiagnoseRequest {
        v1::DiagnoseRequest { name: "agents/a/gateways/chat".to_owned(), ..v1::DiagnoseRequest::default() }
    }

    #[test]
    fn a_question_is_read() {
        let bare = Question::from_request(&request()).unwrap();
        assert_eq!((bare.agent.as_str(), bare.gateway.as_ref().unwrap().as_str()), ("a", "chat"));
        assert_eq!((bare.url, bare.watch, bare.lang), (None, None, None));
        let full = v1::DiagnoseRequest {
            name: "agents/a".to_owned(),
            url: "wss://chat.example/ws?token=x".to_owned(),
            via: vec!["ws://10.0.0.5:3001/ws".to_owned()],
            expect: "ws".to_owned(),
            watch: Some(crate::duration(Duration::from_secs(60))),
            language: "zh_CN".to_owned(),
            ..v1::DiagnoseRequest::default()
        };
        let full = Question::from_request(&full).unwrap();
        assert_eq!((full.gateway, full.expect, full.lang), (None, Some(Kind::Websocket), Some(Lang::ZhCn)));
        assert_eq!(at_most(full.watch), Duration::from_secs(720));
    }

    #[test]
    fn what_is_no_question_is_refused_by_its_field() {
        type Spoil = fn(&mut v1::DiagnoseRequest);
        let spoilt: [(&str, Spoil); 14] = [
            ("name", |r| r.name = "chat".to_owned()),
            ("name", |r| r.name = "agents/A".to_owned()),
            ("name", |r| r.name = "agents/a/gateways/g/instances/i".to_owned()),
            ("url", |r| r.name = "agents/a".to_owned()),
            ("url", |r| r.url = "http://x/".to_owned()),
            ("url", |r| r.url = "ws:///x".to_owned()),
            ("url", |r| r.url = "ws://user:hunter2@x/".to_owned()),
            ("direct", |r| r.direct = "ws://x/ y".to_owned()),
            ("via", |r| r.via = vec!["ws://x/".to_owned(); MAX_PLACES]),
            ("origin", |r| r.origin = "x\r\ny: z".to_owned()),
            ("expect", |r| r.expect = "telnet".to_owned()),
            ("watch", |r| r.watch = Some(crate::duration(Duration::from_secs(601)))),
            ("watch", |r| r.watch = Some(prost_types::Duration { seconds: -1, nanos: 0 })),
            ("language", |r| r.language = "tlh".to_owned()),
        ];
        for (field, spoil) in spoilt {
            let mut bad = request();
            spoil(&mut bad);
            let invalid = Question::from_request(&bad).unwrap_err();
            assert_eq!(invalid.field, field, "{invalid}");
            assert!(!invalid.to_string().contains("hunter2"), "{invalid}");
        }
    }

    #[test]
    fn answers_are_made_fit_to_be_shown_and_bounded() {
        let seen = v1::DiagnosisFinding {
            detail: format!("red \u{1b}[31m{}", "x".repeat(9_000)),
            ..v1::DiagnosisFinding::default()
        };
        let answer = answer_to_pb(7, Event::Finding(seen.clone()));
        assert!(!answer.last);
        let Ok(Ok(Event::Finding(shown))) = answer_from_pb(answer) else { panic!("a finding") };
        assert!(shown.detail.starts_with("red \u{fffd}[31mx") && shown.detail.len() <= MAX_TEXT + 8);
        let many =
            v1::Diagnosis { findings: vec![seen.clone(); MAX_FINDINGS + 1], ..v1::Diagnosis::default() };
        assert!(answer_from_pb(answer_to_pb(7, Event::Diagnosis(many))).is_err());
        let odd = v1::DiagnosisCandidate { score: 101, ..v1::DiagnosisCandidate::default() };
        let odd = v1::DiagnosisFault { candidates: vec![odd], ..v1::DiagnosisFault::default() };
        let odd = v1::Diagnosis { faults: vec![odd], ..v1::Diagnosis::default() };
        assert!(answer_from_pb(answer_to_pb(7, Event::Diagnosis(odd))).is_err());
        // The end is the diagnosis, and the diagnosis is the end.
        let early = pb::ExamineAnswer { last: true, ..answer_to_pb(7, Event::Finding(seen)) };
        assert!(answer_from_pb(early).is_err());
        assert!(answer_from_pb(pb::ExamineAnswer { number: 7, ..pb::ExamineAnswer::default() }).is_err());
        let declined = Declined { why: "not today".to_owned(), retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(answer_from_pb(declined_to_pb(7, &declined)), Ok(Err(declined)));
    }
}
