//! H32, H33: TLS. The certificates are judged by rustls, as nothing of the sort can be read off the wire by hand.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::Step;
use mooring_tests::faults::Scene;
use mooring_wire::{Target, dial};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::raw::{PATIENCE, nobody_died, scene, upgrade};

/// What a person who trusts the scene's authority dials.
pub fn target(scene: &Scene) -> Target {
    let mut target = Target::new(&scene.url).unwrap();
    if let Some(trust) = &scene.trust {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trust).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions();
        target = target.tls(Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth()));
    }
    for (name, value) in &scene.headers {
        target = target.header(name, value).unwrap();
    }
    target
}

#[tokio::test]
async fn h32_certificates_are_refused_for_what_is_wrong_with_them() {
    let expected = [
        ("H32-expired", "expired"),
        ("H32-not-yet", "not valid yet"),
        ("H32-name", "another name"),
        ("H32-self-signed", "not trusted"),
        ("H32-version", "ProtocolVersion"),
    ];
    for (id, words) in expected {
        let (_, scene) = scene(id).await;
        let report = dial(&target(&scene)).await.report;
        let refusal = report.outcome.unwrap_err();
        assert_eq!(refusal.step, Step::Tls, "{id}: {refusal:?}");
        assert!(refusal.message.contains(words), "{id}: {refusal:?}");
        nobody_died(&scene);
    }
    let (_, well) = scene("ok-ws-tls").await;
    let dialled = dial(&target(&well)).await;
    assert!(dialled.report.outcome.is_ok(), "{:?}", dialled.report);
}

#[tokio::test]
async fn h33_plain_bytes_on_a_tls_port_are_told_by_each_in_its_own_way() {
    let (_, nginx) = scene("H33-plain-nginx").await;
    let answer = upgrade(&nginx.url, PATIENCE).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("The plain HTTP request was sent to HTTPS port"), "{answer:?}");
    let (_, apache) = scene("H33-plain-apache").await;
    let answer = upgrade(&apache.url, PATIENCE).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("speaking plain HTTP to an SSL-enabled server port"), "{answer:?}");
    let (_, haproxy) = scene("H33-plain-haproxy").await;
    let answer = upgrade(&haproxy.url, PATIENCE).await;
    assert!(answer.ended && answer.bytes.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn h33_tls_on_a_plain_port_is_no_tls() {
    for id in ["H33-tls-nginx", "H33-tls-ws", "H33-tls-uvicorn"] {
        let (_, scene) = scene(id).await;
        let report = dial(&target(&scene)).await.report;
        let refusal = report.outcome.unwrap_err();
        assert_eq!((refusal.step, refusal.cause), (Step::Tls, Cause::SchemeSwapped), "{id}: {refusal:?}");
        let plain = scene.url.replace("wss://", "ws://");
        assert_eq!(upgrade(&plain, Duration::from_millis(400)).await.status, 101, "{id}");
        nobody_died(&scene);
    }
}
