//! Clues that many rules share, each in words once.

use super::super::finding::Probe;
use super::super::sign::Sign::*;
use super::{Clue, Lift, lift};
use crate::kind::Kind;

pub(super) const NEARER_WORKS: Lift = lift(
    40,
    Clue::Nearer(&[Works]),
    "the same upgrade works one step nearer to the gateway",
    "同样的升级在更靠近网关的一步可以成功",
);
pub(super) const NEARER_SAME: Lift = lift(
    -60,
    Clue::Nearer(&[ExpressNotFound, OrdinaryPage, UpgradeRequired, FastApiNotFound, EngineBadRequest]),
    "it is the same one step nearer to the gateway",
    "更靠近网关的一步结果相同",
);
pub(super) const PROXIED: Lift = lift(20, Clue::Proxied, "the answer passed a proxy", "应答经过了代理");
pub(super) const NOT_PROXIED: Lift =
    lift(-15, Clue::NotProxied, "the answer bears no proxy's name", "应答中没有代理的痕迹");
pub(super) const IS_DIRECT: Lift = lift(
    -60,
    Clue::Direct,
    "this is the gateway itself, no proxy is before it",
    "此处即网关本身，前面没有代理",
);
pub(super) const ENGINE_HERE: Lift = lift(
    45,
    Clue::Here(Probe::Polling, &[Polls]),
    "Engine.IO answers a long poll at the same host",
    "同一主机上的 Engine.IO 长轮询有应答",
);
pub(super) const NO_ENGINE: Lift = lift(
    -45,
    Clue::Here(Probe::Polling, &[NoEngine]),
    "no Engine.IO answers at the same host",
    "同一主机上没有 Engine.IO 应答",
);
pub(super) const ROOT_ANSWERS: Lift =
    lift(35, Clue::Here(Probe::Root, &[GetAnswered]), "a plain GET of / is answered", "普通 GET / 有应答");
pub(super) const ROOT_SILENT: Lift = lift(
    -45,
    Clue::Here(Probe::Root, &[GetSilent, GetFailed, Refused]),
    "a plain GET of / is not answered either",
    "普通 GET / 同样没有应答",
);
pub(super) const ONEBOT: Lift =
    lift(15, Clue::Expects(&[Kind::Onebot11]), "OneBot is expected here", "此处应为 OneBot");
pub(super) const OTHER_PATH_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeKnownPaths, &[Works, KarinNoToken, KarinBadToken]),
    "another usual path is accepted",
    "另一个常见路径可以接受",
);
pub(super) const OTHER_SLASH_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeOtherSlash, &[Works]),
    "the same path with the other trailing slash is accepted",
    "增减末尾斜杠后可以接受",
);
pub(super) const IDENTITY_WORKS: Lift = lift(
    45,
    Clue::Here(Probe::UpgradeWithIdentity, &[Works, KarinNoToken, KarinBadToken]),
    "with X-Self-ID and X-Client-Role it is accepted",
    "携带 X-Self-ID 与 X-Client-Role 后可以接受",
);
pub(super) const IDENTITY_FAILS: Lift = lift(
    -30,
    Clue::Here(
        Probe::UpgradeWithIdentity,
        &[UvicornForbidden, HypercornUnauthorized, HypercornForbidden, HypercornNotFound],
    ),
    "with X-Self-ID and X-Client-Role it is refused all the same",
    "携带 X-Self-ID 与 X-Client-Role 后仍被拒绝",
);
pub(super) const NO_TOKEN: Lift = lift(20, Clue::NoToken, "no token was sent", "未发送令牌");
pub(super) const TOKEN_WAS_SENT: Lift = lift(-40, Clue::HasToken, "a token was sent", "已发送令牌");
pub(super) const NO_TOKEN_SENT: Lift = lift(-40, Clue::NoToken, "no token was sent", "未发送令牌");

pub(super) const NO_ENGINE_ON_HOST: Lift = lift(
    10,
    Clue::Here(Probe::Polling, &[NoEngine]),
    "no Engine.IO answers at the same host",
    "同一主机上没有 Engine.IO 应答",
);
