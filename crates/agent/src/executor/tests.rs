//! Commands and requests against real programs and real sockets, and the canary's question.

use std::fs;
use std::path::Path;

use mooring_core::order::Action;
use mooring_runtime::config::HumanDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::config::GatewayConfig;

const LONG: Duration = Duration::from_secs(20);

fn context() -> ExecContext {
    ExecContext {
        order: OrderId(Uuid::from_u128(7)),
        target: "agents/a/gateways/g/instances/i".parse().unwrap(),
        action: Action::Reconnect,
        reason: "because".to_owned(),
        time_limit: LONG,
        delay: Duration::ZERO,
        spread: None,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

async fn run(how: &str, context: &ExecContext) -> Outcome {
    run_until(how, context, CancellationToken::new()).await
}

async fn run_until(how: &str, context: &ExecContext, cancel: CancellationToken) -> Outcome {
    let text = format!("id = 'g'\nurl = 'ws://h/'\nreconnect = {how}\n");
    let config: GatewayConfig = toml_like(&text);
    let how = config.reconnect.unwrap();
    assert_eq!(how.problems("x"), []);
    let executor = how.build(&Surroundings::default()).unwrap();
    assert_eq!(executor.name(), how.name());
    executor.run(context, cancel).await
}

/// Read as the agent reads its file.
fn toml_like(gateway: &str) -> GatewayConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    fs::write(&file, format!("[[gateway]]\n{gateway}")).unwrap();
    let sources =
        mooring_runtime::config::Sources { file: Some(file), env_prefix: "UNUSED", env: [], overrides: &[] };
    let mut config: crate::config::AgentConfig = mooring_runtime::config::load(sources).unwrap().value;
    config.gateways.remove(0)
}

fn shell(script: &str) -> String {
    format!("{{ how = 'command', command = ['/bin/sh', '-c', '''{script}'''] }}")
}

#[tokio::test]
async fn a_command_is_judged_by_its_exit() {
    let outcome = run(&shell("echo fine; echo really >&2"), &context()).await;
    assert!(outcome.ok && outcome.message.contains("exited with code 0"), "{outcome:?}");
    assert!(outcome.output.contains("fine\n") && outcome.output.contains("really\n"), "{outcome:?}");
    let outcome = run(&shell("echo why; exit 3"), &context()).await;
    assert!(
        !outcome.ok && outcome.message.contains("exited with code 3") && outcome.output == "why\n",
        "{outcome:?}"
    );
    let outcome = run(&shell("kill -9 $$"), &context()).await;
    assert!(!outcome.ok && outcome.message.contains("SIGKILL (9)"), "{outcome:?}");
    let outcome = run("{ how = 'command', command = ['/no/such/program'] }", &context()).await;
    assert!(!outcome.ok && outcome.message.contains("cannot run `/no/such/program`"), "{outcome:?}");
}

#[tokio::test]
async fn a_command_knows_what_it_is_for() {
    let script = "echo $MOORING_ORDER_ID,$MOORING_TARGET,$MOORING_ACTION,$MOORING_REASON,$TRACEPARENT";
    let outcome = run(&shell(script), &context()).await;
    assert_eq!(
        outcome.output,
        "00000000-0000-0000-0000-000000000007,agents/a/gateways/g/instances/i,reconnect,because,\
         00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"
    );
}

#[tokio::test]
async fn there_is_no_shell_for_a_reason_to_reach() {
    let context = ExecContext { reason: "$(echo pwned); `id`\0".to_owned(), ..context() };
    let outcome = run(&shell("printf %s \"$MOORING_REASON\""), &context).await;
    assert_eq!(outcome.output, "$(echo pwned); `id` ");
}

#[tokio::test]
async fn of_much_output_the_end_is_kept() {
    let outcome = run(&shell("yes 0123456789 | head -c 1000000; echo; echo last"), &context()).await;
    assert!(outcome.ok && outcome.output.ends_with("\nlast\n"), "{}", outcome.message);
    assert!(outcome.output.len() <= MAX_OUTPUT_TAIL && outcome.output.len() > MAX_OUTPUT_TAIL - 8);
}

async fn gone(file: &Path) {
    let pid: u32 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let asked = async {
        while procfs::identity(pid).is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.expect("it lives on");
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; echo begun; wait", file.display());
    let how = shell(&script).replace(" }", ", time_limit = '300ms' }");
    // Loaded machines start a shell slowly: the limit is the order's until the shell is seen to be at it.
    let outcome = run(&how, &context()).await;
    assert!(
        !outcome.ok && outcome.message.contains("did not end within 300ms and was killed"),
        "{outcome:?}"
    );
    assert_eq!(outcome.output, "begun\n");
    gone(&file).await;

    // The same when it is given up, and when the agent drops it.
    fs::remove_file(&file).unwrap();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (how, cancel) = (shell(&script), cancel.clone());
        async move { run_until(&how, &context(), cancel).await }
    });
    until_exists(&file).await;
    cancel.cancel();
    let outcome = running.await.unwrap();
    assert!(!outcome.ok && outcome.message.contains("was given up and was killed"), "{outcome:?}");
    gone(&file).await;

    fs::remove_file(&file).unwrap();
    let running = tokio::spawn({
        let how = shell(&script);
        async move { run(&how, &context()).await }
    });
    until_exists(&file).await;
    running.abort();
    assert!(running.await.is_err());
    gone(&file).await;
}

async fn until_exists(file: &Path) {
    let asked = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.expect("it never began");
}

#[tokio::test]
async fn a_command_may_leave_a_daemon_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // It even holds on to the output, which must not hold up the order for as long as it lives.
    let outcome =
        run(&shell(&format!("sleep 1000 & echo $! > {}; echo left", file.display())), &context()).await;
    assert!(outcome.ok && outcome.output == "left\n", "{outcome:?}");
    let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(procfs::identity(pid).is_some());
    process::signal_process(pid, rustix::process::Signal::KILL);
}

/// Answers one connection with `answer` and gives back what was asked.
async fn server(answer: impl Into<Vec<u8>>) -> (String, tokio::task::JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\nbody") {
            let mut buffer = [0; 1024];
            let n = stream.read(&mut buffer).await.unwrap();
            assert!(n > 0, "the request ended early: {}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..n]);
        }
        // The other side may have read enough.
        drop(stream.write_all(&answer).await);
        String::from_utf8(request).unwrap()
    });
    (format!("http://{address}/restart?token=t"), served)
}

fn http(url: &str, more: &str) -> String {
    format!("{{ how = 'http', url = '{url}', body = 'body', {more} }}")
}

#[tokio::test]
async fn a_request_is_sent_as_configured_and_judged_by_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "Bearer hunter2\n").unwrap();
    let (url, served) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let more =
        format!("headers = {{ X-A = 'b' }}, header_files = {{ Authorization = '{}' }}", file.display());
    let outcome = run(&http(&url, &more), &context()).await;
    assert!(outcome.ok && outcome.message.contains("answered 204"), "{outcome:?}");
    assert!(!outcome.message.contains("token"), "a query may be secret: {outcome:?}");
    let request = served.await.unwrap().to_lowercase();
    for part in [
        "post /restart?token=t http/1.1\r\n",
        "\r\nx-a: b\r\n",
        "\r\nauthorization: bearer hunter2\r\n",
        "\r\nidempotency-key: 00000000-0000-0000-0000-000000000007\r\n",
        "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        "\r\nhost: 127.0.0.1:",
        "\r\ncontent-length: 4\r\n",
    ] {
        assert!(request.contains(part), "{part:?} is missing in {request}");
    }
}

#[tokio::test]
async fn other_statuses_are_failures_and_redirects_are_not_followed() {
    let (url, _served) = server("HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nno\x1bno").await;
    let outcome = run(&http(&url, ""), &context()).await;
    assert!(!outcome.ok && outcome.message.ends_with("answered 500, expected 2xx"), "{outcome:?}");
    assert_eq!(outcome.output, "no\u{fffd}no");
    let (url, _served) =
        server("HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    let outcome = run(&http(&url, "expect_status = [200, 202]"), &context()).await;
    assert!(!outcome.ok && outcome.message.ends_with("answered 302, expected 200 or 202"), "{outcome:?}");
    let (url, _served) = server("HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n").await;
    assert!(run(&http(&url, "expect_status = 302"), &context()).await.ok);
}

#[tokio::test]
async fn endless_and_absent_answers_end() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2_000_000));
    let (url, _served) = server(endless).await;
    let outcome = run(&http(&url, ""), &context()).await;
    assert!(outcome.ok && outcome.output.len() <= MAX_OUTPUT_TAIL, "{}", outcome.message);

    // Accepts, answers nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let outcome = run(&http(&url, "time_limit = '100ms'"), &context()).await;
    assert!(!outcome.ok && outcome.message.contains("no complete answer within 100ms"), "{outcome:?}");
    // Bound but not listening: refuses, and nobody else can take the port meanwhile.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    let outcome = run(&http(&url, ""), &context()).await;
    assert!(!outcome.ok && outcome.message.contains("cannot connect"), "{outcome:?}");

    let (url, _served) = server("SSH-2.0-nonsense\r\n").await;
    let outcome = run(&http(&url, ""), &context()).await;
    assert!(!outcome.ok && outcome.message.contains("no answer"), "{outcome:?}");
}

#[tokio::test]
async fn tls_is_verified() {
    // A plain server where TLS is spoken: whatever comes back is not a certificate.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    });
    let outcome = run(&http(&url, ""), &context()).await;
    assert!(!outcome.ok && outcome.message.contains("TLS"), "{outcome:?}");
    served.await.unwrap();
}

#[tokio::test]
async fn the_watcher_is_asked_and_its_word_awaited() {
    let (watcher, mut asked) = mpsc::channel(1);
    let around = Surroundings {
        instance: Some("i".parse().unwrap()),
        watcher: Some(watcher),
        ..Surroundings::default()
    };
    let canary = How::default().build(&around).unwrap();
    let order = ExecContext { delay: Duration::from_secs(3), ..context() };
    for answer in [Ok(()), Err("no such session".to_owned())] {
        let run = canary.run(&order, CancellationToken::new());
        let answered = async {
            let request: ReconnectRequest = asked.recv().await.unwrap();
            assert_eq!((request.instance.as_str(), request.delay), ("i", Duration::from_secs(3)));
            request.begun.send(answer.clone()).unwrap();
        };
        let (outcome, ()) = tokio::join!(run, answered);
        assert_eq!(outcome.ok, answer.is_ok());
        assert!(outcome.message.contains(if answer.is_ok() { "after 3s" } else { "no such session" }));
    }
    // A watcher that does not answer, and one that is gone.
    let order = ExecContext { time_limit: Duration::from_millis(50), ..order };
    let outcome = canary.run(&order, CancellationToken::new()).await;
    assert!(!outcome.ok && outcome.message.contains("did not begin a new dial within 50ms"), "{outcome:?}");
    drop(asked);
    let outcome = canary.run(&order, CancellationToken::new()).await;
    assert!(!outcome.ok && outcome.message.contains("is gone"), "{outcome:?}");
}

#[tokio::test]
async fn a_delay_is_waited_out_and_can_be_cut_short() {
    let order = ExecContext { delay: Duration::from_millis(120), ..context() };
    let from = std::time::Instant::now();
    assert!(run(&shell("true"), &order).await.ok);
    assert!(from.elapsed() >= order.delay);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let order = ExecContext { delay: LONG * 100, ..context() };
    let outcome = run_until(&shell("true"), &order, cancel).await;
    assert!(!outcome.ok && outcome.message.contains("given up before"), "{outcome:?}");
}

#[test]
fn each_job_has_its_executors() {
    assert_eq!(
        How::names_for(Job::Reconnect),
        ["canary", "command", "http", "relay", "kernel", "report", "adapter"]
    );
    assert_eq!(How::names_for(Job::RestartInstance), ["command", "http", "report", "adapter"]);
    assert_eq!(How::names_for(Job::RestartGateway), ["command", "http", "supervise"]);
    let supervise = How::Supervise(SuperviseConfig::new(vec!["x".to_owned()]));
    assert!(supervise.build(&Surroundings::default()).is_err());
    assert_eq!(supervise.longest(), Some(HumanDuration::from_secs(10).get()));
}
