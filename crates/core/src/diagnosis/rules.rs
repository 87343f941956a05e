//! The rules: which cause a sign speaks for, how strongly by itself, and which other findings speak for it or against it.
//!
//! Data, not code: a rule is a row. Its `base` is how sure one is with nothing but the sign; each lift that holds moves it.
//! A lift that is not yet decided names the probe that would decide it, and that is how the examination knows what to
//! look at next. The numbers are judgement, held to account by the confusion table (`cargo xtask bench doctor`).

use super::finding::{Probe, Say};
use super::sign::Sign::{self, *};
use crate::cause::Cause;
use crate::kind::Kind;

/// Something else that is, or is not, so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clue {
    /// The upgrade at the next place nearer to the gateway shows one of these.
    Nearer(&'static [Sign]),
    /// The upgrade at some place further out shows one of these.
    Outer(&'static [Sign]),
    /// This probe at the same place shows one of these.
    Here(Probe, &'static [Sign]),
    /// The answer bears the name of a proxy (nginx, Apache, Envoy, …) or a `Via`.
    Proxied,
    /// It bears none.
    NotProxied,
    /// The place is the gateway itself.
    Direct,
    /// It is said to be one of these.
    Expects(&'static [Kind]),
    /// The path is Engine.IO's.
    EnginePath,
    /// No credentials were sent.
    NoToken,
    /// Credentials were sent.
    HasToken,
    /// The silence was 60 s within two per cent: the default of nginx and of Apache.
    DefaultIdle,
    /// Another session ended after the same silence.
    Again,
    /// Many others ended in the same moment.
    Others,
}

/// A clue, and how much it moves the rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lift {
    pub by: i8,
    pub clue: Clue,
    pub why: Say,
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub cause: Cause,
    pub signs: &'static [Sign],
    pub base: u8,
    pub lifts: &'static [Lift],
}

const fn lift(by: i8, clue: Clue, en: &'static str, zh: &'static str) -> Lift {
    Lift { by, clue, why: Say { en, zh } }
}

const fn rule(cause: Cause, base: u8, signs: &'static [Sign], lifts: &'static [Lift]) -> Rule {
    Rule { cause, signs, base, lifts }
}

const NEARER_WORKS: Lift = lift(
    40,
    Clue::Nearer(&[Works]),
    "the same upgrade works one step nearer to the gateway",
    "同样的升级在更靠近网关的一步可以成功",
);
const NEARER_SAME: Lift = lift(
    -60,
    Clue::Nearer(&[ExpressNotFound, OrdinaryPage, UpgradeRequired, FastApiNotFound, EngineBadRequest]),
    "it is the same one step nearer to the gateway",
    "更靠近网关的一步结果相同",
);
const PROXIED: Lift = lift(20, Clue::Proxied, "the answer passed a proxy", "应答经过了代理");
const NOT_PROXIED: Lift =
    lift(-15, Clue::NotProxied, "the answer bears no proxy's name", "应答中没有代理的痕迹");
const IS_DIRECT: Lift = lift(
    -60,
    Clue::Direct,
    "this is the gateway itself, no proxy is before it",
    "此处即网关本身，前面没有代理",
);
const ENGINE_HERE: Lift = lift(
    45,
    Clue::Here(Probe::Polling, &[Polls]),
    "Engine.IO answers a long poll at the same host",
    "同一主机上的 Engine.IO 长轮询有应答",
);
const NO_ENGINE: Lift = lift(
    -45,
    Clue::Here(Probe::Polling, &[NoEngine]),
    "no Engine.IO answers at the same host",
    "同一主机上没有 Engine.IO 应答",
);
const ROOT_ANSWERS: Lift =
    lift(35, Clue::Here(Probe::Root, &[GetAnswered]), "a plain GET of / is answered", "普通 GET / 有应答");
const ROOT_SILENT: Lift = lift(
    -45,
    Clue::Here(Probe::Root, &[GetSilent, GetFailed, Refused]),
    "a plain GET of / is not answered either",
    "普通 GET / 同样没有应答",
);
const ONEBOT: Lift = lift(15, Clue::Expects(&[Kind::Onebot11]), "OneBot is expected here", "此处应为 OneBot");
const OTHER_PATH_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeKnownPaths, &[Works, KarinNoToken, KarinBadToken]),
    "another usual path is accepted",
    "另一个常见路径可以接受",
);
const OTHER_SLASH_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeOtherSlash, &[Works]),
    "the same path with the other trailing slash is accepted",
    "增减末尾斜杠后可以接受",
);
const IDENTITY_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeWithIdentity, &[Works, KarinNoToken, KarinBadToken]),
    "with X-Self-ID and X-Client-Role it is accepted",
    "携带 X-Self-ID 与 X-Client-Role 后可以接受",
);
const IDENTITY_FAILS: Lift = lift(
    -30,
    Clue::Here(
        Probe::UpgradeWithIdentity,
        &[UvicornForbidden, HypercornUnauthorized, HypercornForbidden, HypercornNotFound],
    ),
    "with X-Self-ID and X-Client-Role it is refused all the same",
    "携带 X-Self-ID 与 X-Client-Role 后仍被拒绝",
);
const NO_TOKEN: Lift = lift(20, Clue::NoToken, "no token was sent", "未发送令牌");
const HAS_TOKEN: Lift = lift(20, Clue::HasToken, "a token was sent", "已发送令牌");
const TOKEN_WAS_SENT: Lift = lift(-40, Clue::HasToken, "a token was sent", "已发送令牌");
const NO_TOKEN_SENT: Lift = lift(-40, Clue::NoToken, "no token was sent", "未发送令牌");

use Cause as C;

pub(super) const RULES: &[Rule] = &[
    // Below HTTP.
    rule(C::NameNotResolved, 97, &[NameUnknown], &[]),
    rule(
        C::ConnectionRefused,
        90,
        &[Refused],
        &[lift(
            -20,
            Clue::Outer(&[BadGateway, HaproxyNoServer]),
            "a proxy before it says the same with a 5xx",
            "前面的代理以 5xx 表达了同样的问题",
        )],
    ),
    rule(
        C::BackendDown,
        30,
        &[Refused],
        &[lift(
            65,
            Clue::Outer(&[BadGateway, HaproxyNoServer]),
            "the proxy before it answers 502 or 503 for want of it",
            "前面的代理因此返回 502 或 503",
        )],
    ),
    rule(C::ConnectTimedOut, 95, &[ConnectSilent], &[]),
    rule(C::NetworkUnreachable, 95, &[NoRoute], &[]),
    rule(C::ObserverStalled, 95, &[OurFault], &[]),
    rule(C::CertificateExpired, 97, &[CertExpired], &[]),
    rule(C::CertificateNotYetValid, 97, &[CertEarly], &[]),
    rule(C::CertificateNameMismatch, 97, &[CertOtherName], &[]),
    rule(C::CertificateNotTrusted, 95, &[CertUntrusted], &[]),
    rule(C::CertificateInvalid, 95, &[CertBad], &[]),
    rule(C::TlsVersionRefused, 95, &[TlsVersion], &[]),
    rule(
        C::SchemeSwapped,
        80,
        &[NotTls, PlainToTls],
        &[lift(
            15,
            Clue::Here(Probe::UpgradeOtherScheme, &[Works]),
            "the other scheme works",
            "换用另一协议可以成功",
        )],
    ),
    rule(C::TlsFailed, 85, &[TlsBroken], &[]),
    rule(C::WrongProtocol, 85, &[NotHttp, Bad101], &[]),
    // No answer at all.
    rule(C::RawClientOnSocketIo, 50, &[EmptyAfterGrace], &[ENGINE_HERE, NO_ENGINE]),
    rule(C::ClosedBeforeAnswer, 45, &[EmptyAfterGrace], &[]),
    rule(C::UpgradeDestroyed, 55, &[EmptyAtOnce], &[ROOT_ANSWERS, ROOT_SILENT, OTHER_SLASH_WORKS]),
    rule(
        C::ClosedBeforeAnswer,
        50,
        &[EmptyAtOnce],
        &[lift(
            -15,
            Clue::Here(Probe::Root, &[GetAnswered]),
            "a plain GET of / is answered",
            "普通 GET / 有应答",
        )],
    ),
    rule(C::ClosedBeforeAnswer, 80, &[EmptyLater], &[]),
    rule(C::UpgradeIgnored, 50, &[Silent], &[ROOT_ANSWERS, ROOT_SILENT]),
    rule(
        C::HandshakeTimedOut,
        50,
        &[Silent],
        &[
            lift(
                35,
                Clue::Here(Probe::Root, &[GetSilent]),
                "a plain GET of / is not answered either",
                "普通 GET / 同样没有应答",
            ),
            lift(
                -40,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "a plain GET of / is answered",
                "普通 GET / 有应答",
            ),
            lift(
                -15,
                Clue::Outer(&[ProxyGaveUp, ApacheBadAnswer]),
                "a proxy before it gave up waiting",
                "前面的代理已放弃等待",
            ),
        ],
    ),
    rule(
        C::BackendHung,
        20,
        &[Silent],
        &[
            lift(
                40,
                Clue::Outer(&[ProxyGaveUp, ApacheBadAnswer]),
                "a proxy before it gave up waiting",
                "前面的代理已放弃等待",
            ),
            lift(
                35,
                Clue::Here(Probe::Root, &[GetSilent]),
                "a plain GET of / is not answered either",
                "普通 GET / 同样没有应答",
            ),
            lift(
                -40,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "a plain GET of / is answered",
                "普通 GET / 有应答",
            ),
        ],
    ),
    // Proxies that keep the upgrade to themselves, and servers that have none.
    rule(C::ProxyStrippedUpgrade, 75, &[UpgradeRequired], &[NEARER_WORKS, PROXIED, IS_DIRECT, NEARER_SAME]),
    rule(
        C::UpgradeNotPerformed,
        25,
        &[UpgradeRequired],
        &[lift(50, Clue::Direct, "this is the server itself", "此处即服务器本身")],
    ),
    rule(
        C::ProxyStrippedUpgrade,
        50,
        &[ExpressNotFound],
        &[NEARER_WORKS, PROXIED, NOT_PROXIED, IS_DIRECT, NEARER_SAME],
    ),
    rule(
        C::UpgradeNotPerformed,
        55,
        &[ExpressNotFound],
        &[
            lift(
                -50,
                Clue::Nearer(&[Works]),
                "the same upgrade works one step nearer to the gateway",
                "同样的升级在更靠近网关的一步可以成功",
            ),
            lift(
                35,
                Clue::Direct,
                "this is the server itself, no proxy is before it",
                "此处即服务器本身，前面没有代理",
            ),
            lift(15, Clue::NotProxied, "the answer bears no proxy's name", "应答中没有代理的痕迹"),
            lift(-10, Clue::Proxied, "the answer passed a proxy", "应答经过了代理"),
        ],
    ),
    rule(
        C::ProxyStrippedUpgrade,
        45,
        &[OrdinaryPage],
        &[NEARER_WORKS, PROXIED, NOT_PROXIED, IS_DIRECT, NEARER_SAME],
    ),
    rule(
        C::UpgradeNotPerformed,
        60,
        &[OrdinaryPage],
        &[
            lift(
                -50,
                Clue::Nearer(&[Works]),
                "the same upgrade works one step nearer to the gateway",
                "同样的升级在更靠近网关的一步可以成功",
            ),
            lift(
                30,
                Clue::Direct,
                "this is the server itself, no proxy is before it",
                "此处即服务器本身，前面没有代理",
            ),
            lift(15, Clue::NotProxied, "the answer bears no proxy's name", "应答中没有代理的痕迹"),
            lift(-10, Clue::Proxied, "the answer passed a proxy", "应答经过了代理"),
        ],
    ),
    rule(
        C::SpaFallback,
        70,
        &[IndexPage],
        &[
            lift(
                15,
                Clue::Nearer(&[Works]),
                "the same upgrade works one step nearer to the gateway",
                "同样的升级在更靠近网关的一步可以成功",
            ),
            lift(10, Clue::Proxied, "the page comes from a proxy", "页面来自代理"),
            lift(
                5,
                Clue::Expects(&[Kind::Bisheng]),
                "Bisheng's nginx does so for paths it does not know",
                "Bisheng 的 nginx 对未知路径会这样应答",
            ),
        ],
    ),
    rule(
        C::UpgradeNotPerformed,
        50,
        &[IndexPage],
        &[lift(-20, Clue::Proxied, "the page comes from a proxy", "页面来自代理")],
    ),
    rule(C::ProxyStrippedUpgrade, 85, &[EngineBadRequest], &[NEARER_WORKS, PROXIED, IS_DIRECT]),
    rule(
        C::ProxyStrippedUpgrade,
        80,
        &[FastApiNotFound],
        &[
            NEARER_WORKS,
            PROXIED,
            IS_DIRECT,
            NEARER_SAME,
            lift(
                15,
                Clue::Nearer(&[UvicornForbidden, FastApiForbidden, FastApiUnauthorized]),
                "one step nearer the application itself judges the upgrade",
                "更靠近一步时由应用自身判断升级请求",
            ),
        ],
    ),
    rule(
        C::WrongPath,
        30,
        &[FastApiNotFound],
        &[lift(45, Clue::Direct, "this is the application itself", "此处即应用本身")],
    ),
    rule(C::UpstreamHttp10, 92, &[OldHttp], &[]),
    rule(C::MalformedHandshake, 85, &[KeyDamaged, VersionDamaged], &[PROXIED, NEARER_WORKS]),
    rule(C::WrongPath, 85, &[WsOtherPath], &[OTHER_SLASH_WORKS, OTHER_PATH_WORKS]),
    // Engine.IO.
    rule(
        C::TransportMissing,
        92,
        &[EngineNoTransport],
        &[lift(
            5,
            Clue::Here(Probe::UpgradeEngineIo, &[Works]),
            "with `EIO=4&transport=websocket` it is accepted",
            "加上 `EIO=4&transport=websocket` 即可接受",
        )],
    ),
    rule(C::EngineIoVersionMismatch, 92, &[EngineOtherVersion], &[]),
    rule(
        C::StickySessionsMissing,
        88,
        &[EngineUnknownSession],
        &[lift(
            10,
            Clue::Here(Probe::Sticky, &[EngineUnknownSession]),
            "follow-up polls reach other processes",
            "后续轮询到达了其他进程",
        )],
    ),
    rule(C::TokenMissing, 93, &[KeyNotSent], &[]),
    rule(C::TokenRefused, 90, &[KeyWrong], &[lift(-35, Clue::NoToken, "no token was sent", "未发送令牌")]),
    rule(C::TokenMissing, 30, &[KeyWrong], &[lift(50, Clue::NoToken, "no token was sent", "未发送令牌")]),
    rule(C::CredentialsRefused, 80, &[EngineForbidden], &[]),
    rule(
        C::NamespaceNotReady,
        92,
        &[NamespaceUnknown],
        &[lift(
            5,
            Clue::Expects(&[Kind::Evolution]),
            "Evolution makes a namespace with its first event",
            "Evolution 在首个事件时才创建命名空间",
        )],
    ),
    rule(C::CredentialsRefused, 80, &[NamespaceRefused], &[]),
    rule(C::HandshakeRefused, 60, &[NamespaceFailed], &[]),
    rule(C::CorsRefused, 92, &[CorsClosed], &[]),
    rule(
        C::EngineIoPollingUpgrade,
        50,
        &[ClosedAtOnce],
        &[
            lift(45, Clue::EnginePath, "the path and query are Engine.IO's", "路径与查询串属于 Engine.IO"),
            lift(-40, Clue::Expects(&[Kind::Onebot11]), "OneBot is expected here", "此处应为 OneBot"),
        ],
    ),
    rule(C::RawClientOnSocketIo, 60, &[GatewayErrorAfterGrace], &[ENGINE_HERE, NO_ENGINE]),
    rule(
        C::RawClientOnSocketIo,
        20,
        &[WsOtherPath],
        &[lift(
            10,
            Clue::Here(Probe::Polling, &[Polls]),
            "Engine.IO answers a long poll at the same host",
            "同一主机上的 Engine.IO 长轮询有应答",
        )],
    ),
    // Refusals.
    rule(C::LicenseRequired, 97, &[NotLicensed], &[]),
    rule(
        C::WrongPath,
        80,
        &[BareNotFound],
        &[
            OTHER_PATH_WORKS,
            ONEBOT,
            lift(
                15,
                Clue::Here(Probe::UpgradeWithoutQuery, &[Works]),
                "without the query it is accepted: Yunzai takes a query for part of the path",
                "去掉查询串后可以接受：Yunzai 把查询串当作路径的一部分",
            ),
        ],
    ),
    rule(
        C::TokenRefused,
        80,
        &[BareUnauthorized],
        &[ONEBOT, lift(-50, Clue::NoToken, "no token was sent", "未发送令牌")],
    ),
    rule(
        C::TokenMissing,
        40,
        &[BareUnauthorized],
        &[lift(50, Clue::NoToken, "no token was sent", "未发送令牌"), TOKEN_WAS_SENT],
    ),
    // The same bare 403 stands for five faults: what else is tried decides.
    rule(
        C::CredentialsRefused,
        55,
        &[UvicornForbidden],
        &[lift(
            -20,
            Clue::Expects(&[Kind::Onebot11]),
            "OneBot frameworks say 403 for five things",
            "OneBot 框架以 403 表示五种问题",
        )],
    ),
    rule(
        C::WrongPath,
        40,
        &[UvicornForbidden],
        &[
            OTHER_PATH_WORKS,
            lift(
                -25,
                Clue::Here(Probe::UpgradeKnownPaths, &[UvicornForbidden]),
                "the usual paths are refused too",
                "常见路径同样被拒绝",
            ),
        ],
    ),
    rule(C::HeaderMissing, 38, &[UvicornForbidden], &[IDENTITY_WORKS, IDENTITY_FAILS]),
    rule(
        C::TokenMissing,
        30,
        &[UvicornForbidden],
        &[
            lift(30, Clue::NoToken, "no token was sent", "未发送令牌"),
            TOKEN_WAS_SENT,
            lift(
                -25,
                Clue::Here(Probe::UpgradeKnownPaths, &[Works]),
                "another path is accepted without one",
                "另一路径无需令牌即可接受",
            ),
            lift(
                -25,
                Clue::Here(Probe::UpgradeWithIdentity, &[Works]),
                "with X-Self-ID it is accepted without one",
                "携带 X-Self-ID 时无需令牌即可接受",
            ),
            lift(
                15,
                Clue::Here(Probe::UpgradeKnownPaths, &[UvicornForbidden]),
                "the usual paths are refused too",
                "常见路径同样被拒绝",
            ),
        ],
    ),
    rule(
        C::TokenRefused,
        30,
        &[UvicornForbidden],
        &[
            HAS_TOKEN,
            NO_TOKEN_SENT,
            lift(
                -25,
                Clue::Here(Probe::UpgradeKnownPaths, &[Works]),
                "another path accepts the same token",
                "另一路径接受同一令牌",
            ),
            lift(
                20,
                Clue::Here(Probe::UpgradeKnownPaths, &[UvicornForbidden]),
                "the usual paths are refused too",
                "常见路径同样被拒绝",
            ),
        ],
    ),
    rule(C::HeaderMissing, 92, &[HypercornMissing, RoleRefused], &[]),
    rule(C::TokenMissing, 90, &[HypercornUnauthorized, KarinNoToken], &[]),
    rule(C::TokenRefused, 90, &[HypercornForbidden, KarinBadToken], &[NO_TOKEN_SENT]),
    rule(C::WrongPath, 90, &[HypercornNotFound], &[OTHER_PATH_WORKS]),
    rule(C::CredentialsRefused, 85, &[FastApiUnauthorized, FastApiForbidden, Forbidden], &[]),
    rule(C::TokenMissing, 40, &[FastApiUnauthorized, Unauthorized], &[NO_TOKEN, TOKEN_WAS_SENT]),
    rule(C::CredentialsRefused, 80, &[Unauthorized], &[]),
    rule(C::WrongPath, 80, &[NotFound], &[OTHER_SLASH_WORKS, OTHER_PATH_WORKS]),
    rule(C::RateLimited, 95, &[TooMany], &[]),
    rule(C::HandshakeRefused, 70, &[OtherRefusal, OtherVersion], &[]),
    rule(C::Redirected, 92, &[Redirect], &[]),
    rule(
        C::HandlerFailed,
        70,
        &[HandlerBroke],
        &[
            lift(
                20,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "plain requests are answered",
                "普通请求有应答",
            ),
            lift(-20, Clue::Here(Probe::Root, &[GetFailed]), "plain requests fail too", "普通请求同样失败"),
        ],
    ),
    rule(
        C::ServerError,
        55,
        &[HandlerBroke],
        &[lift(25, Clue::Here(Probe::Root, &[GetFailed]), "plain requests fail too", "普通请求同样失败")],
    ),
    rule(
        C::BackendDown,
        40,
        &[GatewayErrorAfterGrace],
        &[lift(
            15,
            Clue::Here(Probe::Polling, &[NoEngine]),
            "no Engine.IO answers there",
            "此处没有 Engine.IO 应答",
        )],
    ),
    rule(
        C::UpgradeIgnored,
        40,
        &[ProxyGaveUp, ApacheBadAnswer],
        &[
            lift(
                45,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "a plain GET of / is answered through the same proxy",
                "经同一代理的普通 GET / 有应答",
            ),
            lift(
                -20,
                Clue::Here(Probe::Root, &[GetSilent, GetFailed]),
                "a plain GET of / is not answered either",
                "普通 GET / 同样没有应答",
            ),
        ],
    ),
    rule(
        C::BackendHung,
        65,
        &[ProxyGaveUp, ApacheBadAnswer],
        &[
            lift(
                25,
                Clue::Here(Probe::Root, &[GetSilent, GetFailed]),
                "a plain GET of / is not answered either",
                "普通 GET / 同样没有应答",
            ),
            lift(
                -30,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "a plain GET of / is answered through the same proxy",
                "经同一代理的普通 GET / 有应答",
            ),
        ],
    ),
    rule(
        C::BackendDown,
        80,
        &[BadGateway, HaproxyNoServer],
        &[
            lift(15, Clue::Nearer(&[Refused]), "one step nearer TCP is refused", "更靠近一步 TCP 被拒绝"),
            lift(
                -30,
                Clue::Here(Probe::Root, &[GetAnswered]),
                "a plain GET of / is answered through the same proxy",
                "经同一代理的普通 GET / 有应答",
            ),
        ],
    ),
    rule(
        C::UpgradeDestroyed,
        35,
        &[BadGateway],
        &[lift(
            40,
            Clue::Here(Probe::Root, &[GetAnswered]),
            "a plain GET of / is answered through the same proxy",
            "经同一代理的普通 GET / 有应答",
        )],
    ),
    rule(C::ServerError, 75, &[OtherFailure], &[]),
    // A 101, and then.
    rule(
        C::TwoWebSocketServers,
        80,
        &[HttpInStream],
        &[lift(-40, Clue::EnginePath, "the path is Engine.IO's", "路径属于 Engine.IO"), NO_ENGINE_ON_HOST],
    ),
    rule(
        C::EngineIoVersionMismatch,
        45,
        &[HttpInStream],
        &[lift(40, Clue::EnginePath, "the path is Engine.IO's", "路径属于 Engine.IO")],
    ),
    rule(C::ProtocolViolated, 80, &[ViolatedAfter], &[]),
    rule(C::WrongPath, 88, &[KarinOtherPath], &[OTHER_PATH_WORKS, ONEBOT]),
    rule(
        C::WrongPath,
        50,
        &[ClosedAtOnce],
        &[
            ONEBOT,
            OTHER_PATH_WORKS,
            lift(-30, Clue::EnginePath, "the path and query are Engine.IO's", "路径与查询串属于 Engine.IO"),
        ],
    ),
    rule(C::ClosedByGateway, 45, &[ClosedAtOnce], &[]),
    rule(C::WrongPath, 60, &[DroppedAtOnce], &[ONEBOT, OTHER_PATH_WORKS, OTHER_SLASH_WORKS]),
    rule(
        C::DroppedAtOnce,
        58,
        &[DroppedAtOnce],
        &[lift(
            -15,
            Clue::Here(Probe::UpgradeKnownPaths, &[Works]),
            "another usual path is accepted",
            "另一个常见路径可以接受",
        )],
    ),
    rule(C::RefusedByPolicy, 85, &[RefusedAfter, PolicyLater], &[]),
    rule(C::HeartbeatMissed, 70, &[MuteAfter], &[]),
    rule(C::ClosedByGateway, 60, &[ClosedAfter, EndedLater], &[]),
    rule(
        C::SubprotocolRefused,
        92,
        &[SubprotocolRefused],
        &[lift(
            5,
            Clue::Here(Probe::UpgradeWithoutSubprotocol, &[Works]),
            "without one it is accepted",
            "不带子协议时可以接受",
        )],
    ),
    // Established links.
    rule(
        C::IdleCut,
        55,
        &[CutInSilence],
        &[
            lift(
                20,
                Clue::Again,
                "another session was cut after the same silence",
                "另一会话在相同静默后被切断",
            ),
            lift(
                20,
                Clue::DefaultIdle,
                "60 s is the default of nginx and of Apache",
                "60 秒是 nginx 与 Apache 的默认值",
            ),
            lift(
                25,
                Clue::Here(Probe::HoldPinging, &[HeldThrough]),
                "a session with pings outlives it",
                "持续 ping 的会话没有被切断",
            ),
            lift(
                -40,
                Clue::Here(Probe::HoldPinging, &[CutInTraffic, CutInSilence]),
                "a session with pings is cut too",
                "持续 ping 的会话同样被切断",
            ),
            lift(-30, Clue::Others, "many others ended in the same moment", "大量其他会话同时断开"),
        ],
    ),
    rule(
        C::SessionLost,
        45,
        &[CutInSilence, CutInTraffic],
        &[lift(-15, Clue::Others, "many others ended in the same moment", "大量其他会话同时断开")],
    ),
    rule(C::KeepaliveTimeout, 95, &[ServerPingLost], &[]),
    rule(C::EngineIoPingUnanswered, 95, &[EnginePongMissing], &[]),
    rule(C::NamespaceConnectMissing, 95, &[NeverConnected], &[]),
    rule(C::ForeignPayload, 93, &[ForeignText], &[]),
    rule(C::GatewayRestarting, 93, &[AllRestarted], &[]),
    rule(C::MassReset, 92, &[AllLost], &[]),
    rule(C::ApiUnresponsive, 93, &[CallsUnanswered], &[]),
    rule(C::MessageTooBig, 95, &[TooBig], &[]),
    rule(C::GatewayFailed, 85, &[FailedLater], &[]),
    rule(
        C::HalfOpen,
        60,
        &[Deaf],
        &[
            lift(
                -25,
                Clue::Here(Probe::Root, &[GetSilent]),
                "nothing else is answered either",
                "其他请求同样没有应答",
            ),
            lift(20, Clue::Here(Probe::Root, &[GetAnswered]), "new requests are answered", "新请求有应答"),
        ],
    ),
    rule(
        C::GatewayStalled,
        55,
        &[Deaf],
        &[
            lift(
                35,
                Clue::Here(Probe::Root, &[GetSilent, GetFailed]),
                "nothing else is answered either",
                "其他请求同样没有应答",
            ),
            lift(-30, Clue::Here(Probe::Root, &[GetAnswered]), "new requests are answered", "新请求有应答"),
        ],
    ),
];

const NO_ENGINE_ON_HOST: Lift = lift(
    10,
    Clue::Here(Probe::Polling, &[NoEngine]),
    "no Engine.IO answers at the same host",
    "同一主机上没有 Engine.IO 应答",
);

/// What an outer place shows when the fault is further in: the same fault, seen from outside.
pub(super) const FOLLOWS: &[Sign] = &[
    GatewayErrorAfterGrace,
    ProxyGaveUp,
    ApacheBadAnswer,
    HaproxyNoServer,
    BadGateway,
    OtherFailure,
    EmptyAfterGrace,
    EmptyAtOnce,
    EmptyLater,
    Silent,
];
