//! Several processes behind one path: fine for a WebSocket, not for Socket.IO, whose polling requests must all reach the
//! process that knows the session.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::select::named;
use super::{Finding, Scene, fixes};
use crate::{Expect, Lint, Severity};

pub(super) fn check(scene: &Scene<'_, '_>, pass: &Directive, lints: &mut Vec<Lint>) {
    if scene.question.expects != Expect::SocketIo {
        return;
    }
    let Some(upstream) = upstream(scene, pass) else { return };
    let active = named(upstream.items(), "server")
        .filter(|d| !d.args.iter().any(|a| matches!(a.text.as_str(), "backup" | "down")))
        .count();
    let sticky = upstream
        .items()
        .iter()
        .any(|d| matches!(d.name.as_str(), "ip_hash" | "hash" | "sticky" | "sticky_cookie_insert"));
    if active < 2 || sticky {
        return;
    }
    let other =
        upstream.items().iter().find(|d| matches!(d.name.as_str(), "least_conn" | "random" | "least_time"));
    let edits = match other {
        Some(d) => vec![scene.sources.edit(d.at.file, d.span.clone(), "ip_hash;")],
        None => fixes::at_top(scene, upstream, &["ip_hash;".to_owned()]),
    };
    let name = upstream.arg(0);
    let finding = Finding {
        cause: Cause::StickySessionsMissing,
        severity: Severity::Error,
        found: format!(
            "upstream {name}: {active} servers, {}",
            other.map_or("round robin", |d| d.name.as_str())
        ),
        en: format!(
            "requests of one Socket.IO session are spread over {active} processes, which do not know each other's sessions; behind another proxy, hash a header that tells clients apart instead of ip_hash"
        ),
        zh: format!(
            "同一 Socket.IO 会话的请求会分散到 {active} 个互不认识会话的进程；若前面还有代理，请改用 hash 某个能区分客户端的请求头，而非 ip_hash"
        ),
        edits,
    };
    lints.push(scene.lint(upstream, finding));
}

fn upstream<'a>(scene: &Scene<'_, 'a>, pass: &Directive) -> Option<&'a Directive> {
    let target = scene.reached.request.eval(pass.arg(0))?;
    let name = target.split_once("://").map_or(target.as_str(), |(_, rest)| rest);
    let name = name.split('/').next().unwrap_or(name);
    named(scene.server.http, "upstream").find(|d| d.arg(0).eq_ignore_ascii_case(name))
}
