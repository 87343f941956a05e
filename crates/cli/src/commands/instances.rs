//! `mooring instances`.

use mooring_proto::v1::{GetInstanceRequest, ListInstancesRequest, ListInstancesResponse};

use super::gateways::agent_name;
use crate::client::{Client, pages};
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::instance;
use crate::target::resolve_instance;

/// Instances: phase, cause, since when; or one of them with its conditions and evidence.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring instances --worst --limit 20
  mooring instances --filter 'phase = DOWN AND NOT group = \"lab\"'
  mooring instances chat/acct-1
  mooring instances -o json | jq -r '.instances[].name'")]
pub(crate) struct Arguments {
    /// One instance: its full name, or the end of it.
    #[arg(conflicts_with_all = ["filter", "worst", "limit", "agent"])]
    name: Option<String>,
    /// Only those of this agent.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only those that match, e.g. `cause = "ConnectionRefused"`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
    /// The sickest first, instead of by name.
    #[arg(long)]
    worst: bool,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        match &self.name {
            Some(given) => one(context, &client, given).await,
            None => self.list(context, &client).await,
        }
    }

    async fn list(&self, context: &Context, client: &Client) -> Outcome {
        let parent = self.agent.as_deref().map(agent_name).unwrap_or_default();
        let limit = self.limit.and_then(|n| usize::try_from(n).ok());
        let (instances, next_page_token) = pages(limit, async |page_size, page_token| {
            let request = ListInstancesRequest {
                parent: parent.clone(),
                page_size,
                page_token,
                filter: self.filter.clone(),
                order_by: if self.worst { "severity desc".to_owned() } else { String::new() },
            };
            let answer = client.call(client.fleet().list_instances(request)).await?;
            Ok((answer.instances, answer.next_page_token))
        })
        .await?;
        let names: Vec<String> = instances.iter().map(|i| i.name.clone()).collect();
        let answer = ListInstancesResponse { instances, next_page_token };
        let name = "mooring.v1.ListInstancesResponse";
        context.show(name, &answer, names, |look| instance::list(&answer.instances, look))?;
        Ok(0)
    }
}

async fn one(context: &Context, client: &Client, given: &str) -> Outcome {
    let name = resolve_instance(client, given).await?;
    let found = client.call(client.fleet().get_instance(GetInstanceRequest { name })).await?;
    context
        .show("mooring.v1.Instance", &found, [found.name.clone()], |look| instance::detail(&found, look))?;
    Ok(0)
}
