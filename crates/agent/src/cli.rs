//! The command line of `mooring-agent`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mooring_runtime::config::{ConfigError, Loaded, effective};
use mooring_runtime::health::HealthServer;
use mooring_runtime::lifecycle::{ExitReport, Kind, Stage};
use mooring_runtime::process::{self, ConfigArgs, MainError, Process};
use mooring_runtime::telemetry::ServiceInfo;

use crate::app::{self, Options};
use crate::config::{AgentConfig, ENV_PREFIX};

/// Where the configuration is, unless it is said.
pub const DEFAULT_FILE: &str = "/etc/mooring/agent.toml";

/// Watches WebSocket gateways, reports to a Mooring controller and carries out its orders.
///
/// Settings come from a TOML file, from variables MOORING_AGENT__SECTION__KEY, and from --set, the later ones winning.
/// SIGHUP reads them again without dropping the watch on anything they leave unchanged; SIGTERM ends in order.
#[derive(Debug, Parser)]
#[command(name = "mooring-agent", version, after_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    source: SourceArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER: &str = "Without --config, /etc/mooring/agent.toml is read if it is there.

Exit codes: 0 ok, 1 a problem (said on standard error), 2 wrong usage, 78 the configuration was refused.

Examples:
  mooring-agent --config agent.toml
  mooring-agent --config agent.toml --set controller.addresses='[\"http://127.0.0.1:7601\"]'
  mooring-agent config check agent.toml";

#[derive(Debug, Clone, Default, Args)]
struct SourceArgs {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Overrides one setting; may be given several times. Wins over the environment and the file.
    #[arg(long = "set", value_name = "KEY.PATH=VALUE", global = true)]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch and report (the default).
    Run {
        /// Take over from the agent that works with the same data folder: it hands its relays' listeners and its gateways
        /// to this one, drains its sessions and ends. For upgrades that cut nothing at once.
        #[arg(long)]
        takeover: bool,
    },
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say what is wrong with a configuration, with file, line and the likely meant key. Looks at nothing but the file,
    /// the environment and --set.
    Check {
        /// The file; the same as --config.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the settings in force, defaults included, as TOML. Secrets are in files and are not shown.
    Show,
}

impl SourceArgs {
    fn load(&self) -> Result<Loaded<AgentConfig>, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        let config = self.config.clone().or_else(|| default.exists().then(|| default.to_owned()));
        ConfigArgs { config, set: self.set.clone() }.load(ENV_PREFIX)
    }
}

/// The whole of `main`.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends in here with 2, help and version with 0.
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run { takeover: false }) {
        Command::Run { takeover } => process::main(Box::pin(run(cli.source, takeover))),
        Command::Config(ConfigCommand::Check { file }) => {
            let source = SourceArgs { config: file.or(cli.source.config), set: cli.source.set };
            say(source.load().map(|loaded| match loaded.file {
                Some(file) => format!("{}: ok (gateways: {})\n", file.display(), loaded.value.gateways.len()),
                None => format!("ok, without a file (gateways: {})\n", loaded.value.gateways.len()),
            }))
        }
        Command::Config(ConfigCommand::Show) => say(cli.source.load().map(|loaded| effective(&loaded.value))),
    }
}

fn say(outcome: Result<String, ConfigError>) -> ExitCode {
    // If the output is closed, the exit code still says how it went.
    match outcome {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(source: SourceArgs, takeover: bool) -> Result<ExitReport, MainError> {
    let loaded = source.load()?;
    let service = ServiceInfo::new("mooring-agent", env!("CARGO_PKG_VERSION"));
    let process = Process::start(&service, &loaded.value.telemetry, app::grace(&loaded.value))?;
    if let Some(file) = &loaded.file {
        tracing::info!(file = %file.display(), "configuration");
    } else {
        tracing::warn!("no configuration file: {DEFAULT_FILE} is not there and --config was not given");
    }
    let registry = process.telemetry.registry();
    let handle = process.supervisor.handle();
    let (listen, readiness) = (loaded.value.health.listen, process.readiness.clone());
    let options = Options {
        reread: Some(Arc::new(move || source.load())),
        readiness: Some(process.readiness.clone()),
        takeover,
        ..Options::new(loaded.value)
    };
    let bind = || HealthServer::bind(listen, readiness.clone(), registry.clone());
    let taken = |e: std::io::Error| format!("health.listen = {listen}: cannot listen there: {e}");
    // Another agent's page goes with everything else of it, and must be gone before ours can be there.
    let early = if takeover { None } else { Some(bind().await.map_err(taken)?) };
    app::start(options, &handle).await?;
    let health = match early {
        Some(health) => health,
        None => when_free(bind).await.map_err(taken)?,
    };
    handle.spawn(Stage::Storage, Kind::Critical, "health", move |tokens| health.serve(tokens));
    Ok(process.run().await?)
}

/// How long another agent may take to give its page up.
const PAGE: Duration = Duration::from_secs(30);

/// Binds as soon as nobody else has the address.
async fn when_free<F: Future<Output = std::io::Result<HealthServer>>>(
    bind: impl Fn() -> F,
) -> std::io::Result<HealthServer> {
    let until = tokio::time::Instant::now() + PAGE;
    loop {
        match bind().await {
            Err(_) if tokio::time::Instant::now() < until => tokio::time::sleep(PAGE / 300).await,
            bound => return bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        for args in [
            &["mooring-agent"][..],
            &["mooring-agent", "--config", "a.toml", "run"],
            &["mooring-agent", "run", "--config", "a.toml", "--set", "a.b=1", "--set", "c=2"],
            &["mooring-agent", "config", "check", "a.toml"],
            &["mooring-agent", "config", "show", "--config", "a.toml"],
        ] {
            Cli::try_parse_from(args).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        }
        assert!(Cli::try_parse_from(["mooring-agent", "wach"]).is_err());
    }
}
