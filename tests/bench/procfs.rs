//! What processes cost, read from `/proc`.

use std::fs;

/// Ticks a second of the times in `/proc/PID/stat`: fixed at 100 on every Linux that is in use.
const TICKS: f64 = 100.0;

/// The machine and what else it is doing, in a line.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|l| l.strip_prefix("model name")?.split(':').nth(1)).unwrap_or("?").trim();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("Machine: {cores} cores, {model}; load before the run: {}", load.join(" "))
}

/// Fields of `/proc/PID/stat` after the name, which may itself hold spaces and parentheses: state is 0.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect())
}

/// Processor time a process has used, user and system, seconds.
pub fn cpu(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |f| (f[11] + f[12]) as f64 / TICKS)
}

/// The same of all children of a process: those of a Postgres do its work.
pub fn cpu_of_children(parent: u32) -> f64 {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(stat)
        .filter(|f| f[1] == u64::from(parent))
        .map(|f| (f[11] + f[12]) as f64 / TICKS)
        .sum()
}

/// Memory of a process that is in RAM, bytes.
pub fn rss(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1_024.0
}
