//! How long a silent tunnel lives.

use std::time::Duration;

use mooring_core::cause::Cause;

use super::parse::Directive;
use super::route::{Balancer, Route, parameter, worker};
use super::{Finding, Scene};
use crate::timers::{self, WANTED_SECS};
use crate::{Edit, Lint};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The time a worker waits for its backend: `timeout=` of its own, else `ProxyTimeout`, else the core's.
fn worker_timeout(scene: &Scene<'_, '_>, by: Option<&Directive>) -> Option<(Duration, String)> {
    let seconds = |text: &str| timers::parse(text, Duration::from_secs(1));
    let own = by.and_then(|d| {
        d.args.iter().find_map(|a| Some((seconds(parameter(&a.text, "timeout")?)?, a.text.clone())))
    });
    let proxy = || {
        let d = setting(scene, "proxytimeout")?;
        Some((seconds(d.arg(0))?, scene.text(d)))
    };
    own.or_else(proxy)
}

/// The last directive of a name in the host, else in the main server.
fn setting<'a>(scene: &Scene<'_, 'a>, name: &str) -> Option<&'a Directive> {
    let last = |items: &[&'a Directive]| items.iter().rev().find(|d| d.name == name).copied();
    last(&scene.host.items).or_else(|| last(scene.main))
}

/// A silent tunnel ends after the longer of two times, tried with 2.4.71: the core's `Timeout`, which is the client side's,
/// and the worker's. So lowering `ProxyTimeout` seems to do nothing, and raising it is all that is needed; the narrower
/// way, too, for a long `Timeout` holds for every slow client.
pub(super) fn check(scene: &Scene<'_, '_>, route: &Route<'_>, lints: &mut Vec<Lint>) {
    let set = setting(scene, "timeout");
    let core = match set {
        Some(d) => match timers::parse(d.arg(0), Duration::from_secs(1)) {
            Some(timeout) => timeout,
            None => return,
        },
        None => DEFAULT_TIMEOUT,
    };
    let balancer = Balancer::of(scene.main, scene.host, &route.target);
    let by: Vec<&Directive> = match &balancer {
        Some(balancer) => balancer.members.clone(),
        None => worker(scene.main, scene.host, &route.target).map(|w| w.by).into_iter().collect(),
    };
    // Of several members the most impatient one is the one that is noticed.
    let of_worker = match by.is_empty() {
        true => worker_timeout(scene, None),
        false => by
            .iter()
            .map(|d| worker_timeout(scene, Some(d)))
            .min_by_key(|t| t.as_ref().map(|t| t.0))
            .flatten(),
    };
    let timeout = of_worker.as_ref().map_or(core, |(t, _)| (*t).max(core));
    let Some(verdict) = timers::judge(timeout, scene.question) else { return };
    let mut found = set.map_or_else(|| "no Timeout (default 60)".to_owned(), |d| scene.text(d));
    match &of_worker {
        Some((_, text)) => found = format!("{found}, {text}"),
        None => found.push_str(", no ProxyTimeout and no timeout= on the backend"),
    }
    let edits = match by.is_empty() {
        false => by.iter().map(|d| with_timeout(scene, d)).collect(),
        true => vec![proxy_timeout(scene, route)],
    };
    let finding = Finding {
        cause: Cause::IdleCut,
        severity: verdict.severity,
        found,
        en: verdict.en,
        zh: verdict.zh,
        edits,
    };
    lints.push(scene.lint(by.first().copied().unwrap_or(route.rule), finding));
}

fn with_timeout(scene: &Scene<'_, '_>, d: &Directive) -> Edit {
    let wanted = format!("timeout={WANTED_SECS}");
    match d.args.iter().find(|a| parameter(&a.text, "timeout").is_some()) {
        Some(word) => scene.sources.edit(d.at.file, word.span.clone(), wanted),
        None if d.name == "proxy" => {
            let indent = scene.sources.indent(d.at.file, d.span.start);
            let line = format!("\n{indent}    ProxySet {wanted}");
            scene.sources.edit(d.at.file, d.span.end..d.span.end, line)
        }
        None => scene.append(d, &wanted),
    }
}

/// For a rewrite, which has no worker of its own: the host's `ProxyTimeout`.
fn proxy_timeout(scene: &Scene<'_, '_>, route: &Route<'_>) -> Edit {
    let line = format!("ProxyTimeout {WANTED_SECS}");
    match scene.host.items.iter().rev().find(|d| d.name == "proxytimeout") {
        Some(d) => scene.sources.edit(d.at.file, d.span.clone(), line),
        // Before the host's rules: between a condition and its rule nothing else should stand.
        None => {
            let engine = scene.all().find(|d| d.name == "rewriteengine" && d.at.file == route.rule.at.file);
            scene.before(engine.unwrap_or(route.rule), &line)
        }
    }
}
