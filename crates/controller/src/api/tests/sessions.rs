//! Sessions: looked at across agents, got one by one, and watched.

use std::cmp::Reverse;

use mooring_core::session::{Rank, SessionOrder, SessionQuery, SessionView};
use mooring_proto::v1;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::Code;

use super::crowd::{Crowd, Manners, session};
use super::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn list(world: &World, request: v1::ListSessionsRequest) -> Result<v1::ListSessionsResponse, Status> {
    world.session_client().list_sessions(request).await.map(tonic::Response::into_inner)
}

fn of(parent: &str, filter: &str) -> v1::ListSessionsRequest {
    v1::ListSessionsRequest { parent: parent.to_owned(), filter: filter.to_owned(), ..Default::default() }
}

/// The ids on all pages, and how many pages there were.
async fn all(world: &World, mut request: v1::ListSessionsRequest) -> (Vec<String>, usize) {
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = list(world, request.clone()).await.unwrap();
        assert!(page.unanswered.is_empty(), "{:?}", page.unanswered);
        names.extend(page.sessions.into_iter().map(|s| s.name));
        pages += 1;
        assert!(pages < 1_000, "the list does not end");
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return (names, pages);
        }
    }
}

fn ids(response: &v1::ListSessionsResponse) -> Vec<&str> {
    response.sessions.iter().map(|s| s.name.rsplit('/').next().unwrap()).collect()
}

/// An agent with one gateway, `g`, with these sessions.
async fn one(world: &World, sessions: Vec<SessionView>) -> Crowd {
    world.agent("a").await.gateway("a/g", "lines", &["x", "y"]).await;
    let crowd = Crowd::attach(world, "a", Manners::Answers);
    crowd.set("g", sessions);
    crowd
}

#[tokio::test]
async fn pages_across_agents_are_those_of_one_great_list() {
    let world = World::start().await;
    let mut rng = StdRng::seed_from_u64(7);
    let causes = [None, Some(Cause::HalfOpen), Some(Cause::PeerStalled), Some(Cause::GatewayStalled)];
    let mut everything: Vec<(GatewayRef, SessionView)> = Vec::new();
    for (agent, gateways) in [("a", vec!["g", "h"]), ("b", vec!["g"]), ("c", vec!["empty", "g"])] {
        let mut feed = world.agent(agent).await;
        let crowd = Crowd::attach(&world, agent, Manners::Answers);
        for g in gateways {
            feed.gateway(&format!("{agent}/{g}"), "lines", &["x"]).await;
            let n = if g == "empty" { 0 } else { rng.random_range(20..120) };
            // Few different ranks, so that many sessions of many gateways are equal in it.
            let sessions: Vec<SessionView> = (0..n)
                .map(|i| SessionView {
                    cause: causes[rng.random_range(0..causes.len())],
                    retransmits: Some(rng.random_range(0..4)),
                    rtt: rng.random_bool(0.5).then(|| Duration::from_millis(rng.random_range(1..4))),
                    age: secs(rng.random_range(1..6)),
                    ..session(&format!("r{i}"), secs(rng.random_range(0..5)))
                })
                .collect();
            everything.extend(sessions.iter().map(|s| (gateway(&format!("{agent}/{g}")), s.clone())));
            crowd.set(g, sessions);
        }
    }
    for (order, _, order_by) in SessionOrder::ALL {
        everything.sort_by_key(|(g, s)| (Reverse(Rank::of(s, order)), g.clone(), s.id.clone()));
        let want: Vec<String> = everything.iter().map(|(g, s)| g.session(s.id.clone()).to_string()).collect();
        for size in [1, 7, 50, 1_000] {
            let request =
                v1::ListSessionsRequest { page_size: size, order_by: order_by.to_owned(), ..of("", "") };
            let (names, pages) = all(&world, request).await;
            assert_eq!(names, want, "{order_by} {size}");
            assert_eq!(pages, want.len().div_ceil(usize::try_from(size).unwrap()), "{order_by} {size}");
        }
    }
    let under = async |parent: &str| all(&world, of(parent, "")).await.0.len();
    let count = |f: &dyn Fn(&GatewayRef) -> bool| everything.iter().filter(|(g, _)| f(g)).count();
    assert_eq!(under("agents/a").await, count(&|g| g.agent.as_str() == "a"));
    assert_eq!(under("agents/-/gateways/g").await, count(&|g| g.gateway.as_str() == "g"));
    assert_eq!(under("agents/a/gateways/h").await, count(&|g| *g == gateway("a/h")));
    assert_eq!(under("agents/c/gateways/empty").await, 0);
    // Each page tells of everything, whatever is on it.
    let page =
        list(&world, v1::ListSessionsRequest { page_size: 1, ..of("", "retransmits > 99") }).await.unwrap();
    let summary = page.summary.unwrap();
    assert_eq!((page.sessions.len(), summary.open), (0, i64::try_from(everything.len()).unwrap()));
    let half_open = everything.iter().filter(|(_, s)| s.cause == Some(Cause::HalfOpen)).count();
    assert_eq!(summary.sick["HalfOpen"], i64::try_from(half_open).unwrap());
    assert!(summary.silence.unwrap().max.unwrap().seconds >= 4);
}

#[tokio::test]
async fn filters_are_put_to_the_agents_where_they_can_and_evaluated_here_where_not() {
    let world = World::start().await;
    let mut sessions: Vec<SessionView> = (0..2_500).map(|i| session(&format!("r{i}"), secs(i))).collect();
    for (i, s) in sessions.iter_mut().enumerate() {
        s.instance = Some(if i % 2 == 0 { "x" } else { "y" }.parse().unwrap());
        s.source = if i % 5 == 0 { Source::Kernel } else { Source::Relay };
        s.cause = (i % 100 == 7).then_some(Cause::HalfOpen);
        s.rtt = Some(Duration::from_micros(u64::try_from(i).unwrap()));
        s.received.bytes = (i > 2_000).then_some(9);
    }
    let crowd = one(&world, sessions).await;
    let first = |asked: Vec<(mooring_core::id::GatewayId, SessionQuery)>| asked.into_iter().next().unwrap().1;

    let found = list(&world, of("", "cause : * AND silent > 30m")).await.unwrap();
    assert_eq!(ids(&found), ["r2407", "r2307", "r2207", "r2107", "r2007", "r1907", "r1807"]);
    let asked = crowd.asked();
    assert_eq!(asked.len(), 1);
    assert!(first(asked).sick);

    let found = list(&world, of("", "source = KERNEL AND instance = x AND rtt < 1ms")).await.unwrap();
    assert_eq!((found.sessions.len(), ids(&found)[0]), (50, "r990"));
    assert_eq!(found.summary.unwrap().open, 2_500, "all of it, though less was asked for");
    let asked = first(crowd.asked());
    assert_eq!((asked.source, asked.instance.unwrap().as_str()), (Some(Source::Kernel), "x"));

    let found = list(&world, of("", "session = r17")).await.unwrap();
    assert_eq!(ids(&found), ["r17"]);
    assert!(first(crowd.asked()).id.is_some());

    // What only this side can tell is looked for through all portions.
    let found = list(&world, of("", "peer = \"*:3\" AND NOT state = CLOSING AND local = \"0.0.0.0:*\""))
        .await
        .unwrap();
    assert_eq!(ids(&found).len(), 50, "r10 to r99 are 90");
    assert!(!found.next_page_token.is_empty() && crowd.asked().len() > 1);
    let (names, _) = all(&world, of("", "peer = \"*:3\"")).await;
    assert_eq!(names.len(), 90);
    assert_eq!(all(&world, of("", "received.bytes = 9 AND sent.bytes != 9")).await.0.len(), 499);
    assert_eq!(all(&world, of("agents/a/gateways/g/instances/y", "")).await.0.len(), 1_250);
    crowd.asked();
    assert_eq!(
        list(&world, of("agents/a/gateways/g/instances/y", "")).await.unwrap().summary.unwrap().open,
        1_250
    );
    assert_eq!(first(crowd.asked()).instance.unwrap().as_str(), "y");

    let (status, _) = refused(list(&world, of("", "received.byte = 9")).await, Code::InvalidArgument);
    assert!(
        status.message().contains("`received.byte`") || status.message().contains("received"),
        "{status}"
    );
    for (parent, code) in [
        ("agents/z", Code::NotFound),
        ("agents/a/gateways/z", Code::NotFound),
        ("agents/a/gateways/g/instances/z", Code::NotFound),
        ("agents/a/instances/x", Code::InvalidArgument),
    ] {
        refused(list(&world, of(parent, "")).await, code);
    }
    let (status, _) = refused(
        list(&world, v1::ListSessionsRequest { order_by: "age desc".to_owned(), ..of("", "") }).await,
        Code::InvalidArgument,
    );
    assert!(status.message().contains("retransmits"), "{status}");
}

/// All names, each once, and how often one was met again.
async fn distinct(world: &World, request: v1::ListSessionsRequest) -> (Vec<String>, usize) {
    let (mut names, _) = all(world, request).await;
    let met = names.len();
    names.sort_unstable();
    names.dedup();
    let again = met - names.len();
    (names, again)
}

#[tokio::test]
async fn what_is_silent_together_is_listed_once_however_long_that_takes() {
    let world = World::start().await;
    // Nothing that divides a millisecond: what is ranked must not depend on when it is looked at.
    for (agent, step) in [("a", 7_321), ("b", 313)] {
        world.agent(agent).await.gateway(&format!("{agent}/g"), "lines", &["x"]).await;
        let crowd = Crowd::attach(&world, agent, Manners::Lives(Duration::from_micros(step)));
        // One broadcast to all of them a minute ago, which took less than a millisecond.
        let minute = secs(60);
        let one = |i: u64| session(&format!("r{i}"), minute - Duration::from_micros(i % 1_000));
        let mut sessions: Vec<SessionView> = (0..1_500).map(one).collect();
        for i in (0..1_500).step_by(150) {
            sessions[i].cause = Some(Cause::HalfOpen);
            sessions[i].peer = "the wanted one".to_owned();
        }
        crowd.set("g", sessions);
    }
    for order_by in ["worst", "silent", "age"] {
        for (page_size, filter, want) in
            [(50, "", 3_000), (1_000, "", 3_000), (3, "peer = \"the wanted one\"", 20)]
        {
            let request =
                v1::ListSessionsRequest { page_size, order_by: order_by.to_owned(), ..of("", filter) };
            let (names, again) = distinct(&world, request).await;
            assert_eq!((names.len(), again), (want, 0), "{order_by} {page_size} {filter}");
        }
    }
}

#[tokio::test]
async fn a_list_of_sessions_that_speak_all_the_time_ends() {
    for page_size in [1, 7, 50] {
        let world = World::start().await;
        for agent in ["a", "b"] {
            world.agent(agent).await.gateway(&format!("{agent}/g"), "lines", &["x"]).await;
            let crowd = Crowd::attach(&world, agent, Manners::Lives(Duration::from_millis(40)));
            let silent = |i: u64| if i.is_multiple_of(3) { secs(i + 1) } else { Duration::ZERO };
            crowd.set("g", (0..60).map(|i| session(&format!("r{i}"), silent(i))).collect());
        }
        let (names, again) = distinct(&world, v1::ListSessionsRequest { page_size, ..of("", "") }).await;
        assert_eq!((names.len(), again), (120, 0), "{page_size}");
        // Where none matches, pages are empty, and there is an end to them all the same.
        let none = v1::ListSessionsRequest { page_size, ..of("", "peer = \"nobody\"") };
        assert_eq!(all(&world, none).await.0.len(), 0);
    }
}

#[tokio::test]
async fn who_does_not_answer_is_named_and_the_others_are_shown() {
    let sessions = Sessions::new(Metrics::default(), Duration::from_millis(250));
    let world = World::with(Options { sessions, ..Options::default() }).await;
    for (agent, gateways) in [("away", 2), ("broken", 1), ("good", 2), ("mute", 40), ("old", 3), ("stuck", 1)]
    {
        let mut feed = world.agent(agent).await;
        for g in 0..gateways {
            feed.gateway(&format!("{agent}/g{g}"), "lines", &["x"]).await;
        }
    }
    let good = Crowd::attach(&world, "good", Manners::Answers);
    good.set("g0", vec![session("r1", secs(3))]);
    good.set("g1", vec![session("r2", secs(9))]);
    let _old = Crowd::attach_old(&world, "old");
    let _mute = Crowd::attach(&world, "mute", Manners::Silent);
    let _broken = Crowd::attach(&world, "broken", Manners::Declines);
    let stuck = Crowd::attach(&world, "stuck", Manners::Repeats);
    stuck.set("g0", (0..9).map(|i| session(&format!("s{i}"), secs(i))).collect());
    let begun = std::time::Instant::now();
    let found = list(&world, of("", "silent < 1h AND age > 1m")).await.unwrap();
    assert!(begun.elapsed() < secs(5), "forty gateways were not waited for one after the other");
    assert_eq!(ids(&found).len(), 11);
    assert_eq!(found.next_page_token, "");
    assert_eq!(found.summary.unwrap().open, 11);
    let said: Vec<(&str, &str)> =
        found.unanswered.iter().map(|u| (u.name.as_str(), u.reason.as_str())).collect();
    assert_eq!(
        said,
        [
            ("agents/away", "agent away is not attached to this controller"),
            ("agents/broken/gateways/g0", "agent broken answered: not today"),
            ("agents/mute", "agent mute did not answer within 250ms"),
            ("agents/old", "agent old cannot be asked about sessions: it is too old; upgrade it"),
            (
                "agents/stuck/gateways/g0",
                "agent stuck answered: it says that there are more sessions and shows the same ones again"
            ),
        ]
    );
}

#[tokio::test]
async fn a_token_belongs_to_its_request() {
    let world = World::start().await;
    let _crowd = one(&world, (0..9).map(|i| session(&format!("r{i}"), secs(i))).collect()).await;
    let request = v1::ListSessionsRequest { page_size: 2, ..of("", "") };
    let token = list(&world, request.clone()).await.unwrap().next_page_token;
    let next = v1::ListSessionsRequest { page_token: token.clone(), ..request.clone() };
    assert_eq!(ids(&list(&world, next.clone()).await.unwrap()), ["r6", "r5"]);
    // The order that is meant by nothing may be named on the next page.
    let same = v1::ListSessionsRequest { order_by: "worst".to_owned(), ..next.clone() };
    assert!(list(&world, same).await.is_ok());
    for other in [
        v1::ListSessionsRequest { filter: "age > 1s".to_owned(), ..next.clone() },
        v1::ListSessionsRequest { parent: "agents/a".to_owned(), ..next.clone() },
        v1::ListSessionsRequest { order_by: "age".to_owned(), ..next.clone() },
    ] {
        let (_, info) = refused(list(&world, other).await, Code::InvalidArgument);
        assert_eq!(info.reason, "PAGE_TOKEN_MISMATCH");
    }
    let forged = v1::ListSessionsRequest { page_token: "AAAA".to_owned(), ..next };
    refused(list(&world, forged).await, Code::InvalidArgument);
    let (_, info) = refused(
        list(&world, v1::ListSessionsRequest { page_size: -1, ..of("", "") }).await,
        Code::InvalidArgument,
    );
    assert_eq!(info.metadata["field"], "page_size");
}

#[tokio::test]
async fn one_session_is_got_where_it_is() {
    let sessions = Sessions::new(Metrics::default(), Duration::from_millis(250));
    let world = World::with(Options { sessions, ..Options::default() }).await;
    let found = SessionView {
        instance: Some("x".parse().unwrap()),
        cause: Some(Cause::HalfOpen),
        message: "nothing acknowledged for 12 s".to_owned(),
        ..session("k9", secs(12))
    };
    let _crowd = one(&world, vec![found, session("k1", secs(1))]).await;
    let mut client = world.session_client();
    let mut get = async |short: &str, id: &str| {
        let name = format!("{}/sessions/{id}", name(short));
        client.get_session(v1::GetSessionRequest { name }).await.map(tonic::Response::into_inner)
    };
    let got = get("a/g", "k9").await.unwrap();
    assert_eq!((got.cause.as_str(), got.source()), ("HalfOpen", v1::SessionSource::Relay));
    assert_eq!((got.name, got.instance), (format!("{}/sessions/k9", name("a/g")), name("a/g/x")));
    let (status, _) = refused(get("a/g", "k2").await, Code::NotFound);
    assert!(status.message().contains("there is no session"), "{status}");
    refused(get("a/h", "k9").await, Code::NotFound);
    refused(get("a/g", "K9").await, Code::InvalidArgument);
    for (agent, code, reason) in [
        ("b", Code::Unavailable, "AGENT_NOT_ATTACHED"),
        ("c", Code::FailedPrecondition, "AGENT_TOO_OLD"),
        ("d", Code::Unavailable, "AGENT_NO_ANSWER"),
    ] {
        world.agent(agent).await.gateway(&format!("{agent}/g"), "lines", &["x"]).await;
        let _crowd = match agent {
            "c" => Some(Crowd::attach_old(&world, agent)),
            "d" => Some(Crowd::attach(&world, agent, Manners::Silent)),
            _ => None,
        };
        let (_, info) = refused(get(&format!("{agent}/g"), "k9").await, code);
        assert_eq!(info.reason, reason);
    }
}

#[tokio::test]
async fn a_watch_looks_again_and_again_until_its_reader_goes() {
    let config = ApiConfig { max_watches: 1, ..ApiConfig::default() };
    let world = World::with(Options { config, ..Options::default() }).await;
    let crowd = one(&world, vec![session("r1", secs(1)), session("r2", secs(2))]).await;
    let request = v1::WatchSessionsRequest {
        limit: 1,
        interval: Some(prost_types::Duration { seconds: 0, nanos: 1 }),
        ..Default::default()
    };
    let mut watch = world.session_client().watch_sessions(request.clone()).await.unwrap().into_inner();
    let mut next = async || {
        let look =
            tokio::time::timeout(PATIENCE, watch.message()).await.expect("nothing came").unwrap().unwrap();
        let names: Vec<String> =
            look.sessions.iter().map(|s| s.name.rsplit('/').next().unwrap().to_owned()).collect();
        (names, look.summary.unwrap().open, look.time.unwrap())
    };
    let (names, open, first) = next().await;
    assert_eq!((names, open), (vec!["r2".to_owned()], 2));
    crowd.set("g", vec![session("r3", secs(5))]);
    let (names, open, second) = next().await;
    assert_eq!((names, open), (vec!["r3".to_owned()], 1));
    let apart = (second.seconds - first.seconds) * 1_000 + i64::from(second.nanos - first.nanos) / 1_000_000;
    assert!(apart >= 900, "an interval below a second is a second: {apart} ms");

    let (_, info) = refused(
        world.session_client().watch_sessions(request.clone()).await.map(|_| ()),
        Code::ResourceExhausted,
    );
    assert_eq!(info.reason, "TOO_MANY_WATCHES");
    let wrong = v1::WatchSessionsRequest { parent: "agents/z".to_owned(), ..request.clone() };
    refused(world.session_client().watch_sessions(wrong).await.map(|_| ()), Code::NotFound);
    drop(watch);
    // The place is given back, and the agent is asked no more.
    let reopened = async {
        loop {
            match world.session_client().watch_sessions(request.clone()).await {
                Ok(watch) => return watch.into_inner(),
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            tokio::task::yield_now().await;
        }
    };
    let mut watch = tokio::time::timeout(PATIENCE, reopened).await.expect("the place was not given back");
    watch.message().await.unwrap();
    world.stop.cancel();
    let ended = async { while watch.message().await.is_ok_and(|look| look.is_some()) {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("it holds the server up");
}
