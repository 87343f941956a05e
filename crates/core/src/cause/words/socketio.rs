//! Words: Engine.IO and Socket.IO, spoken or not spoken.

use super::{Both, Words, texts};

pub(in crate::cause) const RAW_CLIENT_ON_SOCKET_IO: Both<Words> = texts(
    "A raw WebSocket client dials a Socket.IO server: the server takes the connection, says nothing, and hangs up after one second.",
    "Use a Socket.IO client, or dial `/socket.io/?EIO=4&transport=websocket` and speak Engine.IO on it. A 502 through a proxy after the same second is this fault, too: neither proxy settings nor a restart help.",
    "原始 WebSocket 客户端连到了 Socket.IO 服务器：服务器接受连接但不作应答，一秒后挂断。",
    "请改用 Socket.IO 客户端，或连接 `/socket.io/?EIO=4&transport=websocket` 并按 Engine.IO 协议收发。经反向代理时同样约一秒后出现的 502 也是这个问题，改反向代理配置或重启网关都没有用。",
);

pub(in crate::cause) const TRANSPORT_MISSING: Both<Words> = texts(
    "A raw WebSocket client dials the Engine.IO path without `transport=websocket` in the query.",
    "Append `?EIO=4&transport=websocket` to the url, or use a Socket.IO client, which does so itself.",
    "原始 WebSocket 客户端连接 Engine.IO 路径时，查询串中缺少 `transport=websocket`。",
    "请在 url 后加上 `?EIO=4&transport=websocket`，或改用 Socket.IO 客户端（会自动带上）。",
);

pub(in crate::cause) const ENGINE_IO_VERSION_MISMATCH: Both<Words> = texts(
    "Client and server speak different versions of Engine.IO: `EIO=3` belongs to Socket.IO 2, `EIO=4` to Socket.IO 3 and 4.",
    "Bring the client library to the server's major version. For as long as old clients remain, `allowEIO3: true` on a Socket.IO 4 server lets them in.",
    "客户端与服务器的 Engine.IO 版本不一致：`EIO=3` 对应 Socket.IO 2，`EIO=4` 对应 Socket.IO 3 和 4。",
    "请将客户端库升级到与服务器相同的主版本。若暂时仍有旧客户端，可在 Socket.IO 4 服务器上设置 `allowEIO3: true` 予以兼容。",
);

pub(in crate::cause) const ENGINE_IO_POLLING_UPGRADE: Both<Words> = texts(
    "The upgrade's url names `transport=polling`: Engine.IO accepts it and closes at once.",
    "Write `transport=websocket` in the url of the upgrade. Polling is for plain HTTP requests.",
    "升级请求的 url 写的是 `transport=polling`：Engine.IO 接受后立即关闭。",
    "请在升级请求的 url 中改为 `transport=websocket`；polling 只用于普通 HTTP 请求。",
);

pub(in crate::cause) const STICKY_SESSIONS_MISSING: Both<Words> = texts(
    "The requests of one Socket.IO session reach different backends, and the one that is asked does not know the session.",
    "Make the balancer sticky (nginx `ip_hash`, Apache `stickysession` with a `route` on each member, HAProxy `balance source` or `cookie … insert`, ingress-nginx `affinity: cookie`), or let clients use WebSocket alone (`transports: [\"websocket\"]`).",
    "同一个 Socket.IO 会话的请求被分发到不同后端，收到请求的后端不认识该会话。",
    "请为负载均衡开启会话保持（nginx `ip_hash`、Apache `stickysession` 并为每个成员设置 `route`、HAProxy `balance source` 或 `cookie … insert`、ingress-nginx `affinity: cookie`），或让客户端只用 WebSocket 传输（`transports: [\"websocket\"]`）。",
);

pub(in crate::cause) const NAMESPACE_NOT_READY: Both<Words> = texts(
    "The Socket.IO namespace that is asked for does not exist, or not yet: Evolution API makes an instance's namespace only with its first event.",
    "Mooring asks again by itself; a stock client does not, and must call `connect()` again after the refusal. For Evolution API set `WEBSOCKET_GLOBAL_EVENTS=true` and listen on `/`, which is always there; otherwise check the namespace's name.",
    "所请求的 Socket.IO 命名空间不存在或尚未创建：Evolution API 要到实例的第一个事件时才创建其命名空间。",
    "Mooring 会自动重试；官方客户端被拒后不会重试，需要再次调用 `connect()`。Evolution API 可设置 `WEBSOCKET_GLOBAL_EVENTS=true` 并监听始终存在的 `/`；其他情况请核对命名空间名称。",
);

pub(in crate::cause) const CORS_REFUSED: Both<Words> = texts(
    "Browsers are refused on polling: the page's origin is not on the server's CORS list.",
    "Put the page's origin (scheme, host and port) into `cors.origin`. For every origin write the string `\"*\"`; the list `[\"*\"]` admits none. The WebSocket transport does not look at CORS.",
    "浏览器的 polling 请求被拒：页面来源不在服务器的 CORS 列表中。",
    "请把页面来源（协议、主机和端口）加入 `cors.origin`。允许所有来源时要写字符串 `\"*\"`，写成数组 `[\"*\"]` 不会生效。WebSocket 传输不受 CORS 限制。",
);

pub(in crate::cause) const ENGINE_IO_PING_UNANSWERED: Both<Words> = texts(
    "The client does not answer Engine.IO's pings, so the server closes the session when its promise runs out (45 s after the open at its defaults).",
    "Let the client answer each text `2` with `3`; a Socket.IO client does so itself. If it does and this happens nevertheless, it stands still: a frozen tab or a blocked event loop.",
    "客户端没有应答 Engine.IO 的 ping，服务器到时关闭会话（默认为打开后 45 秒）。",
    "请让客户端对每个文本 `2` 回复 `3`；Socket.IO 客户端会自动完成。若已如此仍出现，则是客户端停滞：标签页被冻结，或事件循环阻塞。",
);

pub(in crate::cause) const NAMESPACE_CONNECT_MISSING: Both<Words> = texts(
    "The client opened Engine.IO but never joined a namespace, so Socket.IO closes it after its `connectTimeout` (45 s by default), answered pings or not.",
    "Send `40` (or `40/namespace,`) after the server's first packet `0{…}`; a Socket.IO client does so itself.",
    "客户端打开了 Engine.IO 却从未加入命名空间，到达 `connectTimeout`（默认 45 秒）后即被 Socket.IO 关闭，与是否应答 ping 无关。",
    "请在收到服务器首个报文 `0{…}` 之后发送 `40`（或 `40/命名空间,`）；Socket.IO 客户端会自动完成。",
);

pub(in crate::cause) const FOREIGN_PAYLOAD: Both<Words> = texts(
    "The client sends text that is no Engine.IO packet, such as bare JSON, and the server closes at once.",
    "Use a Socket.IO client, or write events as `42[\"name\",{…}]`. If both ends want bare JSON, the server should be a plain WebSocket server.",
    "客户端发送了不属于 Engine.IO 的文本（例如裸 JSON），服务器立即关闭。",
    "请改用 Socket.IO 客户端，或把事件写成 `42[\"name\",{…}]`。若双方只想收发裸 JSON，服务器应改用普通 WebSocket。",
);
