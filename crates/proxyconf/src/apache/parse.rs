//! Apache's syntax: a directive a line, `\` at its end continues it, sections in angle brackets; includes are spliced in
//! where they stand and `${…}` is filled in from `Define`.

use std::collections::HashMap;
use std::ops::Range;

use crate::sources::{MAX_DEPTH, Mark, Sources};
use crate::{ParseError, SourceFile};

/// Most directives in all.
const MAX_DIRECTIVES: usize = 200_000;

#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Without quotes, variables filled in where they are known.
    pub text: String,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Directive {
    /// Lower case; for a section without its brackets.
    pub name: String,
    pub args: Vec<Word>,
    pub at: Mark,
    /// The line, without its break; of a section the line that opens it.
    pub span: Range<usize>,
    /// What a section contains.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    pub(super) fn arg(&self, n: usize) -> &str {
        self.args.get(n).map_or("", |w| &w.text)
    }

    pub(super) fn items(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or(&[])
    }
}

pub(super) fn parse(files: &[SourceFile], sources: &mut Sources<'_>) -> Result<Vec<Directive>, ParseError> {
    let mut parser = Parser { sources, root: None, defines: HashMap::new(), open: Vec::new(), count: 0 };
    parser.open.push(Frame { head: None, items: Vec::new() });
    for file in files {
        let number = parser.sources.add(file.clone())?;
        parser.file(number, 0)?;
        parser.close_all(number)?;
    }
    Ok(parser.open.pop().map(|f| f.items).unwrap_or_default())
}

/// A section that is open.
struct Frame {
    head: Option<Directive>,
    items: Vec<Directive>,
}

struct Parser<'p, 's> {
    sources: &'p mut Sources<'s>,
    root: Option<String>,
    defines: HashMap<String, String>,
    open: Vec<Frame>,
    count: usize,
}

impl Parser<'_, '_> {
    fn close_all(&self, file: usize) -> Result<(), ParseError> {
        match self.open.last().and_then(|f| f.head.as_ref()) {
            Some(head) => {
                Err(self.sources.error(Mark { file, ..head.at }, format!("<{}> is never closed", head.name)))
            }
            None => Ok(()),
        }
    }

    fn file(&mut self, file: usize, depth: usize) -> Result<(), ParseError> {
        let text = self.sources.text(file).to_owned();
        let levels = self.open.len();
        let mut at = 0;
        let mut number = 1_u32;
        while at < text.len() {
            let (end, breaks) = logical_line(&text, at);
            let mark = Mark { file, line: number };
            self.line(&text, at..end, mark, depth)?;
            at = end + 1;
            number = number.saturating_add(breaks);
        }
        if self.open.len() > levels {
            return self.close_all(file);
        }
        Ok(())
    }

    fn line(&mut self, text: &str, span: Range<usize>, at: Mark, depth: usize) -> Result<(), ParseError> {
        let raw = text.get(span.clone()).unwrap_or("");
        let trimmed = raw.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        self.count += 1;
        if self.count > MAX_DIRECTIVES {
            return Err(self.sources.error(at, format!("more than {MAX_DIRECTIVES} directives")));
        }
        let start = span.start + (raw.len() - trimmed.len());
        let end = span.start + raw.trim_end().len();
        if let Some(name) = trimmed.strip_prefix("</") {
            let name = name.trim_end().trim_end_matches('>').trim().to_ascii_lowercase();
            return self.close(&name, at);
        }
        let section = trimmed.starts_with('<');
        let body = if section {
            let Some(inner) = trimmed.trim_end().strip_suffix('>') else {
                return Err(self.sources.error(at, "a section without its closing `>`"));
            };
            start + 1..start + inner.len()
        } else {
            start..end
        };
        let mut words = words(text, body).into_iter();
        let Some(name) = words.next() else {
            return Err(self.sources.error(at, "a section without a name"));
        };
        let mut args: Vec<Word> = words.collect();
        for word in &mut args {
            self.fill(&mut word.text);
        }
        let name = name.text.to_ascii_lowercase();
        let directive = Directive { name, args, at, span: start..end, block: None };
        if section {
            if depth + self.open.len() > MAX_DEPTH {
                let words = format!("sections and includes nest deeper than {MAX_DEPTH}");
                return Err(self.sources.error(at, words));
            }
            self.open.push(Frame { head: Some(directive), items: Vec::new() });
            return Ok(());
        }
        match directive.name.as_str() {
            "define" => {
                self.defines.insert(directive.arg(0).to_owned(), directive.arg(1).to_owned());
            }
            "undefine" => {
                self.defines.remove(directive.arg(0));
            }
            "serverroot" => self.root = Some(directive.arg(0).to_owned()),
            "include" | "includeoptional" => self.include(&directive, depth)?,
            _ => {}
        }
        self.push(directive);
        Ok(())
    }

    fn include(&mut self, directive: &Directive, depth: usize) -> Result<(), ParseError> {
        if depth + self.open.len() > MAX_DEPTH {
            let words = format!("sections and includes nest deeper than {MAX_DEPTH}");
            return Err(self.sources.error(directive.at, words));
        }
        let pattern = directive.arg(0);
        let pattern = match &self.root {
            Some(root) if !pattern.starts_with('/') => format!("{}/{pattern}", root.trim_end_matches('/')),
            _ => pattern.to_owned(),
        };
        let optional = directive.name == "includeoptional";
        for file in self.sources.included(&pattern, directive.at, optional)? {
            self.file(file, depth + 1)?;
        }
        Ok(())
    }

    fn push(&mut self, directive: Directive) {
        if let Some(frame) = self.open.last_mut() {
            frame.items.push(directive);
        }
    }

    fn close(&mut self, name: &str, at: Mark) -> Result<(), ParseError> {
        match self.open.pop() {
            Some(Frame { head: Some(head), items }) if head.name == name => {
                self.push(Directive { block: Some(items), ..head });
                Ok(())
            }
            Some(Frame { head: Some(head), .. }) => {
                let words = format!("</{name}> closes <{}> of line {}", head.name, head.at.line);
                Err(self.sources.error(at, words))
            }
            _ => Err(self.sources.error(at, format!("</{name}> without <{name}>"))),
        }
    }

    /// `${X}` by its definition; what is not defined here (the environment) stays as it is.
    fn fill(&self, text: &mut String) {
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            match after.split_once('}').and_then(|(name, tail)| Some((self.defines.get(name)?, tail))) {
                Some((value, tail)) if out.len() + value.len() < 64 << 10 => {
                    out.push_str(value);
                    rest = tail;
                }
                _ => {
                    out.push_str("${");
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        *text = out;
    }
}

/// The end of the line that begins at `at` (where its break is), continuations included, and how many breaks it spans.
fn logical_line(text: &str, at: usize) -> (usize, u32) {
    let bytes = text.as_bytes();
    let mut breaks = 1;
    let mut from = at;
    loop {
        let end = text.get(from..).and_then(|t| t.find('\n')).map_or(text.len(), |i| from + i);
        let before = if end > at && bytes.get(end - 1) == Some(&b'\r') { end - 1 } else { end };
        let continued = before > at && bytes.get(before - 1) == Some(&b'\\');
        if !continued || end >= text.len() {
            return (end, breaks);
        }
        breaks += 1;
        from = end + 1;
    }
}

/// Words of a range: quoted, or up to a blank; a continuation counts as nothing at all.
fn words(text: &str, range: Range<usize>) -> Vec<Word> {
    let mut words = Vec::new();
    let slice = text.get(range.clone()).unwrap_or("");
    let mut chars = slice.char_indices().peekable();
    while let Some(&(i, c)) = chars.peek() {
        if c.is_whitespace() || c == '\u{feff}' {
            chars.next();
            continue;
        }
        if c == '\\' && is_break(slice, i) {
            chars.next();
            continue;
        }
        let quote = matches!(c, '"' | '\'').then_some(c);
        let mut word = String::new();
        let mut end = i;
        if quote.is_some() {
            chars.next();
        }
        while let Some((j, c)) = chars.next() {
            end = j + c.len_utf8();
            match quote {
                Some(q) if c == q => break,
                Some(q) if c == '\\' && chars.peek().is_some_and(|(_, n)| *n == q || *n == '\\') => {
                    let next = chars.next().map_or('\\', |(_, n)| n);
                    // Backslashes are kept in front of everything but a quote: patterns need them.
                    if next == '\\' {
                        word.push('\\');
                    }
                    word.push(next);
                }
                None if c.is_whitespace() => {
                    end = j;
                    break;
                }
                _ if c == '\\' && is_break(slice, j) => {
                    while chars.next_if(|(_, n)| matches!(n, '\r' | '\n')).is_some() {}
                }
                _ => word.push(c),
            }
        }
        words.push(Word { text: word, span: range.start + i..range.start + end });
    }
    words
}

fn is_break(text: &str, backslash: usize) -> bool {
    text.get(backslash + 1..).is_some_and(|t| t.starts_with('\n') || t.starts_with("\r\n"))
}
