//! `mooring explain`.

use mooring_core::cause::Lang;
use mooring_proto::v1::ExplainInstanceRequest;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::explain;
use crate::target::resolve_instance;

/// Why an instance is as it is: cause, evidence, every gate with its numbers, what comes next and when.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["instance", "causes"])), after_help = "\
Examples:
  mooring explain chat/acct-1
  mooring explain chat/acct-1 --lang zh-CN
  mooring explain --causes          every cause, what it means and what to do; works offline")]
pub(crate) struct Arguments {
    /// The instance: its full name, or the end of it.
    instance: Option<String>,
    /// Every cause there is, with what it means and what to do.
    #[arg(long)]
    causes: bool,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let Some(given) = self.instance else {
            return causes(context);
        };
        let client = context.connect().await?;
        let name = resolve_instance(&client, &given).await?;
        let language = match context.lang() {
            Lang::En => "en",
            Lang::ZhCn => "zh-CN",
        };
        let request = ExplainInstanceRequest { name: name.clone(), language: language.to_owned() };
        let answer = client.call(client.fleet().explain_instance(request)).await?;
        context.show("mooring.v1.ExplainInstanceResponse", &answer, [name], |look| {
            explain::explanation(&answer, look)
        })?;
        Ok(0)
    }
}

fn causes(context: &Context) -> Outcome {
    if context.json() {
        let json = explain::causes_json(context.lang());
        context.print(&serde_json::to_string_pretty(&json).map_err(|e| Failure::Problem(e.to_string()))?)?;
    } else {
        context.print(&explain::causes(&context.look()))?;
    }
    Ok(0)
}
