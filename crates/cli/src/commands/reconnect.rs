//! `mooring reconnect`.

use mooring_proto::v1::OrderAction;

use super::making::Making;
use crate::context::Context;
use crate::failure::Outcome;
use crate::target::{Want, resolve};

/// Close an instance's session and open a new one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring reconnect chat/acct-1 --reason \"messages are late\" --wait
  mooring reconnect chat/acct-1 --reason \"rate limited\" --slowly
  mooring reconnect chat/acct-1 --reason \"may I?\" --dry-run")]
pub(crate) struct Arguments {
    /// The instance: its full name, or the end of it.
    target: String,
    /// Leave a pause between closing and opening, in which the other side can recover.
    #[arg(long)]
    slowly: bool,
    #[command(flatten)]
    making: Making,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let target = resolve(&client, &self.target, Want::Instance).await?;
        let action = if self.slowly { OrderAction::ReconnectSlowly } else { OrderAction::Reconnect };
        let request = self.making.request(context, &target, action);
        self.making.make(context, &client, request).await
    }
}
