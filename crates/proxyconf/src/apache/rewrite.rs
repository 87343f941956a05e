//! mod_rewrite, as far as one known request goes.

use super::parse::Directive;
use crate::pattern::{Found, fill, search};
use crate::{Expect, Question};

/// The request as Apache sees it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub path: String,
    query: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    tls: Option<bool>,
}

impl Request {
    pub(super) fn new(question: &Question, tls: Option<bool>) -> Self {
        let query = match (question.path.split_once('?'), question.expects) {
            (Some((_, query)), _) => Some(query.to_owned()),
            (None, Expect::SocketIo) => Some("EIO=4&transport=websocket".to_owned()),
            (None, Expect::WebSocket) => None,
        };
        Self { path: question.uri(), query, host: question.host_name(), port: question.port, tls }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let on = |b: bool| if b { "on" } else { "off" }.to_owned();
        Some(match name.to_ascii_uppercase().as_str() {
            "HTTP:UPGRADE" => "websocket".to_owned(),
            "HTTP:CONNECTION" | "HTTP_CONNECTION" => "Upgrade".to_owned(),
            "HTTP:SEC-WEBSOCKET-VERSION" => "13".to_owned(),
            "HTTP_HOST" | "SERVER_NAME" | "HTTP:HOST" => self.host.clone()?,
            "REQUEST_URI" | "REQUEST_FILENAME" | "SCRIPT_FILENAME" => self.path.clone(),
            "QUERY_STRING" => self.query.clone()?,
            "REQUEST_METHOD" => "GET".to_owned(),
            "SERVER_PROTOCOL" => "HTTP/1.1".to_owned(),
            "HTTPS" => on(self.tls?),
            "REQUEST_SCHEME" => if self.tls? { "https" } else { "http" }.to_owned(),
            "SERVER_PORT" => self.port?.to_string(),
            "DOCUMENT_ROOT" => "/".to_owned(),
            _ => return None,
        })
    }

    /// `%{…}` filled in; `None` if one of them is not known.
    fn expand(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            let (name, tail) = after.split_once('}')?;
            out.push_str(before);
            out.push_str(&self.variable(name)?);
            rest = tail;
        }
        out.push_str(rest);
        // Back references to a condition or the rule are more than we follow here.
        let bytes = out.as_bytes();
        let refers = bytes.windows(2).any(|w| matches!(w, [b'%' | b'$', b'0'..=b'9']));
        (!refers).then_some(out)
    }
}

/// What the rules make of the request.
#[derive(Debug)]
pub(super) enum Rewritten<'a> {
    /// Nothing, or another path.
    On,
    /// `[P]`: the rule, and the target.
    Proxied(&'a Directive, String),
    Redirected(&'a Directive),
    /// `[F]` or `[G]`.
    Refused(&'a Directive),
}

fn flags(d: &Directive, n: usize) -> Vec<String> {
    let text = d.arg(n).trim_start_matches('[').trim_end_matches(']');
    text.split(',').map(|f| f.trim().to_ascii_uppercase()).filter(|f| !f.is_empty()).collect()
}

fn has(flags: &[String], names: &[&str]) -> bool {
    flags.iter().any(|f| names.contains(&f.split('=').next().unwrap_or(f)))
}

/// Runs the rules of one server. What cannot be known is reported through `unknown` and taken not to match.
pub(super) fn run<'a>(
    items: &[&'a Directive],
    request: &mut Request,
    unknown: &mut Vec<&'a Directive>,
) -> Rewritten<'a> {
    let engine = items.iter().rev().find(|d| d.name == "rewriteengine");
    if !engine.is_some_and(|d| d.arg(0).eq_ignore_ascii_case("on")) {
        return Rewritten::On;
    }
    let mut conditions: Vec<&Directive> = Vec::new();
    for d in items {
        if d.name == "rewritecond" {
            conditions.push(d);
        }
        if d.name != "rewriterule" {
            continue;
        }
        let conditions = std::mem::take(&mut conditions);
        let flags = flags(d, 2);
        let (negated, pattern) = match d.arg(0).strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, d.arg(0)),
        };
        let groups = match search(pattern, has(&flags, &["NC", "NOCASE"]), &request.path) {
            Found::Yes(groups) if !negated => groups,
            Found::No if negated => Vec::new(),
            Found::Unknown => {
                unknown.push(d);
                continue;
            }
            _ => continue,
        };
        match all_hold(&conditions, request) {
            Some(true) => {}
            Some(false) => continue,
            None => {
                unknown.push(d);
                continue;
            }
        }
        if has(&flags, &["F", "FORBIDDEN", "G", "GONE"]) {
            return Rewritten::Refused(d);
        }
        let target = d.arg(1);
        let absolute = ["http://", "https://", "ws://", "wss://", "balancer://", "unix:"]
            .iter()
            .any(|s| target.starts_with(s));
        if has(&flags, &["P", "PROXY"]) {
            let target = match fill(target, &groups) {
                Some(target) => target,
                // What it goes to matters up to the path only.
                None => target.split(['$', '%']).next().unwrap_or(target).to_owned(),
            };
            return Rewritten::Proxied(d, target);
        }
        if has(&flags, &["R", "REDIRECT"]) || absolute {
            return Rewritten::Redirected(d);
        }
        if target != "-" {
            match fill(target, &groups) {
                Some(path) => request.path = path.split('?').next().unwrap_or_default().to_owned(),
                None => unknown.push(d),
            }
        }
        if has(&flags, &["L", "LAST", "END", "PT", "PASSTHROUGH"]) {
            break;
        }
    }
    Rewritten::On
}

/// Conditions are joined by "and" unless one says `[OR]`, which binds it to the next.
fn all_hold(conditions: &[&Directive], request: &Request) -> Option<bool> {
    let mut unknown = false;
    let mut group: Option<Option<bool>> = None;
    for (i, d) in conditions.iter().enumerate() {
        let this = holds(d, request);
        let joined = match group {
            // Any of the group is enough.
            Some(before) => match (before, this) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (None, _) | (_, None) => None,
                _ => Some(false),
            },
            None => this,
        };
        let more = has(&flags(d, 2), &["OR", "ORNEXT"]) && i + 1 < conditions.len();
        if more {
            group = Some(joined);
            continue;
        }
        group = None;
        match joined {
            Some(true) => {}
            Some(false) => return Some(false),
            None => unknown = true,
        }
    }
    (!unknown).then_some(true)
}

fn holds(d: &Directive, request: &Request) -> Option<bool> {
    let flags = flags(d, 2);
    let (negated, pattern) = match d.arg(1).strip_prefix('!') {
        Some(pattern) => (true, pattern),
        None => (false, d.arg(1)),
    };
    let no_case = has(&flags, &["NC", "NOCASE"]);
    let value = match pattern {
        // The path of a WebSocket is no file.
        "-f" | "-d" | "-F" | "-U" | "-s" | "-l" | "-h" | "-L" | "-x" => false,
        _ => {
            let text = request.expand(d.arg(0))?;
            match pattern.strip_prefix('=') {
                Some(wanted) => {
                    let wanted = wanted.trim_matches('"');
                    if no_case { text.eq_ignore_ascii_case(wanted) } else { text == wanted }
                }
                None => match search(pattern, no_case, &text) {
                    Found::Yes(_) => true,
                    Found::No => false,
                    Found::Unknown => return None,
                },
            }
        }
    };
    Some(value != negated)
}
