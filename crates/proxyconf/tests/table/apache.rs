//! Apache httpd.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Software::Apache;
use mooring_proxyconf::{SourceFile, lint};

use crate::support::{check, examine, found, mended, socket_io, try_examine, ws};

fn host(inside: &str) -> String {
    format!("<VirtualHost *:80>\n    ServerName chat.example\n    Timeout 3600\n{inside}\n</VirtualHost>\n")
}

#[test]
fn every_way_to_pass_an_upgrade_is_known() {
    for inside in [
        "    ProxyPass /ws http://b:1/ws upgrade=websocket",
        "    ProxyPass \"/\" \"http://b:1/\" retry=0 upgrade=ANY",
        "    ProxyPass /ws ws://b:1/ws\n    ProxyPass / http://b:1/",
        "    <Location /ws>\n        ProxyPass http://b:1/ws upgrade=websocket\n    </Location>\n    ProxyPass / http://b:1/",
        "    ProxyPassMatch ^/(ws.*)$ ws://b:1/$1",
        "    RewriteEngine On\n    RewriteCond %{HTTP:Upgrade} websocket [NC]\n    RewriteCond %{HTTP:Connection} upgrade [NC]\n    RewriteRule ^/?(.*) \"ws://b:1/$1\" [P,L]\n    ProxyPass / http://b:1/",
        "    RewriteEngine On\n    RewriteCond %{HTTP:UPGRADE} ^WebSocket$ [NC,OR]\n    RewriteCond %{REMOTE_ADDR} ^10\\.\n    RewriteRule .* ws://b:1%{REQUEST_URI} [P]\n    ProxyPass / http://b:1/",
        "    <Proxy \"http://b:1/\">\n        ProxySet upgrade=websocket\n    </Proxy>\n    ProxyPass / http://b:1/",
        "    <Proxy balancer://chat>\n        BalancerMember http://b:1 upgrade=websocket\n        BalancerMember ws://b:2\n    </Proxy>\n    ProxyPass / balancer://chat/",
    ] {
        let text = host(inside);
        check(Apache, &text, &ws("/ws"), &[]);
        assert!(examine(Apache, &text, &ws("/ws")).reached, "{text}");
    }
}

#[test]
fn a_plain_proxy_pass_is_mended() {
    for (inside, want) in [
        ("    ProxyPass / http://b:1/", "http://b:1/ upgrade=websocket\n"),
        ("    ProxyPass / http://b:1/ \\\n        retry=0", "retry=0 upgrade=websocket\n"),
        ("    ProxyPass / http://b:1/ upgrade=none", "http://b:1/ upgrade=websocket\n"),
        (
            "    <Location /ws>\n        ProxyPass http://b:1/ws\n    </Location>",
            "http://b:1/ws upgrade=websocket\n",
        ),
        (
            "    <IfModule mod_proxy.c>\n    ProxyPassMatch ^/(.*) http://b:1/$1\n    </IfModule>",
            "$1 upgrade=websocket\n",
        ),
        ("    RewriteEngine on\n    RewriteRule ^/(.*) https://b:1/$1 [P]", "wss://b:1/$1 [P]\n"),
        (
            "    <Proxy \"http://b:1/\">\n    </Proxy>\n    ProxyPass / http://b:1/",
            "ProxySet upgrade=websocket\n",
        ),
    ] {
        let text = host(inside);
        let found = found(Apache, &text, &ws("/ws"));
        assert!(
            found.len() == 1 && found[0].starts_with("ProxyStrippedUpgrade error"),
            "{found:?} in {text}"
        );
        let text = mended(Apache, &text, &ws("/ws"));
        assert!(text.contains(want), "{text}");
        check(Apache, &text, &ws("/ws"), &[]);
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    let text = host("    ProxyPass / http://b:1/\n    ProxyPass /ws ws://b:2/ws");
    check(Apache, &text, &ws("/ws"), &["ProxyStrippedUpgrade error 4"]);
    assert!(examine(Apache, &text, &ws("/ws")).lints[0].en.contains("line 5 that passes"));
    assert!(
        mended(Apache, &text, &ws("/ws")).contains("    ProxyPass /ws ws://b:2/ws\n    ProxyPass / http")
    );
    // A path is matched by its parts.
    let text = host("    ProxyPass /w http://b:1/\n    ProxyPass /ws ws://b:2/ws");
    check(Apache, &text, &ws("/ws"), &[]);
    // The main server's rules come before the host's, and a location before both.
    let text = format!("ProxyPass /ws http://m:1/\n{}", host("    ProxyPass /ws ws://b:2/ws"));
    check(Apache, &text, &ws("/ws"), &["ProxyStrippedUpgrade error 1"]);
    let text = format!(
        "ProxyPass /ws http://m:1/\n{}",
        host("    <Location /ws>\n    ProxyPass ws://b:2/ws\n    </Location>")
    );
    check(Apache, &text, &ws("/ws"), &[]);
    let text = host("    ProxyPass /ws !\n    ProxyPass / http://b:1/ upgrade=websocket");
    assert_eq!(found(Apache, &text, &ws("/ws")), ["UpgradeNotPerformed error 4"]);
}

#[test]
fn parameters_of_a_shared_worker_are_the_first_ones() {
    let text = host("    ProxyPass /api http://b:1/\n    ProxyPass /ws http://b:1/ws upgrade=websocket");
    check(Apache, &text, &ws("/ws"), &["ProxyStrippedUpgrade error 5"]);
    assert!(examine(Apache, &text, &ws("/ws")).lints[0].en.contains("shared with line 4"));
    // In the other order each has its own.
    let text = host("    ProxyPass /ws http://b:1/ws upgrade=websocket\n    ProxyPass /api http://b:1/");
    check(Apache, &text, &ws("/ws"), &[]);
}

#[test]
fn the_longer_of_two_timeouts_counts() {
    let with = |main: &str, lines: &str, parameters: &str| {
        format!(
            "{main}\n<VirtualHost *:80>\n    {lines}\n    ProxyPass / http://b:1/ upgrade=websocket{parameters}\n</VirtualHost>\n"
        )
    };
    let want = ["IdleCut warning 4"];
    check(Apache, &with("", "", ""), &ws("/ws"), &want);
    check(Apache, &with("Timeout 3600", "Timeout 30", ""), &ws("/ws"), &want);
    check(Apache, &with("Timeout 30", "", " timeout=50"), &ws("/ws"), &want);
    check(Apache, &with("", "ProxyTimeout 3600", " timeout=50"), &ws("/ws"), &want);
    for (main, lines, parameters) in [
        ("Timeout 3600", "", ""),
        ("", "ProxyTimeout 3600", ""),
        ("", "", " timeout=3600"),
        ("Timeout 3600", "ProxyTimeout 3", " timeout=3"),
    ] {
        check(Apache, &with(main, lines, parameters), &ws("/ws"), &[]);
    }
    // Only this backend waits longer, nobody else.
    let fixed = mended(Apache, &with("Timeout 30", "", " timeout=50"), &ws("/ws"));
    assert!(
        fixed.starts_with("Timeout 30\n") && fixed.contains("upgrade=websocket timeout=3600\n"),
        "{fixed}"
    );
    let mut q = ws("/ws");
    q.server_ping = Some(Duration::from_secs(20));
    check(Apache, &with("Timeout 30", "", ""), &q, &[]);
    check(Apache, &with("Timeout 10", "", ""), &q, &["IdleCut error 4"]);
    // Without any virtual host; for a rewrite, which has no backend of its own.
    check(Apache, "ProxyPass / ws://b:1/\n", &ws("/ws"), &["IdleCut warning 1"]);
    let rewrite = "<VirtualHost *:80>\n RewriteEngine On\n RewriteCond %{HTTP:Upgrade} websocket [NC]\n RewriteRule .* ws://b:1/ [P]\n</VirtualHost>\n";
    check(Apache, rewrite, &ws("/ws"), &["IdleCut warning 4"]);
    assert!(mended(Apache, rewrite, &ws("/ws")).contains("\n ProxyTimeout 3600\n RewriteEngine On\n"));
    let members = "<Proxy balancer://c>\n BalancerMember ws://b:1 timeout=3600\n BalancerMember ws://b:2\n</Proxy>\nProxyPass / balancer://c/\n";
    check(Apache, members, &ws("/ws"), &["IdleCut warning 2"]);
}

#[test]
fn what_takes_the_upgrade_away_is_removed() {
    for (line, cause) in [
        ("RequestHeader unset Upgrade", "ProxyStrippedUpgrade error 5"),
        ("SetEnv force-proxy-request-1.0 1", "UpstreamHttp10 error 5"),
        ("SetEnvIf Request_URI ^/ws force-proxy-request-1.0", "UpstreamHttp10 error 5"),
    ] {
        let text = host(&format!("    ProxyPass / ws://b:1/\n    {line}"));
        check(Apache, &text, &ws("/ws"), &[cause]);
        let text =
            host(&format!("    <Location /other>\n    {line}\n    </Location>\n    ProxyPass / ws://b:1/"));
        if !line.starts_with("SetEnvIf") {
            check(Apache, &text, &ws("/ws"), &[]);
        }
    }
    check(Apache, &host("    ProxyPass / ws://b:1/\n    RequestHeader unset Connection"), &ws("/ws"), &[]);
}

#[test]
fn modules_are_asked_for_only_where_modules_are_named() {
    let load = |m: &str| format!("LoadModule {m}_module modules/mod_{m}.so\n");
    let body = host("    ProxyPass / http://b:1/ upgrade=websocket");
    check(Apache, &format!("{}{}{body}", load("proxy"), load("proxy_http")), &ws("/ws"), &[]);
    let without = format!("{}{}{body}", load("proxy"), load("proxy_wstunnel"));
    check(Apache, &without, &ws("/ws"), &["ServerError error 6"]);
    assert!(
        mended(Apache, &without, &ws("/ws"))
            .contains("LoadModule proxy_http_module modules/mod_proxy_http.so\n")
    );
    let tunnel = host("    ProxyPass / ws://b:1/");
    check(Apache, &format!("{}{}{tunnel}", load("proxy"), load("proxy_wstunnel")), &ws("/ws"), &[]);
    check(Apache, &format!("{}{tunnel}", load("proxy")), &ws("/ws"), &["ServerError error 5"]);
    // What a module that is not loaded guards does not hold.
    let guarded = host(
        "    <IfModule mod_proxy_http2.c>\n    ProxyPass / http://b:1/\n    </IfModule>\n    <IfModule !proxy_http2_module>\n    ProxyPass / ws://b:1/\n    </IfModule>",
    );
    check(Apache, &format!("{}{}{guarded}", load("proxy"), load("proxy_http")), &ws("/ws"), &[]);
}

#[test]
fn socket_io_needs_one_member_for_one_session() {
    let members = "        BalancerMember ws://b:1\n        BalancerMember ws://b:2\n        BalancerMember ws://b:3 status=+H\n";
    let text = host(&format!(
        "    <Proxy balancer://chat>\n{members}    </Proxy>\n    ProxyPass /socket.io/ balancer://chat/socket.io/"
    ));
    check(Apache, &text, &socket_io(), &["StickySessionsMissing error 9"]);
    check(Apache, &text, &ws("/socket.io/"), &[]);
    let fixed = mended(Apache, &text, &socket_io());
    for part in [
        "ROUTEID=.%{BALANCER_WORKER_ROUTE}e",
        "ws://b:1 route=m1\n",
        "ws://b:2 route=m2\n",
        "/socket.io/ stickysession=ROUTEID",
    ] {
        assert!(fixed.contains(part), "{part} in {fixed}");
    }
    let text = text.replace("/socket.io/\n", "/socket.io/ stickysession=R\n");
    check(Apache, &text, &socket_io(), &["StickySessionsMissing error 9"]);
    let text = text.replace(":1\n", ":1 route=a\n").replace(":2\n", ":2 route=b\n");
    check(Apache, &text, &socket_io(), &[]);
}

#[test]
fn what_is_not_proxied_is_said_and_mended() {
    let text =
        host("    DocumentRoot /srv\n    FallbackResource /index.html\n    ProxyPass /api http://b:1/api");
    check(Apache, &text, &ws("/ws"), &["SpaFallback error 5"]);
    let text = host(
        "    <Directory /srv>\n    RewriteEngine On\n    RewriteCond %{REQUEST_FILENAME} !-f\n    RewriteRule ^ index.html [L]\n    </Directory>\n    ProxyPass /api http://b:1/api upgrade=websocket",
    );
    check(Apache, &text, &ws("/ws"), &["SpaFallback error 7"]);
    assert!(
        mended(Apache, &text, &ws("/ws"))
            .contains("ProxyPass /ws http://b:1/ws upgrade=websocket timeout=3600\n")
    );
    let mut q = ws("/ws");
    q.backend = Some("10.0.0.7:8080".into());
    assert!(
        mended(Apache, &host("    DocumentRoot /srv"), &q)
            .contains("ProxyPass /ws http://10.0.0.7:8080/ws upgrade=websocket")
    );
}

#[test]
fn redirects_and_hosts_are_told_apart() {
    let text = "<VirtualHost *:80>\n ServerName chat.example\n RewriteEngine On\n RewriteCond %{HTTPS} !=on\n RewriteRule ^/?(.*) https://%{SERVER_NAME}/$1 [R=301,L]\n</VirtualHost>
<VirtualHost *:443>\n ServerName other.example\n ProxyPass / http://b:1/\n</VirtualHost>
<VirtualHost *:443>\n SSLEngine on\n Timeout 3600\n ServerName www.example\n ServerAlias *.example\n ProxyPass / ws://b:1/\n</VirtualHost>\n";
    let mut q = ws("/ws");
    q.host = Some("chat.example".into());
    let lints = examine(Apache, text, &q).lints;
    assert_eq!((lints.len(), lints[0].cause), (1, Cause::Redirected), "{lints:?}");
    q.port = Some(443);
    check(Apache, text, &q, &[]);
    q.port = Some(80);
    assert_eq!(found(Apache, text, &q), ["Redirected error 5"]);
    q.port = Some(443);
    q.host = Some("nobody.test".into());
    assert_eq!(found(Apache, text, &q), ["IdleCut warning 9", "ProxyStrippedUpgrade error 9"]);
    // A ProxyPass comes before a Redirect, whatever their order.
    check(Apache, &host("    Redirect / https://x/\n    ProxyPass /ws ws://b:1/"), &ws("/ws"), &[]);
    let only = host("    Redirect permanent / https://chat.example/");
    assert_eq!(examine(Apache, &only, &ws("/ws")).lints[0].cause, Cause::Redirected);
}

#[test]
fn includes_and_definitions_are_filled_in() {
    let main = "ServerRoot \"/etc/apache2\"\nDefine BACK b:1\nInclude sites-enabled/*.conf\nIncludeOptional gone/*.conf\nInclude gone.conf\n";
    let site = "<VirtualHost *:80>\n  ProxyPass / http://${BACK}/\n  CustomLog ${APACHE_LOG_DIR}/x combined\n</VirtualHost>\n";
    let files = [SourceFile::new("/etc/apache2/sites-enabled/chat.conf", site)];
    let include =
        |p: &str| files.iter().filter(|f| mooring_proxyconf::glob::matches(p, &f.name)).cloned().collect();
    let examined = lint(Apache, &[SourceFile::new("apache2.conf", main)], &include, &ws("/ws")).unwrap();
    let stripped = examined.lints.iter().find(|l| l.cause == Cause::ProxyStrippedUpgrade).unwrap();
    assert_eq!((stripped.file.as_str(), stripped.line), ("/etc/apache2/sites-enabled/chat.conf", 2));
    assert_eq!(examined.doubts.len(), 1, "{:?}", examined.doubts);
}

#[test]
fn the_syntax_is_read_as_apache_reads_it() {
    let text = "# comment \\\nServerAdmin a@b # not a comment\r\nLogFormat \"%h \\\"%r\\\" %>s\" x\n<Directory \"/srv/a b\">\n  <LimitExcept GET>\n  Require all denied\n  </LimitExcept>\n</Directory>\n<Files ~ \"^\\.ht\">\n</Files>\n<IfVersion >= 2.4>\n</IfVersion>\n";
    assert!(try_examine(Apache, text, &ws("/")).is_ok());
    for (bad, line, words) in [
        ("<VirtualHost *:80>\nA b\n", 1, "never closed"),
        ("A b\n</VirtualHost>\n", 2, "without"),
        ("<A x>\n<B y>\n</A>\n", 3, "closes <b> of line 2"),
        ("<VirtualHost *:80\n", 1, "closing `>`"),
        ("a\n<>\n", 2, "without a name"),
    ] {
        let error = try_examine(Apache, bad, &ws("/")).unwrap_err();
        assert!(error.words.contains(words) && error.line == line, "{bad:?}: {error}");
    }
}
