//! Policies and pauses.

use mooring_proto::v1;
use tonic::{Code, Request};

use super::*;

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() })
}

async fn event_texts(world: &World, filter: &str) -> Vec<String> {
    let request = v1::ListEventsRequest { filter: filter.to_owned(), ..Default::default() };
    let events = world.event_client().list_events(request).await.unwrap().into_inner().events;
    events.into_iter().map(|e| e.message).collect()
}

#[tokio::test]
async fn a_policy_is_made_changed_and_deleted_by_its_etag() {
    let world = World::start().await;
    let mut client = world.policy_client();
    let create = v1::CreatePolicyRequest {
        policy_id: "lines".to_owned(),
        policy: Some(v1::Policy { max_in_flight: 3, ..Default::default() }),
        validate_only: true,
    };
    client.create_policy(create.clone()).await.unwrap();
    let name = "policies/lines".to_owned();
    refused(client.get_policy(v1::GetPolicyRequest { name: name.clone() }).await, Code::NotFound);
    let create = v1::CreatePolicyRequest { validate_only: false, ..create };
    let made = client.create_policy(create.clone()).await.unwrap().into_inner();
    assert_eq!((made.max_in_flight, made.max_in_flight_percent, made.restart_count), (3, 10, Some(2)));
    let (_, info) = refused(client.create_policy(create).await, Code::AlreadyExists);
    assert_eq!(info.reason, "RESOURCE_EXISTS");

    let change = |policy: v1::Policy, paths: &[&str]| v1::UpdatePolicyRequest {
        policy: Some(v1::Policy { name: "policies/lines".to_owned(), ..policy }),
        update_mask: mask(paths),
        validate_only: false,
    };
    let etag = made.etag.clone();
    let none = v1::Policy { etag: etag.clone(), ..Default::default() };
    refused(client.update_policy(change(none.clone(), &[])).await, Code::InvalidArgument);
    refused(client.update_policy(change(none.clone(), &["colour"])).await, Code::InvalidArgument);
    refused(client.update_policy(change(v1::Policy::default(), &["dry_run"])).await, Code::InvalidArgument);
    let (status, _) = refused(
        client
            .update_policy(change(v1::Policy { storm_percent: 101, ..none.clone() }, &["storm_percent"]))
            .await,
        Code::InvalidArgument,
    );
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "policy.storm_percent");
    let dry = v1::Policy { dry_run: true, ..none };
    let changed = client.update_policy(change(dry.clone(), &["dry_run"])).await.unwrap().into_inner();
    assert!(changed.dry_run && changed.max_in_flight == 3 && changed.etag != etag);
    let (_, info) = refused(client.update_policy(change(dry, &["dry_run"])).await, Code::Aborted);
    assert_eq!((info.reason.as_str(), &info.metadata["current_etag"]), ("ETAG_MISMATCH", &changed.etag));

    let delete = |etag: &str| v1::DeletePolicyRequest { name: name.clone(), etag: etag.to_owned() };
    refused(client.delete_policy(delete("")).await, Code::InvalidArgument);
    refused(client.delete_policy(delete(&etag)).await, Code::Aborted);
    client.delete_policy(delete(&changed.etag)).await.unwrap();
    refused(client.get_policy(v1::GetPolicyRequest { name }).await, Code::NotFound);
    let events = event_texts(&world, "type = POLICY").await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events.iter().all(|e| e.contains("operator:local")), "{events:?}");
}

#[tokio::test]
async fn the_built_in_default_can_be_changed_but_not_deleted() {
    let world = World::start().await;
    let mut client = world.policy_client();
    let name = "policies/default".to_owned();
    let default = client.get_policy(v1::GetPolicyRequest { name: name.clone() }).await.unwrap().into_inner();
    let delete = v1::DeletePolicyRequest { name: name.clone(), etag: default.etag.clone() };
    let (_, info) = refused(client.delete_policy(delete).await, Code::FailedPrecondition);
    assert_eq!(info.reason, "POLICY_BUILT_IN");
    let update = v1::UpdatePolicyRequest {
        policy: Some(v1::Policy { max_per_minute: 5, ..default }),
        update_mask: mask(&["*"]),
        validate_only: false,
    };
    let changed = client.update_policy(update).await.unwrap().into_inner();
    assert_eq!(changed.max_per_minute, 5);
    // Deleted, it is the built-in one again.
    client.delete_policy(v1::DeletePolicyRequest { name: name.clone(), etag: changed.etag }).await.unwrap();
    let again = client.get_policy(v1::GetPolicyRequest { name }).await.unwrap().into_inner();
    assert_eq!(again.max_per_minute, 30);
    let list = client.list_policies(v1::ListPoliciesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.policies.len(), 1);
}

#[tokio::test]
async fn a_policy_of_the_file_is_shown_and_not_changed() {
    let file =
        PolicyFile { policy: [("lab".parse().unwrap(), mooring_core::policy::Policy::default())].into() };
    let world = World::with(Options { file, ..Options::default() }).await;
    let mut client = world.policy_client();
    let name = "policies/lab".to_owned();
    let lab = client.get_policy(v1::GetPolicyRequest { name: name.clone() }).await.unwrap().into_inner();
    assert!(lab.from_file);
    let update = v1::UpdatePolicyRequest {
        policy: Some(lab.clone()),
        update_mask: mask(&["*"]),
        validate_only: false,
    };
    let (status, info) = refused(client.update_policy(update).await, Code::FailedPrecondition);
    assert!(info.reason == "POLICY_FROM_FILE" && status.message().contains("policy_file"), "{status:?}");
    let delete = v1::DeletePolicyRequest { name, etag: lab.etag };
    refused(client.delete_policy(delete).await, Code::FailedPrecondition);
    let create = v1::CreatePolicyRequest { policy_id: "lab".to_owned(), ..Default::default() };
    refused(client.create_policy(create).await, Code::FailedPrecondition);
}

#[tokio::test]
async fn policies_have_pages() {
    let world = World::start().await;
    let mut client = world.policy_client();
    for id in ["a", "b", "z"] {
        let create = v1::CreatePolicyRequest { policy_id: id.to_owned(), ..Default::default() };
        client.create_policy(create).await.unwrap();
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListPoliciesRequest { page_size: 3, page_token: token };
        let page = client.list_policies(request).await.unwrap().into_inner();
        seen.extend(page.policies.into_iter().map(|p| p.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["policies/a", "policies/b", "policies/default", "policies/z"]);
}

fn pause_for(scope: &str, seconds: i64) -> v1::CreatePauseRequest {
    let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
    let pause =
        v1::Pause { scope: scope.to_owned(), reason: "maintenance".to_owned(), ttl, ..Default::default() };
    v1::CreatePauseRequest { pause: Some(pause), ..Default::default() }
}

#[tokio::test]
async fn a_pause_stops_orders_until_it_is_ended() {
    let world = World::start().await;
    small(&world).await;
    let mut client = world.pause_client();
    let request = v1::CreatePauseRequest {
        request_id: Uuid::from_u128(1).to_string(),
        ..pause_for("groups/lines", 600)
    };
    let pause = client.create_pause(request.clone()).await.unwrap().into_inner();
    assert_eq!((pause.scope.as_str(), pause.created_by.as_str()), ("groups/lines", "operator:local"));
    assert_eq!(client.create_pause(request.clone()).await.unwrap().into_inner().name, pause.name);
    let other = v1::CreatePauseRequest { pause: pause_for("*", 600).pause, ..request };
    let (_, info) = refused(client.create_pause(other).await, Code::InvalidArgument);
    assert_eq!(info.reason, "REQUEST_ID_REUSED");
    let order = v1::CreateOrderRequest {
        target: name("a/g/y"),
        action: v1::OrderAction::Reconnect.into(),
        reason: "test".to_owned(),
        ..Default::default()
    };
    let (_, info) = refused(world.order_client().create_order(order.clone()).await, Code::FailedPrecondition);
    assert_eq!((info.reason.as_str(), info.metadata["paused.pauses"].as_str()), ("GATE_PAUSED", "1"));
    let list = client.list_pauses(v1::ListPausesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.pauses.len(), 1);
    world.database_goes();
    let list = client.list_pauses(v1::ListPausesRequest::default()).await.unwrap();
    assert!(list.metadata().contains_key("mooring-stale") && list.get_ref().pauses.len() == 1);
    let delete = v1::DeletePauseRequest { name: pause.name };
    refused(client.delete_pause(delete.clone()).await, Code::Unavailable);
    world.database_returns().await;
    client.delete_pause(delete.clone()).await.unwrap();
    refused(client.delete_pause(delete).await, Code::NotFound);
    world.order_client().create_order(order).await.unwrap();
    assert_eq!(event_texts(&world, "type = PAUSE AND message : \"operator:local\"").await.len(), 2);
}

#[tokio::test]
async fn pauses_that_make_no_sense_are_refused() {
    let world = World::start().await;
    small(&world).await;
    let mut client = world.pause_client();
    for (request, field) in [
        (pause_for("groups/none", 60), "pause.scope"),
        (pause_for("agents/a/gateways/none", 60), "pause.scope"),
        (pause_for("everything", 60), "pause.scope"),
        (pause_for("*", 0), "pause.ttl"),
        (pause_for("*", -5), "pause.ttl"),
        (pause_for("*", 31 * 86_400), "pause.ttl"),
        (v1::CreatePauseRequest::default(), "pause"),
    ] {
        let (_, info) = refused(client.create_pause(Request::new(request)).await, Code::InvalidArgument);
        assert_eq!(info.metadata["field"], field);
    }
    let with = |change: fn(&mut v1::Pause)| {
        let mut request = pause_for("*", 60);
        request.pause.as_mut().into_iter().for_each(change);
        request
    };
    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let mut gone = with(|p| p.ttl = None);
    gone.pause.as_mut().unwrap().expire_time = past;
    for request in [with(|p| p.reason.clear()), with(|p| p.ttl = None), gone] {
        refused(client.create_pause(request).await, Code::InvalidArgument);
    }
    refused(
        client.delete_pause(v1::DeletePauseRequest { name: "pauses/1".to_owned() }).await,
        Code::InvalidArgument,
    );
    for i in 1..=3 {
        client.create_pause(pause_for("*", 60 * i)).await.unwrap();
    }
    let first =
        client.list_pauses(v1::ListPausesRequest { page_size: 2, ..Default::default() }).await.unwrap();
    let page_token = first.into_inner().next_page_token;
    let rest =
        client.list_pauses(v1::ListPausesRequest { page_size: 2, page_token }).await.unwrap().into_inner();
    assert_eq!((rest.pauses.len(), rest.next_page_token.as_str()), (1, ""));
}
