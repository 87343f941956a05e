//! Gateways that are scripts: Node with the packages of `tests/gateways`, Python with those of `tests/tools`.
//!
//! Each says where it listens in its first line: `{"listening":"127.0.0.1:PORT","pid":…}`.

use std::path::PathBuf;

use tokio::net::TcpSocket;
use tokio::process::Command;

use super::scene::Part;
use super::view::ClientView;
use crate::gateway::announced;
use crate::process::root;

/// A Node script, relative to `tests/gateways`, that serves. Returns its address with it.
///
/// # Panics
/// When it does not start, or the packages are not installed.
pub async fn node(script: &str, flags: &[&str]) -> (Part, String) {
    serving(script, &mut node_command(script, flags)).await
}

/// The command of a Node script.
///
/// # Panics
/// When the packages are not installed.
#[must_use]
pub fn node_command(script: &str, flags: &[&str]) -> Command {
    let folder = root().join("tests/gateways");
    assert!(
        folder.join("node_modules/socket.io").is_dir(),
        "run `npm ci --prefix tests/gateways` first (cargo xtask test does)"
    );
    let mut command = Command::new("node");
    command.arg(folder.join(script)).args(flags);
    command
}

/// A Python script, relative to `tests/gateways`, that serves. Returns its address with it.
///
/// # Panics
/// When it does not start, or the packages are not installed.
pub async fn python(script: &str, flags: &[&str]) -> (Part, String) {
    serving(script, &mut python_command(script, flags)).await
}

/// The command of a Python script.
///
/// # Panics
/// When the packages are not installed.
#[must_use]
pub fn python_command(script: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(root().join("tests/gateways").join(script)).args(flags);
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The Python that has the packages of `tests/tools/requirements.txt`.
fn interpreter() -> PathBuf {
    // A test runs from target/debug/deps, a benchmark from target/release.
    let me = std::env::current_exe().expect("a program has a path");
    let inside = |folder: &std::path::Path| folder.join("xtask/python/bin/python");
    me.ancestors().map(inside).find(|python| python.is_file()).expect(
        "run `cargo xtask kubernetes` first, which installs the Python packages (cargo xtask test does)",
    )
}

/// Starts what announces its address, and waits for that.
///
/// # Panics
/// When it does not come.
pub async fn serving(name: &str, command: &mut Command) -> (Part, String) {
    let part = Part::process(name, command);
    let process = part.as_process().expect("it is a process");
    let address = process.line("the address", announced).await;
    // A framework may say where it will listen before it does.
    crate::wait::until(&format!("{name} to listen"), || async {
        tokio::net::TcpStream::connect(&address)
            .await
            .map(drop)
            .map_err(|e| format!("{e}\n{}", process.log()))
    })
    .await;
    (part, address)
}

/// Runs a client script to the end of its session, or of its sessions; returns what it says of them.
///
/// # Panics
/// When it says nothing in time.
pub async fn client(name: &str, command: &mut Command, sessions: usize) -> (Part, Vec<ClientView>) {
    let part = Part::process(name, command).mortal();
    let views = views(&part, sessions).await;
    (part, views)
}

/// Waits until a part has said this much about ends of sessions.
///
/// # Panics
/// When it does not in time.
pub async fn views(part: &Part, count: usize) -> Vec<ClientView> {
    let process = part.as_process().expect("it is a process");
    crate::wait::until(&format!("{count} ends of sessions from {}", part.name), || async {
        let views: Vec<ClientView> = process.log().lines().filter_map(ClientView::read).collect();
        if views.len() >= count { Ok(views) } else { Err(process.log()) }
    })
    .await
}

/// A port where nobody listens, and nobody will while the part is there.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn nobody() -> (Part, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    (Part::port("nobody", socket), address)
}
