//! One Mooring per data folder.
//!
//! An advisory lock on `<data_dir>/lock`, so that the kernel lets go of it however the holder dies: there is no stale
//! lock to recover from. The holder's process id is in the file, only so that the refusal can name it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::error::{Error, io};

/// The held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock or says who has it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The pid is a courtesy. A holder that has not written it yet is "another Mooring".
                let pid =
                    (&file).take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::InUse { data_dir: data_dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        let written = written.and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(io("write the process id to", &path))?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that was forked a moment ago and has not reached its exec yet.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "could not unlock the data folder; closing it does the same");
        }
    }
}
