//! Rules of what follows a 101, at once or later.

use super::super::finding::Probe;
use super::super::sign::Sign::*;
use super::lifts::{NO_ENGINE_ON_HOST, ONEBOT, OTHER_PATH_WORKS, OTHER_SLASH_WORKS};
use super::{Clue, Lift, Rule, lift, rule};
use crate::cause::Cause as C;
use crate::kind::Kind;

const KARIN: Lift = lift(
    35,
    Clue::Expects(&[Kind::Onebot11]),
    "OneBot is expected here, and node-karin closes so",
    "此处应为 OneBot，而 node-karin 会这样关闭",
);

pub(super) const RULES: &[Rule] = &[
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
    // Codes of an application's own: what they say depends on whose they are.
    rule(C::TokenMissing, 55, &[KarinNoToken], &[KARIN]),
    rule(C::TokenRefused, 55, &[KarinBadToken], &[KARIN]),
    rule(C::RefusedByPolicy, 70, &[KarinNoToken, KarinBadToken], &[ONEBOT.by(-40)]),
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
        C::ApiUnresponsive,
        15,
        &[CutInSilence],
        &[
            ONEBOT.by(20),
            lift(
                50,
                Clue::WasSending,
                "the client was sending when it was cut: events flowed, and something else was waited for",
                "切断时客户端仍在发送：事件正常，对端等待的是别的应答",
            ),
        ],
    ),
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
            lift(-40, Clue::WasSending, "the client was sending when it was cut", "切断时客户端仍在发送"),
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
    rule(
        C::PeerLockedOut,
        45,
        &[RefusedElsewhere],
        &[lift(
            50,
            Clue::Here(Probe::Upgrade, &[Works]),
            "under another id it is accepted here",
            "换用另一 id 在此可以接受",
        )],
    ),
    rule(C::UpstreamDeprecated, 92, &[OutdatedMany], &[]),
    rule(C::ClientOutdated, 88, &[OutdatedOne], &[]),
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
