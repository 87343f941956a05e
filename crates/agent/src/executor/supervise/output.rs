//! A gateway's output: a file it appends to, cut down by the agent, of which the last part is at hand.
//!
//! The process holds the file open for appending, so it can be emptied under it: the next line is written at the new
//! end. While no agent runs nobody cuts it; that is the price of output that neither blocks nor kills its writer. What is
//! written between reading the end and emptying the file is lost. The file of the run before is kept beside it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tracing::Level;

use crate::executor::tail::{Tail, to_text};

/// The file is emptied when it is longer than this (bytes), or than four times the tail that is wanted.
const MAX_FILE: u64 = 1024 * 1024;

/// At most so much of a burst of output (bytes) goes to the log, and a longer line is cut.
const MAX_LOGGED: u64 = 64 * 1024;

/// One gateway's output.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: Option<File>,
    limit: usize,
    /// What the file held when it was last emptied.
    before: Tail,
    logged: u64,
}

impl Output {
    pub(super) fn new(path: PathBuf, limit: usize) -> Self {
        Self { path, file: None, limit, before: Tail::new(limit), logged: 0 }
    }

    /// A fresh file for a new run: what its standard output and standard error are to be.
    ///
    /// Where no file can be made the output goes nowhere: a full disk must not keep a gateway from running.
    pub(super) fn begin(&mut self, limit: usize) -> (Stdio, Stdio) {
        *self = Self::new(std::mem::take(&mut self.path), limit);
        match self.create() {
            Ok(pair) => pair,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "a gateway's output cannot be kept");
                (Stdio::null(), Stdio::null())
            }
        }
    }

    fn create(&mut self) -> io::Result<(Stdio, Stdio)> {
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        match fs::rename(&self.path, self.path.with_extension("out.1")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::options().read(true).append(true).create_new(true).mode(0o600).open(&self.path)?;
        let pair = (file.try_clone()?.into(), file.try_clone()?.into());
        self.file = Some(file);
        Ok(pair)
    }

    /// Takes up the file of a process that was adopted.
    pub(super) fn resume(&mut self) {
        match File::options().read(true).append(true).open(&self.path) {
            Ok(file) => {
                self.logged = file.metadata().map_or(0, |m| m.len());
                self.file = Some(file);
            }
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the output of an adopted gateway is lost");
            }
        }
    }

    /// Logs what is new and cuts the file down. Called once a second; reads from the page cache.
    pub(super) fn tend(&mut self, gateway: &str) {
        if let Err(error) = self.try_tend(gateway) {
            tracing::debug!(gateway, %error, "a gateway's output cannot be read");
        }
    }

    fn try_tend(&mut self, gateway: &str) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let length = file.metadata()?.len();
        if tracing::enabled!(Level::DEBUG) && length > self.logged {
            let from = self.logged.max(length.saturating_sub(MAX_LOGGED));
            for line in to_text(&read(file, from, length)?, from > self.logged).lines() {
                tracing::debug!(gateway, "{line}");
            }
        }
        self.logged = length;
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        if length > MAX_FILE.max(limit.saturating_mul(4)) {
            let kept = read(file, length.saturating_sub(limit), length)?;
            file.set_len(0)?;
            self.before.push(&kept);
            self.before.mark_cut();
            self.logged = 0;
        }
        Ok(())
    }

    /// The last of what was printed, as text that may be shown in a terminal.
    pub(super) fn tail(&self) -> String {
        let Some(file) = &self.file else { return String::new() };
        let end = file.metadata().map_or(0, |m| m.len());
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let last = read(file, end.saturating_sub(limit), end).unwrap_or_default();
        if end > limit {
            return to_text(&last, true);
        }
        let mut tail = self.before.clone();
        tail.push(&last);
        tail.text()
    }
}

/// The bytes of a file from one offset to another, or as many as there still are.
fn read(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        let offset = from + u64::try_from(filled).unwrap_or(0);
        match file.read_at(&mut bytes[filled..], offset) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_grows_is_cut_and_its_end_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.out");
        let mut output = Output::new(path.clone(), 8);
        drop(output.begin(8));
        // What the process holds: the same file, open for appending.
        let mut writer = File::options().append(true).open(&path).unwrap();
        writer.write_all(&vec![b'x'; usize::try_from(MAX_FILE).unwrap()]).unwrap();
        writer.write_all(b"12345678").unwrap();
        assert_eq!(output.tail(), "…12345678");
        output.tend("chat");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(output.tail(), "…12345678", "that it was cut must still be seen");
        writer.write_all(b"abc").unwrap();
        output.tend("chat");
        assert_eq!(output.tail(), "…45678abc");
        // The next run begins anew; the last one's file stays beside it.
        drop(output.begin(8));
        assert_eq!(output.tail(), "");
        assert_eq!(fs::read(folder.path().join("chat.out.1")).unwrap(), b"abc");
    }

    #[test]
    fn without_a_file_there_is_no_output_but_no_failure_either() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let mut output = Output::new(folder.path().join("file/chat.out"), 8);
        drop(output.begin(8));
        output.tend("chat");
        assert_eq!(output.tail(), "");
    }
}
