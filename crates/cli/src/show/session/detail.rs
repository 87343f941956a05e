//! One session: everything that is known of it, what is wrong with it in words, and what to do.

use std::fmt::Write as _;

use mooring_core::cause::{Cause, Lang};
use mooring_proto::v1::{Session, SessionFlow, SessionSource};

use super::{age, cause_color, state_color, words};
use crate::show::{Look, finish, one_line, or_dash, span};
use crate::text::Text;

/// Everything. What is not known is left out.
pub(crate) fn detail(session: &Session, look: &Look) -> String {
    let lang = look.lang;
    let mut out = String::new();
    let state = look.paint(words::state(session.state(), lang), state_color(session.state()));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}  {state}", look.bold(&or_dash(&session.name)));
    let mut table = look.bare();
    let mut row = |en: &'static str, zh: &'static str, value: String| {
        if !value.is_empty() && value != "-" {
            table.add_row([if lang == Lang::ZhCn { zh.to_owned() } else { en.to_owned() }, value]);
        }
    };
    row("instance", "实例", one_line(&session.instance));
    row("seen by", "观察者", seen_by(session.source(), lang));
    row("peer", "对端", one_line(&session.peer));
    row("local", "本端", one_line(&session.local));
    row("protocol", "协议", one_line(&session.protocol));
    row("age", "时长", age(session));
    row("silent", "静默", span(session.silent.as_ref()));
    row("round trip", "往返", words::latency(session.rtt.as_ref()));
    row("retransmits", "重传", session.retransmits.map(|n| n.to_string()).unwrap_or_default());
    row("beats every", "心跳间隔", span(session.beat.as_ref()));
    row("received", "已接收", flow(session.received.as_ref(), lang));
    row("sent", "已发送", flow(session.sent.as_ref(), lang));
    out.push_str(&finish(table, look));
    out.push('\n');
    if session.cause.is_empty() {
        let _ = writeln!(out, "{}", Text::NothingWrong.of(lang));
        return out;
    }
    let cause = look.paint(&one_line(&session.cause), cause_color(&session.cause));
    let mut paragraph = |heading: Text, words: &str| {
        let _ = writeln!(out, "{}: {words}", look.bold(heading.of(lang)));
    };
    match one_line(&session.message) {
        words if words.is_empty() => paragraph(Text::Wrong, &cause),
        words => paragraph(Text::Wrong, &format!("{cause}: {words}")),
    }
    if let Ok(known) = session.cause.parse::<Cause>() {
        let words = known.words(lang);
        paragraph(Text::Summary, words.summary);
        paragraph(Text::Remedy, words.remedy);
    }
    out
}

fn seen_by(source: SessionSource, lang: Lang) -> String {
    match source {
        SessionSource::Unspecified => String::new(),
        source => format!("{}: {}", words::source(source, lang), words::source_meaning(source, lang)),
    }
}

/// A direction in one line.
fn flow(flow: Option<&SessionFlow>, lang: Lang) -> String {
    let Some(flow) = flow else { return String::new() };
    let zh = lang == Lang::ZhCn;
    let mut parts = Vec::new();
    if flow.bytes.is_some() {
        parts.push(format!("{} {}", words::bytes(flow.bytes), if zh { "字节" } else { "bytes" }));
    }
    if let Some(messages) = flow.messages {
        parts.push(format!("{messages} {}", if zh { "条消息" } else { "messages" }));
    }
    if flow.silent.is_some() {
        parts.push(format!("{} {}", words::silent(lang), span(flow.silent.as_ref())));
    }
    if let Some(queued) = flow.queued {
        let queued = words::bytes(Some(queued));
        parts.push(if zh { format!("积压 {queued} 字节") } else { format!("{queued} bytes waiting") });
    }
    parts.join(", ")
}
