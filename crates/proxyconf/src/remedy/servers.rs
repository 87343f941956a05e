//! Proxies with a configuration of their own.

use super::{Case, Fault, Snippet};

pub(super) fn nginx(fault: Fault, case: &Case) -> Option<Snippet> {
    let Case { path, backend, seconds } = case;
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: format!(
                "location ^~ {path} {{\n    proxy_pass http://{backend};\n    proxy_http_version 1.1;\n    \
                 proxy_set_header Host $host;\n    proxy_set_header Upgrade $http_upgrade;\n    \
                 proxy_set_header Connection \"upgrade\";\n    proxy_read_timeout {seconds}s;\n}}\n"
            ),
            en: "Inside the server block. All headers belong in this one location: nginx inherits none from outside as soon as it has one of its own.",
            zh: "放在 server 块内。所有请求头都要写在这个 location 里：只要其中有一条 proxy_set_header，nginx 就不再继承外层的。",
        },
        Fault::Idle => Snippet {
            text: format!("proxy_read_timeout {seconds}s;\n"),
            en: "Inside the location that proxies the path. Or let the gateway ping more often than the timeout.",
            zh: "放在代理该路径的 location 内；或者让网关以短于该超时的间隔发送 ping。",
        },
        Fault::Sticky => Snippet {
            text: format!(
                "upstream gateway {{\n    ip_hash;\n    server {backend};\n    # the other processes, each with its own port\n}}\n"
            ),
            en: "In the http block, and proxy_pass http://gateway in the location. Behind another proxy all clients have its address: hash a header that tells them apart instead (hash $http_x_forwarded_for consistent).",
            zh: "放在 http 块内，并在 location 中使用 proxy_pass http://gateway。若前面还有代理，所有客户端地址相同：请改为 hash $http_x_forwarded_for consistent。",
        },
        Fault::Buffering => Snippet {
            text: "proxy_buffering off;\n".to_owned(),
            en: "Inside the location that proxies the path.",
            zh: "放在代理该路径的 location 内。",
        },
    })
}

pub(super) fn apache(fault: Fault, case: &Case) -> Option<Snippet> {
    let Case { path, backend, seconds } = case;
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: format!("ProxyPass {path} http://{backend}{path} upgrade=websocket timeout={seconds}\n"),
            en: "Inside the VirtualHost, before every wider ProxyPass (the first that matches wins). Needs mod_proxy and mod_proxy_http: a2enmod proxy_http.",
            zh: "放在 VirtualHost 内，并位于所有范围更大的 ProxyPass 之前（先匹配者生效）。需要 mod_proxy 与 mod_proxy_http：a2enmod proxy_http。",
        },
        Fault::Idle => Snippet {
            text: format!("ProxyTimeout {seconds}\n"),
            en: "Inside the VirtualHost; or timeout= on its ProxyPass, which comes before it. The longer of this and the core's Timeout counts.",
            zh: "放在 VirtualHost 内；或在其 ProxyPass 上设置 timeout=（优先）。实际生效的是它与核心 Timeout 中较长者。",
        },
        Fault::Sticky => Snippet {
            text: format!(
                "Header add Set-Cookie \"ROUTEID=.%{{BALANCER_WORKER_ROUTE}}e; path=/\" env=BALANCER_ROUTE_CHANGED\n\
                 <Proxy balancer://gateway>\n    BalancerMember http://{backend} route=m1 upgrade=websocket\n    \
                 # the other processes, each with a route of its own\n    ProxySet stickysession=ROUTEID\n</Proxy>\n\
                 ProxyPass {path} balancer://gateway{path}\n"
            ),
            en: "Inside the VirtualHost. Needs mod_proxy_balancer, mod_lbmethod_byrequests and mod_headers. Clients must keep cookies.",
            zh: "放在 VirtualHost 内。需要 mod_proxy_balancer、mod_lbmethod_byrequests 与 mod_headers；客户端必须保存 cookie。",
        },
        Fault::Buffering => return None,
    })
}

pub(super) fn apache_old(fault: Fault, case: &Case) -> Option<Snippet> {
    let Case { path, backend, seconds } = case;
    match fault {
        Fault::Upgrade => Some(Snippet {
            text: format!(
                "ProxyTimeout {seconds}\nRewriteEngine On\nRewriteCond %{{HTTP:Upgrade}} =websocket [NC]\n\
                 RewriteRule ^({pattern}.*)$ ws://{backend}$1 [P,L]\n\
                 ProxyPass {path} http://{backend}{path}\n",
                pattern = path.replace('.', "\\.")
            ),
            en: "Inside the VirtualHost. Needs mod_rewrite, mod_proxy, mod_proxy_http and mod_proxy_wstunnel: a2enmod rewrite proxy_http proxy_wstunnel.",
            zh: "放在 VirtualHost 内。需要 mod_rewrite、mod_proxy、mod_proxy_http 与 mod_proxy_wstunnel：a2enmod rewrite proxy_http proxy_wstunnel。",
        }),
        _ => apache(fault, case),
    }
}

pub(super) fn haproxy(fault: Fault, case: &Case) -> Option<Snippet> {
    let Case { backend, seconds, .. } = case;
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: String::new(),
            en: "HAProxy passes upgrades by itself: look for rules that take them away, http-request del-header or set-header on Upgrade or Connection, and remove those.",
            zh: "HAProxy 会自动转发升级：请查找对 Upgrade 或 Connection 使用 http-request del-header 或 set-header 的规则并删除。",
        },
        Fault::Idle => Snippet {
            text: format!("timeout tunnel {seconds}s\n"),
            en: "In the backend (or in defaults; in a frontend it is ignored). Without it the shorter of timeout client and timeout server ends a silent session.",
            zh: "放在 backend（或 defaults）中；放在 frontend 中无效。未设置时，timeout client 与 timeout server 中较短者会切断静默会话。",
        },
        Fault::Sticky => Snippet {
            text: format!("balance source\nserver m1 {backend}\n# the other processes, a server line each\n"),
            en: "In the backend. Where all clients come from one address: cookie io insert indirect nocache, and cookie m1 at the end of each server line.",
            zh: "放在 backend 中。若所有客户端来自同一地址：使用 cookie io insert indirect nocache，并在每个 server 行末加上各自的 cookie m1。",
        },
        Fault::Buffering => return None,
    })
}

pub(super) fn caddy(fault: Fault, case: &Case) -> Option<Snippet> {
    let Case { path, backend, .. } = case;
    let matcher = format!("{path}*");
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: format!("reverse_proxy {matcher} {backend}\n"),
            en: "Caddy passes upgrades by itself; what it needs is a reverse_proxy that takes the path.",
            zh: "Caddy 会自动转发升级；只需有一条匹配该路径的 reverse_proxy。",
        },
        Fault::Sticky => Snippet {
            text: format!(
                "reverse_proxy {matcher} {backend} {{\n    lb_policy cookie\n    # to OTHER:PORT\n}}\n"
            ),
            en: "lb_policy ip_hash where clients keep no cookies.",
            zh: "客户端不保存 cookie 时请用 lb_policy ip_hash。",
        },
        Fault::Idle | Fault::Buffering => return None,
    })
}
