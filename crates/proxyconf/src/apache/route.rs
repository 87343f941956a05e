//! Which rule takes the path, and which worker carries it.
//!
//! Three things surprise people here, and all were tried with Apache 2.4.71: a `ProxyPass` in a `<Location>` comes before
//! every other; rules of the main server come before the virtual host's; and a worker is shared by every rule whose URL
//! begins with that of an earlier one in the same server, whose parameters alone count.

use super::config::Host;
use super::parse::Directive;
use crate::pattern::{Found, fill, search};

/// What proxies the path.
#[derive(Debug, Clone)]
pub(super) struct Route<'a> {
    /// The `ProxyPass`, `ProxyPassMatch` or `RewriteRule`.
    pub rule: &'a Directive,
    /// The `<Location>` it stands in.
    pub location: Option<&'a Directive>,
    /// Where it goes, with the rest of the path.
    pub target: String,
}

#[derive(Debug)]
pub(super) enum Matched<'a> {
    Route(Route<'a>),
    /// `ProxyPass /path !`.
    Excluded(&'a Directive),
    Nothing,
}

/// Whether a path is at or below a prefix, as Apache sees it: `/ws` is not the beginning of `/wsx`.
pub(super) fn below(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// Whether a `<Location>` or `<LocationMatch>` holds for a path.
pub(super) fn location_holds(d: &Directive, path: &str) -> bool {
    match d.name.as_str() {
        "location" if d.arg(0) == "~" => search(d.arg(1), false, path).is_yes(),
        "location" if crate::glob::is_pattern(d.arg(0)) => crate::glob::matches(d.arg(0), path),
        "location" => below(d.arg(0), path),
        "locationmatch" => search(d.arg(0), false, path).is_yes(),
        _ => false,
    }
}

/// The sections of main server and host that hold for a path, in the order in which they are merged.
pub(super) fn locations<'a>(main: &[&'a Directive], host: &Host<'a>, path: &str) -> Vec<&'a Directive> {
    main.iter().chain(&host.items).copied().filter(|d| location_holds(d, path)).collect()
}

fn is_pass(d: &Directive) -> bool {
    matches!(d.name.as_str(), "proxypass" | "proxypassmatch")
}

/// The arguments after the path: URL first.
pub(super) fn url_of(d: &Directive, in_location: bool) -> &str {
    d.arg(usize::from(!in_location))
}

pub(super) fn route<'a>(main: &[&'a Directive], host: &Host<'a>, path: &str) -> Matched<'a> {
    let inside = locations(main, host, path)
        .into_iter()
        .filter_map(|l| Some((l, l.items().iter().rev().find(|d| is_pass(d))?)))
        .next_back();
    if let Some((location, rule)) = inside {
        let url = url_of(rule, true);
        if url == "!" {
            return Matched::Excluded(rule);
        }
        let prefix = if location.name == "location" { location.arg(0) } else { "" };
        let rest = path.strip_prefix(prefix).unwrap_or("");
        return Matched::Route(Route { rule, location: Some(location), target: format!("{url}{rest}") });
    }
    for rule in main.iter().chain(&host.items).copied().filter(|d| is_pass(d)) {
        let url = url_of(rule, false);
        let target = match rule.name.as_str() {
            "proxypass" if below(rule.arg(0), path) => {
                format!("{url}{}", path.strip_prefix(rule.arg(0)).unwrap_or(""))
            }
            "proxypassmatch" => match search(rule.arg(0), false, path) {
                Found::Yes(groups) => fill(url, &groups).unwrap_or_else(|| url.to_owned()),
                _ => continue,
            },
            _ => continue,
        };
        if url == "!" {
            return Matched::Excluded(rule);
        }
        return Matched::Route(Route { rule, location: None, target });
    }
    Matched::Nothing
}

/// A later rule for the same path that would carry the upgrade, were it not for the one before it.
pub(super) fn shadowed<'a>(
    main: &[&'a Directive],
    host: &Host<'a>,
    route: &Route<'a>,
    path: &str,
) -> Option<&'a Directive> {
    if route.location.is_some() {
        return None;
    }
    main.iter()
        .chain(&host.items)
        .copied()
        .filter(|d| d.name == "proxypass" && below(d.arg(0), path))
        .skip_while(|d| !std::ptr::eq(*d, route.rule))
        .skip(1)
        .find(|d| url_of(d, false).starts_with("ws") || upgrades(d))
}

/// Whether the parameters of a rule, a member or a `ProxySet` ask for the upgrade; 2.4.47 and newer know them.
pub(super) fn upgrades(d: &Directive) -> bool {
    d.args.iter().filter_map(|a| parameter(&a.text, "upgrade")).any(|v| !v.eq_ignore_ascii_case("none"))
}

pub(super) fn parameter<'t>(word: &'t str, name: &str) -> Option<&'t str> {
    let (key, value) = word.split_once('=')?;
    key.eq_ignore_ascii_case(name).then_some(value)
}

/// A connection pool to a URL: whatever defines it first decides its parameters.
#[derive(Debug, Clone)]
pub(super) struct Worker<'a> {
    pub url: String,
    /// The directive whose parameters count.
    pub by: &'a Directive,
    /// Whether it has the upgrade.
    pub upgrades: bool,
}

fn normal(url: &str) -> String {
    // Up to the first reference of a ProxyPassMatch; scheme and host in lower case.
    let url = url.split('$').next().unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
            format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
        }
        None => url.to_owned(),
    }
}

/// The workers of one server in the order of their definition, those that are shared left out.
fn workers<'a>(items: &[&'a Directive]) -> Vec<Worker<'a>> {
    let mut out: Vec<Worker<'a>> = Vec::new();
    let mut define = |url: &str, by: &'a Directive, upgrades: bool| {
        let url = normal(url);
        if url == "!" || url.starts_with("balancer:") || out.iter().any(|w| url.starts_with(&w.url)) {
            return;
        }
        out.push(Worker { url, by, upgrades });
    };
    for d in items {
        match d.name.as_str() {
            "proxypass" | "proxypassmatch" => define(url_of(d, false), d, upgrades(d)),
            "location" | "locationmatch" => {
                for d in d.items().iter().filter(|d| is_pass(d)) {
                    define(url_of(d, true), d, upgrades(d));
                }
            }
            "proxy" if !d.arg(0).starts_with("balancer:") && d.arg(0).contains("://") => {
                let set = d.items().iter().find(|i| i.name == "proxyset");
                define(d.arg(0), set.unwrap_or(d), set.is_some_and(upgrades));
            }
            _ => {}
        }
    }
    out
}

/// The worker that carries a target: of all that its URL begins with the longest.
pub(super) fn worker<'a>(main: &[&'a Directive], host: &Host<'a>, target: &str) -> Option<Worker<'a>> {
    let target = normal(target);
    let all = workers(main).into_iter().chain(workers(&host.items));
    all.filter(|w| target.starts_with(&w.url)).max_by_key(|w| w.url.len())
}

/// A balancer and its members.
#[derive(Debug)]
pub(super) struct Balancer<'a> {
    pub name: String,
    pub section: Option<&'a Directive>,
    pub members: Vec<&'a Directive>,
}

impl<'a> Balancer<'a> {
    /// The balancer of a target, if it is one.
    pub(super) fn of(main: &[&'a Directive], host: &Host<'a>, target: &str) -> Option<Self> {
        let name = target.strip_prefix("balancer://")?.split('/').next()?.to_ascii_lowercase();
        let is = |text: &str| {
            text.strip_prefix("balancer://")
                .is_some_and(|n| n.trim_end_matches('/').eq_ignore_ascii_case(&name))
        };
        let all = || main.iter().chain(&host.items).copied();
        let section = all().find(|d| d.name == "proxy" && is(d.arg(0)));
        let inside = section.into_iter().flat_map(Directive::items).filter(|d| d.name == "balancermember");
        let outside = all().filter(|d| d.name == "balancermember" && is(d.arg(0)));
        Some(Self { members: inside.chain(outside).collect(), section, name })
    }

    /// A member's URL: the first argument, or the second where the balancer is named.
    pub(super) fn url(member: &'a Directive) -> &'a str {
        if member.arg(0).starts_with("balancer:") { member.arg(1) } else { member.arg(0) }
    }
}
