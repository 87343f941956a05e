//! Words, texts and signs, each with its place.

use super::{FilterError, MAX_BYTES};

/// A comparison sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Has,
}

impl Op {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Has => ":",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: a field, a keyword or a value.
    Word(String),
    /// A text in quotes: a value, never a keyword.
    Text(String),
    Op(Op),
    Open,
    Close,
}

/// A token and the column it begins at, from 1.
pub(super) type Placed = (usize, Token);

/// Takes a filter apart.
pub(super) fn lex(filter: &str) -> Result<Vec<Placed>, FilterError> {
    if filter.len() > MAX_BYTES {
        let what = format!("the filter has {} bytes, at most {MAX_BYTES} are allowed", filter.len());
        return Err(FilterError { column: 1, what });
    }
    let chars: Vec<char> = filter.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let column = at + 1;
        let next = chars.get(at + 1).copied();
        let (token, len) = match (c, next) {
            (c, _) if c.is_whitespace() => {
                at += 1;
                continue;
            }
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('=', _) => (Token::Op(Op::Eq), 1),
            ('!', Some('=')) => (Token::Op(Op::Ne), 2),
            ('<', Some('=')) => (Token::Op(Op::Le), 2),
            ('<', _) => (Token::Op(Op::Lt), 1),
            ('>', Some('=')) => (Token::Op(Op::Ge), 2),
            ('>', _) => (Token::Op(Op::Gt), 1),
            (':', _) => (Token::Op(Op::Has), 1),
            ('"' | '\'', _) => {
                let (text, len) = quoted(&chars[at..]).ok_or_else(|| FilterError {
                    column,
                    what: format!("the text that begins here has no closing {c}"),
                })?;
                (Token::Text(text), len)
            }
            _ => {
                let len = chars[at..].iter().take_while(|c| in_word(**c)).count();
                if len == 0 {
                    let what =
                        format!("{c:?} means nothing here; put text with special characters into quotes");
                    return Err(FilterError { column, what });
                }
                (Token::Word(chars[at..at + len].iter().collect()), len)
            }
        };
        out.push((column, token));
        at += len;
    }
    Ok(out)
}

fn in_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | '=' | '!' | '<' | '>' | ':' | '"' | '\'' | ',')
}

/// The text in quotes at the beginning, and how many characters it takes with them.
fn quoted(chars: &[char]) -> Option<(String, usize)> {
    let quote = chars.first()?;
    let mut out = String::new();
    let mut at = 1;
    loop {
        match chars.get(at)? {
            '\\' => {
                out.push(*chars.get(at + 1)?);
                at += 2;
            }
            c if c == quote => return Some((out, at + 1)),
            c => {
                out.push(*c);
                at += 1;
            }
        }
    }
}
