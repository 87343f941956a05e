//! A stream from `Hello` to its end, over a loopback connection.

use mooring_core::id::{BootId, Target};
use mooring_core::order::{Action, Origin, Proposal, Stage, State};
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::link::receipt_to_pb;
use mooring_store::{Admission, AgentStore, OrderStore};
use tonic::Code;
use uuid::Uuid;

use super::peer::{PATIENCE, Peer, World};
use super::*;
use crate::fleet::Presence;

#[tokio::test]
async fn what_was_acknowledged_is_durable_and_the_same_boot_goes_on_after_it() {
    let w = World::new().await;
    let (mut peer, welcome) = w.attach(1).await;
    assert!(welcome.snapshot && welcome.resume_after == 0);
    w.presence(|p| p == Presence::Syncing).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    assert_eq!(w.store.agents().await.unwrap()[0].last_sequence, 1);
    w.presence(|p| p == Presence::Online).await;
    drop(peer);
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!((welcome.snapshot, welcome.resume_after), (false, 1));
    w.presence(|p| p == Presence::Online).await;
    peer.report(rows(2, &[row(3, Status::False, Some(Cause::SessionLost), 20)])).await;
    assert_eq!(Peer::acked(peer.next().await), 2);
    let believed = w.fleet.read().believed(&instance("g/y"), ConditionKind::Reachable).unwrap();
    assert_eq!(believed.status, Status::False);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_database_is_away() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.store.set_away(true);
    peer.report(report(2)).await;
    // Durable already, so it is acknowledged again: but as what it is, not with the number of the newest.
    peer.report(report(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.store.set_away(false);
    assert_eq!(Peer::acked(peer.next().await), 2);
}

#[tokio::test]
async fn a_receipt_is_not_lost_with_the_stream_that_it_came_on() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    let mut whole = everything(1);
    whole.gateways[0].abilities = 7;
    peer.report(whole).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    let proposal = Proposal {
        target: Target::Instance(instance("g/x")),
        action: Action::Reconnect,
        origin: Origin::Operator("ann".to_owned()),
        cause: None,
        reason: "because".to_owned(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    };
    let Ok(Admission::Made(order, _)) = w.desk.ask(proposal, false).await else { panic!("no order") };
    let Down::Orders(orders) = peer.next().await else { panic!("no order came") };
    assert_eq!(orders.orders[0].order_id, order.id.0.to_string());
    // The clerk cannot store it, since it believes that the database is away; the journal does not ask.
    w.store.set_away(true);
    w.database.gone("switched off by the test");
    let receipt = mooring_core::order::Receipt {
        order: order.id,
        stage: Stage::Failed,
        at: Timestamp(1),
        message: String::new(),
        output: String::new(),
        traceparent: None,
    };
    let told = pb::Report { receipts: vec![receipt_to_pb(&receipt)], ..report(2) };
    peer.report(told.clone()).await;
    peer.report(report(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "it has been read");
    drop(peer);
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    w.store.set_away(false);
    tokio::time::timeout(PATIENCE, w.database.watch().wait_for(Option::is_none)).await.unwrap().unwrap();
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!(welcome.resume_after, 1, "or the agent would forget the receipt");
    peer.report(told).await;
    loop {
        match peer.next().await {
            Down::Ack(ack) => break assert_eq!(ack.sequence, 2),
            Down::Orders(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(w.store.order(order.id).await.unwrap().unwrap().state, State::Failed);
}

#[tokio::test]
async fn a_hole_leads_to_one_question_and_no_decision_until_it_is_answered() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.presence(|p| p == Presence::Online).await;
    peer.report(report(5)).await;
    peer.report(report(6)).await;
    assert!(matches!(peer.next().await, Down::Resync(_)));
    w.presence(|p| p == Presence::Syncing).await;
    peer.report(everything(7)).await;
    assert_eq!(Peer::acked(peer.next().await), 7, "asked once");
    w.presence(|p| p == Presence::Online).await;
}

#[tokio::test]
async fn a_window_is_kept_and_a_violation_ends_the_stream() {
    let w = World::new().await;
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!(welcome.window, 4);
    w.store.set_away(true);
    peer.report(everything(1)).await;
    for sequence in 2..=5 {
        peer.report(report(sequence)).await;
    }
    let status = peer.heard().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    assert!(w.sessions.is_empty());
}

#[tokio::test]
async fn a_new_stream_of_the_same_boot_takes_over_and_the_old_ones_end_is_no_loss() {
    let w = World::new().await;
    let (mut old, first) = w.attach(1).await;
    old.report(everything(1)).await;
    assert_eq!(Peer::acked(old.next().await), 1);
    let (mut new, second) = w.attach(1).await;
    assert_eq!((first.session_epoch, second.session_epoch, second.resume_after), (1, 2, 1));
    let status = old.heard().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    new.report(report(2)).await;
    assert_eq!(Peer::acked(new.next().await), 2);
    assert_eq!(w.fleet.read().agent(&agent()).unwrap().presence, Presence::Online);
    assert_eq!(w.sessions.len(), 1);
}

#[tokio::test]
async fn a_second_agent_of_the_same_name_is_turned_away_while_the_first_answers() {
    let w = World::new().await;
    let (mut first, _) = w.attach(1).await;
    let opening = Peer::open(&w.address, 2);
    tokio::pin!(opening);
    let refused = loop {
        tokio::select! {
            opened = &mut opening => break opened.err().expect("it is turned away"),
            // The probe is a heartbeat, and is answered with one.
            _ = first.down.message() => first.say(Up::Heartbeat(pb::Heartbeat::default())).await,
        }
    };
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(w.fleet.read().agent(&agent()).unwrap().record.boot, BootId(Uuid::from_u128(1)));
}

#[tokio::test]
async fn a_goodbye_is_no_loss() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    peer.say(Up::Goodbye(pb::Goodbye { reason: "done".to_owned() })).await;
    w.presence(|p| matches!(p, Presence::Offline(_))).await;
    assert!(matches!(peer.heard().await, Ok(None)));
    let (_, welcome) = w.attach(1).await;
    assert_eq!(welcome.resume_after, 1);
}
