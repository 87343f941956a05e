//! The lag meter in a process that is really stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mooring_wire::LagMeter;
use rustix::process::{Pid, Signal, kill_process};

const CHILD: &str = "MOORING_WIRE_LAG_CHILD";

/// Not a test of its own: what the child of the test below runs.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut meter = LagMeter::default();
    println!("\nready");
    loop {
        println!("\nlag {}", meter.next_lag().await.as_millis());
    }
}

#[test]
fn a_stopped_process_knows_it_was_stopped() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lag::child", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|l| l.unwrap());
    assert!(lines.any(|l| l == "ready"));
    kill_process(pid, Signal::STOP).unwrap();
    wait_for_state(child.id(), "T (stopped)");
    let stopped = Instant::now();
    // The fault itself: the process stands still this long.
    std::thread::sleep(Duration::from_secs(1));
    kill_process(pid, Signal::CONT).unwrap();
    // A busy machine may have made it late before; the stop is the first lag of its size.
    let lag = lines.filter_map(|l| l.strip_prefix("lag ")?.parse::<u64>().ok()).find(|ms| *ms >= 700);
    assert!(lag.is_some_and(|ms| u128::from(ms) <= stopped.elapsed().as_millis() + 500), "{lag:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn wait_for_state(pid: u32, state: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut status = String::new();
        std::fs::File::open(format!("/proc/{pid}/status")).unwrap().read_to_string(&mut status).unwrap();
        if status.contains(state) {
            return;
        }
        assert!(Instant::now() < end, "not in state {state}: {status}");
        std::thread::yield_now();
    }
}
