//! Regular expressions as the proxies write them (PCRE), evaluated without their extras.
//!
//! Look-around and back references are beyond the engine we use, which in exchange cannot be made to run for ever by a
//! hostile pattern. Such a pattern is [`Found::Unknown`], and the caller says so instead of guessing.

use regex::bytes::{Regex, RegexBuilder};

/// Compiled programs are bounded: a configuration may not eat the memory of who examines it.
const MAX_PROGRAM: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It matches; the groups, the whole first.
    Yes(Vec<String>),
    No,
    /// A pattern we cannot evaluate.
    Unknown,
}

impl Found {
    pub(crate) fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

pub(crate) fn search(pattern: &str, ignore_case: bool, text: &str) -> Found {
    let Some(regex) = compile(pattern, ignore_case) else { return Found::Unknown };
    match regex.captures(text.as_bytes()) {
        Some(groups) => Found::Yes(
            groups
                .iter()
                .map(|g| g.map_or_else(String::new, |g| String::from_utf8_lossy(g.as_bytes()).into_owned()))
                .collect(),
        ),
        None => Found::No,
    }
}

fn compile(pattern: &str, ignore_case: bool) -> Option<Regex> {
    if pattern.len() > 4096 {
        return None;
    }
    // PCRE lets a slash be escaped, as people do who come from other languages.
    let pattern = pattern.replace("\\/", "/");
    RegexBuilder::new(&pattern)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(MAX_PROGRAM)
        .build()
        .ok()
}

/// A replacement with `$1` or `\1` filled in; `None` if it uses anything else that begins with `$` or `%{`.
pub(crate) fn fill(template: &str, groups: &[String]) -> Option<String> {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => match chars.peek().and_then(|d| d.to_digit(10)) {
                Some(n) => {
                    chars.next();
                    out.push_str(groups.get(n as usize).map_or("", String::as_str));
                }
                None => return None,
            },
            '%' if chars.peek() == Some(&'{') => return None,
            _ => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_evaluated_is_unknown_and_not_no() {
        assert_eq!(search(r"^/(?!api)", false, "/ws"), Found::Unknown);
        assert_eq!(search("^/(ws", false, "/ws"), Found::Unknown);
        assert_eq!(search(r"^\/WS(/.*)?$", true, "/ws"), Found::Yes(vec!["/ws".into(), String::new()]));
        assert_eq!(search("^/ws$", false, "/wsx"), Found::No);
        assert_eq!(fill("/a/$1?x", &["".into(), "b".into()]).as_deref(), Some("/a/b?x"));
        assert_eq!(fill("/a/$host", &[]), None);
    }
}
