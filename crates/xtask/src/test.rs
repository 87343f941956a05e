//! `cargo xtask test`: runs the steps, keeps going after a failure, and ends with one table.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::needs;
use crate::steps::{STEPS, Step};
use crate::workspace::Workspace;

/// Which steps to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these; all when empty.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// List them instead of running them.
    pub list: bool,
}

struct Outcome {
    name: &'static str,
    took: Duration,
    result: anyhow::Result<String>,
}

/// Runs what was selected; fails when any step failed.
pub fn run(workspace: &Workspace, selection: &Selection) -> anyhow::Result<()> {
    let chosen = choose(STEPS, selection)?;
    if selection.list {
        for step in chosen {
            println!("{:<12}{}", step.name, step.what);
        }
        return Ok(());
    }
    let wanted: Vec<needs::Need> = chosen.iter().flat_map(|step| step.needs.iter().copied()).collect();
    needs::ensure(&wanted)?;

    let mut outcomes = Vec::new();
    for step in chosen {
        println!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let result = (step.run)(workspace);
        if let Err(error) = &result {
            println!("{error:#}");
        }
        outcomes.push(Outcome { name: step.name, took: start.elapsed(), result });
    }
    print!("\n{}", table(&outcomes));
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", outcomes.len());
    }
    Ok(())
}

fn choose(steps: &[Step], selection: &Selection) -> anyhow::Result<Vec<Step>> {
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    for asked in selection.only.iter().chain(&selection.skip) {
        if !names.contains(&asked.as_str()) {
            bail!("there is no step {asked:?}; the steps are {}", names.join(", "));
        }
    }
    let listed = |names: &[String], step: &Step| names.iter().any(|name| name == step.name);
    let wanted = |step: &&Step| {
        (selection.only.is_empty() || listed(&selection.only, step)) && !listed(&selection.skip, step)
    };
    Ok(steps.iter().filter(wanted).copied().collect())
}

/// One line per step; of a failure only the first line, since all of it was printed when it happened.
fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let (mark, note) = match &outcome.result {
            Ok(note) => ("ok", note.clone()),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        let note = note.lines().next().unwrap_or_default();
        let line = format!("{:<12}{mark:<8}{:>7.1} s  {note}", outcome.name, outcome.took.as_secs_f64());
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    text.push_str(&format!("{:<20}{:>7.1} s\n", "total", total.as_secs_f64()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let selection = Selection { only: owned(only), skip: owned(skip), list: false };
        Ok(choose(STEPS, &selection)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn only_and_skip_select_in_the_tables_order() {
        assert_eq!(names(&[], &[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["deps", "fmt"], &[]).unwrap(), ["fmt", "deps"]);
        assert_eq!(names(&["deps", "fmt"], &["fmt"]).unwrap(), ["deps"]);
    }

    #[test]
    fn a_step_that_does_not_exist_is_refused() {
        let error = names(&[], &["flaky"]).unwrap_err().to_string();
        assert!(error.contains("\"flaky\"") && error.contains("clippy"), "{error}");
    }

    #[test]
    fn the_table_tells_what_failed_and_how_long_it_took() {
        let outcome = |name, result| Outcome { name, took: Duration::from_millis(1500), result };
        let text = table(&[
            outcome("fmt", Ok(String::new())),
            outcome("deps", Err(anyhow::anyhow!("two rules\n  more"))),
        ]);
        assert_eq!(
            text,
            "fmt         ok          1.5 s\ndeps        FAILED      1.5 s  two rules\ntotal                   3.0 s\n"
        );
    }
}
