//! Every operator line of the README, run as it stands against a running system.
//!
//! `mooring` lines run with the built binary. `grpcurl` is a Go program that cannot be had from the registries we build
//! from; `buf curl` stands in for it: the flags are translated, the rest of the line (data, method) is taken as it is.

use mooring_proto::v1::Phase;
use mooring_tests::gateway::{free_port, node_command};
use mooring_tests::process::{binary, root};
use mooring_tests::world::{Watched, World};
use tokio::process::Command;

/// The lines of the blocks marked as tested.
fn tested_lines(readme: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for block in readme.split("<!-- tested -->").skip(1) {
        let code = block.split("```").nth(1).expect("a code block follows the mark");
        lines.extend(
            code.lines()
                .skip(1)
                .map(str::trim)
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(str::to_owned),
        );
    }
    lines
}

/// Splits a line as a POSIX shell does, as far as the README uses it: words, single and double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        out.push(word);
    }
    out
}

/// A grpcurl line as a `buf curl` command.
fn as_buf(words: &[String], api: &str) -> Command {
    let (mut data, mut rest) = (None, Vec::new());
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-plaintext" => {}
            "-d" => data = words.next(),
            other => rest.push(other),
        }
    }
    let [address, method] = rest.as_slice() else { panic!("an address and a method: {rest:?}") };
    assert_eq!(*address, "127.0.0.1:7600", "the README shows the default address");
    let buf = root().join("tests/tools/node_modules/@bufbuild/buf-linux-x64/bin/buf");
    assert!(buf.is_file(), "run `npm ci --prefix tests/tools` first (cargo xtask test does)");
    let mut command = Command::new(buf);
    command.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"]);
    if let Some(data) = data {
        command.args(["-d", data]);
    }
    command.arg(format!("http://{api}/{method}"));
    command
}

#[tokio::test]
async fn every_operator_line_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let lines = tested_lines(&readme);
    assert!(lines.len() >= 20, "the README shows its operator tasks: {lines:#?}");
    let watched: Vec<Watched> = ["chat", "feed", "moody"]
        .into_iter()
        .map(|id| {
            let port = free_port();
            let watched = Watched::supervised(id, port, &node_command("ws-plain.js", port));
            // As in the demo, one gateway has two instances, and one is watched in the kernel, too.
            match id {
                "chat" => watched.with_instances(&["acct-1", "acct-2"]),
                "feed" => watched.with("watch = [\"canary\", \"kernel\"]"),
                _ => watched,
            }
        })
        .collect();
    let world = World::start(&watched).await;
    for name in
        ["chat/instances/acct-1", "chat/instances/acct-2", "feed/instances/feed", "moody/instances/moody"]
    {
        world.api.phase(&format!("agents/local/gateways/{name}"), Phase::Healthy).await;
    }
    // Pauses come after orders in the README and would stop nothing before them; two reconnects may meet a cooldown.
    for line in lines {
        let words = words(&line);
        let outcome = mooring_tests::wait::until(&line, || async {
            let mut command = match words[0].as_str() {
                "grpcurl" => as_buf(&words, &world.api_address),
                "mooring" => {
                    let mut command = Command::new(binary("mooring"));
                    command.args(&words[1..]).env("MOORING_SERVER", format!("http://{}", world.api_address));
                    command
                }
                other => panic!("what is {other}?"),
            };
            let output = command.output().await.expect("it runs");
            let text = format!(
                "{}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            // A gate may be shut for a moment (cooldown after the order before it): that is an answer, asked again.
            if output.status.success() { Ok(text) } else { Err(text) }
        })
        .await;
        assert!(outcome.lines().count() > 1, "{line} says nothing");
    }
}
