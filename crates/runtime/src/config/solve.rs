//! Turning the merged tree into a typed value while finding as many mistakes as possible.
//!
//! Serde stops at the first mistake, which makes mending a configuration a game of one error per start. So each mistake
//! is noted, the offending node is taken out of the tree, and the rest is tried again. A "missing field" that we caused
//! ourselves that way is not the user's mistake and is not reported. Every round removes a node, so the loop ends.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::problem::Problem;
use super::tree::{Kind, Node, join};

/// More mistakes than this are not listed: nobody mends more in one go.
const MAX_PROBLEMS: usize = 64;

pub(super) fn solve<T: DeserializeOwned>(mut root: Node) -> Result<T, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut removed = BTreeSet::new();
    while problems.len() < MAX_PROBLEMS {
        match serde_path_to_error::deserialize::<_, T>(root.to_value()) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => {
                let segments = segments(error.path());
                let message = error.inner().message().trim().to_owned();
                if !step(&mut root, &mut removed, &mut problems, segments, &message) {
                    break;
                }
            }
        }
    }
    Err(problems)
}

/// Notes one mistake and makes the next round possible; false when no further round makes sense.
fn step(
    root: &mut Node,
    removed: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
    mut segments: Vec<String>,
    message: &str,
) -> bool {
    if let Some(field) = quoted_after(message, "missing field ") {
        let (node, _) = root.deepest(&segments);
        let key = join(&node.path, &field);
        if !removed.contains(&key) {
            problems.push(Problem::plain(&key, format!("missing key `{key}`")).at(node.key_origin.clone()));
        }
        return take(root, removed, &segments);
    }
    if let Some(field) = quoted_after(message, "unknown field ") {
        // Buffered formats (`flatten`, tagged enums) report the container; the key is then found by name below it.
        if segments.last() != Some(&field) {
            segments.push(field.clone());
        }
        let (node, depth) = root.deepest(&segments);
        let key = if depth == segments.len() { node.path.clone() } else { join(&node.path, &field) };
        let origin = node.key_origin.clone();
        let hint = hint(&field, &expected(message));
        let problem = Problem::plain(&key, format!("unknown key `{key}`")).at(origin);
        problems.push(match hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        });
        return take(root, removed, &segments);
    }
    let (node, depth) = root.deepest(&segments);
    let path = node.path.clone();
    segments.truncate(depth);
    if let Some(node) = find_mut(root, &segments)
        && let (Some(raw), None) = (node.raw.clone(), &node.retried)
        && !matches!(&node.kind, Kind::Leaf(toml::Value::String(_)))
    {
        node.retried = Some(message.to_owned());
        node.kind = Kind::Leaf(toml::Value::String(raw));
        return true;
    }
    let (node, _) = root.deepest(&segments);
    let message = node.retried.as_deref().unwrap_or(message);
    let mut problem = Problem::new(path, message).at(node.value_origin.clone());
    if let Some(variant) = quoted_after(message, "unknown variant ")
        && let Some(likely) = likely(&variant, &expected(message))
    {
        problem = problem.with_hint(format!("did you mean `{likely}`?"));
    }
    problems.push(problem);
    take(root, removed, &segments)
}

fn segments(path: &serde_path_to_error::Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            // An externally tagged variant is a key in TOML too.
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect()
}

fn find_mut<'a>(root: &'a mut Node, segments: &[String]) -> Option<&'a mut Node> {
    segments.iter().try_fold(root, |node, segment| node.child_mut(segment))
}

/// Takes out the node at `segments`, or the nearest one above it that exists.
fn take(root: &mut Node, removed: &mut BTreeSet<String>, segments: &[String]) -> bool {
    let (_, depth) = root.deepest(segments);
    let Some((last, parents)) = segments[..depth].split_last() else { return false };
    let Some(node) = find_mut(root, parents).and_then(|parent| parent.remove(last)) else { return false };
    removed.insert(node.path);
    true
}

/// The word in backticks right after `prefix`.
fn quoted_after(message: &str, prefix: &str) -> Option<String> {
    let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
    Some(rest[..rest.find('`')?].to_owned())
}

/// The names serde lists after "expected".
fn expected(message: &str) -> Vec<String> {
    let Some(at) = message.find(", expected ") else { return Vec::new() };
    message[at..].split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The known name a wrong one was most likely meant to be.
pub(super) fn likely<'a>(wrong: &str, known: &'a [String]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name.as_str()))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().min(wrong.chars().count()) / 3)
        .min()
        .map(|(_, name)| name)
}

fn hint(wrong: &str, known: &[String]) -> Option<String> {
    if let Some(name) = likely(wrong, known) {
        return Some(format!("did you mean `{name}`?"));
    }
    match known {
        [] => None,
        [one] => Some(format!("only `{one}` is known here")),
        many => Some(format!("known here are `{}`", many.join("`, `"))),
    }
}
