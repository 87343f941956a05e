//! How long a silent tunnel lives, and whether one client stays with one server.

use std::time::Duration;

use mooring_core::cause::Cause;

use super::Scene;
use super::parse::{Line, Section};
use super::rules::place;
use crate::sources::quote;
use crate::timers::{self, judge};
use crate::{Edit, Expect, Lint, Severity};

const BARE: Duration = Duration::from_millis(1);

fn timeout(line: Option<&Line>) -> Option<Duration> {
    line.and_then(|l| timers::parse(l.word(2), BARE))
}

/// A new line at the top of a section, indented like its others.
fn insert(scene: &Scene<'_, '_>, section: &Section, text: &str) -> Edit {
    let head = &section.head;
    let body = scene.sources.text(head.at.file);
    let end = body.get(head.span.end..).and_then(|t| t.find('\n')).map_or(body.len(), |i| head.span.end + i);
    let end = if body.get(..end).is_some_and(|t| t.ends_with('\r')) { end - 1 } else { end };
    let indent = match section.lines.first() {
        Some(line) => scene.sources.indent(line.at.file, line.span.start),
        None => "    ",
    };
    scene.sources.edit(head.at.file, end..end, format!("\n{indent}{text}"))
}

fn own<'a>(section: &'a Section, line: &Line) -> Option<&'a Line> {
    section.lines.iter().find(|l| std::ptr::eq(*l, line))
}

pub(super) fn tunnel(scene: &Scene<'_, '_>, back: &Section, lints: &mut Vec<Lint>) {
    let set = scene.config.setting(back, &["timeout", "tunnel"]);
    let client = scene.config.setting(scene.front, &["timeout", "client"]);
    let server = scene.config.setting(back, &["timeout", "server"]);
    let (line, limit) = match timeout(set) {
        Some(limit) => (set, limit),
        // Without it the shorter of the two applies; without any a session may be silent for ever.
        None => {
            match [client, server].into_iter().filter_map(|l| Some((l, timeout(l)?))).min_by_key(|(_, t)| *t)
            {
                Some((line, limit)) => (line, limit),
                None => return,
            }
        }
    };
    // Zero is HAProxy's word for no limit.
    let Some(verdict) = judge(limit, scene.question).filter(|_| !limit.is_zero()) else { return };
    let wanted = "timeout tunnel 1h";
    let edit = match set.and_then(|l| own(back, l)) {
        Some(line) => scene.sources.edit(line.at.file, line.span.clone(), wanted),
        None => insert(scene, back, wanted),
    };
    let at = line.unwrap_or(&back.head);
    let found = match set {
        Some(line) => line.text(),
        None => format!("no timeout tunnel, so {} applies", line.map(Line::text).unwrap_or_default()),
    };
    lints.push(Lint {
        cause: Cause::IdleCut,
        severity: verdict.severity,
        file: scene.sources.name(at.at.file).to_owned(),
        line: at.at.line,
        place: place(back),
        found: quote(&found),
        en: verdict.en,
        zh: verdict.zh,
        fix: vec![edit].into(),
    });
}

/// How many servers take part; a template counts for as many as it makes.
fn servers(back: &Section) -> usize {
    let idle = |l: &Line| l.words.iter().any(|w| matches!(w.text.as_str(), "backup" | "disabled"));
    back.lines
        .iter()
        .filter(|l| !idle(l))
        .map(|l| match l.word(0) {
            "server" => 1,
            "server-template" => {
                let (from, to) = l.word(2).split_once('-').unwrap_or(("1", l.word(2)));
                let count = |s: &str| s.parse::<usize>().unwrap_or(1);
                count(to).saturating_sub(count(from)).saturating_add(1)
            }
            _ => 0,
        })
        .fold(0, usize::saturating_add)
}

pub(super) fn sticky(scene: &Scene<'_, '_>, back: &Section, lints: &mut Vec<Lint>) {
    let count = servers(back);
    if scene.question.expects != Expect::SocketIo || count < 2 {
        return;
    }
    let balance = scene.config.setting(back, &["balance"]);
    let method = balance.map_or("roundrobin", |l| l.word(1));
    let by_method = ["source", "hdr", "hash", "rdp-cookie"]
        .iter()
        .any(|m| method == *m || method.strip_prefix(m).is_some_and(|rest| rest.starts_with('(')));
    let by_cookie = scene.config.is_http(back)
        && scene.config.setting(back, &["cookie"]).is_some()
        && (back.lines.iter().any(|l| l.word(0) == "server" && l.words.iter().any(|w| w.text == "cookie"))
            || scene.config.setting(back, &["dynamic-cookie-key"]).is_some());
    let by_table = back
        .lines
        .iter()
        .any(|l| l.word(0) == "stick" && matches!(l.word(1), "on" | "match") || l.word(0) == "appsession");
    if by_method || by_cookie || by_table {
        return;
    }
    let edit = match balance.and_then(|l| own(back, l)) {
        Some(line) => scene.sources.edit(line.at.file, line.span.clone(), "balance source"),
        None => insert(scene, back, "balance source"),
    };
    lints.push(Lint {
        cause: Cause::StickySessionsMissing,
        severity: Severity::Error,
        file: scene.sources.name(back.head.at.file).to_owned(),
        line: back.head.at.line,
        place: place(back),
        found: quote(&format!("{count} servers, balance {method}")),
        en: format!("requests of one Socket.IO session are spread over {count} processes, which do not know each other's sessions; behind another proxy, a cookie tells clients apart where the source address cannot"),
        zh: format!("同一 Socket.IO 会话的请求会分散到 {count} 个互不认识会话的进程；若前面还有代理，源地址无法区分客户端，请改用 cookie"),
        fix: vec![edit].into(),
    });
}

/// HAProxy 2.0 and newer do not start with it.
pub(super) fn forceclose(scene: &Scene<'_, '_>, back: &Section, lints: &mut Vec<Lint>) {
    for section in [scene.front, back] {
        let Some(line) = scene.config.setting(section, &["option", "forceclose"]) else { continue };
        lints.push(Lint {
            cause: Cause::WrongProtocol,
            severity: Severity::Note,
            file: scene.sources.name(line.at.file).to_owned(),
            line: line.at.line,
            place: place(section),
            found: quote(&line.text()),
            en: "HAProxy has refused to start with this option since 2.0; nothing needs it".to_owned(),
            zh: "自 2.0 起 HAProxy 遇到此选项会拒绝启动；并无必要".to_owned(),
            fix: vec![scene.sources.removal(line.at.file, line.span.clone())].into(),
        });
    }
}
