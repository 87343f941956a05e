//! Where new lines go in an nginx configuration.

use super::Scene;
use super::parse::{Directive, Word};
use crate::Edit;

/// How a block's own lines are indented.
fn inner_indent(scene: &Scene<'_, '_>, block: &Directive) -> String {
    let own = scene.sources.indent(block.at.file, block.span.start);
    let first = block.items().iter().find(|d| d.at.file == block.at.file && d.at.line > block.at.line);
    match first {
        Some(d) => scene.sources.indent(d.at.file, d.span.start).to_owned(),
        None => format!("{own}    "),
    }
}

/// New lines in the innermost `location` (or the server) around `pass`, after it if it stands there itself: in an `if`
/// most directives are not allowed.
pub(super) fn insert(scene: &Scene<'_, '_>, pass: &Directive, lines: &[String]) -> Vec<Edit> {
    let levels = &scene.reached.levels;
    let Some(block) = levels.iter().rev().filter_map(|l| l.directive).find(|d| d.name != "if") else {
        // The top of a fragment: right after the directive itself.
        return vec![after(scene, pass, scene.sources.indent(pass.at.file, pass.span.start), lines)];
    };
    let indent = inner_indent(scene, block);
    let direct = block.items().iter().any(|d| d.span == pass.span && d.at == pass.at);
    if direct && pass.at.file == block.at.file {
        return vec![after(scene, pass, &indent, lines)];
    }
    at_top(scene, block, lines)
}

fn after(scene: &Scene<'_, '_>, d: &Directive, indent: &str, lines: &[String]) -> Edit {
    let text: String = lines.iter().map(|l| format!("\n{indent}{l}")).collect();
    scene.sources.edit(d.at.file, d.span.end..d.span.end, text)
}

/// New lines at the top of a block.
pub(super) fn at_top(scene: &Scene<'_, '_>, block: &Directive, lines: &[String]) -> Vec<Edit> {
    let Some(open) = block.block.as_ref().map(|b| b.open) else { return Vec::new() };
    let indent = inner_indent(scene, block);
    let text: String = lines.iter().map(|l| format!("\n{indent}{l}")).collect();
    vec![scene.sources.edit(block.at.file, open..open, text)]
}

/// Another text for one word.
pub(super) fn replace(scene: &Scene<'_, '_>, d: &Directive, word: &Word, text: &str) -> Edit {
    scene.sources.edit(d.at.file, word.span.clone(), text)
}

/// A header's line, its value quoted where nginx needs it.
pub(super) fn header_line(d: &Directive) -> String {
    let value = d.arg(1);
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "\"';{}\\".contains(c));
    match plain {
        true => format!("{} {} {value};", d.name, d.arg(0)),
        false => {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{} {} \"{value}\";", d.name, d.arg(0))
        }
    }
}
