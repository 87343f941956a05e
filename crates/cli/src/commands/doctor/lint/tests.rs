//! The command with configurations: what is read, asked, said and returned.

use clap::Parser as _;
use mooring_core::diagnosis::{Finding, LinkSaw, Probe, Saw};

use super::*;
use crate::args::Cli;
use crate::commands::Command;
use crate::context::Context;
use crate::tests::{Buffer, NOW};

const STRIPPED: &str = "server {\n    listen 80;\n    server_name chat.example;\n    location /ws {\n        \
                        proxy_pass http://10.0.0.7:8080;\n        proxy_set_header X-Api-Key abc123;\n    }\n}\n";
const SOUND: &str = "server {\n    listen 80;\n    location / {\n        proxy_pass http://10.0.0.7:8080;\n        \
                     proxy_http_version 1.1;\n        proxy_set_header Upgrade $http_upgrade;\n        \
                     proxy_set_header Connection \"upgrade\";\n        proxy_read_timeout 1h;\n    }\n}\n";

/// Runs `mooring …` with files of these contents in place of `{0}`, `{1}`; gives its exit code and its output.
async fn run(line: &str, files: &[&str]) -> (Outcome, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut line = line.to_owned();
    for (i, text) in files.iter().enumerate() {
        let path = folder.path().join(format!("file{i}.conf"));
        std::fs::write(&path, text).unwrap();
        line = line.replace(&format!("{{{i}}}"), &path.to_string_lossy());
    }
    let cli = Cli::try_parse_from(std::iter::once("mooring").chain(line.split_whitespace())).unwrap();
    let out = Buffer::default();
    let context = Context::for_test(cli.globals, NOW, Box::new(out.clone()), Box::new(Buffer::default()));
    let code = Box::pin(cli.command.run(&context)).await;
    (code, out.text().replace(&*folder.path().to_string_lossy(), ""))
}

fn configs(line: &str) -> Configs {
    let cli = Cli::try_parse_from(["mooring", "doctor"].into_iter().chain(line.split_whitespace())).unwrap();
    match cli.command {
        Command::Doctor(arguments) => *arguments.configs,
        other => panic!("{other:?}"),
    }
}

fn about(configs: &Configs, urls: &[&str], direct: bool, expect: Option<Kind>) -> About {
    About::new(configs, urls.iter().map(|u| (*u).to_owned()), direct, expect, None).unwrap()
}

#[tokio::test]
async fn a_file_alone_is_read_without_dialling_anybody() {
    let (code, text) = run("doctor --nginx-config {0} --path /ws --lang en", &[STRIPPED]).await;
    assert_eq!(code.unwrap(), 1, "{text}");
    for part in [
        "ProxyStrippedUpgrade  error  /file0.conf:",
        "location /ws in server chat.example",
        "+         proxy_http_version 1.1;",
        "+         proxy_set_header Upgrade $http_upgrade;",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    // Each line once: whoever writes it twice has a configuration that nginx refuses.
    assert_eq!(text.matches("+         proxy_http_version 1.1;").count(), 1, "{text}");
    assert!(!text.contains("abc123"), "a secret is shown\n{text}");
    assert!(!text.contains("All is well") && !text.contains("Nothing known fits"), "{text}");

    let (code, text) = run("doctor --nginx-config {0} --path /ws", &[SOUND]).await;
    assert_eq!(
        (code.unwrap(), text.as_str()),
        (0, "Nothing in these files stands in the way of sessions.\n")
    );

    let (code, text) = run("doctor --nginx-config {0} --path /ws --lang zh-CN", &[STRIPPED]).await;
    assert_eq!(code.unwrap(), 1);
    assert!(text.contains("错误") && text.contains("现状"), "{text}");
}

#[tokio::test]
async fn json_has_every_part_of_a_finding() {
    let (code, text) = run("doctor --nginx-config {0} --path /ws -o json", &[STRIPPED]).await;
    assert_eq!(code.unwrap(), 1);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lints = json["lints"].as_array().unwrap();
    let lint = lints.iter().find(|l| l["cause"] == "ProxyStrippedUpgrade").unwrap();
    assert_eq!((&lint["severity"], &lint["file"]), (&"error".into(), &"/file0.conf".into()));
    let patch = lint["patch"].as_str().unwrap();
    assert!(lint["line"].as_u64().is_some_and(|n| n > 0) && patch.contains("Upgrade"), "{lint}");
    assert!(lint["text"].is_string() && lint["found"].is_string() && lint["place"].is_string(), "{lint}");
    let (_, names) = run("doctor --nginx-config {0} --path /ws -o name", &[STRIPPED]).await;
    assert_eq!(names, "UpstreamHttp10\nProxyStrippedUpgrade\n");
}

#[tokio::test]
async fn what_is_asked_comes_from_the_command_line() {
    let balanced = SOUND.replace("http://10.0.0.7:8080", "http://io").replace("1h", "20s");
    let balanced = format!("upstream io {{\n    server a:1;\n    server b:1;\n}}\n{balanced}");
    let (code, text) = run("doctor --nginx-config {0} --expect socketio", &[&balanced]).await;
    assert_eq!(code.unwrap(), 1);
    assert!(text.contains("StickySessionsMissing") && text.contains("IdleCut  error"), "{text}");
    let (_, text) = run("doctor --nginx-config {0} --path /ws --server-ping 25s", &[&balanced]).await;
    assert!(text.contains("IdleCut  error") && !text.contains("Sticky"), "{text}");
    let (_, text) = run("doctor --nginx-config {0} --path /ws --server-ping 5s", &[&balanced]).await;
    assert!(!text.contains("IdleCut"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_its_place() {
    let (code, text) = run("doctor --nginx-config {0} --path /ws", &["server {\n  listen 80\n}\n"]).await;
    assert_eq!(code.unwrap(), 1);
    assert!(text.contains("/file0.conf:") && text.contains("the proxy would refuse it"), "{text}");
    let (code, text) =
        run("doctor --apache-config {0} --path /ws", &["Include conf/none.conf\nProxyPass /x http://b/x\n"])
            .await;
    assert!(text.contains("Could not be judged") && text.contains("none.conf"), "{code:?} {text}");
    for (line, part) in [
        ("doctor --nginx-config /no/such/file --path /ws", "cannot read it"),
        ("doctor --nginx-config / --path /ws", "not a file"),
        ("doctor --nginx-config {0}", "--path"),
        ("doctor ws://127.0.0.1:1/ws --path /ws --nginx-config {0}", "no URL"),
        ("doctor http://h/ws?token=x --nginx-config {0}", "`http://h/ws`"),
        ("doctor --nginx-config - --apache-config - --path /ws", "one configuration only"),
        (
            "doctor --path /ws --nginx-config {0} --nginx-config {0} --nginx-config {0} --nginx-config {0} --nginx-config {0}",
            "at most 4",
        ),
    ] {
        let failure = run(line, &[SOUND]).await.0.unwrap_err();
        assert_eq!(failure.exit_code(), crate::failure::USAGE, "{line}");
        assert!(failure.to_string().contains(part), "{line}: {failure}");
    }
    for wrong in ["doctor", "doctor --path /ws"] {
        assert!(
            Cli::try_parse_from(std::iter::once("mooring").chain(wrong.split_whitespace())).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn standard_input_is_a_configuration_without_a_folder() {
    let dump = format!(
        "# configuration file /etc/nginx/nginx.conf:\nhttp {{\ninclude sites/*;\n}}\n\
                        # configuration file /etc/nginx/sites/chat:\n{STRIPPED}"
    );
    let configs = configs("--nginx-config - --path /ws");
    let given = configs.read(dump.as_bytes()).unwrap();
    let lints = check(&given, &about(&configs, &[], false, None), Lang::En).unwrap();
    assert_eq!((lints[0].file.as_str(), lints[0].severity.as_str()), ("/etc/nginx/sites/chat", "error"));
    // Files of this machine are none of what stands on another's.
    let configs = self::configs("--apache-config - --path /ws");
    let given =
        configs.read(&b"Include /etc/passwd\nProxyPass / http://b/ upgrade=websocket\nTimeout 3600\n"[..]);
    let lints = check(&given.unwrap(), &about(&configs, &[], false, None), Lang::En).unwrap();
    assert!(lints.iter().any(|l| l.severity == "doubt" && l.text.contains("/etc/passwd")), "{lints:?}");
}

#[test]
fn each_proxy_is_asked_about_its_own_place() {
    let none = Configs::default();
    let urls = ["wss://chat.example/chat/ws?token=x", "ws://10.0.0.5:3001/ws", "ws://10.0.0.7:8080/socket"];
    let about = about(&none, &urls, true, Some(Kind::Websocket));
    let asked = about.questions().unwrap();
    let of =
        |q: &Question| (q.path.clone(), q.host.clone().unwrap(), q.port.unwrap(), q.backend.clone().unwrap());
    assert_eq!(asked.len(), 2);
    assert_eq!(of(&asked[0]), ("/chat/ws".into(), "chat.example".into(), 443, "10.0.0.5:3001".into()));
    assert_eq!(of(&asked[1]), ("/ws".into(), "10.0.0.5".into(), 3001, "10.0.0.7:8080".into()));
    // The inner one passes both paths on; what it listens on says which is its own.
    let inner =
        STRIPPED.replace("listen 80", "listen 10.0.0.5:3001").replace("server_name chat.example;", "");
    let inner = format!("{}\n{inner}", SOUND.replace("location /", "location /chat"));
    let given = Given { software: Software::Nginx, files: vec![SourceFile::new("f", inner)], from: None };
    let lints = check(&[given], &about, Lang::En).unwrap();
    assert!(lints.iter().any(|l| l.cause == "ProxyStrippedUpgrade"), "{lints:?}");
}

#[test]
fn the_pings_that_were_seen_are_what_a_timeout_is_judged_by() {
    let configs = Configs::default();
    let mut case = Case {
        places: vec![mooring_core::diagnosis::Place { name: String::new(), direct: false }],
        ..Case::default()
    };
    let link = LinkSaw { ping_interval: Some(Duration::from_secs(20)), ..LinkSaw::default() };
    case.push(Finding {
        place: 0,
        probe: Probe::HoldSilent,
        saw: Saw { link: Some(link), ..Saw::default() },
    });
    let of = |about: About| about.questions().unwrap()[0].server_ping;
    assert_eq!(of(about(&configs, &["ws://h/ws"], false, None).learnt(&case)), Some(Duration::from_secs(20)));
    let told = || ["ws://h/ws".to_owned()].into_iter();
    let told = About::new(&configs, told(), false, None, Some(Duration::from_secs(30))).unwrap();
    assert_eq!(of(told.learnt(&case)), Some(Duration::from_secs(30)));
    // Engine.IO has a path of its own.
    let evolution = about(&configs, &["ws://h/"], false, Some(Kind::Evolution));
    let question = &evolution.questions().unwrap()[0];
    assert_eq!((question.path.as_str(), question.expects), ("/socket.io/", Expect::SocketIo));
}

#[test]
fn what_was_seen_to_work_is_no_error() {
    let lint = |cause: Cause| DiagnosisLint {
        cause: cause.name().to_owned(),
        severity: "error".to_owned(),
        ..DiagnosisLint::default()
    };
    let all = [lint(Cause::UpstreamHttp10), lint(Cause::IdleCut)];
    for (healthy, want) in [(true, ["warning", "error"]), (false, ["error", "error"])] {
        let mut lints = all.clone();
        settle(&mut lints, healthy, Lang::En);
        assert_eq!([lints[0].severity.as_str(), lints[1].severity.as_str()], want);
        assert_eq!(lints[0].text.contains("tolerates"), healthy);
    }
}
