//! Rules of what fails below HTTP, or without an HTTP answer.

use super::super::finding::Probe;
use super::super::sign::Sign::*;
use super::lifts::{ENGINE_HERE, NEARER_WORKS, NO_ENGINE, OTHER_SLASH_WORKS, ROOT_ANSWERS, ROOT_SILENT};
use super::{Clue, Rule, lift, rule};
use crate::cause::Cause as C;

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
    rule(C::WrongProtocol, 85, &[NotHttp], &[]),
    rule(C::WrongProtocol, 70, &[Bad101], &[NEARER_WORKS.by(-25)]),
    rule(C::MalformedHandshake, 40, &[Bad101], &[NEARER_WORKS]),
    // No answer at all.
    rule(C::RawClientOnSocketIo, 50, &[EmptyAfterGrace], &[ENGINE_HERE, NO_ENGINE]),
    rule(C::ClosedBeforeAnswer, 45, &[EmptyAfterGrace], &[]),
    rule(C::UpgradeDestroyed, 55, &[EmptyAtOnce], &[ROOT_ANSWERS, ROOT_SILENT, OTHER_SLASH_WORKS]),
    rule(C::ClosedBeforeAnswer, 50, &[EmptyAtOnce], &[ROOT_ANSWERS.by(-15)]),
    rule(C::ClosedBeforeAnswer, 80, &[EmptyLater], &[]),
    rule(
        C::SchemeSwapped,
        20,
        &[EmptyAtOnce],
        &[lift(
            75,
            Clue::Here(
                Probe::UpgradeOtherScheme,
                &[Works, CertExpired, CertEarly, CertOtherName, CertUntrusted, CertBad],
            ),
            "with the other scheme there is an answer",
            "换用另一协议则有应答",
        )],
    ),
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
            ROOT_ANSWERS.by(-40),
            lift(
                -15,
                Clue::Outer(&[ProxyGaveUp, ApacheBadAnswer, GatewayErrorAfterGrace]),
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
                Clue::Outer(&[ProxyGaveUp, ApacheBadAnswer, GatewayErrorAfterGrace]),
                "a proxy before it gave up waiting",
                "前面的代理已放弃等待",
            ),
            lift(
                35,
                Clue::Here(Probe::Root, &[GetSilent]),
                "a plain GET of / is not answered either",
                "普通 GET / 同样没有应答",
            ),
            ROOT_ANSWERS.by(-40),
        ],
    ),
];
