//! `mooring restart`: shows what it would do, asks, then does it.

use mooring_core::id::Target;
use mooring_proto::v1::{Instance, ListInstancesRequest, OrderAction, Phase};

use super::asking::{agreed, asks, check};
use super::making::Making;
use crate::client::{Client, pages};
use crate::context::Context;
use crate::failure::{Outcome, PROBLEM};
use crate::show::instance;
use crate::target::{Want, resolve};
use crate::text::{self, Text};

/// Restart a gateway (every instance on it is interrupted), or what serves one instance.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring restart chat --reason \"hangs\"                 shows the plan and asks
  mooring restart chat --reason \"hangs\" --yes --wait    for scripts
  mooring restart chat/acct-1 --reason \"stuck\" --dry-run")]
pub(crate) struct Arguments {
    /// The gateway or the instance: its full name, or the end of it.
    target: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    making: Making,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let asks = asks(context, self.yes, self.making.dry_run)?;
        let client = context.connect().await?;
        let target = resolve(&client, &self.target, Want::Either).await?;
        let action = action(&target);
        let request = self.making.request(context, &target, action);
        if asks || (self.making.dry_run && !context.json()) {
            let plan = plan(&client, &target, context).await?;
            context.note(&plan);
        }
        if asks {
            check(&client, &request).await?;
            if !agreed(context, Text::AskRestart).await? {
                return Ok(PROBLEM);
            }
        }
        self.making.make(context, &client, request).await
    }
}

/// Sessions are never resolved to here.
fn action(target: &Target) -> OrderAction {
    match target {
        Target::Gateway(_) => OrderAction::RestartGateway,
        Target::Instance(_) | Target::Session(_) => OrderAction::RestartInstance,
    }
}

/// What would be interrupted.
async fn plan(client: &Client, target: &Target, context: &Context) -> Outcome<String> {
    let (instances, _) = pages(None, async |page_size, page_token| {
        let request = ListInstancesRequest {
            parent: target.gateway().to_string(),
            page_size,
            page_token,
            ..ListInstancesRequest::default()
        };
        let answer = client.call(client.fleet().list_instances(request)).await?;
        Ok((answer.instances, answer.next_page_token))
    })
    .await?;
    let hit: Vec<Instance> = match target {
        Target::Gateway(_) => instances,
        one => instances.into_iter().filter(|i| i.name == one.to_string()).collect(),
    };
    Ok(describe(target, &hit, context))
}

fn describe(target: &Target, hit: &[Instance], context: &Context) -> String {
    let look = context.look();
    let action = action(target);
    let healthy = hit.iter().filter(|i| i.phase() == Phase::Healthy).count();
    let counted = format!(
        "{} {}, {} {healthy}",
        hit.len(),
        Text::Instances.of(look.lang),
        text::phase(Phase::Healthy, look.lang),
    );
    let mut plan = format!(
        "{} {target}\n{}: {counted}",
        text::action(action, look.lang),
        Text::Interrupts.of(look.lang)
    );
    for instance in hit.iter().take(10) {
        plan.push_str("\n  ");
        plan.push_str(&instance::line(instance, &look));
    }
    if hit.len() > 10 {
        plan.push_str("\n  ...");
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW, globals, healthy, sick};

    #[test]
    fn the_plan_names_what_is_interrupted() {
        let context =
            Context::for_test(globals(&[]), NOW, Box::new(std::io::sink()), Box::new(std::io::sink()));
        let target = "agents/h/gateways/chat".parse().unwrap();
        let plan = describe(&target, &[healthy("h", "chat", "a"), sick("h", "chat", "b")], &context);
        assert!(plan.starts_with(
            "restart gateway agents/h/gateways/chat\ninterrupts: 2 instances, Healthy 1\n  h/chat/a  Healthy\n  h/chat/b  Down"
        ), "{plan}");
    }
}
