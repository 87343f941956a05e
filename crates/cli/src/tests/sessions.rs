//! Sessions against a small server of our own, which answers as a controller would; and a few sessions to show.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _};
use mooring_proto::v1::session_service_server::SessionService;
use mooring_proto::v1::*;
use tonic::{Request, Response, Status};

use super::server::{Server, run};
use super::{NOW, ago};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn millis(millis: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos: i32::try_from(millis * 1_000_000).unwrap() })
}

/// A session that is well: seen by a relay, of an instance that bears its id behind `acct-`.
pub(crate) fn session(agent: &str, gateway: &str, id: &str) -> Session {
    Session {
        name: format!("agents/{agent}/gateways/{gateway}/sessions/{id}"),
        instance: format!("agents/{agent}/gateways/{gateway}/instances/acct-{id}"),
        source: SessionSource::Relay.into(),
        state: SessionState::Open.into(),
        peer: "192.0.2.17:51234".to_owned(),
        local: "127.0.0.1:8080".to_owned(),
        age: seconds(3_725),
        received: Some(SessionFlow {
            bytes: Some(1_290),
            messages: Some(31),
            silent: seconds(3),
            ..Default::default()
        }),
        sent: Some(SessionFlow { bytes: Some(36_700_160), silent: seconds(4), ..Default::default() }),
        silent: seconds(3),
        rtt: millis(12),
        protocol: "permessage-deflate".to_owned(),
        ..Session::default()
    }
}

/// One seen by the kernel that is half open; whose it is nobody knows.
pub(crate) fn sick() -> Session {
    Session {
        source: SessionSource::Kernel.into(),
        instance: String::new(),
        age_at_least: true,
        sent: Some(SessionFlow { bytes: Some(512), queued: Some(2_048), ..Default::default() }),
        silent: seconds(95),
        rtt: None,
        retransmits: Some(6),
        protocol: String::new(),
        cause: "HalfOpen".to_owned(),
        message: "6 segments in 95 s were not acknowledged".to_owned(),
        ..session("h", "chat", "k7")
    }
}

/// 812 of them in numbers.
pub(crate) fn summary() -> SessionSummary {
    let both = |p50, p99| Some(Quantiles { p50, p99, ..Quantiles::default() });
    SessionSummary {
        open: 812,
        sick: [("PeerStalled".to_owned(), 5), ("HalfOpen".to_owned(), 9)].into(),
        rtt: both(millis(12), millis(240)),
        silence: both(seconds(3), seconds(65)),
        age: both(seconds(3_600), seconds(172_800)),
        ..SessionSummary::default()
    }
}

/// An agent that did not answer.
pub(crate) fn unanswered() -> Vec<Unanswered> {
    vec![Unanswered { name: "agents/b/gateways/feed".to_owned(), reason: "no answer within 5s".to_owned() }]
}

/// What was asked of sessions.
#[derive(Debug, Default)]
struct Asked {
    lists: Vec<ListSessionsRequest>,
    watches: Vec<WatchSessionsRequest>,
    closes: Vec<ListSessionClosesRequest>,
    counts: Vec<ListSessionCountsRequest>,
    gets: Vec<String>,
}

/// A controller with these sessions. Of filters it knows those that the command itself makes.
#[derive(Clone, Default)]
pub(super) struct Sessions {
    all: Vec<Session>,
    unanswered: Vec<Unanswered>,
    nobody: bool,
    asked: Arc<Mutex<Asked>>,
}

impl Sessions {
    fn of(all: Vec<Session>) -> Self {
        Self { all, ..Self::default() }
    }

    fn fitting(&self, parent: &str, filter: &str) -> Vec<Session> {
        let gateway = parent.rsplit("/gateways/").next().unwrap_or_default();
        let wanted = filter.strip_prefix("session = \"").and_then(|rest| rest.strip_suffix('"'));
        let fits = |s: &&Session| {
            (parent.is_empty() || s.name.contains(&format!("/gateways/{gateway}/")))
                && wanted.is_none_or(|id| s.name.ends_with(&format!("/sessions/{id}")))
        };
        self.all.iter().filter(fits).cloned().collect()
    }

    fn summary(&self) -> Option<SessionSummary> {
        (!self.nobody).then(summary)
    }
}

type Looks = Pin<Box<dyn Stream<Item = Result<WatchSessionsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SessionService for Sessions {
    type WatchSessionsStream = Looks;

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let all = self.fitting(&request.parent, &request.filter);
        // A filtered list may well begin with an empty page, and never are more than two on one: as a server may.
        if !request.filter.is_empty() && request.page_token.is_empty() {
            self.asked.lock().unwrap().lists.push(request);
            let unanswered = self.unanswered.clone();
            let (next_page_token, summary) = ("0".to_owned(), self.summary());
            return Ok(Response::new(ListSessionsResponse {
                next_page_token,
                summary,
                unanswered,
                ..Default::default()
            }));
        }
        let from: usize = request.page_token.parse().unwrap_or(0);
        let size = usize::try_from(request.page_size).unwrap().min(2);
        let sessions: Vec<Session> = all.iter().skip(from).take(size).cloned().collect();
        let end = from + sessions.len();
        let next_page_token = if end < all.len() { end.to_string() } else { String::new() };
        self.asked.lock().unwrap().lists.push(request);
        Ok(Response::new(ListSessionsResponse {
            sessions,
            next_page_token,
            summary: self.summary(),
            unanswered: self.unanswered.clone(),
        }))
    }

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<Session>, Status> {
        let name = request.into_inner().name;
        self.asked.lock().unwrap().gets.push(name.clone());
        let found = self.all.iter().find(|s| s.name == name).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found(format!("{name} is not open")))
    }

    async fn watch_sessions(
        &self,
        request: Request<WatchSessionsRequest>,
    ) -> Result<Response<Looks>, Status> {
        let request = request.into_inner();
        let look = |sessions| WatchSessionsResponse {
            sessions,
            summary: self.summary(),
            unanswered: self.unanswered.clone(),
            time: Some(ago(0)),
        };
        let life = {
            let mut asked = self.asked.lock().unwrap();
            asked.watches.push(request);
            asked.watches.len()
        };
        let script = match life {
            1 => vec![Ok(look(self.all.clone())), Err(Status::unavailable("moving house"))],
            _ => vec![Ok(look(Vec::new())), Err(Status::permission_denied("enough"))],
        };
        Ok(Response::new(tokio_stream::iter(script).boxed()))
    }

    async fn list_session_closes(
        &self,
        request: Request<ListSessionClosesRequest>,
    ) -> Result<Response<ListSessionClosesResponse>, Status> {
        self.asked.lock().unwrap().closes.push(request.into_inner());
        let close = SessionClose {
            session: "agents/h/gateways/chat/sessions/k7".to_owned(),
            source: SessionSource::Kernel.into(),
            time: Some(ago(12)),
            age: seconds(95),
            silent_for: seconds(60),
            ended_by: "path".to_owned(),
            cause: "IdleCut".to_owned(),
            message: "cut after 60 s of silence".to_owned(),
            ..SessionClose::default()
        };
        Ok(Response::new(ListSessionClosesResponse { closes: vec![close], ..Default::default() }))
    }

    async fn list_session_counts(
        &self,
        request: Request<ListSessionCountsRequest>,
    ) -> Result<Response<ListSessionCountsResponse>, Status> {
        self.asked.lock().unwrap().counts.push(request.into_inner());
        let count = SessionCounts {
            gateway: "agents/h/gateways/chat".to_owned(),
            open: 812,
            sick: 14,
            opened: 9_001,
            closed: 8_189,
            closed_by_cause: [("IdleCut".to_owned(), 12), ("MassReset".to_owned(), 40)].into(),
            time: Some(ago(9)),
        };
        Ok(Response::new(ListSessionCountsResponse { counts: vec![count], ..Default::default() }))
    }
}

/// A server with these sessions, and what it was asked.
async fn start(sessions: Sessions) -> (SocketAddr, Arc<Mutex<Asked>>) {
    let asked = Arc::clone(&sessions.asked);
    (Server { sessions, ..Server::default() }.start().await.0, asked)
}

fn three() -> Vec<Session> {
    vec![sick(), session("h", "chat", "r1"), session("h", "moody", "r1")]
}

#[tokio::test]
async fn the_worst_come_first_with_their_numbers_below() {
    let (address, asked) = start(Sessions::of(three())).await;
    let (outcome, printed, notes) = run(address, "sessions --limit 2").await;
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(
        printed,
        "\
SESSION  INSTANCE      SOURCE  STATE  AGE    SILENT  RTT   WRONG
k7       chat          kernel  open   ≥1h2m  1m35s   -     HalfOpen
r1       chat/acct-r1  relay   open   1h2m   3s      12ms  -

812 open; 14 sick: HalfOpen 9, PeerStalled 5; rtt 12ms/240ms; silent 3s/1m5s; age 1h/2d (p50/p99); 2 shown, more with --limit
"
    );
    assert!(notes.is_empty(), "{notes}");
    run(address, "sessions chat --sort rtt --filter x").await.0.unwrap();
    let asked = asked.lock().unwrap();
    let [first, second, rest] = asked.lists.as_slice() else { panic!("{:?}", asked.lists) };
    assert_eq!(rest.page_token, "0");
    assert_eq!((first.parent.as_str(), first.order_by.as_str(), first.page_size), ("", "worst", 2));
    assert_eq!(
        (second.parent.as_str(), second.order_by.as_str(), second.filter.as_str(), second.page_size),
        ("agents/h/gateways/chat", "rtt", "x", 20)
    );
}

#[tokio::test]
async fn json_has_every_page_and_says_who_is_missing() {
    let (address, _) = start(Sessions { unanswered: unanswered(), ..Sessions::of(three()) }).await;
    let (outcome, printed, notes) = run(address, "sessions -o json").await;
    assert_eq!(outcome.unwrap(), 0);
    let answer = ListSessionsResponse {
        sessions: three(),
        next_page_token: String::new(),
        summary: Some(summary()),
        unanswered: unanswered(),
    };
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json, mooring_proto::json::to_json("mooring.v1.ListSessionsResponse", &answer).unwrap());
    assert_eq!(json["sessions"][0]["state"], "SESSION_STATE_OPEN");
    assert_eq!(notes, "! b/feed did not answer: no answer within 5s\n! what is shown is not everything\n");
    let (_, names, _) = run(address, "sessions -o name").await;
    assert_eq!(names.lines().next(), Some("agents/h/gateways/chat/sessions/k7"));
    assert_eq!(names.lines().count(), 3);
}

#[tokio::test]
async fn only_when_nothing_is_known_it_is_a_problem() {
    let silent = Sessions { unanswered: unanswered(), nobody: true, ..Sessions::default() };
    let (address, _) = start(silent).await;
    let (outcome, printed, notes) = run(address, "sessions").await;
    assert_eq!((outcome.unwrap(), printed.as_str()), (crate::failure::PROBLEM, "nothing found\n\n"));
    assert!(notes.contains("did not answer"), "{notes}");
    // Nothing there is no problem, nor is nothing that matches.
    let (address, _) = start(Sessions { nobody: true, ..Sessions::default() }).await;
    assert_eq!(run(address, "sessions").await.0.unwrap(), 0);
    let (address, _) = start(Sessions { unanswered: unanswered(), ..Sessions::default() }).await;
    assert_eq!(run(address, "sessions --filter x").await.0.unwrap(), 0);
}

#[tokio::test]
async fn one_session_is_told_in_full() {
    let (address, asked) = start(Sessions::of(three())).await;
    for given in ["k7", "chat/k7", "h/chat/k7", "agents/h/gateways/chat/sessions/k7"] {
        let (outcome, printed, _) = run(address, &format!("sessions {given}")).await;
        assert_eq!(outcome.unwrap(), 0, "{given}");
        assert!(printed.starts_with("agents/h/gateways/chat/sessions/k7  open\n"), "{given}: {printed}");
    }
    assert_eq!(asked.lock().unwrap().gets.len(), 2, "short names need no second question");
    let (_, printed, _) = run(address, "sessions k7 -o json").await;
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json, mooring_proto::json::to_json("mooring.v1.Session", &sick()).unwrap());

    let (outcome, _, _) = run(address, "sessions r1").await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit_code(), crate::failure::USAGE);
    assert_eq!(
        failure.to_string(),
        "`r1` is ambiguous; it may be\n  agents/h/gateways/chat/sessions/r1\n  agents/h/gateways/moody/sessions/r1"
    );
    assert_eq!(run(address, "sessions moody/r1").await.0.unwrap(), 0);
    assert_eq!(run(address, "sessions k7 --limit 3").await.0.unwrap_err().exit_code(), crate::failure::USAGE);
}

#[tokio::test]
async fn who_is_not_open_may_have_ended() {
    let (address, _) = start(Sessions::of(three())).await;
    let (outcome, _, _) = run(address, "sessions chat/r9").await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit_code(), crate::failure::PROBLEM);
    assert_eq!(
        failure.to_string(),
        "there is no session `chat/r9` open now; `mooring sessions chat/r9 --closes` shows how it ended"
    );
    let (outcome, _, notes) = run(address, "sessions h/chat/r9").await;
    assert_eq!(outcome.unwrap_err().exit_code(), 69, "NOT_FOUND");
    assert!(notes.contains("mooring sessions h/chat/r9 --closes"), "{notes}");
    let (address, _) = start(Sessions { unanswered: unanswered(), ..Sessions::default() }).await;
    let failure = run(address, "sessions r9").await.0.unwrap_err();
    assert!(
        failure.to_string().contains("agents/b/gateways/feed did not (no answer within 5s)"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_watch_prints_a_block_for_each_look_and_goes_on_after_a_break() {
    let (address, asked) = start(Sessions::of(vec![sick()])).await;
    let (outcome, printed, notes) = run(address, "sessions chat --watch --every 5s --limit 7").await;
    assert_eq!(outcome.unwrap_err().exit_code(), 71, "a refusal that does not pass ends it");
    let numbers =
        "812 open; 14 sick: HalfOpen 9, PeerStalled 5; rtt 12ms/240ms; silent 3s/1m5s; age 1h/2d (p50/p99)";
    assert_eq!(
        printed,
        format!(
            "\
12:34:56Z
SESSION  INSTANCE  SOURCE  STATE  AGE    SILENT  RTT  WRONG
k7       chat      kernel  open   ≥1h2m  1m35s   -    HalfOpen
{numbers}

12:34:56Z
nothing found
{numbers}
"
        )
    );
    assert!(notes.contains("connection lost"), "{notes}");
    let request = WatchSessionsRequest {
        parent: "agents/h/gateways/chat".to_owned(),
        filter: String::new(),
        order_by: "worst".to_owned(),
        limit: 7,
        interval: seconds(5),
    };
    assert_eq!(asked.lock().unwrap().watches, [request.clone(), request]);

    let (address, asked) = start(Sessions::of(vec![sick()])).await;
    let (_, printed, _) = run(address, "sessions chat/k7 --watch -o json").await;
    let looks: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 2);
    assert_eq!(looks[0]["sessions"][0]["cause"], "HalfOpen");
    assert_eq!(asked.lock().unwrap().watches[0].filter, "session = \"k7\"");
    let (outcome, _, _) = run(address, "sessions --watch --every 10ms").await;
    assert_eq!(outcome.unwrap_err().exit_code(), crate::failure::USAGE);
}

#[tokio::test]
async fn how_sessions_ended() {
    let (address, asked) = start(Sessions::default()).await;
    let (outcome, printed, _) = run(address, "sessions --closes").await;
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(
        printed,
        "\
TIME     SESSION  AGE    SILENT  ENDED BY  CODE  CAUSE    MESSAGE
12s ago  chat/k7  1m35s  1m      path      -     IdleCut  cut after 60 s of silence
"
    );
    // A session that is no more can be named only here.
    run(address, "sessions chat/k7 --closes --since 1h --filter a").await.0.unwrap();
    let (_, printed, _) = run(address, "sessions chat --closes -o json").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap()["closes"][0]["endedBy"], "path");
    let asked = asked.lock().unwrap();
    let parents: Vec<&str> = asked.closes.iter().map(|c| c.parent.as_str()).collect();
    assert_eq!(parents, ["", "agents/-/gateways/chat", "agents/h/gateways/chat"]);
    let hour_ago = mooring_proto::timestamp(NOW.before(std::time::Duration::from_secs(3_600)));
    assert_eq!(asked.closes[1].filter, format!("((a) AND session = \"k7\") AND time > \"{hour_ago}\""));
}

#[tokio::test]
async fn gateways_in_running_numbers() {
    let (address, asked) = start(Sessions::default()).await;
    let (outcome, printed, _) = run(address, "sessions --counts").await;
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(
        printed,
        "\
GATEWAY  OPEN  SICK  OPENED  CLOSED  TOLD    CLOSED BY FAULT
h/chat   812   14    9001    8189    9s ago  MassReset 40, IdleCut 12
"
    );
    assert_eq!(asked.lock().unwrap().counts[0].parent, "");
    let failure = run(address, "sessions chat/acct-1 --counts").await.0.unwrap_err();
    assert_eq!(failure.exit_code(), crate::failure::USAGE);
    assert!(failure.to_string().ends_with("counted: agents/h/gateways/chat"), "{failure}");
}

#[tokio::test]
async fn one_session_is_closed_without_asking() {
    let server = Server {
        sessions: Sessions::of(three()),
        life: vec![OrderState::Running, OrderState::Succeeded],
        ..Server::default()
    };
    let (address, seen) = server.start().await;
    let (outcome, printed, _) = run(address, "close chat/k7 --reason stale").await;
    assert_eq!(outcome.unwrap(), 0);
    assert!(printed.contains("h/chat/k7  close session (4fd3a6b2c901) pending"), "{printed}");
    let (outcome, printed, _) = run(address, "close k7 --reason stale --wait").await;
    assert_eq!(outcome.unwrap(), 0);
    assert!(printed.trim_end().ends_with("succeeded: Reachable was seen after 2s"), "{printed}");
    let (_, printed, _) = run(address, "close k7 --reason stale --dry-run").await;
    let open = "every gate is open; nothing was ordered (dry run)\n";
    assert_eq!(printed, format!("close session agents/h/gateways/chat/sessions/k7: {open}"));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.created.len(), 3);
    for asked in &seen.created {
        assert_eq!(asked.target, "agents/h/gateways/chat/sessions/k7");
        assert_eq!((asked.action(), asked.spread), (OrderAction::CloseSession, None));
    }
    assert!(seen.created[2].validate_only && !seen.created[1].validate_only);
}

#[tokio::test]
async fn only_a_session_that_is_certain_is_closed() {
    let sessions = Sessions { unanswered: unanswered(), ..Sessions::of(three()) };
    let (address, seen) = Server { sessions, ..Server::default() }.start().await;
    for (given, code, words) in [
        ("r1", crate::failure::USAGE, "ambiguous"),
        ("k7", crate::failure::PROBLEM, "agents/b/gateways/feed did not answer (no answer within 5s)"),
        ("r9", crate::failure::PROBLEM, "there is no session"),
        ("agents/h/gateways/chat", crate::failure::USAGE, "mooring close --all"),
    ] {
        let failure = run(address, &format!("close {given} --reason x")).await.0.unwrap_err();
        assert_eq!(failure.exit_code(), code, "{given}: {failure}");
        assert!(failure.to_string().contains(words), "{given}: {failure}");
    }
    assert!(seen.lock().unwrap().created.is_empty());
    // A full name is taken as it stands.
    let full = "close agents/b/gateways/feed/sessions/k1 --reason x";
    assert_eq!(run(address, full).await.0.unwrap(), 0);
}

#[tokio::test]
async fn several_are_closed_one_by_one_and_a_refusal_keeps_no_other() {
    let server = Server {
        sessions: Sessions::of(three()),
        refused: "agents/h/gateways/chat/sessions/k7",
        ..Server::default()
    };
    let (address, seen) = server.start().await;
    let line = "close k7 chat/r1 moody/r1 chat/k7 --reason x";
    assert_eq!(run(address, line).await.0.unwrap_err().exit_code(), crate::failure::USAGE, "nobody to ask");
    assert!(seen.lock().unwrap().created.is_empty());
    let (outcome, printed, notes) = run(address, &format!("{line} --yes")).await;
    assert_eq!(outcome.unwrap(), 69);
    assert!(notes.starts_with("agents/h/gateways/chat/sessions/k7: error: NOT_FOUND: it is gone"), "{notes}");
    assert!(printed.contains("h/chat/r1") && printed.contains("h/moody/r1"), "{printed}");
    let created = std::mem::take(&mut seen.lock().unwrap().created);
    assert_eq!(created.len(), 3, "named twice is closed once");
    let mut ids: Vec<&str> = created.iter().map(|c| c.request_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each order has a request id of its own");
}

#[tokio::test]
async fn all_sessions_are_closed_over_a_while() {
    let (address, seen) = Server { sessions: Sessions::of(three()), ..Server::default() }.start().await;
    for (line, target, action, spread) in [
        (
            "close --all chat/acct-1 --over 60s",
            "agents/h/gateways/chat/instances/acct-1",
            OrderAction::CloseSessions,
            60,
        ),
        ("close --all chat --over 5m", "agents/h/gateways/chat", OrderAction::CloseSessions, 300),
        ("drain chat --over 1h", "agents/h/gateways/chat", OrderAction::Drain, 3_600),
    ] {
        let unasked = run(address, &format!("{line} --reason x")).await.0.unwrap_err();
        assert_eq!(unasked.exit_code(), crate::failure::USAGE, "nobody to ask: {line}");
        assert!(seen.lock().unwrap().created.is_empty());
        assert_eq!(run(address, &format!("{line} --reason x --yes")).await.0.unwrap(), 0);
        let created = std::mem::take(&mut seen.lock().unwrap().created);
        let [made] = created.as_slice() else { panic!("{created:?}") };
        assert_eq!((made.target.as_str(), made.action(), made.spread), (target, action, seconds(spread)));
    }
    let (_, printed, notes) = run(address, "drain chat --reason x --dry-run").await;
    assert!(notes.starts_with("drain agents/h/gateways/chat\ninterrupts: 812 open; 14 sick"), "{notes}");
    assert!(printed.contains("nothing was ordered"), "{printed}");
    let created = std::mem::take(&mut seen.lock().unwrap().created);
    assert!(created[0].validate_only && created[0].spread.is_none());

    run(address, "resume chat --reason done").await.0.unwrap();
    assert_eq!(seen.lock().unwrap().created[0].action(), OrderAction::Resume);
    let instance = run(address, "drain agents/h/gateways/chat/instances/acct-1 --reason x --yes").await;
    assert_eq!(instance.0.unwrap_err().exit_code(), crate::failure::USAGE);
}
