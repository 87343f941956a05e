//! Guides: the opening handshake, as the gateway itself answers it or fails to.

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const HANDSHAKE_TIMED_OUT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "When plain pages on the port are not answered either, the process hangs: take a stack of it before the restart if you can (`kill -SIGUSR1` opens Node's inspector, `py-spy dump`). When they are, see UpgradeIgnored.",
        zh: "若该端口的普通页面同样无应答，则是进程挂起：重启前最好先取得堆栈（`kill -SIGUSR1` 可打开 Node 调试器，或 `py-spy dump`）。若普通页面正常，见 UpgradeIgnored。",
    }),
    seen_as: Both {
        en: "TCP connects, then no byte until our limit (`gateway.limits.answer`). Through proxies at their own limit: nginx 504, Apache 502, HAProxy 504.",
        zh: "TCP 连接成功后，直到时限（`gateway.limits.answer`）没有任何字节。经反向代理则在其时限到达时：nginx 504、Apache 502、HAProxy 504。",
    },
    snippets: &[snippets::MOORING_SUPERVISE],
    sources: &["RFC 6455 §4.2"],
};

pub(in crate::cause) const CLOSED_BEFORE_ANSWER: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: Some(Both {
        en: "Read the age of the end: within 1–5 ms a handler dropped it on purpose (UpgradeDestroyed), at 1.00–1.01 s it is Socket.IO (RawClientOnSocketIo), anything else is a process that died or a hop that cut.",
        zh: "请看断开时刻：1–5 毫秒内为处理器主动断开（UpgradeDestroyed），1.00–1.01 秒为 Socket.IO（RawClientOnSocketIo），其余多为进程退出或中间节点切断。",
    }),
    seen_as: Both {
        en: "FIN or RST after the request, with zero bytes of an answer: `socket hang up`, `ECONNRESET`.",
        zh: "请求发出后收到 FIN 或 RST，没有任何应答字节：`socket hang up`、`ECONNRESET`。",
    },
    snippets: &[],
    sources: &["RFC 6455 §4.2"],
};

pub(in crate::cause) const UPGRADE_NOT_PERFORMED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Send the same upgrade straight to the gateway: a 101 there means that a proxy stripped the headers (ProxyStrippedUpgrade), the same page means that the WebSocket server hangs on another server object.",
        zh: "请将同样的升级请求直接发往网关：若返回 101，说明是反向代理丢弃了升级头（ProxyStrippedUpgrade）；若仍是同样页面，说明 WebSocket 服务挂在另一个 server 对象上。",
    }),
    seen_as: Both {
        en: "404 with the HTML `Cannot GET /path` and `X-Powered-By: Express`; or 200 with the page that a browser gets there.",
        zh: "404，HTML 内容为 `Cannot GET /path`，带 `X-Powered-By: Express`；或 200，内容与浏览器访问该路径时相同。",
    },
    snippets: &[snippets::NODE_ATTACH, snippets::NGINX_UPGRADE, snippets::APACHE_UPGRADE],
    sources: &["RFC 6455 §4.2.2", "https://github.com/websockets/ws/issues/2226"],
};

pub(in crate::cause) const UPGRADE_IGNORED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Ask a plain page on the same port: an answer there and none here proves it. Then find the `upgrade` or `wsClientError` listener that returns without doing anything.",
        zh: "请访问同一端口的普通页面：普通页面有应答而升级没有，即可确认。然后找出那个什么也不做就返回的 `upgrade` 或 `wsClientError` 监听器。",
    }),
    seen_as: Both {
        en: "The upgrade gets zero bytes and stays open until the client's limit, while `GET /` on the same port is answered. Proxies turn it into nginx 504, Apache 502, HAProxy 504 at their timeouts. TRSS-Yunzai parks upgrades like this while it boots (read in its source).",
        zh: "升级请求没有任何应答并一直挂到客户端超时，而同一端口的 `GET /` 正常。反向代理在各自超时后返回 nginx 504、Apache 502、HAProxy 504。TRSS-Yunzai 启动期间也会这样搁置升级请求（来自源码阅读）。",
    },
    snippets: &[snippets::NODE_ROUTE],
    sources: &["RFC 6455 §4.2", "https://github.com/websockets/ws/issues/2226"],
};

pub(in crate::cause) const UPGRADE_DESTROYED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Vary the path: another one that is served gives 101 on the same port.",
        zh: "请更换路径测试：同一端口上被服务的路径会返回 101。",
    }),
    seen_as: Both {
        en: "FIN within 1 to 5 ms of the request, no byte of an answer; nginx makes a 502 of it within a few ms.",
        zh: "请求后 1–5 毫秒内收到 FIN，没有任何应答字节；nginx 会在数毫秒内转为 502。",
    },
    snippets: &[snippets::NODE_ROUTE],
    sources: &["RFC 6455 §4.2.2"],
};

pub(in crate::cause) const TWO_WEB_SOCKET_SERVERS: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Search the program for `new WebSocketServer({ server` : there is more than one on the same server.",
        zh: "请在程序中搜索 `new WebSocketServer({ server`：同一个 server 上不止一个。",
    }),
    seen_as: Both {
        en: "On the path of the one created first: 101, then within about 10 ms the text of an HTTP 400 where a frame should be: `RSV1 must be clear`, 1006. On the path of the other: always 400 with the body `Bad Request`. The first four bytes after the 101 are `HTTP`.",
        zh: "先创建者的路径：101 之后约 10 毫秒内，本应是帧的位置出现 HTTP 400 文本：客户端报 `RSV1 must be clear`，1006。另一者的路径：始终 400，内容为 `Bad Request`。101 之后的前四个字节是 `HTTP`。",
    },
    snippets: &[snippets::NODE_ROUTE],
    sources: &["RFC 6455 §5.2"],
};

pub(in crate::cause) const WRONG_PATH: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Compare the path letter by letter with the gateway's start-up lines or documentation, without query string and trailing slash first.",
        zh: "请将路径与网关启动日志或文档逐字对照，并先去掉查询串与末尾斜杠再试。",
    }),
    seen_as: Both {
        en: "`ws` with a `path` option: 400, HTML, body `Bad Request` (11 bytes). TRSS-Yunzai since 2024-12-25: bare `HTTP/1.1 404 Not Found` without headers or body, for a wrong path, wrong case, or any query string. aiocqhttp: 404. NoneBot2 and other uvicorn servers: 403 with an empty body.",
        zh: "设置了 `path` 选项的 `ws`：400，HTML，内容 `Bad Request`（11 字节）。2024-12-25 之后的 TRSS-Yunzai：路径、大小写不符或带有任何查询串时，返回没有头和内容的 `HTTP/1.1 404 Not Found`。aiocqhttp：404。NoneBot2 等 uvicorn 服务器：403，内容为空。",
    },
    snippets: &[snippets::LAGRANGE_YUNZAI, snippets::LAGRANGE_NONEBOT],
    sources: &["RFC 6455 §4.2.2", "https://github.com/LagrangeDev/Lagrange.Core/issues/286"],
};

pub(in crate::cause) const REDIRECTED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Read `Location` in the evidence. To the login page of a website it means that the path belongs to the website, not to the gateway.",
        zh: "请查看证据中的 `Location`。若指向某网站登录页，说明该路径属于网站而非网关。",
    }),
    seen_as: Both {
        en: "301, 302, 307 or 308 in answer to the upgrade, mostly from `http` to `https`; browsers and most clients do not follow it.",
        zh: "升级请求得到 301、302、307 或 308，多为从 `http` 跳转到 `https`；浏览器和大多数客户端不会跟随。",
    },
    snippets: &[],
    sources: &["RFC 6455 §4.1"],
};

pub(in crate::cause) const WRONG_PROTOCOL: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look at the first bytes in the evidence: they name what listens there (`SSH-`, `RESP`, an HTTP page, TLS).",
        zh: "请查看证据中的前几个字节：可看出该端口上是什么服务（`SSH-`、`RESP`、HTTP 页面、TLS）。",
    }),
    seen_as: Both {
        en: "A 101 without `Upgrade: websocket`, without `Connection: Upgrade` or with a wrong `Sec-WebSocket-Accept`; or an answer that is no HTTP.",
        zh: "101 缺少 `Upgrade: websocket` 或 `Connection: Upgrade`，或 `Sec-WebSocket-Accept` 不正确；或应答根本不是 HTTP。",
    },
    snippets: &[],
    sources: &["RFC 6455 §4.1", "RFC 6455 §4.2.2"],
};

pub(in crate::cause) const SUBPROTOCOL_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Ask the gateway's makers, or its log, which subprotocols it offers; spelling and case count.",
        zh: "请向网关的文档或日志确认其支持的子协议；拼写与大小写都有影响。",
    }),
    seen_as: Both {
        en: "101 without `Sec-WebSocket-Protocol` where one is demanded (clients: `Server sent no subprotocol`, then 1006), or with one that was not asked for.",
        zh: "要求子协议而 101 中没有 `Sec-WebSocket-Protocol`（客户端报 `Server sent no subprotocol`，随后 1006），或返回了未请求的子协议。",
    },
    snippets: &[snippets::MOORING_SUBPROTOCOL],
    sources: &["RFC 6455 §4.1", "RFC 6455 §11.3.4"],
};

pub(in crate::cause) const MALFORMED_HANDSHAKE: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Send a well-formed upgrade straight to the gateway (`mooring doctor`): a 101 there leaves only the hops between.",
        zh: "请直接向网关发送规范的升级请求（`mooring doctor`）：若返回 101，问题就在中间环节。",
    }),
    seen_as: Both {
        en: "From `ws`: 400 with `Missing or invalid Sec-WebSocket-Key header` (43 bytes); 400 with 47 bytes about the version and `Sec-WebSocket-Version: 13, 8`; 400 with `Invalid Upgrade header` (22 bytes); 405 with 19 bytes for another method than GET.",
        zh: "来自 `ws`：400 `Missing or invalid Sec-WebSocket-Key header`（43 字节）；400，关于版本的 47 字节内容，并带 `Sec-WebSocket-Version: 13, 8`；400 `Invalid Upgrade header`（22 字节）；非 GET 方法为 405，19 字节。",
    },
    snippets: &[snippets::NGINX_UPGRADE],
    sources: &["RFC 6455 §4.1", "RFC 6455 §4.2.1"],
};

pub(in crate::cause) const HANDSHAKE_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Find the status and the body's words in the gateway's own source or log; the server of the answer is not always the outermost one.",
        zh: "请在网关源码或日志中查找该状态码与内容；给出应答的不一定是最外层的服务器。",
    }),
    seen_as: Both {
        en: "A 4xx that none of the narrower signatures explains, such as 400 JSON codes of Engine.IO (2 `Bad handshake method`).",
        zh: "无法用更具体特征解释的 4xx，例如 Engine.IO 的 400 JSON（2 `Bad handshake method`）。",
    },
    snippets: &[],
    sources: &["RFC 6455 §4.2.2", "RFC 9110 §15.5"],
};

pub(in crate::cause) const SERVER_ERROR: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Find the error in the gateway's log at the time of the evidence; a page that fails the same way at every start is not mended by restarts.",
        zh: "请按证据中的时间在网关日志中查找错误；若每次启动后都同样失败，重启没有用。",
    }),
    seen_as: Both {
        en: "500 or another 5xx from the gateway itself, for plain pages as well as for upgrades.",
        zh: "网关自身返回 500 或其他 5xx，普通页面与升级请求都如此。",
    },
    snippets: &[],
    sources: &["RFC 9110 §15.6"],
};

pub(in crate::cause) const HANDLER_FAILED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Reproduce it with one upgrade straight at the backend while its log is open. `GET /health` or another page that works shows that the process itself is well.",
        zh: "请打开后端日志，直接向其发送一次升级请求复现。若 `GET /health` 等页面正常，说明进程本身没有问题。",
    }),
    seen_as: Both {
        en: "500 with the body `Internal Server Error` (21 bytes) on the upgrade, while other pages answer 200. Seen on a FastAPI twin of Bisheng 2.6.0, whose handler of HTTP exceptions reads `.method` of a WebSocket. A 401 or 403 with a JSON body comes from the dependency that authenticates instead.",
        zh: "升级请求返回 500，内容为 `Internal Server Error`（21 字节），而其他页面返回 200。在毕昇 2.6.0 的 FastAPI 仿真环境中复现：其 HTTP 异常处理器读取了 WebSocket 的 `.method`。若是带 JSON 内容的 401 或 403，则来自鉴权依赖。",
    },
    snippets: &[],
    sources: &["https://github.com/dataelement/bisheng/issues/1258"],
};

pub(in crate::cause) const NO_FIRST_FRAME: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: Some(Both {
        en: "Check by hand whether the gateway speaks first at all, before or only after a login message.",
        zh: "请手工确认网关是否会主动先发消息，还是要在收到登录消息之后才发。",
    }),
    seen_as: Both {
        en: "101, then nothing within `expect.first_frame`, or a first frame that breaks RFC 6455.",
        zh: "101 之后在 `expect.first_frame` 时限内没有任何帧，或首帧不符合 RFC 6455。",
    },
    snippets: &[snippets::MOORING_FIRST_FRAME],
    sources: &["RFC 6455 §5.2"],
};
