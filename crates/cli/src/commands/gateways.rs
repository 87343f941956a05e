//! `mooring gateways`.

use mooring_proto::v1::{ListGatewaysRequest, ListGatewaysResponse};

use crate::client::pages;
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::fleet;

/// Gateways: kind, group, address, and how many of their instances are sick.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring gateways
  mooring gateways --agent host-a -o wide
  mooring gateways --filter 'kind = \"websocket\" AND group = \"default\"'")]
pub(crate) struct Arguments {
    /// Only those of this agent.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only those that match, e.g. `kind = "websocket"`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let parent = self.agent.as_deref().map(agent_name).unwrap_or_default();
        let (gateways, next_page_token) = pages(None, async |page_size, page_token| {
            let filter = self.filter.clone();
            let request = ListGatewaysRequest { parent: parent.clone(), page_size, page_token, filter };
            let answer = client.call(client.fleet().list_gateways(request)).await?;
            Ok((answer.gateways, answer.next_page_token))
        })
        .await?;
        let names: Vec<String> = gateways.iter().map(|g| g.name.clone()).collect();
        let answer = ListGatewaysResponse { gateways, next_page_token };
        let name = "mooring.v1.ListGatewaysResponse";
        context.show(name, &answer, names, |look| fleet::gateways(&answer.gateways, look))?;
        Ok(0)
    }
}

/// The resource name of an agent given by its id or its name.
pub(super) fn agent_name(given: &str) -> String {
    if given.starts_with("agents/") { given.to_owned() } else { format!("agents/{given}") }
}
