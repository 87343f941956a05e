//! The five cases that Mooring exists for, end to end: the fault is made in real software (or a double of what is on no
//! registry), its cause is stored and told, what was ordered is right (or rightly nothing), and the recovery is seen, or
//! handed to a human with the remedy.
//!
//! The table in `docs/five-cases.md` is what these tests print (`--nocapture`).

mod baileys;
mod bisheng;
mod evolution;
mod onebot;
mod ws;

use std::time::Instant;

use mooring_proto::v1::{ExplainInstanceRequest, ExplainInstanceResponse, Order};
use mooring_tests::world::World;

/// What Mooring says of an instance, in a language.
pub(crate) async fn explained(world: &World, name: &str, language: &str) -> ExplainInstanceResponse {
    let request = ExplainInstanceRequest { name: name.to_owned(), language: language.to_owned() };
    world.api.fleet.clone().explain_instance(request).await.expect("explained").into_inner()
}

/// The remedy is there in both languages.
pub(crate) async fn has_remedy(world: &World, name: &str) -> String {
    let english = explained(world, name, "en").await;
    let chinese = explained(world, name, "zh-CN").await;
    let han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    assert!(!english.remedy.is_empty() && !han(&english.remedy), "{english:#?}");
    assert!(han(&chinese.remedy), "{chinese:#?}");
    english.remedy
}

/// Orders on a target, newest first.
pub(crate) async fn orders_on(world: &World, target: &str) -> Vec<Order> {
    let orders = world.api.orders().await.expect("orders");
    orders.into_iter().filter(|order| order.target == target).collect()
}

/// A line of the table.
pub(crate) fn row(case: &str, broken: &str, said: &str, did: &str, from: Instant) {
    println!("| {case} | {broken} | {said} | {did} | {:.1} s |", from.elapsed().as_secs_f64());
}
