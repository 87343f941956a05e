//! Beside the stock client: the server must not see a difference, and both must read the same packets.

use std::path::Path;
use std::process::Stdio;

use mooring_socketio::client::{Client, Options};
use mooring_socketio::endpoint::Way;
use mooring_socketio::packet::socket::{Kind, Packet};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{Server, event, soon};

fn stock(args: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateways");
    let mut command = Command::new("node");
    command.arg(folder.join("sio-client.js")).args(args).kill_on_drop(true);
    command.stdin(Stdio::null());
    command
}

#[tokio::test]
async fn the_server_sees_the_same() {
    for way in [Way::WebSocket, Way::Polling] {
        let server = Server::start(&[]).await;
        let status = soon("the stock client", stock(&[&server.address, way.name()]).status()).await.unwrap();
        assert!(status.success());
        server.is_empty().await;
        let theirs = server.log().await;
        let mut client =
            Client::connect(&server.endpoint(), &Options { way, ..Options::default() }).await.unwrap();
        event(&mut client, "hello").await;
        client.close().await;
        server.is_empty().await;
        let ours = server.log().await.split_off(theirs.len());
        assert_eq!(ours, theirs, "{}", way.name());
        assert!(theirs.len() >= 4, "{theirs:?}");
    }
}

/// Texts at the edges of the format, each whole and damaged in many places.
fn texts() -> Vec<String> {
    let whole = [
        "0",
        "0{}",
        r#"0/a,{"sid":"x"}"#,
        "0/a",
        "0/a,",
        "0[]",
        "0null",
        "1",
        "1/a,",
        "1/a",
        "1{}",
        r#"2["a"]"#,
        r#"2["a",1,null]"#,
        r#"2/a,["a"]"#,
        r#"212["a"]"#,
        r#"2/a,12["a"]"#,
        "2[]",
        "2[1]",
        "2[null]",
        "2{}",
        "2",
        "212",
        "30[]",
        "3[]",
        r#"3/a,7["x"]"#,
        r#"4{"message":"x"}"#,
        r#"4"x""#,
        "4",
        "4[]",
        r#"51-["a",{"_placeholder":true,"num":0}]"#,
        r#"5["a"]"#,
        r#"50-["a"]"#,
        r#"510-["a"]"#,
        r#"61-1[{"_placeholder":true,"num":0}]"#,
        "61-[1]",
        "7",
        "x",
        r#"2/a?b,["a"]"#,
        "2/,[\"a\"]",
        r#"2-1["a"]"#,
        r#"2["a"] "#,
        r#"2["a"]]"#,
        r#"2/é,["é"]"#,
    ];
    let mut all: Vec<String> = whole.iter().map(|s| (*s).to_owned()).collect();
    for text in whole {
        for (at, c) in text.char_indices() {
            let after = &text[at + c.len_utf8()..];
            all.push(format!("{}{after}", &text[..at]));
            all.push(format!("{}0{after}", &text[..at]));
            all.push(format!("{}{c},{after}", &text[..at]));
        }
    }
    all.retain(|text| !text.is_empty());
    all.sort_unstable();
    all.dedup();
    all
}

/// What the stock parser would make of our packet, as JSON.
fn as_theirs(packet: &Packet) -> Value {
    let mut out = serde_json::Map::new();
    let (kind, id, data) = match &packet.kind {
        Kind::Connect(auth) => (0, None, auth.clone()),
        Kind::Disconnect => (1, None, None),
        Kind::Event { id, name, args, attachments } => {
            let all = std::iter::once(Value::from(name.as_str())).chain(args.iter().cloned()).collect();
            (if *attachments > 0 { 5 } else { 2 }, *id, Some(Value::Array(all)))
        }
        Kind::Ack { id, args, attachments } => {
            (if *attachments > 0 { 6 } else { 3 }, Some(*id), Some(Value::Array(args.clone())))
        }
        Kind::ConnectError(why) => (4, None, Some(why.clone())),
    };
    out.insert("type".to_owned(), kind.into());
    if packet.attachments() > 0 {
        out.insert("attachments".to_owned(), packet.attachments().into());
    }
    out.insert("nsp".to_owned(), packet.namespace.as_str().into());
    out.extend(id.map(|id| ("id".to_owned(), id.into())));
    out.extend(data.map(|data| ("data".to_owned(), data)));
    Value::Object(out)
}

/// What the stock parser lets through that nobody can use, taken out: events and refusals without a payload, answers to
/// nothing, numbers on packets that have none. Names that are numbers are text here.
fn usable(mut packet: Value) -> Value {
    let has = |key: &str| packet.get(key).is_some();
    let useless = match packet["type"].as_u64() {
        Some(2 | 4 | 5) => !has("data"),
        Some(3 | 6) => !has("data") || !has("id"),
        _ => false,
    };
    if useless {
        return Value::Null;
    }
    let kind = packet["type"].as_u64();
    if let (Some(0 | 1), Some(packet)) = (kind, packet.as_object_mut()) {
        packet.remove("id");
    }
    if let (Some(2 | 5), Some(name)) = (kind, packet.pointer_mut("/data/0"))
        && name.is_number()
    {
        *name = Value::from(name.to_string());
    }
    packet
}

#[tokio::test]
async fn the_same_packets_are_read() {
    let texts = texts();
    let mut child = stock(&["packets"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String = texts.iter().map(|t| format!("{}\n", Value::from(t.as_str()))).collect();
    let write = async {
        input.write_all(lines.as_bytes()).await.unwrap();
        drop(input);
    };
    let (output, ()) =
        soon("the stock parser", async { tokio::join!(child.wait_with_output(), write) }).await;
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let theirs: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(theirs.len(), texts.len());
    for (text, theirs) in texts.iter().zip(theirs) {
        let ours = Packet::decode(text).map_or(Value::Null, |packet| as_theirs(&packet));
        assert_eq!(ours, usable(theirs), "{text}");
    }
}
