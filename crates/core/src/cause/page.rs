//! The pages of the documentation about causes, made from the table, the words and the guides alone: what people read
//! there is what the programs go by. Pure and deterministic; `examples/cause_pages.rs` writes them to `docs/causes`, and CI
//! compares.

use std::fmt::Write as _;

use super::guide::{Guide, Retry, Text};
use super::{Both, Cause, Handling, Lang, table};
use crate::order::Action;

/// The first line of every page.
pub const NOTICE: &str =
    "<!-- Made from crates/core/src/cause by `cargo xtask docs`: change it there, not here. -->";

const fn say(en: &'static str, zh: &'static str) -> Text {
    Both { en, zh }
}

/// What the causes are about, in the order of the index: the name of the module that holds their texts, and a heading.
const SECTIONS: [(&str, Text); 12] = [
    ("network", say("Below TLS: names, routes, ports", "网络：名称、路由与端口")),
    ("tls", say("TLS and certificates", "TLS 与证书")),
    ("upgrade", say("The opening handshake", "升级握手")),
    ("proxy", say("Proxies, balancers and timers", "反向代理、负载均衡与计时器")),
    ("access", say("Tokens, headers, and who may come in", "令牌、请求头与准入")),
    ("socketio", say("Engine.IO and Socket.IO", "Engine.IO 与 Socket.IO")),
    ("session", say("How sessions end", "会话如何结束")),
    ("silence", say("Sessions that are open and carry nothing", "打开却没有数据的会话")),
    ("account", say("The account behind an instance", "实例背后的账号")),
    ("link", say("The instance's own connection", "实例自身的连接")),
    ("process", say("The gateway's process", "网关进程")),
    ("knowledge", say("What is not known", "尚不可知")),
];

/// The file of a page, relative to the folder of the pages.
#[must_use]
pub fn file(cause: Cause, lang: Lang) -> String {
    format!("{}{cause}.md", folder(lang))
}

/// The file of the index, relative to the folder of the pages.
#[must_use]
pub fn index_file(lang: Lang) -> String {
    format!("{}README.md", folder(lang))
}

fn folder(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "",
        Lang::ZhCn => "zh-CN/",
    }
}

/// The way from a page to its translation's folder, and the name of that language.
fn elsewhere(lang: Lang) -> (&'static str, &'static str) {
    match lang {
        Lang::En => ("zh-CN/", "简体中文"),
        Lang::ZhCn => ("../", "English"),
    }
}

/// The page of one cause, as Markdown.
#[must_use]
pub fn page(cause: Cause, lang: Lang) -> String {
    let (words, guide) = (cause.words(lang), cause.guide());
    let (way, other) = elsewhere(lang);
    let all = say("all causes", "全部原因").of(lang);
    let code = say("code", "代码").of(lang);
    let mut out = format!("{NOTICE}\n# {cause}\n\n");
    let _ = writeln!(
        out,
        "{code} {} · [{other}]({way}{cause}.md) · [{all}](README.md)\n\n**{}**\n",
        cause.code(),
        linked(words.summary, cause)
    );
    heading(&mut out, say("What to do", "处理办法"), lang);
    let _ = writeln!(out, "{}\n", linked(words.remedy, cause));
    if let Some(human) = guide.human {
        let _ = writeln!(out, "{}\n", linked(human.of(lang), cause));
    }
    facts(&mut out, cause, guide, lang);
    heading(&mut out, say("What one sees", "现象"), lang);
    let _ = writeln!(out, "{}\n", linked(guide.seen_as.of(lang), cause));
    if !guide.snippets.is_empty() {
        heading(&mut out, say("Lines to paste", "可直接粘贴的配置"), lang);
        for snippet in guide.snippets {
            let (software, between) = (snippet.software, say(": ", "：").of(lang));
            let _ = writeln!(out, "**{}**{between}{}\n", software.name(), snippet.place.of(lang));
            let _ = writeln!(out, "```{}\n{}\n```\n", software.fence(), snippet.text);
        }
    }
    look_alikes(&mut out, cause, lang);
    if !guide.sources.is_empty() {
        heading(&mut out, say("Sources", "参考"), lang);
        for source in guide.sources {
            let _ = writeln!(out, "- {}", source_link(source));
        }
        out.push('\n');
    }
    ended(out)
}

/// The list of all causes, as Markdown.
#[must_use]
pub fn index(lang: Lang) -> String {
    let (way, other) = elsewhere(lang);
    let title = say("Causes", "原因一览").of(lang);
    let about = say(
        "Why a condition is not True. Names and codes are stable; `mooring explain --causes` lists the same. Each page says what a cause means, what to do, what it looks like, and what it is mistaken for.",
        "条件不为 True 的原因。名称与代码长期不变，`mooring explain --causes` 列出的内容与此相同。每页说明该原因的含义、处理办法、现象，以及容易与之混淆的原因。",
    );
    let mut out = format!("{NOTICE}\n# {title}\n\n[{other}]({way}README.md)\n\n{}\n\n", about.of(lang));
    let columns =
        say("| cause | code | handled by | meaning |", "| 原因 | 代码 | 处理方式 | 含义 |").of(lang);
    for (area, name) in SECTIONS {
        heading(&mut out, name, lang);
        let _ = writeln!(out, "{columns}\n|---|---|---|---|");
        for cause in table::ROWS.iter().filter(|row| row.area == area).map(|row| row.cause) {
            let (handling, words) = (handled(cause.handling()).of(lang), cause.words(lang));
            let _ = writeln!(
                out,
                "| [{cause}]({cause}.md) | {} | {handling} | {} |",
                cause.code(),
                words.summary
            );
        }
        out.push('\n');
    }
    ended(out)
}

fn heading(out: &mut String, text: Text, lang: Lang) {
    let _ = writeln!(out, "## {}\n", text.of(lang));
}

/// Exactly one line break at the end.
fn ended(mut page: String) -> String {
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn facts(out: &mut String, cause: Cause, guide: &Guide, lang: Lang) {
    let order = guide.order.map_or(say("none", "无"), ordered);
    let rows = [
        (say("Handled by", "处理方式"), handled(cause.handling()).of(lang).to_owned()),
        (say("May it be tried again?", "可否重试"), retried(guide.retry, lang)),
        (say("Cheapest order that helps", "代价最小的有效操作"), order.of(lang).to_owned()),
    ];
    out.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(out, "| {} | {value} |", name.of(lang));
    }
    out.push('\n');
}

fn look_alikes(out: &mut String, cause: Cause, lang: Lang) {
    let mut any = false;
    for (other, apart) in cause.confused_with() {
        if !any {
            heading(out, say("Not to be confused with", "容易混淆的原因"), lang);
            any = true;
        }
        let between = say(": ", "：").of(lang);
        let _ = writeln!(out, "- [{other}]({other}.md){between}{}", apart.of(lang));
    }
    if any {
        out.push('\n');
    }
}

fn handled(handling: Handling) -> Text {
    match handling {
        Handling::Reconnect => say("reconnecting first, then restarting", "先重连，再重启"),
        Handling::Restart => say("restarting", "重启"),
        Handling::Wait => say("waiting: acting would not help or would harm", "等待：操作无益或有害"),
        Handling::Human => say("a human: nothing is ordered", "人工：不下达任何操作"),
    }
}

fn retried(retry: Retry, lang: Lang) -> String {
    match (retry, lang) {
        (Retry::Yes, Lang::En) => "yes".to_owned(),
        (Retry::Yes, Lang::ZhCn) => "可以".to_owned(),
        (Retry::WithBackoff, Lang::En) => "yes, with growing pauses".to_owned(),
        (Retry::WithBackoff, Lang::ZhCn) => "可以，间隔应逐渐加长".to_owned(),
        (Retry::AfterAWait(wait), Lang::En) => format!("after {} s", wait.as_secs()),
        (Retry::AfterAWait(wait), Lang::ZhCn) => format!("等待 {} 秒后", wait.as_secs()),
        (Retry::No, Lang::En) => "no, not before something was changed".to_owned(),
        (Retry::No, Lang::ZhCn) => "不可以，须先作出修改".to_owned(),
    }
}

fn ordered(action: Action) -> Text {
    match action {
        Action::Reconnect => say("reconnect", "重连"),
        Action::ReconnectSlowly => say("reconnect after a pause", "稍后重连"),
        Action::RestartInstance => say("restart the instance", "重启实例"),
        Action::RestartGateway => say("restart the gateway", "重启网关"),
        Action::CloseSession => say("close the session", "关闭该会话"),
        Action::CloseSessions => say("close the sessions", "关闭全部会话"),
        Action::Drain => say("drain", "排空"),
        Action::Resume => say("resume", "恢复接入"),
    }
}

/// A text with the names of other causes as links to their pages.
fn linked(text: &str, own: Cause) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(before);
        match word.parse::<Cause>() {
            Ok(cause) if cause != own => {
                let _ = write!(out, "[{cause}]({cause}.md)");
            }
            _ => out.push_str(word),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `RFC 6455 §4.2` leads to the section, an address to itself by a short name where it is an issue.
fn source_link(source: &str) -> String {
    if let Some((number, section)) = source.strip_prefix("RFC ").and_then(|rest| rest.split_once(" §")) {
        return format!("[{source}](https://www.rfc-editor.org/rfc/rfc{number}#section-{section})");
    }
    if let Some(number) = source.strip_prefix("RFC ") {
        return format!("[{source}](https://www.rfc-editor.org/rfc/rfc{number})");
    }
    let thread = source.strip_prefix("https://github.com/").and_then(|path| {
        let (repository, number) = path.split_once("/issues/").or_else(|| path.split_once("/pull/"))?;
        Some(format!("[{repository} #{number}]({source})"))
    });
    thread.unwrap_or_else(|| format!("<{source}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_stands_once_in_the_index() {
        for lang in [Lang::En, Lang::ZhCn] {
            let index = index(lang);
            for cause in Cause::all() {
                assert_eq!(index.matches(&format!("| [{cause}]({cause}.md) |")).count(), 1, "{cause}");
                assert!(!cause.words(lang).summary.contains('|'), "{cause} would break the table");
            }
        }
    }

    #[test]
    fn a_page_says_all_there_is() {
        for lang in [Lang::En, Lang::ZhCn] {
            for cause in Cause::all() {
                let (page, guide) = (page(cause, lang), cause.guide());
                assert!(page.starts_with(NOTICE) && page.ends_with('\n') && !page.ends_with("\n\n"));
                assert!(guide.snippets.iter().all(|s| page.contains(s.text)), "{cause}");
                assert!(cause.confused_with().all(|(_, apart)| page.contains(apart.of(lang))), "{cause}");
                assert_eq!(page.matches("```").count(), guide.snippets.len() * 2, "{cause}");
                assert!(page.contains(&format!("{}{cause}.md", elsewhere(lang).0)), "{cause}");
            }
        }
    }

    #[test]
    fn names_of_other_causes_are_links() {
        assert_eq!(
            linked("see WrongPath, SessionLost。", Cause::SessionLost),
            "see [WrongPath](WrongPath.md), SessionLost。"
        );
        assert_eq!(linked("", Cause::SessionLost), "");
    }

    #[test]
    fn sources_become_links() {
        assert_eq!(
            source_link("RFC 6455 §4.2.2"),
            "[RFC 6455 §4.2.2](https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2)"
        );
        assert_eq!(source_link("RFC 9525"), "[RFC 9525](https://www.rfc-editor.org/rfc/rfc9525)");
        assert_eq!(
            source_link("https://github.com/websockets/ws/issues/2226"),
            "[websockets/ws #2226](https://github.com/websockets/ws/issues/2226)"
        );
        assert_eq!(source_link("https://socket.io/docs"), "<https://socket.io/docs>");
    }
}
