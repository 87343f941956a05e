//! Following one order to its end.
//!
//! By asking, not by a stream: an answer to `GetOrder` is the truth whatever was missed meanwhile, and it survives the
//! controller being replaced in the middle, which is when people wait for an order most anxiously.

use std::time::Duration;

use mooring_proto::v1::{GetOrderRequest, Order, OrderState};
use tokio::time::Instant;

use super::Client;
use crate::failure::Outcome;

/// First and longest time between two questions.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// How long the controller may be away until waiting is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether an order's life is over.
pub(crate) fn over(state: OrderState) -> bool {
    match state {
        OrderState::Succeeded
        | OrderState::Failed
        | OrderState::Expired
        | OrderState::Cancelled
        | OrderState::Refused => true,
        OrderState::Unspecified
        | OrderState::Pending
        | OrderState::Dispatched
        | OrderState::Accepted
        | OrderState::Running
        | OrderState::Verifying => false,
    }
}

/// Asks after an order until it is over. `changed` is told of each state, `away` of a controller that does not answer.
pub(crate) async fn follow(
    client: &Client,
    mut order: Order,
    mut changed: impl FnMut(&Order) -> Outcome<()>,
    mut away: impl FnMut(&str),
) -> Outcome<Order> {
    let mut pause = FIRST;
    let mut silent_since: Option<Instant> = None;
    loop {
        changed(&order)?;
        if over(order.state()) {
            return Ok(order);
        }
        let state = order.state();
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
            let request = GetOrderRequest { name: order.name.clone() };
            match client.call(client.orders().get_order(request)).await {
                Ok(newer) => {
                    silent_since = None;
                    order = newer;
                }
                Err(failure) if failure.passing() => {
                    let since = *silent_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(failure);
                    }
                    away(&failure.to_string());
                }
                Err(failure) => return Err(failure),
            }
            if order.state() != state {
                pause = FIRST;
                break;
            }
        }
    }
}
