//! `mooring`: the operator's command, and the whole of Mooring on one machine (`mooring up`).
//!
//! A command is one file in `commands` and one line of registration there. It gets its arguments and a `Context`, asks
//! the controller through `client`, and shows the answer through `show`. What is shown is made by pure functions from
//! the answer, the language, the width and the time, so that it can be tested as text; JSON is the proto3 mapping of
//! the very message that came, so that scripts written for `grpcurl` carry over.
//!
//! Errors go one way: a `Failure` knows its words and its exit code, and is printed in one place, here.

mod args;
mod client;
mod commands;
mod context;
mod failure;
mod show;
mod target;
mod terminal;
mod text;
mod up;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use args::Cli;
use context::Context;

/// How long blocking work may hold up the end of the process.
const RUNTIME_END: Duration = Duration::from_millis(500);

/// The command line as clap knows it, for completions, manuals and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// Runs a command line (the first argument is the program's name) and gives the exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" to clap, too. A reader that has gone away is no reason to complain.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(failure::USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mooring: cannot start: {error}");
            return failure::PROBLEM;
        }
    };
    let context = Context::of_process(cli.globals);
    let code = match runtime.block_on(Box::pin(cli.command.run(&context))) {
        Ok(code) => code,
        Err(failure) => {
            if let Some(words) = failure.words(context.lang()) {
                let _ = writeln!(std::io::stderr(), "{}", words.trim_end());
            }
            failure.exit_code()
        }
    };
    runtime.shutdown_timeout(RUNTIME_END);
    code
}
