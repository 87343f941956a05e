//! What is kept of sessions: how they ended, and numbers.

use mooring_core::session::{EndedBy, SessionClose, SessionCounts};
use mooring_proto::v1;
use mooring_store::{CountsRecord, NewClose};
use tonic::Code;

use super::*;

fn close(short: &str, id: &str, instance: Option<&str>, cause: Option<Cause>) -> NewClose {
    let close = SessionClose {
        id: id.parse().unwrap(),
        source: Source::Kernel,
        instance: instance.map(|i| i.parse().unwrap()),
        peer: "192.0.2.7:5".to_owned(),
        at: now(),
        age: Duration::from_secs(61),
        silent_for: Duration::from_secs(60),
        by: EndedBy::Path,
        code: None,
        cause,
        message: "cut after 60 s of silence".to_owned(),
    };
    NewClose { gateway: gateway(short), close }
}

#[tokio::test]
async fn ends_are_listed_newest_first_and_need_the_database() {
    let world = World::start().await;
    let mut feed = world.agent("a").await;
    feed.gateway("a/g", "lines", &["x"]).await;
    feed.gateway("a/h", "lines", &["x"]).await;
    let cause = |i: usize| i.is_multiple_of(3).then_some(Cause::IdleCut);
    let closes = |short: &str, n: usize| -> Vec<NewClose> {
        (0..n).map(|i| close(short, &format!("k{i}"), (i % 2 == 0).then_some("x"), cause(i))).collect()
    };
    feed.report(Changes { session_closes: closes("a/g", 40), ..Changes::default() }).await;
    feed.report(Changes { session_closes: closes("a/h", 3), ..Changes::default() }).await;
    let mut client = world.session_client();
    let mut all = async |parent: &str, filter: &str, page_size: i32| {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListSessionClosesRequest {
                parent: parent.to_owned(),
                filter: filter.to_owned(),
                page_size,
                page_token,
            };
            let page = client.list_session_closes(request).await?.into_inner();
            ids.extend(page.closes.iter().map(|c| c.session.clone()));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok::<_, Status>(ids);
            }
        }
    };
    let everything = all("", "", 7).await.unwrap();
    assert_eq!(everything.len(), 43);
    assert_eq!(everything[0], format!("{}/sessions/k2", name("a/h")));
    assert_eq!(everything[42], format!("{}/sessions/k0", name("a/g")));
    assert_eq!(all("agents/a/gateways/g", "", 0).await.unwrap().len(), 40);
    assert_eq!(all("agents/a/gateways/g/instances/x", "", 3).await.unwrap().len(), 20);
    assert_eq!(
        all("agents/a/gateways/g", "cause = \"IdleCut\" AND source = KERNEL", 3).await.unwrap().len(),
        14
    );
    assert_eq!(
        all("", "ended_by = PATH AND age > 1m AND time > \"2020-01-01T00:00:00Z\"", 0).await.unwrap().len(),
        43
    );
    assert!(all("", "code : *", 0).await.unwrap().is_empty());
    refused(all("agents/b", "", 0).await, Code::NotFound);
    refused(all("", "state = OPEN", 0).await, Code::InvalidArgument);
    world.database_goes();
    let (_, info) = refused(all("", "", 0).await, Code::Unavailable);
    assert_eq!(info.reason, "DATABASE_AWAY");
}

#[tokio::test]
async fn numbers_are_listed_by_name_and_from_memory_while_the_database_is_away() {
    let world = World::start().await;
    let mut want = Vec::new();
    for agent in ["a", "b"] {
        let mut feed = world.agent(agent).await;
        for g in ["g", "h", "silent"] {
            let short = format!("{agent}/{g}");
            feed.gateway(&short, "lines", &["x"]).await;
            if g == "silent" {
                continue;
            }
            let counts = SessionCounts {
                open: 3,
                closed_by_cause: vec![(Cause::IdleCut, 2)],
                ..SessionCounts::default()
            };
            let told = CountsRecord { gateway: gateway(&short), counts, at: now() };
            feed.report(Changes { session_counts: vec![told], ..Changes::default() }).await;
            want.push(name(&short));
        }
    }
    let get = async |parent: &str, page_size: i32, page_token: &str| {
        let request = v1::ListSessionCountsRequest {
            parent: parent.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        world.session_client().list_session_counts(request).await.unwrap()
    };
    for away in [false, true] {
        if away {
            world.database_goes();
        }
        let (mut names, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let answer = get("", 2, &token).await;
            assert_eq!(answer.metadata().contains_key("mooring-stale"), away);
            let page = answer.into_inner();
            assert!(
                page.counts
                    .iter()
                    .all(|c| c.open == 3 && c.closed_by_cause["IdleCut"] == 2 && c.time.is_some())
            );
            names.extend(page.counts.into_iter().map(|c| c.gateway));
            (token, pages) = (page.next_page_token, pages + 1);
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((&names, pages), (&want, 2));
        assert_eq!(get("agents/-/gateways/h", 0, "").await.into_inner().counts.len(), 2);
        assert_eq!(get("agents/b", 0, "").await.into_inner().counts.len(), 2);
    }
    // How a gateway is watched shows on it.
    let get = v1::GetGatewayRequest { name: name("a/g") };
    let shown = world.fleet_client().get_gateway(get).await.unwrap().into_inner();
    assert_eq!(shown.watch, ["canary", "relay"]);
    for (filter, n) in [("watch = \"relay\"", 6), ("watch = \"kernel\"", 0), ("watch : *", 6)] {
        let request = v1::ListGatewaysRequest { filter: filter.to_owned(), ..Default::default() };
        let found = world.fleet_client().list_gateways(request).await.unwrap().into_inner();
        assert_eq!(found.gateways.len(), n, "{filter}");
    }
}
