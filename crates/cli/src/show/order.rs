//! Orders: as a list, one with its life, and one line per change.

use std::fmt::Write as _;

use mooring_core::cause::Lang;
use mooring_proto::v1::{Order, OrderAction};

use super::{Look, finish, one_line, or_dash, order_color, short, span};
use crate::text::{self, Text};

/// A list, in the order given.
pub(crate) fn list(orders: &[Order], look: &Look) -> String {
    let mut headings = vec![
        Text::ColOrder,
        Text::ColState,
        Text::ColAction,
        Text::ColTarget,
        Text::ColCause,
        Text::ColBy,
        Text::ColAge,
    ];
    if look.wide {
        headings.push(Text::ColReason);
    }
    headings.push(Text::ColOutcome);
    let mut table = look.table(&headings);
    for order in orders {
        let mut row = vec![
            look.cell(look.name(&order.name), None),
            look.cell(text::order_state(order.state(), look.lang), order_color(order.state())),
            look.cell(text::action(order.action(), look.lang), None),
            look.cell(look.name(&order.target), None),
            look.cell(or_dash(&order.cause), None),
            look.cell(or_dash(&order.requested_by), None),
            look.cell(look.time(order.create_time.as_ref()), None),
        ];
        if look.wide {
            row.push(look.cell(one_line(&order.reason), None));
        }
        row.push(look.cell(one_line(&order.outcome), None));
        table.add_row(row);
    }
    finish(table, look)
}

/// One order with everything that is known of it.
pub(crate) fn detail(order: &Order, look: &Look) -> String {
    let lang = look.lang;
    let mut out = String::new();
    let state = look.paint(text::order_state(order.state(), lang), order_color(order.state()));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}  {state}", look.bold(&order.name));
    let mut table = look.bare();
    let mut row = |label: &str, value: String| {
        if !value.is_empty() && value != "-" {
            table.add_row([label.to_owned(), value]);
        }
    };
    let zh = lang == Lang::ZhCn;
    let label = |en: &'static str, chinese: &'static str| if zh { chinese } else { en };
    row(label("action", "操作"), text::action(order.action(), lang).to_owned());
    row(label("target", "目标"), order.target.clone());
    row(label("requested by", "发起者"), one_line(&order.requested_by));
    row(label("cause", "原因"), order.cause.clone());
    row(label("reason", "理由"), one_line(&order.reason));
    row(label("spread over", "分散于"), span(order.spread.as_ref()));
    row(label("expects", "期望"), expects(order, lang).to_owned());
    row(label("fence", "栅栏号"), order.fence.to_string());
    row(label("incarnation", "进程代次"), order.incarnation.clone());
    row(label("made", "创建"), look.time(order.create_time.as_ref()));
    row(label("valid until", "有效至"), look.time(order.expire_time.as_ref()));
    row(label("deadline", "期限"), look.time(order.deadline_time.as_ref()));
    row(label("ended", "结束"), look.time(order.end_time.as_ref()));
    row(label("outcome", "结果"), one_line(&order.outcome));
    row(label("trace", "追踪"), order.trace_id.clone());
    out.push_str(&finish(table, look));
    if !order.output.is_empty() {
        let _ = writeln!(out, "{}:", Text::Output.of(lang));
        for line in mooring_proto::link::printable(&order.output).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// What proves an order: a condition that is seen afterwards; or, where the wire cannot show it, the agent's own look.
fn expects(order: &Order, lang: Lang) -> &str {
    match order.action() {
        OrderAction::CloseSession | OrderAction::CloseSessions | OrderAction::Drain | OrderAction::Resume
            if order.expected_condition.is_empty() =>
        {
            Text::ProvenByAgent.of(lang)
        }
        _ => &order.expected_condition,
    }
}

/// One line for a change, without the time: the reason when it is first heard of, then what came of it.
pub(crate) fn line(order: &Order, first: bool, look: &Look) -> String {
    let state = look.paint(text::order_state(order.state(), look.lang), order_color(order.state()));
    let action = text::action(order.action(), look.lang);
    let mut line = format!("{}  {action} ({}) {state}", short(&order.target), short(&order.name));
    let words = match order.outcome.as_str() {
        "" if first => &order.reason,
        outcome => outcome,
    };
    if !words.is_empty() {
        let _ = write!(line, ": {}", one_line(words));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{look, order};
    use mooring_proto::v1::OrderState;

    #[test]
    fn a_list_of_orders() {
        let orders = [order(OrderState::Succeeded), order(OrderState::Running)];
        assert_eq!(
            list(&orders, &look(Lang::En)),
            "\
ORDER         STATE      ACTION           TARGET   CAUSE              BY       AGE      OUTCOME
4fd3a6b2c901  succeeded  restart gateway  h/moody  ConnectionRefused  planner  30s ago  Reachable was seen after 2s
4fd3a6b2c901  running    restart gateway  h/moody  ConnectionRefused  planner  30s ago
"
        );
    }

    #[test]
    fn one_order_and_its_output() {
        let mut order = order(OrderState::Failed);
        order.output = "started\n\u{1b}[31mdied".to_owned();
        let shown = detail(&order, &look(Lang::En));
        assert!(shown.starts_with("orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901  failed\n"), "{shown}");
        assert!(shown.contains("target        agents/h/gateways/moody\n"), "{shown}");
        assert!(shown.ends_with("output:\n  started\n  \u{fffd}[31mdied\n"), "{shown}");
    }

    #[test]
    fn an_order_that_the_agent_proves_says_so() {
        let mut order = order(OrderState::Verifying);
        order.set_action(OrderAction::Drain);
        order.spread = Some(prost_types::Duration { seconds: 300, nanos: 0 });
        let shown = detail(&order, &look(Lang::En));
        assert!(shown.contains("spread over   5m\n"), "{shown}");
        assert!(shown.contains("expects       the agent itself looks whether it took effect\n"), "{shown}");
        order.set_action(OrderAction::Reconnect);
        order.expected_condition = "Reachable".to_owned();
        let shown = detail(&order, &look(Lang::ZhCn));
        let expects = shown.lines().find(|line| line.starts_with("期望")).unwrap_or_default();
        assert!(expects.ends_with(" Reachable"), "{shown}");
        order.set_action(OrderAction::CloseSession);
        order.target = "agents/h/gateways/chat/sessions/r1f".to_owned();
        let line = line(&order, false, &look(Lang::ZhCn));
        assert_eq!(line, "h/chat/r1f  关闭会话 (4fd3a6b2c901) 验证中");
    }

    #[test]
    fn a_change_is_one_line() {
        assert_eq!(
            line(&order(OrderState::Succeeded), false, &look(Lang::En)),
            "h/moody  restart gateway (4fd3a6b2c901) succeeded: Reachable was seen after 2s"
        );
        assert_eq!(
            line(&order(OrderState::Pending), true, &look(Lang::ZhCn)),
            "h/moody  重启网关 (4fd3a6b2c901) 待下发: ConnectionRefused for 4s"
        );
        let later = line(&order(OrderState::Running), false, &look(Lang::En));
        assert_eq!(later, "h/moody  restart gateway (4fd3a6b2c901) running");
    }
}
