//! SIGHUP: what did not change is not touched, and a bad file is refused with the reason.

use mooring_proto::v1::Phase;
use mooring_tests::gateway::Gateway;
use mooring_tests::wait::until;
use mooring_tests::world::{Watched, World};

#[tokio::test]
async fn a_reload_adds_and_removes_without_touching_the_rest() {
    let (one, two) = (Gateway::node("ws-plain.js", &[]).await, Gateway::node("ws-plain.js", &[]).await);
    let (a, b) = (Watched::at("a", &one.address), Watched::at("b", &two.address));
    let world = World::start(std::slice::from_ref(&a)).await;
    world.api.phase(&a.instance(), Phase::Healthy).await;
    let sessions = one.stat("sessions_accepted").await;

    // Only the list of gateways may differ: the rest of the file is kept as it was.
    let path = world.file("agent.toml");
    let before = std::fs::read_to_string(&path).expect("agent.toml");
    let more = before.replace(&a.url, &b.url).replace("id = \"a\"", "id = \"b\"");
    let gateway = &more[more.find("[[gateway]]").expect("a gateway")..];
    std::fs::write(&path, format!("{before}\n{gateway}")).expect("agent.toml");
    world.reload_agent();
    world.api.phase(&b.instance(), Phase::Healthy).await;
    assert_eq!(one.stat("sessions_accepted").await, sessions, "the watch on the first was not dropped");

    std::fs::write(&path, "[agent]\nidd = \"x\"\n").expect("agent.toml");
    world.reload_agent();
    let agent = world.agent.as_ref().expect("running");
    agent.line("the refusal", |l| l.contains("idd").then_some(())).await;
    world.api.phase(&b.instance(), Phase::Healthy).await;

    std::fs::write(&path, before).expect("agent.toml");
    world.reload_agent();
    until("the second to be gone", || async {
        match world.api.instance(&b.instance()).await {
            Err(e) if e.code() == tonic::Code::NotFound => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(one.stat("sessions_accepted").await, sessions, "the watch on the first was not dropped");
}
