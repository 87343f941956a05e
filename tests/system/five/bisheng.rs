//! Case 4, Bisheng behind Apache and nginx: the outer proxy does not pass the upgrade. Found and located, told with the
//! line to change, mended with that line; a workflow that runs meanwhile is not disturbed.

use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_proto::v1::{OrderAction, Phase};
use mooring_tests::faults::Part;
use mooring_tests::faults::program::python_command;
use mooring_tests::faults::proxy::{Proxy, Settings, front};
use mooring_tests::gateway::{free_port, http};
use mooring_tests::wait::until;
use mooring_tests::world::{AGENT, Watched, World};
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{has_remedy, orders_on, row};

#[tokio::test]
async fn an_upgrade_that_the_outer_proxy_keeps_is_located_and_mended_by_the_line_shown() {
    let port = free_port().to_string();
    let backend = format!("127.0.0.1:{port}");
    let twin = Part::process("twin", &mut python_command("bisheng/twin.py", &["--port", &port]));
    until("the twin to listen", || async {
        tokio::net::TcpStream::connect(&backend).await.map(drop).map_err(|e| format!("{e}\n{}", twin.log()))
    })
    .await;
    let inner = front(Proxy::Nginx, &backend, Settings::default()).await;
    let outer = front(Proxy::Apache, &inner.address, Settings::stripped()).await;

    // Somebody's workflow runs, unsaved: it would be stopped if its session were closed.
    let login = http(&backend, "GET", "/twin/token").await;
    let cookie = login.trim().trim_matches('"');
    let url = format!("ws://{backend}/api/v1/workflow/chat/w1?chat_id=");
    let mut request = url.into_client_request().expect("a request");
    let cookie = format!("access_token_cookie={cookie}").parse().expect("a header");
    request.headers_mut().insert("cookie", cookie);
    let stream = tokio::net::TcpStream::connect(&backend).await.expect("the backend accepts");
    let (mut chat, _) = tokio_tungstenite::client_async(request, stream).await.expect("a chat");
    let say = |json: &str| Message::text(json.to_owned());
    chat.send(say(r#"{"action":"init_data","data":{"workflow":"w1"}}"#)).await.expect("sent");
    chat.next().await.expect("an answer").expect("a message");

    let gateway = format!("agents/{AGENT}/gateways/bisheng");
    let more = format!(
        "kind = \"bisheng\"\n[gateway.bisheng]\nbackend = \"http://{backend}\"\npoll = \"500ms\"\nwalk = \"1s\"\n\
         hops = [{{ name = \"public\", url = \"ws://{}\" }}, {{ name = \"nginx\", url = \"ws://{}\" }}]\n",
        outer.address, inner.address
    );
    let from = Instant::now();
    let world = World::start(&[Watched { id: "bisheng".to_owned(), url: String::new(), more }]).await;
    let instance = format!("{gateway}/instances/bisheng");
    let condition = world.api.cause(&instance, "ProxyStrippedUpgrade").await;
    assert!(condition.message.contains("public"), "the hop is named: {condition:?}");
    world.api.phase(&instance, Phase::NeedsHuman).await;
    let remedy = has_remedy(&world, &instance).await;
    assert_eq!(orders_on(&world, &instance).await, vec![]);
    // Even asked for, a reconnect is not done: it could close a chat, and with it a workflow.
    let refused = world.api.order(&instance, OrderAction::Reconnect).await;
    assert!(refused.is_err(), "{refused:?}");
    let told = from.elapsed();

    // The line that the remedy shows for Apache, put where the page says.
    let page = mooring_core::cause::Cause::ProxyStrippedUpgrade.guide();
    let shown = page.snippets.iter().any(|s| s.text.contains("upgrade=websocket"));
    assert!(shown, "the page shows Apache's line: {remedy}");
    let config = std::fs::read_to_string(&outer.config).expect("Apache's configuration");
    let line = format!("\"http://{}/\"\n", inner.address);
    assert!(config.contains(&line), "{config}");
    let mended = config.replacen(&line, &format!("\"http://{}/\" upgrade=websocket\n", inner.address), 1);
    std::fs::write(&outer.config, mended).expect("written");
    outer.part.as_process().expect("a process").signal(Signal::USR1);
    world.api.phase(&instance, Phase::Healthy).await;

    let log: serde_json::Value =
        serde_json::from_str(&http(&backend, "GET", "/twin").await).expect("what happened");
    assert_eq!(log["stopped"].as_array().map(Vec::len), Some(0), "no workflow was stopped: {log}");
    chat.close(None).await.expect("closed");
    row(
        "Bisheng behind Apache and nginx",
        "Apache, the outer of the two, does not pass the upgrade",
        "`ProxyStrippedUpgrade` at the public hop",
        &format!("nothing; told after {:.1} s; mended with the line shown, healthy", told.as_secs_f64()),
        from,
    );
}
