//! The binary: its first line, its signals, its exit codes.

use std::net::SocketAddr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::*;

/// Starts the process and reads where it listens. It is killed when dropped.
async fn launch(flags: &[&str]) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mooring-sample-gateway"))
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    soon("the first line", out.read_line(&mut line)).await.expect("text");
    let said: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(said["pid"].as_u64(), child.id().map(u64::from), "{line}");
    let address = said["listening"].as_str().and_then(|it| it.parse().ok()).expect("an address");
    (child, address)
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("a running child");
    kill_process(pid, signal).expect("sent");
}

/// The exit code, and what was logged.
async fn exit(mut child: Child) -> (Option<i32>, String) {
    let mut log = String::new();
    let mut err = child.stderr.take().expect("piped");
    soon("the end of the log", err.read_to_string(&mut log)).await.expect("text");
    (soon("the exit", child.wait()).await.expect("waited").code(), log)
}

#[tokio::test]
async fn sigterm_says_goodbye_and_exits_0() {
    let (child, to) = launch(&["--tick", "0"]).await;
    let mut socket = connect(to).await.expect("a session");
    signal(&child, Signal::TERM);
    let frame = farewell(&mut socket).await.expect("a Close frame");
    assert_eq!(u16::from(frame.code), 1001);
    let (code, log) = exit(child).await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn a_hung_process_says_no_goodbye_but_ends() {
    let (child, to) = launch(&["--control", "--tick", "0"]).await;
    let mut socket = connect(to).await.expect("a session");
    control(to, "do=hang").await;
    signal(&child, Signal::TERM);
    assert_eq!(farewell(&mut socket).await, None);
    let (code, log) = exit(child).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("misbehaving now: hang, until it is healed or restarted"), "{log}");
}

#[tokio::test]
async fn dying_answers_first_cuts_without_a_close_and_exits_3() {
    let (child, to) = launch(&["--control", "--tick", "0"]).await;
    let mut socket = connect(to).await.expect("a session");
    control(to, "do=die").await;
    assert_eq!(farewell(&mut socket).await, None);
    let (code, log) = exit(child).await;
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("misbehaving now: die"), "{log}");
}

#[tokio::test]
async fn sigusr1_heals_what_nobody_can_reach() {
    let (child, to) = launch(&["--control", "--tick", "0"]).await;
    let mut socket = connect(to).await.expect("a session");
    control(to, "do=refuse&for=1h").await;
    ping(&mut socket).await;
    signal(&child, Signal::USR1);
    soon("the port to come back", async {
        while connect(to).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stats_until(to, "no fault", |it| it["misbehaviour"].is_null()).await;
}

#[tokio::test]
async fn a_wrong_flag_exits_2_and_says_what_is_right() {
    let output = Command::new(env!("CARGO_BIN_EXE_mooring-sample-gateway"))
        .args(["--mood", "moody", "--misbehave", "sulk"])
        .output();
    let output = soon("the exit", output).await.expect("ran");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("hang, die, drop, refuse, mute and http-only"), "{said}");
}

#[tokio::test]
async fn a_log_nobody_reads_is_no_fault() {
    let (mut child, to) = launch(&["--control", "--tick", "0"]).await;
    drop(child.stderr.take());
    control(to, "do=mute").await;
    control(to, "do=heal").await;
    ping(&mut connect(to).await.expect("a session")).await;
}
