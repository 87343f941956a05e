//! Lists: pages that neither repeat nor skip, filters, parents, order.

use mooring_core::cause::Cause;
use mooring_core::order::Action;
use mooring_proto::v1;
use tonic::Code;

use super::*;

async fn instances(
    world: &World,
    request: v1::ListInstancesRequest,
) -> Result<v1::ListInstancesResponse, Status> {
    world.fleet_client().list_instances(request).await.map(tonic::Response::into_inner)
}

fn ids(page: &v1::ListInstancesResponse) -> Vec<String> {
    page.instances.iter().map(|i| i.name.rsplit('/').next().unwrap().to_owned()).collect()
}

async fn ten(world: &World) -> Feed<'_> {
    let mut feed = world.agent("a").await;
    let ids: Vec<String> = (0..10).map(|i| format!("i{i}")).collect();
    feed.gateway("a/g", "lines", &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    feed
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_instances_come_and_go() {
    let world = World::start().await;
    let mut feed = ten(&world).await;
    let mut seen = Vec::new();
    let mut page_token = String::new();
    let mut pages = 0;
    loop {
        let request = v1::ListInstancesRequest { page_size: 3, page_token, ..Default::default() };
        let page = instances(&world, request).await.unwrap();
        assert!(page.instances.len() <= 3);
        seen.extend(ids(&page));
        pages += 1;
        if pages == 1 {
            // One before the cursor, one after it, and the very one that the token names goes.
            feed.add("a/g/i0a").await;
            feed.add("a/g/i5a").await;
            feed.remove("a/g/i2").await;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["i0", "i1", "i2", "i3", "i4", "i5", "i5a", "i6", "i7", "i8", "i9"]);
}

#[tokio::test]
async fn a_page_that_ends_with_the_list_has_no_token() {
    let world = World::start().await;
    ten(&world).await;
    let page =
        instances(&world, v1::ListInstancesRequest { page_size: 10, ..Default::default() }).await.unwrap();
    assert_eq!((page.instances.len(), page.next_page_token.as_str()), (10, ""));
}

#[tokio::test]
async fn worst_first_goes_by_severity_and_then_by_name_across_pages() {
    let world = World::start().await;
    let mut feed = ten(&world).await;
    for i in [1, 4, 7] {
        feed.sick(&format!("a/g/i{i}"), Cause::ConnectionRefused).await;
    }
    feed.sick("a/g/i9", Cause::WrongPath).await;
    for i in [0, 2] {
        feed.well(&format!("a/g/i{i}")).await;
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let order_by = "severity desc".to_owned();
        let request = v1::ListInstancesRequest { page_size: 2, page_token, order_by, ..Default::default() };
        let page = instances(&world, request).await.unwrap();
        seen.extend(ids(&page));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["i9", "i1", "i4", "i7", "i3", "i5", "i6", "i8", "i0", "i2"]);
}

#[tokio::test]
async fn filters_and_parents_choose() {
    let world = World::start().await;
    small(&world).await;
    let mut other = world.agent("b").await;
    other.gateway("b/g", "default", &["x"]).await;
    other.sick("b/g/x", Cause::ConnectionRefused).await;
    for (parent, filter, want) in [
        ("", "phase = DOWN", vec!["agents/b/gateways/g/instances/x"]),
        ("", "cause = \"WrongPath\"", vec!["agents/a/gateways/g/instances/x"]),
        ("agents/-", "instance = x AND group = lines", vec!["agents/a/gateways/g/instances/x"]),
        ("agents/a", "", vec!["agents/a/gateways/g/instances/x", "agents/a/gateways/g/instances/y"]),
        ("agents/-/gateways/g", "NOT reachable = FALSE", vec!["agents/a/gateways/g/instances/y"]),
        ("agents/b/gateways/-", "labels.zone = eu-*", vec!["agents/b/gateways/g/instances/x"]),
        ("", "stale = true", vec![]),
    ] {
        let request = v1::ListInstancesRequest {
            parent: parent.to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        let page = instances(&world, request).await.unwrap();
        let names: Vec<&str> = page.instances.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, want, "{parent} {filter}");
    }
    let mut client = world.fleet_client();
    let request = v1::ListGatewaysRequest {
        filter: "sick_count > 0 AND group = lines".to_owned(),
        ..Default::default()
    };
    let gateways = client.list_gateways(request).await.unwrap().into_inner().gateways;
    assert_eq!((gateways.len(), gateways[0].instance_count, gateways[0].healthy_count), (1, 2, 1));
    let request =
        v1::ListAgentsRequest { filter: "state = ONLINE AND node = *-b".to_owned(), ..Default::default() };
    let agents = client.list_agents(request).await.unwrap().into_inner().agents;
    assert_eq!((agents.len(), agents[0].name.as_str(), agents[0].instance_count), (1, "agents/b", 1));
}

#[tokio::test]
async fn agents_and_gateways_have_pages_too() {
    let world = World::start().await;
    for agent in ["a", "b", "c"] {
        let mut feed = world.agent(agent).await;
        feed.gateway(&format!("{agent}/g"), "lines", &[]).await;
        feed.gateway(&format!("{agent}/h"), "lines", &[]).await;
    }
    let mut client = world.fleet_client();
    let (mut agents, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListAgentsRequest { page_size: 2, page_token: token, ..Default::default() };
        let page = client.list_agents(request).await.unwrap().into_inner();
        agents.extend(page.agents.into_iter().map(|a| a.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(agents, ["agents/a", "agents/b", "agents/c"]);
    let (mut gateways, mut pages) = (Vec::new(), 0);
    loop {
        let request = v1::ListGatewaysRequest { page_size: 4, page_token: token, ..Default::default() };
        let page = client.list_gateways(request).await.unwrap().into_inner();
        gateways.extend(page.gateways.into_iter().map(|g| g.name));
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
    }
    let want: Vec<String> = ["a/g", "a/h", "b/g", "b/h", "c/g", "c/h"].iter().map(|g| name(g)).collect();
    assert_eq!((gateways, pages), (want, 2));
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_said() {
    let world = World::start().await;
    ten(&world).await;
    let with = |f: fn(&mut v1::ListInstancesRequest)| {
        let mut request = v1::ListInstancesRequest::default();
        f(&mut request);
        instances(&world, request)
    };
    let (status, info) = refused(with(|r| r.filter = "phas = DOWN".to_owned()).await, Code::InvalidArgument);
    assert!(
        info.reason == "INVALID_FILTER" && status.message().contains("did you mean `phase`"),
        "{status:?}"
    );
    refused(with(|r| r.page_size = -1).await, Code::InvalidArgument);
    refused(with(|r| r.order_by = "phase".to_owned()).await, Code::InvalidArgument);
    refused(with(|r| r.parent = "agents/a/x".to_owned()).await, Code::InvalidArgument);
    refused(with(|r| r.parent = "agents/nobody".to_owned()).await, Code::NotFound);
    refused(with(|r| r.parent = "agents/a/gateways/none".to_owned()).await, Code::NotFound);
    let (_, info) = refused(with(|r| r.page_token = "bm9uc2Vuc2U".to_owned()).await, Code::InvalidArgument);
    assert_eq!(info.reason, "PAGE_TOKEN_INVALID");
    let page =
        instances(&world, v1::ListInstancesRequest { page_size: 3, ..Default::default() }).await.unwrap();
    let request = v1::ListInstancesRequest {
        filter: "stale = false".to_owned(),
        page_token: page.next_page_token,
        ..Default::default()
    };
    let (_, info) = refused(instances(&world, request).await, Code::InvalidArgument);
    assert_eq!(info.reason, "PAGE_TOKEN_MISMATCH");
}

#[tokio::test]
async fn the_fleet_in_numbers_and_its_members_by_name() {
    let world = World::start().await;
    small(&world).await;
    let mut client = world.fleet_client();
    let fleet = client.get_fleet(v1::GetFleetRequest {}).await.unwrap();
    assert!(fleet.metadata().get("mooring-stale").is_none());
    let fleet = fleet.into_inner();
    assert_eq!((fleet.agents_online, fleet.gateways, fleet.instances, fleet.pauses), (1, 1, 2, 0));
    assert_eq!((fleet.phases["NeedsHuman"], fleet.phases["Healthy"]), (1, 1));
    assert!(fleet.storms.is_empty() && !fleet.database_away && fleet.warming_up.is_empty());
    let of = |name: &str| v1::GetInstanceRequest { name: name.to_owned() };
    let x = client.get_instance(of(&name("a/g/x"))).await.unwrap().into_inner();
    assert_eq!(
        (x.phase(), x.conditions[0].cause.as_str(), x.stale),
        (v1::Phase::NeedsHuman, "WrongPath", false)
    );
    let (_, info) = refused(client.get_instance(of(&name("a/g/z"))).await, Code::NotFound);
    assert_eq!(info.metadata["name"], name("a/g/z"));
    refused(client.get_instance(of("agents/a")).await, Code::InvalidArgument);
    let gateway = client.get_gateway(v1::GetGatewayRequest { name: name("a/g") }).await.unwrap().into_inner();
    assert_eq!((gateway.actions.len(), gateway.labels["zone"].as_str()), (Action::ALL.len(), "eu-1"));
    let agent =
        client.get_agent(v1::GetAgentRequest { name: "agents/a".to_owned() }).await.unwrap().into_inner();
    assert_eq!(agent.state(), v1::AgentState::Online);

    world.database_goes();
    let fleet = client.get_fleet(v1::GetFleetRequest {}).await.unwrap();
    assert_eq!(fleet.metadata().get("mooring-stale").unwrap(), "true");
    assert!(fleet.get_ref().database_away && fleet.get_ref().database_away_since.is_some());
    assert!(client.get_instance(of(&name("a/g/y"))).await.unwrap().into_inner().stale);
    world.database_returns().await;
    assert!(!client.get_instance(of(&name("a/g/y"))).await.unwrap().into_inner().stale);
}

#[tokio::test]
async fn a_storm_is_named_by_its_group() {
    let world = World::start().await;
    let mut feed = world.agent("a").await;
    for g in ["g1", "g2", "g3"] {
        feed.gateway(&format!("a/{g}"), "lines", &["x"]).await;
        feed.sick(&format!("a/{g}/x"), Cause::WrongPath).await;
    }
    feed.gateway("a/calm", "lab", &["x"]).await;
    feed.well("a/calm/x").await;
    let fleet = world.fleet_client().get_fleet(v1::GetFleetRequest {}).await.unwrap().into_inner();
    assert_eq!(fleet.storms, ["lines"]);
}
