//! nginx: which location takes the path, and whether an upgrade passes it.

mod balance;
mod dump;
mod fixes;
mod flow;
mod headers;
mod parse;
mod route;
mod select;
mod value;
mod walk;

use parse::Directive;
use select::{Server, named, servers};
use value::Request;
use walk::{Handler, Reached, walk};

use crate::sources::{Sources, quote};
use crate::{Doubt, Examined, Include, Lint, ParseError, Question, SourceFile};

/// Most servers that are walked through; more are named in a doubt.
const MAX_SERVERS: usize = 200;

pub(crate) fn examine(
    files: &[SourceFile],
    include: Include<'_>,
    question: &Question,
) -> Result<Examined, ParseError> {
    // A dump brings its includes along.
    if let Some(parts) = files.first().and_then(|f| dump::split(&f.text)) {
        let own = |pattern: &str| dump::included(&parts, pattern);
        return read(parts.get(..1).unwrap_or(&[]), &own, question);
    }
    read(files, include, question)
}

fn read(files: &[SourceFile], include: Include<'_>, question: &Question) -> Result<Examined, ParseError> {
    let mut sources = Sources::new(include);
    let top = parse::parse(files, &mut sources)?;
    let mut lints = Vec::new();
    let mut reached_any = false;

    let https: Vec<&[Directive]> = match named(&top, "http").next() {
        Some(_) => named(&top, "http").map(Directive::items).collect(),
        None => vec![&top],
    };
    let maps: Vec<&Directive> = https.iter().flat_map(|items| named(items, "map")).collect();
    let all: Vec<Server<'_>> = https.iter().flat_map(|items| servers_of(items)).collect();
    route::maps_outside(&top, &sources, &mut lints);

    let chosen = servers(&all, question);
    for server in chosen.iter().take(MAX_SERVERS) {
        let request = Request::new(question, server.tls(question.port), &maps);
        let reached = walk(server, request, &mut sources);
        let scene = Scene { server, reached: &reached, question, sources: &sources };
        let mut doubts = Vec::new();
        match reached.handler {
            Handler::Proxy(pass) => {
                reached_any = true;
                headers::check(&scene, pass, &mut lints, &mut doubts);
                flow::check(&scene, pass, &mut lints);
                balance::check(&scene, pass, &mut lints);
            }
            _ => route::check(&scene, chosen.len(), &mut lints),
        }
        sources.doubts.extend(doubts);
    }
    let (files, doubts) = sources.into_parts();
    Ok(Examined { lints, doubts, files, reached: reached_any })
}

/// The servers of an `http` block, or of a fragment: a file from `sites-enabled`, or what stands inside a server.
fn servers_of(items: &[Directive]) -> Vec<Server<'_>> {
    let servers: Vec<Server<'_>> = named(items, "server")
        .filter(|d| d.block.is_some())
        .map(|d| Server { http: items, directive: Some(d), items: d.items() })
        .collect();
    let bare = items.iter().any(|d| matches!(d.name.as_str(), "location" | "proxy_pass"));
    if servers.is_empty() && bare {
        return vec![Server { http: &[], directive: None, items }];
    }
    servers
}

/// What the checks look at.
struct Scene<'s, 'a> {
    server: &'s Server<'a>,
    reached: &'s Reached<'a>,
    question: &'s Question,
    sources: &'s Sources<'s>,
}

impl Scene<'_, '_> {
    /// `location /ws in server chat.example`.
    fn place(&self) -> String {
        let blocks: Vec<String> = self
            .reached
            .levels
            .iter()
            .skip(2)
            .filter_map(|l| l.directive)
            .map(|d| quote(&d.line()))
            .collect();
        let server = self.server.name();
        match blocks.is_empty() {
            true => format!("server {server}"),
            false => format!("{} in server {server}", blocks.join(" / ")),
        }
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

    fn doubt(&self, at: &Directive, en: String, zh: String) -> Doubt {
        Doubt { file: self.sources.name(at.at.file).to_owned(), line: at.at.line, en, zh }
    }
}

/// A lint without its place.
struct Finding {
    cause: mooring_core::cause::Cause,
    severity: crate::Severity,
    found: String,
    en: String,
    zh: String,
    edits: Vec<crate::Edit>,
}
