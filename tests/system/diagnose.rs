//! An agent asked what is wrong with an endpoint: over gRPC by reflection, by a client, and by `mooring doctor`.
//!
//! The endpoint is the mistake most often made with `ws`: it is bound to another HTTP server than the one that listens.

use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use mooring_proto::v1::{DiagnoseRequest, Diagnosis, DiagnosisFinding};
use mooring_tests::gateway::{Gateway, free_port};
use mooring_tests::process::root;
use mooring_tests::wait::until;
use mooring_tests::world::{AGENT, Watched, World};
use tokio::process::Command;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const CAUSE: &str = "UpgradeNotPerformed";

/// An agent beside the gateway, attached.
async fn world(gateway: &Gateway) -> (World, Watched) {
    let chat = Watched::at("chat", &gateway.address);
    let world = World::start(std::slice::from_ref(&chat)).await;
    until("the gateway to be known", || async { world.api.instance(&chat.instance()).await }).await;
    (world, chat)
}

async fn diagnose(
    world: &World,
    request: DiagnoseRequest,
) -> Result<(Vec<DiagnosisFinding>, Diagnosis), Status> {
    let address = format!("http://{}", world.api_address);
    let mut client = DiagnosisServiceClient::connect(address).await.expect("the controller");
    let mut steps = client.diagnose(request).await?.into_inner();
    let mut findings = Vec::new();
    loop {
        match steps.message().await?.and_then(|s| s.event) {
            Some(Event::Finding(finding)) => findings.push(finding),
            Some(Event::Diagnosis(diagnosis)) => {
                assert!(steps.message().await?.is_none(), "the diagnosis is the last");
                return Ok((findings, diagnosis));
            }
            None => panic!("it ends without a diagnosis after {findings:?}"),
        }
    }
}

fn chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[tokio::test]
async fn an_agent_finds_the_cause_and_says_it_in_the_language_asked_for() {
    let gateway = Gateway::node("ws-wrong-server.js", &[]).await;
    let (world, chat) = world(&gateway).await;
    let ask = |language: &str| DiagnoseRequest {
        name: chat.gateway(),
        language: language.to_owned(),
        ..DiagnoseRequest::default()
    };
    let (findings, english) = diagnose(&world, ask("en")).await.expect("a diagnosis");
    assert_eq!(findings, english.findings, "each finding came before the diagnosis");
    assert!(!english.healthy && english.faults.len() == 1, "{english:#?}");
    let first = &english.faults[0].candidates[0];
    assert_eq!(first.cause, CAUSE, "{english:#?}");
    assert!(!chinese(&first.remedy) && !first.remedy.is_empty(), "{first:#?}");
    let (_, other) = diagnose(&world, ask("zh-CN")).await.expect("a diagnosis");
    assert_eq!(other.faults[0].candidates[0].cause, CAUSE);
    assert!(chinese(&other.faults[0].candidates[0].remedy), "{other:#?}");

    // The same by the command: by the gateway's name alone, in Chinese, and as JSON for scripts.
    let (code, text) = world.mooring(&["doctor", "chat"]).await;
    assert!(code == Some(1) && text.contains(CAUSE) && text.contains(&first.remedy), "{code:?} {text}");
    let (code, text) = world.mooring(&["doctor", "--from", "chat", "--lang", "zh-CN"]).await;
    assert!(code == Some(1) && text.contains(CAUSE) && chinese(&text), "{code:?} {text}");
    let (code, text) = world.mooring(&["doctor", "--from", &chat.gateway(), &chat.url, "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(
        (code, json["faults"][0]["candidates"][0]["cause"].as_str()),
        (Some(1), Some(CAUSE)),
        "{json:#}"
    );
}

#[tokio::test]
async fn an_agent_is_not_a_way_into_its_network() {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let foreign = Gateway::sample(&[]).await;
    let (world, chat) = world(&gateway).await;
    let at = |url: &str| DiagnoseRequest {
        name: format!("agents/{AGENT}"),
        url: url.to_owned(),
        ..DiagnoseRequest::default()
    };
    let elsewhere = format!("ws://localhost:{}/ws", foreign.port());
    for url in [elsewhere.as_str(), "ws://169.254.169.254/latest/meta-data"] {
        let refused = diagnose(&world, at(url)).await.expect_err("a refusal");
        let reason = refused.get_details_error_info().expect("a reason").reason;
        assert_eq!(
            (refused.code(), reason.as_str()),
            (Code::FailedPrecondition, "EXAMINATION_REFUSED"),
            "{refused:?}"
        );
        let (code, text) = world.mooring(&["doctor", "--from", AGENT, url]).await;
        assert_eq!(code, Some(73), "{text}");
    }
    assert_eq!(foreign.stat("sessions_accepted").await, 0, "nothing was dialled");
    // What is its own is examined, and well.
    let (_, diagnosis) = diagnose(&world, at(&chat.url)).await.expect("a diagnosis");
    assert!(diagnosis.healthy, "{diagnosis:#?}");
    let (code, text) = world.mooring(&["doctor", "chat"]).await;
    assert_eq!(code, Some(0), "{text}");

    let (code, text) = world.mooring(&["doctor", "nobody"]).await;
    assert_eq!(code, Some(1), "{text}");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let (code, text) = world.mooring(&["doctor", "chat", "--server", &nowhere]).await;
    assert_eq!(code, Some(3), "{text}");
}

#[tokio::test]
async fn reflection_is_enough_to_ask() {
    let gateway = Gateway::node("ws-wrong-server.js", &[]).await;
    let (world, chat) = world(&gateway).await;
    let buf = root().join("tests/tools/node_modules/@bufbuild/buf-linux-x64/bin/buf");
    assert!(buf.is_file(), "run `npm ci --prefix tests/tools` first (cargo xtask test does)");
    // As grpcurl does it: the descriptors come from the server.
    let mut command = Command::new(buf);
    command.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d"]);
    command.arg(format!("{{\"name\": \"{}\"}}", chat.gateway()));
    command.arg(format!("http://{}/mooring.v1.DiagnosisService/Diagnose", world.api_address));
    let output = command.kill_on_drop(true).output().await.expect("buf runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let steps = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    let last = steps.map(|s| s.expect("JSON")).last().expect("steps");
    assert_eq!(last["diagnosis"]["faults"][0]["candidates"][0]["cause"], CAUSE, "{text}");
}
