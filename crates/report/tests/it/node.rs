//! The client for Node, against this server: with the real Baileys pointed at a local WebSocket server, with Node's own
//! `fetch`, and its own tests.
//!
//! What Baileys says is less than what happened: every close is 428, and an upgrade that is refused is followed by nothing
//! at all. These tests hold what the agent gets to know all the same.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::observation::Claim;
use mooring_core::order::Action;
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_report::meaning::{Book, Closed, Event, MeaningConfig, Protocol};
use mooring_runtime::clock::SystemClock;
use tokio::process::{Child, Command};

use super::support::{PATIENCE, Served, outcome};

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/node")
}

/// A bot that reports to this server.
fn bot(served: &Served, address: &str, behaviour: &str) -> Child {
    let folder = client().join("test/baileys");
    assert!(
        folder.join("node_modules").is_dir(),
        "run `npm ci --prefix clients/node/test/baileys` first (cargo xtask test does)"
    );
    let address = match address {
        "unix" => format!("unix:{}", served.socket.display()),
        _ => format!("http://127.0.0.1:{}", served.port),
    };
    Command::new("node")
        .arg(folder.join("bot.mjs"))
        .args(["acct-1", behaviour])
        .env("MOORING_REPORT", address)
        .stdin(Stdio::piped())
        // Node makes pipes it is given non-blocking, for everybody who has them: never ours.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts")
}

fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    Now { mono: Mono(u64::try_from(mono.as_micros()).unwrap()), wall: Timestamp(wall) }
}

/// The end that a bot reports, with what it said before that.
async fn closed(served: &mut Served) -> (Closed, Vec<Event>) {
    let mut before = Vec::new();
    loop {
        match served.next_state().await.event {
            Event::Closed(end) => return (*end, before),
            event => before.push(event),
        }
    }
}

#[tokio::test]
async fn every_close_is_428_and_the_real_code_stands_beside_it() {
    for (behaviour, close_code, address) in [
        ("close:1000", 1000, "tcp"),
        ("close:1011", 1011, "unix"),
        ("close:4000", 4000, "tcp"),
        ("terminate", 1006, "unix"),
        ("killed", 1006, "tcp"),
    ] {
        let mut served = Served::start().await;
        let _bot = bot(&served, address, behaviour);
        let Event::Registered(registration) = served.next().await.event else { panic!("registers first") };
        assert_eq!(registration.software, "baileys 7.0.0-rc14", "{behaviour}");
        let (end, before) = closed(&mut served).await;
        assert_eq!((end.code, end.close_code), (Some(428), Some(close_code)), "{behaviour}");
        assert_eq!(end.message, "Connection Terminated", "{behaviour}");
        assert_eq!(before.first(), Some(&Event::Connecting), "{behaviour}");
    }
}

#[tokio::test]
async fn a_refused_dial_is_408_and_not_a_qr_code() {
    let mut served = Served::start().await;
    let _bot = bot(&served, "tcp", "refused");
    let mut book = Book::new(MeaningConfig::default());
    let claim = loop {
        let reported = served.next().await;
        let outcome = book.take(now(), &reported);
        if let Some(claim) = outcome.step.claims.into_iter().find(|c| c.kind == ConditionKind::Linked) {
            break claim;
        }
    };
    assert_eq!((claim.status, claim.cause), (Status::False, Some(Cause::ReportedClosed)));
    assert!(claim.message.contains("408") && claim.message.contains("ECONNREFUSED"), "{}", claim.message);
}

#[tokio::test]
async fn an_upgrade_that_is_refused_in_silence_is_found_to_be_stuck() {
    let mut served = Served::start().await;
    let _bot = bot(&served, "tcp", "http:503");
    let mut book = Book::new(MeaningConfig::default());
    loop {
        let reported = served.next().await;
        assert!(!matches!(reported.event, Event::Closed(_)), "Baileys says nothing");
        let outcome = book.take(now(), &reported);
        assert!(outcome.step.claims.is_empty(), "{:?}", outcome.step.claims);
        if let Event::Line(line) = &reported.event {
            assert!(line.contains("HTTP 503"), "{line}");
            break;
        }
    }
    let mut claims: Vec<Claim> = Vec::new();
    while let Some(due) = book.next_check() {
        assert!(due.since(now().mono) <= Duration::from_secs(45));
        for outcome in book.tick(Now { mono: due, wall: Timestamp(0) }) {
            claims.extend(outcome.step.claims);
        }
    }
    let linked = claims.iter().find(|c| c.kind == ConditionKind::Linked).expect("a claim");
    assert_eq!((linked.status, linked.cause), (Status::False, Some(Cause::ConnectingStuck)));
    assert!(
        linked.evidence.iter().any(|(k, v)| k == "log" && v.contains("HTTP 503")),
        "{:?}",
        linked.evidence
    );
}

#[tokio::test]
async fn an_order_makes_a_new_socket_and_the_old_ones_end_is_its_own() {
    let mut served = Served::start().await;
    let _bot = bot(&served, "tcp", "hold");
    let mut book = Book::new(MeaningConfig::default());
    loop {
        let reported = served.next().await;
        book.take(now(), &reported);
        if let Event::Registered(registration) = &reported.event
            && registration.can.contains(&Action::Reconnect)
        {
            assert_eq!(registration.protocol, Protocol::Baileys);
            break;
        }
    }
    let ordered = served.order(Action::Reconnect, Some("acct-1"), PATIENCE).await;
    let mut ended = None;
    while ended.is_none() {
        let reported = served.next().await;
        let outcome = book.take(now(), &reported);
        if let Event::Closed(end) = &reported.event {
            assert_eq!((&*reported.session, end.message.as_str()), ("s1", "reconnect was ordered"));
            assert!(
                outcome.step.claims.is_empty(),
                "the second socket is what counts: {:?}",
                outcome.step.claims
            );
            ended = outcome.step.closes.into_iter().next();
        }
    }
    assert!(ended.is_some());
    assert_eq!(outcome(ordered).await, Ok("a new socket".to_owned()));
}

#[tokio::test]
async fn nodes_own_fetch_is_no_browser() {
    let mut served = Served::start().await;
    let script = format!(
        "fetch('http://127.0.0.1:{}/v1/gateways/-/instances/configured:report', {{ method: 'POST', \
         headers: {{ 'content-type': 'application/json' }}, body: '{{\"events\":[{{\"open\":{{}}}}]}}' }})\
         .then(async (r) => {{ if (r.status !== 200) throw new Error(await r.text()) }})",
        served.port
    );
    let done = Command::new("node").args(["-e", &script]).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(matches!(served.next().await.event, Event::Open { .. }));
}

#[tokio::test]
async fn the_clients_own_tests_pass() {
    let output = tokio::time::timeout(
        PATIENCE * 3,
        Command::new("node")
            .args(["--test", "test/client.test.js"])
            .current_dir(client())
            .kill_on_drop(true)
            .output(),
    )
    .await
    .expect("they end")
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("# pass") && !text.contains("# pass 0"), "{text}");
}
