//! One line for each change, for pipes and logs.

use futures_util::Stream;
use mooring_proto::v1::EventType;
use mooring_runtime::lifecycle::Signal;

use super::parts::System;
use super::{End, next_end};
use crate::client::{self, Client, EventUpdate, Update};
use crate::context::Context;
use crate::failure::Outcome;
use crate::show::event::{self, time_of_day};
use crate::show::lines::Lines;
use crate::text::Text;

/// A connection to what was just started, with the operator's own credentials.
pub(super) async fn connect(context: &Context, system: &System) -> Outcome<Client> {
    let mut globals = context.globals.clone();
    globals.server.clone_from(&system.api);
    // It is our own listener, whatever address it was told to listen on.
    globals.insecure = true;
    if system.needs_token && globals.token_file.is_none() {
        context.note(Text::TokenHint.of(context.lang()));
    }
    Client::connect(&globals, context.lang()).await
}

/// Prints changes until somebody wants the end, or it comes by itself.
pub(super) async fn show(
    context: &Context,
    system: &mut System,
    signals: &mut (impl Stream<Item = Signal> + Unpin),
) -> End {
    let client = match connect(context, system).await {
        Ok(client) => client,
        Err(failure) => return End::Failed(failure),
    };
    let mut lines = Lines::default();
    let watching = client::watch(&client, "", true, async |update| change(context, &mut lines, update));
    let following = client::events(&client, "", "", true, async |update| happened(context, update));
    let (mut watching, mut following) = (std::pin::pin!(watching), std::pin::pin!(following));
    loop {
        tokio::select! {
            biased;
            signal = next_end(signals, false) => match signal {
                Some(Signal::Reload) => system.reload(),
                _ => return End::Asked,
            },
            part = system.died() => return End::Died(part),
            ended = &mut watching => match ended {
                Ok(never) => match never {},
                Err(failure) => return End::Failed(failure),
            },
            ended = &mut following => match ended {
                Ok(never) => match never {},
                Err(failure) => return End::Failed(failure),
            },
        }
    }
}

fn change(context: &Context, lines: &mut Lines, update: Update) -> Outcome<()> {
    let look = context.look_now();
    let now = time_of_day(look.now.0);
    match update {
        Update::Began { resumed } => {
            lines.began(resumed);
            Ok(())
        }
        Update::Lost(why) => context.print(&format!("{now}  {}: {why}", Text::ConnectionLost.of(look.lang))),
        Update::Item(item) => {
            let said = lines.step(&item, &look);
            context.print(&said.iter().map(|line| format!("{now}  {line}\n")).collect::<String>())
        }
    }
}

/// Of the events, those that the watch does not show as a change of an instance or an order.
fn happened(context: &Context, update: EventUpdate) -> Outcome<()> {
    let EventUpdate::Event(event) = update else { return Ok(()) };
    match event.r#type() {
        EventType::Human | EventType::Agent | EventType::Pause | EventType::Policy => {
            context.print(&event::line(&event, &context.look_now()))
        }
        EventType::Condition | EventType::Order | EventType::Refusal | EventType::Unspecified => Ok(()),
    }
}
