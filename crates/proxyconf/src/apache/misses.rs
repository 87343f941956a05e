//! The path ends somewhere else than at a backend: a redirect, a refusal, the front end's page, files.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::route::{below, locations, url_of};
use super::{Finding, Scene};
use crate::pattern::search;
use crate::timers::WANTED_SECS;
use crate::{Edit, Lint, Severity};

pub(super) fn redirected(scene: &Scene<'_, '_>, d: &Directive, lints: &mut Vec<Lint>) {
    let to_https = d.args.iter().any(|a| a.text.starts_with("https://"));
    // No fault for who dials wss; asked for with its port it is one.
    let severity = if to_https && scene.question.port.is_none() { Severity::Note } else { scene.certain() };
    let finding = Finding {
        cause: Cause::Redirected,
        severity,
        found: scene.text(d),
        en: "the path is answered with a redirect, which WebSocket clients do not follow: dial its target (wss:// for https)".to_owned(),
        zh: "该路径以重定向应答，而 WebSocket 客户端不会跟随：请直接连接其目标（https 对应 wss://）".to_owned(),
        edits: Vec::new(),
    };
    lints.push(scene.lint(d, finding));
}

pub(super) fn refused(scene: &Scene<'_, '_>, d: &Directive, lints: &mut Vec<Lint>) {
    let finding = Finding {
        cause: Cause::CredentialsRefused,
        severity: scene.certain(),
        found: scene.text(d),
        en: "the path is refused here and never reaches a backend".to_owned(),
        zh: "该路径在此被拒绝，不会到达后端".to_owned(),
        edits: Vec::new(),
    };
    lints.push(scene.lint(d, finding));
}

/// No rule proxies the path: what answers instead.
pub(super) fn nothing(scene: &Scene<'_, '_>, excluded: Option<&Directive>, lints: &mut Vec<Lint>) {
    let path = scene.question.uri();
    let holding = locations(scene.main, scene.host, &scene.path);
    let redirect = scene.all().chain(holding.iter().flat_map(|l| l.items())).find(|d| {
        let args = d.args.len();
        match d.name.as_str() {
            // `Redirect [status] path url`.
            "redirect" | "redirectpermanent" | "redirecttemp" if args >= 2 => {
                below(d.arg(args - 2), &scene.path)
            }
            "redirectmatch" if args >= 2 => search(d.arg(args - 2), false, &scene.path).is_yes(),
            _ => false,
        }
    });
    if let Some(d) = redirect {
        redirected(scene, d, lints);
        return;
    }
    let page = page(scene, &holding);
    let at = page.or(excluded).or(scene.host.section).or_else(|| scene.main.first().copied());
    let Some(at) = at else { return };
    let (cause, en, zh) = match page {
        Some(_) => (
            Cause::SpaFallback,
            format!("no ProxyPass takes {path}, so it falls back to the front end's page"),
            format!("没有 ProxyPass 匹配 {path}，于是回落到前端页面"),
        ),
        None => (
            Cause::UpgradeNotPerformed,
            format!("no ProxyPass takes {path}, so Apache answers it from files"),
            format!("没有 ProxyPass 匹配 {path}，Apache 以静态文件应答"),
        ),
    };
    // With several hosts to choose from, one without a proxy is an ordinary web site.
    if scene.host.section.is_some() && !scene.alone && page.is_none() {
        return;
    }
    let edits = new_rule(scene, excluded);
    let finding = Finding { cause, severity: scene.certain(), found: scene.text(at), en, zh, edits };
    lints.push(scene.lint(at, finding));
}

/// What sends unknown paths to a page: `FallbackResource`, or a rewrite to one.
fn page<'a>(scene: &Scene<'_, 'a>, holding: &[&'a Directive]) -> Option<&'a Directive> {
    let folders = scene.all().filter(|d| matches!(d.name.as_str(), "directory" | "directorymatch" | "files"));
    let inside = folders.chain(holding.iter().copied()).flat_map(Directive::items);
    scene.all().chain(inside).find(|d| match d.name.as_str() {
        "fallbackresource" => !d.arg(0).eq_ignore_ascii_case("disabled"),
        "rewriterule" => {
            let target = d.arg(1).split('?').next().unwrap_or("");
            target.ends_with(".html") || target.ends_with(".htm")
        }
        _ => false,
    })
}

/// A rule for the path, if it is known where the gateway is: told, or the only backend this host has.
fn new_rule(scene: &Scene<'_, '_>, excluded: Option<&Directive>) -> Vec<Edit> {
    let Some(section) = scene.host.section else { return Vec::new() };
    let told = scene.question.backend.as_ref().map(|b| format!("http://{b}"));
    let Some(backend) = told.or_else(|| only_backend(scene)) else { return Vec::new() };
    let path = scene.question.uri();
    if [&path, &backend].iter().any(|t| t.contains(|c: char| c.is_whitespace() || "\"'\\$<>#".contains(c))) {
        return Vec::new();
    }
    let indent = scene.sources.indent(section.at.file, section.span.start);
    let end = section.span.end;
    // A parameter that a narrower worker shares with a wider one is ignored, so the narrow one comes first.
    let text =
        format!("\n{indent}    ProxyPass {path} {backend}{path} upgrade=websocket timeout={WANTED_SECS}");
    let mut edits = vec![scene.sources.edit(section.at.file, end..end, text)];
    // An exclusion in the main server comes first wherever the new rule stands.
    if excluded.is_some_and(|d| scene.main.iter().any(|m| std::ptr::eq(*m, d))) {
        edits.clear();
    }
    edits
}

fn only_backend(scene: &Scene<'_, '_>) -> Option<String> {
    let mut backends: Vec<String> = Vec::new();
    let inside = scene.host.items.iter().flat_map(|d| d.items().iter().map(|i| (i, true)));
    let rules = scene.host.items.iter().map(|d| (*d, false)).chain(inside);
    for (d, in_location) in rules.filter(|(d, _)| d.name == "proxypass") {
        let url = url_of(d, in_location).replacen(
            "ws",
            "http",
            usize::from(url_of(d, in_location).starts_with("ws")),
        );
        let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else { continue };
        let backend = format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest));
        if !backends.contains(&backend) {
            backends.push(backend);
        }
    }
    match backends.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}
