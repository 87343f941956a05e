//! The steps of `test`: what CI runs, as one table.
//!
//! Ordered so that the cheap answers come first and each compilation is made use of by the next: lints before tests, samples
//! when the programs are built. A step gives a short note for the summary, or the reason it failed.

use crate::needs::{self, Need};
use crate::workspace::Workspace;
use crate::{deploy, deps, direction, docs, kubernetes, npm, process, proto, python, samples, sqlx};

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name, for `--only` and `--skip`.
    pub name: &'static str,
    /// What it shows, for `--list`.
    pub what: &'static str,
    /// What must be installed. Asked for all chosen steps before the first one runs, so that nothing fails late for want of it.
    pub needs: &'static [Need],
    /// Does it.
    pub run: fn(&Workspace) -> anyhow::Result<String>,
}

/// Every step, in the order they run.
pub const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the code is formatted", needs: &[], run: fmt },
    Step {
        name: "deps",
        what: "licences, bans, version floors, duplicates, sources",
        needs: &[],
        run: deps::run,
    },
    Step { name: "direction", what: "our crates depend one way", needs: &[], run: direction::run },
    Step { name: "lint", what: "protocol files follow buf's rules", needs: &[needs::NODE], run: proto::lint },
    Step {
        name: "breaking",
        what: "the protocol still serves old clients",
        needs: &[needs::NODE],
        run: proto::breaking,
    },
    Step {
        name: "kubernetes",
        what: "manifests are valid, strictly, for the oldest and newest minor",
        needs: &[needs::PYTHON],
        run: |workspace| kubernetes::run(workspace, false),
    },
    Step {
        name: "deploy",
        what: "container file and systemd units keep their promises",
        needs: &[],
        run: deploy::run,
    },
    Step { name: "clippy", what: "no warnings", needs: &[needs::C_COMPILER], run: clippy },
    Step {
        name: "doc",
        what: "documentation builds without warnings",
        needs: &[needs::C_COMPILER],
        run: doc,
    },
    Step {
        name: "pages",
        what: "the pages of the causes are what the code says",
        needs: &[needs::C_COMPILER],
        run: |workspace| docs::run(workspace, true),
    },
    Step {
        name: "sqlx",
        what: "the committed query data is what the queries and migrations give",
        needs: &[needs::C_COMPILER, needs::POSTGRES],
        run: |workspace| sqlx::run(workspace, sqlx::Mode::Check),
    },
    Step {
        name: "test",
        what: "unit, property and end-to-end tests",
        needs: &[
            needs::C_COMPILER,
            needs::POSTGRES,
            needs::NODE,
            needs::PYTHON,
            needs::NGINX,
            needs::HAPROXY,
            needs::APACHE,
            needs::IPROUTE,
        ],
        run: test,
    },
    Step {
        name: "fuzz",
        what: "the frame scanner, from its corpus, for 20 seconds",
        needs: &[needs::CXX_COMPILER],
        run: fuzz,
    },
    Step {
        name: "samples",
        what: "every sample configuration is parsed by its program",
        needs: &[needs::C_COMPILER],
        run: samples::run,
    },
];

fn fmt(workspace: &Workspace) -> anyhow::Result<String> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(String::new())
}

fn clippy(workspace: &Workspace) -> anyhow::Result<String> {
    process::run(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(String::new())
}

fn doc(workspace: &Workspace) -> anyhow::Result<String> {
    process::run(
        workspace.cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    Ok(String::new())
}

/// Plain `cargo test`, since nothing more may be installed. All test programs run even when one fails.
fn test(workspace: &Workspace) -> anyhow::Result<String> {
    npm::install(workspace, "tests/gateways")?;
    npm::install(workspace, "tests/gateways/onebot")?;
    npm::install(workspace, "clients/node/test/baileys")?;
    python::install(workspace)?;
    let mut tally = Tally::default();
    let mut command = workspace.cargo();
    let runner = format!("target.'cfg(unix)'.runner = {:?}", workspace.path("tests/tools/run-tests"));
    command.args(["--config", &runner, "test", "--workspace", "--no-fail-fast"]);
    let passed = process::watched(&mut command, |line| tally.see(line))?;
    if !passed {
        anyhow::bail!("`{}` failed: {}", process::shown(&command), tally.summary());
    }
    Ok(tally.summary())
}

/// From the committed corpus; what is found goes into a folder that is thrown away, but for an input that fails, which
/// libFuzzer leaves in the folder it runs in and names.
fn fuzz(workspace: &Workspace) -> anyhow::Result<String> {
    let found = workspace.scratch("fuzz-found");
    std::fs::create_dir_all(&found)?;
    let mut command = workspace.cargo();
    command
        .current_dir(workspace.path("fuzz"))
        .args(["run", "--release", "--locked", "--bin", "scanner", "--"])
        .arg(&found)
        .args([
            "corpus/scanner",
            "-dict=scanner.dict",
            "-max_len=1024",
            "-max_total_time=20",
            "-verbosity=0",
        ]);
    process::run(&mut command)?;
    std::fs::remove_dir_all(&found)?;
    Ok(String::new())
}

/// The closing lines of all test programs, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
}

impl Tally {
    fn see(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            for part in rest.split(['.', ';']) {
                let mut words = part.split_whitespace();
                if let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) {
                    match what {
                        "passed" => self.passed += count,
                        "failed" => self.failed += count,
                        "ignored" => self.ignored += count,
                        _ => {}
                    }
                }
            }
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored);
        for name in &self.failures {
            text.push_str("\n  failed: ");
            text.push_str(name);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test planner::waits ... ok",
            "test planner::acts ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "test result: ok. 40 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 1.00s",
        ] {
            tally.see(line);
        }
        assert_eq!(tally.summary(), "42 passed, 1 failed, 2 ignored\n  failed: planner::acts");
    }

    #[test]
    fn step_names_are_unique() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
