//! nginx's syntax: words, quotes, blocks; includes are spliced in where they stand. Every word keeps its place, because
//! fixes are edits of this very text.

use std::ops::Range;

use crate::sources::{MAX_DEPTH, Mark, Sources};
use crate::{ParseError, SourceFile};

/// Most directives in all.
const MAX_DIRECTIVES: usize = 200_000;

#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Without quotes and escapes.
    pub text: String,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Directive {
    pub name: String,
    pub args: Vec<Word>,
    pub at: Mark,
    /// From the name to the `;` or `}`, both included.
    pub span: Range<usize>,
    pub block: Option<Block>,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Right after the `{`.
    pub open: usize,
    pub items: Vec<Directive>,
}

impl Directive {
    pub(super) fn arg(&self, n: usize) -> &str {
        self.args.get(n).map_or("", |w| &w.text)
    }

    pub(super) fn items(&self) -> &[Directive] {
        self.block.as_ref().map_or(&[], |b| &b.items)
    }

    /// As it could be written: name and arguments.
    pub(super) fn line(&self) -> String {
        let mut line = self.name.clone();
        for arg in &self.args {
            line.push(' ');
            line.push_str(if arg.text.is_empty() { "\"\"" } else { &arg.text });
        }
        line
    }
}

/// Parses the files: the first and, unless it is a dump that brings its own, the others after it.
pub(super) fn parse(files: &[SourceFile], sources: &mut Sources<'_>) -> Result<Vec<Directive>, ParseError> {
    let mut all = Vec::new();
    let mut count = 0;
    for file in files {
        let number = sources.add(file.clone())?;
        all.extend(parse_file(number, 0, sources, &mut count)?);
    }
    Ok(all)
}

fn parse_file(
    file: usize,
    depth: usize,
    sources: &mut Sources<'_>,
    count: &mut usize,
) -> Result<Vec<Directive>, ParseError> {
    // The text is copied so that includes can be added while it is read; a file is read once per include.
    let text = sources.text(file).to_owned();
    let mut reader = Reader { text: &text, at: 0, line: 1, file, count };
    let items = reader.items(depth, false, sources)?;
    Ok(items)
}

struct Reader<'t, 'c> {
    text: &'t str,
    at: usize,
    line: u32,
    file: usize,
    count: &'c mut usize,
}

enum Token {
    Word(Word),
    Semicolon,
    Open,
    Close,
    End,
}

impl Reader<'_, '_> {
    fn mark(&self) -> Mark {
        Mark { file: self.file, line: self.line }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        if b == b'\n' {
            self.line += 1;
        }
        Some(b)
    }

    fn items(
        &mut self,
        depth: usize,
        inside: bool,
        sources: &mut Sources<'_>,
    ) -> Result<Vec<Directive>, ParseError> {
        if depth > MAX_DEPTH {
            return Err(
                sources.error(self.mark(), format!("blocks and includes nest deeper than {MAX_DEPTH}"))
            );
        }
        let mut items = Vec::new();
        loop {
            let Some(directive) = self.directive(depth, inside, sources)? else { return Ok(items) };
            *self.count += 1;
            if *self.count > MAX_DIRECTIVES {
                return Err(sources.error(directive.at, format!("more than {MAX_DIRECTIVES} directives")));
            }
            if directive.name == "include" && directive.args.len() == 1 {
                let pattern = directive.arg(0).to_owned();
                // A pattern may match nothing, and the types of files are nothing to us.
                let optional = crate::glob::is_pattern(&pattern) || pattern.ends_with("mime.types");
                for file in sources.included(&pattern, directive.at, optional)? {
                    items.extend(parse_file(file, depth + 1, sources, self.count)?);
                }
            }
            items.push(directive);
        }
    }

    /// The next directive; `None` at the end of the block (or file).
    fn directive(
        &mut self,
        depth: usize,
        inside: bool,
        sources: &mut Sources<'_>,
    ) -> Result<Option<Directive>, ParseError> {
        let first = self.token(sources)?;
        let mark = self.mark();
        let name = match first {
            Token::Word(word) => word,
            Token::End if !inside => return Ok(None),
            Token::End => return Err(sources.error(mark, "the file ends inside a block: a `}` is missing")),
            Token::Close if inside => return Ok(None),
            Token::Close => return Err(sources.error(mark, "a `}` without a block")),
            Token::Semicolon => return Err(sources.error(mark, "a `;` without a directive")),
            Token::Open => return Err(sources.error(mark, "a `{` without a directive")),
        };
        let newlines = name.span.end.min(self.at);
        let back = self.text.get(name.span.start..newlines).unwrap_or("").matches('\n').count();
        let at = Mark { line: mark.line.saturating_sub(u32::try_from(back).unwrap_or(0)), ..mark };
        let mut args = Vec::new();
        loop {
            match self.token(sources)? {
                Token::Word(word) => args.push(word),
                Token::Semicolon => {
                    let span = name.span.start..self.at;
                    return Ok(Some(Directive { name: name.text, args, at, span, block: None }));
                }
                Token::Open => {
                    let open = self.at;
                    let items = if name.text.ends_with("_by_lua_block") {
                        self.skip_lua(sources)?;
                        Vec::new()
                    } else {
                        self.items(depth + 1, true, sources)?
                    };
                    let span = name.span.start..self.at;
                    let block = Some(Block { open, items });
                    return Ok(Some(Directive { name: name.text, args, at, span, block }));
                }
                Token::Close => {
                    return Err(sources.error(at, format!("`{}` is not ended by a `;`", name.text)));
                }
                Token::End => {
                    return Err(
                        sources.error(at, format!("the file ends inside `{}`: a `;` is missing", name.text))
                    );
                }
            }
        }
    }

    fn token(&mut self, sources: &Sources<'_>) -> Result<Token, ParseError> {
        loop {
            match self.peek() {
                None => return Ok(Token::End),
                Some(b) if b.is_ascii_whitespace() => {
                    self.bump();
                }
                Some(b'#') => {
                    while self.peek().is_some_and(|b| b != b'\n') {
                        self.bump();
                    }
                }
                // A byte order mark, as editors on Windows leave it.
                Some(0xEF) if self.at == 0 && self.text.starts_with('\u{feff}') => self.at = 3,
                Some(b';') => {
                    self.bump();
                    return Ok(Token::Semicolon);
                }
                Some(b'{') => {
                    self.bump();
                    return Ok(Token::Open);
                }
                Some(b'}') => {
                    self.bump();
                    return Ok(Token::Close);
                }
                Some(quote @ (b'"' | b'\'')) => return self.quoted(quote, sources),
                Some(_) => return Ok(self.bare()),
            }
        }
    }

    fn quoted(&mut self, quote: u8, sources: &Sources<'_>) -> Result<Token, ParseError> {
        let (start, mark) = (self.at, self.mark());
        self.bump();
        let mut text = Vec::new();
        loop {
            match self.bump() {
                None => return Err(sources.error(mark, "a quote is opened here and never closed")),
                Some(b) if b == quote => break,
                Some(b'\\') => match self.bump() {
                    Some(b @ (b'"' | b'\'' | b'\\')) => text.push(b),
                    Some(b) => text.extend([b'\\', b]),
                    None => {}
                },
                Some(b) => text.push(b),
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Token::Word(Word { text, span: start..self.at }))
    }

    fn bare(&mut self) -> Token {
        let start = self.at;
        let mut text = Vec::new();
        while let Some(b) = self.peek() {
            match b {
                b';' | b'{' => break,
                b if b.is_ascii_whitespace() => break,
                b'\\' => {
                    self.bump();
                    match self.bump() {
                        Some(b @ (b'"' | b'\'' | b'\\')) => text.push(b),
                        Some(b) => text.extend([b'\\', b]),
                        None => text.push(b'\\'),
                    }
                    continue;
                }
                // `${name}` is one word, braces and all.
                b'$' if self.text.as_bytes().get(self.at + 1) == Some(&b'{') => {
                    self.bump();
                    text.push(b'$');
                    while let Some(b) = self.peek().filter(|b| !b.is_ascii_whitespace() && *b != b';') {
                        self.bump();
                        text.push(b);
                        if b == b'}' {
                            break;
                        }
                    }
                    continue;
                }
                _ => {}
            }
            self.bump();
            text.push(b);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        Token::Word(Word { text, span: start..self.at })
    }

    /// Lua between braces: its strings and comments may contain braces of their own.
    fn skip_lua(&mut self, sources: &Sources<'_>) -> Result<(), ParseError> {
        let mark = self.mark();
        let mut depth = 1_usize;
        loop {
            let rest = self.text.get(self.at..).unwrap_or("");
            if rest.starts_with("--[[") || rest.starts_with("[[") {
                let end = rest.find("]]").map_or(rest.len(), |i| i + 2);
                self.skip(end);
                continue;
            }
            if rest.starts_with("--") {
                self.skip(rest.find('\n').unwrap_or(rest.len()));
                continue;
            }
            match self.bump() {
                None => {
                    return Err(sources.error(mark, "the file ends inside a block of Lua: a `}` is missing"));
                }
                Some(b'{') => depth += 1,
                Some(b'}') => depth -= 1,
                Some(quote @ (b'"' | b'\'')) => {
                    while let Some(b) = self.bump().filter(|&b| b != quote && b != b'\n') {
                        if b == b'\\' {
                            self.bump();
                        }
                    }
                }
                Some(_) => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.at + bytes;
        while self.at < end && self.bump().is_some() {}
    }
}
