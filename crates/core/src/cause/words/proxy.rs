//! Words: what stands between: proxies, balancers, and their timers.

use super::{Both, Words, texts};

pub(in crate::cause) const PROXY_STRIPPED_UPGRADE: Both<Words> = texts(
    "A proxy on the way does not pass the upgrade: the gateway received a plain GET.",
    "Let the proxy pass it: HTTP/1.1 to the backend and the `Upgrade` and `Connection` headers (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\").",
    "途中的反向代理没有转发升级请求，网关收到的只是普通 GET。",
    "请让反向代理转发升级：对后端使用 HTTP/1.1 并传递 Upgrade 与 Connection 头（nginx：proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"）。",
);

pub(in crate::cause) const UPSTREAM_HTTP10: Both<Words> = texts(
    "The proxy speaks HTTP/1.0 to the gateway, which refuses it: an upgrade needs HTTP/1.1.",
    "Set HTTP/1.1 towards the backend (nginx: `proxy_http_version 1.1;`), and pass the `Upgrade` and `Connection` headers with it.",
    "反向代理以 HTTP/1.0 访问网关而被拒绝：升级需要 HTTP/1.1。",
    "请将到后端的协议改为 HTTP/1.1（nginx：`proxy_http_version 1.1;`），并同时传递 `Upgrade` 与 `Connection` 头。",
);

pub(in crate::cause) const SPA_FALLBACK: Both<Words> = texts(
    "The proxy answers the upgrade with the front end's index page: the path falls into its catch-all instead of the gateway's rule.",
    "Correct the path, or give it a rule of its own that leads to the gateway, before the catch-all (nginx: a `location` before `try_files … /index.html`). Bisheng's sockets are below `/api/`.",
    "反向代理以前端首页应答了升级请求：该路径落入了兜底规则，没有转发到网关。",
    "请更正路径，或在兜底规则之前为其单独配置指向网关的规则（nginx：在 `try_files … /index.html` 之前加 `location`）。毕昇（Bisheng）的 WebSocket 都在 `/api/` 之下。",
);

pub(in crate::cause) const BACKEND_DOWN: Both<Words> = texts(
    "A proxy answers in the gateway's place: its backend is down or closes without answering (502/503).",
    "Look at the gateway behind the proxy; it is restarted where Mooring can. A 502 after almost exactly one second is Socket.IO refusing a raw client.",
    "反向代理代替网关作答：其后端已停止或未应答即关闭（502/503）。",
    "请检查反向代理后面的网关；若已配置，Mooring 会重启它。若 502 恰好在约一秒后出现，说明是 Socket.IO 拒绝了原始客户端。",
);

pub(in crate::cause) const BACKEND_HUNG: Both<Words> = texts(
    "A proxy waited for the gateway and gave up (504): the gateway accepts but does not answer.",
    "The gateway behind the proxy is hung; it is restarted where Mooring can.",
    "反向代理等待网关超时（504）：网关接受连接但不应答。",
    "反向代理后面的网关已挂起；若已配置，Mooring 会重启它。",
);

pub(in crate::cause) const RATE_LIMITED: Both<Words> = texts(
    "The gateway or a proxy says: too many requests.",
    "Slow down: fewer clients or longer intervals. Mooring waits and reconnects more slowly.",
    "网关或反向代理返回“请求过多”。",
    "请降低频率：减少客户端或延长间隔。Mooring 会等待并放慢重连。",
);

pub(in crate::cause) const PROXY_BUFFERING: Both<Words> = texts(
    "A proxy holds back what should flow: answers arrive in lumps or only at their end.",
    "Turn buffering off for this path (nginx: `proxy_buffering off;`, or `X-Accel-Buffering: no` in the application's answer). It concerns polling and event streams; an upgraded connection is not buffered.",
    "反向代理缓冲了本应实时到达的数据：应答成批到达，或直到结束才出现。",
    "请为该路径关闭缓冲（nginx：`proxy_buffering off;`，或由应用在应答中返回 `X-Accel-Buffering: no`）。只影响 polling 和事件流，升级后的连接不受影响。",
);

pub(in crate::cause) const IDLE_CUT: Both<Words> = texts(
    "Sessions are cut after the same time of silence: a proxy's idle timeout.",
    "Raise that timeout (nginx `proxy_read_timeout`, Apache `ProxyTimeout` or `timeout=` on the ProxyPass, HAProxy `timeout tunnel`) or send pings more often than it.",
    "会话总在相同的静默时长后被切断：这是反向代理的空闲超时。",
    "请调大该超时（nginx `proxy_read_timeout`、Apache `ProxyTimeout` 或 ProxyPass 的 `timeout=`、HAProxy `timeout tunnel`），或以更短间隔发送 ping。",
);

pub(in crate::cause) const TIMERS_MISFIT: Both<Words> = texts(
    "The timers on the path contradict each other: one ends an idle connection before the next sign of life is due.",
    "Bring them in order: pings more often than half the shortest idle timeout (nginx `proxy_read_timeout`, Apache the longer of `Timeout` and `ProxyTimeout`, HAProxy `timeout tunnel`), and a client's patience longer than one ping interval and its timeout.",
    "路径上的各个计时器互相矛盾：在下一次心跳到来之前，空闲连接就已被切断。",
    "请理顺先后：ping 间隔应小于最短空闲超时的一半（nginx `proxy_read_timeout`、Apache 为 `Timeout` 与 `ProxyTimeout` 中较长者、HAProxy `timeout tunnel`），客户端的等待时限应大于一个 ping 间隔加其超时。",
);
