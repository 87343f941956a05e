//! Running other programs, with errors that name the command line: what a person would have to type to see it again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The command line as one would type it there: arguments with spaces quoted, programs inside the folder it runs in by their
/// relative path, and cargo not by the full path it knows itself by.
pub fn shown(command: &Command) -> String {
    let path = Path::new(command.get_program());
    let program = match (path.file_name(), command.get_current_dir().map(|folder| path.strip_prefix(folder)))
    {
        (Some(name), _) if name == "cargo" => name,
        (_, Some(Ok(relative))) => relative.as_os_str(),
        _ => path.as_os_str(),
    };
    let words = std::iter::once(program).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.is_empty() || word.contains([' ', '\'', '"', '$', '*', '?']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs a command on our terminal, without input, and fails when it fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command silently and gives its standard output; a failure carries everything it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({})\n{text}{errors}", shown(command), output.status);
    }
    Ok(text)
}

/// Whether a command can be started and succeeds. Its output is thrown away.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a command, passing its standard output on line by line while `watch` sees each line.
///
/// Gives whether it succeeded, so that the caller can add what it saw to the error.
pub fn watched(command: &mut Command, mut watch: impl FnMut(&str)) -> anyhow::Result<bool> {
    println!("$ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let stdout = child.stdout.take().context("a piped child has a standard output")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the output of a child")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        watch(&line);
    }
    Ok(child.wait()?.success())
}

/// Becomes the given program: same process, same terminal, so Ctrl-C and the exit code need no forwarding.
///
/// Returns only when the program cannot be started.
pub fn become_program(command: &mut Command) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;

    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shown(command)))
}

/// Where `PATH` has a program, if it does.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_as_it_is_typed() {
        let mut command = Command::new("psql");
        command.args(["-c", "select 1", ""]);
        assert_eq!(shown(&command), "psql -c 'select 1' ''");
        assert_eq!(shown(Command::new("/opt/rust/bin/cargo").arg("fmt")), "cargo fmt");
        assert_eq!(shown(Command::new("/here/tools/buf").arg("lint").current_dir("/here")), "tools/buf lint");
    }

    #[test]
    fn a_failure_carries_what_was_printed() {
        let error = output(Command::new("sh").args(["-c", "echo seen; echo why >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("seen") && error.contains("why") && error.contains("3"), "{error}");
    }

    #[test]
    fn each_line_is_watched_and_failure_is_told() {
        let mut lines = Vec::new();
        let ok = watched(Command::new("sh").args(["-c", "echo a; echo b; exit 1"]), |line| {
            lines.push(line.to_owned())
        });
        assert!(!ok.unwrap());
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }
}
