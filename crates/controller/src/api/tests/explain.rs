//! Explanations.

use mooring_core::cause::Cause;
use mooring_core::gate::Gate;
use mooring_proto::v1;
use tonic::Code;

use super::*;

async fn explain(world: &World, short: &str, language: &str) -> v1::ExplainInstanceResponse {
    let request = v1::ExplainInstanceRequest { name: name(short), language: language.to_owned() };
    world.fleet_client().explain_instance(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_cause_for_humans_is_explained_in_both_languages_with_every_gate() {
    let world = World::start().await;
    small(&world).await;
    let said = explain(&world, "a/g/x", "").await;
    assert!(said.summary.starts_with("NeedsHuman for 1m"), "{}", said.summary);
    assert!(said.summary.contains(": WrongPath. "), "{}", said.summary);
    assert_eq!(said.remedy, Cause::WrongPath.words(mooring_core::cause::Lang::En).remedy);
    assert_eq!(said.gates.len(), Gate::ALL.len());
    assert!(said.gates.iter().all(|g| g.open && !g.message.is_empty()), "{:?}", said.gates);
    assert_eq!(
        (said.next_action(), said.policy.as_str()),
        (v1::OrderAction::Unspecified, "policies/default")
    );
    assert!(!said.next_action_reason.is_empty());
    assert!((90..120).contains(&said.phase_age.unwrap().seconds));
    let zh = explain(&world, "a/g/x", "zh-CN").await;
    assert!(zh.summary.starts_with("需要人工处理，已持续 1m"), "{}", zh.summary);
    assert!(zh.summary.contains("：WrongPath。"), "{}", zh.summary);
    assert_eq!(zh.remedy, Cause::WrongPath.words(mooring_core::cause::Lang::ZhCn).remedy);
    let well = explain(&world, "a/g/y", "en").await;
    assert!(well.summary.starts_with("Healthy for 1m"), "{}", well.summary);
    assert_eq!(well.remedy, "Nothing to do.");
}

#[tokio::test]
async fn the_next_action_is_the_planners_and_orders_show() {
    // The clerk must not act on it meanwhile, however slow the machine is.
    let patient =
        mooring_core::policy::Policy { act_after: Duration::from_secs(3_600), ..Default::default() };
    let file = PolicyFile { policy: [("default".parse().unwrap(), patient)].into() };
    let world = World::with(Options { file, ..Options::default() }).await;
    let mut feed = small(&world).await;
    feed.sick("a/g/y", Cause::ConnectionRefused).await;
    let said = explain(&world, "a/g/y", "").await;
    // One refused instance of two: the ladder begins with the instance.
    assert_eq!(said.next_action(), v1::OrderAction::RestartInstance, "{}", said.next_action_reason);
    assert!(
        said.next_action_time.is_some() && said.next_action_reason.contains("step 1"),
        "{}",
        said.next_action_reason
    );
    let order = v1::CreateOrderRequest {
        target: name("a/g/x"),
        action: v1::OrderAction::Reconnect.into(),
        reason: "test".to_owned(),
        ..Default::default()
    };
    let order = world.order_client().create_order(order).await.unwrap().into_inner();
    let said = explain(&world, "a/g/x", "").await;
    let live = said.gates.iter().find(|g| g.gate == "live_order").unwrap();
    assert!(!live.open && live.numbers["used"] == 1, "{live:?}");
    assert_eq!(said.recent_orders[0].name, order.name);
    assert!(!said.recent_events.is_empty());
}

#[tokio::test]
async fn while_the_database_is_away_it_says_what_is_not_known() {
    let world = World::start().await;
    small(&world).await;
    world.database_goes();
    let request = v1::ExplainInstanceRequest { name: name("a/g/x"), language: String::new() };
    let answer = world.fleet_client().explain_instance(request).await.unwrap();
    assert_eq!(answer.metadata().get("mooring-stale").unwrap(), "true");
    let said = answer.into_inner();
    assert!(said.instance.unwrap().stale && said.summary.contains("WrongPath"));
    assert_eq!(
        (said.gates.len(), said.gates[0].gate.as_str(), said.gates[0].open),
        (1, "database_away", false)
    );
    assert!(said.recent_orders.is_empty() && said.recent_events.is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_not_explained() {
    let world = World::start().await;
    small(&world).await;
    let request = v1::ExplainInstanceRequest { name: name("a/g/z"), ..Default::default() };
    refused(world.fleet_client().explain_instance(request).await, Code::NotFound);
}
