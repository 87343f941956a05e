//! What a fault is made of: addresses, files, and parts that end with it.

use std::fmt;
use std::path::{Path, PathBuf};

use mooring_core::kind::Kind;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::task::AbortHandle;

use super::proxy::Proxy;
use super::view::ClientView;
use crate::process::Process;

/// A fault that stands. Dropping it ends its parts.
#[derive(Debug, Default)]
pub struct Scene {
    /// The outermost address, which is the one examined.
    pub url: String,
    /// The same behind each inner hop, outermost first; without the backend itself.
    pub via: Vec<String>,
    /// The same at the backend itself, past all proxies; where that is another address.
    pub direct: Option<String>,
    /// What the person expects there.
    pub expect: Option<Kind>,
    /// The Socket.IO namespace that is to be joined, where it is not the main one.
    pub namespace: Option<String>,
    /// The Origin of the pages that are to use it.
    pub origin: Option<String>,
    /// The subprotocol that is demanded.
    pub subprotocol: Option<String>,
    /// Headers that the handshake is to carry.
    pub headers: Vec<(String, String)>,
    /// The certificate authority that the person trusts, PEM.
    pub trust: Option<PathBuf>,
    /// The configuration of the nginx on the way.
    pub nginx_config: Option<PathBuf>,
    /// The configuration of the Apache on the way.
    pub apache_config: Option<PathBuf>,
    /// The configuration of the HAProxy on the way.
    pub haproxy_config: Option<PathBuf>,
    /// The proxies on the way and where each listens, for whoever changes their configurations.
    pub fronts: Vec<(Proxy, String)>,
    /// What clients other than ours saw, and the server of them, for faults that such a client makes: they have ended
    /// before the scene stands.
    pub seen: Vec<ClientView>,
    /// What it is made of.
    pub parts: Vec<Part>,
}

impl Scene {
    /// A scene with nothing but an address that expects a kind.
    #[must_use]
    pub fn at(url: impl Into<String>, expect: Kind) -> Self {
        Self { url: url.into(), expect: Some(expect), ..Self::default() }
    }

    /// With a part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// With the backend's own address.
    #[must_use]
    pub fn direct(mut self, url: impl Into<String>) -> Self {
        self.direct = Some(url.into());
        self
    }

    /// With an inner hop.
    #[must_use]
    pub fn via(mut self, url: impl Into<String>) -> Self {
        self.via.push(url.into());
        self
    }

    /// The parts that have ended and should not have, or a process of theirs has: they were killed by what was done to
    /// them.
    #[must_use]
    pub fn dead(&self) -> Vec<String> {
        let gone = |part: &&Part| !part.mortal && (!part.alive() || part.lost_a_worker());
        self.parts.iter().filter(gone).map(|p| p.name.clone()).collect()
    }

    /// What all parts have said so far.
    #[must_use]
    pub fn logs(&self) -> String {
        self.parts.iter().map(Part::log).collect()
    }
}

/// Something that a scene is made of.
pub struct Part {
    /// What it is, for people.
    pub name: String,
    /// Whether it is to end by itself: its death is the fault, or it is a client that has done its work.
    pub mortal: bool,
    held: Held,
    /// Files it writes what it has to say to.
    logs: Vec<PathBuf>,
    /// Where its files are.
    folder: Option<TempDir>,
}

enum Held {
    Process(Box<Process>),
    Task(AbortHandle),
    /// A port that is taken so that nobody listens there.
    Port(#[expect(dead_code, reason = "it is held, not used")] TcpSocket),
    Nothing,
}

impl Part {
    /// A process, in a group of its own, so that its children end with it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn process(name: &str, command: &mut Command) -> Self {
        let process = Process::start(name, command.process_group(0));
        Self::holding(name, Held::Process(Box::new(process)))
    }

    /// A task in this process.
    #[must_use]
    pub fn task(name: &str, task: AbortHandle) -> Self {
        Self::holding(name, Held::Task(task))
    }

    /// A port of which nothing is known but that nobody listens there.
    #[must_use]
    pub fn port(name: &str, socket: TcpSocket) -> Self {
        Self::holding(name, Held::Port(socket))
    }

    /// Files that are to last as long as the scene.
    #[must_use]
    pub fn files(name: &str, folder: TempDir) -> Self {
        Self::holding(name, Held::Nothing).in_folder(folder, None)
    }

    fn holding(name: &str, held: Held) -> Self {
        Self { name: name.to_owned(), mortal: false, held, logs: Vec::new(), folder: None }
    }

    /// One that is to end by itself.
    #[must_use]
    pub fn mortal(mut self) -> Self {
        self.mortal = true;
        self
    }

    /// Ends the process, and starts it again; its folder and its log go on.
    ///
    /// # Panics
    /// When it is none, does not end or cannot be started.
    pub(super) async fn restart(&mut self, command: &mut Command) {
        let Held::Process(process) = std::mem::replace(&mut self.held, Held::Nothing) else {
            panic!("{} is no process", self.name);
        };
        let _ = process.terminate().await;
        self.held = Held::Process(Box::new(Process::start(&self.name, command.process_group(0))));
    }

    /// With a file that it logs to, and the folder it works in.
    #[must_use]
    pub fn in_folder(mut self, folder: TempDir, log: Option<&Path>) -> Self {
        self.logs.extend(log.map(Path::to_path_buf));
        self.folder = Some(folder);
        self
    }

    /// The process, where it is one.
    #[must_use]
    pub fn as_process(&self) -> Option<&Process> {
        match &self.held {
            Held::Process(process) => Some(process),
            Held::Task(_) | Held::Port(_) | Held::Nothing => None,
        }
    }

    /// Whether it still runs. A stopped process is alive.
    #[must_use]
    pub fn alive(&self) -> bool {
        match &self.held {
            Held::Process(process) => match pid_of(process) {
                // It is only looked at, not waited for: its id stays its own until this is dropped.
                Some(pid) => {
                    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                    matches!(waitid(WaitId::Pid(pid), options), Ok(None))
                }
                None => false,
            },
            Held::Task(task) => !task.is_finished(),
            Held::Port(_) | Held::Nothing => true,
        }
    }

    /// Whether a process that it started has crashed: nginx and Apache go on, and say so.
    fn lost_a_worker(&self) -> bool {
        let log = self.log();
        ["exited on signal", "exit signal"].iter().any(|words| log.contains(words))
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        let mut said = self.as_process().map(Process::log).unwrap_or_default();
        for file in &self.logs {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            said.push_str(&format!("--- {}: {}\n{text}", self.name, file.display()));
        }
        said
    }
}

fn pid_of(process: &Process) -> Option<Pid> {
    process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

impl Drop for Part {
    fn drop(&mut self) {
        match &self.held {
            // The whole group, whatever it made of itself; one that is stopped hears nothing milder.
            Held::Process(process) => {
                if let Some(group) = pid_of(process) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
            Held::Task(task) => task.abort(),
            Held::Port(_) | Held::Nothing => {}
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("mortal", &self.mortal)
            .field("alive", &self.alive())
            .finish_non_exhaustive()
    }
}
