//! Safe by default: TLS and tokens on every listener, certificates renewed under way, secrets in no output, and nothing
//! that is open to others by accident.

use mooring_tests::gateway::Gateway;
use mooring_tests::process::{Process, binary};
use mooring_tests::wait::until;
use mooring_tests::world::{AGENT, QUICK_POLICY, Watched, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use tokio::process::Command;

const OPERATOR: &str = "canary-secret-of-alice-0123456789";
const JOIN: &str = "canary-secret-of-the-agent-0123456789";

/// An authority, and the certificate it issues for 127.0.0.1.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn issue(&self, world: &World) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        // The key first: whoever sees the pair half-way keeps the old one and looks again.
        std::fs::write(world.file("tls.key"), key.serialize_pem()).expect("tls.key");
        std::fs::write(world.file("tls.pem"), cert.pem()).expect("tls.pem");
        std::fs::write(world.file("ca.pem"), self.0.pem()).expect("ca.pem");
    }
}

fn secret(world: &World, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = world.file(name);
    std::fs::write(&path, text).expect(name);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect(name);
}

/// Turns TLS and tokens on in both configurations.
fn protect(world: &World) {
    secret(world, "operators", &format!("alice:{OPERATOR}\n"));
    secret(world, "alice", &format!("{OPERATOR}\n"));
    secret(world, "joins", &format!("{AGENT}:{JOIN}\n"));
    secret(world, "join", &format!("{JOIN}\n"));
    let path = |name: &str| format!("{:?}", world.file(name));
    let tls = format!("tls = {{ cert = {}, key = {} }}", path("tls.pem"), path("tls.key"));
    let file = world.file("controller.toml");
    let text = std::fs::read_to_string(&file).expect("controller.toml");
    let text = text
        .replace("[api]\n", &format!("[api]\n{tls}\ntokens_file = {}\n", path("operators")))
        .replace("[agents]\n", &format!("[agents]\n{tls}\njoin_tokens_file = {}\n", path("joins")));
    std::fs::write(&file, text).expect("controller.toml");
    let file = world.file("agent.toml");
    let text = std::fs::read_to_string(&file).expect("agent.toml");
    let joined = format!("join_token_file = {}\ntls = {{ ca = {} }}\n[health]", path("join"), path("ca.pem"));
    let text = text.replace("http://127", "https://127").replacen("[health]", &joined, 1);
    std::fs::write(&file, text).expect("agent.toml");
}

/// `mooring` as alice, or as nobody.
async fn mooring(world: &World, token: bool, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary("mooring"));
    command
        .args(["--server", &format!("https://{}", world.api_address)])
        .arg("--ca")
        .arg(world.file("ca.pem"));
    if token {
        command.arg("--token-file").arg(world.file("alice"));
    }
    let output = command.args(args).output().await.expect("it runs");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

#[tokio::test]
async fn tls_and_tokens_all_the_way_and_a_renewed_certificate() {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let watched = Watched::at("chat", &gateway.address);
    let mut world = World::prepare(QUICK_POLICY, mooring_tests::postgres::fresh_database().await);
    world.write_agent(std::slice::from_ref(&watched));
    let authority = Authority::new();
    authority.issue(&world);
    protect(&world);
    let mut command = Command::new(binary("mooring-controller"));
    command.arg("--config").arg(world.file("controller.toml"));
    world.controller = Some(Process::start("controller", &mut command));
    world.start_agent();

    until("the instance to be healthy, as alice sees it", || async {
        let (code, text) = mooring(&world, true, &["-o", "json", "instances"]).await;
        if code == Some(0) && text.contains("PHASE_HEALTHY") {
            Ok(())
        } else {
            Err(format!("{text}\n{}", world.log()))
        }
    })
    .await;
    let (code, text) = mooring(&world, false, &["status"]).await;
    assert_eq!(code, Some(64 + 16), "without a token: UNAUTHENTICATED: {text}");
    let (code, text) =
        mooring(&world, true, &["reconnect", "chat/chat", "--reason", "who am I", "--wait"]).await;
    assert_eq!(code, Some(0), "{text}");
    let (_, orders) = mooring(&world, true, &["-o", "json", "orders"]).await;
    assert!(orders.contains("operator:alice"), "{orders}");

    // A certificate of another authority: read again on SIGHUP, no restart.
    let other = Authority::new();
    other.issue(&world);
    world.controller.as_ref().expect("running").signal(Signal::HUP);
    until("the renewed certificate", || async {
        let (code, text) = mooring(&world, true, &["status"]).await;
        if code == Some(0) { Ok(()) } else { Err(text) }
    })
    .await;

    let log = world.log();
    for canary in [OPERATOR, JOIN] {
        assert!(!log.contains(canary), "a secret is in the log");
    }
}

#[tokio::test]
async fn an_open_listener_is_refused_unless_it_is_wanted() {
    let world = World::prepare(QUICK_POLICY, "postgres://nobody@127.0.0.1:1/none".to_owned());
    let check = |set: &'static [&'static str]| {
        let mut command = Command::new(binary("mooring-controller"));
        command.arg("--config").arg(world.file("controller.toml"));
        for s in set {
            command.args(["--set", s]);
        }
        async move { command.args(["config", "check"]).output().await.expect("it runs") }
    };
    assert!(check(&[]).await.status.success());
    let open = check(&["api.listen=0.0.0.0:7600"]).await;
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(!open.status.success() && said.contains("TLS") && said.contains("insecure = true"), "{said}");
    assert!(check(&["api.listen=0.0.0.0:7600", "api.insecure=true"]).await.status.success());
    let short = check(&["agents.grace=1s"]).await;
    let said = String::from_utf8_lossy(&short.stderr).into_owned();
    assert!(!short.status.success() && said.contains("agents.beat"), "the inequality is spelled out: {said}");
    let unknown = check(&["api.lisen=1"]).await;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("listen"), "the likely meant key is named: {said}");
}
