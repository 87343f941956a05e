//! Which server and which location take the request: nginx's own rules, not the order of the file.

use super::parse::Directive;
use crate::Question;
use crate::pattern::{Found, search};

/// A server and the blocks around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    /// The `http` block (or the top of a fragment) it stands in.
    pub http: &'a [Directive],
    pub directive: Option<&'a Directive>,
    pub items: &'a [Directive],
}

struct Listen {
    port: u16,
    default: bool,
    tls: bool,
}

impl<'a> Server<'a> {
    fn listens(&self) -> Vec<Listen> {
        let mut listens: Vec<Listen> = named(self.items, "listen")
            .map(|d| {
                let address = d.arg(0);
                let port = address.rsplit(':').next().unwrap_or(address).trim_end_matches(']');
                let has = |flag: &str| d.args.iter().skip(1).any(|a| a.text == flag);
                Listen {
                    port: port.parse().unwrap_or(80),
                    default: has("default_server") || has("default"),
                    tls: has("ssl") || has("quic"),
                }
            })
            .collect();
        if listens.is_empty() {
            listens.push(Listen { port: 80, default: false, tls: false });
        }
        listens
    }

    /// Whether what it serves comes by TLS, if all of its `listen` lines agree.
    pub(super) fn tls(&self, port: Option<u16>) -> Option<bool> {
        if named(self.items, "ssl").any(|d| d.arg(0) == "on") {
            return Some(true);
        }
        let mut kinds =
            self.listens().into_iter().filter(|l| port.is_none_or(|p| p == l.port)).map(|l| l.tls);
        let first = kinds.next()?;
        kinds.all(|k| k == first).then_some(first)
    }

    pub(super) fn name(&self) -> String {
        let name = named(self.items, "server_name").flat_map(|d| &d.args).map(|a| a.text.as_str());
        match name.clone().find(|n| !n.is_empty() && *n != "_") {
            Some(name) => name.to_owned(),
            None => self
                .directive
                .map_or_else(|| "of this fragment".to_owned(), |d| format!("on line {}", d.at.line)),
        }
    }

    /// How well a host fits: smaller is better, as nginx prefers exact names, then `*.x`, then `x.*`, then patterns.
    fn fit(&self, host: &str) -> Option<(u8, usize)> {
        let names = named(self.items, "server_name").flat_map(|d| &d.args);
        names
            .filter_map(|name| {
                let name = name.text.to_ascii_lowercase();
                let longer = usize::MAX - name.len();
                if name == host {
                    return Some((0, 0));
                }
                if let Some(suffix) = name.strip_prefix("*.") {
                    let fits = host.strip_suffix(suffix).is_some_and(|h| h.ends_with('.'));
                    return fits.then_some((1, longer));
                }
                if let Some(suffix) = name.strip_prefix('.') {
                    let fits = host == suffix || host.strip_suffix(suffix).is_some_and(|h| h.ends_with('.'));
                    return fits.then_some((1, longer));
                }
                if let Some(prefix) = name.strip_suffix(".*") {
                    let fits = host.strip_prefix(prefix).is_some_and(|h| h.starts_with('.'));
                    return fits.then_some((2, longer));
                }
                let pattern = name.strip_prefix('~')?;
                search(pattern, true, host).is_yes().then_some((3, 0))
            })
            .min()
    }
}

pub(super) fn named<'a>(
    items: &'a [Directive],
    name: &'a str,
) -> impl Iterator<Item = &'a Directive> + Clone {
    items.iter().filter(move |d| d.name == name)
}

/// The servers that may take the request: for each port (the asked one, if something listens there) the one that nginx
/// would choose for the host, or all when no host is given.
pub(super) fn servers<'a>(all: &[Server<'a>], question: &Question) -> Vec<Server<'a>> {
    let mut ports: Vec<u16> = Vec::new();
    for port in all.iter().flat_map(|s| s.listens()).map(|l| l.port) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    if let Some(asked) = question.port.filter(|p| ports.contains(p)) {
        ports = vec![asked];
    }
    let host = question.host_name();
    let mut chosen: Vec<usize> = Vec::new();
    for port in ports {
        let here = || all.iter().enumerate().filter(move |(_, s)| s.listens().iter().any(|l| l.port == port));
        let picked: Vec<usize> = match &host {
            None => here().map(|(i, _)| i).collect(),
            Some(host) => {
                let by_name = here().filter_map(|(i, s)| s.fit(host).map(|fit| (fit, i))).min();
                let default = || {
                    here()
                        .find(|(_, s)| s.listens().iter().any(|l| l.port == port && l.default))
                        .or_else(|| here().next())
                        .map(|(i, _)| i)
                };
                by_name.map(|(_, i)| i).or_else(default).into_iter().collect()
            }
        };
        for i in picked {
            if !chosen.contains(&i) {
                chosen.push(i);
            }
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|i| all.get(i).copied()).collect()
}

/// Where the search for a location ended.
#[derive(Debug, Default)]
pub(super) struct Located<'a> {
    /// The locations, outermost first; empty when the server itself takes it.
    pub chain: Vec<&'a Directive>,
    /// nginx answers `/ws` with a redirect to `/ws/` when only `location /ws/ { proxy_pass …}` is there.
    pub slash_redirect: bool,
    /// Patterns that could not be evaluated and stood in the way.
    pub unknown: Vec<&'a Directive>,
}

#[derive(PartialEq, Eq)]
enum Rc {
    Final,
    Again,
    Declined,
}

pub(super) fn locate<'a>(items: &'a [Directive], path: &str) -> Located<'a> {
    let mut located = Located::default();
    search_in(items, path, &mut located);
    located
}

/// `ngx_http_core_find_location`, with its order: the longest prefix, then what is nested in it, then patterns.
fn search_in<'a>(items: &'a [Directive], path: &str, out: &mut Located<'a>) -> Rc {
    let locations = || named(items, "location");
    let modifier = |d: &Directive| if d.args.len() > 1 { d.arg(0).to_owned() } else { String::new() };
    let name = |d: &'a Directive| d.args.last().map_or("", |a| a.text.as_str());
    let is_prefix = |d: &Directive| matches!(modifier(d).as_str(), "" | "^~") && !d.arg(0).starts_with('@');

    if let Some(exact) = locations().find(|d| modifier(d) == "=" && name(d) == path) {
        out.chain.push(exact);
        return Rc::Final;
    }
    let with_slash = format!("{path}/");
    if let Some(slash) =
        locations().find(|d| is_prefix(d) && name(d) == with_slash && hands_on(d.items()).is_some())
        && !locations().any(|d| is_prefix(d) && name(d) == path)
    {
        out.chain.push(slash);
        out.slash_redirect = true;
        return Rc::Final;
    }
    let longest =
        locations().filter(|d| is_prefix(d) && path.starts_with(name(d))).max_by_key(|d| name(d).len());
    let mut no_patterns = false;
    let mut rc = Rc::Declined;
    if let Some(prefix) = longest {
        out.chain.push(prefix);
        no_patterns = modifier(prefix) == "^~";
        // A prefix that is the whole path ends the search for prefixes, but patterns are still tried.
        rc = Rc::Again;
        if search_in(prefix.items(), path, out) == Rc::Final {
            return Rc::Final;
        }
    }
    if !no_patterns {
        for location in locations().filter(|d| modifier(d).starts_with('~')) {
            match search(name(location), modifier(location) == "~*", path) {
                Found::Yes(_) => {
                    let depth = out.chain.len();
                    // What the prefix search had found is given up, from this level on.
                    if longest.is_some()
                        && let Some(i) =
                            out.chain.iter().position(|d| longest.is_some_and(|l| std::ptr::eq(*d, l)))
                    {
                        out.chain.truncate(i.min(depth));
                    }
                    out.chain.push(location);
                    search_in(location.items(), path, out);
                    return Rc::Final;
                }
                Found::No => {}
                Found::Unknown => out.unknown.push(location),
            }
        }
    }
    rc
}

/// The directive of a block that gives the request to somebody else.
pub(super) fn hands_on(items: &[Directive]) -> Option<&Directive> {
    items.iter().rev().find(|d| {
        matches!(
            d.name.as_str(),
            "proxy_pass" | "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "grpc_pass" | "memcached_pass"
        )
    })
}
