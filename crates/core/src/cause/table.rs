//! The table of causes. Codes are for ever; names are API. Order is free, codes need not be contiguous:
//! 1–19 knowledge, 20–59 handshake, 60–89 established sessions, 90–109 process.

use super::{Handling, Row, Words};

macro_rules! causes {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal, $handling:ident,
        $en_sum:literal, $en_rem:literal, $zh_sum:literal, $zh_rem:literal; )*) => {
        /// Why a condition is not True.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause { $( $(#[$doc])* $variant, )* }

        pub(crate) const ROWS: &[Row] = &[ $( Row {
            cause: Cause::$variant,
            code: $code,
            name: stringify!($variant),
            handling: Handling::$handling,
            en: Words { summary: $en_sum, remedy: $en_rem },
            zh: Words { summary: $zh_sum, remedy: $zh_rem },
        }, )* ];
    };
}

causes! {
    /// Nobody has looked yet.
    NotYetObserved = 1, Wait,
    "Nothing has been observed yet.",
    "Wait for the first observation; it follows within seconds of the agent's start.",
    "尚未观测到任何结果。",
    "请等待首次观测，通常在代理启动后数秒内完成。";
    /// This kind of gateway does not tell.
    NotObservable = 2, Wait,
    "This kind of gateway gives no answer to this question.",
    "Nothing to do; the condition stays Unknown.",
    "此类网关不提供该项信息。",
    "无需处理，该条件保持未知。";
    /// The agent has not been heard of within its grace.
    AgentSilent = 3, Wait,
    "The agent has not been heard of; what it last said may no longer hold.",
    "Look at the agent and at the network between it and the controller. Silence alone never restarts a gateway.",
    "控制器收不到该代理的消息，其最后上报的状态可能已失效。",
    "请检查代理进程及其与控制器之间的网络。仅凭沉默绝不会重启网关。";
    /// The observer itself was stopped or starved.
    ObserverStalled = 4, Wait,
    "The agent itself was held up, so the silence it saw proves nothing.",
    "Check the agent host's CPU and memory pressure; judgement resumes by itself.",
    "代理自身被挂起或资源不足，其观察到的静默不能作为判断依据。",
    "请检查代理主机的 CPU 与内存压力，判断会自动恢复。";
    /// The gateway was taken out of the configuration.
    WatchStopped = 5, Wait,
    "The gateway is no longer in the agent's configuration.",
    "Put it back into the configuration, or delete it from the fleet.",
    "该网关已不在代理的配置中。",
    "请将其重新加入配置，或从集群中删除。";
    /// Something the agent reported that this controller does not know by name.
    Unrecognised = 6, Wait,
    "The agent reported a cause that this controller is too old to know.",
    "Upgrade the controller to the agent's version or newer.",
    "代理上报了当前控制器版本无法识别的原因。",
    "请将控制器升级到不低于代理的版本。";

    /// Name resolution failed.
    NameNotResolved = 20, Wait,
    "The gateway's host name cannot be resolved.",
    "Correct the host in the gateway's url, or mend DNS on the agent's host.",
    "无法解析网关的主机名。",
    "请更正网关 url 中的主机名，或修复代理主机上的 DNS。";
    /// An order is being carried out on it.
    UnderRepair = 7, Wait,
    "An order is being carried out; what is seen meanwhile is not a new fault.",
    "Wait for the order to end; the condition is judged anew from then on.",
    "正在执行操作，期间观察到的现象不视为新的故障。",
    "请等待操作结束，之后将重新判断。";

    /// TCP refused.
    ConnectionRefused = 21, Restart,
    "Nothing listens on the gateway's port: the connection is refused.",
    "The process is down or bound to another address. It is restarted where Mooring can; otherwise start it and check its listen address.",
    "网关端口上没有进程监听，连接被拒绝。",
    "进程已退出或监听在其他地址。若已配置，Mooring 会重启它；否则请启动进程并检查其监听地址。";
    /// TCP connect timed out.
    ConnectTimedOut = 22, Wait,
    "The connection attempt gets no answer: a firewall drops it, or the host is gone.",
    "Check that the host is up and that no firewall drops the port. Restarting the gateway would not help.",
    "连接请求没有任何应答：可能被防火墙丢弃，或主机已不可达。",
    "请确认主机在线且端口未被防火墙拦截。重启网关无济于事。";
    /// No route, network unreachable.
    NetworkUnreachable = 23, Wait,
    "There is no network route to the gateway.",
    "Check routing and addresses on the agent's host.",
    "没有到达网关的网络路由。",
    "请检查代理主机的路由与地址配置。";
    /// Certificate not trusted, expired, not yet valid, or for another name.
    CertificateInvalid = 24, Human,
    "The gateway's TLS certificate is not valid: expired, not trusted, or made for another name.",
    "Renew or replace the certificate, or give the agent the right CA and server name. Retrying cannot help.",
    "网关的 TLS 证书无效：已过期、不受信任或与主机名不符。",
    "请更新或更换证书，或为代理配置正确的 CA 与服务器名称。重试没有用处。";
    /// TLS failed otherwise.
    TlsFailed = 25, Human,
    "The TLS handshake fails: this is often `wss://` spoken to a plain port, or no common protocol version.",
    "Check the scheme (ws or wss) and port in the gateway's url, and the TLS versions it offers.",
    "TLS 握手失败：常见原因是用 wss:// 访问了明文端口，或没有共同的协议版本。",
    "请检查网关 url 的协议（ws 或 wss）和端口，以及其支持的 TLS 版本。";
    /// Accepts TCP, answers nothing.
    HandshakeTimedOut = 26, Restart,
    "The gateway accepts the connection but never answers the handshake: the process is hung, or ignores upgrades on this path.",
    "It is restarted where Mooring can. If it happens again at once, look for a blocked event loop or an upgrade handler that ignores this path.",
    "网关接受了连接，但始终不应答握手：进程已挂起，或忽略了该路径上的升级请求。",
    "若已配置，Mooring 会重启它。若反复出现，请检查事件循环是否阻塞，或升级处理器是否忽略了该路径。";
    /// Connection ended before an HTTP answer.
    ClosedBeforeAnswer = 27, Reconnect,
    "The gateway closes the connection without any HTTP answer.",
    "The upgrade handler destroyed the socket (often: wrong path), or the process died meanwhile. A close after almost exactly one second is Socket.IO refusing a raw WebSocket client.",
    "网关未返回任何 HTTP 应答就关闭了连接。",
    "升级处理器主动销毁了套接字（常见于路径错误），或进程在此期间退出。若恰好约一秒后断开，说明是 Socket.IO 拒绝了原始 WebSocket 客户端。";
    /// Answers HTTP, but not upgrades.
    UpgradeNotPerformed = 28, Human,
    "The gateway answers plain HTTP where a WebSocket upgrade was asked: the WebSocket server is not attached to the HTTP server that listens, or the path is an ordinary page.",
    "Attach the WebSocket server to the very server object that listens (server.listen, not app.listen), and check the path. Restarting or retrying cannot help.",
    "请求 WebSocket 升级时，网关只返回了普通 HTTP 应答：WebSocket 服务未挂载到正在监听的 HTTP 服务器，或该路径只是普通页面。",
    "请将 WebSocket 服务挂载到真正监听的 server 对象（用 server.listen 而非 app.listen），并检查路径。重启或重试都没有用。";
    /// 426, or another sign that the upgrade headers were lost on the way.
    ProxyStrippedUpgrade = 29, Human,
    "A proxy on the way does not pass the upgrade: the gateway received a plain GET.",
    "Let the proxy pass it: HTTP/1.1 to the backend and the `Upgrade` and `Connection` headers (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\").",
    "途中的代理没有转发升级请求，网关收到的只是普通 GET。",
    "请让代理转发升级：对后端使用 HTTP/1.1 并传递 Upgrade 与 Connection 头（nginx：proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"）。";
    /// 404 or 400 on the path.
    WrongPath = 30, Human,
    "The gateway does not know this path.",
    "Correct the path in the url: case, trailing slash and query string count. Retrying cannot help.",
    "网关不识别该路径。",
    "请更正 url 中的路径：大小写、末尾斜杠和查询串都有影响。重试没有用处。";
    /// 401 or 403.
    CredentialsRefused = 31, Human,
    "The gateway refuses the credentials, origin or headers of the handshake.",
    "Check the token, Origin and required headers configured under `expect.headers`. Retrying cannot help and may lock the account.",
    "网关拒绝了握手所用的凭据、来源或请求头。",
    "请检查 `expect.headers` 中的令牌、Origin 及必需的请求头。重试没有用处，还可能导致账号被锁。";
    /// 429.
    RateLimited = 32, Wait,
    "The gateway or a proxy says: too many requests.",
    "Slow down: fewer clients or longer intervals. Mooring waits and reconnects more slowly.",
    "网关或代理返回“请求过多”。",
    "请降低频率：减少客户端或延长间隔。Mooring 会等待并放慢重连。";
    /// 502 or 503 from a proxy.
    BackendDown = 33, Restart,
    "A proxy answers in the gateway's place: its backend is down or closes without answering (502/503).",
    "Look at the gateway behind the proxy; it is restarted where Mooring can. A 502 after almost exactly one second is Socket.IO refusing a raw client.",
    "代理代替网关作答：其后端已停止或未应答即关闭（502/503）。",
    "请检查代理后面的网关；若已配置，Mooring 会重启它。若 502 恰好在约一秒后出现，说明是 Socket.IO 拒绝了原始客户端。";
    /// 504 from a proxy.
    BackendHung = 34, Restart,
    "A proxy waited for the gateway and gave up (504): the gateway accepts but does not answer.",
    "The gateway behind the proxy is hung; it is restarted where Mooring can.",
    "代理等待网关超时（504）：网关接受连接但不应答。",
    "代理后面的网关已挂起；若已配置，Mooring 会重启它。";
    /// 5xx of the application.
    ServerError = 35, Restart,
    "The gateway answers the handshake with a server error (5xx).",
    "Read the gateway's log for the error behind it; it is restarted where Mooring can.",
    "网关以服务器错误（5xx）应答握手。",
    "请在网关日志中查找具体错误；若已配置，Mooring 会重启它。";
    /// 3xx.
    Redirected = 36, Human,
    "The gateway answers the upgrade with a redirect, which WebSocket clients do not follow.",
    "Put the redirect's target into the url: usually wss:// instead of ws://, or another path.",
    "网关以重定向应答升级请求，而 WebSocket 客户端不会跟随重定向。",
    "请将重定向的目标写入 url：通常是把 ws:// 改为 wss://，或更换路径。";
    /// Not WebSocket, or a broken one: no or bad Upgrade/Connection/Accept, not HTTP at all.
    WrongProtocol = 37, Human,
    "What answers does not speak the WebSocket protocol, or not correctly.",
    "Check that the url's port belongs to the WebSocket server and that no proxy rewrites the handshake.",
    "对端并未（正确地）使用 WebSocket 协议。",
    "请确认 url 的端口属于 WebSocket 服务，且没有代理改写握手。";
    /// The demanded subprotocol was not chosen.
    SubprotocolRefused = 38, Human,
    "The gateway does not accept the subprotocol that is asked for.",
    "Correct `expect.subprotocol`, or enable that subprotocol in the gateway.",
    "网关不接受所请求的子协议。",
    "请更正 `expect.subprotocol`，或在网关中启用该子协议。";
    /// The first frame did not come in time or was invalid.
    NoFirstFrame = 39, Reconnect,
    "The handshake succeeds, but the first frame that this gateway promises does not come.",
    "Reconnected first, restarted if that does not help. Check `expect.first_frame`.",
    "握手成功，但网关承诺的首帧没有到达。",
    "先重连，无效则重启。请检查 `expect.first_frame`。";
    /// Another client error.
    HandshakeRefused = 40, Human,
    "The gateway refuses the handshake with a client error (4xx).",
    "Read the status and body in the evidence; the request must be changed. Retrying cannot help.",
    "网关以客户端错误（4xx）拒绝握手。",
    "请查看证据中的状态码与响应体；需要修改请求，重试没有用处。";

    /// Ended without a Close frame.
    SessionLost = 60, Reconnect,
    "The session ended without a Close frame (what clients report as 1006).",
    "Reconnected. If it repeats at the same age or silence, a proxy's idle timeout cuts it; if all sessions end at once, the process died.",
    "会话在没有 Close 帧的情况下结束（客户端显示为 1006）。",
    "将自动重连。若总在相同时长或静默后断开，多为代理的空闲超时；若所有会话同时断开，则是进程退出。";
    /// A proper close by the peer, for no stated fault.
    ClosedByGateway = 61, Reconnect,
    "The gateway closed the session in good order.",
    "Reconnected. If it repeats, read the close code and reason in the evidence.",
    "网关正常关闭了会话。",
    "将自动重连。若反复出现，请查看证据中的关闭码与原因。";
    /// 1001 or 1012 or 1013.
    GatewayRestarting = 62, Reconnect,
    "The gateway says that it is going away or restarting (1001, 1012, 1013).",
    "Reconnected after a pause; nothing else to do unless it does not come back.",
    "网关表示正在离线或重启（1001、1012、1013）。",
    "稍后自动重连；除非迟迟不恢复，否则无需处理。";
    /// 1008 or an application code that says no.
    RefusedByPolicy = 63, Human,
    "The gateway accepted the session and then refused it by policy (1008).",
    "Read the reason in the evidence: token, origin or role. Retrying cannot help.",
    "网关接受会话后又以策略为由拒绝（1008）。",
    "请查看证据中的原因：令牌、来源或角色。重试没有用处。";
    /// 1009.
    MessageTooBig = 64, Human,
    "The session was closed because a message was too big (1009).",
    "Raise the limit on the side that closed, or send smaller messages.",
    "因消息过大，会话被关闭（1009）。",
    "请提高关闭方的上限，或发送更小的消息。";
    /// 1011 and its relatives.
    GatewayFailed = 65, Reconnect,
    "The gateway closed the session because of an internal error (1011).",
    "Reconnected, then restarted if it repeats. Read the gateway's log.",
    "网关因内部错误关闭了会话（1011）。",
    "先重连，反复出现则重启。请查看网关日志。";
    /// 1002, 1003, 1007 and everything that violates RFC 6455.
    ProtocolViolated = 66, Human,
    "One side broke the WebSocket protocol (1002, 1003, 1007 or an invalid frame).",
    "Often HTTP text written into the stream after the 101, or two WebSocket servers on one HTTP server. Mend the gateway; retrying cannot help.",
    "有一方违反了 WebSocket 协议（1002、1003、1007 或非法帧）。",
    "常见于 101 之后又写入 HTTP 文本，或同一 HTTP 服务器上挂了两个 WebSocket 服务。请修复网关，重试没有用处。";
    /// Accepted and dropped within milliseconds, again and again.
    DroppedAtOnce = 67, Human,
    "The gateway accepts the session and drops it at once, again and again: typical of a wrong path or role.",
    "Check path, case, query string and required headers against the gateway's configuration.",
    "网关接受会话后立即断开且反复如此：通常是路径或角色错误。",
    "请对照网关配置检查路径、大小写、查询串和必需的请求头。";
    /// Lifetimes or silences cluster at one value.
    IdleCut = 68, Human,
    "Sessions are cut after the same time of silence: a proxy's idle timeout.",
    "Raise that timeout (nginx proxy_read_timeout, Apache Timeout, HAProxy timeout tunnel) or send pings more often than it.",
    "会话总在相同的静默时长后被切断：这是代理的空闲超时。",
    "请调大该超时（nginx proxy_read_timeout、Apache Timeout、HAProxy timeout tunnel），或以更短间隔发送 ping。";
    /// The heartbeat did not come.
    HeartbeatMissed = 69, Reconnect,
    "The session is open but silent: pings are not answered in time.",
    "Reconnected first; if a new session is silent too, the gateway is hung and is restarted where Mooring can.",
    "会话仍然打开但毫无响应：ping 未按时得到应答。",
    "先重连；若新会话同样静默，说明网关已挂起，若已配置 Mooring 会重启它。";
    /// Up and down too often.
    Flapping = 70, Wait,
    "The instance goes up and down too often to be trusted.",
    "Look at the history for what alternates. Mooring slows its orders down until it is stable.",
    "该实例频繁上下线，状态不可信。",
    "请查看历史记录找出交替原因。在稳定之前 Mooring 会放慢操作。";
    /// The account's login was revoked.
    LoginRevoked = 71, Human,
    "The account behind the instance was logged out for good.",
    "Log in again by hand (QR code or credentials). Retrying cannot help and may lock the account.",
    "该实例背后的账号已被彻底登出。",
    "请人工重新登录（扫码或输入凭据）。重试没有用处，还可能导致账号被锁。";

    /// The peer no longer acknowledges what is sent.
    HalfOpen = 72, Reconnect,
    "The session looks open, but the other end is gone: what is sent is not acknowledged any more.",
    "The session is cut so that both ends notice and reconnect. If it happens to many at once, look at the network between them (NAT or firewall that forgot the connection).",
    "会话看似打开，但对端已不在：发送的数据不再得到确认。",
    "将切断该会话以促使两端重连。若大量会话同时如此，请检查中间网络（NAT 或防火墙丢失了连接状态）。";
    /// The peer acknowledges but does not read.
    PeerStalled = 73, Wait,
    "The other end is there but does not read: what is sent to it waits.",
    "Look at that client: it is overloaded or stuck. Closing its session makes it start anew; the gateway's own buffers for it grow until then.",
    "对端仍在，但不读取数据，待发数据不断积压。",
    "请检查该客户端：它可能过载或卡住。关闭其会话可让它重新开始；在此之前网关会为其积压缓冲。";
    /// The gateway does not read what arrived for it.
    GatewayStalled = 74, Restart,
    "The gateway does not read what its peers sent: the data waits in the kernel.",
    "Its event loop is blocked or the process is stopped; it is restarted where Mooring can.",
    "网关没有读取对端发来的数据，数据滞留在内核中。",
    "事件循环被阻塞或进程已停止；若已配置，Mooring 会重启它。";
    /// Silent for much longer than this session ever was.
    SilentBeyondHabit = 75, Reconnect,
    "The session has been silent for much longer than it ever was.",
    "Reconnected: one round trip tells whether it lives. If that is its way, give the gateway a `heartbeat.promise`, so that nothing has to be learnt.",
    "会话的静默时间远超其以往习惯。",
    "将重连以确认其是否存活。若属正常，请为网关配置 `heartbeat.promise`，无需再靠学习判断。";
    /// Many sessions ended in the same moment.
    MassReset = 76, Wait,
    "Many sessions ended in the same moment.",
    "The gateway's process or a proxy before it was restarted or died. Clients come back by themselves; look at what restarted, and at the pace of their return.",
    "大量会话在同一时刻断开。",
    "网关进程或其前端代理被重启或崩溃。客户端会自行重连；请检查是什么发生了重启，以及重连的速度。";
    /// A gateway that dials out holds no connection.
    NoUpstreamLink = 77, Reconnect,
    "The gateway holds no connection to its upstream.",
    "Look at the gateway's log for why it does not connect; it is reconnected where Mooring can.",
    "网关与其上游之间没有任何连接。",
    "请在网关日志中查看无法连接的原因；若可能，Mooring 会令其重连。";
    /// The gateway says that the instance is not connected.
    ReportedClosed = 78, Reconnect,
    "The gateway itself reports that the instance's connection is closed.",
    "Reconnected where Mooring can. The code and words in the evidence are the gateway's own.",
    "网关自身报告该实例的连接已关闭。",
    "若可能，Mooring 会令其重连。证据中的代码与说明来自网关本身。";
    /// Another client took the session over.
    SessionReplaced = 79, Human,
    "Another client uses the same account: it replaced this session.",
    "Find the other holder and stop one of the two. Reconnecting would only throw the other out, and so on for ever.",
    "同一账号被另一客户端使用，本会话已被顶替。",
    "请找到另一处登录并停掉其中之一。重连只会互相顶替，没有尽头。";
    /// The account may not be used.
    AccountForbidden = 80, Human,
    "The chat network refuses this account.",
    "The account is restricted or banned: act on it by hand. Retrying makes it worse.",
    "聊天网络拒绝了该账号。",
    "账号被限制或封禁，需要人工处理。重试只会使情况恶化。";
    /// The client's version is refused.
    ClientOutdated = 81, Human,
    "The chat network refuses this version of the client.",
    "Upgrade the gateway's library. If many accounts fail in the same minute, the network dropped the version; restarts only feed the storm.",
    "聊天网络拒绝了该客户端版本。",
    "请升级网关所用的库。若大量账号在同一分钟失败，说明该版本已被停用；重启只会加剧风暴。";
    /// Waits for somebody to scan or to enter a code.
    PairingNeeded = 82, Human,
    "The instance waits for its login: a QR code or pairing code must be entered.",
    "Log in by hand. This is no outage: nothing is retried.",
    "该实例正在等待登录：需要扫码或输入配对码。",
    "请人工登录。这不是故障，不会重试。";
    /// The gateway has been connecting for too long.
    ConnectingStuck = 83, Reconnect,
    "The instance has been connecting for much longer than a connection takes: it hangs there and will not fail by itself.",
    "Its connection is ended so that the gateway's own retry runs.",
    "该实例处于连接中状态的时间过长：已卡住且不会自行报错。",
    "将结束该连接，促使网关自身的重试逻辑运行。";
    /// The peer closed its end, the gateway keeps its own.
    NotClosed = 85, Wait,
    "The other end has closed the connection, but the gateway keeps its end open.",
    "The gateway leaks connections: it does not close sockets whose peer has gone. A restart frees them; the cause is in its code.",
    "对端已关闭连接，但网关仍未关闭自己的一端。",
    "网关存在连接泄漏：对端离开后没有关闭套接字。重启可释放，但根因在其代码中。";
    /// A limit of the relay.
    RelayLimit = 84, Wait,
    "The relay turned sessions away because one of its limits is reached.",
    "Raise that limit under `[gateway.relay.limits]`, or find out who opens so many.",
    "中继因达到某项上限而拒绝了会话。",
    "请调高 `[gateway.relay.limits]` 中的相应上限，或查明连接过多的来源。";

    /// The process ended by itself.
    ProcessExited = 90, Restart,
    "The gateway's process ended.",
    "It is restarted. Read the exit code and the last lines of its output in the evidence.",
    "网关进程已退出。",
    "将重启该进程。请查看证据中的退出码与最后的输出。";
    /// The process was killed by a signal.
    ProcessKilled = 91, Restart,
    "The gateway's process was killed by a signal.",
    "It is restarted. Signal 9 without anybody's order is usually the kernel's out-of-memory killer.",
    "网关进程被信号终止。",
    "将重启该进程。若无人操作却出现信号 9，多为内核内存不足所致。";
    /// The process could not be started.
    ProcessNotStarted = 92, Human,
    "The gateway's process cannot be started.",
    "Check the command, its path, permissions and working folder in the agent's configuration.",
    "无法启动网关进程。",
    "请检查代理配置中的命令、路径、权限与工作目录。";

    /// A raw WebSocket client dials a Socket.IO server.
    RawClientOnSocketIo = 110, Human,
    "A raw WebSocket client dials a Socket.IO server.",
    "TODO-REMEDY: see the evidence.",
    "原始 WebSocket 客户端连接了 Socket.IO 服务器。",
    "TODO-REMEDY：请查看证据。";
    /// The Engine.IO path is dialled without `transport=websocket`.
    TransportMissing = 111, Human,
    "The Engine.IO path is dialled without `transport=websocket`.",
    "TODO-REMEDY: see the evidence.",
    "连接 Engine.IO 路径时缺少 `transport=websocket`。",
    "TODO-REMEDY：请查看证据。";
    /// The two ends speak different Engine.IO versions.
    EngineIoVersionMismatch = 112, Human,
    "The two ends speak different Engine.IO versions.",
    "TODO-REMEDY: see the evidence.",
    "两端的 Engine.IO 版本不一致。",
    "TODO-REMEDY：请查看证据。";
    /// The upgrade asks for the polling transport.
    EngineIoPollingUpgrade = 113, Human,
    "The upgrade asks for the polling transport.",
    "TODO-REMEDY: see the evidence.",
    "升级请求指定了 polling 传输。",
    "TODO-REMEDY：请查看证据。";
    /// A balancer without sticky sessions stands before Socket.IO.
    StickySessionsMissing = 114, Human,
    "A balancer without sticky sessions stands before Socket.IO.",
    "TODO-REMEDY: see the evidence.",
    "Socket.IO 前的负载均衡未启用会话保持。",
    "TODO-REMEDY：请查看证据。";
    /// The Socket.IO namespace does not exist (yet).
    NamespaceNotReady = 115, Wait,
    "The Socket.IO namespace does not exist (yet).",
    "TODO-REMEDY: see the evidence.",
    "Socket.IO 命名空间（尚）不存在。",
    "TODO-REMEDY：请查看证据。";
    /// Browsers are refused: the origin is not on the CORS list.
    CorsRefused = 116, Human,
    "Browsers are refused: the origin is not on the CORS list.",
    "TODO-REMEDY: see the evidence.",
    "浏览器被拒绝：来源不在 CORS 列表中。",
    "TODO-REMEDY：请查看证据。";
    /// The server takes the upgrade and never answers it, while plain pages are served.
    UpgradeIgnored = 118, Human,
    "The server takes the upgrade and never answers it, while plain pages are served.",
    "TODO-REMEDY: see the evidence.",
    "服务器收到升级请求却不应答，而普通页面正常。",
    "TODO-REMEDY：请查看证据。";
    /// The upgrade handler ends the connection on purpose.
    UpgradeDestroyed = 119, Human,
    "The upgrade handler ends the connection on purpose.",
    "TODO-REMEDY: see the evidence.",
    "升级处理器主动销毁了连接。",
    "TODO-REMEDY：请查看证据。";
    /// Two WebSocket servers on one HTTP server answer the same upgrade.
    TwoWebSocketServers = 120, Human,
    "Two WebSocket servers on one HTTP server answer the same upgrade.",
    "TODO-REMEDY: see the evidence.",
    "同一 HTTP 服务器上的两个 WebSocket 服务应答了同一次升级。",
    "TODO-REMEDY：请查看证据。";
    /// The proxy speaks HTTP/1.0 to the gateway, which cannot carry an upgrade.
    UpstreamHttp10 = 121, Human,
    "The proxy speaks HTTP/1.0 to the gateway, which cannot carry an upgrade.",
    "TODO-REMEDY: see the evidence.",
    "代理以 HTTP/1.0 访问网关，无法承载升级。",
    "TODO-REMEDY：请查看证据。";
    /// The proxy answers the upgrade with the front end's index page.
    SpaFallback = 122, Human,
    "The proxy answers the upgrade with the front end's index page.",
    "TODO-REMEDY: see the evidence.",
    "代理以前端首页应答了升级请求。",
    "TODO-REMEDY：请查看证据。";
    /// The gateway is not activated.
    LicenseRequired = 123, Human,
    "The gateway is not activated.",
    "TODO-REMEDY: see the evidence.",
    "网关尚未激活。",
    "TODO-REMEDY：请查看证据。";
    /// The application's own handler fails on the upgrade.
    HandlerFailed = 124, Human,
    "The application's own handler fails on the upgrade.",
    "TODO-REMEDY: see the evidence.",
    "应用自身的处理代码在升级时出错。",
    "TODO-REMEDY：请查看证据。";
    /// The certificate has expired.
    CertificateExpired = 125, Human,
    "The certificate has expired.",
    "TODO-REMEDY: see the evidence.",
    "证书已过期。",
    "TODO-REMEDY：请查看证据。";
    /// The certificate is not valid yet, or a clock is wrong.
    CertificateNotYetValid = 126, Human,
    "The certificate is not valid yet, or a clock is wrong.",
    "TODO-REMEDY: see the evidence.",
    "证书尚未生效，或时钟有误。",
    "TODO-REMEDY：请查看证据。";
    /// The certificate is made for another name.
    CertificateNameMismatch = 127, Human,
    "The certificate is made for another name.",
    "TODO-REMEDY: see the evidence.",
    "证书与主机名不符。",
    "TODO-REMEDY：请查看证据。";
    /// The certificate is signed by nobody who is trusted.
    CertificateNotTrusted = 128, Human,
    "The certificate is signed by nobody who is trusted.",
    "TODO-REMEDY: see the evidence.",
    "证书的签发者不受信任。",
    "TODO-REMEDY：请查看证据。";
    /// The two ends have no TLS version in common.
    TlsVersionRefused = 129, Human,
    "The two ends have no TLS version in common.",
    "TODO-REMEDY: see the evidence.",
    "两端没有共同的 TLS 版本。",
    "TODO-REMEDY：请查看证据。";
    /// The scheme and the port do not belong together (ws to a TLS port, or wss to a plain one).
    SchemeSwapped = 130, Human,
    "The scheme and the port do not belong together (ws to a TLS port, or wss to a plain one).",
    "TODO-REMEDY: see the evidence.",
    "协议与端口不匹配（用 ws 访问 TLS 端口，或用 wss 访问明文端口）。",
    "TODO-REMEDY：请查看证据。";
    /// A header that this protocol demands is missing or wrong.
    HeaderMissing = 131, Human,
    "A header that this protocol demands is missing or wrong.",
    "TODO-REMEDY: see the evidence.",
    "缺少该协议要求的请求头，或其值错误。",
    "TODO-REMEDY：请查看证据。";
    /// No token was sent.
    TokenMissing = 132, Human,
    "No token was sent.",
    "TODO-REMEDY: see the evidence.",
    "没有发送令牌。",
    "TODO-REMEDY：请查看证据。";
    /// The token is refused.
    TokenRefused = 133, Human,
    "The token is refused.",
    "TODO-REMEDY: see the evidence.",
    "令牌被拒绝。",
    "TODO-REMEDY：请查看证据。";
    /// The server still holds the old connection of the same id and refuses the new one until it expires.
    PeerLockedOut = 134, Wait,
    "The server still holds the old connection of the same id and refuses the new one until it expires.",
    "TODO-REMEDY: see the evidence.",
    "服务器仍占着同一 id 的旧连接，在其过期前拒绝新连接。",
    "TODO-REMEDY：请查看证据。";
    /// The upgrade request reaches the server damaged.
    MalformedHandshake = 136, Human,
    "The upgrade request reaches the server damaged.",
    "TODO-REMEDY: see the evidence.",
    "到达服务器的升级请求已损坏。",
    "TODO-REMEDY：请查看证据。";
    /// The proxy buffers what should flow.
    ProxyBuffering = 137, Human,
    "The proxy buffers what should flow.",
    "TODO-REMEDY: see the evidence.",
    "代理对本应实时传输的数据进行了缓冲。",
    "TODO-REMEDY：请查看证据。";
    /// The server closed because its pings were not answered (1011).
    KeepaliveTimeout = 150, Reconnect,
    "The server closed because its pings were not answered (1011).",
    "TODO-REMEDY: see the evidence.",
    "服务器因 ping 未得到应答而关闭（1011）。",
    "TODO-REMEDY：请查看证据。";
    /// The client does not answer Engine.IO's pings.
    EngineIoPingUnanswered = 151, Human,
    "The client does not answer Engine.IO's pings.",
    "TODO-REMEDY: see the evidence.",
    "客户端没有应答 Engine.IO 的 ping。",
    "TODO-REMEDY：请查看证据。";
    /// The client never sent the namespace CONNECT.
    NamespaceConnectMissing = 152, Human,
    "The client never sent the namespace CONNECT.",
    "TODO-REMEDY: see the evidence.",
    "客户端从未发送命名空间 CONNECT。",
    "TODO-REMEDY：请查看证据。";
    /// The client sends what is not Engine.IO.
    ForeignPayload = 153, Human,
    "The client sends what is not Engine.IO.",
    "TODO-REMEDY: see the evidence.",
    "客户端发送了非 Engine.IO 的内容。",
    "TODO-REMEDY：请查看证据。";
    /// The timers on the path contradict each other.
    TimersMisfit = 155, Human,
    "The timers on the path contradict each other.",
    "TODO-REMEDY: see the evidence.",
    "路径上的各个计时器互相矛盾。",
    "TODO-REMEDY：请查看证据。";
    /// The gateway logs in again and again without a pause.
    ReconnectStorm = 170, Human,
    "The gateway logs in again and again without a pause.",
    "TODO-REMEDY: see the evidence.",
    "网关不停地重复登录，毫无间隔。",
    "TODO-REMEDY：请查看证据。";
    /// The instance is in the database, but not in the running process.
    InstanceNotLoaded = 171, Restart,
    "The instance is in the database, but not in the running process.",
    "TODO-REMEDY: see the evidence.",
    "实例存在于数据库中，但未加载到运行中的进程。",
    "TODO-REMEDY：请查看证据。";
    /// The account behind the bot is offline, whatever the heartbeat says.
    AccountOffline = 172, Human,
    "The account behind the bot is offline, whatever the heartbeat says.",
    "TODO-REMEDY: see the evidence.",
    "机器人背后的账号已离线，无论心跳怎么说。",
    "TODO-REMEDY：请查看证据。";
    /// The chat network refuses this client version for many accounts at once.
    UpstreamDeprecated = 173, Human,
    "The chat network refuses this client version for many accounts at once.",
    "TODO-REMEDY: see the evidence.",
    "聊天网络同时拒绝了大量账号的该客户端版本。",
    "TODO-REMEDY：请查看证据。";
    /// Two clients throw each other out again and again.
    TakeoverWar = 174, Human,
    "Two clients throw each other out again and again.",
    "TODO-REMEDY: see the evidence.",
    "两个客户端不断互相顶替。",
    "TODO-REMEDY：请查看证据。";
    /// The stored session is refused again and again.
    BadSession = 175, Human,
    "The stored session is refused again and again.",
    "TODO-REMEDY: see the evidence.",
    "所保存的会话反复被拒绝。",
    "TODO-REMEDY：请查看证据。";
    /// The connection restarts on purpose, as it does after pairing.
    RestartExpected = 176, Wait,
    "The connection restarts on purpose, as it does after pairing.",
    "TODO-REMEDY: see the evidence.",
    "连接按预期重启，配对后即如此。",
    "TODO-REMEDY：请查看证据。";
    /// The chat network says that its service is unavailable.
    ServiceUnavailable = 177, Reconnect,
    "The chat network says that its service is unavailable.",
    "TODO-REMEDY: see the evidence.",
    "聊天网络表示其服务不可用。",
    "TODO-REMEDY：请查看证据。";
    /// Events flow, but API calls are not answered.
    ApiUnresponsive = 180, Reconnect,
    "Events flow, but API calls are not answered.",
    "TODO-REMEDY: see the evidence.",
    "事件正常，但 API 调用没有应答。",
    "TODO-REMEDY：请查看证据。";
    /// The gateway's own health check says no.
    BackendUnhealthy = 182, Restart,
    "The gateway's own health check says no.",
    "TODO-REMEDY: see the evidence.",
    "网关自身的健康检查未通过。",
    "TODO-REMEDY：请查看证据。";
    /// The other end has not dialled in.
    PeerAbsent = 184, Wait,
    "The other end has not dialled in.",
    "TODO-REMEDY: see the evidence.",
    "对端尚未连接进来。",
    "TODO-REMEDY：请查看证据。";
}
