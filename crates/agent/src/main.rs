//! `mooring-agent`: see [`mooring_agent::cli`].

fn main() -> std::process::ExitCode {
    mooring_agent::cli::main()
}
