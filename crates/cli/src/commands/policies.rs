//! `mooring policies`.

use mooring_proto::v1::{GetPolicyRequest, ListPoliciesRequest, ListPoliciesResponse};

use crate::client::pages;
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::policy;

/// Policies: how much Mooring may do by itself, by group; or one with every number and its ladders.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring policies
  mooring policies default
  mooring policies default -o json")]
pub(crate) struct Arguments {
    /// One policy: the name of its group.
    name: Option<String>,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        if let Some(given) = self.name {
            let name = format!("policies/{}", given.strip_prefix("policies/").unwrap_or(&given));
            let found = client.call(client.policies().get_policy(GetPolicyRequest { name })).await?;
            let names = [found.name.clone()];
            context.show("mooring.v1.Policy", &found, names, |look| policy::detail(&found, look))?;
            return Ok(0);
        }
        let (policies, next_page_token) = pages(None, async |page_size, page_token| {
            let request = ListPoliciesRequest { page_size, page_token };
            let answer = client.call(client.policies().list_policies(request)).await?;
            Ok((answer.policies, answer.next_page_token))
        })
        .await?;
        let names: Vec<String> = policies.iter().map(|p| p.name.clone()).collect();
        let answer = ListPoliciesResponse { policies, next_page_token };
        let name = "mooring.v1.ListPoliciesResponse";
        context.show(name, &answer, names, |look| policy::list(&answer.policies, look))?;
        Ok(0)
    }
}
