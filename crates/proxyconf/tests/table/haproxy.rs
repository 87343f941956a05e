//! HAProxy.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Software::Haproxy;

use crate::support::{check, examine, found, mended, socket_io, try_examine, ws};

fn config(front: &str, back: &str) -> String {
    format!(
        "global\n\tlog stdout format raw local0\ndefaults\n\tmode http\n\ttimeout client 30s\n\ttimeout server 30000\nfrontend in\n\tbind :80\n{front}\n\tdefault_backend chat\nbackend chat\n{back}\n"
    )
}

const SERVER: &str = "\tserver one 127.0.0.1:3000";

#[test]
fn the_tunnel_has_a_timeout_of_its_own() {
    let text = config("", &format!("\ttimeout tunnel 1h\n{SERVER}"));
    check(Haproxy, &text, &ws("/ws"), &[]);
    assert!(examine(Haproxy, &text, &ws("/ws")).reached);
    check(Haproxy, &config("", SERVER), &ws("/ws"), &["IdleCut warning 5"]);
    check(
        Haproxy,
        &config("", &format!("\ttimeout tunnel 5000\n{SERVER}")),
        &ws("/ws"),
        &["IdleCut warning 12"],
    );
    let mut q = ws("/ws");
    q.server_ping = Some(Duration::from_secs(20));
    check(Haproxy, &config("", SERVER), &q, &[]);
    q.server_ping = Some(Duration::from_secs(30));
    check(Haproxy, &config("", SERVER), &q, &["IdleCut error 5"]);
    check(Haproxy, &config("", SERVER), &socket_io(), &["IdleCut warning 5"]);
    assert!(mended(Haproxy, &config("", SERVER), &q).contains("backend chat\n\ttimeout tunnel 1h\n"));
}

#[test]
fn named_defaults_are_inherited() {
    let text = "defaults a\n mode http\n timeout client 1h\n timeout server 1h\n timeout tunnel 2h\n\
        defaults b from a\n timeout tunnel 3s\nfrontend f from a\n bind :80\n default_backend x\n\
        backend x from b\n server s 1.1.1.1:1\n";
    check(Haproxy, text, &ws("/"), &["IdleCut warning 7"]);
    let text = mended(Haproxy, text, &ws("/"));
    assert!(
        text.contains(" timeout tunnel 3s") && text.contains("backend x from b\n timeout tunnel 1h"),
        "{text}"
    );
    let last = "defaults\n mode http\n timeout tunnel 1s\ndefaults\n mode http\nlisten l\n bind :1\n server s 1.1.1.1:1\n";
    check(Haproxy, last, &ws("/"), &[]);
}

#[test]
fn the_backend_is_the_one_the_rules_choose() {
    let backends = "\n\ttimeout tunnel 1h\n\tserver s 1.1.1.1:1
backend ws\n\tserver s 1.1.1.1:1
backend host\n\thttp-request del-header upgrade\n\ttimeout tunnel 1h\n\tserver s 1.1.1.1:1
backend never\n\thttp-request deny";
    let front = "\tacl is_ws hdr(Upgrade) -i websocket
\tacl is_ws hdr_beg(Host) -i ws.
\tacl api path_beg /api /rest
\tacl other path -i -m beg /OTHER
\tacl re path_reg ^/r[0-9]+$
\tuse_backend never if !is_ws
\tuse_backend never if is_ws { path /exact } !{ hdr(connection) -i upgrade }
\tuse_backend ws if is_ws api or other
\tuse_backend ws if re
\tuse_backend never if { src 10.0.0.0/8 } api2 or { path /no }
\tuse_backend host if { hdr(host),lower -m str chat.example }";
    let text = config(front, backends);
    for (path, host, want) in [
        ("/", "a.example", vec![]),
        ("/exact", "a.example", vec![]),
        ("/api/x", "a.example", vec!["IdleCut warning 5"]),
        ("/other", "a.example", vec!["IdleCut warning 5"]),
        ("/r12", "a.example", vec!["IdleCut warning 5"]),
        ("/r12x", "a.example", vec![]),
        ("/", "Chat.Example:80", vec!["ProxyStrippedUpgrade error 28"]),
    ] {
        let mut q = ws(path);
        q.host = Some(host.into());
        assert_eq!(found(Haproxy, &text, &q), want, "{path} {host}");
    }
    assert_eq!(examine(Haproxy, &text, &ws("/")).doubts.len(), 2, "the source address and the host");
}

#[test]
fn headers_that_are_taken_away_are_given_back() {
    let tunnel = format!("\ttimeout tunnel 1h\n{SERVER}");
    for line in [
        "http-request del-header Upgrade",
        "http-request del-header connection if TRUE",
        "http-request set-header Connection close",
        "reqidel ^upgrade:",
        "http-request del-header Upgrade if { path_beg /ws }",
    ] {
        let text = config(&format!("\t{line}"), &tunnel);
        check(Haproxy, &text, &ws("/ws"), &["ProxyStrippedUpgrade error 9"]);
        assert!(!mended(Haproxy, &text, &ws("/ws")).contains(line));
    }
    for line in [
        "http-request del-header Upgrade if { path_beg /api }",
        "http-request set-header Connection upgrade",
        "http-request set-header X-Upgrade no",
        "option httpclose",
        "option http-server-close",
    ] {
        check(Haproxy, &config(&format!("\t{line}"), &tunnel), &ws("/ws"), &[]);
    }
}

#[test]
fn socket_io_needs_one_server_for_one_client() {
    let two = "\ttimeout tunnel 1h\n\tserver a 1.1.1.1:1\n\tserver b 1.1.1.1:2\n\tserver c 1.1.1.1:3 backup";
    check(Haproxy, &config("", two), &socket_io(), &["StickySessionsMissing error 11"]);
    check(Haproxy, &config("", two), &ws("/ws"), &[]);
    check(
        Haproxy,
        &config("", &format!("\tbalance leastconn\n{two}")),
        &socket_io(),
        &["StickySessionsMissing error 11"],
    );
    for line in ["balance source", "balance hdr(X-Client)", "stick on src"] {
        check(Haproxy, &config("", &format!("\t{line}\n{two}")), &socket_io(), &[]);
    }
    let cookie = two.replace(":1\n", ":1 cookie a\n").replace(":2\n", ":2 cookie b\n");
    check(Haproxy, &config("", &format!("\tcookie io insert indirect nocache\n{cookie}")), &socket_io(), &[]);
    let template = "\ttimeout tunnel 1h\n\tserver-template s 1-3 chat.internal:3000 check";
    check(Haproxy, &config("", template), &socket_io(), &["StickySessionsMissing error 11"]);
}

#[test]
fn redirects_and_refusals_come_before_any_backend() {
    let to_https = config("\tredirect scheme https code 301 if !{ ssl_fc }", SERVER);
    assert_eq!(found(Haproxy, &to_https, &ws("/ws")), [""; 0], "a note without a port");
    let mut q = ws("/ws");
    q.port = Some(80);
    assert_eq!(found(Haproxy, &to_https, &q), ["Redirected error 9"]);
    let deny = config("\thttp-request deny if { path_beg /ws }", SERVER);
    assert_eq!(examine(Haproxy, &deny, &ws("/ws")).lints.first().unwrap().cause, Cause::CredentialsRefused);
    assert_eq!(found(Haproxy, &deny, &ws("/other")), ["IdleCut warning 5"]);
}

#[test]
fn in_tcp_mode_only_the_silence_counts() {
    let text = "defaults\n timeout client 60s\n timeout server 2m\nlisten tcp\n bind :443\n http-request del-header Upgrade\n server s 1.1.1.1:1\n\
        listen stats\n bind :8404\n mode http\n stats enable\n";
    check(Haproxy, text, &ws("/"), &["IdleCut warning 2"]);
    assert!(examine(Haproxy, text, &ws("/")).doubts.first().unwrap().en.contains("mode tcp"));
}

#[test]
fn the_syntax_is_read_as_haproxy_reads_it() {
    let text = "# c\nglobal\n  setenv A \"b # c\"\nuserlist u\n  user x insecure-password 'y z'\nresolvers r\n  nameserver n 1.1.1.1:53\n\
        defaults\n  mode http # yes\n  errorfile 503 /a\\ b\nlisten old :80\n  server s 1.1.1.1:1\n  .if defined(X)\n  .endif\n";
    let examined = examine(Haproxy, text, &ws("/"));
    assert!(examined.reached);
    assert_eq!(examined.doubts.len(), 1);
    for (bad, line, words) in [
        ("mode http\n", 1, "before any section"),
        ("global\n log \"x\n", 2, "not closed"),
        ("global\n a\\", 2, "end of the line"),
    ] {
        let error = try_examine(Haproxy, bad, &ws("/")).unwrap_err();
        assert!(error.words.contains(words) && error.line == line, "{bad:?}: {error}");
    }
}
