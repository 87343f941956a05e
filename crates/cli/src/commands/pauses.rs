//! `mooring pauses`.

use mooring_proto::v1::{ListPausesRequest, ListPausesResponse, Pause};

use crate::client::{Client, pages};
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::fleet;

/// Pauses in force: what, until when, by whom, why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring pauses")]
pub(crate) struct Arguments {}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let answer = ListPausesResponse { pauses: list(&client).await?, next_page_token: String::new() };
        let names: Vec<String> = answer.pauses.iter().map(|p| p.name.clone()).collect();
        context.show("mooring.v1.ListPausesResponse", &answer, names, |look| {
            fleet::pauses(&answer.pauses, look)
        })?;
        Ok(0)
    }
}

/// All of them.
pub(super) async fn list(client: &Client) -> Outcome<Vec<Pause>> {
    let listed = pages(None, async |page_size, page_token| {
        let answer =
            client.call(client.pauses().list_pauses(ListPausesRequest { page_size, page_token })).await?;
        Ok((answer.pauses, answer.next_page_token))
    });
    Ok(listed.await?.0)
}
