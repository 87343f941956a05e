//! The checks of a location that proxies: version and headers.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::walk::inherited;
use super::{Finding, Scene, fixes};
use crate::{Doubt, Edit, Lint, Severity};

pub(super) fn check(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>, doubts: &mut Vec<Doubt>) {
    version(scene, pass, lints);
    upgrade(scene, pass, lints, doubts);
}

/// What makes it HTTP/1.1, if it is not.
fn version_edits(scene: &Scene<'_, '_>, pass: &Directive) -> Vec<Edit> {
    match inherited(&scene.reached.levels, "proxy_http_version") {
        Some(d) if d.arg(0) == "1.1" => Vec::new(),
        Some(d) if own_level(scene, d) => {
            d.args.first().map(|w| fixes::replace(scene, d, w, "1.1")).into_iter().collect()
        }
        _ => fixes::insert(scene, pass, &["proxy_http_version 1.1;".to_owned()]),
    }
}

/// Whether a directive stands in the location itself, so that changing it changes nothing else.
pub(super) fn own_level(scene: &Scene<'_, '_>, d: &Directive) -> bool {
    let own = scene.reached.levels.iter().rev().find(|l| l.directive.is_none_or(|b| b.name != "if"));
    own.is_some_and(|l| l.items.iter().any(|i| std::ptr::eq(i, d)))
}

fn version(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>) {
    let set = inherited(&scene.reached.levels, "proxy_http_version");
    let (at, found, default) = match set {
        Some(d) if d.arg(0) == "1.1" => return,
        Some(d) => (d, d.line(), false),
        None => (pass, "no proxy_http_version".to_owned(), true),
    };
    // HTTP/2 to the backend (nginx 1.29.4 and newer) has no Upgrade header either.
    let (en, zh) = match default {
        true => (
            "nginx speaks HTTP/1.0 to the backend here, its default for long (up to 1.28 at least), and HTTP/1.0 has no upgrade".to_owned(),
            "此处 nginx 以 HTTP/1.0（长期以来的默认值，至少到 1.28）访问后端，而 HTTP/1.0 不支持升级".to_owned(),
        ),
        false => (
            format!("nginx speaks HTTP/{} to the backend here, which has no upgrade", at.arg(0)),
            format!("此处 nginx 以 HTTP/{} 访问后端，不支持升级", at.arg(0)),
        ),
    };
    let edits = version_edits(scene, pass);
    let finding = Finding { cause: Cause::UpstreamHttp10, severity: Severity::Error, found, en, zh, edits };
    lints.push(scene.lint(at, finding));
}

/// How a header comes out for an upgrade request.
enum Sent<'a> {
    Right,
    /// Unset at the level that counts; the directive of an outer level that would have set it, if there is one.
    Missing(Option<&'a Directive>),
    Wrong(&'a Directive, String),
    /// It uses a variable that nothing at hand defines.
    Undefined(&'a Directive, String),
    Unknown(&'a Directive),
}

fn sent<'a>(scene: &Scene<'_, 'a>, header: &str) -> Sent<'a> {
    let levels = &scene.reached.levels;
    let is = |d: &&'a Directive| d.name == "proxy_set_header" && d.arg(0).eq_ignore_ascii_case(header);
    // The inheritance rule: one proxy_set_header on a level, and none of the outer ones holds.
    let level = levels.iter().rev().find(|l| l.items.iter().any(|d| d.name == "proxy_set_header"));
    let here: Vec<&Directive> = level.map(|l| l.items.iter().filter(is).collect()).unwrap_or_default();
    if here.is_empty() {
        return Sent::Missing(levels.iter().rev().find_map(|l| l.items.iter().find(is)));
    }
    let mut worst = None;
    for d in here {
        let value = d.arg(1);
        match scene.reached.request.eval(value) {
            Some(value) => {
                let mut tokens = value.split(',').map(|t| t.trim().to_ascii_lowercase());
                let wanted = if header == "Upgrade" { "websocket" } else { "upgrade" };
                if tokens.any(|t| t == wanted) {
                    return Sent::Right;
                }
                worst = worst.or(Some(Sent::Wrong(d, value)));
            }
            None => {
                let variable = value.trim_start_matches('$');
                let alone = value.starts_with('$')
                    && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let usual = variable == "connection_upgrade" || variable == "connection_upgrade_header";
                worst = Some(match alone && usual && !scene.reached.request.is_mapped(variable) {
                    true => Sent::Undefined(d, variable.to_owned()),
                    false => Sent::Unknown(d),
                });
            }
        }
    }
    worst.unwrap_or(Sent::Missing(None))
}

const UPGRADE: &str = "proxy_set_header Upgrade $http_upgrade;";
const CONNECTION: &str = "proxy_set_header Connection \"upgrade\";";

fn upgrade(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>, doubts: &mut Vec<Doubt>) {
    let mut edits: Vec<Edit> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut outer: Option<&Directive> = None;
    let mut at: Option<&Directive> = None;
    for (header, line, value) in
        [("Upgrade", UPGRADE, "$http_upgrade"), ("Connection", CONNECTION, "\"upgrade\"")]
    {
        match sent(scene, header) {
            Sent::Right => {}
            Sent::Missing(elsewhere) => {
                missing.push(header);
                lines.push(line.to_owned());
                outer = outer.or(elsewhere);
            }
            Sent::Wrong(d, value_now) => {
                at = Some(d);
                wrong.push(format!("{} (for an upgrade: \"{value_now}\")", d.line()));
                if own_level(scene, d) {
                    edits.extend(d.args.get(1).map(|w| fixes::replace(scene, d, w, value)));
                } else {
                    lines.push(line.to_owned());
                }
            }
            Sent::Undefined(d, variable) => undefined(scene, d, &variable, lints),
            Sent::Unknown(d) => doubts.push(scene.doubt(
                d,
                format!("what `{}` sends for an upgrade is not known here", d.line()),
                format!("无法判断 `{}` 在升级时发送什么", d.line()),
            )),
        }
    }
    if inherited(&scene.reached.levels, "proxy_pass_request_headers").is_some_and(|d| d.arg(0) == "off") {
        no_headers(scene, lints);
    }
    if missing.is_empty() && wrong.is_empty() {
        return;
    }
    if !lines.is_empty() {
        let mut with = carried_over(scene);
        with.extend(lines);
        edits.extend(fixes::insert(scene, pass, &with));
    }
    edits.extend(version_edits(scene, pass));
    let names = missing.join(" and ");
    let (en, zh) = match (missing.is_empty(), outer) {
        (false, Some(outer)) => (
            format!(
                "{names} set on line {} does not hold here: this block has a proxy_set_header of its own, and nginx then inherits none from outside",
                outer.at.line
            ),
            format!(
                "第 {} 行设置的 {} 在此无效：本块自己有 proxy_set_header，nginx 便不再继承外层的任何一条",
                outer.at.line,
                missing.join("、")
            ),
        ),
        (false, None) => (
            format!(
                "{names} not passed on: nginx drops both for every hop unless told otherwise, so the backend sees a plain GET"
            ),
            format!(
                "未转发 {}：除非明确设置，nginx 不会把它们传给下一跳，后端看到的只是普通 GET",
                missing.join("、")
            ),
        ),
        (true, _) => (
            "the header is set, but to a value that is no upgrade; the backend sees a plain GET".to_owned(),
            "请求头虽已设置，但其值不是升级；后端看到的只是普通 GET".to_owned(),
        ),
    };
    let found = match wrong.is_empty() {
        true => format!("no proxy_set_header {}", missing.join(", ")),
        false => wrong.join("; "),
    };
    let finding =
        Finding { cause: Cause::ProxyStrippedUpgrade, severity: Severity::Error, found, en, zh, edits };
    lints.push(scene.lint(at.unwrap_or(pass), finding));
}

/// The outer headers that hold now and would be lost by the first `proxy_set_header` of the location's own.
fn carried_over(scene: &Scene<'_, '_>) -> Vec<String> {
    let levels = &scene.reached.levels;
    let own = levels.iter().rev().find(|l| l.directive.is_none_or(|b| b.name != "if"));
    if own.is_some_and(|l| l.items.iter().any(|d| d.name == "proxy_set_header")) {
        return Vec::new();
    }
    let held = levels.iter().rev().find(|l| l.items.iter().any(|d| d.name == "proxy_set_header"));
    held.map(|l| {
        l.items
            .iter()
            .filter(|d| d.name == "proxy_set_header")
            .filter(|d| !["upgrade", "connection"].contains(&d.arg(0).to_ascii_lowercase().as_str()))
            .map(fixes::header_line)
            .collect()
    })
    .unwrap_or_default()
}

fn undefined(scene: &Scene<'_, '_>, d: &Directive, variable: &str, lints: &mut Vec<Lint>) {
    let fragment =
        scene.server.http.is_empty() || scene.reached.levels.first().is_none_or(|l| l.items.is_empty());
    let map = format!("map $http_upgrade ${variable} {{ default upgrade; '' close; }}");
    let edits = match (scene.server.directive, d.args.get(1)) {
        // Before the server, on the level that maps belong to.
        (Some(server), _) if !fragment => {
            let indent = scene.sources.indent(server.at.file, server.span.start);
            let at = server.span.start..server.span.start;
            vec![scene.sources.edit(server.at.file, at, format!("{map}\n{indent}"))]
        }
        (_, Some(word)) => vec![fixes::replace(scene, d, word, "\"upgrade\"")],
        _ => Vec::new(),
    };
    // Files that were not at hand may define it.
    let severity = if scene.sources.doubts.is_empty() { Severity::Error } else { Severity::Warning };
    let finding = Finding {
        cause: Cause::ProxyStrippedUpgrade,
        severity,
        found: d.line(),
        en: format!("${variable} is defined nowhere; it needs `{map}` in the http block"),
        zh: format!("${variable} 未在任何地方定义；http 块中需要 `{map}`"),
        edits,
    };
    lints.push(scene.lint(d, finding));
}

fn no_headers(scene: &Scene<'_, '_>, lints: &mut Vec<Lint>) {
    let Some(d) = inherited(&scene.reached.levels, "proxy_pass_request_headers") else { return };
    let finding = Finding {
        cause: Cause::MalformedHandshake,
        severity: Severity::Error,
        found: d.line(),
        en: "the client's headers are not passed on, so Sec-WebSocket-Key and -Version never arrive"
            .to_owned(),
        zh: "客户端的请求头不被转发，Sec-WebSocket-Key 与 -Version 无法到达后端".to_owned(),
        edits: vec![scene.sources.removal(d.at.file, d.span.clone())],
    };
    lints.push(scene.lint(d, finding));
}
