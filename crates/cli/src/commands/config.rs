//! `mooring config check`: the same loaders as the daemons', so that what is fine here is fine there.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use mooring_agent::config::AgentConfig;
use mooring_controller::config::ControllerConfig;
use mooring_controller::policies;
use mooring_runtime::config::{ConfigError, Origin, Problem, effective};
use mooring_runtime::process::ConfigArgs;

use crate::context::Context;
use crate::failure::{Failure, Outcome, PROBLEM};
use crate::text::Text;

/// Look at configurations without running anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring config check /etc/mooring/agent.toml
  mooring config check --controller controller.toml --policy policy.toml
  mooring config check agent.toml --effective      the settings in force, defaults included; secrets are not read

Variables MOORING_CONTROLLER__... and MOORING_AGENT__... count, as they do for the daemons.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong, with file, line and the likely meant key. Exit code 1 if anything is.
    Check(Check),
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["files", "controller", "agent", "policy"])))]
struct Check {
    /// Files whose kind is told by what is in them.
    files: Vec<PathBuf>,
    /// A controller's configuration.
    #[arg(long, value_name = "FILE")]
    controller: Vec<PathBuf>,
    /// An agent's configuration.
    #[arg(long, value_name = "FILE")]
    agent: Vec<PathBuf>,
    /// A policy file.
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// The kind of all FILES, where their content does not tell.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Print the settings in force.
    #[arg(long)]
    effective: bool,
}

/// What a file configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Controller,
    Agent,
    Policy,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Agent => "agent",
            Self::Policy => "policy",
        }
    }

    /// Loads and validates a file of this kind; gives the settings in force.
    fn check(self, file: &Path) -> Result<String, ConfigError> {
        let args = ConfigArgs { config: Some(file.to_owned()), set: Vec::new() };
        match self {
            Self::Controller => {
                let loaded = args.load::<ControllerConfig>(mooring_controller::cli::ENV_PREFIX)?;
                // The controller reads it at its start, too.
                if let Some(policy) = &loaded.value.policy_file {
                    policies::read(policy)?;
                }
                Ok(effective(&loaded.value))
            }
            Self::Agent => Ok(effective(&args.load::<AgentConfig>(mooring_agent::config::ENV_PREFIX)?.value)),
            Self::Policy => Ok(effective(&policies::read(file)?)),
        }
    }
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let Command::Check(check) = self.command;
        check.run(context)
    }
}

impl Check {
    fn run(self, context: &Context) -> Outcome {
        let named = |kind: Kind, files: Vec<PathBuf>| files.into_iter().map(move |file| (file, kind));
        let mut all = Vec::new();
        for file in self.files {
            let kind = match self.kind {
                Some(kind) => kind,
                None => detect(&file)?,
            };
            all.push((file, kind));
        }
        all.extend(named(Kind::Controller, self.controller));
        all.extend(named(Kind::Agent, self.agent));
        all.extend(named(Kind::Policy, self.policy));
        let mut code = 0;
        let mut report = Vec::new();
        for (file, kind) in all {
            let checked = kind.check(&file);
            code = if checked.is_ok() { code } else { PROBLEM };
            if context.json() {
                report.push(as_json(&file, kind, &checked));
                continue;
            }
            match checked {
                Ok(settings) if self.effective => {
                    context.print(&format!("# {}\n{settings}", file.display()))?;
                }
                Ok(_) => {
                    let fine = Text::Ok.of(context.lang());
                    context.print(&format!("{}: {fine} ({})", file.display(), kind.name()))?;
                }
                Err(error) => context.note(&error.to_string()),
            }
        }
        if context.json() {
            let json = serde_json::json!({ "files": report });
            context
                .print(&serde_json::to_string_pretty(&json).map_err(|e| Failure::Problem(e.to_string()))?)?;
        }
        Ok(code)
    }
}

fn as_json(file: &Path, kind: Kind, checked: &Result<String, ConfigError>) -> serde_json::Value {
    let problem = |p: &Problem| {
        let mut json = serde_json::json!({ "message": p.message });
        if !p.key.is_empty() {
            json["key"] = p.key.clone().into();
        }
        if let Some(hint) = &p.hint {
            json["hint"] = hint.clone().into();
        }
        match &p.origin {
            Some(Origin::File { path, line, column }) => {
                json["file"] = path.display().to_string().into();
                json["line"] = (*line).into();
                json["column"] = (*column).into();
            }
            Some(origin) => json["origin"] = origin.to_string().into(),
            None => {}
        }
        json
    };
    let problems: Vec<serde_json::Value> =
        checked.as_ref().err().map(|e| e.problems.iter().map(problem).collect()).unwrap_or_default();
    serde_json::json!({
        "file": file.display().to_string(),
        "kind": kind.name(),
        "ok": checked.is_ok(),
        "problems": problems,
    })
}

/// Tells the kind of a file by its keys; one that is no TOML by its name.
fn detect(file: &Path) -> Outcome<Kind> {
    let unknown = || {
        Failure::Usage(format!(
            "{}: it does not show what it configures; name it with --controller, --agent or --policy",
            file.display()
        ))
    };
    let by_name = || {
        let name = file.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        [Kind::Controller, Kind::Agent, Kind::Policy].into_iter().find(|k| name.contains(k.name()))
    };
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::Problem(format!("{}: cannot read it: {e}", file.display())))?;
    by_content(&text).or_else(by_name).ok_or_else(unknown)
}

/// Each kind has keys that no other has; the kind with the most of them is meant.
fn by_content(text: &str) -> Option<Kind> {
    let table: toml::Table = text.parse().ok()?;
    let count = |keys: &[&str]| keys.iter().filter(|key| table.contains_key(**key)).count();
    let votes = [
        (
            count(&["api", "agents", "database", "database_file", "data_dir", "policy_file", "retention"]),
            Kind::Controller,
        ),
        (count(&["agent", "controller", "gateway"]), Kind::Agent),
        (count(&["policy"]), Kind::Policy),
    ];
    let most = votes.iter().map(|(n, _)| *n).max().filter(|n| *n > 0)?;
    let mut best = votes.iter().filter(|(n, _)| *n == most);
    match (best.next(), best.next()) {
        (Some((_, kind)), None) => Some(*kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Buffer, NOW, globals};

    #[test]
    fn the_content_tells_the_kind() {
        assert_eq!(by_content("[[gateway]]\nid = \"g\"\nurl = \"ws://x\""), Some(Kind::Agent));
        assert_eq!(by_content("[api]\nlisten = \"127.0.0.1:1\""), Some(Kind::Controller));
        assert_eq!(by_content("[policy.default]\ndry_run = true"), Some(Kind::Policy));
        assert_eq!(by_content("[telemetry]\nlog_filter = \"info\""), None);
        assert_eq!(by_content("this is not TOML"), None);
    }

    fn check(name: &str, content: &str, json: bool) -> (Outcome, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let (out, notes) = (Buffer::default(), Buffer::default());
        let globals = globals(if json { &["-o", "json"] } else { &[] });
        let context = Context::for_test(globals, NOW, Box::new(out.clone()), Box::new(notes.clone()));
        let check = Check {
            files: vec![file],
            controller: vec![],
            agent: vec![],
            policy: vec![],
            kind: None,
            effective: false,
        };
        (check.run(&context), out.text(), notes.text())
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_line_and_the_likely_one() {
        let (outcome, _, notes) =
            check("x.toml", "[[gateway]]\nid = \"g\"\nulr = \"ws://127.0.0.1:1/\"\n", false);
        assert_eq!(outcome.unwrap(), PROBLEM);
        assert!(notes.contains("x.toml:3:") && notes.contains("url"), "{notes}");
        let (outcome, printed, _) = check("x.toml", "[policy.default]\ncooldwon = \"1s\"\n", true);
        assert_eq!(outcome.unwrap(), PROBLEM);
        let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (&json["files"][0]["ok"], &json["files"][0]["problems"][0]["line"]),
            (&false.into(), &2.into())
        );
    }

    #[test]
    fn what_is_fine_is_said_to_be() {
        let (outcome, printed, _) = check("x.toml", "[api]\nlisten = \"127.0.0.1:7600\"\n", false);
        assert_eq!(outcome.unwrap(), 0);
        assert!(printed.ends_with("x.toml: fine (controller)\n"), "{printed}");
        let (outcome, _, _) = check("x.toml", "[telemetry]\n", false);
        assert_eq!(outcome.unwrap_err().exit_code(), crate::failure::USAGE);
        let (outcome, _, _) = check("policy.toml", "not TOML", false);
        assert_eq!(outcome.unwrap(), PROBLEM);
    }
}
