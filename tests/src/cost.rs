//! What processes cost, read from `/proc`, and where they may run.
//!
//! Processor time is taken from `schedstat` of every thread: nanoseconds that the thread ran, where `stat` counts ticks of
//! 10 ms. Relays are compared by it, and a program that hides its work in a second thread gains nothing. Of a thread that
//! has ended nothing is left, so what is measured should keep its threads while it is.

use std::fs;
use std::path::Path;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Nanoseconds that all threads of these processes have run.
#[must_use]
pub fn ran(pids: &[u32]) -> u64 {
    let of = |path: &Path| -> Option<u64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads(pids).iter().filter_map(|path| of(path)).sum()
}

/// How many threads these processes have.
#[must_use]
pub fn thread_count(pids: &[u32]) -> usize {
    threads(pids).len()
}

fn threads(pids: &[u32]) -> Vec<std::path::PathBuf> {
    let tasks = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    pids.iter().flat_map(tasks).map(|entry| entry.path()).collect()
}

/// A process and all that descend from it.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for task in threads(&[parent]) {
            let children = fs::read_to_string(task.join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        }
    }
    found
}

/// Memory of processes that is in RAM, bytes.
#[must_use]
pub fn rss(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1_024
}

/// Open descriptors of processes.
#[must_use]
pub fn descriptors(pids: &[u32]) -> usize {
    pids.iter().map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().count()).sum()
}

/// Lets all threads that these processes have now run on these cores only; threads they start later inherit it from
/// the one that starts them.
///
/// # Panics
/// When the kernel refuses: a core that is not there.
pub fn pin(pids: &[u32], cores: &[usize]) {
    for task in threads(pids) {
        let tid = task.file_name().and_then(|n| n.to_str()?.parse::<i32>().ok()).and_then(Pid::from_raw);
        match sched_setaffinity(tid, &set(cores)) {
            // A thread that ended between the look and the act.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(e) => panic!("{} cannot be pinned to {cores:?}: {e}", task.display()),
        }
    }
}

/// Lets the calling thread run on these cores only.
///
/// # Panics
/// When the kernel refuses: a core that is not there.
pub fn pin_me(cores: &[usize]) {
    sched_setaffinity(None, &set(cores)).unwrap_or_else(|e| panic!("cannot run on {cores:?}: {e}"));
}

fn set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    set
}
