//! Guides: below TLS: names, routes and ports.

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const NAME_NOT_RESOLVED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Resolve the name on the agent's host (`getent hosts NAME`). In containers, look at the search domain and at the service's name and namespace.",
        zh: "请在代理主机上解析该名称（`getent hosts 名称`）。容器环境请检查搜索域以及服务名与命名空间。",
    }),
    seen_as: Both {
        en: "`ENOTFOUND`, `EAI_AGAIN`, NXDOMAIN, or no answer of the resolver: before any packet to the gateway.",
        zh: "`ENOTFOUND`、`EAI_AGAIN`、NXDOMAIN 或解析器无应答：此时尚未向网关发送任何数据包。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const CONNECTION_REFUSED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "When the process runs and it is refused nevertheless, compare its listen address with the url: a process on `127.0.0.1` is not reachable from another host or container.",
        zh: "若进程在运行却仍被拒绝，请比较其监听地址与 url：监听 `127.0.0.1` 的进程无法从其他主机或容器访问。",
    }),
    seen_as: Both {
        en: "`ECONNREFUSED` within a millisecond on the same host. Through a proxy: nginx 502 and Apache 503 within a few ms, HAProxy 503 after its connect retries (about 3 s at `timeout connect 2s`).",
        zh: "同机一毫秒内返回 `ECONNREFUSED`。经反向代理：nginx 502、Apache 503，均在数毫秒内；HAProxy 在连接重试后返回 503（`timeout connect 2s` 时约 3 秒）。",
    },
    snippets: &[snippets::MOORING_SUPERVISE, snippets::SHELL_LISTENING],
    sources: &["RFC 9293 §3.5.2"],
};

pub(in crate::cause) const CONNECT_TIMED_OUT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "From the agent's host try the port by hand (`nc -vz HOST PORT`), then follow the path: security group, firewall, NAT, and whether the host is up.",
        zh: "请在代理主机上手工测试端口（`nc -vz 主机 端口`），再沿路径检查：安全组、防火墙、NAT，以及主机是否在线。",
    }),
    seen_as: Both {
        en: "SYN without any answer for the whole connect limit (`gateway.limits.connect`, 5 s by default).",
        zh: "在整个连接时限内（`gateway.limits.connect`，默认 5 秒）SYN 没有任何应答。",
    },
    snippets: &[],
    sources: &["RFC 9293 §3.8.3"],
};

pub(in crate::cause) const NETWORK_UNREACHABLE: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Look at `ip route get ADDRESS` on the agent's host; for IPv6 addresses, whether the host has IPv6 at all.",
        zh: "请在代理主机上执行 `ip route get 地址`；若为 IPv6 地址，请确认主机是否具备 IPv6。",
    }),
    seen_as: Both {
        en: "`ENETUNREACH` or `EHOSTUNREACH` at once, or an ICMP answer from a router or local firewall.",
        zh: "立即返回 `ENETUNREACH` 或 `EHOSTUNREACH`，或收到路由器、本机防火墙的 ICMP 应答。",
    },
    snippets: &[],
    sources: &[],
};
