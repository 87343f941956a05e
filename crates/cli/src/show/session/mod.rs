//! Sessions: as a list, one with everything known of it, all of them in a few numbers, and how they ended.
//!
//! The list for people fits 80 columns as long as names are short: ids stand alone, the agent is said only where there are
//! several, and what is wrong is the cause's name. Its words follow where the terminal has room for them; nothing that
//! matters is in them only, since `wide`, one session and JSON have all of it.

mod detail;
mod ended;
mod summary;
pub(crate) mod words;

use comfy_table::{Color, Row, Table};
use mooring_core::cause::{Cause, Handling};
use mooring_core::id::SessionRef;
use mooring_proto::duration_from;
use mooring_proto::v1::{Session, SessionState};
use unicode_width::UnicodeWidthStr as _;

use super::{Look, clip, finish, one_line, or_dash, short, span};
use crate::text::Text;

pub(crate) use detail::detail;
pub(crate) use ended::{closes, counts};
pub(crate) use summary::{summary, unanswered};

/// Columns between two cells.
const GAP: usize = 2;
/// The least room that words are worth being cut to.
const LEAST_WORDS: usize = 12;

/// A list, in the order given.
pub(crate) fn list(sessions: &[Session], look: &Look) -> String {
    finish(table(sessions, None, look), look)
}

/// The same with every row one line high, for a screen; without the heading when there is nothing.
pub(crate) fn lines(sessions: &[Session], look: &Look) -> Vec<String> {
    finish(table(sessions, Some(1), look), look).lines().map(str::to_owned).collect()
}

fn table(sessions: &[Session], height: Option<usize>, look: &Look) -> Table {
    let mut headings = vec![
        Text::ColSession,
        Text::ColInstance,
        Text::ColSource,
        Text::ColState,
        Text::ColOpenFor,
        Text::ColSilent,
        Text::ColRtt,
    ];
    if look.wide {
        headings.extend([
            Text::ColPeer,
            Text::ColReceived,
            Text::ColSent,
            Text::ColRetransmits,
            Text::ColProtocol,
        ]);
    }
    headings.push(Text::ColWrong);
    if look.wide {
        headings.push(Text::ColMessage);
    }
    let agent = common_agent(sessions.iter().map(|s| s.name.as_str()));
    let rows: Vec<Vec<String>> = sessions.iter().map(|s| facts(s, agent, look)).collect();
    let room = room(&headings, &rows, look);
    let mut table = look.table(&headings);
    for (session, mut row) in sessions.iter().zip(rows) {
        if let Some(wrong) = row.last_mut().filter(|_| !look.wide) {
            *wrong = with_words(wrong, &session.message, room);
        }
        let last = if look.wide { row.len().saturating_sub(2) } else { row.len().saturating_sub(1) };
        let cells = row.into_iter().enumerate().map(|(column, text)| {
            let color = match column {
                3 => state_color(session.state()),
                n if n == last => cause_color(&session.cause),
                _ => None,
            };
            look.cell(text, color)
        });
        let mut row = Row::from(cells.collect::<Vec<_>>());
        if let Some(height) = height {
            row.max_height(height);
        }
        table.add_row(row);
    }
    table
}

fn facts(session: &Session, agent: Option<&str>, look: &Look) -> Vec<String> {
    let mut row = vec![
        if look.wide { look.name(&session.name) } else { id(&session.name) },
        whose(session, agent, look),
        words::source(session.source(), look.lang).to_owned(),
        words::state(session.state(), look.lang).to_owned(),
        age(session),
        span(session.silent.as_ref()),
        words::latency(session.rtt.as_ref()),
    ];
    if look.wide {
        let bytes =
            |flow: Option<&mooring_proto::v1::SessionFlow>| words::bytes(flow.and_then(|flow| flow.bytes));
        row.extend([
            or_dash(&session.peer),
            bytes(session.received.as_ref()),
            bytes(session.sent.as_ref()),
            session.retransmits.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            or_dash(&one_line(&session.protocol)),
        ]);
    }
    row.push(or_dash(&session.cause));
    if look.wide {
        row.push(one_line(&session.message));
    }
    row
}

/// The id at the end of a name.
fn id(name: &str) -> String {
    or_dash(name.rsplit('/').next().unwrap_or_default())
}

/// The one agent that all of these names are of.
fn common_agent<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let agent = |name: &'a str| name.strip_prefix("agents/")?.split('/').next();
    let first = agent(names.next()?)?;
    names.all(|name| agent(name) == Some(first)).then_some(first)
}

/// A short name without the agent, where that goes without saying.
fn without_agent(name: &str, agent: Option<&str>) -> String {
    let name = short(name);
    let rest = agent.and_then(|agent| name.strip_prefix(agent)?.strip_prefix('/'));
    rest.map_or_else(|| name.clone(), str::to_owned)
}

/// Whose session it is: the instance, or just the gateway where the instance is not known.
fn whose(session: &Session, agent: Option<&str>, look: &Look) -> String {
    match (session.instance.as_str(), session.name.parse::<SessionRef>()) {
        // In full, the session's own name says the gateway.
        ("", _) if look.wide => "-".to_owned(),
        (instance, _) if look.wide => look.name(instance),
        ("", Ok(name)) => without_agent(&name.gateway.to_string(), agent),
        ("", Err(_)) => "-".to_owned(),
        (instance, _) => without_agent(instance, agent),
    }
}

/// The age, marked where it is a lower bound.
fn age(session: &Session) -> String {
    let at_least = if session.age_at_least && session.age.is_some() { "≥" } else { "" };
    format!("{at_least}{}", span(session.age.as_ref()))
}

/// How much room the others leave the last column on the terminal. `None`: nobody knows how wide it is.
fn room(headings: &[Text], rows: &[Vec<String>], look: &Look) -> Option<usize> {
    let width = usize::from(look.width?);
    let others = headings.len().saturating_sub(1);
    let taken: usize = (0..others)
        .map(|column| {
            let heading = headings[column].of(look.lang).width();
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            cells.max().unwrap_or(0).max(heading) + GAP
        })
        .sum();
    Some(width.saturating_sub(taken))
}

/// A cause with its words, as far as there is room; without a terminal the cause alone.
fn with_words(cause: &str, message: &str, room: Option<usize>) -> String {
    let left = room.unwrap_or(0).saturating_sub(cause.width() + 2);
    if message.is_empty() || left < LEAST_WORDS {
        return cause.to_owned();
    }
    format!("{cause}: {}", clip(&one_line(message), left))
}

fn state_color(state: SessionState) -> Option<Color> {
    match state {
        SessionState::Held | SessionState::Closing => Some(Color::Yellow),
        SessionState::Unspecified | SessionState::Opening | SessionState::Open => None,
    }
}

/// The colour of a cause; one this program does not know is still something wrong.
fn cause_color(cause: &str) -> Option<Color> {
    if cause.is_empty() {
        return None;
    }
    match cause.parse::<Cause>().map(Cause::handling) {
        Ok(Handling::Reconnect | Handling::Restart) => Some(Color::Red),
        Ok(Handling::Human) => Some(Color::Magenta),
        Ok(Handling::Wait) | Err(_) => Some(Color::Yellow),
    }
}

/// One line for a plan.
pub(crate) fn line(session: &Session, look: &Look) -> String {
    let mut line = format!("{}  {}", short(&session.name), words::state(session.state(), look.lang));
    let silent = session.silent.as_ref().and_then(duration_from).unwrap_or_default();
    if !silent.is_zero() {
        line.push_str(&format!("  {} {}", words::silent(look.lang), crate::text::duration(silent)));
    }
    if !session.cause.is_empty() {
        line.push_str("  ");
        line.push_str(&look.paint(&one_line(&session.cause), cause_color(&session.cause)));
    }
    line
}

#[cfg(test)]
mod tests;
