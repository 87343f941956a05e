//! Words: sessions that are open and carry nothing.

use super::{Both, Words, texts};

pub(in crate::cause) const HEARTBEAT_MISSED: Both<Words> = texts(
    "The session is open but silent: pings are not answered in time.",
    "Reconnected first; if a new session is silent too, the gateway is hung and is restarted where Mooring can.",
    "会话仍然打开但毫无响应：ping 未按时得到应答。",
    "先重连；若新会话同样静默，说明网关已挂起，若已配置 Mooring 会重启它。",
);

pub(in crate::cause) const KEEPALIVE_TIMEOUT: Both<Words> = texts(
    "The server closed because its pings were not answered in time (1011): the path is half-open, or the client's event loop is blocked.",
    "Reconnected. If it repeats, look for blocking work in the client's event loop before raising the server's patience (uvicorn: `ws_ping_timeout`, 20 s by default).",
    "服务器的 ping 未按时得到应答而关闭会话（1011）：链路半开，或客户端事件循环被阻塞。",
    "将自动重连。若反复出现，请先排查客户端事件循环中的阻塞操作，再考虑放宽服务器的时限（uvicorn：`ws_ping_timeout`，默认 20 秒）。",
);

pub(in crate::cause) const HALF_OPEN: Both<Words> = texts(
    "The session looks open, but the other end is gone: what is sent is not acknowledged any more.",
    "The session is cut so that both ends notice and reconnect. If it happens to many at once, look at the network between them (NAT or firewall that forgot the connection).",
    "会话看似打开，但对端已不在：发送的数据不再得到确认。",
    "将切断该会话以促使两端重连。若大量会话同时如此，请检查中间网络（NAT 或防火墙丢失了连接状态）。",
);

pub(in crate::cause) const PEER_STALLED: Both<Words> = texts(
    "The other end is there but does not read: what is sent to it waits.",
    "Look at that client: it is overloaded or stuck. Closing its session makes it start anew; the gateway's own buffers for it grow until then.",
    "对端仍在，但不读取数据，待发数据不断积压。",
    "请检查该客户端：它可能过载或卡住。关闭其会话可让它重新开始；在此之前网关会为其积压缓冲。",
);

pub(in crate::cause) const GATEWAY_STALLED: Both<Words> = texts(
    "The gateway does not read what its peers sent: the data waits in the kernel.",
    "Its event loop is blocked or the process is stopped; it is restarted where Mooring can.",
    "网关没有读取对端发来的数据，数据滞留在内核中。",
    "事件循环被阻塞或进程已停止；若已配置，Mooring 会重启它。",
);

pub(in crate::cause) const SILENT_BEYOND_HABIT: Both<Words> = texts(
    "The session has been silent for much longer than it ever was.",
    "Reconnected: one round trip tells whether it lives. If that is its way, give the gateway a `heartbeat.promise`, so that nothing has to be learnt.",
    "会话的静默时间远超其以往习惯。",
    "将重连以确认其是否存活。若属正常，请为网关配置 `heartbeat.promise`，无需再靠学习判断。",
);

pub(in crate::cause) const NOT_CLOSED: Both<Words> = texts(
    "The other end has closed the connection, but the gateway keeps its end open.",
    "The gateway leaks connections: it does not close sockets whose peer has gone. A restart frees them; the cause is in its code.",
    "对端已关闭连接，但网关仍未关闭自己的一端。",
    "网关存在连接泄漏：对端离开后没有关闭套接字。重启可释放，但根因在其代码中。",
);
