//! Words: below TLS: names, routes and ports.

use super::{Both, Words, texts};

pub(in crate::cause) const NAME_NOT_RESOLVED: Both<Words> = texts(
    "The gateway's host name cannot be resolved.",
    "Correct the host in the gateway's url, or mend DNS on the agent's host.",
    "无法解析网关的主机名。",
    "请更正网关 url 中的主机名，或修复代理主机上的 DNS。",
);

pub(in crate::cause) const CONNECTION_REFUSED: Both<Words> = texts(
    "Nothing listens on the gateway's port: the connection is refused.",
    "The process is down or bound to another address. It is restarted where Mooring can; otherwise start it and check its listen address.",
    "网关端口上没有进程监听，连接被拒绝。",
    "进程已退出或监听在其他地址。若已配置，Mooring 会重启它；否则请启动进程并检查其监听地址。",
);

pub(in crate::cause) const CONNECT_TIMED_OUT: Both<Words> = texts(
    "The connection attempt gets no answer: a firewall drops it, or the host is gone.",
    "Check that the host is up and that no firewall drops the port. Restarting the gateway would not help.",
    "连接请求没有任何应答：可能被防火墙丢弃，或主机已不可达。",
    "请确认主机在线且端口未被防火墙拦截。重启网关无济于事。",
);

pub(in crate::cause) const NETWORK_UNREACHABLE: Both<Words> = texts(
    "There is no network route to the gateway.",
    "Check routing and addresses on the agent's host.",
    "没有到达网关的网络路由。",
    "请检查代理主机的路由与地址配置。",
);
