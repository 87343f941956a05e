//! The checks of a path that is proxied: modules, and the upgrade itself.

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::route::{Balancer, Route, locations, parameter, shadowed, upgrades, worker};
use super::{Finding, Scene};
use crate::pattern::search;
use crate::{Edit, Lint, Severity};

fn is_websocket(url: &str) -> bool {
    url.starts_with("ws://") || url.starts_with("wss://")
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Without the module that speaks to the backend every request is a 500.
pub(super) fn modules(scene: &Scene<'_, '_>, route: &Route<'_>, lints: &mut Vec<Lint>) {
    let urls: Vec<String> = match Balancer::of(scene.main, scene.host, &route.target) {
        Some(balancer) => balancer.members.iter().map(|m| Balancer::url(m).to_owned()).collect(),
        None => vec![route.target.clone()],
    };
    let lacks = |m| scene.modules.lacks(m);
    let for_http = urls.iter().any(|u| is_http(u)) && lacks("proxy_http");
    let for_ws = urls.iter().any(|u| is_websocket(u)) && lacks("proxy_http") && lacks("proxy_wstunnel");
    if !for_http && !for_ws {
        return;
    }
    // Beside mod_proxy, from the same folder.
    let beside = scene.main.iter().find(|d| d.name == "loadmodule" && d.arg(0) == "proxy_module");
    let edits = beside
        .and_then(|d| {
            let folder = d.arg(1).strip_suffix("mod_proxy.so")?;
            let indent = scene.sources.indent(d.at.file, d.span.start);
            let line = format!("\n{indent}LoadModule proxy_http_module {folder}mod_proxy_http.so");
            Some(scene.sources.edit(d.at.file, d.span.end..d.span.end, line))
        })
        .into_iter()
        .collect();
    let finding = Finding {
        cause: Cause::ServerError,
        severity: Severity::Error,
        found: scene.text(route.rule),
        en: "mod_proxy_http is not loaded, so Apache has nobody to hand the request to and answers 500 (Debian: a2enmod proxy_http)".to_owned(),
        zh: "未加载 mod_proxy_http，Apache 无从转发请求，只会返回 500（Debian：a2enmod proxy_http）".to_owned(),
        edits,
    };
    lints.push(scene.lint(route.rule, finding));
}

pub(super) fn upgrade(scene: &Scene<'_, '_>, route: &Route<'_>, lints: &mut Vec<Lint>) {
    if let Some(balancer) = Balancer::of(scene.main, scene.host, &route.target) {
        members(scene, route, &balancer, lints);
        return;
    }
    if is_websocket(&route.target) {
        return;
    }
    if !is_http(&route.target) {
        let finding = Finding {
            cause: Cause::ProxyStrippedUpgrade,
            severity: Severity::Error,
            found: scene.text(route.rule),
            en: "this kind of backend cannot carry an upgrade; it needs http:// with upgrade=websocket, or ws://".to_owned(),
            zh: "此类后端无法承载升级；需要 http:// 加 upgrade=websocket，或 ws://".to_owned(),
            edits: Vec::new(),
        };
        lints.push(scene.lint(route.rule, finding));
        return;
    }
    let worker = worker(scene.main, scene.host, &route.target);
    if worker.as_ref().is_some_and(|w| w.upgrades) {
        return;
    }
    let mut push = |at: &Directive, en: String, zh: String, edits: Vec<Edit>| {
        let (cause, severity) = (Cause::ProxyStrippedUpgrade, Severity::Error);
        let finding = Finding { cause, severity, found: scene.text(route.rule), en, zh, edits };
        lints.push(scene.lint(at, finding));
    };
    if route.rule.name == "rewriterule" {
        push(
            route.rule,
            "a RewriteRule [P] to http:// hands the request on without its upgrade; ws:// keeps it (and still passes plain requests)".to_owned(),
            "转发到 http:// 的 RewriteRule [P] 会丢掉升级；使用 ws:// 则保留（普通请求照常通过）".to_owned(),
            to_websocket(scene, route.rule),
        );
        return;
    }
    if let Some(later) = shadowed(scene.main, scene.host, route, &scene.path) {
        push(
            route.rule,
            format!(
                "this rule comes first and takes the path, so the one on line {} that passes the upgrade never applies: the first ProxyPass that matches wins",
                later.at.line
            ),
            format!(
                "此规则在前并已匹配该路径，第 {} 行能转发升级的规则永远轮不到：先匹配的 ProxyPass 生效",
                later.at.line
            ),
            moved_before(scene, later, route.rule),
        );
        return;
    }
    match worker.filter(|w| !std::ptr::eq(w.by, route.rule)) {
        Some(shared) if upgrades(route.rule) => push(
            route.rule,
            format!(
                "upgrade=websocket is ignored here: the connection is shared with line {}, whose URL this one begins with, and only that line's parameters count",
                shared.by.at.line
            ),
            format!(
                "此处的 upgrade=websocket 被忽略：该 URL 以第 {} 行的 URL 开头，共用其连接，只有那一行的参数有效",
                shared.by.at.line
            ),
            vec![with_upgrade(scene, shared.by)],
        ),
        shared => {
            let by = shared.map_or(route.rule, |w| w.by);
            push(
                route.rule,
                "Apache does not pass an upgrade to an http:// backend unless told to: it needs upgrade=websocket (2.4.47 or newer), or a ws:// rule before this one".to_owned(),
                "除非明确设置，Apache 不会把升级转发给 http:// 后端：需要 upgrade=websocket（2.4.47 及以上），或在此之前的 ws:// 规则".to_owned(),
                vec![with_upgrade(scene, by)],
            );
        }
    }
}

/// The directive with `upgrade=websocket`; in a `<Proxy>` section without a `ProxySet` a line of its own.
fn with_upgrade(scene: &Scene<'_, '_>, d: &Directive) -> Edit {
    let set = d.args.iter().find(|a| parameter(&a.text, "upgrade").is_some());
    match set {
        Some(word) => scene.sources.edit(d.at.file, word.span.clone(), "upgrade=websocket"),
        None if d.name == "proxy" => {
            let indent = scene.sources.indent(d.at.file, d.span.start);
            let line = format!("\n{indent}    ProxySet upgrade=websocket");
            scene.sources.edit(d.at.file, d.span.end..d.span.end, line)
        }
        None => scene.append(d, "upgrade=websocket"),
    }
}

/// `http://` becomes `ws://` in the target of a rewrite.
fn to_websocket(scene: &Scene<'_, '_>, rule: &Directive) -> Vec<Edit> {
    let Some(word) = rule.args.get(1) else { return Vec::new() };
    let raw = scene.sources.text(rule.at.file).get(word.span.clone()).unwrap_or("");
    let Some(offset) = raw.find("http") else { return Vec::new() };
    let start = word.span.start + offset;
    vec![scene.sources.edit(rule.at.file, start..start + 4, "ws")]
}

fn moved_before(scene: &Scene<'_, '_>, later: &Directive, first: &Directive) -> Vec<Edit> {
    let line = scene.sources.text(later.at.file).get(later.span.clone()).unwrap_or("").to_owned();
    if line.contains('\n') {
        return Vec::new();
    }
    vec![scene.before(first, &line), scene.sources.removal(later.at.file, later.span.clone())]
}

/// A balancer passes the upgrade through members that do.
fn members(scene: &Scene<'_, '_>, route: &Route<'_>, balancer: &Balancer<'_>, lints: &mut Vec<Lint>) {
    let without: Vec<&Directive> =
        balancer.members.iter().copied().filter(|m| is_http(Balancer::url(m)) && !upgrades(m)).collect();
    let Some(first) = without.first() else { return };
    let finding = Finding {
        cause: Cause::ProxyStrippedUpgrade,
        severity: Severity::Error,
        found: format!(
            "balancer://{}: {} of {} members without upgrade=websocket",
            balancer.name,
            without.len(),
            balancer.members.len()
        ),
        en: format!(
            "the members of the balancer on line {} get no upgrades: each http:// member needs upgrade=websocket of its own (2.4.47 or newer), or ws://",
            route.rule.at.line
        ),
        zh: format!(
            "第 {} 行所用均衡器的成员得不到升级：每个 http:// 成员都需要自己的 upgrade=websocket（2.4.47 及以上），或使用 ws://",
            route.rule.at.line
        ),
        edits: without.iter().map(|m| with_upgrade(scene, m)).collect(),
    };
    lints.push(scene.lint(first, finding));
}

/// `RequestHeader unset Upgrade`, and HTTP/1.0 forced upon the backend. (`Connection` may be unset at will: Apache writes
/// its own; tried with 2.4.71.)
pub(super) fn stripped(scene: &Scene<'_, '_>, lints: &mut Vec<Lint>) {
    let holding = locations(scene.main, scene.host, &scene.path);
    let inside = holding.iter().flat_map(|l| l.items());
    for d in scene.all().chain(inside) {
        let conditional = d.args.iter().any(|a| a.text.starts_with("env=") || a.text.starts_with("expr="));
        let unset = d.name == "requestheader"
            && d.arg(0).eq_ignore_ascii_case("unset")
            && d.arg(1).eq_ignore_ascii_case("upgrade")
            && !conditional;
        let old = |word: &str| matches!(word.split('=').next(), Some("force-proxy-request-1.0"));
        let forced = match d.name.as_str() {
            "setenv" => old(d.arg(0)),
            "setenvif" | "setenvifnocase" => {
                d.arg(0).eq_ignore_ascii_case("request_uri")
                    && search(d.arg(1), d.name.ends_with("nocase"), &scene.path).is_yes()
                    && d.args.iter().skip(2).any(|a| old(&a.text))
            }
            _ => false,
        };
        if !unset && !forced {
            continue;
        }
        let (cause, en, zh) = if unset {
            (
                Cause::ProxyStrippedUpgrade,
                "this takes the upgrade out of the request",
                "该指令会去掉请求中的升级头",
            )
        } else {
            (
                Cause::UpstreamHttp10,
                "Apache is made to speak HTTP/1.0 to the backend here, which has no upgrade",
                "此处强制 Apache 以 HTTP/1.0 访问后端，而 HTTP/1.0 不支持升级",
            )
        };
        let edits = vec![scene.sources.removal(d.at.file, d.span.clone())];
        let (en, zh, found) = (en.to_owned(), zh.to_owned(), scene.text(d));
        lints.push(scene.lint(d, Finding { cause, severity: Severity::Error, found, en, zh, edits }));
    }
}
