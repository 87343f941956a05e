//! The process around the sample gateway: flags, the line that says where it listens, signals, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use mooring_sample_gateway::{EXIT_DIED, Ended, Gateway, Options, Verb};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    // Without a word about its own errors: they would go to stderr too, and a panic over a reader of the log who has
    // left would be a fault nobody ordered.
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
    // Before the line is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut heal = signal(SignalKind::user_defined1())?;
    let mut gateway = Gateway::start(options).await?;
    announce(&gateway)?;
    loop {
        tokio::select! {
            ended = gateway.wait() => return Ok(match ended? {
                Ended::Terminated => ExitCode::SUCCESS,
                Ended::Died => ExitCode::from(EXIT_DIED),
            }),
            _ = terminate.recv() => gateway.terminate(),
            _ = interrupt.recv() => gateway.terminate(),
            _ = heal.recv() => gateway.apply(&Verb::Heal),
        }
    }
}

/// One line of JSON, flushed: stdout may be a pipe.
fn announce(gateway: &Gateway) -> std::io::Result<()> {
    let line =
        serde_json::json!({ "listening": gateway.local_addr().to_string(), "pid": std::process::id() });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
