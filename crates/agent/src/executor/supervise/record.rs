//! What must be known of a gateway's process after the agent's death, in one small file per gateway.
//!
//! It holds the process (with what tells it from another one of the same id) and the number of its run, which only ever
//! rises: orders are aimed at a run. A lost or unreadable file loses nothing that matters on Linux: a running gateway is
//! also found by the variables it was started with, and numbers of runs begin at the clock's.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mooring_core::id::Incarnation;
use serde::{Deserialize, Serialize};

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The last run.
    pub(super) incarnation: Option<Incarnation>,
    /// Its process, until it has ended.
    pub(super) process: Option<Process>,
}

/// A process that is not mistaken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: u32,
    /// When and in which boot it was started.
    pub(super) identity: String,
}

/// Where a record is kept.
#[derive(Debug, Clone)]
pub(super) struct RecordFile(PathBuf);

impl RecordFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What was recorded; nothing if there is no file, or none that can be understood.
    pub(super) fn read(&self) -> Record {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Record::default(),
            Err(error) => {
                tracing::warn!(file = %self.0.display(), %error, "the record of a gateway's process cannot be read");
                return Record::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(file = %self.0.display(), %error, "the record of a gateway's process is damaged and not used");
            Record::default()
        })
    }

    /// Replaces the record, durably and as a whole. Blocks for as long as the disk takes.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let next = self.0.with_extension("json.new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.0)?;
        File::open(folder)?.sync_all()
    }
}

/// The number of the next run: above the last, and no lower than the clock, so that a lost record does not lead to a
/// number that was used before.
pub(super) fn next(last: Option<Incarnation>, wall_micros: i64) -> Incarnation {
    let clock = u64::try_from(wall_micros).unwrap_or(0);
    Incarnation(last.map_or(0, |last| last.0).saturating_add(1).max(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_outlives_its_writer_and_damage_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile::new(folder.path().join("new/chat.json"));
        assert_eq!(file.read(), Record::default());
        let record = Record {
            incarnation: Some(Incarnation(7)),
            process: Some(Process { pid: 42, identity: "boot:1".to_owned() }),
        };
        file.write(&record).unwrap();
        assert_eq!(file.read(), record);
        fs::write(folder.path().join("new/chat.json"), "{\"incarn").unwrap();
        assert_eq!(file.read(), Record::default());
    }

    #[test]
    fn runs_are_numbered_upwards_whatever_the_clock_says() {
        assert_eq!(next(None, 1_000), Incarnation(1_000));
        assert_eq!(next(Some(Incarnation(1_000)), 500), Incarnation(1_001));
        assert_eq!(next(None, -5), Incarnation(1));
    }
}
