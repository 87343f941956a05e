//! Examinations over a loopback connection: their steps, their ends, and agents that say too much.

use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::examine::{AT_ONCE, Declined, MAX_STEPS, answer_to_pb, declined_to_pb};
use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::v1::{DiagnoseRequest, Diagnosis, DiagnosisFinding};
use std::time::Duration;
use tonic::Code;

use super::peer::{PATIENCE, Peer, World};
use super::*;
use crate::link::{ExamineError, Examining};

const SOON: Duration = Duration::from_secs(60);

fn begin(w: &World) -> Result<Examining, ExamineError> {
    let request = DiagnoseRequest { name: "agents/a/gateways/g".to_owned(), ..DiagnoseRequest::default() };
    w.sessions.examine(&agent(), request, SOON)
}

fn finding(detail: &str) -> Event {
    Event::Finding(DiagnosisFinding { detail: detail.to_owned(), ..DiagnosisFinding::default() })
}

fn diagnosis() -> Event {
    Event::Diagnosis(Diagnosis { healthy: true, ..Diagnosis::default() })
}

async fn says(peer: &Peer, number: u64, event: Event) {
    peer.say(Up::Examine(answer_to_pb(number, event))).await;
}

async fn next(examining: &mut Examining) -> Option<Result<Event, ExamineError>> {
    tokio::time::timeout(PATIENCE, examining.next()).await.expect("nobody told the asker")
}

#[tokio::test]
async fn each_step_comes_to_who_asked_and_the_diagnosis_is_the_end() {
    let w = World::new().await;
    assert_eq!(begin(&w).unwrap_err(), ExamineError::NotAttached(agent()));
    let mut peer = w.attach_able(1).await;
    let (mut first, mut second) = (begin(&w).unwrap(), begin(&w).unwrap());
    let (one, two) = (peer.examination().await, peer.examination().await);
    assert!(one.number != two.number && one.request.unwrap().name == "agents/a/gateways/g");
    says(&peer, two.number, finding("of the second")).await;
    says(&peer, one.number, finding("of the \u{1b}[1mfirst")).await;
    says(&peer, one.number, diagnosis()).await;
    let busy = Declined { why: "busy".to_owned(), retry_after: Some(SOON) };
    peer.say(Up::Examine(declined_to_pb(two.number, &busy))).await;
    assert_eq!(next(&mut first).await, Some(Ok(finding("of the \u{fffd}[1mfirst"))));
    assert_eq!(next(&mut first).await, Some(Ok(diagnosis())));
    assert_eq!(next(&mut first).await, None);
    assert_eq!(next(&mut second).await, Some(Ok(finding("of the second"))));
    assert_eq!(next(&mut second).await, Some(Err(ExamineError::Declined { agent: agent(), declined: busy })));
    // What comes after the end tells nobody anything.
    says(&peer, one.number, finding("late")).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "the stream goes on");
}

#[tokio::test]
async fn an_asker_that_goes_away_is_told_to_the_agent_and_leaves_its_place() {
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let mut open: Vec<Examining> = (0..AT_ONCE).map(|_| begin(&w).unwrap()).collect();
    let mut numbers = Vec::new();
    for _ in 0..AT_ONCE {
        numbers.push(peer.examination().await.number);
    }
    assert_eq!(begin(&w).unwrap_err(), ExamineError::Busy(agent()));
    drop(open.pop());
    let withdrawn = peer.examination().await;
    assert_eq!((Some(&withdrawn.number), withdrawn.request), (numbers.last(), None));
    let third = begin(&w).unwrap();
    assert!(peer.examination().await.request.is_some());
    // One that was over is not withdrawn any more.
    says(&peer, numbers[0], diagnosis()).await;
    assert_eq!(next(&mut open[0]).await, Some(Ok(diagnosis())));
    drop(open);
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "nothing was said before this");
    drop(third);
}

#[tokio::test]
async fn examinations_die_with_the_attachment_and_old_agents_have_none() {
    let w = World::new().await;
    let (peer, _) = w.attach(1).await;
    assert_eq!(begin(&w).unwrap_err(), ExamineError::Unable(agent()));
    drop(peer);
    let mut peer = w.attach_able(1).await;
    let mut examining = begin(&w).unwrap();
    peer.examination().await;
    drop(peer);
    assert_eq!(next(&mut examining).await, Some(Err(ExamineError::Gone(agent()))));
    assert_eq!(next(&mut examining).await, None);
}

#[tokio::test]
async fn a_hostile_answer_ends_the_stream() {
    let spoilt: [fn(&mut pb::ExamineAnswer); 3] =
        [|a| a.step = None, |a| a.last = true, |a| a.step.as_mut().unwrap().event = None];
    for (boot, spoil) in (1..).zip(spoilt) {
        let w = World::new().await;
        let mut peer = w.attach_able(boot).await;
        let mut examining = begin(&w).unwrap();
        let mut bad = answer_to_pb(peer.examination().await.number, finding("x"));
        spoil(&mut bad);
        peer.say(Up::Examine(bad)).await;
        let status = peer.heard().await.unwrap_err();
        assert!(
            status.code() == Code::InvalidArgument && status.message().contains("an examination"),
            "{status}"
        );
        assert_eq!(next(&mut examining).await, Some(Err(ExamineError::Gone(agent()))));
    }
    let w = World::new().await;
    let mut peer = w.attach_able(1).await;
    let _examining = begin(&w).unwrap();
    let number = peer.examination().await.number;
    for _ in 0..=MAX_STEPS {
        says(&peer, number, finding("and another")).await;
    }
    let status = peer.heard().await.unwrap_err();
    assert!(status.message().contains("of one examination"), "{status}");
}
