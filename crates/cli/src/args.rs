//! The command line: what holds for every command, and the help of the whole.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mooring_core::cause::Lang;
use mooring_runtime::config::HumanDuration;

use crate::commands::Command;

/// Where the controller is when nobody says otherwise.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7600";

const AFTER_HELP: &str = "\
Examples:
  mooring up --demo                              everything on this machine, with gateways that misbehave
  mooring status                                 the fleet in a few numbers
  mooring instances --worst                      the sickest first
  mooring explain chat/acct-1                    why is it so, and what comes next
  mooring sessions chat                          its real sessions, the worst first
  mooring reconnect chat/acct-1 --reason \"stale\" --wait
  mooring close chat/r1f --reason \"half open\"     one session; its peer connects anew
  mooring pause --group lab --for 30m --reason \"maintenance\"
  mooring events --follow

Names: a full resource name (agents/a/gateways/g/instances/i), or its end where that is unambiguous (g, g/i, a/g/i);
so for sessions (r1f, g/r1f, a/g/r1f).

Exit codes:
  0     well
  1     a problem was found: an order failed, a configuration is refused, `status --exit-code` found something sick
  2     wrong usage
  3     the controller cannot be reached
  64+n  the controller refused with gRPC status n: 67 INVALID_ARGUMENT, 69 NOT_FOUND, 71 PERMISSION_DENIED,
        72 RESOURCE_EXHAUSTED, 73 FAILED_PRECONDITION, 78 UNAVAILABLE, 80 UNAUTHENTICATED, ... (as grpcurl does)
A reader that closes the pipe early (`| head`) ends a command quietly with 0.";

/// Keeps fleets of WebSocket gateways connected: look at them, mend them, hold Mooring back.
#[derive(Debug, Parser)]
#[command(name = "mooring", version, after_help = AFTER_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Globals {
    /// The controller's operator API, http://host:port or https://host:port.
    #[arg(long, global = true, env = "MOORING_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    pub(crate) server: String,
    /// A file that holds the operator's token (one line). Tokens are never taken from the command line.
    #[arg(long, global = true, env = "MOORING_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Authorities to trust instead of the system's (PEM), for https.
    #[arg(long, global = true, env = "MOORING_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The name the controller's certificate must carry, where it differs from the URL's.
    #[arg(long, global = true, env = "MOORING_SERVER_NAME", value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// Send the token over plain http to another machine, where everybody on the way can read it.
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// How long one call may take. Default: 10s, and 20s where agents are asked.
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) timeout: Option<HumanDuration>,
    /// How answers are shown: json is the proto3 mapping, the same as grpcurl's.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Language of the words: en or zh-CN. Default: from LC_ALL, LC_MESSAGES or LANG.
    #[arg(long, global = true, value_parser = lang, value_name = "LANG")]
    pub(crate) lang: Option<Lang>,
    /// No colours. NO_COLOR=1 does the same; they are used on terminals only.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Say more on standard error: request ids, retries.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: short names, relative times.
    Table,
    /// For people with wide screens: full names, exact times, more columns.
    Wide,
    /// The proto3 JSON mapping; streams print one object a line.
    Json,
    /// Resource names, one a line.
    Name,
}

fn lang(text: &str) -> Result<Lang, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "en" | "en-us" | "en-gb" => Ok(Lang::En),
        "zh" | "zh-cn" | "zh-hans" | "zh-hans-cn" => Ok(Lang::ZhCn),
        _ => Err(format!("`{text}` is not a language Mooring speaks: en or zh-CN")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("mooring").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in Cli::command().get_subcommands().filter(|c| c.get_name() != "help") {
            assert!(command.get_about().is_some(), "{} has no about", command.get_name());
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                after.contains(&format!("mooring {}", command.get_name())),
                "{}: no example",
                command.get_name()
            );
        }
    }

    #[test]
    fn globals_may_stand_behind_the_command() {
        let cli =
            parse("instances --worst -o json --server http://example:1 --lang zh_CN --timeout 3s").unwrap();
        assert_eq!(cli.globals.output, Format::Json);
        assert_eq!(cli.globals.server, "http://example:1");
        assert_eq!(cli.globals.lang, Some(Lang::ZhCn));
        assert_eq!(cli.globals.timeout, Some(HumanDuration::from_secs(3)));
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        for wrong in [
            "",
            "nonsense",
            "reconnect chat",
            "restart --reason x",
            "pause --for 10m --reason x",
            "pause --all --group lab --for 10m --reason x",
            "pause --all --for 10 --reason x",
            "status --lang klingon",
            "status --timeout 10",
            "instances --limit 0",
            "orders cancel",
            "config check",
            "sessions --sort loudest",
            "sessions --closes --counts",
            "sessions --watch --closes",
            "sessions --every 5s",
            "sessions --since 1h",
            "sessions --limit 0",
            "close --reason x",
            "close r1",
            "close r1 --all chat --reason x",
            "close r1 --over 60s --reason x",
            "drain --reason x",
            "drain chat",
            "resume chat",
            "doctor",
            "doctor --from chat --header x:y",
        ] {
            let error = parse(wrong).err().unwrap_or_else(|| panic!("`{wrong}` was taken"));
            assert_eq!(error.exit_code(), i32::from(crate::failure::USAGE), "{wrong}");
        }
    }

    #[test]
    fn what_the_readme_shows_is_taken() {
        for right in [
            "status",
            "status --exit-code",
            "agents -o wide",
            "gateways --filter kind=\"websocket\"",
            "instances chat/acct-1 -o json",
            "instances --worst --limit 5",
            "orders",
            "orders cancel 0192-abc --reason late",
            "orders 0192abcdef",
            "reconnect chat/acct-1 --reason stale --slowly --dry-run",
            "restart chat --reason stuck --yes --wait",
            "sessions",
            "sessions chat --sort rtt --limit 5 -o wide",
            "sessions chat --watch --every 5s -o json",
            "sessions chat/r1f --closes --since 1h",
            "sessions --counts",
            "close chat/r1f --reason stale --wait",
            "close r1 r2 --reason stale --yes",
            "close --all chat --over 60s --reason stale --dry-run",
            "drain chat --over 5m --reason work --yes",
            "resume chat --reason done",
            "pause --all --for 10m --reason storm",
            "pause --group lab --for 1h30m --reason work",
            "pause chat --for 10m --reason work",
            "pauses",
            "unpause 0192",
            "events --follow --since 1h",
            "explain chat/acct-1",
            "explain --causes --lang zh-CN",
            "policies",
            "policies default -o json",
            "watch",
            "config check --controller a.toml --agent b.toml --policy c.toml",
            "config check x.toml",
            "completion zsh",
            "up --demo --api 127.0.0.1:0",
            "version",
            "doctor chat",
            "doctor --from host-a wss://chat.example/ws --watch 90s",
            "doctor --from agents/a/gateways/chat -o json",
        ] {
            if let Err(error) = parse(right) {
                panic!("`{right}`: {error}");
            }
        }
    }
}
