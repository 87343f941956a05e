//! `mooring agents`.

use mooring_proto::v1::{ListAgentsRequest, ListAgentsResponse};

use crate::client::pages;
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::fleet;

/// Agents: which are attached, where they run, how much they watch.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring agents
  mooring agents --filter 'state = OFFLINE' -o name")]
pub(crate) struct Arguments {
    /// Only those that match, e.g. `state = ONLINE`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let (agents, next_page_token) = pages(None, async |page_size, page_token| {
            let request = ListAgentsRequest { page_size, page_token, filter: self.filter.clone() };
            let answer = client.call(client.fleet().list_agents(request)).await?;
            Ok((answer.agents, answer.next_page_token))
        })
        .await?;
        let names: Vec<String> = agents.iter().map(|a| a.name.clone()).collect();
        let answer = ListAgentsResponse { agents, next_page_token };
        context.show("mooring.v1.ListAgentsResponse", &answer, names, |look| {
            fleet::agents(&answer.agents, look)
        })?;
        Ok(0)
    }
}
