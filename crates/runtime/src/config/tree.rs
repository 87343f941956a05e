//! The settings of all layers merged into one tree, each node remembering where it was written.
//!
//! The TOML crate deserialises straight from text and so can only point into that text; once environment and flags are
//! laid over the file, its spans are gone. Keeping our own small tree costs one copy of a small document and gives
//! every later complaint (of serde or of a semantic check) a place to point at.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// A value of any layer.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where the key was written: what an unknown or misplaced key is reported at.
    pub(super) key_origin: Option<Origin>,
    /// Where the value was written: what a wrong value is reported at.
    pub(super) value_origin: Option<Origin>,
    /// The path in the merged document. It stays right when earlier elements of an array are taken out.
    pub(super) path: String,
    /// The text given by a variable or flag, kept so that `8080` can still be a string where a string is wanted.
    pub(super) raw: Option<String>,
    /// Set once `raw` has been tried as a string: the complaint about the first reading.
    pub(super) retried: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Leaf(toml::Value),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// Joins a key onto a dotted path.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Node {
    pub(super) fn table(path: &str, origin: Option<Origin>) -> Self {
        Self {
            kind: Kind::Table(BTreeMap::new()),
            key_origin: origin.clone(),
            value_origin: origin,
            path: path.to_owned(),
            raw: None,
            retried: None,
        }
    }

    /// The value serde sees.
    pub(super) fn to_value(&self) -> toml::Value {
        match &self.kind {
            Kind::Leaf(value) => value.clone(),
            Kind::Array(items) => toml::Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Table(entries) => {
                toml::Value::Table(entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }

    pub(super) fn child(&self, segment: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(entries) => entries.get(segment),
            Kind::Array(items) => items.get(segment.parse::<usize>().ok()?),
            Kind::Leaf(_) => None,
        }
    }

    pub(super) fn child_mut(&mut self, segment: &str) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::Table(entries) => entries.get_mut(segment),
            Kind::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
            Kind::Leaf(_) => None,
        }
    }

    pub(super) fn remove(&mut self, segment: &str) -> Option<Self> {
        match &mut self.kind {
            Kind::Table(entries) => entries.remove(segment),
            Kind::Array(items) => {
                let index = segment.parse::<usize>().ok()?;
                (index < items.len()).then(|| items.remove(index))
            }
            Kind::Leaf(_) => None,
        }
    }

    /// The deepest node on the way to `segments`, and how many of them it covers.
    pub(super) fn deepest<'a>(&'a self, segments: &[String]) -> (&'a Self, usize) {
        let mut node = self;
        for (depth, segment) in segments.iter().enumerate() {
            match node.child(segment) {
                Some(next) => node = next,
                None => return (node, depth),
            }
        }
        (node, segments.len())
    }

    /// Lays `value` over whatever stands at `segments`, making tables on the way.
    pub(super) fn set(&mut self, segments: &[String], value: Self) -> Result<(), Problem> {
        let origin = value.value_origin.clone();
        let Some((last, parents)) = segments.split_last() else {
            return Err(Problem::plain("", "an override needs a key").at(origin));
        };
        let mut node = self;
        for segment in parents {
            node = node.descend(segment, origin.as_ref())?;
        }
        if let Kind::Table(entries) = &mut node.kind {
            entries.insert(last.clone(), value);
        } else {
            *node.descend(last, origin.as_ref())? = value;
        }
        Ok(())
    }

    /// The child at `segment`, made if this is a table that lacks it.
    fn descend(&mut self, segment: &str, origin: Option<&Origin>) -> Result<&mut Self, Problem> {
        let path = &self.path;
        let message = match &mut self.kind {
            Kind::Table(entries) => {
                let child = join(path, segment);
                return Ok(entries
                    .entry(segment.to_owned())
                    .or_insert_with(|| Self::table(&child, origin.cloned())));
            }
            Kind::Array(items) => match segment.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                Some(child) => return Ok(child),
                None => format!("`{path}` is a list and has no element `{segment}`"),
            },
            Kind::Leaf(_) => format!("`{path}` is a plain value, so `{path}.{segment}` cannot be set"),
        };
        Err(Problem::plain(join(path, segment), message).at(origin.cloned()))
    }
}

/// Line and column, both from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Parses a TOML document, reporting every syntax error in it.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<Node, Vec<Problem>> {
    let origin = |offset: usize| {
        let (line, column) = position(text, offset);
        Some(Origin::File { path: path.to_owned(), line, column })
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            Problem::plain("", error.message()).at(origin(error.span().map_or(0, |span| span.start)))
        })
        .collect();
    let mut root = Node::table("", None);
    if let Kind::Table(entries) = &mut root.kind {
        fill(entries, table.into_inner(), "", &origin, &mut problems);
    }
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

/// Reads the text of a variable or a flag: a TOML value if it is one, else the text itself.
pub(super) fn parse_override(path: &str, text: &str, origin: Origin) -> Node {
    let here = |_: usize| Some(origin.clone());
    let mut problems = Vec::new();
    let parsed = DeValue::parse(text.trim())
        .ok()
        .map(|value| convert(value.into_inner(), path, (here(0), here(0)), &here, &mut problems));
    let mut node = match parsed {
        Some(node) if problems.is_empty() => node,
        _ => Node { kind: Kind::Leaf(toml::Value::String(text.to_owned())), ..Node::table(path, here(0)) },
    };
    node.raw = Some(text.to_owned());
    node
}

type Locate<'a> = dyn Fn(usize) -> Option<Origin> + 'a;

fn fill(
    entries: &mut BTreeMap<String, Node>,
    table: DeTable<'_>,
    path: &str,
    locate: &Locate<'_>,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        let origins = (locate(key.span().start), locate(value.span().start));
        let path = join(path, key.get_ref());
        entries.insert(
            key.into_inner().into_owned(),
            convert(value.into_inner(), &path, origins, locate, problems),
        );
    }
}

fn convert(
    value: DeValue<'_>,
    path: &str,
    (key_origin, value_origin): (Option<Origin>, Option<Origin>),
    locate: &Locate<'_>,
    problems: &mut Vec<Problem>,
) -> Node {
    let mut refuse = |message: String| {
        problems.push(Problem::new(path, message).at(value_origin.clone()));
        Kind::Leaf(toml::Value::Boolean(false))
    };
    let kind = match value {
        DeValue::String(text) => Kind::Leaf(toml::Value::String(text.into_owned())),
        DeValue::Boolean(value) => Kind::Leaf(toml::Value::Boolean(value)),
        DeValue::Datetime(value) => Kind::Leaf(toml::Value::Datetime(value)),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(value) => Kind::Leaf(toml::Value::Integer(value)),
            Err(_) => refuse(format!("the number {value} does not fit in 64 bits")),
        },
        DeValue::Float(value) => match value.as_str().parse() {
            Ok(value) => Kind::Leaf(toml::Value::Float(value)),
            Err(_) => refuse(format!("{value} is not a number")),
        },
        DeValue::Array(items) => Kind::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    let at = locate(item.span().start);
                    let path = join(path, &index.to_string());
                    convert(item.into_inner(), &path, (at.clone(), at), locate, problems)
                })
                .collect(),
        ),
        DeValue::Table(table) => {
            let mut entries = BTreeMap::new();
            fill(&mut entries, table, path, locate, problems);
            Kind::Table(entries)
        }
    };
    Node { kind, key_origin, value_origin, path: path.to_owned(), raw: None, retried: None }
}
