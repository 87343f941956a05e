//! `mooring events`.

use std::time::Duration;

use mooring_core::time::Timestamp;
use mooring_proto::v1::{Event, ListEventsRequest, ListEventsResponse, WatchEventsResponse};
use mooring_runtime::config::HumanDuration;

use crate::args::Format;
use crate::client::{self, Client, EventUpdate, pages};
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::event;
use crate::text::Text;

/// What happened: conditions that changed, orders, refusals, agents that came and went, humans that are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring events --since 1h
  mooring events --follow
  mooring events --follow --filter 'type = HUMAN' -o json
  mooring events --filter 'subject : \"gateways/chat\"'

People see the oldest first, as in a log; JSON is the controller's own answer, newest first. With --follow JSON has one
object a line.")]
pub(crate) struct Arguments {
    /// Go on with what happens from now on. A broken connection is taken up again where it broke.
    #[arg(long, short)]
    follow: bool,
    /// Only those that match, e.g. `type = ORDER`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    filter: String,
    /// Only those not older than this.
    #[arg(long, value_name = "DURATION")]
    since: Option<HumanDuration>,
    /// At most so many of the past.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let past = self.past(context, &client).await?;
        if !self.follow {
            let names: Vec<String> = past.events.iter().map(|e| e.name.clone()).collect();
            context.show("mooring.v1.ListEventsResponse", &past, names, |look| {
                let oldest_first: Vec<Event> = past.events.iter().rev().cloned().collect();
                event::list(&oldest_first, look)
            })?;
            return Ok(0);
        }
        let newest = past.events.first().map(|e| e.name.clone()).unwrap_or_default();
        for event in past.events.into_iter().rev() {
            say(context, event)?;
        }
        match client::events(&client, &self.filter, &newest, false, async |update| match update {
            EventUpdate::Event(event) => say(context, *event),
            EventUpdate::Lost(why) => {
                context.note(&format!("{}: {why}", Text::ConnectionLost.of(context.lang())));
                Ok(())
            }
        })
        .await? {}
    }

    async fn past(&self, context: &Context, client: &Client) -> Outcome<ListEventsResponse> {
        let since_time = self.since.map(|d| oldest(context.look().now, d.get()));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (events, next_page_token) = pages(Some(limit), async |page_size, page_token| {
            let filter = self.filter.clone();
            let request = ListEventsRequest { page_size, page_token, filter, since_time };
            let answer = client.call(client.events().list_events(request)).await?;
            Ok((answer.events, answer.next_page_token))
        })
        .await?;
        Ok(ListEventsResponse { events, next_page_token })
    }
}

fn oldest(now: Timestamp, since: Duration) -> prost_types::Timestamp {
    mooring_proto::timestamp(now.before(since))
}

fn say(context: &Context, event: Event) -> Outcome<()> {
    match context.globals.output {
        Format::Json => {
            let response = WatchEventsResponse { event: Some(event) };
            context.json_line("mooring.v1.WatchEventsResponse", &response)
        }
        Format::Name => context.print(&event.name),
        Format::Table | Format::Wide => context.print(&event::line(&event, &context.look_now())),
    }
}
