//! `mooring pause`.

use mooring_proto::v1::{CreatePauseRequest, Pause};
use mooring_runtime::config::HumanDuration;
use uuid::Uuid;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::fleet;
use crate::target::{Want, resolve};
use crate::text::Text;

/// Hold Mooring back for a while: no orders for everything, a group, a gateway or an instance.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("scope").required(true).args(["all", "group", "target"])), after_help = "\
Examples:
  mooring pause --all --for 10m --reason \"network work\"
  mooring pause --group lab --for 2h --reason \"load test\"
  mooring pause chat --for 30m --reason \"being debugged\"")]
pub(crate) struct Arguments {
    /// A gateway or an instance: its full name, or the end of it.
    target: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
    /// A group of gateways.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// For how long: a pause always ends.
    #[arg(long = "for", value_name = "DURATION")]
    ttl: HumanDuration,
    /// Why: it is shown to whoever wonders.
    #[arg(long)]
    reason: String,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        if self.ttl.get().is_zero() {
            return Err(Failure::Usage("--for must be longer than 0s".to_owned()));
        }
        let client = context.connect().await?;
        let scope = match (&self.target, &self.group) {
            (Some(given), _) => resolve(&client, given, Want::Either).await?.to_string(),
            (None, Some(group)) => format!("groups/{}", group.strip_prefix("groups/").unwrap_or(group)),
            (None, None) => "*".to_owned(),
        };
        let request_id = Uuid::new_v4().to_string();
        context.verbose(&format!("{}: {request_id}", Text::RequestId.of(context.lang())));
        let pause = Pause {
            scope,
            reason: self.reason,
            ttl: Some(mooring_proto::duration(self.ttl.get())),
            ..Pause::default()
        };
        let request = CreatePauseRequest { pause: Some(pause), request_id };
        let made = client.call(client.pauses().create_pause(request)).await?;
        context
            .show("mooring.v1.Pause", &made, [made.name.clone()], |look| fleet::pause_line(&made, look))?;
        Ok(0)
    }
}
