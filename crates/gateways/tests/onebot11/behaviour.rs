//! What the adapter says of faults on either side, what it does about them, and what it refuses to do.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind as C, Status};
use mooring_gateways::Doing;
use mooring_gateways::onebot11::Settings;
use mooring_runtime::config::SecretFile;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Between, ID, Program, implementation, ms, settings, until};

const PATH: &str = "/onebot/v11/ws";
const TOKEN: &str = "a token of ours";

fn before(framework: &str) -> Settings {
    Settings { forward_to: format!("ws://{framework}"), self_ids: vec![ID.to_owned()], ..settings() }
}

fn secret(text: &str) -> (tempfile::TempDir, SecretFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, text).unwrap();
    (folder, SecretFile::new(path))
}

#[tokio::test]
async fn a_wrong_path_is_put_right_for_yunzai() {
    let yunzai = Program::start("yunzai.js", &[]).await;
    let mut settings = before(&yunzai.address);
    settings.rewrite.insert(PATH.to_owned(), "/OneBotv11".to_owned());
    let between = Between::start(settings).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    bot.round_trip("hello").await;
    between.well(C::Reachable).await;
    let stats = yunzai.stats().await;
    assert_eq!(stats["paths"], serde_json::json!(["/OneBotv11"]));
    assert_eq!(stats["bots"][ID], "stand-in");
}

#[tokio::test]
async fn a_framework_that_refuses_is_named_with_the_remedy() {
    let path = ("/onebot/v11/ws", Cause::WrongPath, "");
    for (script, flags, (path, cause, words)) in [
        ("yunzai.js", vec![], (path.0, path.1, "/OneBotv11")),
        ("yunzai.js", vec!["--dialect", "terminate"], (path.0, path.1, "without a word")),
        ("koishi.js", vec![], (path.0, path.1, "Koishi")),
        ("koishi.js", vec!["--self-id", "777"], ("/onebot", Cause::HeaderMissing, "invalid x-self-id")),
        ("aiocqhttp_server.py", vec![], (path.0, path.1, "404")),
        ("aiocqhttp_server.py", vec!["--token", "x"], ("/ws", Cause::TokenMissing, "forward_token_file")),
        ("karin.mjs", vec!["--token", "x"], ("/onebot/v11/ws", Cause::TokenMissing, "3002")),
        ("nonebot2.py", vec!["--token", "x"], ("/onebot/v11/ws", Cause::CredentialsRefused, "missing token")),
        ("yunzai.js", vec!["--boot", "10m"], ("/OneBotv11", Cause::HandshakeTimedOut, "")),
    ] {
        let framework = Program::start(script, &flags).await;
        let between = Between::start(before(&format!("{}{path}", framework.address))).await;
        let bot = implementation(&between.address, PATH, &[]).await;
        let claim = between.claims(C::Reachable, Status::False, Some(cause)).await;
        assert!(claim.message.contains(words), "{script}: {}", claim.message);
        let stats = bot.stats().await;
        assert_eq!(
            (&stats["opens"], &stats["open"]),
            (&Value::from(1), &Value::from(1)),
            "{script}: it noticed"
        );
    }
}

#[tokio::test]
async fn a_framework_that_accepts_and_hangs_up_is_not_well_each_time() {
    let framework = Program::start("yunzai.js", &["--dialect", "terminate"]).await;
    let between = Between::start(before(&framework.address)).await;
    let _bot = implementation(&between.address, PATH, &[]).await;
    until("several dials", async || {
        let stats = framework.stats().await;
        (stats["paths"].as_array()?.len() >= 5).then_some(())
    })
    .await;
    let well = between.history(C::Reachable).iter().filter(|c| c.status == Status::True).count();
    assert!(well <= 1, "only the first time it was believed: {well}");
}

#[tokio::test]
async fn a_wrong_dial_in_is_told_what_is_right_and_noticed() {
    let (_folder, token_file) = secret(TOKEN);
    let settings = Settings { token_file: Some(token_file), ..before("127.0.0.1:9") };
    let between = Between::start(settings).await;
    let right = ["--token", TOKEN];
    for (path, flags, cause, status, words) in [
        ("/OneBotv11", right.to_vec(), Cause::WrongPath, 404, "`/onebot/v11/ws`"),
        (PATH, vec![], Cause::TokenMissing, 401, "no access token"),
        (PATH, vec!["--token", "another"], Cause::TokenRefused, 403, "wrong"),
        (
            PATH,
            [&right[..], &["--header", "X-Client-Role"]].concat(),
            Cause::HeaderMissing,
            400,
            "X-Client-Role",
        ),
        (PATH, [&right[..], &["--header", "X-Self-ID"]].concat(), Cause::HeaderMissing, 400, "X-Self-ID"),
        (PATH, [&right[..], &["--self-id", "666"]].concat(), Cause::HeaderMissing, 403, "self_ids"),
    ] {
        let bot = implementation(&between.address, path, &flags).await;
        let claim = until("it is named", async || {
            between.last(C::Reachable).filter(|c| c.cause == Some(cause) && c.message.contains(words))
        })
        .await;
        assert!(claim.evidence.iter().any(|(key, _)| key == "tries"), "{claim:?}");
        let stats = bot.stats().await;
        let refusal = &stats["refusals"][0];
        assert_eq!(refusal["status"], status);
        assert!(refusal["body"].as_str().unwrap().contains(words), "{refusal}");
        let text = format!("{:?}", between.history(C::Reachable));
        assert!(!text.contains(TOKEN) && !text.contains("another"), "a token is shown");
    }
}

/// Hands bytes on, until it is told to die on one side and stay silently open on the other.
async fn meddler(to: String) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (cut, cuts) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut cuts = cuts.clone();
            let Ok(mut to) = TcpStream::connect(&to).await else { continue };
            tokio::spawn(async move {
                let already = *cuts.borrow_and_update();
                let cut = async {
                    if already {
                        std::future::pending::<()>().await;
                    }
                    let _ = cuts.changed().await;
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                    () = cut => {
                        drop(from);
                        tokio::time::sleep(Duration::from_secs(600)).await;
                    }
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test]
async fn the_zombie_lock_out_of_nonebot_is_waited_out() {
    // uvicorn's 20 s and 20 s, scaled.
    let nonebot = Program::start("nonebot2.py", &["--ping", "3", "--ping-timeout", "3"]).await;
    let (between_them, cut) = meddler(nonebot.address.clone()).await;
    let between = Between::start(Settings { lockout: ms(20_000), ..before(&between_them) }).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    bot.round_trip("before").await;
    cut.send(true).unwrap();
    let claim = between.claims(C::Reachable, Status::False, Some(Cause::PeerLockedOut)).await;
    assert!(claim.message.contains("still holds"), "{}", claim.message);
    let refused = between.order(Doing::Reconnect, Duration::from_secs(5)).await.unwrap_err();
    assert!(refused.contains("waiting"), "{refused}");
    bot.make("event&text=meanwhile").await;
    between.well(C::Reachable).await;
    bot.called_with("echo meanwhile").await;
    assert_eq!(bot.stats().await["closes"], serde_json::json!([]), "the implementation noticed");
    assert_eq!(nonebot.said("disconnected"), 1);
}

#[tokio::test]
async fn bot_offline_is_believed_over_the_heartbeat() {
    let framework = Program::start("yunzai.js", &[]).await;
    let between = Between::start(before(&format!("{}/OneBotv11", framework.address))).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    between.well(C::Linked).await;
    bot.make("bot-offline").await;
    let claim = between.claims(C::Linked, Status::False, Some(Cause::AccountOffline)).await;
    assert!(claim.message.contains("logged in elsewhere"), "{}", claim.message);
    let beats = between.history(C::Beating).len();
    // Several heartbeats and statuses later, all of which say online.
    until("another status", async || {
        let stats = bot.stats().await;
        let own =
            stats["calls"].as_array()?.iter().filter(|c| c["echo"].to_string().contains("mooring")).count();
        (own >= 4).then_some(())
    })
    .await;
    assert_eq!(between.last(C::Linked).unwrap().status, Status::False);
    assert_eq!(between.last(C::Beating).unwrap().status, Status::True, "{beats}");
    bot.make("bot-online").await;
    between.well(C::Linked).await;
}

#[tokio::test]
async fn socket_events_and_api_are_scored_apart() {
    let framework = Program::start("yunzai.js", &[]).await;
    let between = Between::start(before(&format!("{}/OneBotv11", framework.address))).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    for kind in [C::Reachable, C::Beating, C::Delivering] {
        between.well(kind).await;
    }
    bot.make("mute-api").await;
    between.claims(C::Delivering, Status::False, Some(Cause::ApiUnresponsive)).await;
    assert_eq!(between.last(C::Beating).unwrap().status, Status::True);
    bot.make("heal").await;
    between.well(C::Delivering).await;
    bot.make("no-heartbeat").await;
    between.claims(C::Beating, Status::False, Some(Cause::HeartbeatMissed)).await;
    assert_eq!(between.last(C::Delivering).unwrap().status, Status::True);
    assert_eq!(between.last(C::Reachable).unwrap().status, Status::True);
    bot.make("heal").await;
    between.well(C::Beating).await;
    bot.make("half-open").await;
    between.claims(C::Reachable, Status::False, Some(Cause::HalfOpen)).await;
}

#[tokio::test]
async fn a_reconnect_is_verified_and_the_framework_does_not_notice() {
    let framework = Program::start("nonebot2.py", &[]).await;
    let between = Between::start(before(&framework.address)).await;
    let why = between.order(Doing::Reconnect, Duration::from_secs(1)).await.unwrap_err();
    assert!(why.contains("not connected"), "{why}");
    let bot = implementation(&between.address, PATH, &[]).await;
    bot.round_trip("before").await;
    let said = between.order(Doing::Reconnect, Duration::from_secs(30)).await.unwrap();
    assert!(said.contains("connected again after"), "{said}");
    let stats = bot.stats().await;
    assert_eq!(stats["closes"][0]["code"], 1012);
    bot.round_trip("after").await;
    assert_eq!(framework.said("disconnected"), 0);
    let closes = between.closes();
    assert!(closes.iter().all(|c| c.cause.is_none() || c.code == Some(1012)), "{closes:?}");
    // Lagrange is never sent set_restart.
    until("it says what it is", async || {
        let why = between.order(Doing::Restart, Duration::from_secs(1)).await.unwrap_err();
        why.contains("Lagrange.OneBot loses its bot").then_some(())
    })
    .await;
    let stats = bot.stats().await;
    assert!(stats["calls"].as_array().unwrap().iter().all(|c| c["action"] != "set_restart"));
}

#[tokio::test]
async fn an_order_without_effect_is_no_success() {
    let framework = Program::start("yunzai.js", &[]).await;
    let settings = Settings {
        set_restart: vec!["Other".to_owned()],
        ..before(&format!("{}/OneBotv11", framework.address))
    };
    let between = Between::start(settings).await;
    // The stand-in's set_restart ends it for good, whatever it calls itself.
    let bot = implementation(&between.address, PATH, &["--name", "Other"]).await;
    bot.round_trip("before").await;
    between.well(C::Delivering).await;
    let why = between.order(Doing::Restart, Duration::from_secs(3)).await.unwrap_err();
    assert!(why.contains("did not connect again"), "{why}");
    let stats = bot.stats().await;
    assert!(stats["calls"].as_array().unwrap().iter().any(|c| c["action"] == "set_restart"));
}

/// A framework that says what it is told, and tells what it hears.
async fn open_framework() -> (String, mpsc::UnboundedReceiver<Value>, mpsc::UnboundedSender<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (hear, heard) = mpsc::unbounded_channel();
    let (say, mut says) = mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(tcp).await.unwrap();
        loop {
            tokio::select! {
                Some(Ok(message)) = ws.next() => if let Message::Text(text) = message {
                    hear.send(serde_json::from_str(&text).unwrap()).unwrap();
                },
                Some(call) = says.recv() => ws.send(Message::text(call.to_string())).await.unwrap(),
                else => return,
            }
        }
    });
    (address, heard, say)
}

#[tokio::test]
async fn our_own_calls_stay_ours_and_the_frameworks_get_an_answer_while_nobody_is_there() {
    let (address, mut heard, say) = open_framework().await;
    let between = Between::start(before(&address)).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    between.well(C::Delivering).await;
    say.send(serde_json::json!({ "action": "get_login_info", "params": {}, "echo": { "seq": 1 } })).unwrap();
    let mut answers = async || loop {
        let said = heard.recv().await.unwrap();
        if said["post_type"].is_null() {
            return said;
        }
    };
    let answer = answers().await;
    assert_eq!((&answer["echo"]["seq"], &answer["retcode"]), (&Value::from(1), &Value::from(0)));
    until("a few calls of ours", async || {
        let stats = bot.stats().await;
        let own =
            stats["calls"].as_array()?.iter().filter(|c| c["echo"].to_string().contains("mooring")).count();
        (own >= 3).then_some(())
    })
    .await;
    bot.kill().await;
    between.claims(C::Reachable, Status::False, Some(Cause::PeerAbsent)).await;
    say.send(serde_json::json!({ "action": "send_msg", "params": {}, "echo": "two" })).unwrap();
    // Nothing of ours came in between.
    let answer = answers().await;
    assert_eq!((&answer["echo"], &answer["status"]), (&Value::from("two"), &Value::from("failed")));
    assert_eq!(answer["retcode"], 1503);
}

#[tokio::test]
async fn a_framework_that_freezes_is_found_and_the_implementation_does_not_notice() {
    let framework = Program::start("yunzai.js", &[]).await;
    let between = Between::start(before(&format!("{}/OneBotv11", framework.address))).await;
    let bot = implementation(&between.address, PATH, &[]).await;
    bot.round_trip("before").await;
    framework.signal("STOP").await;
    between.claims(C::Reachable, Status::False, Some(Cause::HalfOpen)).await;
    between.claims(C::Reachable, Status::False, Some(Cause::HandshakeTimedOut)).await;
    bot.make("event&text=meanwhile").await;
    assert_eq!(between.last(C::Beating).unwrap().status, Status::True);
    framework.signal("CONT").await;
    between.well(C::Reachable).await;
    bot.called_with("echo meanwhile").await;
    assert_eq!(bot.stats().await["closes"], serde_json::json!([]));
}
