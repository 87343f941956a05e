//! The live table as lines of text for a terminal of a given size. Pure.

use comfy_table::{Color, Row};
use unicode_width::UnicodeWidthStr as _;

use super::model::Model;
use crate::show::{self, Look, clip, event, fleet, instance, one_line, order_color, phase_color};
use crate::text::{self, Text};

/// Rows that orders get, at most; instances come first, events get what is left.
const ORDERS: usize = 6;
/// Rows that events keep, at least, where there is room for more than the instances.
const EVENTS: usize = 4;

/// Terminals at least so high have room for lines to try.
const HIGH: usize = 24;

/// The lines for a terminal of so many columns and rows; never more, never longer. `hints` are lines to try in another
/// terminal: the screen hides what was printed before it.
pub(super) fn lines(
    model: &Model,
    look: &Look,
    (api, hints): (&str, &[String]),
    size: (u16, u16),
) -> Vec<String> {
    let (width, full) = (usize::from(size.0), usize::from(size.1));
    let hints: Vec<String> = hints.iter().filter(|_| full >= HIGH).map(|hint| clip(hint, width)).collect();
    let height = full - hints.len();
    let look = Look { width: Some(size.0), ..*look };
    let mut out = header(model, &look, api, width);
    let footer = clip(Text::Quit.of(look.lang), width);
    let room = height.saturating_sub(out.len() + 1);
    let orders = model.orders();
    let order_rows = orders.len().min(ORDERS);
    let order_room = if order_rows == 0 { 0 } else { order_rows + 2 };
    let instance_room = room.saturating_sub(order_room + EVENTS + 2).max(room.min(4));
    let (instances, left_out) = instances(model, &look, instance_room);
    out.extend(instances);
    if left_out > 0 {
        out.push(clip(&format!("... +{left_out}"), width));
    }
    if order_rows > 0 {
        out.push(String::new());
        out.extend(order_lines(&orders[..order_rows], &look));
    }
    let left = height.saturating_sub(out.len() + 2);
    let events: Vec<String> =
        model.events().take(left.saturating_sub(1)).map(|e| event_line(e, &look, width)).collect();
    if !events.is_empty() {
        out.push(String::new());
        out.push(look.bold(&clip(Text::Events.of(look.lang), width)));
        out.extend(events);
    }
    out.truncate(height.saturating_sub(1));
    out.extend(hints);
    if height > 0 {
        out.push(footer);
    }
    out
}

fn header(model: &Model, look: &Look, api: &str, width: usize) -> Vec<String> {
    let lang = look.lang;
    let mut out = vec![look.bold(&clip(&format!("mooring  {api}"), width))];
    if let Some(numbers) = &model.fleet {
        let plain = Look { color: false, ..*look };
        let summary = |look: &Look| {
            format!(
                "{} {}/{}  {} {}  {} {}: {}  {} {}",
                Text::Agents.of(lang),
                numbers.agents_online,
                numbers.agents_known,
                Text::Gateways.of(lang),
                numbers.gateways,
                Text::Instances.of(lang),
                numbers.instances,
                fleet::phases(numbers, look).join(" "),
                Text::LiveOrders.of(lang),
                numbers.live_orders,
            )
        };
        // Colours take no columns, but cannot be cut through.
        let fits = summary(&plain).width() <= width;
        out.push(if fits { summary(look) } else { clip(&summary(&plain), width) });
        let alarms = fleet::alarms(numbers, &plain);
        out.extend(
            alarms.iter().map(|alarm| look.paint(&clip(&format!("! {alarm}"), width), Some(Color::Yellow))),
        );
    }
    if let Some(why) = &model.lost {
        let line = format!("! {}: {}", Text::ConnectionLost.of(lang), one_line(why));
        out.push(look.paint(&clip(&line, width), Some(Color::Red)));
    }
    out.push(String::new());
    out
}

/// A table whose rows are one line high each.
fn table(look: &Look, headings: &[Text], rows: impl Iterator<Item = Row>) -> Vec<String> {
    let mut table = look.table(headings);
    for mut row in rows {
        row.max_height(1);
        table.add_row(row);
    }
    show::finish(table, look).lines().map(str::to_owned).collect()
}

fn instances(model: &Model, look: &Look, room: usize) -> (Vec<String>, usize) {
    if model.count() == 0 {
        let word = if model.complete { Text::NothingFound } else { Text::WarmingUp };
        return (vec![word.of(look.lang).to_owned()], 0);
    }
    let all = model.instances();
    let fit = if all.len() < room { all.len() } else { room.saturating_sub(2) };
    let rows = all.iter().take(fit).map(|i| {
        let why = instance::telling(i);
        Row::from(vec![
            look.cell(show::short(&i.name), None),
            look.cell(instance::phase_words(i, look), phase_color(i.phase())),
            look.cell(show::or_dash(why.map_or("", |c| &c.cause)), None),
            look.cell(look.time(instance::since(i)), None),
            look.cell(
                show::or_dash(&model.live_on(&i.name).map_or_else(String::new, |o| show::short(&o.name))),
                None,
            ),
            look.cell(one_line(why.map_or("", |c| &c.message)), None),
        ])
    });
    let headings =
        [Text::ColInstance, Text::ColPhase, Text::ColCause, Text::ColSince, Text::ColOrder, Text::ColMessage];
    (table(look, &headings, rows), all.len() - fit)
}

fn order_lines(orders: &[mooring_proto::v1::Order], look: &Look) -> Vec<String> {
    let rows = orders.iter().map(|o| {
        let words = if o.outcome.is_empty() { &o.reason } else { &o.outcome };
        Row::from(vec![
            look.cell(show::short(&o.name), None),
            look.cell(text::order_state(o.state(), look.lang), order_color(o.state())),
            look.cell(text::action(o.action(), look.lang), None),
            look.cell(show::short(&o.target), None),
            look.cell(look.time(o.create_time.as_ref()), None),
            look.cell(one_line(words), None),
        ])
    });
    let headings =
        [Text::ColOrder, Text::ColState, Text::ColAction, Text::ColTarget, Text::ColAge, Text::ColOutcome];
    table(look, &headings, rows)
}

fn event_line(event: &mooring_proto::v1::Event, look: &Look, width: usize) -> String {
    let plain = Look { color: false, ..*look };
    let line = event::line(event, &plain);
    if line.width() <= width { event::line(event, look) } else { clip(&line, width) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{EventUpdate, Update};
    use crate::tests::{ago, healthy, look, order, sick};
    use mooring_core::cause::Lang;
    use mooring_proto::v1::watch_response::Item;
    use mooring_proto::v1::{Bookmark, Event, EventType, Fleet, OrderState, WatchResponse};

    fn model(instances: usize) -> Model {
        let mut model = Model::default();
        let mut item = |item| {
            model.watch(Update::Item(Box::new(WatchResponse {
                item: Some(item),
                resume_token: String::new(),
            })));
        };
        for n in 0..instances {
            item(Item::Instance(healthy("local", "chat", &format!("acct-{n}"))));
        }
        item(Item::Instance(sick("local", "moody", "moody")));
        item(Item::Order(order(OrderState::Running)));
        item(Item::Bookmark(Bookmark { snapshot_complete: true, ..Bookmark::default() }));
        for n in 0..30 {
            let event = Event {
                create_time: Some(ago(n)),
                r#type: EventType::Human.into(),
                subject: "agents/local/gateways/moody".to_owned(),
                message: "the ladder is at its end 梯子已到尽头".repeat(3),
                ..Event::default()
            };
            model.event(EventUpdate::Event(Box::new(event)));
        }
        model.fleet = Some(Fleet {
            agents_online: 1,
            agents_known: 1,
            phases: [("Down".to_owned(), 1)].into(),
            storms: vec!["default".to_owned()],
            ..Fleet::default()
        });
        model
    }

    #[test]
    fn it_never_exceeds_the_terminal() {
        let hints = ["grpcurl".to_owned(), "x".repeat(300)];
        for lang in [Lang::En, Lang::ZhCn] {
            for size in [(0, 0), (1, 1), (20, 5), (40, 12), (80, 24), (200, 60)] {
                for count in [0, 3, 200] {
                    let lines = lines(&model(count), &look(lang), ("http://127.0.0.1:7600", &hints), size);
                    assert!(lines.len() <= usize::from(size.1), "{size:?}: {} lines", lines.len());
                    for line in lines.iter().filter(|_| size.0 >= 40) {
                        assert!(line.width() <= usize::from(size.0), "{size:?}: {line:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_usual_terminal_shows_everything() {
        let shown = lines(
            &model(3),
            &look(Lang::En),
            ("http://127.0.0.1:7600", &["grpcurl this".to_owned()]),
            (120, 30),
        )
        .join("\n");
        for part in [
            "mooring  http://127.0.0.1:7600",
            "agents 1/1",
            "! storm brake on: default",
            "local/moody        Down     ConnectionRefused",
            "local/chat/acct-2  Healthy",
            "running",
            "events",
            "grpcurl this",
            "q quits",
        ] {
            assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
        }
    }

    #[test]
    fn many_instances_are_cut_with_their_number() {
        let shown = lines(&model(200), &look(Lang::En), ("x", &[]), (120, 30));
        let more = shown.iter().find(|l| l.starts_with("... +")).unwrap();
        let hidden: usize = more.trim_start_matches("... +").parse().unwrap();
        let visible =
            shown.iter().filter(|l| l.contains("Healthy") || l.starts_with("local/moody  ")).count();
        assert_eq!(
            hidden + shown.iter().filter(|l| l.starts_with("local/")).count(),
            201,
            "{visible}\n{shown:?}"
        );
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("网关重启", 5), "网关…");
        assert_eq!(clip("ab", 2), "ab");
        assert_eq!(clip("ab", 0), "");
    }
}
