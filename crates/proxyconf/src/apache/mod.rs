//! Apache httpd: which rule takes the path, and whether an upgrade passes it.

mod balance;
mod checks;
mod config;
mod idle;
mod misses;
mod parse;
mod rewrite;
mod route;

use config::{Host, Modules, flatten, hosts};
use parse::Directive;
use rewrite::{Request, Rewritten};
use route::{Matched, Route};

use crate::sources::{Sources, quote};
use crate::{Edit, Examined, Include, Lint, ParseError, Question, Severity, SourceFile};

/// Most virtual hosts that are walked through.
const MAX_HOSTS: usize = 200;

pub(crate) fn examine(
    files: &[SourceFile],
    include: Include<'_>,
    question: &Question,
) -> Result<Examined, ParseError> {
    let mut sources = Sources::new(include);
    let items = parse::parse(files, &mut sources)?;
    let modules = Modules::of(&items);
    let main = flatten(&items, &modules);
    let mut lints = Vec::new();
    let mut reached = false;

    let hosts = hosts(&main, &modules, question);
    for host in hosts.iter().take(MAX_HOSTS) {
        let mut request = Request::new(question, host.tls());
        let mut unknown = Vec::new();
        // The main server's rewrites do not hold in a virtual host.
        let own = if host.section.is_some() { &host.items } else { &main };
        let rewritten = rewrite::run(own, &mut request, &mut unknown);
        for d in unknown {
            doubt(&mut sources, d);
        }
        let scene = Scene {
            main: &main,
            host,
            modules: &modules,
            question,
            sources: &sources,
            path: request.path.clone(),
            alone: hosts.len() == 1,
        };
        let route = match rewritten {
            Rewritten::Proxied(rule, target) => Some(Route { rule, location: None, target }),
            Rewritten::Redirected(d) => {
                misses::redirected(&scene, d, &mut lints);
                None
            }
            Rewritten::Refused(d) => {
                misses::refused(&scene, d, &mut lints);
                None
            }
            Rewritten::On => match route::route(&main, host, &request.path) {
                Matched::Route(route) => Some(route),
                Matched::Excluded(d) => {
                    misses::nothing(&scene, Some(d), &mut lints);
                    None
                }
                Matched::Nothing => {
                    misses::nothing(&scene, None, &mut lints);
                    None
                }
            },
        };
        let Some(route) = route else { continue };
        reached = true;
        checks::modules(&scene, &route, &mut lints);
        checks::upgrade(&scene, &route, &mut lints);
        checks::stripped(&scene, &mut lints);
        idle::check(&scene, &route, &mut lints);
        balance::check(&scene, &route, &mut lints);
    }
    let (files, doubts) = sources.into_parts();
    Ok(Examined { lints, doubts, files, reached })
}

fn doubt(sources: &mut Sources<'_>, d: &Directive) {
    let text = quote(sources.text(d.at.file).get(d.span.clone()).unwrap_or(""));
    sources.doubt(
        d.at,
        format!("whether `{text}` applies is not known here; it was taken not to"),
        format!("无法判断 `{text}` 是否适用，按不适用处理"),
    );
}

/// What the checks look at.
struct Scene<'s, 'a> {
    main: &'s [&'a Directive],
    host: &'s Host<'a>,
    modules: &'s Modules,
    question: &'s Question,
    sources: &'s Sources<'s>,
    /// The path after rewriting.
    path: String,
    /// Whether only one host can be meant.
    alone: bool,
}

impl<'a> Scene<'_, 'a> {
    /// Main server and host together, in the order in which they are merged.
    fn all(&self) -> impl DoubleEndedIterator<Item = &'a Directive> {
        self.main.iter().chain(&self.host.items).copied()
    }

    fn place(&self) -> String {
        format!("VirtualHost {}", self.host.name())
    }

    fn text(&self, d: &Directive) -> String {
        quote(self.sources.text(d.at.file).get(d.span.clone()).unwrap_or(""))
    }

    /// How sure it is that this host is the one asked for.
    fn certain(&self) -> Severity {
        if self.alone { Severity::Error } else { Severity::Warning }
    }

    /// A line of its own before a directive.
    fn before(&self, d: &Directive, line: &str) -> Edit {
        let indent = self.sources.indent(d.at.file, d.span.start);
        self.sources.edit(d.at.file, d.span.start..d.span.start, format!("{line}\n{indent}"))
    }

    /// More arguments at the end of a directive.
    fn append(&self, d: &Directive, words: &str) -> Edit {
        self.sources.edit(d.at.file, d.span.end..d.span.end, format!(" {words}"))
    }

    fn lint(&self, at: &Directive, finding: Finding) -> Lint {
        Lint {
            cause: finding.cause,
            severity: finding.severity,
            file: self.sources.name(at.at.file).to_owned(),
            line: at.at.line,
            place: self.place(),
            found: quote(&finding.found),
            en: finding.en,
            zh: finding.zh,
            fix: finding.edits.into(),
        }
    }
}

/// A lint without its place.
struct Finding {
    cause: mooring_core::cause::Cause,
    severity: Severity,
    found: String,
    en: String,
    zh: String,
    edits: Vec<Edit>,
}
