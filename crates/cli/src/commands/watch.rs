//! `mooring watch`.

use mooring_core::time::Timestamp;

use crate::args::Format;
use crate::client::{self, Update};
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::event::time_of_day;
use crate::show::lines::Lines;
use crate::text::Text;

/// Instances and orders as they change: one line for each change, beginning with how things stand.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring watch
  mooring watch --filter 'group = \"default\"'
  mooring watch -o json        every message of the stream, one object a line

A broken connection is taken up again where it broke, so that nothing is missed and nothing is said twice.")]
pub(crate) struct Arguments {
    /// Only instances that match. Orders are always shown.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let mut lines = Lines::default();
        match client::watch(&client, &self.filter, false, async |update| take(context, &mut lines, update))
            .await? {}
    }
}

fn take(context: &Context, lines: &mut Lines, update: Update) -> Outcome<()> {
    match update {
        Update::Began { resumed } => {
            lines.began(resumed);
            Ok(())
        }
        Update::Lost(why) => {
            context.note(&format!("{}: {why}", Text::ConnectionLost.of(context.lang())));
            Ok(())
        }
        Update::Item(item) if context.globals.output == Format::Json => {
            context.json_line("mooring.v1.WatchResponse", item.as_ref())
        }
        Update::Item(item) => {
            let look = context.look_now();
            let Timestamp(now) = look.now;
            let said = lines.step(&item, &look);
            context
                .print(&said.iter().map(|line| format!("{}  {line}\n", time_of_day(now))).collect::<String>())
        }
    }
}
