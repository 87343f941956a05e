//! `mooring drain`.

use mooring_proto::v1::OrderAction;
use mooring_runtime::config::HumanDuration;

use super::asking::asks;
use super::interrupting::Interruption;
use super::making::Making;
use crate::context::Context;
use crate::failure::Outcome;
use crate::target::{Want, resolve};
use crate::text::Text;

/// Close all sessions of a gateway bit by bit, and let no new one in until it is resumed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring drain chat --over 5m --reason \"kernel upgrade\"                 shows the plan and asks
  mooring drain chat --over 5m --reason \"kernel upgrade\" --yes --wait    for scripts
  mooring drain chat --reason \"may I?\" --dry-run

Afterwards: mooring resume chat --reason \"done\"")]
pub(crate) struct Arguments {
    /// The gateway: its full name, or the end of it.
    gateway: String,
    /// Over how much time, up to 1h. Default: as the gateway is configured.
    #[arg(long, value_name = "DURATION")]
    over: Option<HumanDuration>,
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
        let interruption = Interruption {
            target: resolve(&client, &self.gateway, Want::Gateway).await?,
            action: OrderAction::Drain,
            over: self.over,
            question: asks.then_some(Text::AskDrain),
        };
        interruption.order(context, &client, &self.making).await
    }
}
