//! Words: the opening handshake, as the gateway itself answers it or fails to.

use super::{Both, Words, texts};

pub(in crate::cause) const HANDSHAKE_TIMED_OUT: Both<Words> = texts(
    "The gateway accepts the connection but never answers the handshake: the process is hung, or ignores upgrades on this path.",
    "It is restarted where Mooring can. If it happens again at once, look for a blocked event loop or an upgrade handler that ignores this path.",
    "网关接受了连接，但始终不应答握手：进程已挂起，或忽略了该路径上的升级请求。",
    "若已配置，Mooring 会重启它。若反复出现，请检查事件循环是否阻塞，或升级处理器是否忽略了该路径。",
);

pub(in crate::cause) const CLOSED_BEFORE_ANSWER: Both<Words> = texts(
    "The gateway closes the connection without any HTTP answer.",
    "The upgrade handler destroyed the socket (often: wrong path), or the process died meanwhile. A close after almost exactly one second is Socket.IO refusing a raw WebSocket client.",
    "网关未返回任何 HTTP 应答就关闭了连接。",
    "升级处理器主动销毁了套接字（常见于路径错误），或进程在此期间退出。若恰好约一秒后断开，说明是 Socket.IO 拒绝了原始 WebSocket 客户端。",
);

pub(in crate::cause) const UPGRADE_NOT_PERFORMED: Both<Words> = texts(
    "The gateway answers plain HTTP where a WebSocket upgrade was asked: the WebSocket server is not attached to the HTTP server that listens, or the path is an ordinary page.",
    "Attach the WebSocket server to the very server object that listens (server.listen, not app.listen), and check the path. Restarting or retrying cannot help.",
    "请求 WebSocket 升级时，网关只返回了普通 HTTP 应答：WebSocket 服务未挂载到正在监听的 HTTP 服务器，或该路径只是普通页面。",
    "请将 WebSocket 服务挂载到真正监听的 server 对象（用 server.listen 而非 app.listen），并检查路径。重启或重试都没有用。",
);

pub(in crate::cause) const UPGRADE_IGNORED: Both<Words> = texts(
    "The server takes the upgrade and never answers it, while plain pages on the same port are served.",
    "Let the upgrade handler answer or end every upgrade, those of foreign paths too; a `wsClientError` listener must end its socket itself. A program that is still booting shows the same: then wait for it.",
    "服务器收到升级请求后始终不应答，而同一端口上的普通页面正常。",
    "请让升级处理器应答或结束每一个升级请求（包括无关路径的）；自定义的 `wsClientError` 监听器必须自行结束套接字。程序仍在启动时也会如此，等待其就绪即可。",
);

pub(in crate::cause) const UPGRADE_DESTROYED: Both<Words> = texts(
    "The upgrade handler ends the connection on purpose, without a word: it does not serve this path.",
    "Compare the url's path with those the handler routes; case and a trailing slash count. Let the handler write `HTTP/1.1 404 Not Found` before it ends the socket, so that the next one sees why.",
    "升级处理器不作任何应答就主动断开连接：它不服务该路径。",
    "请核对 url 的路径与处理器所路由的路径，大小写和末尾斜杠都有影响。建议处理器在断开前先写出 `HTTP/1.1 404 Not Found`，便于排查。",
);

pub(in crate::cause) const TWO_WEB_SOCKET_SERVERS: Both<Words> = texts(
    "Two WebSocket servers on one HTTP server answer the same upgrade: one opens the session, the other writes a 400 into it.",
    "Create both with `noServer: true` and route in one `upgrade` listener by path. Restarting or retrying cannot help.",
    "同一 HTTP 服务器上的两个 WebSocket 服务应答了同一次升级：一个建立会话，另一个又往其中写入了 400。",
    "请以 `noServer: true` 创建两者，并在同一个 `upgrade` 监听器中按路径分发。重启或重试都没有用。",
);

pub(in crate::cause) const WRONG_PATH: Both<Words> = texts(
    "The gateway does not know this path.",
    "Correct the path in the url: case, trailing slash and query string count. Retrying cannot help.",
    "网关不识别该路径。",
    "请更正 url 中的路径：大小写、末尾斜杠和查询串都有影响。重试没有用处。",
);

pub(in crate::cause) const REDIRECTED: Both<Words> = texts(
    "The gateway answers the upgrade with a redirect, which WebSocket clients do not follow.",
    "Put the redirect's target into the url: usually wss:// instead of ws://, or another path.",
    "网关以重定向应答升级请求，而 WebSocket 客户端不会跟随重定向。",
    "请将重定向的目标写入 url：通常是把 ws:// 改为 wss://，或更换路径。",
);

pub(in crate::cause) const WRONG_PROTOCOL: Both<Words> = texts(
    "What answers does not speak the WebSocket protocol, or not correctly.",
    "Check that the url's port belongs to the WebSocket server and that no proxy rewrites the handshake.",
    "对端并未（正确地）使用 WebSocket 协议。",
    "请确认 url 的端口属于 WebSocket 服务，且没有反向代理改写握手。",
);

pub(in crate::cause) const SUBPROTOCOL_REFUSED: Both<Words> = texts(
    "The gateway does not accept the subprotocol that is asked for.",
    "Correct `expect.subprotocol`, or enable that subprotocol in the gateway.",
    "网关不接受所请求的子协议。",
    "请更正 `expect.subprotocol`，或在网关中启用该子协议。",
);

pub(in crate::cause) const MALFORMED_HANDSHAKE: Both<Words> = texts(
    "The upgrade request reaches the server damaged: its method, key, version or `Upgrade` header is not what RFC 6455 demands.",
    "Find what rewrites it: a proxy that sets `Upgrade` or `Sec-WebSocket-*` by hand, a cache, or a client that writes its own handshake. Pass these headers unchanged.",
    "到达服务器的升级请求已损坏：方法、key、版本或 `Upgrade` 头不符合 RFC 6455。",
    "请找出改写它的环节：手工设置 `Upgrade` 或 `Sec-WebSocket-*` 的反向代理、缓存，或自行拼装握手的客户端。这些头必须原样传递。",
);

pub(in crate::cause) const HANDSHAKE_REFUSED: Both<Words> = texts(
    "The gateway refuses the handshake with a client error (4xx).",
    "Read the status and body in the evidence; the request must be changed. Retrying cannot help.",
    "网关以客户端错误（4xx）拒绝握手。",
    "请查看证据中的状态码与响应体；需要修改请求，重试没有用处。",
);

pub(in crate::cause) const SERVER_ERROR: Both<Words> = texts(
    "The gateway answers the handshake with a server error (5xx).",
    "Read the gateway's log for the error behind it; it is restarted where Mooring can.",
    "网关以服务器错误（5xx）应答握手。",
    "请在网关日志中查找具体错误；若已配置，Mooring 会重启它。",
);

pub(in crate::cause) const HANDLER_FAILED: Both<Words> = texts(
    "The application's own code fails on the upgrade, before it accepts the session (500).",
    "Read the traceback in the application's log and mend the code; typical is code that takes a WebSocket for a request, such as an exception handler that reads `.method`. A restart brings the same error back.",
    "应用自身的代码在接受会话之前就因升级请求出错（500）。",
    "请查看应用日志中的堆栈并修复代码；常见情况是把 WebSocket 当作普通请求处理，例如异常处理器读取了 `.method`。重启后仍会出现同样的错误。",
);

pub(in crate::cause) const NO_FIRST_FRAME: Both<Words> = texts(
    "The handshake succeeds, but the first frame that this gateway promises does not come.",
    "Reconnected first, restarted if that does not help. Check `expect.first_frame`.",
    "握手成功，但网关承诺的首帧没有到达。",
    "先重连，无效则重启。请检查 `expect.first_frame`。",
);
