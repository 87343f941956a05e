//! The durable record of orders: what makes "executed at most once" true of an agent that may be killed at any moment.
//!
//! An order passes three marks: *accepted* (before anybody is told so), *started* (before anything is done), *finished*
//! (before the outcome is told). Each is on disk, synced, before the step it allows. After a death the marks answer for
//! the orders:
//!
//! | last mark | what is said | why |
//! |---|---|---|
//! | accepted | failed: not begun before the agent died | it had no effect; its time may be over, and the controller can order anew |
//! | started | failed: not known whether it took effect | it is **never** begun again |
//! | finished | the outcome, until it is acknowledged | |
//!
//! Per target the last fence is kept for good, so that an order that wanders in late is refused whatever was forgotten
//! about it since.
//!
//! The file is one line per mark with a checksum (see [`line`]), appended. A line torn by a crash is ignored; one that
//! is damaged is skipped and said. When the file has grown well beyond what it still says, it is written anew beside
//! itself and renamed. A disk that is full or read-only does not stop the agent: the ledger is *degraded*, takes no
//! orders, says why, and tries to write itself anew whenever one comes.

mod line;
mod state;

#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mooring_core::id::{Fence, OrderId, Target};
use mooring_core::order::{Receipt, Stage};
use mooring_core::time::Timestamp;

use line::Entry;
use state::State;

pub use state::{MAX_FINISHED, MAX_TARGETS};

/// The file is written anew when it has this many lines more than it needs, and more than twice as many.
const SLACK: usize = 2_048;

/// Why an order cannot be put on record.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another agent works with the same folder.
    #[error("{path} is in use by another agent: two agents must not share a data folder")]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The disk refuses.
    #[error("the record of orders cannot be written ({path}): {reason}")]
    Degraded {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// There are more targets on record than there may be.
    #[error("orders for {MAX_TARGETS} targets are on record; no further target can be remembered")]
    TooManyTargets,
    /// The order is not at the mark before this one.
    #[error("order {order} is not {expected}")]
    OutOfTurn {
        /// Which order.
        order: OrderId,
        /// Where it should be.
        expected: &'static str,
    },
}

/// An order to be put on record as accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Which.
    pub order: OrderId,
    /// On what.
    pub target: Target,
    /// Its fence.
    pub fence: Fence,
    /// When, by the agent's clock.
    pub at: Timestamp,
    /// The trace context of the order.
    pub traceparent: Option<String>,
}

/// The record. Every method that writes blocks for as long as the disk takes.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// Held while this agent lives; the system lets go of it however the agent dies.
    lock: Option<File>,
    file: Result<File, String>,
    lines: usize,
    state: State,
}

impl Ledger {
    /// Opens or begins the record in `folder`, and answers for what the last agent left unfinished; `now` is the time of
    /// those answers.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] only: with a disk that refuses, the ledger is degraded.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, LedgerError> {
        let path = folder.join("orders.log");
        let mut ledger = Self {
            lock: None,
            file: Err("not opened yet".to_owned()),
            lines: 0,
            state: State::default(),
            path,
        };
        ledger.take_lock()?;
        match fs::read(&ledger.path) {
            Ok(bytes) => ledger.replay(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                ledger.file = Err(error.to_string());
                ledger.complain();
                return Ok(ledger);
            }
        }
        ledger.state.answer_for_the_dead(now);
        // Written anew at each start: it drops what a crash tore and what is needed no more, and shows at once whether
        // the disk can be written to.
        ledger.rewrite();
        Ok(ledger)
    }

    fn take_lock(&mut self) -> Result<(), LedgerError> {
        let path = self.path.with_extension("lock");
        let opened = fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| File::options().write(true).create(true).truncate(false).mode(0o600).open(&path));
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                self.file = Err(error.to_string());
                return Ok(());
            }
        };
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Locked { path }),
            Err(TryLockError::Error(error)) => {
                self.file = Err(format!("cannot lock {}: {error}", path.display()))
            }
        }
        Ok(())
    }

    fn replay(&mut self, bytes: &[u8]) {
        let read = line::read(bytes);
        if read.damaged > 0 {
            let aside = self.path.with_extension("damaged");
            let kept = fs::copy(&self.path, &aside).is_ok();
            tracing::error!(
                file = %self.path.display(), lines = read.damaged, kept_as = kept.then(|| aside.display().to_string()),
                "the record of orders is damaged; what can be read of it is used"
            );
        }
        for entry in read.entries {
            self.state.apply(entry);
        }
    }

    /// Why no order can be put on record at the moment; `None` when all is well.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.file.as_ref().err().map(String::as_str)
    }

    /// The fence of the last order accepted for a target.
    #[must_use]
    pub fn fence(&self, target: &Target) -> Option<Fence> {
        self.state.fence(target)
    }

    /// What was last said of an order; `None` for one that is not on record.
    #[must_use]
    pub fn last_receipt(&self, order: OrderId) -> Option<Receipt> {
        self.state.last_receipt(order)
    }

    /// What the controller may not know yet: the last that was said of each order that is not acknowledged as finished.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Receipt> {
        self.state.outstanding()
    }

    /// Puts orders on record as accepted, all of them or none, with one write to the disk.
    ///
    /// # Errors
    /// When the disk refuses, or a target cannot be remembered. No order may then be carried out.
    pub fn accept(&mut self, orders: &[Acceptance]) -> Result<(), LedgerError> {
        self.state.room_for(orders)?;
        let entries: Vec<Entry> = orders.iter().map(Entry::accepted).collect();
        self.append(&entries)?;
        for entry in entries {
            self.state.apply(entry);
        }
        Ok(())
    }

    /// Puts on record that an order is about to be carried out.
    ///
    /// # Errors
    /// When the order is not accepted (it may have been started before: it must not be again), or the disk refuses. The
    /// order may then not be carried out.
    pub fn start(
        &mut self,
        order: OrderId,
        at: Timestamp,
        traceparent: Option<String>,
    ) -> Result<(), LedgerError> {
        if self.state.stage(order) != Some(Stage::Accepted) {
            return Err(LedgerError::OutOfTurn { order, expected: "accepted" });
        }
        let entry = Entry::started(order, at, traceparent);
        self.append(std::slice::from_ref(&entry))?;
        self.state.apply(entry);
        Ok(())
    }

    /// Puts on record how an order ended: carried out, failed, refused or expired. It is remembered in memory even when
    /// the disk refuses.
    ///
    /// # Errors
    /// When the disk refuses: after a death the order would be answered for as one whose outcome is not known.
    pub fn finish(&mut self, receipt: &Receipt) -> Result<(), LedgerError> {
        let entry = Entry::finished(receipt);
        let written = self.append(std::slice::from_ref(&entry));
        self.state.apply(entry);
        written
    }

    /// Notes that the controller has what was said of an order. Only its end counts; it need not be said again then.
    /// Not synced: at worst it is said once more.
    pub fn acknowledged(&mut self, order: OrderId, stage: Stage) {
        let finished = matches!(stage, Stage::Done | Stage::Failed | Stage::Refused | Stage::Expired);
        if !finished || self.state.stage(order) != Some(stage) {
            return;
        }
        let entry = Entry::acknowledged(order);
        if let Ok(file) = &mut self.file
            && file.write_all(&line::write(&entry)).is_ok()
        {
            self.lines += 1;
        }
        self.state.apply(entry);
    }

    /// Appends, durably. On failure the file is given up: after a partial write or a failed sync nobody knows what is on
    /// the disk, so the next attempt writes all of it anew.
    fn append(&mut self, entries: &[Entry]) -> Result<(), LedgerError> {
        if self.file.is_err() || self.lines > 2 * self.state.lines() + SLACK {
            self.rewrite();
        }
        let bytes: Vec<u8> = entries.iter().flat_map(line::write).collect();
        let written = match &mut self.file {
            Ok(file) => {
                file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason.clone()),
        };
        match written {
            Ok(()) => {
                self.lines += entries.len();
                Ok(())
            }
            Err(reason) => {
                self.file = Err(reason.clone());
                self.complain();
                Err(LedgerError::Degraded { path: self.path.clone(), reason })
            }
        }
    }

    /// Writes everything that still matters to a new file, which then takes the old one's place.
    fn rewrite(&mut self) {
        if self.lock.is_none() {
            // Without the lock another agent may be writing.
            match self.take_lock() {
                Ok(()) if self.lock.is_some() => {}
                Ok(()) => return self.complain(),
                Err(locked) => {
                    self.file = Err(locked.to_string());
                    return self.complain();
                }
            }
        }
        let entries = self.state.entries();
        match replace(&self.path, &entries) {
            Ok(file) => {
                if let Err(reason) = &self.file
                    && self.lines > 0
                {
                    tracing::info!(file = %self.path.display(), after = reason, "the record of orders can be written again");
                }
                self.file = Ok(file);
                self.lines = entries.len();
            }
            Err(error) => {
                self.file = Err(error.to_string());
                self.complain();
            }
        }
    }

    fn complain(&self) {
        if let Err(reason) = &self.file {
            tracing::error!(
                file = %self.path.display(), reason,
                "the record of orders cannot be written: no order is taken until it can"
            );
        }
    }
}

fn replace(path: &Path, entries: &[Entry]) -> io::Result<File> {
    let next = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    let bytes: Vec<u8> = entries.iter().flat_map(line::write).collect();
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    drop(file);
    File::options().append(true).open(path)
}
