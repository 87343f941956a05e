//! Comparisons with their values typed, and what they are held against.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::time::{Timestamp, human};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::lex::Op;
use super::pattern::Pattern;
use super::schema::{Field, Kind};

/// What a record holds in a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// One text, or the name of an enum's value as the schema has it. Empty: it is not there.
    Text(Cow<'a, str>),
    /// Several texts.
    Texts(Vec<Cow<'a, str>>),
    /// True or false.
    Bool(bool),
    /// A number, or a duration in microseconds.
    Number(i64),
    /// A time.
    Time(Timestamp),
    /// Keys and values.
    Map(&'a BTreeMap<String, String>),
    /// Nothing.
    Absent,
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A time that may be absent.
    #[must_use]
    pub fn time(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Absent, Self::Time)
    }

    /// A duration.
    #[must_use]
    pub fn duration(d: Duration) -> Self {
        Self::Number(i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
    }

    /// A count.
    #[must_use]
    pub fn count(n: usize) -> Self {
        Self::Number(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

/// Something that can be filtered.
pub trait Record {
    /// The value of a field of its schema. `key` is set for one value of a map, whose [`Value::Text`] is then wanted.
    fn value(&self, field: &'static str, key: Option<&str>) -> Value<'_>;
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Present,
    Pattern(Pattern),
    Name(&'static str),
    Bool(bool),
    Number(i64),
    Time(Timestamp),
}

/// A comparison, typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub(super) field: &'static str,
    pub(super) key: Option<String>,
    op: Op,
    operand: Operand,
}

impl Test {
    pub(super) fn new(
        field: &'static Field,
        key: Option<String>,
        op: Op,
        value: &str,
        in_quotes: bool,
    ) -> Result<Self, String> {
        let name = field.name;
        let ordered = matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge);
        let orderable = matches!(field.kind, Kind::Number | Kind::Time | Kind::Duration);
        if ordered && !orderable {
            return Err(format!("`{name}` has no order, so {} does not apply; use =, != or :", op.sign()));
        }
        if field.kind == Kind::Map && key.is_none() && op != Op::Has {
            return Err(format!("write {name}.KEY {} {value}, or {name} : KEY", op.sign()));
        }
        let operand = if op == Op::Has && value == "*" && !in_quotes {
            Operand::Present
        } else {
            operand(field, value)?
        };
        Ok(Self { field: name, key, op, operand })
    }

    /// The one text that the field must be for this to hold, if there is only one.
    pub(super) fn literal(&self) -> Option<&str> {
        match (&self.operand, self.op) {
            (Operand::Pattern(p), Op::Eq) => p.literal(),
            (Operand::Name(name), Op::Eq | Op::Has) => Some(name),
            _ => None,
        }
    }

    /// Whether this can only hold where there is something in the field.
    pub(super) fn needs_something(&self) -> bool {
        match self.op {
            Op::Has => matches!(self.operand, Operand::Present),
            Op::Eq => self.literal().is_some_and(|text| !text.is_empty()),
            Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => false,
        }
    }

    pub(super) fn holds(&self, value: &Value<'_>) -> bool {
        match self.op {
            Op::Ne => !self.equal(value),
            Op::Eq => self.equal(value),
            Op::Has => self.has(value),
            Op::Lt | Op::Le | Op::Gt | Op::Ge => self.ordered(value),
        }
    }

    fn equal(&self, value: &Value<'_>) -> bool {
        match (&self.operand, value) {
            (Operand::Pattern(p), Value::Text(t)) => p.matches(t),
            (Operand::Pattern(p), Value::Texts(all)) => all.iter().any(|t| p.matches(t)),
            (Operand::Name(n), Value::Text(t)) => n == t,
            (Operand::Bool(a), Value::Bool(b)) => a == b,
            (Operand::Number(a), Value::Number(b)) => a == b,
            (Operand::Time(a), Value::Time(b)) => a == b,
            _ => false,
        }
    }

    fn has(&self, value: &Value<'_>) -> bool {
        match (&self.operand, value) {
            (Operand::Present, Value::Absent) => false,
            (Operand::Present, Value::Text(t)) => !t.is_empty(),
            (Operand::Present, Value::Texts(all)) => !all.is_empty(),
            (Operand::Present, Value::Map(map)) => !map.is_empty(),
            (Operand::Present, Value::Bool(_) | Value::Number(_) | Value::Time(_)) => true,
            (Operand::Pattern(p), Value::Text(t)) => p.within(t),
            (Operand::Pattern(p), Value::Map(map)) => map.keys().any(|k| p.matches(k)),
            (_, value) => self.equal(value),
        }
    }

    fn ordered(&self, value: &Value<'_>) -> bool {
        let order = match (&self.operand, value) {
            (Operand::Number(a), Value::Number(b)) => b.cmp(a),
            (Operand::Time(a), Value::Time(b)) => b.cmp(a),
            _ => return false,
        };
        match self.op {
            Op::Lt => order.is_lt(),
            Op::Le => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
            Op::Eq | Op::Ne | Op::Has => false,
        }
    }
}

fn operand(field: &'static Field, value: &str) -> Result<Operand, String> {
    let shown: String = value.chars().take(64).collect();
    match field.kind {
        Kind::Text | Kind::Texts | Kind::Map => Ok(Operand::Pattern(Pattern::new(value))),
        Kind::Name { prefix, names } => enum_name(prefix, names, value).map(Operand::Name).ok_or_else(|| {
            let known: Vec<String> = names.iter().map(|n| snake(n)).collect();
            format!("`{shown}` is not a value of {}; known: {}", field.name, known.join(", "))
        }),
        Kind::Bool => match value {
            "true" => Ok(Operand::Bool(true)),
            "false" => Ok(Operand::Bool(false)),
            _ => Err(format!("`{shown}` is neither true nor false")),
        },
        Kind::Number => {
            value.parse().map(Operand::Number).map_err(|_| format!("`{shown}` is not a whole number"))
        }
        Kind::Time => OffsetDateTime::parse(value, &Rfc3339)
            .ok()
            .and_then(|t| i64::try_from(t.unix_timestamp_nanos() / 1_000).ok())
            .map(|micros| Operand::Time(Timestamp(micros)))
            .ok_or_else(|| {
                format!("`{shown}` is not a time; write it in quotes, e.g. \"2026-01-31T08:00:00Z\"")
            }),
        Kind::Duration => {
            human::parse(value).map(|d| Operand::Number(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
        }
    }
}

/// The name meant by `DOWN`, `Down` or `PHASE_DOWN`: underscores and case aside.
fn enum_name(prefix: &str, names: &'static [&'static str], value: &str) -> Option<&'static str> {
    let plain = |s: &str| s.replace('_', "").to_lowercase();
    let bare = value.strip_prefix(prefix).unwrap_or(value);
    names.iter().copied().find(|n| plain(n) == plain(bare))
}

/// As it stands on the wire, without the prefix: `NEEDS_HUMAN`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_uppercase());
    }
    out
}
