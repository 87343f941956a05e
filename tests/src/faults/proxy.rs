//! The proxies that stand between a person and a gateway: nginx, Apache and HAProxy, from configurations of the scene's own.
//!
//! The configurations are written as people write them, because they are also what is read when a proxy is suspected: one
//! that forgets the upgrade forgets it by leaving the usual lines out, not by an artifice. What stands around them is what
//! lets any number of them run on one machine without its privileges.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::scene::{Part, Scene};
use crate::gateway::free_port;

/// How long one may take to accept its first connection.
const START: Duration = Duration::from_secs(30);
/// Ports tried: another test may have taken the one that was free.
const TRIES: usize = 5;

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// nginx.
    Nginx,
    /// Apache's httpd.
    Apache,
    /// HAProxy, in HTTP mode.
    Haproxy,
}

impl Proxy {
    /// The name of its part of a scene.
    const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Haproxy => "haproxy",
        }
    }
}

/// What of a plain reverse proxy is as it should be.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether upgrades are passed on.
    pub upgrade: bool,
    /// How long an upgraded connection may be silent. Whole seconds.
    pub idle: Duration,
    /// How long the backend may take to answer, where that is less. Whole seconds; in nginx it is the same setting.
    pub answer: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { upgrade: true, idle: Duration::from_secs(60), answer: Duration::from_secs(60) }
    }
}

impl Settings {
    /// One that forgets the upgrade.
    #[must_use]
    pub fn stripped() -> Self {
        Self { upgrade: false, ..Self::default() }
    }

    /// One that cuts silence short.
    #[must_use]
    pub fn idle(seconds: u64) -> Self {
        Self { idle: Duration::from_secs(seconds), ..Self::default() }
    }

    /// One that soon gives a backend up.
    #[must_use]
    pub fn answer(seconds: u64) -> Self {
        Self { answer: Duration::from_secs(seconds), ..Self::default() }
    }
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Front {
    /// Which.
    pub proxy: Proxy,
    /// Where it listens.
    pub address: String,
    /// Its configuration.
    pub config: PathBuf,
    /// It.
    pub part: Part,
}

impl Scene {
    /// With a proxy, and its configuration to look into.
    #[must_use]
    pub fn front(mut self, front: Front) -> Self {
        let config = Some(front.config);
        match front.proxy {
            Proxy::Nginx => self.nginx_config = config,
            Proxy::Apache => self.apache_config = config,
            Proxy::Haproxy => self.haproxy_config = config,
        }
        self.fronts.push((front.proxy, front.address));
        self.part(front.part)
    }

    /// The configuration of a proxy on the way.
    #[must_use]
    pub fn config(&self, proxy: Proxy) -> Option<&Path> {
        match proxy {
            Proxy::Nginx => self.nginx_config.as_deref(),
            Proxy::Apache => self.apache_config.as_deref(),
            Proxy::Haproxy => self.haproxy_config.as_deref(),
        }
    }

    /// Starts a proxy on the way anew, with its configuration as it stands now.
    ///
    /// # Panics
    /// When there is none, or it does not take its configuration: with its log.
    pub async fn restart(&mut self, proxy: Proxy) {
        let config = self.config(proxy).expect("its configuration").to_path_buf();
        let at = self.fronts.iter().find(|(front, _)| *front == proxy).expect("it is on the way");
        let address = at.1.clone();
        let part = self.parts.iter_mut().find(|part| part.name == proxy.name()).expect("it is a part");
        part.restart(&mut command(proxy, &config)).await;
        if let Err(log) = accepts(part, &address).await {
            let text = std::fs::read_to_string(&config).unwrap_or_default();
            panic!("{proxy:?} does not take its configuration\n{log}\n{text}");
        }
    }
}

/// A reverse proxy before one backend.
pub async fn front(proxy: Proxy, upstream: &str, settings: Settings) -> Front {
    start(proxy, &plain(proxy, upstream, settings)).await
}

fn plain(proxy: Proxy, upstream: &str, settings: Settings) -> String {
    let (idle, answer) = (settings.idle.as_secs(), settings.answer.as_secs());
    match proxy {
        Proxy::Nginx => {
            let upgrade = if settings.upgrade { NGINX_UPGRADE } else { "" };
            let read = idle.min(answer);
            nginx_server(&format!(
                "location / {{\n      proxy_pass http://{upstream};\n{upgrade}      \
                 proxy_set_header Host $http_host;\n      proxy_read_timeout {read}s;\n    }}"
            ))
        }
        Proxy::Apache => {
            let upgrade = if settings.upgrade { " upgrade=websocket" } else { "" };
            // A tunnel lasts for the longer of the two, and where the second is not given it is the first.
            let patience = if answer < idle { format!("  ProxyTimeout {answer}\n") } else { String::new() };
            apache_host(&format!(
                "Timeout {idle}\n{patience}  ProxyPreserveHost On\n  \
                 ProxyPass \"/\" \"http://{upstream}/\"{upgrade}\n  ProxyPassReverse \"/\" \"http://{upstream}/\""
            ))
        }
        Proxy::Haproxy => {
            // It passes upgrades by itself: whoever wants none has to take them out.
            let upgrade = if settings.upgrade { "" } else { "  http-request del-header Upgrade\n" };
            haproxy_backends(
                &format!("  timeout server {answer}s\n  timeout tunnel {idle}s\n"),
                &format!("{upgrade}  server gateway {upstream}\n"),
            )
        }
    }
}

/// The lines with which nginx passes an upgrade on.
pub const NGINX_UPGRADE: &str = "      proxy_http_version 1.1;\n      proxy_set_header Upgrade $http_upgrade;\n      \
                                 proxy_set_header Connection \"upgrade\";\n";

/// nginx with one server, which holds this.
#[must_use]
pub fn nginx_server(inside: &str) -> String {
    format!("  server {{\n    listen LISTEN;\n    {inside}\n  }}\n")
}

/// Apache with one host, which holds this.
#[must_use]
pub fn apache_host(inside: &str) -> String {
    format!("<VirtualHost LISTEN>\n  {inside}\n</VirtualHost>\n")
}

/// HAProxy with one way in and its backend: more defaults, and the backend's lines.
#[must_use]
pub fn haproxy_backends(defaults: &str, backend: &str) -> String {
    format!(
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n{defaults}\n\
         frontend in\n  bind LISTEN\n  default_backend gateways\n\nbackend gateways\n{backend}"
    )
}

/// Starts one with what makes it this one: for nginx what stands in `http`, for Apache its hosts, for HAProxy its defaults
/// and sections. `LISTEN` stands for the address.
///
/// # Panics
/// When it is not installed or does not accept: with its log.
pub async fn start(proxy: Proxy, text: &str) -> Front {
    let mut last = String::new();
    for _ in 0..TRIES {
        let address = format!("127.0.0.1:{}", free_port());
        let (part, config) = launch(proxy, &text.replace("LISTEN", &address), &address);
        match accepts(&part, &address).await {
            Ok(()) => return Front { proxy, address, config, part },
            Err(log) => last = log,
        }
    }
    panic!("{proxy:?} does not accept\n{last}\n{text}");
}

async fn accepts(part: &Part, address: &str) -> Result<(), String> {
    let start = Instant::now();
    // Nothing but a connection says that it is ready; one to somebody else's port would, too, hence the second look.
    while TcpStream::connect(address).await.is_err() {
        if !part.alive() || start.elapsed() > START {
            return Err(part.log());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if part.alive() { Ok(()) } else { Err(part.log()) }
}

fn launch(proxy: Proxy, text: &str, address: &str) -> (Part, PathBuf) {
    let folder = tempfile::Builder::new().prefix("mooring-fault-").tempdir().expect("a folder");
    // Its workers, who are not root, make files in it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("our own folder");
    let dir = folder.path();
    let (config, log) = match proxy {
        Proxy::Nginx => (write(dir, "nginx.conf", &nginx(dir, text)), None),
        Proxy::Apache => {
            (write(dir, "apache.conf", &apache(dir, text, address)), Some(dir.join("error.log")))
        }
        Proxy::Haproxy => (write(dir, "haproxy.cfg", &haproxy(text)), None),
    };
    let part = Part::process(proxy.name(), &mut command(proxy, &config));
    (part.in_folder(folder, log.as_deref()), config)
}

/// Runs one in the foreground.
fn command(proxy: Proxy, config: &Path) -> Command {
    match proxy {
        Proxy::Nginx => {
            let mut command = Command::new(installed("nginx"));
            command.arg("-p").arg(config.with_file_name("")).args(["-e", "stderr", "-c"]).arg(config);
            command
        }
        Proxy::Apache => {
            let mut command = Command::new(installed("apache2"));
            command.args(["-D", "FOREGROUND", "-f"]).arg(config);
            command
        }
        Proxy::Haproxy => {
            let mut command = Command::new(installed("haproxy"));
            command.arg("-db").arg("-f").arg(config);
            command
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let file = dir.join(name);
    std::fs::write(&file, text).expect("our own folder");
    file
}

/// On the path, or where Debian puts servers, which is not on everybody's path.
fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed: run `apt-get install {program}`"))
}

fn nginx(dir: &Path, http: &str) -> String {
    let user = if geteuid().is_root() { "user nobody nogroup;\n" } else { "" };
    let dir = dir.display();
    format!(
        "daemon off;\n{user}worker_processes 1;\npid {dir}/pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 512; }}\nhttp {{\n  access_log off;\n  client_body_temp_path {dir}/body;\n  \
         proxy_temp_path {dir}/proxy;\n  fastcgi_temp_path {dir}/fastcgi;\n  uwsgi_temp_path {dir}/uwsgi;\n  \
         scgi_temp_path {dir}/scgi;\n{http}}}\n"
    )
}

/// What of Apache is needed here: Debian builds the rest in.
const APACHE_MODULES: &[&str] = &[
    "mpm_event",
    "authz_core",
    "alias",
    "dir",
    "mime",
    "headers",
    "rewrite",
    "proxy",
    "proxy_http",
    "proxy_wstunnel",
    "proxy_balancer",
    "lbmethod_byrequests",
    "slotmem_shm",
    "ssl",
    "socache_shmcb",
];

fn apache(dir: &Path, hosts: &str, address: &str) -> String {
    let user = if geteuid().is_root() { "User nobody\nGroup nogroup\n" } else { "" };
    let modules: String = APACHE_MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let dir = dir.display();
    format!(
        "ServerRoot {dir}\nDefaultRuntimeDir {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\nLogLevel warn\n\
         ServerName 127.0.0.1\nListen {address}\n{user}{modules}Mutex pthread\nStartServers 1\nServerLimit 1\n\
         ThreadsPerChild 25\nMaxRequestWorkers 25\nMinSpareThreads 1\nMaxSpareThreads 25\n\
         TypesConfig /dev/null\n{hosts}"
    )
}

fn haproxy(sections: &str) -> String {
    let user = if geteuid().is_root() { "  user nobody\n  group nogroup\n" } else { "" };
    format!("global\n  nbthread 1\n  maxconn 500\n  log stderr format raw local0 warning\n{user}\n{sections}")
}
