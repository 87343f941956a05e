//! How things look: pure functions from answers to text.
//!
//! Tables have no lines around them: they are read, and cut with `awk`. Width is counted in columns, two for a Chinese
//! character. A table that does not fit the terminal wraps inside its cells; piped, nothing is wrapped or cut.

pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod fleet;
pub(crate) mod instance;
pub(crate) mod lines;
mod lint;
pub(crate) mod order;
pub(crate) mod policy;
pub(crate) mod session;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use mooring_core::cause::Lang;
use mooring_core::time::Timestamp;
use mooring_proto::link::printable;
use mooring_proto::v1::{AgentState, ConditionStatus, OrderState, Phase};
use mooring_proto::{duration_from, timestamp_from};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::text::{self, Text};

/// How things are to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Language of the words.
    pub(crate) lang: Lang,
    /// Whether colours may be used.
    pub(crate) color: bool,
    /// Columns there are; `None`: as many as it takes.
    pub(crate) width: Option<u16>,
    /// Full names and exact times.
    pub(crate) wide: bool,
    /// The time that "ago" is counted from.
    pub(crate) now: Timestamp,
}

impl Look {
    /// A table with these headings.
    pub(crate) fn table(&self, headings: &[Text]) -> Table {
        let mut table = self.bare();
        table.set_header(headings.iter().map(|h| Cell::new(h.of(self.lang)).add_attribute(Attribute::Dim)));
        table
    }

    /// A table without headings.
    pub(crate) fn bare(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        match self.width {
            Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.color {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    /// A time: relative for people, exact for those who want it.
    pub(crate) fn time(&self, time: Option<&prost_types::Timestamp>) -> String {
        match time {
            None => "-".to_owned(),
            Some(t) if self.wide => rfc3339(t),
            Some(t) => {
                timestamp_from(t).map_or_else(|| "-".to_owned(), |t| text::relative(t, self.now, self.lang))
            }
        }
    }

    /// A name of a resource: short for people.
    pub(crate) fn name(&self, name: &str) -> String {
        if self.wide { printable(name) } else { short(name) }
    }

    /// Text in bold where that is possible.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Text in a colour where that is possible.
    pub(crate) fn paint(&self, text: &str, color: Option<Color>) -> String {
        let code = match color {
            Some(Color::Green) => 32,
            Some(Color::Yellow) => 33,
            Some(Color::Red) => 31,
            Some(Color::Magenta) => 35,
            Some(Color::Cyan) => 36,
            _ => return text.to_owned(),
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A cell in a colour.
    pub(crate) fn cell(&self, text: impl ToString, color: Option<Color>) -> Cell {
        match color {
            Some(color) => Cell::new(text).fg(color),
            None => Cell::new(text),
        }
    }
}

/// Renders a table: without the spaces at the ends of lines, and not at all when it has no rows.
pub(crate) fn finish(mut table: Table, look: &Look) -> String {
    if table.is_empty() {
        return format!("{}\n", Text::NothingFound.of(look.lang));
    }
    let last = table.column_count().saturating_sub(1);
    for (number, column) in table.column_iter_mut().enumerate() {
        // Behind the last there is nothing to keep apart from, and two columns are much on a narrow terminal.
        column.set_padding((0, if number == last { 0 } else { 2 }));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A message of a peer for one line of a table or a log.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text filled up with spaces to so many columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// The beginning of a text that has no colours, as wide as there is room, with a mark where it was cut.
pub(crate) fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        // One column is kept for the mark.
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `-` for nothing.
pub(crate) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { printable(text) }
}

/// A time as RFC 3339 has it.
pub(crate) fn rfc3339(t: &prost_types::Timestamp) -> String {
    t.to_string()
}

/// The ids of a resource name, without the names of the collections: `host/chat/acct-1`. An instance that bears the name
/// of its gateway (as a plain server's does) is `host/chat`; an order is the last part of its id, which tells orders
/// apart where the first, being made of the time, does not.
pub(crate) fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    printable(&match parts.as_slice() {
        ["agents", a, "gateways", g, "instances", i] if g == i => format!("{a}/{g}"),
        ["agents", a, "gateways", g, "instances", i] => format!("{a}/{g}/{i}"),
        ["agents", a, "gateways", g, "sessions", s] => format!("{a}/{g}/{s}"),
        ["agents", a, "gateways", g] => format!("{a}/{g}"),
        ["orders" | "pauses", id] => id.rsplit('-').next().unwrap_or(id).to_owned(),
        ["agents" | "policies" | "groups" | "events", id] => (*id).to_owned(),
        _ => name.to_owned(),
    })
}

/// A duration of a peer, for people.
pub(crate) fn span(d: Option<&prost_types::Duration>) -> String {
    d.and_then(duration_from).map_or_else(|| "-".to_owned(), text::duration)
}

/// The colour of a phase.
pub(crate) fn phase_color(phase: Phase) -> Option<Color> {
    match phase {
        Phase::Healthy => Some(Color::Green),
        Phase::Degraded | Phase::Flapping => Some(Color::Yellow),
        Phase::Down => Some(Color::Red),
        Phase::NeedsHuman => Some(Color::Magenta),
        Phase::Unknown | Phase::Unspecified => None,
    }
}

/// The colour of an order's state.
pub(crate) fn order_color(state: OrderState) -> Option<Color> {
    match state {
        OrderState::Succeeded => Some(Color::Green),
        OrderState::Failed | OrderState::Refused | OrderState::Expired => Some(Color::Red),
        OrderState::Pending
        | OrderState::Dispatched
        | OrderState::Accepted
        | OrderState::Running
        | OrderState::Verifying => Some(Color::Cyan),
        OrderState::Cancelled | OrderState::Unspecified => None,
    }
}

/// The colour of a condition's status.
pub(crate) fn status_color(status: ConditionStatus) -> Option<Color> {
    match status {
        ConditionStatus::True => Some(Color::Green),
        ConditionStatus::False => Some(Color::Red),
        ConditionStatus::Unknown | ConditionStatus::Unspecified => None,
    }
}

/// The colour of an agent's state.
pub(crate) fn agent_color(state: AgentState) -> Option<Color> {
    match state {
        AgentState::Online => Some(Color::Green),
        AgentState::Syncing | AgentState::Lost => Some(Color::Yellow),
        AgentState::Offline => Some(Color::Red),
        AgentState::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::look;

    #[test]
    fn names_are_shortened_to_what_tells_them_apart() {
        assert_eq!(short("agents/h/gateways/chat/instances/acct-1"), "h/chat/acct-1");
        assert_eq!(short("agents/h/gateways/chat/instances/chat"), "h/chat");
        assert_eq!(short("agents/h/gateways/chat"), "h/chat");
        assert_eq!(short("agents/h/gateways/chat/sessions/r1f"), "h/chat/r1f");
        assert_eq!(short("orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901"), "4fd3a6b2c901");
        assert_eq!(short("policies/default"), "default");
        assert_eq!(short("something/else"), "something/else");
        assert_eq!(
            (pad("ab", 4).as_str(), pad("网关", 5).as_str(), pad("long", 2).as_str()),
            ("ab  ", "网关 ", "long")
        );
        assert_eq!(short("agents/\u{1b}[2J"), "\u{fffd}[2J");
    }

    #[test]
    fn tables_line_up_in_both_languages() {
        let mut table = look(Lang::ZhCn).table(&[Text::ColName, Text::ColPhase]);
        table.add_row(["a", "健康"]).add_row(["bcd", "中断"]);
        assert_eq!(finish(table, &look(Lang::ZhCn)), "名称  阶段\na     健康\nbcd   中断\n");
        let empty = look(Lang::En).table(&[Text::ColName]);
        assert_eq!(finish(empty, &look(Lang::En)), "nothing found\n");
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let plain = look(Lang::En);
        let colourful = Look { color: true, ..plain };
        assert_eq!(plain.paint("x", Some(Color::Red)), "x");
        assert_eq!(colourful.paint("x", Some(Color::Red)), "\u{1b}[31mx\u{1b}[0m");
        let mut table = colourful.bare();
        table.add_row([colourful.cell("Down", phase_color(Phase::Down))]);
        assert!(finish(table, &colourful).contains('\u{1b}'));
    }

    #[test]
    fn a_narrow_terminal_wraps_instead_of_overflowing() {
        let narrow = Look { width: Some(24), ..look(Lang::En) };
        let mut table = narrow.table(&[Text::ColName, Text::ColMessage]);
        table.add_row(["chat", "no answer to four pings in a row"]);
        for line in finish(table, &narrow).lines() {
            assert!(line.chars().count() <= 24, "{line:?}");
        }
    }
}
