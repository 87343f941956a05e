//! Filters of lists and watches: a documented subset of AIP-160.
//!
//! ```text
//! filter     = [ expression ]
//! expression = factor { AND factor }                  AND binds looser than OR, as AIP-160 has it
//! factor     = term { OR term }
//! term       = [ NOT | - ] ( comparison | "(" expression ")" )
//! comparison = field operator value
//! operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! value      = a bare word, or "text in quotes" with \" and \\
//! ```
//!
//! - `=` and `!=` on text know `*` as a wildcard; `:` means "contains" on text, "has this element" on lists, and
//!   "has this key" on labels; `field : *` means "is there at all". `!=` is always the opposite of `=`.
//! - Enums are written `DOWN`, `Down` or `PHASE_DOWN`. Times are RFC 3339 in quotes, durations `20s` or `1h30m`.
//! - Not supported, and said so: bare words without a field, functions, and two comparisons with nothing between them.
//!
//! A filter is text from outside: at most [`MAX_BYTES`] long, [`MAX_DEPTH`] deep and with [`MAX_TERMS`] comparisons. It is
//! parsed and typed once, before anything is listed; an error says at which column, and which field was probably meant.

mod lex;
mod parse;
mod pattern;
mod schema;
mod typed;

#[cfg(test)]
mod tests;

use tonic::Status;

pub use parse::parse;
pub use schema::{AGENTS, CLOSES, EVENTS, Field, GATEWAYS, INSTANCES, Kind, ORDERS, SESSIONS, Schema};
pub use typed::{Record, Value};

use super::status::{self, Reason};
use typed::Test;

/// Longest filter.
pub const MAX_BYTES: usize = 2_048;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 16;
/// Most comparisons.
pub const MAX_TERMS: usize = 64;

/// A filter, parsed and typed for one kind of resource.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    root: Option<Expr>,
}

#[derive(Debug, Clone)]
enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct FilterError {
    /// The character, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl From<FilterError> for Status {
    fn from(error: FilterError) -> Self {
        let column = error.column.to_string();
        status::bad_field_for(Reason::InvalidFilter, "filter", &error.to_string(), &[("column", &column)])
    }
}

impl Filter {
    /// Whether a record matches. An empty filter matches everything.
    #[must_use]
    pub fn matches(&self, record: &impl Record) -> bool {
        self.root.as_ref().is_none_or(|e| e.matches(record))
    }

    /// The one text that this field must be for anything to match, where the filter says so at its top: what a source of
    /// records can be asked for beforehand.
    #[must_use]
    pub fn literal(&self, field: &str) -> Option<&str> {
        self.all().into_iter().filter(|test| test.field == field).find_map(Test::literal)
    }

    /// Whether nothing matches that has nothing in this field.
    #[must_use]
    pub fn needs(&self, field: &str) -> bool {
        self.all().into_iter().any(|test| test.field == field && test.needs_something())
    }

    /// The comparisons that must all hold.
    fn all(&self) -> Vec<&Test> {
        let mut all = Vec::new();
        let mut left: Vec<&Expr> = self.root.iter().collect();
        while let Some(expr) = left.pop() {
            match expr {
                Expr::And(parts) => left.extend(parts),
                Expr::Test(test) => all.push(test),
                Expr::Or(_) | Expr::Not(_) => {}
            }
        }
        all
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

impl Expr {
    fn matches(&self, record: &impl Record) -> bool {
        match self {
            Self::And(all) => all.iter().all(|e| e.matches(record)),
            Self::Or(any) => any.iter().any(|e| e.matches(record)),
            Self::Not(e) => !e.matches(record),
            Self::Test(test) => test.holds(&record.value(test.field, test.key.as_deref())),
        }
    }
}
