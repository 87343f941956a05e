//! The files at hand, numbered, and the two things everybody asks of them: which line an offset is on, and how that line
//! is indented.

use crate::{Doubt, Edit, Include, ParseError};

/// Most files read, the included ones counted.
pub const MAX_FILES: usize = 2000;
/// Most bytes read in all.
pub const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting of blocks and includes together.
pub(crate) const MAX_DEPTH: usize = 48;

/// A file's name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As it is to be shown; edits name their file by it.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl SourceFile {
    /// A file.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub file: usize,
    pub line: u32,
}

pub(crate) struct Sources<'a> {
    files: Vec<SourceFile>,
    include: Include<'a>,
    bytes: usize,
    pub doubts: Vec<Doubt>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(include: Include<'a>) -> Self {
        Self { files: Vec::new(), include, bytes: 0, doubts: Vec::new() }
    }

    /// Takes a file in and gives its number.
    pub(crate) fn add(&mut self, file: SourceFile) -> Result<usize, ParseError> {
        self.bytes = self.bytes.saturating_add(file.text.len());
        if self.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            let words = format!("more than {MAX_FILES} files or {} MiB of configuration", MAX_BYTES >> 20);
            return Err(ParseError { file: file.name, line: 1, words });
        }
        self.files.push(file);
        Ok(self.files.len() - 1)
    }

    /// The numbers of the files a pattern names; a doubt when there are none and there should be one.
    pub(crate) fn included(
        &mut self,
        pattern: &str,
        at: Mark,
        optional: bool,
    ) -> Result<Vec<usize>, ParseError> {
        let found = (self.include)(pattern);
        if found.is_empty() && !optional {
            self.doubt(
                at,
                format!("`{pattern}` is included here but was not at hand; what it says is not considered"),
                format!("此处包含的 `{pattern}` 未能读取，其内容未纳入判断"),
            );
        }
        found.into_iter().map(|f| self.add(f)).collect()
    }

    pub(crate) fn doubt(&mut self, at: Mark, en: String, zh: String) {
        if self.doubts.len() < 100 {
            self.doubts.push(Doubt { file: self.name(at.file).to_owned(), line: at.line, en, zh });
        }
    }

    pub(crate) fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.name)
    }

    pub(crate) fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.text)
    }

    pub(crate) fn into_parts(self) -> (Vec<SourceFile>, Vec<Doubt>) {
        (self.files, self.doubts)
    }

    pub(crate) fn error(&self, at: Mark, words: impl Into<String>) -> ParseError {
        ParseError { file: self.name(at.file).to_owned(), line: at.line, words: words.into() }
    }

    pub(crate) fn edit(&self, file: usize, at: std::ops::Range<usize>, text: impl Into<String>) -> Edit {
        Edit { file: self.name(file).to_owned(), at, text: text.into() }
    }

    /// Removes the whole line(s) of a span if nothing else stands on them, otherwise the span alone.
    pub(crate) fn removal(&self, file: usize, span: std::ops::Range<usize>) -> Edit {
        let text = self.text(file);
        let (before, after) = (text.get(..span.start).unwrap_or(""), text.get(span.end..).unwrap_or(""));
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = after.find('\n').map_or(after.len(), |i| i + 1);
        let alone = before.get(start..).is_some_and(|s| s.trim().is_empty())
            && after.get(..rest).is_some_and(|s| s.trim().is_empty());
        let at = if alone { start..span.end + rest } else { span };
        self.edit(file, at, "")
    }

    /// The blanks at the beginning of the line that `offset` is on.
    pub(crate) fn indent(&self, file: usize, offset: usize) -> &str {
        let text = self.text(file);
        let start = text.get(..offset).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
        let line = text.get(start..).unwrap_or("");
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        line.get(..blanks).unwrap_or("")
    }
}

/// Headers and settings whose value is nobody's business.
const SECRET: &[&str] =
    &["authorization", "api-key", "apikey", "api_key", "token", "secret", "passw", "set-cookie"];

/// A line of a configuration without what must not be shown: the values of headers that carry credentials, and
/// passwords in URLs. Findings and patches end up in terminals, tickets and chats.
pub(crate) fn hide(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let sets = ["set_header", "set-header", "add-header", "requestheader", "fastcgi_param", "setenv"];
    let mut out = line.to_owned();
    if let Some(at) = sets.iter().filter_map(|s| lower.find(s).map(|i| i + s.len())).min()
        && let Some(name) = SECRET.iter().filter_map(|s| lower.get(at..)?.find(s).map(|i| at + i)).min()
    {
        // From the blank after the header's name on; a variable is no secret.
        let rest = line.get(name..).unwrap_or("");
        let value = name + rest.find(char::is_whitespace).unwrap_or(rest.len());
        if line
            .get(value..)
            .is_some_and(|v| !v.trim_start().trim_start_matches(['"', '\'']).starts_with(['$', '%']))
        {
            out = format!("{} …", line.get(..value).unwrap_or(""));
        }
    }
    if let (Some(scheme), Some(at)) = (out.find("://"), out.find('@'))
        && out.get(scheme + 3..at).is_some_and(|user| !user.contains(['/', ' ']))
    {
        out.replace_range(scheme + 3..at, "…");
    }
    out
}

/// One line of bounded length without secrets, for words that quote a configuration.
pub(crate) fn quote(text: &str) -> String {
    const MAX: usize = 160;
    let text = hide(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match text.char_indices().nth(MAX) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or("")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_quoted() {
        for (line, shown) in [
            ("proxy_set_header Authorization \"Bearer abc\";", "proxy_set_header Authorization …"),
            ("  proxy_set_header X-Api-Key abc;", "  proxy_set_header X-Api-Key …"),
            ("RequestHeader set X-Token abc", "RequestHeader set X-Token …"),
            ("http-request set-header Authorization abc if x", "http-request set-header Authorization …"),
            ("proxy_pass http://me:pw@b:1/;", "proxy_pass http://…@b:1/;"),
            (
                "proxy_set_header Authorization $http_authorization;",
                "proxy_set_header Authorization $http_authorization;",
            ),
            ("proxy_set_header Host $host;", "proxy_set_header Host $host;"),
            ("ProxyPass /a http://b:1/x@y", "ProxyPass /a http://b:1/x@y"),
        ] {
            assert_eq!(hide(line), shown);
        }
    }
}
