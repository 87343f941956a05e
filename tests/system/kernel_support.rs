//! What the tests of kernel watching share: gateways and clients in namespaces of their own, middleboxes between them.

use std::path::Path;
use std::time::{Duration, Instant};

use mooring_proto::v1::{Condition, Instance, Phase, Session};
use mooring_tests::gateway::announced;
use mooring_tests::netns::{Link, Namespace};
use mooring_tests::process::{Process, root};
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use tempfile::TempDir;
use tokio::process::Command;

/// The gateway's port.
pub const PORT: u16 = 9000;
/// Where the gateway is, for clients.
pub const GATEWAY: &str = "10.77.0.1";
/// Where clients are.
pub const CLIENTS: &str = "10.77.0.2";
/// How often the agent looks.
pub const EVERY: Duration = Duration::from_millis(500);

/// A gateway in one namespace, its clients in another, a link between them.
pub struct Site {
    _gateway: Process,
    pub link: Link,
    pub here: Namespace,
    pub there: Namespace,
}

impl Site {
    /// With these flags of the gateway's.
    pub async fn new(flags: &[&str]) -> Self {
        let (here, there) = (Namespace::new(), Namespace::new());
        let link = Link::new((&here, GATEWAY), (&there, CLIENTS)).await;
        let gateway = serve(&here, PORT, flags).await;
        Self { _gateway: gateway, link, here, there }
    }

    /// Clients at the other end of the link, once all of them are in.
    pub async fn clients(&self, count: usize, flags: &[&str]) -> Clients {
        let clients = Clients::start(&self.there, &format!("{GATEWAY}:{PORT}"), count, flags);
        clients.opened(count).await;
        clients
    }

    /// How the agent watches it: the kernel's view of its port, and more of `[gateway.kernel]`, or whole tables after it.
    pub fn watched(&self, id: &str, more: &str) -> Watched {
        watched(id, &self.here, &format!("ports = [{PORT}]\n{more}"))
    }
}

/// A gateway that is watched in a namespace by the kernel alone.
pub fn watched(id: &str, namespace: &Namespace, more: &str) -> Watched {
    let place = namespace.path();
    Watched::at(id, &format!("{GATEWAY}:{PORT}")).with(&format!(
        "watch = [\"kernel\"]\n[gateway.kernel]\nnamespace = {place:?}\nevery = \"500ms\"\n{more}"
    ))
}

/// A gateway in a namespace, listening everywhere.
pub async fn serve(namespace: &Namespace, port: u16, flags: &[&str]) -> Process {
    let mut command = namespace.command("node");
    command.arg(root().join("tests/gateways/ws-plain.js"));
    command.args(["--host", "0.0.0.0", "--port", &port.to_string()]).args(flags);
    let process = Process::start("the gateway", &mut command);
    process.line("its address", announced).await;
    process
}

/// Connections by the thousand (`tests/tools/hold.py`), once it says the word.
pub async fn hold(namespace: &Namespace, role: &str, args: &[&str], word: &str) -> Process {
    let mut command = namespace.command("python3");
    command.arg(root().join("tests/tools/hold.py")).arg(role).args(args);
    let process = Process::start(role, &mut command);
    process.line(word, |line| line.contains(word).then_some(())).await;
    process
}

/// Clients that come back by themselves (`ws-clients.js`).
pub struct Clients(pub Process);

/// What became of clients, as they say it.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub opened: usize,
    /// Which of them, with what error, in order.
    pub closed: Vec<(u64, String)>,
}

impl Clients {
    pub fn start(namespace: &Namespace, to: &str, count: usize, flags: &[&str]) -> Self {
        let mut command = namespace.command("node");
        Self::run(&mut command, to, count, flags)
    }

    /// On the machine's own loopback.
    pub fn start_here(to: &str, count: usize, flags: &[&str]) -> Self {
        Self::run(&mut Command::new("node"), to, count, flags)
    }

    fn run(command: &mut Command, to: &str, count: usize, flags: &[&str]) -> Self {
        command.arg(root().join("tests/gateways/ws-clients.js"));
        command.args(["--to", &format!("ws://{to}/ws"), "--count", &count.to_string()]).args(flags);
        Self(Process::start("the clients", command))
    }

    /// What happened so far.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for line in self.0.log().lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            match line["event"].as_str() {
                Some("open") => seen.opened += 1,
                Some("closed") => {
                    let error = line["error"].as_str().unwrap_or("none").to_owned();
                    seen.closed.push((line["client"].as_u64().unwrap_or(u64::MAX), error));
                }
                _ => {}
            }
        }
        seen
    }

    /// Waits until so many sessions were opened in all.
    pub async fn opened(&self, count: usize) -> Seen {
        until(&format!("{count} sessions to be opened"), || async {
            let seen = self.seen();
            if seen.opened >= count { Ok(seen) } else { Err(seen) }
        })
        .await
    }
}

/// A world with a policy that is the quick one but for these replacements.
pub async fn world(gateways: &[Watched], replace: &[(&str, &str)]) -> World {
    let mut policy = QUICK_POLICY.to_owned();
    for (from, to) in replace {
        assert!(policy.contains(from), "the quick policy has no {from}");
        policy = policy.replace(from, to);
    }
    let database = mooring_tests::postgres::fresh_database().await;
    World::start_with(gateways, &policy, database).await
}

/// Waits until something holds of all sessions of a gateway; returns them and how long it took.
pub async fn sessions(
    world: &World,
    watched: &Watched,
    what: &str,
    wanted: impl Fn(&[Session]) -> bool,
) -> (Vec<Session>, Duration) {
    let begun = Instant::now();
    let sessions = until(what, || async {
        match world.api.sessions(&watched.gateway(), "").await {
            Ok(answer) if answer.unanswered.is_empty() && wanted(&answer.sessions) => Ok(answer.sessions),
            other => Err(other),
        }
    })
    .await;
    (sessions, begun.elapsed())
}

/// The names of sessions.
pub fn names(sessions: &[Session]) -> Vec<String> {
    let mut names: Vec<String> = sessions.iter().map(|s| s.name.clone()).collect();
    names.sort_unstable();
    names
}

/// A time from the API, in milliseconds; absent counts as none.
pub fn millis(time: Option<&prost_types::Duration>) -> i64 {
    time.map_or(0, |d| d.seconds * 1_000 + i64::from(d.nanos) / 1_000_000)
}

/// Looks again and again for a time, and fails when an instance is not healthy or any of its sessions is sick even once.
/// Returns how often it looked.
pub async fn stays_well(world: &World, watched: &Watched, time: Duration) -> usize {
    let (begun, mut looks) = (Instant::now(), 0);
    let mut turns = tokio::time::interval(EVERY / 5);
    while begun.elapsed() < time {
        let instance = world.api.instance(&watched.instance()).await.expect("the instance");
        assert_eq!(instance.phase(), Phase::Healthy, "after {:?}: {instance:#?}", begun.elapsed());
        let listed = world.api.sessions(&watched.gateway(), "").await.expect("its sessions");
        assert!(listed.sessions.iter().all(|s| s.cause.is_empty()), "{:#?}", listed.sessions);
        looks += 1;
        turns.tick().await;
    }
    looks
}

/// A condition of an instance.
pub fn condition(instance: &Instance, kind: &str) -> Condition {
    instance.conditions.iter().find(|c| c.r#type == kind).cloned().unwrap_or_default()
}

/// A middlebox that cuts after six seconds of silence.
pub struct Middlebox {
    pub process: Process,
    _dir: TempDir,
}

/// Which middlebox.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Nginx,
    Haproxy,
}

impl Middlebox {
    /// From Debian's package, in a namespace or on the machine's own loopback, before a gateway.
    pub async fn start(kind: Kind, namespace: Option<&Namespace>, address: &str, upstream: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("mooring-middlebox-").tempdir().expect("a folder");
        let (program, text) = match kind {
            Kind::Nginx => ("nginx", nginx(dir.path(), address, upstream)),
            Kind::Haproxy => ("haproxy", haproxy(address, upstream)),
        };
        let file = dir.path().join("conf");
        std::fs::write(&file, text).expect("its settings");
        let mut command = namespace.map_or_else(|| Command::new(program), |n| n.command(program));
        // Debian puts servers where not everybody's path leads.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        match kind {
            Kind::Nginx => command.arg("-e").arg("stderr").arg("-p").arg(dir.path()).arg("-c").arg(&file),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&file),
        };
        Self { process: Process::start(program, &mut command), _dir: dir }
    }
}

/// One process, so that killing it kills all of it.
fn nginx(dir: &Path, address: &str, upstream: &str) -> String {
    let dir = dir.display();
    format!(
        "daemon off; master_process off; pid {dir}/pid;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;\n  \
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n  \
         server {{ listen {address}; location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1;\n    \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 6s; }} }}\n}}\n"
    )
}

fn haproxy(address: &str, upstream: &str) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 200\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  timeout tunnel 6s\n\
         listen middlebox\n  bind {address}\n  server gateway {upstream}\n"
    )
}
