//! What a variable is for the request in question, as far as the configuration tells.
//!
//! `proxy_set_header Connection $connection_upgrade` is right or wrong depending on a `map` somewhere else, so values are
//! evaluated and not compared as text. What depends on more than this one request is unknown.

use std::collections::HashMap;

use super::parse::Directive;
use crate::pattern::{Found, search};
use crate::{Expect, Question};

/// The request as nginx sees it, and what `set` has changed.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub path: String,
    host: Option<String>,
    /// Whether it came by TLS, where the server's `listen` lines leave no choice.
    tls: Option<bool>,
    port: Option<u16>,
    expects: Expect,
    maps: &'a [&'a Directive],
    set: HashMap<String, Option<String>>,
}

/// Deepest chain of maps that is followed.
const MAX_CHAIN: usize = 16;
/// Longest value that is computed: maps of maps can double it at each step.
const MAX_VALUE: usize = 4096;

impl<'a> Request<'a> {
    pub(super) fn new(question: &Question, tls: Option<bool>, maps: &'a [&'a Directive]) -> Self {
        Self {
            path: question.uri(),
            host: question.host_name(),
            tls,
            port: question.port,
            expects: question.expects,
            maps,
            set: HashMap::new(),
        }
    }

    pub(super) fn assign(&mut self, variable: &str, value: &str) {
        let value = self.eval(value);
        self.set.insert(variable.trim_start_matches('$').to_owned(), value);
    }

    /// A text with its variables filled in; `None` if one of them is not known.
    pub(super) fn eval(&self, text: &str) -> Option<String> {
        self.eval_at(text, 0)
    }

    fn eval_at(&self, text: &str, depth: usize) -> Option<String> {
        if depth > MAX_CHAIN {
            return None;
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, tail) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}')?,
                None => {
                    let len = after.len()
                        - after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
                    after.split_at_checked(len)?
                }
            };
            out.push_str(&self.variable(name, depth)?);
            if out.len() > MAX_VALUE {
                return None;
            }
            rest = tail;
        }
        out.push_str(rest);
        Some(out)
    }

    fn variable(&self, name: &str, depth: usize) -> Option<String> {
        if let Some(value) = self.set.get(name) {
            return value.clone();
        }
        let known = match name {
            "http_upgrade" => "websocket",
            "http_connection" => "Upgrade",
            "request_method" => "GET",
            "server_protocol" => "HTTP/1.1",
            "uri" | "request_uri" | "document_uri" => &self.path,
            "host" | "http_host" => self.host.as_deref()?,
            "scheme" => match self.tls? {
                true => "https",
                false => "http",
            },
            "https" => match self.tls? {
                true => "on",
                false => "",
            },
            "server_port" => return self.port.map(|p| p.to_string()),
            "arg_transport" if self.expects == Expect::SocketIo => "websocket",
            _ => return self.mapped(name, depth),
        };
        Some(known.to_owned())
    }

    /// Whether anything defines it; what does not stand in nginx itself is not known to us, so only maps are asked.
    pub(super) fn is_mapped(&self, name: &str) -> bool {
        self.set.contains_key(name) || self.map_of(name).is_some()
    }

    fn map_of(&self, name: &str) -> Option<&'a Directive> {
        self.maps.iter().rev().find(|m| m.arg(1).trim_start_matches('$') == name).copied()
    }

    fn mapped(&self, name: &str, depth: usize) -> Option<String> {
        let map = self.map_of(name)?;
        let source = self.eval_at(map.arg(0), depth + 1)?;
        let mut default = None;
        let mut by_pattern: Option<&str> = None;
        for entry in map.items() {
            let (key, value) = (entry.name.as_str(), entry.arg(0));
            match key {
                "default" => default = Some(value),
                "hostnames" | "volatile" | "include" => {}
                _ if key.starts_with('~') => {
                    let (pattern, any_case) = match key.strip_prefix("~*") {
                        Some(p) => (p, true),
                        None => (key.trim_start_matches('~'), false),
                    };
                    match search(pattern, any_case, &source) {
                        Found::Yes(_) => by_pattern = by_pattern.or(Some(value)),
                        Found::No => {}
                        Found::Unknown => return None,
                    }
                }
                _ if key.trim_start_matches('\\').eq_ignore_ascii_case(&source) => {
                    return self.eval_at(value, depth + 1);
                }
                _ => {}
            }
        }
        match by_pattern.or(default) {
            Some(value) => self.eval_at(value, depth + 1),
            None => Some(String::new()),
        }
    }

    /// What an `if (…)` comes to; `None` if that is not known.
    pub(super) fn holds(&self, condition: &Directive) -> Option<bool> {
        let words: Vec<&str> = condition.args.iter().map(|a| a.text.as_str()).collect();
        let text = words.join("\u{1f}");
        let text = text.trim_matches('\u{1f}');
        let inner = text.strip_prefix('(')?.strip_suffix(')')?.trim_matches('\u{1f}');
        let mut parts = inner.splitn(3, '\u{1f}').map(str::trim);
        let (left, operator, right) = (parts.next()?, parts.next(), parts.next());
        let right = right.map(|r| r.replace('\u{1f}', " "));
        match (operator, right) {
            (None, _) if left.starts_with('$') => self.eval(left).map(|v| !v.is_empty() && v != "0"),
            (Some(op @ ("=" | "!=")), Some(right)) => {
                Some((self.eval(left)? == self.eval(&right)?) == (op == "="))
            }
            (Some(op @ ("~" | "~*" | "!~" | "!~*")), Some(right)) => {
                let pattern = right.trim_matches('"');
                match search(pattern, op.ends_with('*'), &self.eval(left)?) {
                    Found::Yes(_) => Some(!op.starts_with('!')),
                    Found::No => Some(op.starts_with('!')),
                    Found::Unknown => None,
                }
            }
            // Files: a WebSocket's path is none.
            (Some(_), None) if matches!(left, "-f" | "-d" | "-e" | "-x") => Some(false),
            (Some(_), None) if matches!(left, "!-f" | "!-d" | "!-e" | "!-x") => Some(true),
            _ => None,
        }
    }
}
