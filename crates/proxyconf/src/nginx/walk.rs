//! Follows the request through a server: rewrites, location, `if`, `try_files`, until something answers it.

use super::parse::Directive;
use super::select::{Server, hands_on, locate, named};
use super::value::Request;
use crate::pattern::{Found, fill, search};
use crate::sources::{Mark, Sources};

/// nginx itself gives up after ten.
const MAX_REDIRECTS: usize = 10;

/// One block around what answers, outermost first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level<'a> {
    pub items: &'a [Directive],
    /// The block; `None` for the top of a fragment.
    pub directive: Option<&'a Directive>,
}

/// What answers the request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Handler<'a> {
    /// `proxy_pass`.
    Proxy(&'a Directive),
    /// `fastcgi_pass` and the like.
    Other(&'a Directive),
    /// `return`, or a `rewrite` that answers with a redirect; with the status.
    Answer(&'a Directive, u16),
    /// The redirect from `/ws` to `/ws/`.
    SlashRedirect(&'a Directive),
    /// `try_files` ends at a page.
    Page(&'a Directive),
    /// Files, or nothing at all.
    Files,
}

#[derive(Debug, Clone)]
pub(super) struct Reached<'a> {
    pub levels: Vec<Level<'a>>,
    pub handler: Handler<'a>,
    pub request: Request<'a>,
}

enum Step<'a> {
    On,
    /// `break`: what the path is now, it stays.
    Stop,
    Restart,
    Answered(&'a Directive, u16),
}

pub(super) fn walk<'a>(
    server: &Server<'a>,
    mut request: Request<'a>,
    sources: &mut Sources<'_>,
) -> Reached<'a> {
    let base = vec![
        Level { items: server.http, directive: None },
        Level { items: server.items, directive: server.directive },
    ];
    let mut taken = None;
    if let Step::Answered(d, status) = rewrites(server.items, &mut request, &mut taken, sources) {
        return Reached { levels: base, handler: Handler::Answer(d, status), request };
    }
    let mut named_location: Option<&'a Directive> = None;
    for _ in 0..MAX_REDIRECTS {
        let mut levels = base.clone();
        match named_location.take() {
            Some(location) => levels.push(Level { items: location.items(), directive: Some(location) }),
            None => {
                let located = locate(server.items, &request.path);
                for d in located.unknown {
                    doubt_pattern(d, sources);
                }
                levels.extend(located.chain.iter().map(|d| Level { items: d.items(), directive: Some(d) }));
                if let (true, Some(last)) = (located.slash_redirect, located.chain.last()) {
                    return Reached { levels, handler: Handler::SlashRedirect(last), request };
                }
            }
        }
        let items = levels.last().map_or(server.items, |l| l.items);
        let mut taken: Option<&Directive> = None;
        if levels.len() > base.len() {
            match rewrites(items, &mut request, &mut taken, sources) {
                Step::Answered(d, status) => {
                    return Reached { levels, handler: Handler::Answer(d, status), request };
                }
                Step::Restart => continue,
                Step::On | Step::Stop => {}
            }
        }
        if let Some(taken) = taken.filter(|t| hands_on(t.items()).is_some()) {
            levels.push(Level { items: taken.items(), directive: Some(taken) });
        }
        // `try_files` looks before anything is handed on.
        if let Some(files) = inherited(&levels, "try_files") {
            match fallback(files, server.items, &request) {
                Fallback::Status(status) => {
                    return Reached { levels, handler: Handler::Answer(files, status), request };
                }
                Fallback::Location(location) => {
                    named_location = Some(location);
                    continue;
                }
                Fallback::Path(path) => {
                    // A file named as the last resort is a page unless a location proxies it.
                    let located = locate(server.items, &path);
                    let proxied = located.chain.last().and_then(|d| hands_on(d.items()));
                    let own = levels.last().and_then(|l| l.directive);
                    let same = located.chain.last().is_some_and(|d| own.is_some_and(|o| std::ptr::eq(*d, o)));
                    if proxied.is_none() || same {
                        return Reached { levels, handler: Handler::Page(files), request };
                    }
                    request.path = path;
                    continue;
                }
                Fallback::Unknown => {}
            }
        }
        let items = levels.last().map_or(server.items, |l| l.items);
        let handler = match hands_on(items) {
            Some(d) if d.name == "proxy_pass" => Handler::Proxy(d),
            Some(d) => Handler::Other(d),
            None => Handler::Files,
        };
        return Reached { levels, handler, request };
    }
    Reached { levels: base, handler: Handler::Files, request }
}

fn doubt_pattern(d: &Directive, sources: &mut Sources<'_>) {
    let text = crate::sources::quote(&d.line());
    sources.doubt(
        d.at,
        format!("the pattern of `{text}` cannot be evaluated here; it was taken not to match"),
        format!("无法在此求值 `{text}` 的正则，按不匹配处理"),
    );
}

/// The directive of the innermost level that has it: how nginx inherits everything that is one value.
pub(super) fn inherited<'a>(levels: &[Level<'a>], name: &str) -> Option<&'a Directive> {
    levels.iter().rev().find_map(|l| l.items.iter().rev().find(|d| d.name == name))
}

/// The rewrite module's directives of one block, in order. `taken` becomes the last `if` that held.
fn rewrites<'a>(
    items: &'a [Directive],
    request: &mut Request<'a>,
    taken: &mut Option<&'a Directive>,
    sources: &mut Sources<'_>,
) -> Step<'a> {
    let before = request.path.clone();
    for d in items {
        match d.name.as_str() {
            "set" => request.assign(d.arg(0), d.arg(1)),
            "break" => return Step::Stop,
            "return" => return Step::Answered(d, status_of(d)),
            "if" => match request.holds(d) {
                Some(true) => {
                    *taken = Some(d);
                    match rewrites(d.items(), request, &mut None, sources) {
                        Step::On => {}
                        step => return step,
                    }
                }
                Some(false) => {}
                None if answers(d.items()) => {
                    let text = crate::sources::quote(&d.line());
                    sources.doubt(
                        d.at,
                        format!("whether `{text}` holds is not known here; it was taken not to"),
                        format!("无法判断 `{text}` 是否成立，按不成立处理"),
                    );
                }
                None => {}
            },
            "rewrite" => match search(d.arg(0), false, &request.path) {
                Found::No => {}
                Found::Unknown => doubt_pattern(d, sources),
                Found::Yes(groups) => {
                    let (target, flag) = (d.arg(1), d.arg(2));
                    let away = ["http://", "https://", "$scheme"].iter().any(|p| target.starts_with(p));
                    if away || matches!(flag, "redirect" | "permanent") {
                        return Step::Answered(d, if flag == "permanent" { 301 } else { 302 });
                    }
                    match fill(target, &groups) {
                        Some(path) => {
                            request.path = path.split('?').next().unwrap_or_default().to_owned();
                        }
                        None => doubt_pattern(d, sources),
                    }
                    match flag {
                        "last" => return if request.path == before { Step::On } else { Step::Restart },
                        "break" => return Step::Stop,
                        _ => {}
                    }
                }
            },
            _ => {}
        }
    }
    if request.path == before { Step::On } else { Step::Restart }
}

fn answers(items: &[Directive]) -> bool {
    items.iter().any(|d| matches!(d.name.as_str(), "return" | "rewrite" | "proxy_pass"))
}

/// The status of a `return`: its number, or 302 for a bare URL.
fn status_of(d: &Directive) -> u16 {
    d.arg(0).parse().unwrap_or(302)
}

enum Fallback<'a> {
    Status(u16),
    Location(&'a Directive),
    Path(String),
    Unknown,
}

/// Where `try_files` ends for a path that is no file: at its last argument.
fn fallback<'a>(files: &Directive, server: &'a [Directive], request: &Request<'_>) -> Fallback<'a> {
    let Some(last) = files.args.last().map(|a| a.text.as_str()) else { return Fallback::Unknown };
    if let Some(status) = last.strip_prefix('=') {
        return Fallback::Status(status.parse().unwrap_or(404));
    }
    if last.starts_with('@') {
        return match named(server, "location").find(|d| d.arg(0) == last) {
            Some(location) => Fallback::Location(location),
            None => Fallback::Unknown,
        };
    }
    match request.eval(last.split('?').next().unwrap_or(last)) {
        Some(path) if path != request.path => Fallback::Path(path),
        _ => Fallback::Unknown,
    }
}

/// Where a level can be named and edited.
pub(super) fn mark(level: &Level<'_>) -> Option<Mark> {
    level.directive.map(|d| d.at)
}
