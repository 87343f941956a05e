//! The live table: updates in, a drawing out, at most a few times a second.

use std::time::Duration;

use futures_util::Stream;
use mooring_proto::v1::GetFleetRequest;
use mooring_runtime::lifecycle::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::model::Model;
use super::parts::System;
use super::{End, next_end, piped, view};
use crate::client::{self, Client, EventUpdate, Update};
use crate::context::Context;
use crate::failure::Outcome;
use crate::terminal::{Key, Keys, Screen};

/// Least time between two drawings.
const FRAME: Duration = Duration::from_millis(100);
/// How often the fleet's numbers are asked for, and the times redrawn.
const TICK: Duration = Duration::from_secs(1);
/// Updates that wait to be shown.
const QUEUE: usize = 256;

/// One piece of news.
enum News {
    Watch(Update),
    Event(EventUpdate),
    Fleet(Option<Box<mooring_proto::v1::Fleet>>),
}

/// Shows the table until somebody wants the end, or it comes by itself.
pub(super) async fn show(
    context: &Context,
    system: &mut System,
    signals: &mut (impl Stream<Item = Signal> + Unpin),
) -> End {
    let client = match piped::connect(context, system).await {
        Ok(client) => client,
        Err(failure) => return End::Failed(failure),
    };
    let taken = Screen::enter().and_then(|screen| Ok((Keys::read()?, screen)));
    let (mut keys, mut screen) = match taken {
        Ok(taken) => taken,
        Err(error) => return End::Failed(error.into()),
    };
    let (sender, mut news) = mpsc::channel(QUEUE);
    let mut gathering = std::pin::pin!(gather(&client, sender));
    let mut model = Model::default();
    // Drawn at once, then when there is news, but not too often, and each second because times pass.
    let (mut due, mut drawn) = (Some(Instant::now()), Instant::now());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (api, hints) = (system.api.clone(), system.hints());
    loop {
        let wake = due.unwrap_or_else(|| Instant::now() + TICK);
        tokio::select! {
            biased;
            signal = next_end(signals, true) => return signal.map_or(End::Died("signals"), |_| End::Asked),
            part = system.died() => return End::Died(part),
            key = keys.next() => match key {
                Key::Quit => return End::Asked,
                Key::Reload => system.reload(),
                Key::Redraw => due = Some(Instant::now()),
            },
            () = sleep_until(wake), if due.is_some() => {
                let size = crossterm::terminal::size().unwrap_or((80, 24));
                if let Err(error) = screen.draw(&view::lines(&model, &context.look_now(), (&api, &hints), size)) {
                    return End::Failed(error.into());
                }
                (due, drawn) = (None, Instant::now());
            }
            Some(news) = news.recv() => {
                match news {
                    News::Watch(update) => model.watch(update),
                    News::Event(update) => model.event(update),
                    News::Fleet(fleet) => model.fleet = fleet.map(|f| *f).or(model.fleet.take()),
                }
                due = due.or(Some(drawn + FRAME));
            }
            _ = tick.tick() => due = due.or(Some(drawn + FRAME)),
            ended = &mut gathering => return match ended {
                Ok(never) => match never {},
                Err(failure) => End::Failed(failure),
            },
        }
    }
}

/// Gathers news over the operator API, as any client would. Ends only with a refusal.
async fn gather(client: &Client, to: mpsc::Sender<News>) -> Outcome<std::convert::Infallible> {
    let send = async |news: News| {
        // The receiver lives as long as this does: both belong to `show`.
        let _ = to.send(news).await;
        Ok(())
    };
    let fleet = async {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let numbers = client.call(client.fleet().get_fleet(GetFleetRequest {})).await;
            send(News::Fleet(numbers.ok().map(Box::new))).await?;
        }
    };
    tokio::select! {
        ended = client::watch(client, "", true, async |update| send(News::Watch(update)).await) => ended,
        ended = client::events(client, "", "", true, async |update| send(News::Event(update)).await) => ended,
        ended = fleet => ended,
    }
}
