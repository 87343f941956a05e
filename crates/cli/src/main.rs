//! `mooring`: see the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    mooring_cli::main()
}
