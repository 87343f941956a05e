//! `mooring unpause`.

use mooring_proto::v1::DeletePauseRequest;

use super::orders::pick;
use super::pauses;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::text::Text;

/// End a pause early.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["all", "name"])), after_help = "\
Examples:
  mooring unpause 4fd3a6b2c901
  mooring unpause --all")]
pub(crate) struct Arguments {
    /// The pause: its full name, or the end of it.
    name: Option<String>,
    /// Every pause in force.
    #[arg(long)]
    all: bool,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let given = self.name.as_deref().map(|name| name.strip_prefix("pauses/").unwrap_or(name));
        let names = match given {
            Some(id) if uuid::Uuid::try_parse(id).is_ok() => vec![format!("pauses/{id}")],
            Some(id) => {
                let all = pauses::list(&client).await?;
                vec![pick("pause", id, all.into_iter().map(|p| p.name))?]
            }
            None => pauses::list(&client).await?.into_iter().map(|p| p.name).collect(),
        };
        for name in names {
            let request = DeletePauseRequest { name: name.clone() };
            match client.call(client.pauses().delete_pause(request)).await {
                // Ended by itself, or by somebody else, while we asked for all of them.
                Err(Failure::Refused(status)) if self.all && status.code() == tonic::Code::NotFound => {}
                ended => {
                    ended?;
                    if !context.json() {
                        context.print(&format!("{}: {name}", Text::PauseEnded.of(context.lang())))?;
                    }
                }
            }
        }
        if context.json() {
            // What the API answers: google.protobuf.Empty.
            context.print("{}")?;
        }
        Ok(0)
    }
}
