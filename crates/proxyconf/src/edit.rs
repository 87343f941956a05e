//! Fixes as data: what to put where, applied by [`apply`] and shown by [`patch_text`].
//!
//! Edits are byte ranges and not lines, because `location / { proxy_pass http://b; }` is one line and the new lines belong
//! inside it. What people see are lines nevertheless.

use std::ops::Range;

use crate::sources::hide;

/// Replaces a range of bytes of a file; an empty range inserts, an empty text removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file, by the name the caller gave it.
    pub file: String,
    /// Bytes of the original text.
    pub at: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// What mends one finding. All of its edits belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fix {
    /// The edits, of one or several files.
    pub edits: Vec<Edit>,
}

impl Fix {
    /// Whether nothing can be changed mechanically.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

impl From<Vec<Edit>> for Fix {
    fn from(edits: Vec<Edit>) -> Self {
        Self { edits }
    }
}

/// The edits for one file, sorted, each once; of two that overlap the one given first stays.
fn edits_of<'a>(file: &str, text: &str, fixes: &'a [Fix]) -> Vec<&'a Edit> {
    let mut kept: Vec<&Edit> = Vec::new();
    for edit in fixes.iter().flat_map(|f| &f.edits).filter(|e| e.file == file) {
        let fits = edit.at.start <= edit.at.end && text.get(edit.at.clone()).is_some();
        let clashes = kept.iter().any(|k| {
            *k == edit || (k.at.start < edit.at.end && edit.at.start < k.at.end) || {
                // Two insertions at one place may each bring the same line.
                k.at == edit.at && k.at.is_empty() && k.text.contains(edit.text.trim())
            }
        });
        if fits && !clashes {
            kept.push(edit);
        }
    }
    kept.sort_by_key(|e| (e.at.start, e.at.end));
    kept
}

/// The text of `file` with the fixes applied. Edits of other files are left aside; an edit that several fixes share is
/// applied once, and of two that contradict each other the first is applied.
#[must_use]
pub fn apply(file: &str, text: &str, fixes: &[Fix]) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for edit in edits_of(file, text, fixes) {
        out.push_str(text.get(done..edit.at.start).unwrap_or(""));
        out.push_str(&edit.text);
        done = edit.at.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

/// The lines of `file` that change, as a person would mark them: a number, and ` `, `-` or `+` before each line. Values of
/// headers that carry credentials are left out, so this is for eyes; [`apply`] is for files.
#[must_use]
pub fn patch_text(file: &str, text: &str, fixes: &[Fix]) -> String {
    let edits = edits_of(file, text, fixes);
    if edits.is_empty() {
        return String::new();
    }
    let mut out = format!("{file}\n");
    let mut rest = edits.as_slice();
    while let Some(first) = rest.first() {
        // Edits whose lines touch are shown together.
        let mut region = lines_around(text, &first.at);
        let mut n = 1;
        while let Some(next) = rest.get(n).filter(|e| e.at.start <= region.end) {
            region.end = region.end.max(lines_around(text, &next.at).end);
            n += 1;
        }
        let (hunk, after) = rest.split_at(n);
        rest = after;
        let number = text.get(..region.start).unwrap_or("").matches('\n').count() + 1;
        let before = text.get(region.clone()).unwrap_or("");
        let mut new = String::new();
        let mut done = region.start;
        for edit in hunk {
            new.push_str(text.get(done..edit.at.start).unwrap_or(""));
            new.push_str(&edit.text);
            done = edit.at.end;
        }
        new.push_str(text.get(done..region.end).unwrap_or(""));
        show(&mut out, number, before, &new);
    }
    out
}

/// The whole lines a range touches, with the line break at their end.
fn lines_around(text: &str, at: &Range<usize>) -> Range<usize> {
    let start = text.get(..at.start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
    // A range that ends with a line break ends there and does not touch the next line.
    let from = if at.end > at.start { at.end - 1 } else { at.end };
    let end = text.get(from..).and_then(|t| t.find('\n')).map_or(text.len(), |i| from + i + 1);
    start..end.max(start)
}

fn show(out: &mut String, first: usize, before: &str, after: &str) {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let mut line = |number: usize, mark: char, text: &str| {
        out.push_str(&format!("{number:>5} {mark} {}\n", hide(text)));
    };
    for (i, text) in old.iter().enumerate().take(head) {
        line(first + i, ' ', text);
    }
    for (i, text) in old.iter().enumerate().take(old.len() - tail).skip(head) {
        line(first + i, '-', text);
    }
    for (i, text) in new.iter().enumerate().take(new.len() - tail).skip(head) {
        line(first + i, '+', text);
    }
    for (i, text) in new.iter().enumerate().skip(new.len() - tail) {
        line(first + i, ' ', text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(at: Range<usize>, text: &str) -> Fix {
        vec![Edit { file: "f".into(), at, text: text.into() }].into()
    }

    #[test]
    fn edits_are_applied_once_each_and_in_order() {
        let text = "a\nbb\nc\n";
        let fixes = [edit(4..4, "\nX"), edit(0..1, "A"), edit(4..4, "\nX"), edit(4..4, "\nY")];
        assert_eq!(apply("f", text, &fixes), "A\nbb\nX\nY\nc\n");
        assert_eq!(apply("g", text, &fixes), text);
    }

    #[test]
    fn of_two_contradicting_edits_the_first_holds_and_impossible_ones_are_left() {
        let fixes = [edit(0..2, "ö"), edit(1..3, "no"), edit(7..99, "no"), edit(3..3, "ok")];
        assert_eq!(apply("f", "abcé", &fixes), "öcoké");
        assert_eq!(apply("f", "é", &[edit(1..1, "no")]), "é");
    }

    #[test]
    fn a_patch_shows_lines_with_their_numbers() {
        let text = "one\ntwo { a; }\nthree\nfour\n";
        let shown = patch_text("f", text, &[edit(12..12, "\n  b;"), edit(15..21, "")]);
        assert_eq!(
            shown,
            "f\n    2 - two { a; }\n    3 - three\n    2 + two { a;\n    3 +   b; }\n".to_owned()
        );
        assert_eq!(patch_text("f", text, &[edit(0..4, "")]), "f\n    1 - one\n");
    }
}
