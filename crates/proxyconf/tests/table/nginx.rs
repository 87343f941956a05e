//! nginx.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Software::Nginx;
use mooring_proxyconf::{Severity, SourceFile, lint, patch_text};

use crate::support::{check, examine, found, mended, socket_io, try_examine, ws};

const GOOD: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
    proxy_set_header Connection $http_connection; proxy_read_timeout 1h;";

#[test]
fn a_right_location_has_no_findings() {
    let text = format!(
        "events {{}} http {{
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{ listen 80; server_name chat.example;
  location / {{ root /srv; try_files $uri /index.html; }}
  location /ws {{ proxy_pass http://127.0.0.1:1; {} }}
  }} }}",
        GOOD.replace("$http_connection", "$connection_upgrade")
    );
    check(Nginx, &text, &ws("/ws"), &[]);
    let examined = examine(Nginx, &text, &ws("/ws?token=1"));
    assert!(examined.reached && examined.doubts.is_empty(), "{:?}", examined.doubts);
}

#[test]
fn what_is_missing_is_named_and_mended() {
    // The plainest fault, in one line and in several.
    let one = "server { location / { proxy_pass http://127.0.0.1:1; } }";
    let want = ["IdleCut warning 1", "ProxyStrippedUpgrade error 1", "UpstreamHttp10 error 1"];
    check(Nginx, one, &ws("/ws"), &want);
    assert!(mended(Nginx, one, &ws("/ws")).contains("location / { proxy_pass http://127.0.0.1:1;\n"));

    let several = "server {\n\tlocation / {\n\t\tproxy_pass http://127.0.0.1:1; # the chat\n\t}\n}\n";
    let text = mended(Nginx, several, &ws("/ws"));
    assert!(text.contains("\n\t\tproxy_set_header Connection \"upgrade\";"), "{text}");
    assert_eq!(text.matches("proxy_http_version").count(), 1, "{text}");

    // Headers there, version not; and the reverse.
    let text = format!(
        "server {{ location / {{ proxy_pass http://b; {} }} }}",
        &GOOD["proxy_http_version 1.1;".len()..]
    );
    check(Nginx, &text, &ws("/"), &["UpstreamHttp10 error 1"]);
    let text = "server { location / { proxy_pass http://b; proxy_http_version 1.0; proxy_read_timeout 1d; \
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }";
    check(Nginx, text, &ws("/"), &["UpstreamHttp10 error 1"]);
    check(
        Nginx,
        "server { location / { proxy_http_version 1.1; proxy_read_timeout 1d; proxy_pass http://b; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"\"; } }",
        &ws("/"),
        &["ProxyStrippedUpgrade error 1"],
    );
}

#[test]
fn headers_of_an_outer_block_are_lost_by_one_of_the_inner() {
    let text = "server {
  proxy_http_version 1.1;
  proxy_read_timeout 3600;
  proxy_set_header Host $host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection \"upgrade\";
  location /a { proxy_pass http://b; }
  location /b { proxy_pass http://b; proxy_set_header X-Real-IP $remote_addr; }
}";
    check(Nginx, text, &ws("/a"), &[]);
    check(Nginx, text, &ws("/b"), &["ProxyStrippedUpgrade error 8"]);
    let lints = examine(Nginx, text, &ws("/b")).lints;
    assert!(lints.first().unwrap().en.contains("on line 5 does not hold"), "{lints:?}");
    assert_eq!(lints.first().unwrap().place, "location /b in server on line 1");
}

#[test]
fn headers_that_held_from_outside_are_repeated_by_the_fix() {
    let text = "server {\n  proxy_set_header Host $host;\n  proxy_set_header X-Forwarded-For \"a b\";\n  \
        location / {\n    proxy_pass http://b;\n  }\n}\n";
    let text = mended(Nginx, text, &ws("/"));
    assert_eq!(text.matches("proxy_set_header Host $host;").count(), 2, "{text}");
    assert_eq!(text.matches("proxy_set_header X-Forwarded-For \"a b\";").count(), 2, "{text}");
}

#[test]
fn the_variable_of_connection_is_evaluated() {
    let with = |map: &str| {
        format!(
            "http {{ {map} server {{ location / {{ proxy_pass http://b; {} }} }} }}",
            GOOD.replace("$http_connection", "$connection_upgrade")
        )
    };
    check(
        Nginx,
        &with("map $http_upgrade $connection_upgrade { default upgrade; '' close; }"),
        &ws("/"),
        &[],
    );
    check(
        Nginx,
        &with("map $http_upgrade $connection_upgrade { default keep-alive; websocket upgrade; }"),
        &ws("/"),
        &[],
    );
    check(
        Nginx,
        &with("map $http_upgrade $connection_upgrade { default \"\"; ~*^h2c upgrade; }"),
        &ws("/"),
        &["ProxyStrippedUpgrade error 1"],
    );
    check(Nginx, &with(""), &ws("/"), &["ProxyStrippedUpgrade error 1"]);
    // Outside http nginx refuses it.
    let text =
        format!("map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n{}", with(""));
    check(Nginx, &text, &ws("/"), &["ProxyStrippedUpgrade error 1", "ProxyStrippedUpgrade error 2"]);
    assert!(
        found(
            Nginx,
            &format!(
                "server {{ set $connection_upgrade upgrade; location / {{ proxy_pass http://b; {} }} }}",
                GOOD.replace("$http_connection", "$connection_upgrade")
            ),
            &ws("/")
        )
        .is_empty()
    );
}

#[test]
fn the_location_is_the_one_nginx_takes() {
    let text = format!(
        "server {{
  location = /exact {{ return 404; }}
  location /ws {{ proxy_pass http://b; {GOOD} }}
  location ^~ /ws/fast {{ return 404; }}
  location ~ \\.php$ {{ fastcgi_pass 127.0.0.1:9000; }}
  location ~* ^/WS/slow {{ proxy_pass http://b; }}
  location /dir/ {{ proxy_pass http://b; {GOOD} }}
  location /outer/ {{ location /outer/in {{ proxy_pass http://b; {GOOD} }} return 403; }}
  location / {{ try_files $uri $uri/ /index.html; }}
}}"
    );
    for (path, want) in [
        ("/ws", vec![]),
        ("/ws/x", vec![]),
        ("/exact", vec!["WrongPath error 2"]),
        ("/exact/", vec!["SpaFallback error 9"]),
        ("/ws/fast.php", vec!["WrongPath error 4"]),
        ("/ws/x.php", vec!["ProxyStrippedUpgrade error 5"]),
        ("/ws/slow", vec!["IdleCut warning 6", "ProxyStrippedUpgrade error 6", "UpstreamHttp10 error 6"]),
        ("/dir", vec!["Redirected error 7"]),
        ("/dir/", vec![]),
        ("/outer/in", vec![]),
        ("/outer/else", vec!["WrongPath error 8"]),
        ("/socket.io/", vec!["SpaFallback error 9"]),
    ] {
        assert_eq!(found(Nginx, &text, &ws(path)), want, "{path}");
    }
    // The slash and the page can be mended, for the server has but one backend.
    for path in ["/dir", "/socket.io/"] {
        let text = mended(Nginx, &text, &ws(path));
        assert!(found(Nginx, &text, &ws(path)).is_empty(), "{path} {text}");
    }
}

#[test]
fn a_pattern_beyond_us_is_a_doubt() {
    let text = format!(
        "server {{ location ~ ^/(?!api) {{ return 404; }} location / {{ proxy_pass http://b; {GOOD} }} }}"
    );
    let examined = examine(Nginx, &text, &ws("/ws"));
    assert!(examined.lints.is_empty() && examined.reached);
    assert!(examined.doubts.first().unwrap().en.contains("(?!api)"), "{:?}", examined.doubts);
}

#[test]
fn the_server_is_the_one_nginx_takes() {
    let text = format!(
        "http {{
server {{ listen 80 default_server; server_name _; return 301 https://$host$request_uri; }}
server {{ listen 443 ssl; server_name *.example; location / {{ proxy_pass http://b; }} }}
server {{ listen 443 ssl; server_name chat.example; location / {{ proxy_pass http://b; {GOOD} }} }}
}}"
    );
    let mut q = ws("/ws");
    q.host = Some("chat.example".into());
    assert_eq!(found(Nginx, &text, &q), [""; 0]);
    let redirect = examine(Nginx, &text, &q).lints;
    assert_eq!((redirect.len(), redirect.first().unwrap().cause), (1, Cause::Redirected));
    q.port = Some(80);
    assert_eq!(found(Nginx, &text, &q), ["Redirected error 2"]);
    q.port = Some(443);
    assert!(examine(Nginx, &text, &q).lints.is_empty());
    q.host = Some("other.example:443".into());
    assert_eq!(found(Nginx, &text, &q).len(), 3);
}

#[test]
fn conditions_rewrites_and_named_locations_are_followed() {
    let text = format!(
        "server {{
  if ($host = chat.example) {{ return 301 https://$host$request_uri; }}
  rewrite ^/old/(.*)$ /ws/$1 last;
  location /ws/ {{ if ($http_upgrade !~* websocket) {{ return 400; }} proxy_pass http://b; {GOOD} }}
  location /app {{ try_files $uri @app; }}
  location @app {{ proxy_pass http://b; }}
  location /if {{ {GOOD} if ($http_upgrade = \"websocket\") {{ proxy_pass http://b; }} root /srv; }}
  location /maybe {{ if ($cookie_x = 1) {{ return 403; }} proxy_pass http://b; {GOOD} }}
  location /v1/ {{ if ($http_upgrade) {{ rewrite ^/v1(/.*)$ $1 break; }} proxy_pass http://b; {GOOD} }}
  location / {{ return 404; }}
}}"
    );
    for (path, want) in [
        ("/ws/a", vec![]),
        ("/v1/a", vec![]),
        ("/old/a", vec![]),
        ("/app", vec!["IdleCut warning 6", "ProxyStrippedUpgrade error 6", "UpstreamHttp10 error 6"]),
        ("/if", vec![]),
        ("/maybe", vec![]),
        ("/", vec!["WrongPath error 10"]),
    ] {
        assert_eq!(found(Nginx, &text, &ws(path)), want, "{path}");
    }
    assert_eq!(examine(Nginx, &text, &ws("/maybe")).doubts.len(), 2, "the host and the cookie are not known");
    let mut q = ws("/ws/a");
    q.host = Some("chat.example".into());
    assert_eq!(examine(Nginx, &text, &q).lints.first().unwrap().cause, Cause::Redirected);
}

#[test]
fn the_read_timeout_is_held_against_the_ping() {
    let at = |t: &str| {
        format!(
            "http {{ proxy_read_timeout {t}; server {{ location / {{ proxy_pass http://b; {} }} }} }}",
            GOOD.replace("proxy_read_timeout 1h;", "")
        )
    };
    check(Nginx, &at("60"), &ws("/"), &["IdleCut warning 1"]);
    check(Nginx, &at("1m 30s"), &ws("/"), &[]);
    let mut q = ws("/");
    q.server_ping = Some(Duration::from_secs(20));
    check(Nginx, &at("60"), &q, &[]);
    check(Nginx, &at("15s"), &q, &["IdleCut error 1"]);
    check(Nginx, &at("60s"), &socket_io(), &[]);
    check(Nginx, &at("20s"), &socket_io(), &["IdleCut error 1"]);
    // An outer timeout stays for the others; the location gets its own.
    let text = mended(Nginx, &at("15s"), &q);
    assert!(text.contains("proxy_read_timeout 15s;") && text.contains("proxy_read_timeout 3600s;"), "{text}");
}

#[test]
fn socket_io_needs_one_process_for_one_session() {
    let with = |method: &str| {
        format!("upstream chat {{\n    {method}\n    server 10.0.0.1:3000;\n    server 10.0.0.2:3000;\n    server 10.0.0.3:3000 backup;\n    keepalive 8;\n}}
server {{ location / {{ proxy_pass http://chat; {GOOD} }} }}")
    };
    check(Nginx, &with(""), &socket_io(), &["StickySessionsMissing error 1"]);
    check(Nginx, &with("least_conn;"), &socket_io(), &["StickySessionsMissing error 1"]);
    for method in ["ip_hash;", "hash $remote_addr consistent;", "sticky cookie srv;"] {
        check(Nginx, &with(method), &socket_io(), &[]);
    }
    check(Nginx, &with(""), &ws("/"), &[]);
}

#[test]
fn buffering_is_a_note_and_only_where_it_matters() {
    let text = format!(
        "server {{ location / {{ proxy_pass http://b; {GOOD} proxy_buffering on; proxy_ignore_headers X-Accel-Buffering Vary; }} }}"
    );
    let lints = examine(Nginx, &text, &socket_io()).lints;
    assert_eq!(
        lints.iter().filter(|l| l.cause == Cause::ProxyBuffering && l.severity == Severity::Note).count(),
        2
    );
    assert!(examine(Nginx, &text, &ws("/")).lints.is_empty());
}

#[test]
fn includes_are_read_and_edits_name_their_file() {
    let main = SourceFile::new(
        "/etc/nginx/nginx.conf",
        "http {\n  include mime.types;\n  include conf.d/*.conf;\n  include gone.conf;\n}\n",
    );
    let files = [
        SourceFile::new(
            "conf.d/chat.conf",
            "server {\n  location / {\n    include snippets/ws.conf;\n    proxy_pass http://b;\n  }\n}\n",
        ),
        SourceFile::new(
            "snippets/ws.conf",
            "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection close;\n",
        ),
    ];
    let include =
        |p: &str| files.iter().filter(|f| mooring_proxyconf::glob::matches(p, &f.name)).cloned().collect();
    let examined = lint(Nginx, &[main], &include, &ws("/")).unwrap();
    assert_eq!(examined.doubts.len(), 1, "{:?}", examined.doubts);
    assert_eq!(examined.files.len(), 3);
    let stripped = examined.lints.iter().find(|l| l.cause == Cause::ProxyStrippedUpgrade).unwrap();
    assert_eq!((stripped.file.as_str(), stripped.line), ("snippets/ws.conf", 3));
    let shown = patch_text("snippets/ws.conf", &files[1].text, std::slice::from_ref(&stripped.fix));
    assert_eq!(
        shown,
        "snippets/ws.conf\n    3 - proxy_set_header Connection close;\n    3 + proxy_set_header Connection \"upgrade\";\n"
    );
}

#[test]
fn the_dump_of_nginx_t_is_its_files() {
    let dump = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
# configuration file /etc/nginx/nginx.conf:
events {}
http { include sites-enabled/*; }

# configuration file /etc/nginx/sites-enabled/chat:
server {
  location / { proxy_pass http://b; }
}
";
    let examined = examine(Nginx, dump, &ws("/"));
    let first = examined.lints.first().unwrap();
    assert_eq!((first.file.as_str(), first.line), ("/etc/nginx/sites-enabled/chat", 2));
}

#[test]
fn the_syntax_is_read_as_nginx_reads_it() {
    let text = "# comment { with ; braces }
user www-data; worker_processes auto;
events { worker_connections 10; }
stream { upstream x { server a:1; } server { listen 1; proxy_pass x; } }
http {
  log_format main '$remote_addr - \"$request\" ; { }';
  init_by_lua_block { local t = { a = \"}\" } -- }
    print([[ } ]]) }
  types { text/html html; }
  geo $x { default 0; 127.0.0.1/32 1; }
  server {
    location ~ \"^/a{2}$\" { set $y \"${x}1\"; return 200 'it''s'; }
    location / { content_by_lua_block { ngx.say('}') } }
  }
}";
    assert!(try_examine(Nginx, text, &ws("/")).is_ok());
    for (bad, line, words) in [
        ("http {\n server {\n }\n", 4, "`}` is missing"),
        ("a;\n}", 2, "without a block"),
        ("a \"b\nc;", 1, "never closed"),
        ("x y\n}", 1, "not ended"),
        (";", 1, "without a directive"),
        ("a b", 1, "`;` is missing"),
        ("http { x_by_lua_block { '}' ", 1, "Lua"),
    ] {
        let error = try_examine(Nginx, bad, &ws("/")).unwrap_err();
        assert!(error.words.contains(words) && error.line == line, "{bad:?}: {error}");
    }
}
