//! Rules of HTTP answers that are no 101: proxies that keep the upgrade to themselves, servers that have none, refusals.

use super::super::finding::Probe;
use super::super::sign::Sign::*;
use super::lifts::{
    IDENTITY_FAILS, IDENTITY_WORKS, IS_DIRECT, NEARER_SAME, NEARER_WORKS, NO_TOKEN, NO_TOKEN_SENT,
    NOT_PROXIED, ONEBOT, OTHER_PATH_WORKS, OTHER_SLASH_WORKS, PROXIED, TOKEN_WAS_SENT,
};
use super::{Clue, Rule, lift, rule};
use crate::cause::Cause as C;
use crate::kind::Kind;

pub(super) const RULES: &[Rule] = &[
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
            NEARER_WORKS.by(-50),
            lift(
                35,
                Clue::Direct,
                "this is the server itself, no proxy is before it",
                "此处即服务器本身，前面没有代理",
            ),
            NOT_PROXIED.by(15),
            PROXIED.by(-10),
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
            NEARER_WORKS.by(-50),
            lift(
                30,
                Clue::Direct,
                "this is the server itself, no proxy is before it",
                "此处即服务器本身，前面没有代理",
            ),
            NOT_PROXIED.by(15),
            PROXIED.by(-10),
        ],
    ),
    rule(
        C::SpaFallback,
        70,
        &[IndexPage],
        &[
            NEARER_WORKS.by(15),
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
    rule(C::TokenRefused, 55, &[BareUnauthorized], &[TOKEN_WAS_SENT.by(35), NO_TOKEN_SENT]),
    rule(C::TokenMissing, 55, &[BareUnauthorized], &[NO_TOKEN.by(35), TOKEN_WAS_SENT]),
    rule(C::CredentialsRefused, 65, &[BareUnauthorized], &[NO_TOKEN.by(-25), TOKEN_WAS_SENT.by(-25)]),
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
        45,
        &[UvicornForbidden],
        &[
            OTHER_PATH_WORKS,
            lift(
                -20,
                Clue::Here(Probe::UpgradeKnownPaths, &[UvicornForbidden]),
                "the usual paths are refused too",
                "常见路径同样被拒绝",
            ),
        ],
    ),
    rule(
        C::HeaderMissing,
        38,
        &[UvicornForbidden],
        &[
            IDENTITY_WORKS,
            IDENTITY_FAILS,
            lift(-50, Clue::HasIdentity, "an X-Self-ID was sent", "已发送 X-Self-ID"),
        ],
    ),
    rule(
        C::PeerLockedOut,
        10,
        &[UvicornForbidden],
        &[
            lift(
                45,
                Clue::Here(Probe::UpgradeWithIdentity, &[Works]),
                "under another id it is accepted: this id is taken",
                "换用另一 id 可以接受：该 id 已被占用",
            ),
            lift(35, Clue::HasIdentity, "an X-Self-ID was sent", "已发送 X-Self-ID"),
            IDENTITY_FAILS,
        ],
    ),
    rule(
        C::TokenMissing,
        30,
        &[UvicornForbidden],
        &[
            NO_TOKEN.by(15),
            ONEBOT.by(30),
            TOKEN_WAS_SENT,
            lift(
                -35,
                Clue::Here(Probe::UpgradeKnownPaths, &[Works]),
                "another path is accepted without one",
                "另一路径无需令牌即可接受",
            ),
            lift(
                -35,
                Clue::Here(Probe::UpgradeWithIdentity, &[Works]),
                "with X-Self-ID it is accepted without one",
                "携带 X-Self-ID 时无需令牌即可接受",
            ),
        ],
    ),
    rule(
        C::TokenRefused,
        30,
        &[UvicornForbidden],
        &[
            TOKEN_WAS_SENT.by(20),
            ONEBOT.by(25),
            NO_TOKEN_SENT,
            lift(
                -35,
                Clue::Here(Probe::UpgradeKnownPaths, &[Works]),
                "another path accepts the same token",
                "另一路径接受同一令牌",
            ),
        ],
    ),
    rule(C::HeaderMissing, 92, &[HypercornMissing, RoleRefused], &[]),
    rule(C::TokenMissing, 90, &[HypercornUnauthorized], &[]),
    rule(C::TokenRefused, 90, &[HypercornForbidden], &[NO_TOKEN_SENT]),
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
];
