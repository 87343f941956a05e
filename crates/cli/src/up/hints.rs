//! What to try next: lines that work as they are printed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use mooring_runtime::listener::ListenAddr;

use crate::args::DEFAULT_SERVER;

/// The URL of a listener, as seen from this machine: where it listens on every address, loopback will do.
pub(super) fn url(listen: &ListenAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match listen {
        ListenAddr::Tcp(address) => format!("{scheme}://{}", reachable(*address)),
        ListenAddr::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The lines: `grpcurl` as it is to be typed (flags before the address), then the same by `mooring`.
pub(super) fn lines(api: &str, needs_token: bool, instance: Option<&str>) -> Vec<String> {
    let (scheme, address) = api.split_once("://").unwrap_or(("http", api));
    let mut grpcurl = "grpcurl".to_owned();
    if scheme == "http" {
        grpcurl.push_str(" -plaintext");
    }
    if needs_token {
        grpcurl.push_str(" -expand-headers -H 'authorization: Bearer ${TOKEN}'");
    }
    let mut lines = vec![
        format!("{grpcurl} {address} mooring.v1.FleetService/GetFleet"),
        format!(
            "{grpcurl} -d '{{\"order_by\": \"severity desc\"}}' {address} mooring.v1.FleetService/ListInstances"
        ),
    ];
    let mooring = mooring(api);
    let mut own = vec![format!("{mooring} status"), format!("{mooring} instances --worst")];
    if let Some(instance) = instance {
        lines.push(format!(
            "{grpcurl} -d '{{\"name\": \"{instance}\"}}' {address} mooring.v1.FleetService/ExplainInstance"
        ));
        own.push(format!("{mooring} explain {instance}"));
    }
    lines.extend(own);
    lines
}

/// How this program is called: by its name where a shell finds it so, else by its path; with the server unless it is
/// where it is looked for anyhow.
fn mooring(api: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).any(|folder| folder.join("mooring").is_file());
    let program = match std::env::current_exe() {
        Ok(exe) if !in_path && exe.file_name().is_some_and(|n| n == "mooring") => relative(&exe),
        _ => PathBuf::from("mooring"),
    };
    let program = program.display().to_string();
    let program = if program.contains(' ') { format!("'{program}'") } else { program };
    if api == DEFAULT_SERVER { program } else { format!("{program} --server {api}") }
}

/// The path as seen from the working folder, where it is below that.
fn relative(exe: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    exe.strip_prefix(&here).map_or_else(|_| exe.to_owned(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_fit_how_the_api_listens() {
        let plain = lines(DEFAULT_SERVER, false, Some("agents/a/gateways/g/instances/g"));
        assert_eq!(plain[0], "grpcurl -plaintext 127.0.0.1:7600 mooring.v1.FleetService/GetFleet");
        assert_eq!(
            plain[2],
            "grpcurl -plaintext -d '{\"name\": \"agents/a/gateways/g/instances/g\"}' 127.0.0.1:7600 \
             mooring.v1.FleetService/ExplainInstance"
        );
        assert!(plain[3].ends_with("mooring status"), "{plain:?}");
        let guarded = lines("https://127.0.0.1:1", true, None);
        assert_eq!(
            guarded[0],
            "grpcurl -expand-headers -H 'authorization: Bearer ${TOKEN}' 127.0.0.1:1 mooring.v1.FleetService/GetFleet"
        );
        assert!(guarded[2].ends_with("--server https://127.0.0.1:1 status"), "{guarded:?}");
    }

    #[test]
    fn an_address_for_everybody_is_reached_by_loopback() {
        let at = |text: &str| url(&text.parse::<SocketAddr>().unwrap().into(), false);
        assert_eq!(at("0.0.0.0:7600"), "http://127.0.0.1:7600");
        assert_eq!(at("[::]:7600"), "http://[::1]:7600");
        assert_eq!(at("10.1.2.3:7600"), "http://10.1.2.3:7600");
    }
}
