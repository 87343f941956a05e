//! Making an order: what `reconnect` and `restart` share.

use mooring_core::id::Target;
use mooring_proto::v1::{CreateOrderRequest, Order, OrderAction, OrderState};
use uuid::Uuid;

use super::orders;
use crate::client::{Client, follow};
use crate::context::Context;
use crate::failure::{Failure, Outcome, PROBLEM};
use crate::show::order;
use crate::text::{self, Text};

/// What every order needs.
#[derive(Debug, clap::Args)]
pub(super) struct Making {
    /// Why: it is kept with the order.
    #[arg(long)]
    pub(super) reason: String,
    /// Ask every gate what it would say, and order nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Follow the order to its end; exit 0 only if it succeeded.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) wait: bool,
}

impl Making {
    /// A request with an id of its own, so that whatever is sent twice is done once.
    pub(super) fn request(
        &self,
        context: &Context,
        target: &Target,
        action: OrderAction,
    ) -> CreateOrderRequest {
        let request_id = Uuid::new_v4().to_string();
        context.verbose(&format!("{}: {request_id}", Text::RequestId.of(context.lang())));
        CreateOrderRequest {
            target: target.to_string(),
            action: action.into(),
            reason: self.reason.clone(),
            request_id,
            validate_only: self.dry_run,
        }
    }

    /// Makes the order (or asks what would come of it) and, if wanted, follows it.
    pub(super) async fn make(
        &self,
        context: &Context,
        client: &Client,
        request: CreateOrderRequest,
    ) -> Outcome {
        let made = client.call(client.orders().create_order(request)).await?;
        if self.dry_run {
            context.show("mooring.v1.Order", &made, [made.target.clone()], |look| {
                let action = text::action(made.action(), look.lang);
                format!("{action} {}: {}\n", made.target, Text::WouldPass.of(look.lang))
            })?;
            return Ok(0);
        }
        if !self.wait {
            context.show("mooring.v1.Order", &made, [made.name.clone()], |look| {
                format!(
                    "{}: {}\n{}\n",
                    Text::Ordered.of(look.lang),
                    made.name,
                    order::line(&made, true, look)
                )
            })?;
            return Ok(0);
        }
        let ended = wait(context, client, made).await?;
        Ok(if ended.state() == OrderState::Succeeded { 0 } else { PROBLEM })
    }
}

/// Follows an order to its end, telling of each state; shows it at the end.
async fn wait(context: &Context, client: &Client, made: Order) -> Outcome<Order> {
    let mut first = true;
    let say = |order: &Order| {
        // Progress is for people; whoever reads JSON wants the order that came of it.
        if context.json() {
            return Ok(());
        }
        context.print(&order::line(order, std::mem::take(&mut first), &context.look_now()))
    };
    let away = |why: &str| context.verbose(&format!("{}: {why}", Text::ConnectionLost.of(context.lang())));
    let ended = follow(client, made, say, away).await?;
    if context.json() {
        orders::show(context, &ended)?;
    } else if ended.state() != OrderState::Succeeded && !ended.output.is_empty() {
        context.print(&order::detail(&ended, &context.look_now()))?;
    }
    if ended.state() != OrderState::Succeeded {
        let state = text::order_state(ended.state(), context.lang());
        return Err(Failure::Problem(format!(
            "{}: {state}: {}",
            Text::OrderFailed.of(context.lang()),
            ended.outcome
        )));
    }
    Ok(ended)
}
