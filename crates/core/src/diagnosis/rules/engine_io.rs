//! Rules of Engine.IO and Socket.IO.

use super::super::finding::Probe;
use super::super::sign::Sign::*;
use super::lifts::{ENGINE_HERE, NO_ENGINE, NO_TOKEN, ONEBOT};
use super::{Clue, Rule, lift, rule};
use crate::cause::Cause as C;
use crate::kind::Kind;

pub(super) const RULES: &[Rule] = &[
    rule(
        C::BackendHung,
        30,
        &[GatewayErrorAfterGrace],
        &[lift(
            25,
            Clue::Here(Probe::Root, &[GetSilent, GetFailed]),
            "a plain GET of / is not answered either",
            "普通 GET / 同样没有应答",
        )],
    ),
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
    rule(C::TokenRefused, 90, &[KeyWrong], &[NO_TOKEN.by(-35)]),
    rule(C::TokenMissing, 30, &[KeyWrong], &[NO_TOKEN.by(50)]),
    rule(C::CredentialsRefused, 82, &[EngineForbidden, KeyNotChecked], &[]),
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
            ONEBOT.by(-40),
        ],
    ),
    rule(C::RawClientOnSocketIo, 60, &[GatewayErrorAfterGrace], &[ENGINE_HERE, NO_ENGINE]),
    rule(C::RawClientOnSocketIo, 20, &[WsOtherPath], &[ENGINE_HERE.by(10)]),
];
