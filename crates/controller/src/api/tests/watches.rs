//! Watches: snapshot, bookmark, changes, resumption, and what is said when that is not possible.

use std::collections::BTreeMap;

use mooring_core::cause::Cause;
use mooring_proto::v1;
use mooring_proto::v1::watch_response::Item;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::{Code, Streaming};

use super::*;
use crate::api::page;
use crate::fleet::RING;

type Watch = Streaming<v1::WatchResponse>;

async fn watch(world: &World, filter: &str, resume_token: &str) -> Result<Watch, Status> {
    let request = v1::WatchRequest { filter: filter.to_owned(), resume_token: resume_token.to_owned() };
    world.fleet_client().watch(request).await.map(tonic::Response::into_inner)
}

async fn next(watch: &mut Watch) -> Result<(Item, String), Status> {
    let step = tokio::time::timeout(PATIENCE, watch.message()).await.expect("nothing came")?;
    let step = step.expect("the watch ended without a word");
    Ok((step.item.unwrap(), step.resume_token))
}

/// Reads up to the first bookmark: the instances' names, and the token.
async fn snapshot(watch: &mut Watch) -> (Vec<String>, String) {
    let mut names = Vec::new();
    loop {
        match next(watch).await.unwrap() {
            (Item::Instance(i), token) => {
                assert!(token.is_empty(), "a snapshot cannot be resumed in its middle");
                names.push(i.name);
            }
            (Item::Bookmark(b), token) => {
                assert!(b.snapshot_complete && !token.is_empty());
                return (names, token);
            }
            (Item::Order(_) | Item::Gone(_), _) => {}
        }
    }
}

#[tokio::test]
async fn a_snapshot_a_bookmark_and_then_each_change() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    let mut w = watch(&world, "", "").await.unwrap();
    let (names, _) = snapshot(&mut w).await;
    assert_eq!(names, [name("a/g/x"), name("a/g/y")]);
    feed.sick("a/g/y", Cause::WrongPath).await;
    let (Item::Instance(y), _) = next(&mut w).await.unwrap() else { panic!("an instance changed") };
    assert_eq!((y.name, y.phase), (name("a/g/y"), v1::Phase::NeedsHuman.into()));
    feed.add("a/g/z").await;
    let (Item::Instance(z), _) = next(&mut w).await.unwrap() else { panic!("an instance came") };
    assert_eq!(z.name, name("a/g/z"));
    feed.remove("a/g/z").await;
    let (Item::Gone(gone), _) = next(&mut w).await.unwrap() else { panic!("an instance went") };
    assert_eq!(gone, name("a/g/z"));
}

#[tokio::test]
async fn a_watch_is_resumed_where_it_was() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    let mut w = watch(&world, "", "").await.unwrap();
    let (_, at_bookmark) = snapshot(&mut w).await;
    feed.sick("a/g/y", Cause::WrongPath).await;
    let (_, after_y) = next(&mut w).await.unwrap();
    drop(w);
    feed.add("a/g/z").await;
    feed.remove("a/g/x").await;
    let mut names = Vec::new();
    let mut resumed = watch(&world, "", &at_bookmark).await.unwrap();
    for _ in 0..3 {
        match next(&mut resumed).await.unwrap().0 {
            Item::Instance(i) => names.push(i.name),
            Item::Gone(gone) => names.push(format!("-{gone}")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, [name("a/g/y"), name("a/g/z"), format!("-{}", name("a/g/x"))]);
    let mut later = watch(&world, "", &after_y).await.unwrap();
    let (Item::Instance(first), _) = next(&mut later).await.unwrap() else { panic!("an instance came") };
    assert_eq!(first.name, name("a/g/z"), "what was sent before is not sent again");
}

#[tokio::test]
async fn what_no_longer_matches_is_gone() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    let mut w = watch(&world, "phase = NEEDS_HUMAN", "").await.unwrap();
    let (names, token) = snapshot(&mut w).await;
    assert_eq!(names, [name("a/g/x")]);
    // Neither was shown, so neither is told to be gone.
    feed.condition("a/g/y", Answer::Unknown, Some(Cause::NotYetObserved)).await;
    feed.well("a/g/x").await;
    let (Item::Gone(gone), _) = next(&mut w).await.unwrap() else { panic!("x no longer matches") };
    assert_eq!(gone, name("a/g/x"));
    feed.sick("a/g/y", Cause::WrongPath).await;
    let (Item::Instance(y), _) = next(&mut w).await.unwrap() else { panic!("y matches now") };
    assert_eq!(y.name, name("a/g/y"));
    // A resumed watch does not know what was shown: it says gone rather than leaving a ghost.
    let mut resumed = watch(&world, "phase = NEEDS_HUMAN", &token).await.unwrap();
    let mut gone = Vec::new();
    loop {
        match next(&mut resumed).await.unwrap().0 {
            Item::Gone(name) => gone.push(name),
            Item::Instance(y) => {
                assert_eq!(y.name, name("a/g/y"));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // y is shown as it is now, so only x is told to be gone.
    loop {
        if gone.contains(&name("a/g/x")) {
            break;
        }
        if let Item::Gone(name) = next(&mut resumed).await.unwrap().0 {
            gone.push(name);
        }
    }
    let (_, info) = refused(watch(&world, "", &token).await, Code::InvalidArgument);
    assert_eq!(info.reason, "PAGE_TOKEN_MISMATCH");
}

#[tokio::test]
async fn a_position_that_is_no_longer_remembered_is_out_of_range() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    let mut w = watch(&world, "", "").await.unwrap();
    let (_, token) = snapshot(&mut w).await;
    let flips = (0..=RING).map(|i| {
        let cause = if i % 2 == 0 { Cause::WrongPath } else { Cause::ConnectionRefused };
        (instance("a/g/x"), reachable(Answer::False, Some(cause)))
    });
    // Believed at once, so that the watch cannot keep up however fast it reads.
    let changes = Changes { conditions: flips.collect(), ..Changes::default() };
    world.fleet.apply([&changes], now());
    let (_, info) = refused(watch(&world, "", &token).await, Code::OutOfRange);
    assert_eq!(info.reason, "WATCH_POSITION_TOO_OLD");
    // The one that was open is told the same, and a new one begins well.
    let status = loop {
        if let Err(status) = next(&mut w).await {
            break status;
        }
    };
    refused::<()>(Err(status), Code::OutOfRange);
    feed.well("a/g/x").await;
    let (names, _) = snapshot(&mut watch(&world, "", "").await.unwrap()).await;
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn a_token_of_another_life_is_out_of_range_and_a_forged_one_is_refused() {
    let world = World::start().await;
    small(&world).await;
    let query = page::Query::of(&[""]);
    let other_life = page::Tokens::new([1; 32], [2; 8]).seal(page::Kind::Watch, query, &1u64.to_be_bytes());
    let (_, info) = refused(watch(&world, "", &other_life).await, Code::OutOfRange);
    assert_eq!(info.reason, "WATCH_POSITION_TOO_OLD");
    refused(watch(&world, "", "bm9uc2Vuc2U").await, Code::InvalidArgument);
}

#[tokio::test]
async fn there_are_so_many_watches_and_no_more() {
    let config = ApiConfig { max_watches: 1, ..ApiConfig::default() };
    let world = World::with(Options { config, ..Options::default() }).await;
    small(&world).await;
    let mut first = watch(&world, "", "").await.unwrap();
    snapshot(&mut first).await;
    let (status, info) = refused(watch(&world, "", "").await, Code::ResourceExhausted);
    assert_eq!(info.reason, "TOO_MANY_WATCHES");
    assert!(status.get_error_details().retry_info().is_some());
    drop(first);
    // The place is free once the server has heard of it.
    let free = async {
        while watch(&world, "", "").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn the_databases_going_and_the_controllers_stopping_are_told() {
    let world = World::start().await;
    small(&world).await;
    let mut w = watch(&world, "", "").await.unwrap();
    snapshot(&mut w).await;
    world.database_goes();
    let (Item::Bookmark(b), token) = next(&mut w).await.unwrap() else { panic!("a bookmark") };
    assert!(b.database_away && !b.snapshot_complete && !token.is_empty());
    world.database_returns().await;
    let (Item::Bookmark(b), _) = next(&mut w).await.unwrap() else { panic!("a bookmark") };
    assert!(!b.database_away);
    world.stop.cancel();
    let (_, info) = refused(next(&mut w).await, Code::Unavailable);
    assert_eq!(info.reason, "STOPPING");
}

/// Whatever happens while it is sent, what a watcher holds in the end is what a list shows.
#[tokio::test]
async fn a_watchers_picture_becomes_that_of_a_list() {
    let world = World::start().await;
    let mut feed = world.agent("a").await;
    feed.gateway("a/g", "lines", &[]).await;
    let mut rng = StdRng::seed_from_u64(7);
    let filter = "phase = NEEDS_HUMAN OR phase = UNKNOWN";
    let mut w = watch(&world, filter, "").await.unwrap();
    let mut held: BTreeMap<String, i32> = BTreeMap::new();
    let mut token = String::new();
    for round in 0..40 {
        for _ in 0..rng.random_range(1..30) {
            let short = format!("a/g/i{}", rng.random_range(0..20));
            match rng.random_range(0..5) {
                0 => feed.remove(&short).await,
                1 | 2 => feed.add(&short).await,
                3 => feed.sick(&short, Cause::WrongPath).await,
                _ => feed.well(&short).await,
            }
        }
        if round % 7 == 6 && !token.is_empty() {
            w = watch(&world, filter, &token).await.unwrap();
        }
        let request =
            v1::ListInstancesRequest { filter: filter.to_owned(), page_size: 100, ..Default::default() };
        let list = world.fleet_client().list_instances(request).await.unwrap().into_inner();
        let want: BTreeMap<String, i32> = list.instances.into_iter().map(|i| (i.name, i.phase)).collect();
        // Nothing changes meanwhile, so it must get there. A picture that is right by chance is checked again later.
        while held != want || token.is_empty() {
            let (item, at) = next(&mut w).await.unwrap();
            match item {
                Item::Instance(i) => drop(held.insert(i.name, i.phase)),
                Item::Gone(name) => drop(held.remove(&name)),
                Item::Order(_) | Item::Bookmark(_) => {}
            }
            if !at.is_empty() {
                token = at;
            }
        }
    }
}
