//! The checks of what flows once a location proxies: how long it may pause, and whether it is held back.

use std::time::Duration;

use mooring_core::cause::Cause;

use super::headers::own_level;
use super::parse::Directive;
use super::walk::inherited;
use super::{Finding, Scene, fixes};
use crate::timers::{self, WANTED_SECS};
use crate::{Expect, Lint, Severity};

const DEFAULT_READ: Duration = Duration::from_secs(60);

pub(super) fn check(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>) {
    read_timeout(scene, pass, lints);
    buffering(scene, lints);
}

/// Only `proxy_read_timeout` counts: an idle tunnel outlives `proxy_send_timeout` (tried with nginx 1.22).
fn read_timeout(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>) {
    let set = inherited(&scene.reached.levels, "proxy_read_timeout");
    let timeout = match set {
        Some(d) => {
            let words: Vec<&str> = d.args.iter().map(|a| a.text.as_str()).collect();
            // What cannot be read nginx refuses, too.
            let Some(timeout) = timers::parse(&words.join(" "), Duration::from_secs(1)) else { return };
            timeout
        }
        None => DEFAULT_READ,
    };
    let Some(verdict) = timers::judge(timeout, scene.question) else { return };
    let line = format!("proxy_read_timeout {WANTED_SECS}s;");
    let edits = match set {
        Some(d) if own_level(scene, d) => vec![scene.sources.edit(d.at.file, d.span.clone(), line)],
        _ => fixes::insert(scene, pass, &[line]),
    };
    let finding = Finding {
        cause: Cause::IdleCut,
        severity: verdict.severity,
        found: set.map_or_else(|| "no proxy_read_timeout (default 60s)".to_owned(), Directive::line),
        en: verdict.en,
        zh: verdict.zh,
        edits,
    };
    lints.push(scene.lint(set.unwrap_or(pass), finding));
}

/// An upgraded connection is never buffered; polling answers are, and one that is streamed then stalls.
fn buffering(scene: &Scene<'_, '_>, lints: &mut Vec<Lint>) {
    if scene.question.expects != Expect::SocketIo {
        return;
    }
    let levels = &scene.reached.levels;
    let forced = inherited(levels, "proxy_buffering").filter(|d| d.arg(0) == "on");
    let ignored = inherited(levels, "proxy_ignore_headers")
        .filter(|d| d.args.iter().any(|a| a.text.eq_ignore_ascii_case("X-Accel-Buffering")));
    let cached = inherited(levels, "proxy_cache").filter(|d| d.arg(0) != "off");
    let edit = |d: &Directive, line: &str| match own_level(scene, d) {
        true => vec![scene.sources.edit(d.at.file, d.span.clone(), line)],
        false => Vec::new(),
    };
    let mut push = |d: &Directive, severity, en: &str, zh: &str, edits| {
        let cause = Cause::ProxyBuffering;
        let finding =
            Finding { cause, severity, found: d.line(), en: en.to_owned(), zh: zh.to_owned(), edits };
        lints.push(scene.lint(d, finding));
    };
    if let Some(d) = forced {
        push(
            d,
            Severity::Note,
            "polling answers and event streams are buffered; the WebSocket transport is not touched by it",
            "轮询应答与事件流会被缓冲；WebSocket 传输不受影响",
            edit(d, "proxy_buffering off;"),
        );
    }
    if let Some(d) = ignored {
        push(
            d,
            Severity::Note,
            "the backend cannot switch buffering off with X-Accel-Buffering: no, because nginx ignores that header here",
            "nginx 在此忽略 X-Accel-Buffering，后端无法用该头关闭缓冲",
            Vec::new(),
        );
    }
    if let Some(d) = cached {
        push(
            d,
            Severity::Warning,
            "polling requests may be answered from a cache",
            "轮询请求可能由缓存应答",
            edit(d, "proxy_cache off;"),
        );
    }
}
