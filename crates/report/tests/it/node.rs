//! The client for Node, against this server: with the real Baileys on a loopback WhatsApp server, with Node's own `fetch`,
//! and its own tests.
//!
//! What Baileys says is less than what happened: every close is 428, and an upgrade that is refused may be followed by
//! nothing at all. These tests hold what the agent gets to know all the same, and what it makes of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::diagnosis::codes;
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

/// Where Baileys and what it needs are installed.
fn baileys() -> PathBuf {
    let folder = client().join("test/baileys");
    assert!(
        folder.join("node_modules").is_dir(),
        "run `npm ci --prefix clients/node/test/baileys` first (cargo xtask test does)"
    );
    folder
}

/// A bot that reports to this server; its words are `bot.mjs`'s.
fn bot(served: &Served, address: &str, words: &[&str]) -> Child {
    let address = match address {
        "unix" => format!("unix:{}", served.socket.display()),
        _ => format!("http://127.0.0.1:{}", served.port),
    };
    Command::new("node")
        .arg(baileys().join("bot.mjs"))
        .arg("acct-1")
        .args(words)
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

/// A server, a bot, and what the agent makes of what the bot says.
struct Told {
    served: Served,
    book: Book,
    _bot: Child,
}

impl Told {
    async fn start(address: &str, words: &[&str]) -> Self {
        let served = Served::start().await;
        let bot = bot(&served, address, words);
        Self { served, book: Book::new(MeaningConfig::default()), _bot: bot }
    }

    /// The next event, and what is claimed of the link because of it.
    async fn next(&mut self) -> (Event, Option<Claim>) {
        let reported = self.served.next().await;
        let outcome = self.book.take(now(), &reported);
        let linked = outcome.step.claims.into_iter().find(|c| c.kind == ConditionKind::Linked);
        (reported.event, linked)
    }

    /// The next end, and what is claimed of the link because of it.
    async fn closed(&mut self) -> (Closed, Claim) {
        loop {
            if let (Event::Closed(end), claim) = self.next().await {
                return (*end, claim.expect("an end is a claim"));
            }
        }
    }

    /// The next end. Where the next socket was made before it was told, it is not the present one's and claims nothing.
    async fn ended(&mut self) -> Closed {
        loop {
            if let (Event::Closed(end), _) = self.next().await {
                return *end;
            }
        }
    }

    async fn open(&mut self) -> Claim {
        loop {
            if let (Event::Open { .. }, claim) = self.next().await {
                return claim.expect("open is a claim");
            }
        }
    }
}

fn said(claim: &Claim) -> (Status, Option<Cause>) {
    (claim.status, claim.cause)
}

fn has(claim: &Claim, key: &str, value: &str) -> bool {
    claim.evidence.iter().any(|(k, v)| k == key && v.contains(value))
}

#[tokio::test]
async fn every_close_is_428_and_the_real_code_stands_beside_it() {
    for (plan, close_code, address) in [
        ("open:close:1000,ok", 1000, "tcp"),
        ("open:close:1011,ok", 1011, "unix"),
        ("open:terminate,ok", 1006, "unix"),
        ("hello:close:4000,ok", 4000, "tcp"),
        ("killed", 1006, "tcp"),
    ] {
        let mut told = Told::start(address, &[plan]).await;
        let (Event::Registered(registration), _) = told.next().await else { panic!("registers first") };
        assert_eq!(registration.software, "baileys 7.0.0-rc14", "{plan}");
        let (end, claim) = told.closed().await;
        assert_eq!((end.code, end.close_code), (Some(428), Some(close_code)), "{plan}");
        assert_eq!(end.message, "Connection Terminated", "{plan}");
        assert_eq!(said(&claim), (Status::False, Some(Cause::ReportedClosed)), "{plan}");
        assert!(has(&claim, "close.code", &close_code.to_string()), "{plan}: {claim:?}");
        if plan != "killed" {
            assert_eq!(said(&told.open().await), (Status::True, None), "{plan}: it comes back");
        }
    }
}

#[tokio::test]
async fn each_end_has_its_cause() {
    // The plan, the cause, what the words and what the evidence say.
    for (plan, cause, words) in [
        ("refused", Cause::ReportedClosed, "ECONNREFUSED"),
        ("open:error:401:conflict:device_removed", Cause::LoginRevoked, "Stream Errored (conflict)"),
        ("login:failure:401", Cause::LoginRevoked, "Connection Failure"),
        ("open:error::conflict:replaced", Cause::SessionReplaced, "(440)"),
        ("login:failure:403", Cause::AccountForbidden, "(403)"),
        ("login:failure:405", Cause::ClientOutdated, "(405)"),
        ("open:error:503", Cause::ServiceUnavailable, "(503)"),
        ("login:downgrade", Cause::AccountForbidden, "(411)"),
    ] {
        let mut told = Told::start("tcp", &[plan]).await;
        let (_, claim) = told.closed().await;
        assert_eq!(said(&claim), (Status::False, Some(cause)), "{plan}: {}", claim.message);
        assert!(claim.message.contains(words), "{plan}: {}", claim.message);
    }
}

#[tokio::test]
async fn the_third_bad_session_is_a_bad_session() {
    // Each time it logs in first, which forgives nothing; the pauses are up to 5 s and 10 s.
    let mut told = Told::start("tcp", &["open:error::ack"]).await;
    let mut causes = Vec::new();
    for _ in 0..3 {
        causes.push(told.closed().await.1.cause.unwrap());
    }
    assert_eq!(causes, [Cause::ReportedClosed, Cause::ReportedClosed, Cause::BadSession]);
}

#[tokio::test]
async fn a_pairing_restarts_and_is_open_with_no_fault_between() {
    let mut told = Told::start("tcp", &["ok", "fresh", "scan"]).await;
    let pairing = loop {
        if let (Event::WaitingForLogin, claim) = told.next().await {
            break claim.expect("a claim");
        }
    };
    assert_eq!(said(&pairing), (Status::False, Some(Cause::PairingNeeded)));
    let (end, claim) = told.closed().await;
    assert_eq!(end.code, Some(515));
    assert_eq!(said(&claim), (Status::Unknown, Some(Cause::RestartExpected)));
    assert_eq!(said(&told.open().await), (Status::True, None));
    assert!(told.book.instances().next().is_some());
}

#[tokio::test]
async fn a_qr_code_that_nobody_scans_is_no_outage() {
    let mut told = Told::start("tcp", &["ok", "fresh", "qrTimeout=300"]).await;
    let (end, claim) = told.closed().await;
    assert_eq!((end.code, end.message.as_str()), (Some(408), "QR refs attempts ended"));
    assert_eq!(said(&claim), (Status::False, Some(Cause::PairingNeeded)));
    assert!(has(&claim, "to.do", "somebody is there to scan"), "{claim:?}");
}

#[tokio::test]
async fn an_upgrade_that_is_refused_in_silence_is_ended_by_the_watchdog() {
    let mut told = Told::start("tcp", &["http:503:closed,ok", "connectingTimeout=2000"]).await;
    let (end, claim) = told.closed().await;
    assert_eq!(end.code, None);
    assert_eq!(said(&claim), (Status::False, Some(Cause::ConnectingStuck)));
    assert!(claim.message.contains("HTTP 503, not 101"), "{}", claim.message);
    assert!(has(&claim, "log", "HTTP 503"), "{:?}", claim.evidence);
    assert_eq!(said(&told.open().await), (Status::True, None), "and the next socket opens");
}

/// A bot whose watchdog is off, or that is hooked by hand.
#[tokio::test]
async fn an_upgrade_that_is_refused_in_silence_is_found_to_be_stuck() {
    let mut told = Told::start("tcp", &["http:503:closed", "connectingTimeout=3600000"]).await;
    loop {
        let (event, claim) = told.next().await;
        assert!(!matches!(event, Event::Closed(_)), "Baileys says nothing");
        assert_eq!(claim, None);
        if let Event::Line(line) = &event {
            assert!(line.contains("HTTP 503"), "{line}");
            break;
        }
    }
    let mut claims: Vec<Claim> = Vec::new();
    while let Some(due) = told.book.next_check() {
        assert!(due.since(now().mono) <= Duration::from_secs(45));
        for outcome in told.book.tick(Now { mono: due, wall: Timestamp(0) }) {
            claims.extend(outcome.step.claims);
        }
    }
    let linked = claims.iter().find(|c| c.kind == ConditionKind::Linked).expect("a claim");
    assert_eq!(said(linked), (Status::False, Some(Cause::ConnectingStuck)));
    assert!(has(linked, "log", "HTTP 503"), "{:?}", linked.evidence);
}

#[tokio::test]
async fn an_order_makes_a_new_socket_after_the_old_one() {
    let mut told = Told::start("tcp", &["ok"]).await;
    let registration = loop {
        if let (Event::Registered(registration), _) = told.next().await
            && registration.can.contains(&Action::Reconnect)
        {
            break registration;
        }
    };
    assert_eq!(registration.protocol_name, "baileys");
    told.open().await;
    let ordered = told.served.order(Action::Reconnect, Some("acct-1"), PATIENCE).await;
    let end = told.ended().await;
    assert_eq!((end.code, end.message.as_str()), (None, "reconnect was ordered"));
    assert_eq!(said(&told.open().await), (Status::True, None));
    assert_eq!(outcome(ordered).await.map(|words| words.contains("a new one")), Ok(true));
}

/// The client acts by its own copy of the table: a bot decides while the agent is away.
#[tokio::test]
async fn the_clients_rows_are_ours() {
    let script = "console.log(JSON.stringify(require('./lib/policy.js').RULES))";
    let output = Command::new("node").args(["-e", script]).current_dir(client()).output().await.unwrap();
    let theirs: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let theirs: Vec<_> = theirs
        .iter()
        .map(|rule| {
            let words = rule["words"].as_array().map_or(&[][..], Vec::as_slice);
            let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
            (rule["code"].as_i64(), words, rule["retry"].as_str().unwrap().to_owned())
        })
        .collect();
    let ours = codes::RULES.iter().filter(|rule| rule.protocol == Protocol::Baileys);
    let ours: Vec<_> = ours
        .map(|rule| {
            let words: Vec<_> = rule.words.iter().map(|&word| word.to_owned()).collect();
            (rule.code.map(i64::from), words, rule.retry.name().to_owned())
        })
        .collect();
    assert_eq!(theirs, ours);
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

/// Runs tests of the client's own.
async fn node_tests(files: &[&str]) {
    let output = tokio::time::timeout(
        PATIENCE * 5,
        Command::new("node").arg("--test").args(files).current_dir(client()).kill_on_drop(true).output(),
    )
    .await
    .expect("they end")
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("# pass") && !text.contains("# pass 0"), "{text}");
}

#[tokio::test]
async fn the_clients_own_tests_pass() {
    node_tests(&["test/client.test.js", "test/policy.test.js"]).await;
}

/// Every way a connection is known to end, with the real Baileys.
#[tokio::test]
async fn the_clients_tests_with_the_real_baileys_pass() {
    baileys();
    node_tests(&["test/baileys/baileys.test.mjs"]).await;
}
