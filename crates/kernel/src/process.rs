//! Which sockets a process holds: `/proc/PID/fd`.
//!
//! The kernel's dump says which inode a socket has but not who holds it, so the descriptors of the process are walked:
//! one `readlink(2)` each, some six microseconds. For a gateway with 100,000 connections that is more than the dump
//! itself, so what was found is kept, and walked again only when sockets turn up that were never seen before, and never
//! for more than a twentieth of the time ([`Holdings`]).
//!
//! A process is known by its id *and* its start time, so that an id that was given out again is not mistaken for it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A process, and if wanted those it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    started: u64,
    descendants: bool,
}

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is none with this id, or another one by now.
    #[error("process {0} is gone")]
    Gone(u32),
    /// The kernel does not let us.
    #[error(
        "not allowed to see the descriptors of process {pid}: run as the same user, or give CAP_SYS_PTRACE (and the \
         host's process namespace where it is in another container)"
    )]
    NotAllowed {
        /// Whose.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something else went wrong.
    #[error("cannot read what /proc says of process {pid}")]
    Other {
        /// Whose.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ProcessError {
    fn from_io(pid: u32, source: io::Error) -> Self {
        /// `ESRCH`: the process went away while its files were read.
        const ESRCH: i32 = 3;
        match source.kind() {
            io::ErrorKind::NotFound => Self::Gone(pid),
            io::ErrorKind::PermissionDenied => Self::NotAllowed { pid, source },
            _ if source.raw_os_error() == Some(ESRCH) => Self::Gone(pid),
            _ => Self::Other { pid, source },
        }
    }
}

impl Process {
    /// The process that has this id now.
    ///
    /// # Errors
    /// When there is none, or `/proc` cannot be read.
    pub fn of(pid: u32) -> Result<Self, ProcessError> {
        let (_, started) = stat(pid).map_err(|error| ProcessError::from_io(pid, error))?;
        Ok(Self { pid, started, descendants: false })
    }

    /// With the processes it started and those they started: a supervisor and its workers. Those whose parent has ended
    /// are no longer known as such.
    #[must_use]
    pub fn with_descendants(mut self) -> Self {
        self.descendants = true;
        self
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs (and is not another one that got its id).
    #[must_use]
    pub fn is_running(&self) -> bool {
        stat(self.pid).is_ok_and(|(_, started)| started == self.started)
    }

    /// Hands the inode of each socket it holds to `each` until that says stop (`false`).
    pub(crate) fn sockets(&self, each: &mut dyn FnMut(u32) -> bool) -> Result<(), ProcessError> {
        if !self.is_running() {
            return Err(ProcessError::Gone(self.pid));
        }
        if !walk(self.pid, each).map_err(|error| ProcessError::from_io(self.pid, error))? || !self.descendants
        {
            return Ok(());
        }
        for pid in self.children() {
            // One of them ending meanwhile, or being another user's, hides its sockets and no others.
            if let Ok(false) = walk(pid, each) {
                break;
            }
        }
        Ok(())
    }

    /// Whether it holds the socket with this inode, at this moment.
    pub(crate) fn holds(&self, inode: u32) -> Result<bool, ProcessError> {
        let mut found = false;
        self.sockets(&mut |candidate| {
            found = candidate == inode;
            !found
        })?;
        Ok(found)
    }

    /// All descendants, from one pass over `/proc`.
    fn children(&self) -> Vec<u32> {
        let mut parents: Vec<(u32, u32)> = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Ok((parent, _)) = stat(pid) {
                parents.push((pid, parent));
            }
        }
        let mut family = vec![self.pid];
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            family.extend(
                parents.iter().filter(|(pid, of)| *of == parent && *pid != parent).map(|(pid, _)| pid),
            );
            next += 1;
        }
        family.remove(0);
        family
    }
}

/// Parent and start time from `/proc/PID/stat`. The second field is the command in parentheses and may hold anything.
fn stat(pid: u32) -> io::Result<(u32, u64)> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = fields.split_ascii_whitespace();
    // After the command: 3 state, 4 ppid, …, 22 starttime.
    let parent = fields.nth(1).and_then(|field| field.parse().ok());
    let started = fields.nth(17).and_then(|field| field.parse().ok());
    parent.zip(started).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected form of stat"))
}

/// The sockets among one process's descriptors. Whether the walk went to its end.
fn walk(pid: u32, each: &mut dyn FnMut(u32) -> bool) -> io::Result<bool> {
    let mut path = PathBuf::from(format!("/proc/{pid}/fd"));
    for entry in fs::read_dir(&path)? {
        path.push(entry?.file_name());
        // A descriptor closed since it was listed is not an error.
        let inode = fs::read_link(&path)
            .ok()
            .and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        path.pop();
        // inet_diag gives the inode in 32 bits, and socket inodes come from a 32-bit counter.
        if let Some(inode) = inode.and_then(|inode| u32::try_from(inode).ok())
            && !each(inode)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a process holds a socket, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    No,
    /// Not seen before: only another walk can tell.
    NotKnown,
}

/// What is known of who holds what, between scans.
#[derive(Debug)]
pub(crate) struct Holdings {
    process: Process,
    ours: HashSet<u32>,
    /// Seen in the last scan and not ours.
    others: HashSet<u32>,
    /// Those seen in this scan; becomes `others` at its end, so that what is gone is forgotten.
    others_now: HashSet<u32>,
    /// When all was looked at last.
    walked: Option<Instant>,
    /// When the last walk for the sake of new sockets ended, and how long it took.
    again: Option<(Instant, Duration)>,
}

impl Holdings {
    /// A walk may take one part in so many of the time.
    const SHARE: u32 = 20;
    /// Descriptors can be handed from one process to another; so all is looked at again after this time.
    const STALE: Duration = Duration::from_secs(60);

    pub(crate) fn new(process: Process) -> Self {
        let none = HashSet::new();
        Self {
            process,
            ours: none.clone(),
            others: none.clone(),
            others_now: none,
            walked: None,
            again: None,
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Before a scan: walks if that was never done, or long ago.
    pub(crate) fn begin(&mut self) -> Result<(), ProcessError> {
        self.others_now.clear();
        if self.walked.is_none_or(|at| at.elapsed() > Self::STALE) {
            self.others.clear();
            self.walk()?;
            self.walked = Some(Instant::now());
            return Ok(());
        }
        if self.process.is_running() { Ok(()) } else { Err(ProcessError::Gone(self.process.pid)) }
    }

    pub(crate) fn held(&mut self, inode: u32) -> Held {
        if self.ours.contains(&inode) {
            Held::Yes
        } else if self.others.contains(&inode) || self.others_now.contains(&inode) {
            self.others_now.insert(inode);
            Held::No
        } else {
            Held::NotKnown
        }
    }

    /// Walks again, unless that would take more than its share of the time. Whether it did.
    pub(crate) fn walk_again(&mut self) -> Result<bool, ProcessError> {
        if self.again.is_some_and(|(at, took)| at.elapsed() < took * Self::SHARE) {
            return Ok(false);
        }
        let begun = Instant::now();
        self.walk()?;
        self.again = Some((Instant::now(), begun.elapsed()));
        Ok(true)
    }

    /// After a walk: whether it found this one; if not, it is another's from now on.
    pub(crate) fn settle(&mut self, inode: u32) -> bool {
        self.ours.contains(&inode) || {
            self.others_now.insert(inode);
            false
        }
    }

    /// After a scan.
    pub(crate) fn finish(&mut self) {
        std::mem::swap(&mut self.others, &mut self.others_now);
    }

    fn walk(&mut self) -> Result<(), ProcessError> {
        let Self { ours, process, .. } = self;
        ours.clear();
        process.sockets(&mut |inode| {
            ours.insert(inode);
            true
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_sockets_and_no_others() {
        use std::os::fd::AsRawFd;
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode: u32 =
            link.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap();
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_running());
        assert!(me.holds(inode).unwrap());
        assert!(me.with_descendants().holds(inode).unwrap());
        let mut holdings = Holdings::new(me);
        holdings.begin().unwrap();
        assert_eq!(holdings.held(inode), Held::Yes);
        drop(socket);
        assert!(!me.holds(inode).unwrap());
    }

    #[test]
    fn a_process_is_not_another_with_its_id() {
        let me = Process::of(std::process::id()).unwrap();
        let other = Process { started: me.started + 1, ..me };
        assert!(!other.is_running());
        assert!(matches!(other.holds(1), Err(ProcessError::Gone(_))));
        // Ids end at 2^22 (PID_MAX_LIMIT).
        assert!(matches!(Process::of(u32::MAX), Err(ProcessError::Gone(_))));
    }

    #[test]
    fn children_and_theirs() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(shell.stdout.take().unwrap()), &mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let family = Process::of(std::process::id()).unwrap().children();
        assert!(family.contains(&shell.id()) && family.contains(&grandchild));
        let pid = rustix::process::Pid::from_raw(grandchild.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
    }
}
