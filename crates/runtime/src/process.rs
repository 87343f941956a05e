//! The frame of a `main`: arguments, configuration, telemetry, supervisor, exit code.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use mooring_runtime::config::{Problem, Validate};
//! use mooring_runtime::lifecycle::{Kind, Stage};
//! use mooring_runtime::process::{self, ConfigArgs, Process};
//! use mooring_runtime::telemetry::{ServiceInfo, TelemetryConfig};
//!
//! #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     telemetry: TelemetryConfig,
//! }
//!
//! impl Validate for Settings {
//!     fn validate(&self) -> Vec<Problem> {
//!         self.telemetry.problems("telemetry")
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     let args = ConfigArgs::default(); // flattened into the binary's clap arguments
//!     process::main(async move {
//!         let settings = args.load::<Settings>("MOORING_EXAMPLE")?.value;
//!         let service = ServiceInfo::new("mooring-example", env!("CARGO_PKG_VERSION"));
//!         let process = Process::start(&service, &settings.telemetry, Duration::from_secs(30))?;
//!         process.supervisor.spawn(Stage::Work, Kind::Critical, "work", |tokens| async move {
//!             tokens.soft.cancelled().await;
//!         });
//!         Ok(process.run().await?)
//!     })
//! }
//! ```

use std::error::Error;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::config::{self, ConfigError, Loaded, Sources, Validate};
use crate::health::Readiness;
use crate::lifecycle::{ExitReport, Supervisor, error_chain};
use crate::telemetry::{self, FlushReport, ServiceInfo, Telemetry, TelemetryConfig, TelemetryError};

/// The exit code for a configuration that was refused (`EX_CONFIG` of sysexits.h), so that supervisors can tell it from
/// a crash and need not restart.
pub const EXIT_CONFIG: u8 = 78;

/// How long telemetry may be flushed at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// How long the runtime may wait for blocking work at the very end.
const RUNTIME_END: Duration = Duration::from_secs(1);

/// The arguments every process that has a configuration takes; flatten it into the binary's own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one setting; may be given several times. Wins over the environment and the file.
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// Loads the configuration from the file, this process's environment (variables `PREFIX__…`) and the overrides.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn load<T: DeserializeOwned + Validate>(&self, env_prefix: &str) -> Result<Loaded<T>, ConfigError> {
        // `vars()` panics on a variable that is not UTF-8, even one that is none of our business.
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        config::load(Sources { file: self.config.clone(), env_prefix, env, overrides: &self.set })
    }
}

/// A process under way: telemetry, readiness, and the supervisor to give tasks to.
#[derive(Debug)]
pub struct Process {
    /// Logs, traces and metrics.
    pub telemetry: Telemetry,
    /// What `/readyz` says. It turns not ready by itself when the shutdown begins.
    pub readiness: Readiness,
    /// Runs the tasks.
    pub supervisor: Supervisor,
}

impl Process {
    /// Sets up telemetry, the TLS provider and a supervisor with this grace period. Once per process, inside the runtime.
    ///
    /// # Errors
    ///
    /// When telemetry's settings are wrong.
    pub fn start(
        service: &ServiceInfo,
        config: &TelemetryConfig,
        grace: Duration,
    ) -> Result<Self, TelemetryError> {
        crate::tls::install_provider();
        let telemetry = telemetry::init(config, service)?;
        tracing::info!(service = %service.name, version = %service.version, instance = %service.instance_id, "starting");
        // After telemetry: its counters belong to the provider that is global when they are made.
        Ok(Self { telemetry, readiness: Readiness::new(), supervisor: Supervisor::new(grace) })
    }

    /// Runs to the end, flushes telemetry, and says how it went.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub async fn run(self) -> std::io::Result<ExitReport> {
        let draining = self.supervisor.handle().draining();
        let flag = self.readiness.flag("shutdown");
        flag.ready();
        let not_ready = async {
            draining.cancelled().await;
            flag.not_ready("shutting down");
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = self.supervisor.run() => outcome,
            never = not_ready => never,
        };
        match self.telemetry.shutdown(FLUSH).await {
            FlushReport::Flushed => {}
            FlushReport::Failed(errors) => tracing::warn!(?errors, "some telemetry could not be sent"),
            FlushReport::TimedOut(signals) => tracing::warn!(?signals, "telemetry was not sent in time"),
        }
        outcome
    }
}

/// Whatever ended a `main` early.
pub type MainError = Box<dyn Error + Send + Sync>;

/// Runs `main` on a new multi-threaded runtime and turns its outcome into an exit code: the report's, or
/// [`EXIT_CONFIG`] for a refused configuration, or 1 for any other error. Errors are printed to standard error.
pub fn main<F>(main: F) -> ExitCode
where
    F: Future<Output = Result<ExitReport, MainError>>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(main);
    // Dropping the runtime would wait for blocking work without limit.
    runtime.shutdown_timeout(RUNTIME_END);
    match outcome {
        Ok(report) => ExitCode::from(&report),
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    // Standard error may be closed; there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{}", error_chain(error));
    ExitCode::from(if error.is::<ConfigError>() { EXIT_CONFIG } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problem;
    use crate::lifecycle::{Cause, Kind, Stage};

    #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        telemetry: TelemetryConfig,
    }

    impl Validate for Settings {
        fn validate(&self) -> Vec<Problem> {
            self.telemetry.problems("telemetry")
        }
    }

    fn exit(set: &[&str], task: &'static str) -> (ExitCode, Option<ExitReport>) {
        let args = ConfigArgs { config: None, set: set.iter().map(|text| (*text).to_owned()).collect() };
        let mut kept = None;
        let code = main(async {
            let settings = args.load::<Settings>("MOORING_RUNTIME_TEST")?.value;
            let service = ServiceInfo::new("mooring-test", "0");
            let process = Process::start(&service, &settings.telemetry, Duration::from_secs(60))?;
            let readiness = process.readiness.clone();
            process.supervisor.spawn(Stage::Work, Kind::Critical, task, move |_| async move {
                readiness.ready().await;
            });
            let report = process.run().await?;
            kept = Some(report.clone());
            Ok(report)
        });
        (code, kept)
    }

    /// One test, since a process can set up its telemetry only once.
    #[test]
    fn the_exit_code_says_how_it_went() {
        let _alone = crate::lifecycle::tests::REAL_SIGNALS.blocking_lock();
        let refused = exit(&["telemetry.sample_ratio=2"], "never runs");
        assert_eq!(refused, (ExitCode::from(EXIT_CONFIG), None));
        let (code, report) = exit(&["telemetry.log_filter=off"], "ends although critical");
        assert_eq!(code, ExitCode::from(1));
        assert_eq!(report.unwrap().cause, Cause::Task("ends although critical".into()));
        let twice = exit(&["telemetry.log_filter=off"], "never runs");
        assert_eq!(twice, (ExitCode::from(1), None));
    }
}
