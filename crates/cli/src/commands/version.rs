//! `mooring version`.

use mooring_proto::v1::GetFleetRequest;

use crate::context::Context;
use crate::failure::Outcome;

/// The version of this program, and of the controller if asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring version
  mooring version --controller")]
pub(crate) struct Arguments {
    /// Ask the controller for its version, too.
    #[arg(long)]
    controller: bool,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let own = env!("CARGO_PKG_VERSION");
        let theirs = if self.controller {
            let client = context.connect().await?;
            Some(client.call(client.fleet().get_fleet(GetFleetRequest {})).await?.version)
        } else {
            None
        };
        if context.json() {
            let mut json = serde_json::json!({ "mooring": own });
            if let Some(theirs) = theirs {
                json["controller"] = theirs.into();
            }
            context.print(&json.to_string())?;
        } else {
            let theirs = theirs.map(|v| format!("controller {v}\n")).unwrap_or_default();
            context.print(&format!("mooring {own}\n{theirs}"))?;
        }
        Ok(0)
    }
}
