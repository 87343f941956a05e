//! `mooring orders`: the list, one of them, and taking one back.

use clap::Subcommand;
use mooring_proto::v1::{CancelOrderRequest, GetOrderRequest, ListOrdersRequest, ListOrdersResponse, Order};

use crate::client::{Client, MAX_PAGE, pages};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::{order, short};
use crate::text::Text;

/// Orders, newest first; one with everything known of it; or take one back.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  mooring orders
  mooring orders --filter 'state = FAILED'
  mooring orders 4fd3a6b2c901
  mooring orders cancel 4fd3a6b2c901 --reason \"no longer needed\""
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// One order: its full name, or the end of it.
    #[arg(conflicts_with_all = ["filter", "limit"])]
    name: Option<String>,
    /// Only those that match, e.g. `target : "gateways/chat"`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take back an order that the agent has not accepted.
    #[command(after_help = "\
Examples:
  mooring orders cancel 4fd3a6b2c901 --reason \"no longer needed\"")]
    Cancel {
        /// The order: its full name, or the end of it.
        name: String,
        /// Why; it is kept.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        match (&self.command, &self.name) {
            (Some(Command::Cancel { name, reason }), _) => cancel(context, &client, name, reason).await,
            (None, Some(given)) => {
                let name = resolve(&client, given).await?;
                let found = client.call(client.orders().get_order(GetOrderRequest { name })).await?;
                show(context, &found)?;
                Ok(0)
            }
            (None, None) => self.list(context, &client).await,
        }
    }

    async fn list(&self, context: &Context, client: &Client) -> Outcome {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (orders, next_page_token) = list(client, &self.filter, limit).await?;
        let names: Vec<String> = orders.iter().map(|o| o.name.clone()).collect();
        let answer = ListOrdersResponse { orders, next_page_token };
        context.show("mooring.v1.ListOrdersResponse", &answer, names, |look| {
            order::list(&answer.orders, look)
        })?;
        Ok(0)
    }
}

/// Shows one order.
pub(super) fn show(context: &Context, found: &Order) -> Outcome<()> {
    context.show("mooring.v1.Order", found, [found.name.clone()], |look| order::detail(found, look))
}

async fn list(client: &Client, filter: &str, limit: usize) -> Outcome<(Vec<Order>, String)> {
    pages(Some(limit), async |page_size, page_token| {
        let request = ListOrdersRequest { page_size, page_token, filter: filter.to_owned() };
        let answer = client.call(client.orders().list_orders(request)).await?;
        Ok((answer.orders, answer.next_page_token))
    })
    .await
}

async fn cancel(context: &Context, client: &Client, given: &str, reason: &str) -> Outcome {
    let name = resolve(client, given).await?;
    let request = CancelOrderRequest { name, reason: reason.to_owned() };
    let order = client.call(client.orders().cancel_order(request)).await?;
    context.show("mooring.v1.Order", &order, [order.name.clone()], |look| {
        format!("{}: {}\n", Text::Cancelled.of(look.lang), order.name)
    })?;
    Ok(0)
}

/// The full name of an order: as given, or found by the end of its id among the newest.
async fn resolve(client: &Client, given: &str) -> Outcome<String> {
    let id = given.strip_prefix("orders/").unwrap_or(given);
    if uuid::Uuid::try_parse(id).is_ok() {
        return Ok(format!("orders/{id}"));
    }
    let (newest, _) = list(client, "", MAX_PAGE).await?;
    pick("order", id, newest.into_iter().map(|o| o.name))
}

/// The one name among these whose id ends (or begins) with what was given.
pub(super) fn pick(kind: &str, given: &str, names: impl Iterator<Item = String>) -> Outcome<String> {
    if given.is_empty() {
        return Err(Failure::Usage(format!("the name of a {kind} must not be empty")));
    }
    let fits = |name: &String| {
        let id = name.rsplit('/').next().unwrap_or_default();
        id.ends_with(given) || id.starts_with(given)
    };
    let found: Vec<String> = names.filter(fits).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            Err(Failure::Problem(format!("there is no {kind} `{given}` (looked at the newest {MAX_PAGE})")))
        }
        several => {
            let listed: Vec<String> =
                several.iter().take(10).map(|n| format!("  {}  {n}", short(n))).collect();
            Err(Failure::Usage(format!("`{given}` is ambiguous; it may be\n{}", listed.join("\n"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_or_the_beginning_of_an_id_is_enough() {
        let names = || {
            ["orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901", "orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c902"]
                .into_iter()
                .map(str::to_owned)
        };
        assert!(pick("order", "c902", names()).unwrap().ends_with("c902"));
        assert!(pick("order", "4fd3a6b2c901", names()).unwrap().ends_with("c901"));
        let ambiguous = pick("order", "0192", names()).unwrap_err();
        assert_eq!(ambiguous.exit_code(), crate::failure::USAGE);
        assert!(ambiguous.to_string().contains("c901") && ambiguous.to_string().contains("c902"));
        assert_eq!(pick("order", "zzz", names()).unwrap_err().exit_code(), crate::failure::PROBLEM);
        assert!(pick("order", "", names()).is_err());
    }
}
