//! How sessions ended, and gateways with their sessions in running numbers.

use mooring_proto::v1::{SessionClose, SessionCounts};

use super::{cause_color, common_agent, room, summary, without_agent, words};
use crate::show::{Look, clip, finish, one_line, or_dash, span};
use crate::text::Text;

/// The least room a message is cut to: what is narrower wraps inside its cell.
const LEAST: usize = 12;

/// How sessions ended, in the order given.
pub(crate) fn closes(closes: &[SessionClose], look: &Look) -> String {
    let mut headings = vec![Text::ColTime, Text::ColSession];
    if look.wide {
        headings.extend([Text::ColInstance, Text::ColSource, Text::ColPeer]);
    }
    headings.extend([
        Text::ColOpenFor,
        Text::ColSilent,
        Text::ColEndedBy,
        Text::ColCode,
        Text::ColCause,
        Text::ColMessage,
    ]);
    let agent = common_agent(closes.iter().map(|c| c.session.as_str()));
    let rows: Vec<Vec<String>> = closes.iter().map(|close| facts(close, agent, look)).collect();
    let room = room(&headings, &rows, look).filter(|room| !look.wide && *room >= LEAST);
    let cause = headings.len() - 2;
    let mut table = look.table(&headings);
    for (close, row) in closes.iter().zip(rows) {
        let last = row.len() - 1;
        table.add_row(row.into_iter().enumerate().map(|(column, text)| {
            let text = match room {
                Some(room) if column == last => clip(&text, room),
                _ => text,
            };
            look.cell(text, if column == cause { cause_color(&close.cause) } else { None })
        }));
    }
    finish(table, look)
}

fn facts(close: &SessionClose, agent: Option<&str>, look: &Look) -> Vec<String> {
    let name = if look.wide { look.name(&close.session) } else { without_agent(&close.session, agent) };
    let mut row = vec![look.time(close.time.as_ref()), name];
    if look.wide {
        row.extend([
            or_dash(&close.instance),
            words::source(close.source(), look.lang).to_owned(),
            or_dash(&close.peer),
        ]);
    }
    row.extend([
        span(close.age.as_ref()),
        span(close.silent_for.as_ref()),
        words::ended_by(&close.ended_by, look.lang),
        if close.code == 0 { "-".to_owned() } else { close.code.to_string() },
        or_dash(&close.cause),
        one_line(&close.message),
    ]);
    row
}

/// Gateways with their numbers.
pub(crate) fn counts(counts: &[SessionCounts], look: &Look) -> String {
    let mut table = look.table(&[
        Text::ColGateway,
        Text::ColOpen,
        Text::ColSick,
        Text::ColOpened,
        Text::ColClosed,
        Text::ColTold,
        Text::ColFaults,
    ]);
    for count in counts {
        let sick = (count.sick > 0).then_some(comfy_table::Color::Red);
        table.add_row([
            look.cell(look.name(&count.gateway), None),
            look.cell(count.open, None),
            look.cell(count.sick, sick),
            look.cell(count.opened, None),
            look.cell(count.closed, None),
            look.cell(look.time(count.time.as_ref()), None),
            look.cell(or_dash(&summary::faults(&count.closed_by_cause)), None),
        ]);
    }
    finish(table, look)
}
