//! Ingress controllers: annotations. All values are strings, as Kubernetes wants them.

use super::{Case, Fault, Snippet};

fn annotations(lines: &[(&str, String)]) -> String {
    let lines: String = lines.iter().map(|(key, value)| format!("    {key}: \"{value}\"\n")).collect();
    format!("metadata:\n  annotations:\n{lines}")
}

pub(super) fn ingress_nginx(fault: Fault, case: &Case) -> Option<Snippet> {
    let seconds = case.seconds.to_string();
    let buffering = "nginx.ingress.kubernetes.io/proxy-buffering";
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: annotations(&[("nginx.ingress.kubernetes.io/proxy-http-version", "1.1".to_owned())]),
            en: "On the Ingress. The controller passes upgrades by itself; look for a proxy-http-version of 1.0 and for snippets that set Connection.",
            zh: "写在 Ingress 上。该控制器会自动转发升级；请检查是否有 proxy-http-version 1.0，或设置 Connection 的 snippet。",
        },
        Fault::Idle => Snippet {
            text: annotations(&[
                ("nginx.ingress.kubernetes.io/proxy-read-timeout", seconds.clone()),
                ("nginx.ingress.kubernetes.io/proxy-send-timeout", seconds),
            ]),
            en: "On the Ingress. The default is 60 seconds.",
            zh: "写在 Ingress 上。默认值为 60 秒。",
        },
        Fault::Sticky => Snippet {
            text: annotations(&[
                ("nginx.ingress.kubernetes.io/affinity", "cookie".to_owned()),
                ("nginx.ingress.kubernetes.io/session-cookie-name", "route".to_owned()),
            ]),
            en: "On the Ingress. For clients that keep no cookies use this instead, not both: nginx.ingress.kubernetes.io/upstream-hash-by: \"$remote_addr\".",
            zh: "写在 Ingress 上。客户端不保存 cookie 时请改用（不要同时使用）nginx.ingress.kubernetes.io/upstream-hash-by: \"$remote_addr\"。",
        },
        Fault::Buffering => Snippet {
            text: annotations(&[(buffering, "off".to_owned())]),
            en: "On the Ingress.",
            zh: "写在 Ingress 上。",
        },
    })
}

pub(super) fn nginx_inc(fault: Fault, case: &Case) -> Option<Snippet> {
    let seconds = format!("{}s", case.seconds);
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: annotations(&[("nginx.org/websocket-services", "SERVICE".to_owned())]),
            en: "On the Ingress, with the name of the gateway's Service (several are separated by commas). Without it this controller passes no upgrade.",
            zh: "写在 Ingress 上，填入网关 Service 的名称（多个以逗号分隔）。不设置时该控制器不转发升级。",
        },
        Fault::Idle => Snippet {
            text: annotations(&[
                ("nginx.org/proxy-read-timeout", seconds.clone()),
                ("nginx.org/proxy-send-timeout", seconds),
            ]),
            en: "On the Ingress. The default is 60 seconds.",
            zh: "写在 Ingress 上。默认值为 60 秒。",
        },
        Fault::Sticky => Snippet {
            text: annotations(&[("nginx.org/lb-method", "ip_hash".to_owned())]),
            en: "On the Ingress. With NGINX Plus: nginx.com/sticky-cookie-services.",
            zh: "写在 Ingress 上。NGINX Plus 可用 nginx.com/sticky-cookie-services。",
        },
        Fault::Buffering => Snippet {
            text: annotations(&[("nginx.org/proxy-buffering", "false".to_owned())]),
            en: "On the Ingress.",
            zh: "写在 Ingress 上。",
        },
    })
}

pub(super) fn haproxy(fault: Fault, case: &Case) -> Option<Snippet> {
    Some(match fault {
        Fault::Idle => Snippet {
            text: annotations(&[("haproxy-ingress.github.io/timeout-tunnel", format!("{}s", case.seconds))]),
            en: "On the Ingress or the Service. Upgrades pass by themselves.",
            zh: "写在 Ingress 或 Service 上。升级会自动转发。",
        },
        Fault::Sticky => Snippet {
            text: annotations(&[("haproxy-ingress.github.io/affinity", "cookie".to_owned())]),
            en: "On the Ingress or the Service.",
            zh: "写在 Ingress 或 Service 上。",
        },
        Fault::Upgrade | Fault::Buffering => return None,
    })
}

pub(super) fn haproxy_tech(fault: Fault, case: &Case) -> Option<Snippet> {
    Some(match fault {
        Fault::Idle => Snippet {
            text: format!("data:\n  timeout-tunnel: \"{}s\"\n", case.seconds),
            en: "In the controller's ConfigMap, where one hour is the default already: look for a shorter one.",
            zh: "写在控制器的 ConfigMap 中；默认值已是一小时，请检查是否被改短。",
        },
        Fault::Sticky => Snippet {
            text: annotations(&[("haproxy.org/load-balance", "source".to_owned())]),
            en: "On the Ingress or the Service.",
            zh: "写在 Ingress 或 Service 上。",
        },
        Fault::Upgrade | Fault::Buffering => return None,
    })
}

pub(super) fn traefik(fault: Fault) -> Option<Snippet> {
    Some(match fault {
        Fault::Upgrade => Snippet {
            text: String::new(),
            en: "Traefik passes upgrades by itself: look for a router that takes the path to another service, and for middlewares that set Connection or Upgrade.",
            zh: "Traefik 会自动转发升级：请检查是否有路由把该路径交给了其他服务，或有中间件改写 Connection、Upgrade。",
        },
        Fault::Sticky => Snippet {
            text: "metadata:\n  annotations:\n    traefik.ingress.kubernetes.io/service.sticky.cookie: \"true\"\n"
                .to_owned(),
            en: "On the gateway's Service. With Docker the label traefik.http.services.NAME.loadbalancer.sticky.cookie=true.",
            zh: "写在网关的 Service 上。Docker 中对应标签 traefik.http.services.NAME.loadbalancer.sticky.cookie=true。",
        },
        Fault::Idle | Fault::Buffering => return None,
    })
}
