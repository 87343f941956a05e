//! Conditions: what an ACL says of the request in question, or that it cannot be known.

use super::parse::Section;
use crate::pattern::{Found, search};
use crate::{Expect, Question};

/// The request as a frontend sees it.
pub(super) struct Request {
    pub path: String,
    host: Option<String>,
    port: Option<u16>,
    tls: Option<bool>,
    expects: Expect,
}

impl Request {
    pub(super) fn new(question: &Question, tls: Option<bool>) -> Self {
        let (path, host) = (question.uri(), question.host_name());
        Self { path, host, port: question.port, tls, expects: question.expects }
    }
}

/// What follows `if` or `unless` on a line; always true without either.
pub(super) fn holds(words: &[&str], section: &Section, request: &Request) -> Option<bool> {
    let Some(at) = words.iter().position(|w| matches!(*w, "if" | "unless")) else { return Some(true) };
    let value = any(words.get(at + 1..).unwrap_or(&[]), section, request);
    if words.get(at) == Some(&"unless") { value.map(|v| !v) } else { value }
}

/// Groups joined by `or`, of terms that must all hold.
fn any(words: &[&str], section: &Section, request: &Request) -> Option<bool> {
    let mut unknown = false;
    let mut depth = 0;
    let groups = words.split(|w| {
        depth += i32::from(*w == "{") - i32::from(*w == "}");
        depth == 0 && matches!(*w, "or" | "||" | "OR")
    });
    for group in groups {
        match all(group, section, request) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

fn all(words: &[&str], section: &Section, request: &Request) -> Option<bool> {
    let mut unknown = false;
    let mut negate = false;
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        let bare = word.trim_start_matches('!');
        negate ^= (word.len() - bare.len()) % 2 == 1;
        let value = match bare {
            "" => continue,
            "{" => {
                let inner: Vec<&str> = rest.by_ref().take_while(|w| *w != "}").collect();
                criterion(&inner, request)
            }
            name => named(name, section, request),
        };
        match value.map(|v| v != negate) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => unknown = true,
        }
        negate = false;
    }
    (!unknown).then_some(true)
}

/// All `acl` lines of a name together, or one of HAProxy's own.
fn named(name: &str, section: &Section, request: &Request) -> Option<bool> {
    let mut lines = section.lines.iter().filter(|l| l.word(0) == "acl" && l.word(1) == name).peekable();
    if lines.peek().is_none() {
        return match name {
            "TRUE" | "HTTP" | "HTTP_1.1" | "METH_GET" | "HTTP_URL_SLASH" => Some(true),
            "FALSE" | "METH_POST" | "METH_OPTIONS" | "METH_CONNECT" | "HTTP_1.0" | "HTTP_2.0"
            | "HTTP_CONTENT" => Some(false),
            _ => None,
        };
    }
    let mut unknown = false;
    for line in lines {
        match criterion(line.texts().get(2..).unwrap_or(&[]), request) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    Begin,
    End,
    Within,
    /// Whole parts, between `/` or `.`.
    Part(char),
    Regex,
    Present,
}

fn criterion(words: &[&str], request: &Request) -> Option<bool> {
    let (fetch, rest) = words.split_first()?;
    let (sample, converters) = split_converters(fetch);
    if converters
        .iter()
        .any(|c| !matches!(*c, "lower" | "upper" | "host_only" | "field(1,:)" | "field(1,':')"))
    {
        return None;
    }
    let mut ignore_case = converters.iter().any(|c| matches!(*c, "lower" | "upper"));
    let (value, mut how) = fetched(sample, request)?;
    let mut patterns: Vec<&str> = Vec::new();
    let mut rest = rest.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "-i" => ignore_case = true,
            "-m" => how = method(rest.next()?)?,
            "-n" | "-u" => {
                rest.next();
            }
            "--" => {
                patterns.extend(rest.by_ref());
            }
            // A list in a file that we do not have.
            "-f" | "-M" => return None,
            _ => patterns.push(word),
        }
    }
    let Some(value) = value else { return Some(false) };
    if how == Match::Present || patterns.is_empty() {
        // A boolean, e.g. ssl_fc.
        return Some(how == Match::Present || value == "1");
    }
    if how == Match::Regex {
        let found: Vec<Found> = patterns.iter().map(|p| search(p, ignore_case, &value)).collect();
        return match found.iter().any(Found::is_yes) {
            true => Some(true),
            false => (!found.contains(&Found::Unknown)).then_some(false),
        };
    }
    let fold = |s: &str| if ignore_case { s.to_ascii_lowercase() } else { s.to_owned() };
    let value = fold(&value);
    Some(patterns.iter().any(|p| {
        let p = fold(p);
        match how {
            Match::Begin => value.starts_with(&p),
            Match::End => value.ends_with(&p),
            Match::Within => value.contains(&p),
            Match::Part(at) => {
                let p = p.trim_matches(at);
                format!("{at}{}{at}", value.trim_matches(at)).contains(&format!("{at}{p}{at}"))
            }
            _ => value == p,
        }
    }))
}

/// `path,lower` is `path` and what is done with it; commas in parentheses belong to arguments.
fn split_converters(fetch: &str) -> (&str, Vec<&str>) {
    let mut depth = 0;
    let mut parts = fetch.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    (parts.next().unwrap_or(""), parts.collect())
}

fn method(name: &str) -> Option<Match> {
    Some(match name {
        "str" => Match::Exact,
        "beg" => Match::Begin,
        "end" => Match::End,
        "sub" => Match::Within,
        "dir" => Match::Part('/'),
        "dom" => Match::Part('.'),
        "reg" => Match::Regex,
        "found" => Match::Present,
        _ => return None,
    })
}

/// The value of a fetch (`None` inside: it is absent) and how it is compared; `None` if it is not known.
fn fetched(sample: &str, request: &Request) -> Option<(Option<String>, Match)> {
    let (name, argument) = match sample.split_once('(') {
        Some((name, rest)) => (name, rest.trim_end_matches(')').to_ascii_lowercase()),
        None => (sample, String::new()),
    };
    let (stem, how) = [
        ("_beg", Match::Begin),
        ("_end", Match::End),
        ("_sub", Match::Within),
        ("_dir", Match::Part('/')),
        ("_dom", Match::Part('.')),
        ("_reg", Match::Regex),
    ]
    .iter()
    .find_map(|(suffix, how)| Some((name.strip_suffix(suffix)?, *how)))
    .unwrap_or((name, Match::Exact));
    let bool_text = |b: bool| if b { "1" } else { "0" }.to_owned();
    let value = match stem {
        "path" | "url" | "capture.req.uri" => Some(request.path.clone()),
        "base" => Some(format!("{}{}", request.host.as_deref()?, request.path)),
        "method" => Some("GET".to_owned()),
        "hdr" | "req.hdr" | "req.fhdr" | "shdr" => {
            let header = argument.split(',').next().unwrap_or("").trim();
            match header {
                "host" => Some(request.host.clone()?),
                "upgrade" => Some("websocket".to_owned()),
                "connection" => Some("Upgrade".to_owned()),
                "sec-websocket-version" => Some("13".to_owned()),
                "content-length" | "transfer-encoding" => None,
                _ => return None,
            }
        }
        "ssl_fc" => Some(bool_text(request.tls?)),
        "dst_port" => Some(request.port?.to_string()),
        "always_true" => Some(bool_text(true)),
        "always_false" => Some(bool_text(false)),
        "urlp" | "url_param" if argument == "transport" && request.expects == Expect::SocketIo => {
            Some("websocket".to_owned())
        }
        _ => return None,
    };
    Some((value, how))
}
