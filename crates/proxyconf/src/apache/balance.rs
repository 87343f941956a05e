//! Several processes behind one path: fine for a WebSocket, not for Socket.IO.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::route::{Balancer, Route, parameter};
use super::{Finding, Scene};
use crate::{Edit, Expect, Lint, Severity};

const COOKIE: &str =
    "Header add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/\" env=BALANCER_ROUTE_CHANGED";

fn has(d: &Directive, name: &str) -> bool {
    d.args.iter().any(|a| parameter(&a.text, name).is_some())
}

/// Members that take part; hot standbys and disabled ones do not.
fn is_active(member: &Directive) -> bool {
    let status = member.args.iter().find_map(|a| parameter(&a.text, "status"));
    !status.is_some_and(|s| s.contains(['H', 'h', 'D', 'd', 'S', 's']))
}

pub(super) fn check(scene: &Scene<'_, '_>, route: &Route<'_>, lints: &mut Vec<Lint>) {
    if scene.question.expects != Expect::SocketIo {
        return;
    }
    let Some(balancer) = Balancer::of(scene.main, scene.host, &route.target) else { return };
    let active: Vec<&Directive> = balancer.members.iter().copied().filter(|m| is_active(m)).collect();
    if active.len() < 2 {
        return;
    }
    let inside = balancer.section.into_iter().flat_map(Directive::items);
    let of_balancer = |d: &&Directive| {
        d.name == "proxyset"
            && d.arg(0).strip_prefix("balancer://").is_some_and(|n| n.eq_ignore_ascii_case(&balancer.name))
    };
    let named = has(route.rule, "stickysession")
        || inside.clone().any(|d| d.name == "proxyset" && has(d, "stickysession"))
        || scene.all().filter(of_balancer).any(|d| has(d, "stickysession"));
    let without_route: Vec<&Directive> = active.iter().copied().filter(|m| !has(m, "route")).collect();
    if named && without_route.is_empty() {
        return;
    }
    let mut edits: Vec<Edit> = Vec::new();
    if !named {
        match (route.rule.name.as_str(), balancer.section) {
            ("rewriterule", Some(section)) => {
                let indent = scene.sources.indent(section.at.file, section.span.start);
                let end = section.span.end;
                let line = format!("\n{indent}    ProxySet stickysession=ROUTEID");
                edits.push(scene.sources.edit(section.at.file, end..end, line));
            }
            _ => edits.push(scene.append(route.rule, "stickysession=ROUTEID")),
        }
        // The cookie that the balancer looks for has to be set by somebody.
        let top = route.location.unwrap_or(route.rule);
        if !scene.modules.lacks("headers") {
            edits.push(scene.before(top, COOKIE));
        }
    }
    for (n, member) in without_route.iter().enumerate() {
        edits.push(scene.append(member, &format!("route=m{}", n + 1)));
    }
    let finding = Finding {
        cause: Cause::StickySessionsMissing,
        severity: Severity::Error,
        found: format!(
            "balancer://{}: {} members, {}",
            balancer.name,
            active.len(),
            if named { "stickysession without a route on each" } else { "no stickysession" }
        ),
        en: format!(
            "requests of one Socket.IO session are spread over {} processes, which do not know each other's sessions; a cookie can hold them together (needs mod_headers)",
            active.len()
        ),
        zh: format!(
            "同一 Socket.IO 会话的请求会分散到 {} 个互不认识会话的进程；可用 cookie 保持会话（需要 mod_headers）",
            active.len()
        ),
        edits,
    };
    lints.push(scene.lint(route.rule, finding));
}
