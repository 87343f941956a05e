//! The server's log file.
//!
//! Everything the server prints goes to `<data_dir>/postgres.log`. A start moves the old file to `postgres.log.1`, so at
//! most two are kept, and the last crash can be read after the restart that followed it. The settings keep the file from
//! growing with traffic (see `options.rs`).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::{Error, io};

/// How much of the log's end is read for an error, in bytes.
const TAIL_BYTES: u64 = 8 * 1024;

/// How many of its lines are shown.
const TAIL_LINES: usize = 20;

/// Moves the old log aside and opens a new one.
pub(super) fn rotate(path: &Path) -> Result<File, Error> {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    match std::fs::rename(path, older) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io("move aside the log", path)(error));
        }
        _ => {}
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(io("open the log", path))
}

/// The last lines of the log; a sentence instead when it cannot be read.
pub(super) fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut end = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut end)?;
        Ok(end)
    };
    match read() {
        Ok(end) => last_lines(&end),
        Err(error) => format!("(the log cannot be read: {error})"),
    }
}

/// The last lines of what a program printed.
pub(super) fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "(nothing)".to_owned();
    }
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
