//! Questions about sessions, and what is told of them, over a loopback connection.

use std::time::Duration;

use mooring_core::id::{GatewayId, SessionId};
use mooring_core::limits::MAX_MESSAGE;
use mooring_core::session::{
    EndedBy, Flow, MAX_CLOSES, MAX_PAGE, MAX_SESSION_TEXT, SessionClose, SessionCounts, SessionPage,
    SessionQuery, SessionState, SessionView, Source,
};
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::sessions::{answer_to_pb, close_to_pb, counts_to_pb};
use mooring_store::{SessionScope, SessionStore};
use prost::Message as _;
use tonic::Code;

use super::peer::{PATIENCE, Peer, World};
use super::*;
use crate::database::now;
use crate::fleet::Presence;
use crate::link::{AskError, QUESTIONS, Sessions};
use crate::metrics::Metrics;

fn session(id: &str, silent: u64) -> SessionView {
    let flow = Flow { silent: Some(Duration::from_secs(silent)), ..Flow::default() };
    SessionView {
        id: SessionId::new(id).unwrap(),
        source: Source::Relay,
        at: Timestamp(1_700_000_000_000_000),
        instance: None,
        peer: "192.0.2.7:5".to_owned(),
        local: String::new(),
        state: SessionState::Open,
        age: Duration::from_secs(90),
        age_at_least: false,
        received: flow,
        sent: flow,
        rtt: None,
        retransmits: None,
        beat: None,
        protocol: String::new(),
        cause: None,
        message: String::new(),
    }
}

fn page(sessions: Vec<SessionView>) -> SessionPage {
    SessionPage { sessions, ..SessionPage::default() }
}

fn query(limit: usize) -> SessionQuery {
    SessionQuery { limit, ..SessionQuery::default() }
}

fn chat() -> GatewayId {
    "chat".parse().unwrap()
}

/// Asks, in a task of its own.
fn asking(w: &World, limit: usize) -> tokio::task::JoinHandle<Result<SessionPage, AskError>> {
    let sessions = w.sessions.clone();
    tokio::spawn(async move { sessions.ask(&agent(), &chat(), query(limit)).await })
}

async fn answer(peer: &Peer, number: u64, page: SessionPage) {
    peer.say(Up::Sessions(answer_to_pb(number, &Ok(page)))).await;
}

async fn told<T>(asking: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, asking).await.expect("nobody told the asker").unwrap()
}

#[tokio::test]
async fn each_asker_gets_the_answer_to_its_own_question() {
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let first = asking(&w, 7);
    let one = peer.asked().await;
    let second = asking(&w, 5_000);
    let two = peer.asked().await;
    assert_eq!((one.gateway.as_str(), one.limit, two.limit), ("chat", 7, 1_000));
    assert!(one.number != two.number);
    // In the wrong order, and with sessions in the wrong order, as an agent that knows other causes would send them.
    answer(&peer, two.number, page(vec![session("r1", 3), session("r2", 9)])).await;
    peer.say(Up::Sessions(answer_to_pb(one.number, &Err("no such gateway".to_owned())))).await;
    assert_eq!(told(second).await.unwrap().sessions, [session("r2", 9), session("r1", 3)]);
    let declined = AskError::Declined { agent: agent(), why: "no such gateway".to_owned() };
    assert_eq!(told(first).await, Err(declined));
}

#[tokio::test]
async fn an_agent_that_cannot_be_asked_is_not_asked() {
    let w = World::new().await;
    assert_eq!(w.sessions.ask(&agent(), &chat(), query(1)).await, Err(AskError::NotAttached(agent())));
    let (mut peer, _) = w.attach(1).await;
    let unable = w.sessions.ask(&agent(), &chat(), query(1)).await.unwrap_err();
    assert_eq!(unable, AskError::Unable(agent()));
    assert!(unable.to_string().contains("too old"), "{unable}");
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "nothing was said before this");
}

#[tokio::test]
async fn a_late_answer_and_one_to_no_question_are_ignored() {
    let w = World::with(Sessions::new(Metrics::default(), Duration::from_millis(300))).await;
    let mut peer = w.attach_able(1).await;
    let late = told(asking(&w, 1)).await.unwrap_err();
    assert_eq!(late, AskError::Late(agent(), Duration::from_millis(300)));
    assert_eq!(late.to_string(), "agent a did not answer within 300ms");
    let question = peer.asked().await;
    answer(&peer, question.number, page(vec![session("r1", 3)])).await;
    // Unread: what is wrong in it is nobody's business.
    let mut odd = answer_to_pb(77, &Ok(page(vec![session("r1", 3)])));
    odd.sessions[0].state = 99;
    peer.say(Up::Sessions(odd)).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "the stream goes on");
}

#[tokio::test]
async fn a_hostile_answer_ends_the_stream() {
    let spoilt: [fn(&mut pb::SessionsAnswer); 5] = [
        |a| a.sessions[0].state = 77,
        |a| a.sessions[0].time = None,
        |a| a.sessions[0].id = "../..".to_owned(),
        |a| a.sessions = vec![a.sessions[0].clone(); 3],
        |a| a.summary.as_mut().unwrap().cause.push(60),
    ];
    for (boot, spoil) in (1..).zip(spoilt) {
        let w = World::new().await;
        let mut peer = w.attach_able(boot).await;
        let asking = asking(&w, 2);
        let question = peer.asked().await;
        let mut bad = answer_to_pb(question.number, &Ok(page(vec![session("r1", 3)])));
        spoil(&mut bad);
        peer.say(Up::Sessions(bad)).await;
        let status = peer.heard().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains("an answer about sessions"), "{status}");
        assert_eq!(told(asking).await, Err(AskError::Gone(agent())));
        w.presence(|p| matches!(p, Presence::Lost(_))).await;
    }
}

#[tokio::test]
async fn so_many_questions_are_under_way_and_no_more() {
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let mut askers: Vec<_> = (0..QUESTIONS).map(|_| asking(&w, 1)).collect();
    let mut numbers = Vec::new();
    while numbers.len() < QUESTIONS {
        numbers.push(peer.asked().await.number);
    }
    assert_eq!(w.sessions.ask(&agent(), &chat(), query(1)).await, Err(AskError::Busy(agent())));
    // Who gives up leaves its place, and who is answered too.
    let impatient = askers.pop().unwrap();
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    let next = asking(&w, 1);
    let question = peer.asked().await;
    answer(&peer, question.number, page(vec![session("r1", 3)])).await;
    assert_eq!(told(next).await.unwrap().sessions.len(), 1);
    for number in numbers {
        answer(&peer, number, page(vec![])).await;
    }
    for asker in askers {
        assert!(told(asker).await.is_ok());
    }
}

#[tokio::test]
async fn questions_die_with_the_attachment() {
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let asker = asking(&w, 1);
    peer.asked().await;
    drop(peer);
    assert_eq!(told(asker).await, Err(AskError::Gone(agent())));
    // And with one that is replaced.
    let mut old = w.attach_able(1).await;
    let asker = asking(&w, 1);
    let question = old.asked().await;
    let mut new = w.attach_able(1).await;
    assert_eq!(told(asker).await, Err(AskError::Gone(agent())));
    // Numbers begin anew: an answer on the new stream to a question of the old one tells nobody anything.
    answer(&new, question.number, page(vec![session("r1", 3)])).await;
    new.report(everything(1)).await;
    assert_eq!(Peer::acked(new.next().await), 1, "it has been read");
    let asker = asking(&w, 1);
    let question = new.asked().await;
    answer(&new, question.number, page(vec![session("r2", 3)])).await;
    assert_eq!(told(asker).await.unwrap().sessions, [session("r2", 3)]);
}

#[tokio::test]
async fn a_full_page_of_the_largest_sessions_fits_into_a_message() {
    let text = "网".repeat(MAX_SESSION_TEXT / 3);
    let flow = Flow {
        bytes: Some(u64::MAX),
        messages: Some(u64::MAX),
        silent: Some(Duration::from_nanos(u64::MAX)),
        queued: Some(u64::MAX),
    };
    let large = |n: usize| SessionView {
        id: SessionId::new(format!("r{n:0>62}")).unwrap(),
        instance: Some("i".repeat(63).parse().unwrap()),
        peer: text.clone(),
        local: text.clone(),
        protocol: text.clone(),
        received: flow,
        sent: flow,
        rtt: Some(Duration::from_nanos(u64::MAX)),
        retransmits: Some(u64::MAX),
        beat: Some(Duration::from_nanos(u64::MAX)),
        cause: Some(Cause::SessionLost),
        message: "m".repeat(MAX_MESSAGE),
        ..session("r", 1)
    };
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let asker = asking(&w, MAX_PAGE);
    let question = peer.asked().await;
    let mut full = page((0..MAX_PAGE).map(large).collect());
    for session in &full.sessions {
        full.summary.add(session);
    }
    let message = answer_to_pb(question.number, &Ok(full.clone()));
    assert!(message.encoded_len() * 2 < crate::app::MAX_REPORT, "{}", message.encoded_len());
    peer.say(Up::Sessions(message)).await;
    assert_eq!(told(asker).await.unwrap(), full);
}

fn close(id: &str, at: Timestamp) -> SessionClose {
    SessionClose {
        id: id.parse().unwrap(),
        source: Source::Relay,
        instance: Some("x".parse().unwrap()),
        peer: "192.0.2.7:5".to_owned(),
        at,
        age: Duration::from_secs(61),
        silent_for: Duration::from_secs(60),
        by: EndedBy::Path,
        code: None,
        cause: Some(Cause::IdleCut),
        message: "cut after 60 s of silence".to_owned(),
    }
}

#[tokio::test]
async fn numbers_and_ends_are_durable_before_they_are_acknowledged() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    let mut whole = everything(1);
    whole.gateways[0].watch = ["relay", "sniffer", "canary", "relay"].map(str::to_owned).to_vec();
    let counts = |open| SessionCounts { open, opened: open + 1, closed: 1, ..SessionCounts::default() };
    whole.session_counts = vec![counts_to_pb(1, &counts(3))];
    peer.report(whole).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    let in_an_hour = now().after(Duration::from_secs(3_600));
    let more = pb::Report {
        session_counts: vec![counts_to_pb(1, &counts(4)), counts_to_pb(1, &counts(5))],
        session_closes: vec![
            close_to_pb(1, &close("r1", Timestamp(7))),
            close_to_pb(1, &close("r2", in_an_hour)),
        ],
        ..report(2)
    };
    peer.report(more.clone()).await;
    assert_eq!(Peer::acked(peer.next().await), 2);
    peer.report(more).await;
    assert_eq!(Peer::acked(peer.next().await), 2, "the same report once more");

    let all = SessionScope::default();
    let stored = w.store.session_counts(&all, None, 10).await.unwrap();
    assert_eq!((stored.len(), &stored[0].gateway, &stored[0].counts), (1, &gateway("g"), &counts(5)));
    let closes = w.store.closes_before(&all, None, 10).await.unwrap();
    assert_eq!(closes.len(), 2);
    assert!(closes[0].close.at <= now(), "what has ended has ended by now");
    assert_eq!(closes[1].close, close("r1", Timestamp(7)));
    let state = w.fleet.read();
    let believed = state.gateway(&gateway("g")).unwrap();
    assert_eq!(
        believed.record.watch,
        [Source::Canary, Source::Relay],
        "in order, each once, none that is not known"
    );
    assert_eq!(believed.sessions.as_deref().map(|(counts, _)| counts), Some(&counts(5)));
}

#[tokio::test]
async fn what_cannot_be_told_of_sessions_ends_the_stream() {
    let counts = counts_to_pb(9, &SessionCounts::default());
    let one = close_to_pb(1, &close("r1", Timestamp(7)));
    let mut unsound = one.clone();
    unsound.session = "R1".to_owned();
    let reports = [
        (pb::Report { session_counts: vec![counts], ..report(2) }, "session_counts.gateway: 9 is not"),
        (
            pb::Report { session_closes: vec![one.clone(); MAX_CLOSES + 1], ..report(2) },
            "at most 256 in one report",
        ),
        (pb::Report { session_closes: vec![unsound], ..report(2) }, "session_closes.session"),
        (
            pb::Report { session_closes: vec![pb::SessionClose { gateway: 2, ..one.clone() }], ..report(2) },
            "session_closes.gateway: 2 is not",
        ),
    ];
    for (boot, (bad, why)) in (1..).zip(reports) {
        let w = World::new().await;
        let (mut peer, _) = w.attach(boot).await;
        peer.report(everything(1)).await;
        assert_eq!(Peer::acked(peer.next().await), 1);
        peer.report(bad).await;
        let status = peer.heard().await.unwrap_err();
        assert!(status.code() == Code::InvalidArgument && status.message().contains(why), "{status}");
    }
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    peer.report(pb::Report { session_closes: vec![one; MAX_CLOSES], ..report(2) }).await;
    assert_eq!(Peer::acked(peer.next().await), 2, "as many as may be");
}
