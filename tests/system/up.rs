//! `mooring up --demo`: everything in one process, seen from outside, ended by Ctrl-C, found again by a second run.

use std::path::Path;

use mooring_proto::v1::Phase;
use mooring_tests::client::Api;
use mooring_tests::process::{Process, binary};
use mooring_tests::wait::until;
use rustix::process::Signal;
use tokio::process::Command;

const INSTANCES: [&str; 4] =
    ["chat/instances/acct-1", "chat/instances/acct-2", "feed/instances/feed", "moody/instances/moody"];

async fn up(folder: &Path) -> (Process, Api) {
    let mut command = Command::new(binary("mooring"));
    command.arg("up").arg("--demo").arg("--data-dir").arg(folder.join("data"));
    command.args(["--api", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"]);
    let up = Process::start("mooring up", &mut command);
    let address = up
        .line("the API's address", |l| {
            l.split_once("Operator API: http://").map(|(_, a)| a.trim().to_owned())
        })
        .await;
    (up, Api::new(&address))
}

async fn all_seen(api: &Api) {
    for name in INSTANCES {
        let name = format!("agents/local/gateways/{name}");
        // The moody one may be in one of its moods by the time it is looked at; that it was well once is what counts.
        until(&format!("{name} to have been well"), || async {
            let events = api.events().await.unwrap_or_default();
            let well = events.iter().any(|e| e.subject == name && e.message.contains("Reachable is True"));
            let now = api.instance(&name).await;
            if well || now.as_ref().is_ok_and(|i| i.phase() == Phase::Healthy) { Ok(()) } else { Err(now) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_first_run_and_a_second_that_finds_its_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), open).expect("permissions");

    let (first, api) = up(folder.path()).await;
    all_seen(&api).await;
    first
        .line("a line per change", |l| (l.contains("local/feed") && l.contains("Healthy")).then_some(()))
        .await;
    first
        .line("a grpcurl line to try", |l| l.trim_start().starts_with("grpcurl -plaintext").then_some(()))
        .await;
    let newest = api.events().await.expect("events").first().expect("something happened").name.clone();
    let (code, log) = first.stop(Signal::INT).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Stopping"), "it says what it ends: {log}");

    let (second, api) = up(folder.path()).await;
    all_seen(&api).await;
    let events = api.events().await.expect("events");
    assert!(events.iter().any(|e| e.name == newest), "what happened in the first run is known in the second");
    let (code, log) = second.stop(Signal::INT).await;
    assert_eq!(code, Some(0), "{log}");
}
