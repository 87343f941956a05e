//! Signs: what one finding looks like, told apart by a table of patterns. The first row that fits wins, so the particular
//! stands before the general. A sign is not a cause: the same bare 403 stands for five faults, and which it is depends
//! on what else was found ([`super::rules`]).

use super::finding::{Finding, Probe, Saw, Say};
use crate::cause::Cause;
use crate::handshake::Step;

/// A property of what was seen. Times are in milliseconds, bounds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// This step failed.
    Failed(Step),
    /// The dialler called it so.
    By(Cause),
    /// The handshake went through.
    Established,
    /// And the session was still well when we closed it.
    Stayed,
    Status(u16),
    StatusFrom(u16, u16),
    /// The whole body, but for white space around it.
    Body(&'static str),
    BodyHas(&'static str),
    /// Without its white space, it begins so.
    BodyBegins(&'static str),
    NoBody,
    NoHeaders,
    /// This header's value holds that (lower case).
    Header(&'static str, &'static str),
    NoHeader(&'static str),
    Took(u64, u64),
    /// Ended by a Close frame with this code (1005: a frame without one).
    Code(u16),
    CodeFrom(u16, u16),
    /// Ended without a Close frame.
    NoCode,
    Age(u64, u64),
    /// Nothing was heard for so long at the end.
    Silent(u64, u64),
    /// The close reason holds that (lower case).
    Reason(&'static str),
    HttpAfter101,
    EngineSpeaks,
    EngineCode(u8),
    Connected,
    NamespaceError(&'static str),
    NamespaceRefused,
    CorsAllowed(bool),
    Strangers(bool),
    SentPong(bool),
    SentConnect(bool),
    SentText(bool),
    Others,
    Unanswered,
    CallsUnanswered,
    /// The dialler's words hold that (lower case).
    Says(&'static str),
}

/// Which probes a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Upgrade,
    Get,
    Polling,
    Sticky,
    Cors,
    Namespace,
    Link,
}

impl On {
    fn fits(self, probe: Probe) -> bool {
        match self {
            Self::Upgrade => probe.is_upgrade(),
            Self::Get => probe == Probe::Root,
            Self::Polling => probe == Probe::Polling,
            Self::Sticky => probe == Probe::Sticky,
            Self::Cors => probe == Probe::Cors,
            Self::Namespace => probe == Probe::Namespace,
            Self::Link => matches!(probe, Probe::HoldSilent | Probe::HoldPinging | Probe::Told),
        }
    }
}

struct Row {
    sign: Sign,
    on: On,
    is: &'static [Is],
}

macro_rules! signs {
    ($( $sign:ident $( $on:ident [$($is:expr),*] )+ , $en:literal, $zh:literal; )*) => {
        /// What a finding looks like.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Sign { $( #[doc = $en] $sign, )* }

        impl Sign {
            /// Every sign.
            pub const ALL: &'static [Sign] = &[ $( Sign::$sign, )* ];

            /// Stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$sign => stringify!($sign), )* }
            }

            /// What it looks like, in words.
            #[must_use]
            pub fn words(self) -> Say {
                match self { $( Self::$sign => Say { en: $en, zh: $zh }, )* }
            }
        }

        const ROWS: &[Row] = { use Is::*; &[ $( $( Row { sign: Sign::$sign, on: On::$on, is: &[$($is),*] }, )+ )* ] };
    };
}

signs! {
    // Below HTTP.
    NameUnknown Upgrade [Failed(Step::Resolve)] Get [Failed(Step::Resolve)] Polling [Failed(Step::Resolve)],
        "the name cannot be resolved", "域名无法解析";
    Refused Upgrade [By(Cause::ConnectionRefused)] Get [By(Cause::ConnectionRefused)] Polling [By(Cause::ConnectionRefused)],
        "nothing listens: TCP is refused", "无进程监听：TCP 被拒绝";
    ConnectSilent Upgrade [By(Cause::ConnectTimedOut)] Get [By(Cause::ConnectTimedOut)],
        "TCP gets no answer", "TCP 没有应答";
    NoRoute Upgrade [By(Cause::NetworkUnreachable)] Get [By(Cause::NetworkUnreachable)],
        "there is no route", "没有路由";
    OurFault Upgrade [By(Cause::ObserverStalled)] Get [By(Cause::ObserverStalled)],
        "this machine is short of something", "本机资源不足";
    CertExpired Upgrade [By(Cause::CertificateExpired)], "the certificate has expired", "证书已过期";
    CertEarly Upgrade [By(Cause::CertificateNotYetValid)], "the certificate is not valid yet", "证书尚未生效";
    CertOtherName Upgrade [By(Cause::CertificateNameMismatch)], "the certificate is for another name", "证书属于其他主机名";
    CertUntrusted Upgrade [By(Cause::CertificateNotTrusted)], "the certificate is not trusted", "证书不受信任";
    CertBad Upgrade [By(Cause::CertificateInvalid)], "the certificate is not valid", "证书无效";
    TlsVersion Upgrade [By(Cause::TlsVersionRefused)], "no TLS version in common", "没有共同的 TLS 版本";
    NotTls Upgrade [By(Cause::SchemeSwapped)] Get [By(Cause::SchemeSwapped)],
        "scheme and port do not belong together: one side speaks TLS, the other does not", "协议与端口不匹配：一方使用 TLS，另一方没有";
    TlsBroken Upgrade [By(Cause::TlsFailed)], "the TLS handshake fails", "TLS 握手失败";
    PlainToTls Upgrade [Status(400), BodyHas("HTTP request was sent to HTTPS port")] Upgrade [Status(400), BodyHas("speaking plain HTTP to an SSL-enabled server port")],
        "the port speaks TLS and was spoken to without", "端口使用 TLS，而请求是明文";

    // No HTTP answer.
    EmptyAfterGrace Upgrade [By(Cause::ClosedBeforeAnswer), Took(900, 1400)],
        "no byte of an answer, closed after about one second", "没有任何应答，约一秒后关闭";
    EmptyAtOnce Upgrade [By(Cause::ClosedBeforeAnswer), Took(0, 250)],
        "no byte of an answer, closed at once", "没有任何应答，立即关闭";
    EmptyLater Upgrade [By(Cause::ClosedBeforeAnswer)],
        "no byte of an answer, closed later", "没有任何应答，稍后关闭";
    Silent Upgrade [By(Cause::HandshakeTimedOut)],
        "connected, and no byte comes", "已连接，但没有任何数据";
    GetSilent Get [By(Cause::HandshakeTimedOut)] Get [By(Cause::ClosedBeforeAnswer)],
        "a plain GET gets no answer either", "普通 GET 也没有应答";
    NotHttp Upgrade [Failed(Step::Status), By(Cause::WrongProtocol)],
        "what answers is not HTTP", "应答不是 HTTP";

    // A 101 that is none.
    SubprotocolRefused Upgrade [Failed(Step::Subprotocol)] Upgrade [Status(400), BodyHas("subprotocol")], "the subprotocol asked for is not chosen", "未选择所请求的子协议";
    Bad101 Upgrade [Status(101), By(Cause::WrongProtocol)], "a 101 that is no proper upgrade", "不合规的 101 应答";

    // Plain answers to an upgrade, each with the words of the software that writes them.
    VersionDamaged Upgrade [StatusFrom(400, 499), Header("sec-websocket-version", "13")] Upgrade [Status(400), BodyHas("Sec-WebSocket-Version")],
        "the server asks for WebSocket version 13, which is what was sent: it arrived damaged", "服务器要求 WebSocket 版本 13，而发送的正是 13：请求在途中损坏";
    OtherVersion Upgrade [StatusFrom(400, 499), Header("sec-websocket-version", "")],
        "the server speaks another WebSocket version than 13", "服务器使用的 WebSocket 版本不是 13";
    UpgradeRequired Upgrade [Status(426)],
        "426 Upgrade Required: a WebSocket server was met by a plain GET", "426 Upgrade Required：WebSocket 服务器收到的是普通 GET";
    ExpressNotFound Upgrade [Status(404), BodyHas("Cannot GET")],
        "404 `Cannot GET`: the HTTP application answered, not the WebSocket server", "404 `Cannot GET`：应答来自 HTTP 应用而非 WebSocket 服务";
    FastApiNotFound Upgrade [Status(404), BodyBegins("{\"detail\":\"NotFound\"}")],
        "404 {\"detail\":\"Not Found\"}: FastAPI was met by a plain GET", "404 {\"detail\":\"Not Found\"}：FastAPI 收到的是普通 GET";
    EngineBadRequest Upgrade [Status(400), BodyBegins("{\"code\":3,")],
        "400 code 3: Engine.IO's WebSocket transport was met by a plain GET", "400 code 3：Engine.IO 的 WebSocket 传输收到普通 GET";
    EngineUnknownSession Upgrade [Status(400), BodyBegins("{\"code\":1,")] Polling [EngineCode(1)] Sticky [Strangers(true)],
        "Engine.IO does not know its own session (code 1)", "Engine.IO 不认识自己的会话（code 1）";
    EngineOtherVersion Upgrade [Status(400), BodyBegins("{\"code\":5,")] Polling [EngineCode(5)] Namespace [EngineCode(5)],
        "Engine.IO refuses the protocol version (code 5)", "Engine.IO 拒绝该协议版本（code 5）";
    EngineNoTransport Upgrade [Status(400), BodyBegins("{\"code\":0,")] Upgrade [Status(400), Body("Transport unknown")],
        "`Transport unknown`: this is Engine.IO, and the query lacks its transport", "`Transport unknown`：这是 Engine.IO，查询串缺少 transport";
    KeyNotSent Upgrade [Status(400), BodyBegins("apiKeyisrequired")] Upgrade [Status(403), BodyHas("apiKey is required")]
        Polling [Says("apikey is required")] Namespace [Says("apikey is required")],
        "the key is missing", "缺少密钥";
    KeyWrong Upgrade [Status(400), BodyHas("Invalid global token")] Upgrade [Status(403), BodyHas("Invalid global token")]
        Polling [Says("invalid global token")] Namespace [Says("invalid global token")],
        "the key is refused", "密钥被拒绝";
    KeyNotChecked Upgrade [Status(400), BodyHas("Authentication error")] Upgrade [Status(403), BodyHas("Authentication error")]
        Polling [Says("authentication error")] Namespace [Says("authentication error")],
        "`Authentication error`: the key could not be checked, or is nobody's", "`Authentication error`：密钥无法校验，或不属于任何实例";
    EngineForbidden Upgrade [Status(403), BodyBegins("{\"code\":4,")] Polling [EngineCode(4)] Namespace [EngineCode(4)],
        "Engine.IO's own check refuses (code 4)", "Engine.IO 的校验拒绝（code 4）";
    KeyDamaged Upgrade [Status(400), BodyHas("Sec-WebSocket-Key")] Upgrade [Status(400), BodyHas("Invalid Upgrade header")]
        Upgrade [Status(405), BodyHas("Invalid HTTP method")],
        "the WebSocket server got the upgrade with damaged headers", "WebSocket 服务器收到的升级请求头已损坏";
    WsOtherPath Upgrade [Status(400), Body("Bad Request")],
        "400 `Bad Request`, 11 bytes: npm's ws with another path", "400 `Bad Request`（11 字节）：npm ws 的 path 不匹配";
    OldHttp Upgrade [Status(505)],
        "505: the gateway was spoken to in HTTP/1.0", "505：网关收到的是 HTTP/1.0 请求";
    NotLicensed Upgrade [Status(503), BodyHas("LICENSE_REQUIRED")] Get [Status(503), BodyHas("LICENSE_REQUIRED")] Polling [Status(503), BodyHas("LICENSE_REQUIRED")],
        "503 LICENSE_REQUIRED", "503 LICENSE_REQUIRED";
    BareNotFound Upgrade [Status(404), NoHeaders, NoBody],
        "a bare 404 without headers: Yunzai's words for a path it does not know", "不带任何响应头的 404：Yunzai 表示路径未知";
    BareUnauthorized Upgrade [Status(401), NoHeaders],
        "a bare 401 without headers: Yunzai's words for a token it does not accept", "不带任何响应头的 401：Yunzai 不接受令牌";
    UvicornForbidden Upgrade [Status(403), NoBody],
        "403 without a word: the application refused before it accepted", "空白的 403：应用在接受之前拒绝";
    HypercornMissing Upgrade [Status(400), Header("server", "hypercorn")],
        "400 from Hypercorn: a header that OneBot demands is missing", "Hypercorn 返回 400：缺少 OneBot 要求的请求头";
    HypercornUnauthorized Upgrade [Status(401), Header("server", "hypercorn")],
        "401 from Hypercorn: no token came", "Hypercorn 返回 401：没有令牌";
    HypercornForbidden Upgrade [Status(403), Header("server", "hypercorn")],
        "403 from Hypercorn: the token is wrong", "Hypercorn 返回 403：令牌错误";
    HypercornNotFound Upgrade [Status(404), Header("server", "hypercorn")],
        "404 from Hypercorn: the path is wrong", "Hypercorn 返回 404：路径错误";
    FastApiUnauthorized Upgrade [Status(401), BodyBegins("{")],
        "401 in JSON: the application's own check refused the upgrade", "JSON 格式的 401：应用自身的校验拒绝了升级";
    FastApiForbidden Upgrade [Status(403), BodyBegins("{")],
        "403 in JSON: the application's own check refused the upgrade", "JSON 格式的 403：应用自身的校验拒绝了升级";
    Unauthorized Upgrade [StatusFrom(401, 401)] Upgrade [Status(407)], "401: credentials are wanted", "401：需要凭据";
    Forbidden Upgrade [Status(403)], "403: refused", "403：被拒绝";
    NotFound Upgrade [Status(404)] Upgrade [Status(410)], "404: the path is not known", "404：路径未知";
    TooMany Upgrade [Status(429)] Polling [Status(429)], "429: too many requests", "429：请求过多";
    OtherRefusal Upgrade [StatusFrom(400, 499)], "the handshake is refused with a client error", "握手被客户端错误拒绝";
    Redirect Upgrade [StatusFrom(300, 399)], "a redirect, which WebSocket clients do not follow", "重定向，WebSocket 客户端不会跟随";
    IndexPage Upgrade [Status(200), Header("content-type", "text/html"), BodyHas("<!doctype html"), NoHeader("x-powered-by")]
        Upgrade [Status(200), Header("content-type", "text/html"), BodyHas("<!DOCTYPE html"), NoHeader("x-powered-by")],
        "200 with an index page in answer to an upgrade", "升级请求得到 200 的首页";
    OrdinaryPage Upgrade [StatusFrom(200, 299)],
        "200 with an ordinary body in answer to an upgrade", "升级请求得到 200 的普通内容";
    HandlerBroke Upgrade [Status(500)], "500: the application failed on the upgrade", "500：应用在升级时出错";
    GatewayErrorAfterGrace Upgrade [Status(502), Took(900, 1600)],
        "502 after about one second: the backend closed without an answer, when Socket.IO would", "约一秒后 502：后端未应答即关闭，与 Socket.IO 的时限一致";
    ProxyGaveUp Upgrade [Status(504)], "504: a proxy gave up waiting for its backend", "504：代理等待后端超时";
    ApacheBadAnswer Upgrade [Status(502), BodyHas("Proxy Error"), Took(1601, 600_000)],
        "Apache's 502 after a wait: the backend accepted and did not answer", "Apache 在等待后返回 502：后端已接受但未应答";
    HaproxyNoServer Upgrade [Status(503), NoHeader("server"), BodyHas("No server is available")],
        "HAProxy's 503: it reached no server", "HAProxy 的 503：没有可用服务器";
    BadGateway Upgrade [Status(502)] Upgrade [Status(503)],
        "a proxy has no working backend", "代理没有可用的后端";
    OtherFailure Upgrade [StatusFrom(500, 599)], "the gateway failed while answering", "网关在应答时出错";

    // A 101, and then.
    HttpInStream Upgrade [HttpAfter101], "HTTP text follows the 101", "101 之后出现 HTTP 文本";
    KarinNoToken Upgrade [Code(3002)], "closed with 3002: node-karin got no token", "以 3002 关闭：node-karin 没有收到令牌";
    KarinBadToken Upgrade [Code(3001)], "closed with 3001: node-karin refuses the token", "以 3001 关闭：node-karin 拒绝令牌";
    RoleRefused Upgrade [Code(1008), Reason("x-client-role")] Upgrade [Code(1008), Reason("x-self-id")],
        "closed with 1008: a OneBot header is missing or wrong", "以 1008 关闭：OneBot 请求头缺失或错误";
    RefusedAfter Upgrade [Code(1008)] Upgrade [CodeFrom(3000, 4999)],
        "accepted, then refused by the application", "接受后又被应用拒绝";
    KarinOtherPath Upgrade [Code(1005), Age(2700, 3400)],
        "accepted, closed without a code after three seconds: node-karin on a path it does not know", "接受三秒后无码关闭：node-karin 不认识该路径";
    ClosedAtOnce Upgrade [Code(1005), Age(0, 300)], "accepted, and closed at once without a code", "接受后立即无码关闭";
    DroppedAtOnce Upgrade [Established, NoCode, Age(0, 300)], "accepted, and dropped at once without a Close frame", "接受后立即断开，没有 Close 帧";
    ViolatedAfter Upgrade [By(Cause::ProtocolViolated)], "what follows the 101 is no WebSocket", "101 之后的内容不是 WebSocket";
    ClosedAfter Upgrade [By(Cause::GatewayRestarting)] Upgrade [By(Cause::GatewayFailed)] Upgrade [By(Cause::ClosedByGateway)] Upgrade [By(Cause::SessionLost)],
        "accepted, and ended soon after", "接受后很快结束";
    MuteAfter Upgrade [By(Cause::HeartbeatMissed)] Upgrade [By(Cause::NoFirstFrame)],
        "accepted, and then neither ping nor close is answered", "接受后对 ping 与关闭均无应答";
    Works Upgrade [Stayed], "the handshake works", "握手正常";

    // Plain requests.
    GetAnswered Get [StatusFrom(100, 499)], "a plain GET is answered", "普通 GET 有应答";
    GetFailed Get [StatusFrom(500, 599)], "a plain GET fails too", "普通 GET 同样失败";

    // Engine.IO and Socket.IO.
    Polls Polling [EngineSpeaks], "Engine.IO answers here", "此处有 Engine.IO 应答";
    NoEngine Polling [], "no Engine.IO answers here", "此处没有 Engine.IO 应答";
    StickyKept Sticky [Strangers(false)], "all polls reach the same process", "各次轮询到达同一进程";
    NamespaceUnknown Namespace [NamespaceError("invalid namespace")], "`Invalid namespace`", "`Invalid namespace`";
    NamespaceRefused Namespace [NamespaceRefused], "the namespace refuses the connection", "命名空间拒绝连接";
    NamespaceOk Namespace [Connected], "Socket.IO accepts the connection", "Socket.IO 接受连接";
    NamespaceFailed Namespace [], "no Socket.IO connection came about", "未能建立 Socket.IO 连接";
    CorsClosed Cors [CorsAllowed(false)], "the answer may not be read by a page of this origin", "该来源的页面不可读取应答";
    CorsOpen Cors [CorsAllowed(true)], "a page of this origin may read the answer", "该来源的页面可以读取应答";

    // A session over time.
    ServerPingLost Link [Code(1011), Reason("ping timeout")],
        "closed with 1011 `keepalive ping timeout`", "以 1011 `keepalive ping timeout` 关闭";
    ForeignText Link [Code(1005), SentText(true), Age(0, 1500)],
        "closed at once after something that is not Engine.IO was sent", "发送非 Engine.IO 内容后立即关闭";
    EnginePongMissing Link [Code(1005), SentPong(false)],
        "closed without a code, and Engine.IO's pings were not answered", "无码关闭，且未应答 Engine.IO 的 ping";
    NeverConnected Link [Code(1005), SentPong(true), SentConnect(false)],
        "closed without a code though pings were answered; CONNECT was never sent", "已应答 ping 仍无码关闭；从未发送 CONNECT";
    AllRestarted Link [Code(1012)] Link [Code(1001)] Link [Code(1013)],
        "closed with the words of a restart", "以重启的关闭码关闭";
    RefusedElsewhere Link [Status(403)], "a client is refused with 403", "客户端被 403 拒绝";
    OutdatedMany Link [Code(405), Others], "refused with 405, and many others in the same moment", "以 405 拒绝，且同一时刻大量其他账号如此";
    OutdatedOne Link [Code(405)], "refused with 405", "以 405 拒绝";
    AllLost Link [NoCode, Others], "many ended without a Close frame in the same moment", "大量会话同时无 Close 帧断开";
    CallsUnanswered Link [NoCode, CallsUnanswered], "ended after API calls were not answered", "API 调用未得到应答后断开";
    TooBig Link [Code(1009)], "closed with 1009: a message was too big", "以 1009 关闭：消息过大";
    CutInSilence Link [NoCode, Silent(1500, 86_400_000)],
        "cut without a Close frame after a silence", "静默一段时间后被无 Close 帧切断";
    CutInTraffic Link [NoCode], "cut without a Close frame in the midst of traffic", "通信过程中被无 Close 帧切断";
    FailedLater Link [Code(1011)], "closed with 1011: the gateway failed", "以 1011 关闭：网关出错";
    PolicyLater Link [Code(1008)], "closed with 1008", "以 1008 关闭";
    EndedLater Link [CodeFrom(1000, 4999)], "closed with a code", "带关闭码关闭";
    Deaf Link [Unanswered], "open, and no ping is answered", "会话打开，但 ping 没有应答";
    HeldThrough Link [], "held to the end", "保持到结束";
}

impl Sign {
    /// Whether an outer place may show this because the fault is further in: the same fault, seen from outside.
    #[must_use]
    pub fn follows(self) -> bool {
        matches!(
            self,
            Self::GatewayErrorAfterGrace
                | Self::ProxyGaveUp
                | Self::ApacheBadAnswer
                | Self::HaproxyNoServer
                | Self::BadGateway
                | Self::OtherFailure
                | Self::EmptyAfterGrace
                | Self::EmptyAtOnce
                | Self::EmptyLater
                | Self::Silent
        )
    }

    /// Whether the other end said in so many words what is wrong.
    #[must_use]
    pub fn is_spoken(self) -> bool {
        matches!(self, Self::ServerPingLost | Self::RoleRefused)
    }

    /// What a finding looks like; `None` where nothing in the table fits.
    #[must_use]
    pub fn of(finding: &Finding) -> Option<Self> {
        ROWS.iter()
            .filter(|row| row.on.fits(finding.probe))
            .find(|row| row.is.iter().all(|is| is.true_of(&finding.saw)))
            .map(|row| row.sign)
    }
}

fn within(time: std::time::Duration, from: u64, to: u64) -> bool {
    let ms = time.as_millis();
    u128::from(from) <= ms && ms <= u128::from(to)
}

impl Is {
    fn true_of(self, saw: &Saw) -> bool {
        let answer = saw.answer.as_ref();
        let body = answer.map_or("", |a| a.body_start.trim());
        let failed = saw.failed.as_ref();
        let close = saw.close.as_ref();
        let link = saw.link.as_ref();
        let engine = saw.engine.as_ref();
        let has = |text: &str, part: &str| text.to_ascii_lowercase().contains(part);
        match self {
            Self::Failed(step) => failed.is_some_and(|f| f.step == step),
            Self::By(cause) => failed.is_some_and(|f| f.cause == cause),
            Self::Established => saw.established,
            Self::Stayed => saw.established && failed.is_none() && close.is_none(),
            Self::Status(code) => answer.is_some_and(|a| a.status == code),
            Self::StatusFrom(from, to) => answer.is_some_and(|a| (from..=to).contains(&a.status)),
            Self::Body(text) => answer.is_some() && body == text,
            Self::BodyHas(text) => body.contains(text),
            Self::BodyBegins(text) => {
                let mut bare = body.chars().filter(|c| !c.is_whitespace());
                text.chars().all(|c| bare.next() == Some(c))
            }
            Self::NoBody => answer.is_some() && body.is_empty(),
            Self::NoHeaders => answer.is_some_and(|a| a.headers.is_empty()),
            Self::Header(name, part) => answer.and_then(|a| a.header(name)).is_some_and(|v| has(v, part)),
            Self::NoHeader(name) => answer.is_some_and(|a| a.header(name).is_none()),
            Self::Took(from, to) => within(saw.took, from, to),
            Self::Code(code) => close.is_some_and(|c| c.code == Some(code)),
            Self::CodeFrom(from, to) => {
                close.and_then(|c| c.code).is_some_and(|code| (from..=to).contains(&code))
            }
            Self::NoCode => close.is_some_and(|c| c.code.is_none()),
            Self::Age(from, to) => close.is_some_and(|c| within(c.age, from, to)),
            Self::Silent(from, to) => close.is_some_and(|c| within(c.silent_for, from, to)),
            Self::Reason(part) => close.is_some_and(|c| has(&c.reason, part)),
            Self::HttpAfter101 => saw.http_after_101,
            Self::EngineSpeaks => engine.is_some_and(|e| e.promise.is_some()),
            Self::EngineCode(code) => engine.is_some_and(|e| e.code == Some(code)),
            Self::Connected => engine.is_some_and(|e| e.connected),
            Self::NamespaceError(part) => {
                engine.is_some_and(|e| e.error.as_deref().is_some_and(|error| has(error, part)))
            }
            Self::NamespaceRefused => {
                engine.is_some_and(|e| e.promise.is_some() && !e.connected && e.error.is_some())
            }
            Self::CorsAllowed(is) => engine.is_some_and(|e| e.cors_allowed == Some(is)),
            Self::Strangers(is) => engine.and_then(|e| e.strangers).is_some_and(|(n, _)| (n > 0) == is),
            Self::SentPong(is) => link.is_some_and(|l| l.sent_pong == Some(is)),
            Self::SentConnect(is) => link.is_some_and(|l| l.sent_connect == Some(is)),
            Self::SentText(is) => link.is_some_and(|l| l.sent_text == Some(is)),
            Self::Others => link.is_some_and(|l| l.others > 0),
            Self::CallsUnanswered => link.is_some_and(|l| l.calls_unanswered == Some(true)),
            // One may still be on its way.
            Self::Unanswered => {
                link.is_some_and(|l| l.asked >= l.answered.saturating_add(2)) && close.is_none()
            }
            Self::Says(part) => {
                failed.is_some_and(|f| has(&f.message, part))
                    || has(body, part)
                    || engine.is_some_and(|e| e.error.as_deref().is_some_and(|error| has(error, part)))
            }
        }
    }
}
