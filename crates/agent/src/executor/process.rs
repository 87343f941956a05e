//! What the executors that run programs share: the environment passed on, process groups, signals, how a process ended.
//!
//! Every program runs in a process group of its own. A Ctrl-C in a terminal then reaches the agent alone, which ends its
//! gateways in order, and a kill reaches what the program itself has started: a wrapper script killed without its
//! gateway would leave a second copy behind.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// A file with environment variables longer than this (bytes) is taken for the wrong file.
const MAX_ENV_FILE: u64 = 256 * 1024;

/// The agent's own variables, which are nobody else's business: its settings, systemd's sockets, credentials.
const OURS: [&str; 5] = ["MOORING_", "LISTEN_", "WATCHDOG_", "NOTIFY_SOCKET", "OTEL_EXPORTER_OTLP_HEADERS"];

/// How a process ended, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exited with code {code}"),
            (None, Some(signal)) => match signal_name(signal) {
                Some(name) => write!(f, "was killed by {name} ({signal})"),
                None => write!(f, "was killed by signal {signal}"),
            },
            (None, None) => {
                f.write_str("ended; how is not known, since it was started by an earlier run of the agent")
            }
        }
    }
}

/// Signals with their names: what is reported, and (the first five) what may be configured.
const SIGNALS: [(&str, Signal); 12] = [
    ("SIGTERM", Signal::TERM),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGHUP", Signal::HUP),
    ("SIGUSR1", Signal::USR1),
    ("SIGKILL", Signal::KILL),
    ("SIGSEGV", Signal::SEGV),
    ("SIGABRT", Signal::ABORT),
    ("SIGBUS", Signal::BUS),
    ("SIGILL", Signal::ILL),
    ("SIGFPE", Signal::FPE),
    ("SIGPIPE", Signal::PIPE),
];

fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number).map(|(name, _)| *name)
}

/// The signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StopSignal {
    /// The usual one.
    #[default]
    #[serde(rename = "SIGTERM")]
    Term,
    /// What Ctrl-C sends.
    #[serde(rename = "SIGINT")]
    Int,
    /// For servers that drain on it.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// For programs that end when their terminal does.
    #[serde(rename = "SIGHUP")]
    Hup,
    /// For programs that define it so.
    #[serde(rename = "SIGUSR1")]
    Usr1,
}

impl StopSignal {
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::Hup => Signal::HUP,
            Self::Usr1 => Signal::USR1,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(signal_name(self.signal().as_raw()).unwrap_or("a signal"))
    }
}

/// Sends a signal to every process of a group. A group that is gone is no error: that is mostly what was wanted.
pub(super) fn signal_group(leader: u32, signal: Signal) {
    signalled(leader, signal, rustix::process::kill_process_group);
}

/// Sends a signal to one process. One that is gone is no error.
pub(super) fn signal_process(pid: u32, signal: Signal) {
    signalled(pid, signal, rustix::process::kill_process);
}

fn signalled(pid: u32, signal: Signal, send: impl FnOnce(Pid, Signal) -> rustix::io::Result<()>) {
    let Some(known) = to_pid(pid) else { return };
    if let Err(error) = send(known, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(pid, ?signal, %error, "cannot signal a process");
    }
}

pub(super) fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// A program to run, in a group of its own, with the agent's environment less what is the agent's own.
///
/// # Errors
/// When the command is empty or a file with variables cannot be used.
pub(super) fn program(
    command: &[String],
    cwd: Option<&Path>,
    env: &BTreeMap<String, String>,
    env_files: &[PathBuf],
) -> Result<Command, String> {
    let (program, arguments) = command.split_first().ok_or("no program is configured")?;
    let mut out = Command::new(program);
    out.args(arguments).stdin(Stdio::null()).process_group(0);
    if let Some(cwd) = cwd {
        out.current_dir(cwd);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OURS.iter().any(|prefix| name.starts_with(prefix))) {
            out.env_remove(name);
        }
    }
    for file in env_files {
        out.envs(read_env_file(file)?);
    }
    out.envs(env);
    Ok(out)
}

fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, String> {
    let say = |why: String| format!("env file {}: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|e| say(e.to_string()))?.len();
    if size > MAX_ENV_FILE {
        return Err(say(format!("longer than {MAX_ENV_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| say(e.to_string()))?;
    parse_env(&text).map_err(|line| say(format!("line {line} is not NAME=value")))
}

/// `NAME=value` a line, taken as it is; empty lines and lines that begin with `#` are skipped. An error is the number of
/// the line, never its content, which may be secret.
fn parse_env(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if !name.trim_end().is_empty() && !line.contains('\0') => {
                found.push((name.trim_end().to_owned(), value.to_owned()));
            }
            _ => return Err(index + 1),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let exit = |code, signal| Exit { code, signal }.to_string();
        assert_eq!(exit(Some(3), None), "exited with code 3");
        assert_eq!(exit(None, Some(9)), "was killed by SIGKILL (9)");
        assert_eq!(exit(None, Some(63)), "was killed by signal 63");
        assert!(exit(None, None).contains("not known"));
    }

    #[test]
    fn env_files_are_taken_as_they_are() {
        let pairs = parse_env("# secret\n\nA=1\n  B = two = 2 \nC=\n").unwrap();
        let expected = [("A", "1"), ("B", " two = 2 "), ("C", "")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(parse_env("A=1\nhunter2\n"), Err(2));
    }
}
