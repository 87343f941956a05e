//! `mooring resume`.

use mooring_proto::v1::OrderAction;

use super::making::Making;
use crate::context::Context;
use crate::failure::Outcome;
use crate::target::{Want, resolve};

/// End a drain: let sessions in again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring resume chat --reason \"upgrade done\"
  mooring resume chat --reason \"upgrade done\" --wait")]
pub(crate) struct Arguments {
    /// The gateway: its full name, or the end of it.
    gateway: String,
    #[command(flatten)]
    making: Making,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let target = resolve(&client, &self.gateway, Want::Gateway).await?;
        let request = self.making.request(context, &target, OrderAction::Resume);
        self.making.make(context, &client, request).await
    }
}
