//! Events: as a table, and one line each.

use comfy_table::Color;
use mooring_core::cause::Lang;
use mooring_proto::timestamp_from;
use mooring_proto::v1::{ConditionStatus, Event, EventType};
use time::OffsetDateTime;

use super::{Look, finish, one_line, pad, rfc3339, short};
use crate::text;

/// Events, in the order given.
pub(crate) fn list(events: &[Event], look: &Look) -> String {
    let mut table = look.table(&[
        text::Text::ColTime,
        text::Text::ColType,
        text::Text::ColSubject,
        text::Text::ColMessage,
    ]);
    for event in events {
        table.add_row([
            look.cell(look.time(event.create_time.as_ref()), None),
            look.cell(text::event_type(event.r#type(), look.lang), color(event)),
            look.cell(look.name(&event.subject), None),
            look.cell(words(event, look), None),
        ]);
    }
    finish(table, look)
}

/// One line, with its time.
pub(crate) fn line(event: &Event, look: &Look) -> String {
    let kind = look.paint(&pad(text::event_type(event.r#type(), look.lang), 9), color(event));
    format!(
        "{}  {kind}  {}  {}",
        clock(event.create_time.as_ref(), look),
        short(&event.subject),
        words(event, look)
    )
    .trim_end()
    .to_owned()
}

/// What happened, in words. The controller's message begins with the condition, its status and its cause; those are
/// said in the reader's language instead.
pub(crate) fn words(event: &Event, look: &Look) -> String {
    let message = one_line(&event.message);
    if event.condition.is_empty() {
        return message;
    }
    let english = text::status(event.status(), Lang::En);
    let rest = message.strip_prefix(&format!("{} is {english}", event.condition)).unwrap_or(&message);
    let rest = rest.trim_start_matches([':', ' ']);
    let rest = rest.strip_prefix(event.cause.as_str()).unwrap_or(rest).trim_start_matches([':', ' ']);
    let mut words = format!("{} {}", event.condition, text::status(event.status(), look.lang));
    for (separator, part) in [(" ", event.cause.as_str()), (": ", rest)] {
        if !part.is_empty() {
            words.push_str(separator);
            words.push_str(part);
        }
    }
    words
}

fn color(event: &Event) -> Option<Color> {
    match event.r#type() {
        EventType::Human => Some(Color::Magenta),
        EventType::Refusal => Some(Color::Yellow),
        EventType::Order => Some(Color::Cyan),
        EventType::Condition if event.status() == ConditionStatus::False => Some(Color::Red),
        EventType::Condition if event.status() == ConditionStatus::True => Some(Color::Green),
        _ => None,
    }
}

/// The time of a line in a log: the time of day (UTC) for people, the whole of it for those who want it.
pub(crate) fn clock(time: Option<&prost_types::Timestamp>, look: &Look) -> String {
    let Some(time) = time else { return "--:--:--".to_owned() };
    if look.wide {
        return rfc3339(time);
    }
    timestamp_from(time).map_or_else(|| rfc3339(time), |t| time_of_day(t.0))
}

/// `12:34:56Z` of a wall-clock time in microseconds.
pub(crate) fn time_of_day(micros: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)) {
        Ok(t) => format!("{:02}:{:02}:{:02}Z", t.hour(), t.minute(), t.second()),
        Err(_) => "--:--:--".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ago, look};

    fn event() -> Event {
        Event {
            name: "events/7".to_owned(),
            create_time: Some(ago(12)),
            r#type: EventType::Condition.into(),
            subject: "agents/h/gateways/moody/instances/moody".to_owned(),
            message: "Reachable is False: ConnectionRefused: nothing listens".to_owned(),
            condition: "Reachable".to_owned(),
            status: ConditionStatus::False.into(),
            cause: "ConnectionRefused".to_owned(),
            ..Event::default()
        }
    }

    #[test]
    fn events_as_table_and_line() {
        assert_eq!(
            list(&[event()], &look(Lang::En)),
            "TIME     TYPE       SUBJECT  MESSAGE\n12s ago  condition  h/moody  Reachable False ConnectionRefused: nothing listens\n"
        );
        let line = line(&event(), &look(Lang::En));
        assert!(
            line.ends_with("Z  condition  h/moody  Reachable False ConnectionRefused: nothing listens"),
            "{line}"
        );
    }

    #[test]
    fn nothing_is_said_twice_nor_swallowed() {
        let mut event = event();
        assert_eq!(words(&event, &look(Lang::ZhCn)), "Reachable 否 ConnectionRefused: nothing listens");
        event.message = "in other words".to_owned();
        assert_eq!(words(&event, &look(Lang::En)), "Reachable False ConnectionRefused: in other words");
        event.message = "Reachable is False: ConnectionRefused".to_owned();
        assert_eq!(words(&event, &look(Lang::En)), "Reachable False ConnectionRefused");
        event.condition = String::new();
        assert_eq!(words(&event, &look(Lang::En)), "Reachable is False: ConnectionRefused");
    }

    #[test]
    fn the_clock_is_utc_and_says_so() {
        assert_eq!(time_of_day(1_735_689_600_000_000), "00:00:00Z");
        assert_eq!(time_of_day(1_735_734_896_999_999), "12:34:56Z");
        assert_eq!(time_of_day(-1), "23:59:59Z");
    }
}
