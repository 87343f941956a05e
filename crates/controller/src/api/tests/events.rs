//! Events, as a list and as they happen.

use mooring_proto::v1;
use mooring_store::{EventKind, EventStore, NewEvent};
use tonic::{Code, Streaming};

use super::*;

/// 2026-01-31T08:00:00Z, and a second for each number.
fn at(n: i64) -> Timestamp {
    Timestamp(1_769_846_400_000_000 + 1_000_000 * n)
}

fn happening(n: i64, kind: EventKind) -> NewEvent {
    NewEvent {
        at: at(n),
        kind,
        subject: name("a/g/x"),
        message: format!("number {n}"),
        condition: None,
        cause: None,
        evidence: vec![("n".to_owned(), n.to_string())],
        trace_id: None,
    }
}

async fn happen(world: &World, numbers: std::ops::Range<i64>) {
    let events: Vec<NewEvent> =
        numbers.map(|n| happening(n, if n % 2 == 0 { EventKind::Order } else { EventKind::Agent })).collect();
    world.store.append_events(&events).await.unwrap();
}

#[tokio::test]
async fn newest_first_in_pages_by_filter_and_since() {
    let world = World::start().await;
    happen(&world, 0..10).await;
    let mut client = world.event_client();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListEventsRequest {
            page_size: 2,
            page_token: token,
            filter: "type = ORDER AND subject : \"gateways/g\"".to_owned(),
            ..Default::default()
        };
        let page = client.list_events(request).await.unwrap().into_inner();
        seen.extend(page.events.into_iter().map(|e| e.message));
        token = page.next_page_token;
        // What comes meanwhile is newer than the cursor, and is not part of this walk.
        happen(&world, 10..12).await;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["number 8", "number 6", "number 4", "number 2", "number 0"]);
    let since_time = Some(mooring_proto::timestamp(at(7)));
    let page = client.list_events(v1::ListEventsRequest { since_time, ..Default::default() }).await.unwrap();
    let late: Vec<String> = page.into_inner().events.into_iter().map(|e| e.message).collect();
    assert!(late.contains(&"number 7".to_owned()) && !late.contains(&"number 6".to_owned()), "{late:?}");
    world.database_goes();
    refused(client.list_events(v1::ListEventsRequest::default()).await, Code::Unavailable);
}

async fn next(watch: &mut Streaming<v1::WatchEventsResponse>) -> String {
    let step = tokio::time::timeout(PATIENCE, watch.message()).await.expect("nothing came");
    step.unwrap().unwrap().event.unwrap().message
}

#[tokio::test]
async fn as_they_happen_from_now_or_after_one_and_across_an_absent_database() {
    let world = World::start().await;
    happen(&world, 0..4).await;
    let mut client = world.event_client();
    let newest =
        client.list_events(v1::ListEventsRequest { page_size: 1, ..Default::default() }).await.unwrap();
    let newest = newest.into_inner().events[0].name.clone();
    let mut from_now = client.watch_events(v1::WatchEventsRequest::default()).await.unwrap().into_inner();
    let request = v1::WatchEventsRequest { filter: "type = ORDER".to_owned(), after: "events/0".to_owned() };
    let mut orders = client.watch_events(request).await.unwrap().into_inner();
    assert_eq!(
        (next(&mut orders).await, next(&mut orders).await),
        ("number 0".to_owned(), "number 2".to_owned())
    );
    happen(&world, 4..6).await;
    assert_eq!(
        (next(&mut from_now).await, next(&mut orders).await),
        ("number 4".to_owned(), "number 4".to_owned())
    );
    assert_eq!(next(&mut from_now).await, "number 5");
    world.database_goes();
    world.database_returns().await;
    happen(&world, 6..7).await;
    assert_eq!(
        (next(&mut from_now).await, next(&mut orders).await),
        ("number 6".to_owned(), "number 6".to_owned())
    );
    let mut after = client
        .watch_events(v1::WatchEventsRequest { after: newest, ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut after).await, "number 4");
    for bad in ["5", "events/x", "events/-1"] {
        let request = v1::WatchEventsRequest { after: bad.to_owned(), ..Default::default() };
        refused(client.watch_events(request).await.map(|_| ()), Code::InvalidArgument);
    }
    world.stop.cancel();
    let end = tokio::time::timeout(PATIENCE, after.message()).await.unwrap();
    let end = match end {
        Ok(Some(_)) => loop {
            match after.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        },
        other => other,
    };
    refused(end, Code::Unavailable);
}
