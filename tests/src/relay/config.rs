//! The settings of the relays from Debian, for the job ours has: forward WebSocket sessions, hold them for an hour of
//! silence, one core. Written to a folder of the run; nothing of the system's own configuration is read or touched.
//!
//! When root runs this, both give up root for `nobody`, as they would as services.

use std::path::Path;

use anyhow::Result;
use rustix::process::{Resource, geteuid, getrlimit};
use tokio::process::Command;

use super::Kind;

/// Room for descriptors that are no session: listeners, logs, pipes.
const ROOM: u64 = 100;

/// The command that runs it in the foreground.
pub(super) fn command(
    kind: Kind,
    program: &Path,
    dir: &Path,
    address: &str,
    upstream: &str,
) -> Result<Command> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20).min(1 << 20);
    let text = match kind {
        Kind::HaproxyTcp => haproxy("tcp", address, upstream, limit),
        Kind::HaproxyHttp => haproxy("http", address, upstream, limit),
        Kind::Nginx | Kind::Mooring => nginx(dir, address, upstream, limit),
    };
    let file = dir.join("relay.conf");
    std::fs::write(&file, text)?;
    // Its workers, who are not root, make files in it.
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let mut command = Command::new(program);
    match kind {
        Kind::Nginx | Kind::Mooring => {
            let log = dir.join("error.log");
            command.arg("-p").arg(dir).arg("-e").arg(log).arg("-c").arg(&file);
        }
        Kind::HaproxyTcp | Kind::HaproxyHttp => {
            command.arg("-db").arg("-f").arg(&file);
        }
    }
    Ok(command)
}

fn nginx(dir: &Path, address: &str, upstream: &str, limit: u64) -> String {
    let user = if geteuid().is_root() { "user nobody nogroup;\n" } else { "" };
    let dir = dir.display();
    // Two descriptors a session, each a connection to it.
    let connections = limit - ROOM;
    format!(
        r#"daemon off;
{user}worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log error;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }}
  }}
}}
"#
    )
}

fn haproxy(mode: &str, address: &str, upstream: &str, limit: u64) -> String {
    let user = if geteuid().is_root() { "  user nobody\n  group nogroup\n" } else { "" };
    // It refuses to start when it cannot have two descriptors for each.
    let sessions = (limit - ROOM) / 2;
    format!(
        "global\n  nbthread 1\n  maxconn {sessions}\n{user}\
         defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  timeout tunnel 1h\n\
         listen relay\n  bind {address} backlog 4096\n  server gateway {upstream}\n"
    )
}
