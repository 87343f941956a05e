//! Guides: Engine.IO and Socket.IO, spoken or not spoken.

use super::{Both, Guide, Retry, snippets};

pub(in crate::cause) const RAW_CLIENT_ON_SOCKET_IO: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Confirm with one plain request of `/socket.io/?EIO=4&transport=polling`: the body begins `0{\"sid\"`. When that is a 404 too, Socket.IO is off (Evolution API: `WEBSOCKET_ENABLED`).",
        zh: "可用一次普通请求确认：访问 `/socket.io/?EIO=4&transport=polling`，内容以 `0{\"sid\"` 开头。若同样是 404，则 Socket.IO 未启用（Evolution API：`WEBSOCKET_ENABLED`）。",
    }),
    seen_as: Both {
        en: "Direct: TCP accepts, zero bytes, FIN after 1.00–1.01 s; Node reports `socket hang up` at about 1005 ms. Behind nginx, Apache or HAProxy with correct upgrade headers: 502 after 1.01–1.02 s. Both are one fault.",
        zh: "直连：TCP 连接成功，没有任何字节，1.00–1.01 秒后 FIN；Node 在约 1005 毫秒报 `socket hang up`。经升级头配置正确的 nginx、Apache 或 HAProxy：1.01–1.02 秒后 502。两者是同一故障。",
    },
    snippets: &[snippets::NODE_SOCKETIO, snippets::PYTHON_SOCKETIO, snippets::EVOLUTION_WEBSOCKET],
    sources: &[
        "https://socket.io/docs/v4/engine-io-protocol/",
        "https://github.com/evolution-foundation/evolution-api/issues/741",
    ],
};

pub(in crate::cause) const TRANSPORT_MISSING: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "For Evolution API the whole url is `ws://HOST:8080/socket.io/?EIO=4&transport=websocket&apikey=…`; after it the client must speak Engine.IO (`40`, and `3` to each `2`).",
        zh: "Evolution API 的完整地址为 `ws://主机:8080/socket.io/?EIO=4&transport=websocket&apikey=…`；连接后客户端须按 Engine.IO 协议收发（发送 `40`，并对每个 `2` 回复 `3`）。",
    }),
    seen_as: Both {
        en: "400, `text/html`, body `Transport unknown` (17 bytes) on an upgrade; 400 JSON `{\"code\":0,\"message\":\"Transport unknown\"}` on a plain request.",
        zh: "升级请求得到 400，`text/html`，内容 `Transport unknown`（17 字节）；普通请求得到 400 JSON `{\"code\":0,\"message\":\"Transport unknown\"}`。",
    },
    snippets: &[snippets::NODE_SOCKETIO, snippets::PYTHON_SOCKETIO],
    sources: &["https://socket.io/docs/v4/engine-io-protocol/"],
};

pub(in crate::cause) const ENGINE_IO_VERSION_MISMATCH: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Read `EIO=` in the client's url and the server's package version; python-socketio 5 and socket.io-client 3 and 4 speak `EIO=4`.",
        zh: "请查看客户端 url 中的 `EIO=` 以及服务器的包版本；python-socketio 5、socket.io-client 3 和 4 使用 `EIO=4`。",
    }),
    seen_as: Both {
        en: "400 JSON `{\"code\":5,\"message\":\"Unsupported protocol version\"}` on a plain request. An `EIO=3` upgrade to an `EIO=4` server: 101, then the text of an HTTP answer (`RSV1 must be clear`, 1006).",
        zh: "普通请求得到 400 JSON `{\"code\":5,\"message\":\"Unsupported protocol version\"}`。`EIO=3` 向 `EIO=4` 服务器升级：101 之后出现 HTTP 文本（`RSV1 must be clear`，1006）。",
    },
    snippets: &[snippets::NODE_ALLOW_EIO3],
    sources: &[
        "https://socket.io/docs/v4/engine-io-protocol/",
        "https://socket.io/docs/v4/client-installation/#version-compatibility",
    ],
};

pub(in crate::cause) const ENGINE_IO_POLLING_UPGRADE: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look for a fixed query string in the client's code or in a proxy's rewrite rule.",
        zh: "请在客户端代码或反向代理的改写规则中查找写死的查询串。",
    }),
    seen_as: Both {
        en: "101, then a close without a code (1005) within 2 to 6 ms.",
        zh: "101 之后 2–6 毫秒内无代码关闭（1005）。",
    },
    snippets: &[snippets::NODE_SOCKETIO],
    sources: &["https://socket.io/docs/v4/engine-io-protocol/"],
};

pub(in crate::cause) const STICKY_SESSIONS_MISSING: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Ask several times with the `sid` of one polling handshake: answers that alternate between `0…`/`2` and code 1 prove it. Behind another proxy all clients have one address, and only a cookie or a header tells them apart. Apache wants `upgrade=websocket` on each BalancerMember, too. Several backends also need an adapter (Redis) so that events reach all of them.",
        zh: "请用同一次 polling 握手得到的 `sid` 多次请求：若正常应答与 code 1 交替出现即可确认。若前面还有代理，所有客户端的地址相同，只能靠 cookie 或请求头区分。Apache 的每个 BalancerMember 还须带有 `upgrade=websocket`。多后端还需要适配器（Redis），事件才能到达所有后端。",
    }),
    seen_as: Both {
        en: "400 JSON `{\"code\":1,\"message\":\"Session ID unknown\"}` again and again, for some requests of a session that other requests find.",
        zh: "反复出现 400 JSON `{\"code\":1,\"message\":\"Session ID unknown\"}`：同一会话的部分请求能找到会话，部分找不到。",
    },
    snippets: &[
        snippets::NGINX_STICKY,
        snippets::APACHE_STICKY,
        snippets::HAPROXY_STICKY,
        snippets::INGRESS_STICKY,
        snippets::NODE_SOCKETIO_WS_ONLY,
    ],
    sources: &[
        "https://socket.io/docs/v4/using-multiple-nodes/",
        "https://socket.io/docs/v4/engine-io-protocol/",
    ],
};

pub(in crate::cause) const NAMESPACE_NOT_READY: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: None,
    seen_as: Both {
        en: "The Engine.IO handshake is fine, then `44/name,{\"message\":\"Invalid namespace\"}` (or without a name for `/`). With Evolution API even right after a `POST /websocket/set` that succeeded: the namespace is made by the first matching event. The stock client shows one `connect_error` and then rests.",
        zh: "Engine.IO 握手正常，随后收到 `44/名称,{\"message\":\"Invalid namespace\"}`。Evolution API 即使刚刚 `POST /websocket/set` 成功也会如此：命名空间由第一个匹配的事件创建。官方客户端触发一次 `connect_error` 后即不再重试。",
    },
    snippets: &[snippets::EVOLUTION_WEBSOCKET, snippets::EVOLUTION_SET, snippets::NODE_NAMESPACE],
    sources: &[
        "https://socket.io/docs/v4/socket-io-protocol/",
        "https://github.com/evolution-foundation/evolution-api/issues/741",
    ],
};

pub(in crate::cause) const CORS_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Send one polling request with `Origin:` set to the page's origin, and look for `Access-Control-Allow-Origin` in the answer.",
        zh: "请发送一次带有页面 `Origin:` 的 polling 请求，查看应答中是否有 `Access-Control-Allow-Origin`。",
    }),
    seen_as: Both {
        en: "200 or 204 with `Vary: Origin` and without `Access-Control-Allow-Origin`; the browser's console says that CORS blocked it. The WebSocket transport gives 101 with the very same origin.",
        zh: "200 或 204，带 `Vary: Origin` 但没有 `Access-Control-Allow-Origin`；浏览器控制台提示被 CORS 阻止。同样的来源用 WebSocket 传输则得到 101。",
    },
    snippets: &[snippets::NODE_CORS, snippets::NODE_SOCKETIO_WS_ONLY],
    sources: &["https://socket.io/docs/v4/handling-cors/"],
};

pub(in crate::cause) const ENGINE_IO_PING_UNANSWERED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Record one session: texts `2` come every 25 s; no `3` goes back. The server's own log says `ping timeout`.",
        zh: "请抓取一次会话：每 25 秒收到文本 `2`，却没有发出 `3`。服务器日志为 `ping timeout`。",
    }),
    seen_as: Both {
        en: "A close without a code (1005) 45.0 s after the open at Engine.IO's defaults (`pingInterval` 25 s plus `pingTimeout` 20 s).",
        zh: "在 Engine.IO 默认配置下，打开后 45.0 秒无代码关闭（1005）：`pingInterval` 25 秒加 `pingTimeout` 20 秒。",
    },
    snippets: &[snippets::NODE_SOCKETIO, snippets::PYTHON_SOCKETIO],
    sources: &["https://socket.io/docs/v4/engine-io-protocol/"],
};

pub(in crate::cause) const NAMESPACE_CONNECT_MISSING: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "The age is the same 45 s as that of unanswered pings: see whether `3` was sent. If it was, the CONNECT is what is missing.",
        zh: "断开时刻与 ping 未应答同为 45 秒：请看是否发出了 `3`。若已发出，缺少的就是 CONNECT。",
    }),
    seen_as: Both {
        en: "`0{…}` came, `2` is answered with `3`, no `40` was sent; a close without a code (1005) at 45.0 s (`connectTimeout`; the default was read in the source, the rule was measured at 3 s).",
        zh: "已收到 `0{…}`，对 `2` 回复了 `3`，但没有发送 `40`；45.0 秒时无代码关闭（1005，即 `connectTimeout`；默认值来自源码阅读，规律在 3 秒设置下实测）。",
    },
    snippets: &[snippets::NODE_SOCKETIO, snippets::PYTHON_SOCKETIO],
    sources: &["https://socket.io/docs/v4/socket-io-protocol/"],
};

pub(in crate::cause) const FOREIGN_PAYLOAD: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look at the first text that the client sends: a packet begins with a digit (`2`, `3`, `40`, `42[…]`).",
        zh: "请查看客户端发送的第一条文本：合法报文以数字开头（`2`、`3`、`40`、`42[…]`）。",
    }),
    seen_as: Both {
        en: "A close without a code (1005) right after the client's first text.",
        zh: "客户端发出第一条文本后立即无代码关闭（1005）。",
    },
    snippets: &[snippets::NODE_SOCKETIO, snippets::PYTHON_SOCKETIO],
    sources: &[
        "https://socket.io/docs/v4/engine-io-protocol/",
        "https://socket.io/docs/v4/socket-io-protocol/",
    ],
};
