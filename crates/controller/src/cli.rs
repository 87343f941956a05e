//! The command line of `mooring-controller`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mooring_runtime::config::{ConfigError, Loaded, effective};
use mooring_runtime::process::{self, ConfigArgs, Process};
use mooring_runtime::telemetry::ServiceInfo;

use crate::config::ControllerConfig;
use crate::{app, policies};

/// Prefix of the environment's settings.
pub const ENV_PREFIX: &str = "MOORING_CONTROLLER";

/// The controller of Mooring: keeps the state of every instance, works out what is wrong, and orders repairs.
///
/// Settings come from the file, then the environment (`MOORING_CONTROLLER__API__LISTEN=…`), then `--set api.listen=…`,
/// the later ones winning. SIGHUP reads the policy file, tokens and certificates again; SIGTERM stops in order.
#[derive(Debug, Parser)]
#[command(name = "mooring-controller", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 stopped in order, 1 failed, 2 wrong usage, 78 configuration refused.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller (the default).
    Run,
    /// Look at a configuration without running anything.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a configuration, and the policy file it names: every problem with file, line and the likely meant key.
    Check {
        /// The file; otherwise that of `--config`.
        file: Option<PathBuf>,
    },
    /// Print the settings in force, defaults included. Secrets are files and are not read.
    Show {
        /// The file; otherwise that of `--config`.
        file: Option<PathBuf>,
    },
}

/// Loads the configuration as `args` say.
///
/// # Errors
/// With every problem found.
pub fn load(args: &ConfigArgs) -> Result<Loaded<ControllerConfig>, ConfigError> {
    args.load(ENV_PREFIX)
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let with = |file: Option<PathBuf>| ConfigArgs {
        config: file.or(cli.config.config.clone()),
        ..cli.config.clone()
    };
    match cli.command {
        None | Some(Command::Run) => run(cli.config),
        Some(Command::Config { what: ConfigCommand::Check { file } }) => say(check(&with(file))),
        Some(Command::Config { what: ConfigCommand::Show { file } }) => {
            say(load(&with(file)).map(|c| effective(&c.value)))
        }
    }
}

/// Checks a configuration and the policy file it names.
///
/// # Errors
/// With every problem found.
pub fn check(args: &ConfigArgs) -> Result<String, ConfigError> {
    let loaded = load(args)?;
    if let Some(path) = &loaded.value.policy_file {
        policies::read(path)?;
    }
    let file = args.config.as_ref().map_or_else(|| "the defaults".to_owned(), |f| f.display().to_string());
    Ok(format!("{file}: fine\n"))
}

fn say(result: Result<String, ConfigError>) -> ExitCode {
    use std::io::Write as _;
    match result {
        Ok(text) => {
            // A reader that has gone away is not an error of the check.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "{e}");
            ExitCode::from(process::EXIT_CONFIG)
        }
    }
}

fn run(args: ConfigArgs) -> ExitCode {
    process::main(async move {
        let config = load(&args)?;
        let service = ServiceInfo::new("mooring-controller", env!("CARGO_PKG_VERSION"));
        let process = Process::start(&service, &config.value.telemetry, config.value.shutdown_grace.get())?;
        let handle = process.supervisor.handle();
        let registry = process.telemetry.registry();
        let readiness = process.readiness.clone();
        // Under the supervisor, so that what a failing start has begun is ended in order, too.
        let started = app::start(config, &handle, &readiness, registry).await;
        let failed = started.err().map(|e| {
            handle.shutdown("the controller did not start");
            Box::new(e) as Box<dyn Error + Send + Sync>
        });
        let report = process.run().await?;
        match failed {
            Some(e) => Err(e),
            None => Ok(report),
        }
    })
}
