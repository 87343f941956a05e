//! HAProxy's syntax: a keyword a line, lines in sections, and `defaults` that proxies inherit from.

use std::ops::Range;

use crate::sources::{Mark, Sources};
use crate::{ParseError, SourceFile};

/// Most lines in all.
const MAX_LINES: usize = 200_000;

#[derive(Debug, Clone)]
pub(super) struct Word {
    pub text: String,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub words: Vec<Word>,
    pub at: Mark,
    pub span: Range<usize>,
}

impl Line {
    pub(super) fn word(&self, n: usize) -> &str {
        self.words.get(n).map_or("", |w| &w.text)
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.words.iter().map(|w| w.text.as_str()).collect()
    }

    pub(super) fn text(&self) -> String {
        self.texts().join(" ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Defaults,
    Frontend,
    Backend,
    Listen,
    /// `global`, `peers`, `userlist` and whatever else: nothing of ours.
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Section {
    pub kind: Kind,
    pub name: String,
    pub head: Line,
    pub lines: Vec<Line>,
    /// The `defaults` it inherits from, by its place in the list.
    pub from: Option<usize>,
}

/// Every keyword that begins a section (HAProxy 1.4 to 3.2).
fn kind_of(word: &str) -> Option<Kind> {
    Some(match word {
        "defaults" => Kind::Defaults,
        "frontend" => Kind::Frontend,
        "backend" => Kind::Backend,
        "listen" => Kind::Listen,
        "global" | "peers" | "resolvers" | "userlist" | "mailers" | "cache" | "program" | "http-errors"
        | "ring" | "log-forward" | "log-profile" | "fcgi-app" | "crt-store" | "traces" | "acme"
        | "dynamic-update" | "healthcheck" | "ruleset" => Kind::Other,
        _ => return None,
    })
}

pub(super) fn parse(files: &[SourceFile], sources: &mut Sources<'_>) -> Result<Vec<Section>, ParseError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut last_defaults = None;
    let mut count = 0_usize;
    for file in files {
        let number = sources.add(file.clone())?;
        for line in lines(number, &file.text, sources)? {
            count += 1;
            if count > MAX_LINES {
                return Err(sources.error(line.at, format!("more than {MAX_LINES} lines")));
            }
            let first = line.word(0);
            // Conditions for the reader itself; both branches are read.
            if first.starts_with('.') {
                if matches!(first, ".if" | ".elif") {
                    sources.doubt(
                        line.at,
                        format!("`{}` is not evaluated; what follows was read as if it held", line.text()),
                        format!("未对 `{}` 求值，其后内容按成立处理", line.text()),
                    );
                }
                continue;
            }
            if let Some(kind) = kind_of(first) {
                let from = match line.words.iter().position(|w| w.text == "from") {
                    Some(i) => {
                        let name = line.word(i + 1);
                        sections.iter().rposition(|s| s.kind == Kind::Defaults && s.name == name)
                    }
                    // A `defaults` starts from nothing unless it says otherwise.
                    None if kind == Kind::Defaults => None,
                    None => last_defaults,
                };
                let name = if line.word(1) == "from" { "" } else { line.word(1) }.to_owned();
                sections.push(Section { kind, name, head: line, lines: Vec::new(), from });
                if kind == Kind::Defaults {
                    last_defaults = Some(sections.len() - 1);
                }
                continue;
            }
            match sections.last_mut() {
                Some(section) => section.lines.push(line),
                None => {
                    let words = format!(
                        "`{}` stands before any section; is this HAProxy's configuration?",
                        line.word(0)
                    );
                    return Err(sources.error(line.at, words));
                }
            }
        }
    }
    Ok(sections)
}

fn lines(file: usize, text: &str, sources: &Sources<'_>) -> Result<Vec<Line>, ParseError> {
    let mut out = Vec::new();
    let mut offset = 0;
    for (n, raw) in text.split_inclusive('\n').enumerate() {
        let at = Mark { file, line: u32::try_from(n + 1).unwrap_or(u32::MAX) };
        let words = words(raw, offset).map_err(|e| sources.error(at, e))?;
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            let span = first.span.start..last.span.end;
            out.push(Line { words, at, span });
        }
        offset += raw.len();
    }
    Ok(out)
}

/// The words of a line: quotes as in a shell, `\` escapes, `#` begins a comment.
fn words(raw: &str, offset: usize) -> Result<Vec<Word>, &'static str> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<(String, usize)> = None;
    let mut quote: Option<char> = None;
    let mut chars = raw.char_indices();
    let mut close = |open: &mut Option<(String, usize)>, end: usize| {
        if let Some((text, start)) = open.take() {
            words.push(Word { text, span: start + offset..end + offset });
        }
    };
    while let Some((i, c)) = chars.next() {
        match (quote, c) {
            (_, '\n' | '\r') => break,
            (Some(q), c) if q == c => quote = None,
            (Some('\''), c) => open.get_or_insert_with(|| (String::new(), i)).0.push(c),
            (_, '\\') => {
                let word = open.get_or_insert_with(|| (String::new(), i));
                match chars.next() {
                    Some((_, '\n' | '\r')) | None => return Err("a `\\` at the end of the line"),
                    Some((_, 'n')) => word.0.push('\n'),
                    Some((_, 't')) => word.0.push('\t'),
                    Some((_, c)) => word.0.push(c),
                }
            }
            (Some(_), c) => open.get_or_insert_with(|| (String::new(), i)).0.push(c),
            (None, '"' | '\'') => {
                open.get_or_insert_with(|| (String::new(), i));
                quote = Some(c);
            }
            (None, '#') => {
                close(&mut open, i);
                return Ok(words);
            }
            (None, c) if c.is_whitespace() || c == '\u{feff}' => close(&mut open, i),
            (None, c) => open.get_or_insert_with(|| (String::new(), i)).0.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is opened on this line and not closed on it");
    }
    close(&mut open, raw.trim_end_matches(['\n', '\r']).len());
    Ok(words)
}

/// All sections, and who inherits what.
pub(super) struct Config {
    pub sections: Vec<Section>,
}

impl Config {
    /// The section and the `defaults` behind it, nearest first.
    fn chain<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Section> {
        let mut next = Some(section);
        let mut left = self.sections.len() + 1;
        std::iter::from_fn(move || {
            let this = next?;
            left = left.checked_sub(1)?;
            next = this.from.and_then(|i| self.sections.get(i));
            Some(this)
        })
    }

    /// The line that holds for a section: its own last one, or the nearest `defaults`'.
    pub(super) fn setting<'a>(&'a self, section: &'a Section, words: &[&str]) -> Option<&'a Line> {
        self.chain(section).find_map(|s| {
            s.lines.iter().rev().find(|l| words.iter().enumerate().all(|(i, w)| l.word(i) == *w))
        })
    }

    pub(super) fn named(&self, kinds: &[Kind], name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| kinds.contains(&s.kind) && s.name == name)
    }

    /// `mode`, which is `tcp` unless something says `http`.
    pub(super) fn is_http(&self, section: &Section) -> bool {
        self.setting(section, &["mode"]).is_some_and(|l| l.word(1) == "http")
    }
}
