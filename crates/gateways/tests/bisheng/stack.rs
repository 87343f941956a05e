//! The real stack: Apache before nginx before a FastAPI and uvicorn twin of Bisheng, each a process of its own on ports
//! of its own, each killed when dropped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mooring_gateways::http::HttpClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take to come up. Test machines are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a proxy passes the upgrade on, and how long it lets a session be silent.
#[derive(Debug, Clone, Copy)]
pub struct Proxy {
    pub passes: bool,
    pub idle: u32,
}

pub const GOOD: Proxy = Proxy { passes: true, idle: 60 };
pub const STRIPS: Proxy = Proxy { passes: false, idle: 60 };

pub struct Stack {
    folder: TempDir,
    ports: [u16; 3],
    twin: Option<Child>,
    nginx: Option<Child>,
    apache: Option<Child>,
}

impl Stack {
    /// All three, healthy unless said otherwise.
    pub async fn start(nginx: Proxy, apache: Proxy) -> Self {
        let folder = TempDir::new().unwrap();
        // Apache and nginx drop what they can of root; what they serve must be readable then.
        open_to_all(folder.path());
        std::fs::create_dir(folder.path().join("html")).unwrap();
        std::fs::write(folder.path().join("html/index.html"), "<!doctype html><title>BISHENG</title>")
            .unwrap();
        open_to_all(&folder.path().join("html"));
        let ports = [free().await, free().await, free().await];
        let mut stack = Self { folder, ports, twin: None, nginx: None, apache: None };
        stack.start_twin(20).await;
        stack.start_nginx(&bundled(nginx)).await;
        stack.start_apache(apache).await;
        stack
    }

    pub fn backend(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub fn nginx(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    pub fn apache(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    pub async fn start_twin(&mut self, ping: u32) {
        self.twin = None;
        let script = root().join("tests/gateways/bisheng/twin.py");
        let mut command = Command::new(python());
        command.arg(script).args(["--port", &self.ports[0].to_string(), "--ping", &ping.to_string()]);
        self.twin = Some(start(&mut command));
        up(self.ports[0]).await;
    }

    /// `location`: what stands in the bundled configuration's `location /api`, the address of the API left out.
    pub async fn start_nginx(&mut self, location: &str) {
        self.nginx = None;
        gone(self.ports[1]).await;
        let (folder, [twin, port, _]) = (self.folder.path().display(), self.ports);
        let text = format!(
            "pid {folder}/nginx.pid;\nerror_log {folder}/nginx.err;\ndaemon off;\nmaster_process off;\n\
             events {{}}\nhttp {{\naccess_log {folder}/nginx.log;\n\
             client_body_temp_path {folder}/b;\nproxy_temp_path {folder}/p;\nfastcgi_temp_path {folder}/f;\n\
             uwsgi_temp_path {folder}/u;\nscgi_temp_path {folder}/s;\n\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
             server {{\nlisten 127.0.0.1:{port};\n\
             location / {{ root {folder}/html; index index.html; try_files $uri $uri/ /index.html =404; }}\n\
             {}\n}}\n}}\n",
            location.replace("BACKEND", &format!("http://127.0.0.1:{twin}"))
        );
        let file = self.folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(self.folder.path());
        command.arg("-e").arg(self.folder.path().join("nginx.err"));
        self.nginx = Some(start(&mut command));
        up(self.ports[1]).await;
    }

    pub async fn start_apache(&mut self, proxy: Proxy) {
        self.start_apache_with(proxy, "").await;
    }

    /// The public proxy with TLS; returns the certificate of who signed its own.
    pub async fn start_apache_tls(&mut self) -> PathBuf {
        let folder = self.folder.path();
        let (key, cert) = (folder.join("key.pem"), folder.join("cert.pem"));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let tls = format!(
            "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\nSSLEngine on\n\
             SSLCertificateFile {}\nSSLCertificateKeyFile {}\n",
            cert.display(),
            key.display()
        );
        self.start_apache_with(GOOD, &tls).await;
        cert
    }

    async fn start_apache_with(&mut self, proxy: Proxy, more: &str) {
        self.apache = None;
        gone(self.ports[2]).await;
        let (folder, [_, nginx, port]) = (self.folder.path().display(), self.ports);
        let upgrade = if proxy.passes { " upgrade=websocket" } else { "" };
        let modules = "/usr/lib/apache2/modules";
        let text = format!(
            "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/apache.pid\n\
             ErrorLog {folder}/apache.err\nMutex file:{folder}\nUser nobody\nGroup nogroup\n\
             LoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
             LoadModule authz_core_module {modules}/mod_authz_core.so\n\
             LoadModule proxy_module {modules}/mod_proxy.so\n\
             LoadModule proxy_http_module {modules}/mod_proxy_http.so\n\
             Timeout {}\nProxyPass / http://127.0.0.1:{nginx}/{upgrade}\n{more}",
            proxy.idle
        );
        let file = self.folder.path().join("apache.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("/usr/sbin/apache2");
        // One process in the foreground: nothing is left behind when it is killed.
        command.arg("-X").arg("-f").arg(&file);
        self.apache = Some(start(&mut command));
        up(self.ports[2]).await;
    }

    pub async fn kill_twin(&mut self) {
        if let Some(mut twin) = self.twin.take() {
            twin.kill().await.unwrap();
        }
    }

    pub async fn kill_nginx(&mut self) {
        if let Some(mut nginx) = self.nginx.take() {
            nginx.kill().await.unwrap();
        }
    }

    /// Sends the twin a signal: STOP, CONT, TERM.
    pub fn signal(&self, name: &str) {
        let pid = self.twin.as_ref().and_then(Child::id).expect("the twin runs");
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the twin has ended by itself.
    pub async fn ended(&mut self) {
        let mut twin = self.twin.take().expect("the twin runs");
        timeout(PATIENCE, twin.wait()).await.expect("it ends").unwrap();
    }

    /// Sets what goes wrong.
    pub async fn fault(&self, name: &str, value: Value) {
        let client = HttpClient::new(&self.backend(), None).unwrap();
        let answer = client.send(http::Method::POST, "/twin", Some(&json!({name: value}))).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    /// What the twin saw.
    pub async fn saw(&self) -> Value {
        HttpClient::new(&self.backend(), None).unwrap().get("/twin").await.unwrap().json().unwrap()
    }

    /// Waits until the twin has stopped a workflow.
    pub async fn saw_stopped(&self, workflow: &str) {
        let end = Instant::now() + PATIENCE;
        while self.saw().await["stopped"] != json!([workflow]) {
            assert!(Instant::now() < end, "{workflow} should have been stopped");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A login, in a file.
    pub async fn login(&self) -> PathBuf {
        let client = HttpClient::new(&self.backend(), None).unwrap();
        let token = client.get("/twin/token").await.unwrap().json().unwrap();
        let file = self.folder.path().join("cookie");
        std::fs::write(&file, token.as_str().unwrap()).unwrap();
        file
    }

    /// The proxies' own complaints.
    pub fn complaints(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("nginx.err"), read("apache.err"))
    }
}

/// The bundled `location /api`, with or without the upgrade headers.
pub fn bundled(proxy: Proxy) -> String {
    let headers = if proxy.passes {
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
    } else {
        ""
    };
    format!(
        "location /api {{ proxy_pass BACKEND; proxy_read_timeout {}s; proxy_http_version 1.1; \
         proxy_set_header Host $host; {headers} }}",
        proxy.idle
    )
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

async fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn up(port: u16) {
    until(port, true).await;
}

async fn gone(port: u16) {
    until(port, false).await;
}

async fn until(port: u16, listening: bool) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() != listening {
        assert!(Instant::now() < end, "port {port}: listening should be {listening}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn python() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let python = me.ancestors().nth(3).unwrap().join("xtask/python/bin/python");
    assert!(python.is_file(), "run `cargo xtask kubernetes` first, which installs {}", python.display());
    python
}
