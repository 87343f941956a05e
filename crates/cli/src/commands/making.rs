//! Making orders: what every command that orders something shares.

use mooring_core::id::Target;
use mooring_proto::v1::{CreateOrderRequest, Order, OrderAction, OrderState};
use uuid::Uuid;

use super::orders;
use crate::client::{Client, follow};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
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
            spread: None,
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
        self.tell(context, &made)?;
        if self.wait { wait(context, client, made).await } else { Ok(0) }
    }

    /// Makes several: all of them before any is waited for.
    pub(super) async fn make_all(
        &self,
        context: &Context,
        client: &Client,
        mut requests: Vec<CreateOrderRequest>,
    ) -> Outcome {
        if requests.len() == 1
            && let Some(only) = requests.pop()
        {
            return self.make(context, client, only).await;
        }
        let (mut tally, mut all) = (Tally::default(), Vec::new());
        for request in requests {
            let target = request.target.clone();
            match client.call(client.orders().create_order(request)).await {
                Ok(made) => {
                    self.tell(context, &made)?;
                    all.push(made);
                }
                Err(failure) => tally.take(context, &target, Err(failure))?,
            }
        }
        if self.wait {
            for made in all {
                let target = made.target.clone();
                let outcome = wait(context, client, made).await;
                tally.take(context, &target, outcome)?;
            }
        }
        Ok(tally.code)
    }

    /// Shows what was ordered, or would have been; whoever waits is told of its states instead.
    fn tell(&self, context: &Context, made: &Order) -> Outcome<()> {
        if self.dry_run {
            context.show("mooring.v1.Order", made, [made.target.clone()], |look| {
                let action = text::action(made.action(), look.lang);
                format!("{action} {}: {}\n", made.target, Text::WouldPass.of(look.lang))
            })
        } else if self.wait {
            Ok(())
        } else {
            context.show("mooring.v1.Order", made, [made.name.clone()], |look| {
                let line = order::line(made, true, look);
                format!("{}: {}\n{line}\n", Text::Ordered.of(look.lang), made.name)
            })
        }
    }
}

/// How it went so far: a failure of one order does not keep the next ones, and the first of them is what counts.
#[derive(Debug, Default)]
struct Tally {
    code: u8,
}

impl Tally {
    fn take(&mut self, context: &Context, target: &str, outcome: Outcome) -> Outcome<()> {
        let code = match outcome {
            Ok(code) => code,
            // Nobody reads what more there would be to say.
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => {
                let words = failure.words(context.lang()).unwrap_or_default();
                context.note(&format!("{target}: {}", words.trim_end()));
                failure.exit_code()
            }
        };
        if self.code == 0 {
            self.code = code;
        }
        Ok(())
    }
}

/// Follows an order to its end, telling of each state; shows it at the end. One that did not succeed is a failure.
async fn wait(context: &Context, client: &Client, made: Order) -> Outcome {
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
    Ok(0)
}
