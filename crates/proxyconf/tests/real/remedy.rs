//! The lines to paste, pasted: the real proxies pass an upgrade with them, and nothing is found in them.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Expect::{SocketIo, WebSocket};
use mooring_proxyconf::Software;
use mooring_proxyconf::remedy::{Facts, Proxy as Kind, snippet};

use crate::support::{Gateway, Proxy, accepts, ask, dial, examine, port};

fn facts(path: &str, gateway: &Gateway) -> Facts {
    Facts { path: path.to_owned(), backend: Some(format!("127.0.0.1:{}", gateway.port)), cut_after: None }
}

fn text(kind: Kind, cause: Cause, facts: &Facts) -> String {
    snippet(kind, cause, facts).unwrap_or_else(|| panic!("no {cause} for {kind:?}")).text
}

/// A configuration around the lines.
fn around(kind: Kind, port: u16, lines: &str) -> (Software, String) {
    match kind {
        Kind::Nginx => (Software::Nginx, format!("server {{ listen 127.0.0.1:{port};\n{lines}}}")),
        _ => (
            Software::Apache,
            format!("Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n{lines}</VirtualHost>\n"),
        ),
    }
}

#[test]
fn an_upgrade_passes_with_the_pasted_lines() {
    let gateway = Gateway::start();
    for kind in [Kind::Nginx, Kind::Apache, Kind::ApacheOld] {
        for path in ["/socket.io/", "/ws", "/"] {
            let port = port();
            let lines = text(kind, Cause::ProxyStrippedUpgrade, &facts(path, &gateway));
            let (software, body) = around(kind, port, &lines);
            accepts(software, &body).unwrap();
            let _proxy = Proxy::start(software, &body, port);
            assert_eq!(dial(port, path).status, 101, "{body}");
            let mut question = ask(path, WebSocket);
            question.host = None;
            let lints = examine(software, &body, &question).lints;
            assert!(lints.is_empty(), "{lints:#?}\n{body}");
        }
    }
}

#[test]
fn the_other_lines_are_accepted_where_they_belong() {
    let gateway = Gateway::start();
    let mut known = facts("/socket.io/", &gateway);
    known.cut_after = Some(Duration::from_secs(60));
    let lines = |kind, cause| text(kind, cause, &known);
    let route = lines(Kind::Nginx, Cause::ProxyStrippedUpgrade)
        .replace("proxy_read_timeout 3600s;\n", &lines(Kind::Nginx, Cause::IdleCut));
    let nginx = format!(
        "{}server {{ listen 127.0.0.1:{}; {} }}",
        lines(Kind::Nginx, Cause::StickySessionsMissing).replace("    #", "    server 127.0.0.1:1;\n    #"),
        port(),
        route
            .replace(&known.backend.clone().unwrap(), "gateway")
            .replace("{\n", &format!("{{\n{}", lines(Kind::Nginx, Cause::ProxyBuffering)))
    );
    let apache = format!(
        "Listen 127.0.0.1:{0}\n<VirtualHost *:{0}>\n{1}{2}</VirtualHost>\n",
        port(),
        lines(Kind::Apache, Cause::IdleCut),
        lines(Kind::Apache, Cause::StickySessionsMissing)
            .replace("    #", "    BalancerMember http://127.0.0.1:1 route=m2 upgrade=websocket\n    #")
    );
    let haproxy = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nlisten l\n bind 127.0.0.1:{}\n{}{}server m2 127.0.0.1:1\n",
        port(),
        lines(Kind::Haproxy, Cause::IdleCut),
        lines(Kind::Haproxy, Cause::StickySessionsMissing)
    );
    for (software, body) in
        [(Software::Nginx, nginx), (Software::Apache, apache), (Software::Haproxy, haproxy)]
    {
        accepts(software, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
        let mut question = ask("/socket.io/", SocketIo);
        question.host = None;
        let examined = examine(software, &body, &question);
        assert!(examined.reached && examined.lints.is_empty(), "{:#?}\n{body}", examined.lints);
    }
}

#[test]
fn what_no_configuration_mends_has_no_lines_and_no_path_breaks_out() {
    let known = Facts { path: "/ws".into(), ..Facts::default() };
    for kind in Kind::ALL {
        assert_eq!(snippet(*kind, Cause::ConnectionRefused, &known), None);
        assert!(snippet(*kind, Cause::StickySessionsMissing, &known).is_some(), "{kind:?}");
        for path in ["/a b", "/a;}", "/\"", "/x\ny", "/$1"] {
            let hostile = Facts { path: path.into(), ..Facts::default() };
            assert_eq!(snippet(*kind, Cause::StickySessionsMissing, &hostile), None);
        }
        for cause in
            [Cause::ProxyStrippedUpgrade, Cause::IdleCut, Cause::StickySessionsMissing, Cause::ProxyBuffering]
        {
            let Some(found) = snippet(*kind, cause, &known) else { continue };
            assert!(!found.en.is_empty() && found.zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)));
        }
    }
    let text = snippet(Kind::Nginx, Cause::ProxyStrippedUpgrade, &known).unwrap().text;
    assert!(text.contains("http://GATEWAY:PORT;"), "{text}");
    let long = Facts { cut_after: Some(Duration::from_secs(4000)), ..known };
    assert!(
        snippet(Kind::IngressNginx, Cause::IdleCut, &long)
            .unwrap()
            .text
            .contains("proxy-read-timeout: \"8000\"")
    );
}
