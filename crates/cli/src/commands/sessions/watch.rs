//! `mooring sessions --watch`: on a terminal a table redrawn in place, in a pipe one block for each look.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use mooring_core::time::Timestamp;
use mooring_proto::v1::{WatchSessionsRequest, WatchSessionsResponse};
use mooring_runtime::lifecycle::os_signals;
use tokio::sync::mpsc;

use super::{Arguments, DEFAULT_LIMIT, warn};
use crate::args::Format;
use crate::client::{self, Client, MAX_PAGE, SessionUpdate};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::event::{clock, time_of_day};
use crate::show::{Look, clip, one_line, session};
use crate::target::session::Place;
use crate::terminal::{Key, Keys, Screen};
use crate::text::Text;

/// What the controller takes for the shortest time between two looks.
const LEAST: Duration = Duration::from_secs(1);
/// How many a screen asks for: more than most are high, since it may be made higher.
const SCREENFUL: usize = 100;

/// Watches until somebody wants the end.
pub(super) async fn run(arguments: &Arguments, context: &Context, client: &Client, place: &Place) -> Outcome {
    if arguments.every.is_some_and(|every| every.get() < LEAST) {
        return Err(Failure::Usage("--every must be at least 1s".to_owned()));
    }
    let live = context.terminal && matches!(context.globals.output, Format::Table | Format::Wide);
    let (parent, filter) = arguments.parent_and_filter(place);
    let limit = match arguments.limit {
        Some(_) => arguments.limit().min(MAX_PAGE),
        None if live => SCREENFUL,
        None => DEFAULT_LIMIT,
    };
    let request = WatchSessionsRequest {
        parent,
        filter,
        order_by: arguments.sort.name().to_owned(),
        limit: i32::try_from(limit).unwrap_or(i32::MAX),
        interval: arguments.every.map(|every| mooring_proto::duration(every.get())),
    };
    if live {
        return screen(context, client, &request).await;
    }
    let mut first = true;
    match client::sessions(client, &request, async |update| take(context, std::mem::take(&mut first), update))
        .await? {}
}

/// One look, as a block.
fn take(context: &Context, first: bool, update: SessionUpdate) -> Outcome<()> {
    let answer = match update {
        SessionUpdate::Look(answer) => answer,
        SessionUpdate::Lost(why) => {
            context.note(&format!("{}: {why}", Text::ConnectionLost.of(context.lang())));
            return Ok(());
        }
    };
    let gap = if first { "" } else { "\n" };
    match context.globals.output {
        Format::Json => return context.json_line("mooring.v1.WatchSessionsResponse", answer.as_ref()),
        Format::Name => {
            let names = answer.sessions.iter().map(|s| format!("{}\n", s.name));
            context.print(&format!("{gap}{}", names.collect::<String>()))?;
        }
        Format::Table | Format::Wide => {
            let look = context.look_now();
            let summary = answer.summary.as_ref().map(|s| session::summary(s, None, &look));
            let list = session::list(&answer.sessions, &look);
            let time = clock(answer.time.as_ref(), &look);
            context.print(&format!("{gap}{time}\n{list}{}", summary.unwrap_or_default()))?;
        }
    }
    warn(context, &answer.unanswered);
    Ok(())
}

/// What a screen shows.
#[derive(Debug, Default)]
struct Shown {
    answer: Option<Box<WatchSessionsResponse>>,
    lost: Option<String>,
}

/// Redraws in place until somebody wants the end.
async fn screen(context: &Context, client: &Client, request: &WatchSessionsRequest) -> Outcome {
    let mut signals = os_signals()?;
    // One look waits at most; the controller is not asked faster than we draw.
    let (sender, mut updates) = mpsc::channel(1);
    let feed = async {
        let ended: Outcome<Infallible> = client::sessions(client, request, async |update| {
            // The receiver lives as long as this does.
            let _ = sender.send(update).await;
            Ok(())
        })
        .await;
        ended
    };
    let mut feed = std::pin::pin!(feed);
    let (mut shown, mut taken) = (Shown::default(), None);
    loop {
        // The terminal is taken with the first look: an error before that is read where it belongs.
        let key = async {
            match &mut taken {
                Some((keys, _)) => Keys::next(keys).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = signals.next() => return Ok(0),
            key = key => match key {
                Key::Quit => return Ok(0),
                Key::Reload => continue,
                Key::Redraw => {}
            },
            Some(update) = updates.recv() => match update {
                SessionUpdate::Look(answer) => shown = Shown { answer: Some(answer), lost: None },
                SessionUpdate::Lost(why) => shown.lost = Some(why),
            },
            ended = &mut feed => match ended? {},
        }
        let (_, screen) = match &mut taken {
            Some(taken) => taken,
            None => taken.insert((Keys::read()?, Screen::enter()?)),
        };
        let size = crossterm::terminal::size().unwrap_or((80, 24));
        screen.draw(&lines(&shown, &request.parent, &context.look_now(), size))?;
    }
}

/// The lines for a screen of so many columns and rows; never more, never longer.
fn lines(shown: &Shown, parent: &str, look: &Look, (columns, rows): (u16, u16)) -> Vec<String> {
    let (width, height) = (usize::from(columns), usize::from(rows));
    let look = Look { width: Some(columns), ..*look };
    let plain = Look { color: false, ..look };
    let Timestamp(now) = look.now;
    let place = if parent.is_empty() { Text::Everything.of(look.lang) } else { parent };
    let title = format!("{}  {}  {}", Text::Sessions.of(look.lang), one_line(place), time_of_day(now));
    let mut out = vec![look.bold(&clip(&title, width))];
    if let Some(why) = &shown.lost {
        let line = format!("! {}: {}", Text::ConnectionLost.of(look.lang), one_line(why));
        out.push(look.paint(&clip(&line, width), Some(comfy_table::Color::Red)));
    }
    if let Some(answer) = &shown.answer {
        let warnings = session::unanswered(&answer.unanswered, &plain);
        let warnings = warnings.iter().map(|line| clip(line, width));
        out.extend(warnings.map(|line| look.paint(&line, Some(comfy_table::Color::Yellow))));
        let summary = answer.summary.as_ref().map(|s| session::summary(s, None, &plain)).unwrap_or_default();
        out.extend(summary.lines().map(|line| clip(line, width)));
        out.push(String::new());
        // The footer is below it.
        let room = height.saturating_sub(out.len() + 1);
        out.extend(session::lines(&answer.sessions, &look).into_iter().take(room));
    }
    out.truncate(height.saturating_sub(1));
    if height > 0 {
        out.push(clip(Text::QuitWatch.of(look.lang), width));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::look;
    use crate::tests::sessions::{session, sick, summary, unanswered};
    use mooring_core::cause::Lang;
    use unicode_width::UnicodeWidthStr as _;

    fn shown(count: usize) -> Shown {
        let mut sessions = vec![sick()];
        sessions.extend((1..count).map(|n| session("h", "chat", &format!("r{n}"))));
        let answer = WatchSessionsResponse {
            sessions,
            summary: Some(summary()),
            unanswered: unanswered(),
            time: None,
        };
        Shown { answer: Some(Box::new(answer)), lost: None }
    }

    #[test]
    fn a_screen_is_never_overfull_and_keeps_the_worst_and_the_footer() {
        for (columns, rows) in [(80, 24), (120, 8), (60, 40), (20, 3), (1, 1), (0, 0)] {
            for lang in [Lang::En, Lang::ZhCn] {
                let lines = lines(&shown(200), "agents/h", &look(lang), (columns, rows));
                assert!(lines.len() <= usize::from(rows), "{columns}x{rows}: {} lines", lines.len());
                // Below this a table of eight columns does not fit, and the terminal cuts it.
                if columns >= 60 {
                    for line in &lines {
                        assert!(line.width() <= usize::from(columns), "{columns}x{rows}: {line:?}");
                    }
                }
                if rows >= 24 {
                    assert!(lines.iter().any(|l| l.contains("HalfOpen")), "{lines:?}");
                    assert_eq!(lines.last().unwrap(), Text::QuitWatch.of(lang));
                }
            }
        }
    }

    #[test]
    fn a_break_is_said_above_the_last_look() {
        let mut shown = shown(1);
        shown.lost = Some("moving house".to_owned());
        let lines = lines(&shown, "", &look(Lang::En), (80, 24));
        assert_eq!(lines[0], "sessions  everything  12:34:56Z");
        assert_eq!(lines[1], "! connection lost, trying again: moving house");
        assert!(lines.iter().any(|line| line.starts_with("k7 ")), "{lines:?}");
    }
}
