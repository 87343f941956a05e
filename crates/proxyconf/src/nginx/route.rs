//! The path ends somewhere else than at a backend: a redirect, a page, files, an error; and a map where none may stand.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::select::{hands_on, named};
use super::walk::{Handler, mark};
use super::{Finding, Scene, fixes};
use crate::sources::{Sources, quote};
use crate::{Edit, Lint, Severity};

pub(super) fn check(scene: &Scene<'_, '_>, servers: usize, lints: &mut Vec<Lint>) {
    let own = scene.reached.levels.iter().rev().find_map(|l| mark(l).and(l.directive));
    let path = scene.question.uri();
    // When several servers were looked at, only one of them may be meant.
    let certain = if servers > 1 { Severity::Warning } else { Severity::Error };
    match scene.reached.handler {
        Handler::Proxy(_) => {}
        Handler::Answer(d, status @ 300..=399) => redirected(scene, d, status, certain, lints),
        Handler::Answer(d, status) => {
            let finding = Finding {
                cause: Cause::WrongPath,
                severity: certain,
                found: d.line(),
                en: format!("{path} is answered with {status} here and never reaches a backend"),
                zh: format!("{path} 在此直接以 {status} 应答，不会到达后端"),
                edits: new_location(scene),
            };
            lints.push(scene.lint(d, finding));
        }
        Handler::SlashRedirect(location) => {
            let found = location.line();
            let word = location.args.last();
            let edits = word
                .map(|w| fixes::replace(scene, location, w, w.text.trim_end_matches('/')))
                .filter(|_| rest_is_plain(location))
                .into_iter()
                .collect();
            let finding = Finding {
                cause: Cause::Redirected,
                severity: certain,
                found,
                en: format!(
                    "{path} without its last slash is answered with a redirect to {path}/, which WebSocket clients do not follow"
                ),
                zh: format!("缺少末尾斜杠的 {path} 会被重定向到 {path}/，而 WebSocket 客户端不会跟随重定向"),
                edits,
            };
            lints.push(scene.lint(location, finding));
        }
        Handler::Page(d) => {
            let finding = Finding {
                cause: Cause::SpaFallback,
                severity: certain,
                found: d.line(),
                en: format!("no location proxies {path}, so it falls back to the front end's page"),
                zh: format!("没有任何 location 代理 {path}，于是回落到前端页面"),
                edits: new_location(scene),
            };
            lints.push(scene.lint(d, finding));
        }
        Handler::Other(d) => {
            let finding = Finding {
                cause: Cause::ProxyStrippedUpgrade,
                severity: certain,
                found: d.line(),
                en: format!("{} cannot carry an upgrade; the path needs proxy_pass", d.name),
                zh: format!("{} 无法承载升级，该路径需要使用 proxy_pass", d.name),
                edits: new_location(scene),
            };
            lints.push(scene.lint(d, finding));
        }
        Handler::Files => {
            let Some(at) = own else { return };
            let finding = Finding {
                cause: Cause::UpgradeNotPerformed,
                severity: certain,
                found: format!("{}: no proxy_pass", quote(&at.line())),
                en: format!("{path} is served from files here; nothing proxies it"),
                zh: format!("{path} 在此由静态文件应答，没有代理到后端"),
                edits: new_location(scene),
            };
            lints.push(scene.lint(at, finding));
        }
    }
}

/// A redirect to https is no fault for who dials `wss`: on a plain port it is worth a note only, unless it was asked for.
fn redirected(scene: &Scene<'_, '_>, d: &Directive, status: u16, certain: Severity, lints: &mut Vec<Lint>) {
    let target = d
        .args
        .iter()
        .map(|a| a.text.as_str())
        .find(|t| t.contains("://") || t.starts_with('/') || t.starts_with("$scheme"));
    let to_https = target.is_some_and(|t| t.starts_with("https://"));
    let dialled = scene.question.port.is_some();
    let severity = match (to_https, dialled) {
        (true, false) => Severity::Note,
        _ => certain,
    };
    let (en, zh) = match to_https {
        true => (
            format!(
                "a client that dials ws:// here gets a {status} to https, which WebSocket clients do not follow: it must dial wss://"
            ),
            format!(
                "以 ws:// 连接此处会得到指向 https 的 {status}，WebSocket 客户端不会跟随重定向：请改用 wss://"
            ),
        ),
        false => (
            format!("the path is answered with a {status}, which WebSocket clients do not follow"),
            format!("该路径以 {status} 重定向应答，而 WebSocket 客户端不会跟随重定向"),
        ),
    };
    let finding = Finding { cause: Cause::Redirected, severity, found: d.line(), en, zh, edits: Vec::new() };
    lints.push(scene.lint(d, finding));
}

/// Shortening the name of a location changes what `proxy_pass http://b/` makes of the path.
fn rest_is_plain(location: &Directive) -> bool {
    hands_on(location.items()).is_some_and(|d| {
        let target = d.arg(0).split_once("://").map_or(d.arg(0), |(_, t)| t);
        !target.contains('/') && !target.contains('$')
    })
}

/// A location for the path, if it is known where the gateway is: told, or the only backend this server has.
fn new_location(scene: &Scene<'_, '_>) -> Vec<Edit> {
    let Some(server) = scene.server.directive else { return Vec::new() };
    let Some(backend) =
        scene.question.backend.clone().map(|b| format!("http://{b}")).or_else(|| only_backend(server))
    else {
        return Vec::new();
    };
    let path = scene.question.uri();
    let fits = |s: &str| !s.contains(|c: char| c.is_whitespace() || "{};\"'\\#$".contains(c));
    if !fits(&path) || !fits(&backend) {
        return Vec::new();
    }
    let exists = named(server.items(), "location").any(|d| d.args.last().is_some_and(|a| a.text == path));
    if exists {
        return Vec::new();
    }
    let lines = [
        format!("location ^~ {path} {{"),
        format!("    proxy_pass {backend};"),
        "    proxy_http_version 1.1;".to_owned(),
        "    proxy_set_header Host $host;".to_owned(),
        "    proxy_set_header Upgrade $http_upgrade;".to_owned(),
        "    proxy_set_header Connection \"upgrade\";".to_owned(),
        format!("    proxy_read_timeout {}s;", crate::timers::WANTED_SECS),
        "}".to_owned(),
    ];
    fixes::at_top(scene, server, &lines)
}

fn only_backend(server: &Directive) -> Option<String> {
    let mut backends: Vec<String> = Vec::new();
    let mut open: Vec<&Directive> = server.items().iter().collect();
    while let Some(d) = open.pop() {
        if d.name == "proxy_pass" && !d.arg(0).contains('$') {
            let (scheme, rest) = d.arg(0).split_once("://")?;
            let host = rest.split('/').next().unwrap_or(rest);
            let backend = format!("{scheme}://{host}");
            if !backends.contains(&backend) {
                backends.push(backend);
            }
        }
        open.extend(d.items());
    }
    match backends.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// `map` belongs to the http block; nginx refuses to start with it anywhere else.
pub(super) fn maps_outside(top: &[Directive], sources: &Sources<'_>, lints: &mut Vec<Lint>) {
    let http = named(top, "http").next();
    let mut outside: Vec<&Directive> = Vec::new();
    if http.is_some() {
        outside.extend(named(top, "map"));
    }
    let mut open: Vec<&Directive> = top.iter().filter(|d| d.name != "map").collect();
    while let Some(d) = open.pop() {
        if d.name == "server" || d.name == "location" {
            outside.extend(named(d.items(), "map"));
        }
        open.extend(d.items().iter().filter(|d| matches!(d.name.as_str(), "http" | "server" | "location")));
    }
    for map in outside {
        let mut edits = Vec::new();
        if let Some(block) = http.filter(|h| h.at.file == map.at.file).and_then(|h| h.block.as_ref()) {
            let text = sources.text(map.at.file).get(map.span.clone()).unwrap_or("").to_owned();
            edits.push(sources.removal(map.at.file, map.span.clone()));
            edits.push(sources.edit(map.at.file, block.open..block.open, format!("\n    {text}")));
        }
        lints.push(Lint {
            cause: Cause::ProxyStrippedUpgrade,
            severity: Severity::Error,
            file: sources.name(map.at.file).to_owned(),
            line: map.at.line,
            place: quote(&map.line()),
            found: quote(&map.line()),
            en: "a map may stand in the http block only; nginx refuses this configuration".to_owned(),
            zh: "map 只能放在 http 块中；nginx 会拒绝该配置".to_owned(),
            fix: edits.into(),
        });
    }
}
