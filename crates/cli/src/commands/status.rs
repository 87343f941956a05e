//! `mooring status`.

use mooring_proto::v1::{GetFleetRequest, ListPausesRequest};

use crate::client::pages;
use crate::context::Context;
use crate::failure::{Outcome, PROBLEM};
use crate::show::fleet;

/// The fleet in a few numbers: phases, live orders, pauses, storms, whether the database is there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring status
  mooring status --exit-code -o json     for scripts: 1 when something is sick, a storm is on or the database is away")]
pub(crate) struct Arguments {
    /// Exit with 1 when an instance is Degraded, Down, Flapping or NeedsHuman, a storm is on, or the database is away.
    #[arg(long)]
    exit_code: bool,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let numbers = client.call(client.fleet().get_fleet(GetFleetRequest {})).await?;
        let pauses = if numbers.pauses == 0 || context.json() {
            Vec::new()
        } else {
            let listed = pages(None, async |page_size, page_token| {
                let request = ListPausesRequest { page_size, page_token };
                let answer = client.call(client.pauses().list_pauses(request)).await?;
                Ok((answer.pauses, answer.next_page_token))
            });
            listed.await?.0
        };
        context.show("mooring.v1.Fleet", &numbers, [], |look| fleet::status(&numbers, &pauses, look))?;
        Ok(if self.exit_code && fleet::troubled(&numbers) { PROBLEM } else { 0 })
    }
}
