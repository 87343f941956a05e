//! Heartbeats inside text messages, with the peek that looks for them.

use super::super::{Beat, Lifecycle, Millis, PeekFor};
use super::{BIN, CONT, Case, FIN, PING, TEXT};

const OPEN: &[u8] = br#"0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const HEARTBEAT: &[u8] = br#"{"time":1718623309,"self_id":1234567890,"post_type":"meta_event","meta_event_type":"heartbeat","status":{"online":true,"good":false},"interval":5000}"#;
const LIFECYCLE: &[u8] = br#"{"time":1718623309,"self_id":1234567890,"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#;
const CHAT: &[u8] = br#"{"time":1718623309,"self_id":1234567890,"post_type":"message","raw_message":"{\"meta_event_type\":\"heartbeat\"}"}"#;

pub(super) fn cases() -> Vec<Case> {
    let open = Beat::EngineOpen { interval: Millis::new(25_000), timeout: Millis::new(20_000) };
    let heartbeat =
        Beat::OneBotHeartbeat { interval: Millis::new(5000), online: Some(true), good: Some(false) };
    let rows: [(&str, PeekFor, &[u8], Option<Beat>); 17] = [
        ("engine/open", PeekFor::EngineIo, OPEN, Some(open)),
        ("engine/close", PeekFor::EngineIo, b"1", Some(Beat::EngineClose)),
        ("engine/ping", PeekFor::EngineIo, b"2", Some(Beat::EnginePing)),
        ("engine/pong", PeekFor::EngineIo, b"3", Some(Beat::EnginePong)),
        ("engine/probe", PeekFor::EngineIo, b"2probe", Some(Beat::EngineProbe)),
        ("engine/probe-answer", PeekFor::EngineIo, b"3probe", Some(Beat::EngineProbeAnswer)),
        ("engine/upgrade", PeekFor::EngineIo, b"5", Some(Beat::EngineUpgrade)),
        ("engine/connect", PeekFor::EngineIo, b"40{\"sid\":\"x\"}", Some(Beat::SocketConnect)),
        (
            "engine/connect-error",
            PeekFor::EngineIo,
            b"44{\"message\":\"no\"}",
            Some(Beat::SocketConnectError),
        ),
        ("engine/event", PeekFor::EngineIo, b"42[\"chat\",\"2\"]", Some(Beat::EngineMessage)),
        ("engine/no-packet", PeekFor::EngineIo, b"2 or 3", None),
        ("onebot/heartbeat", PeekFor::OneBot, HEARTBEAT, Some(heartbeat)),
        (
            "onebot/lifecycle",
            PeekFor::OneBot,
            LIFECYCLE,
            Some(Beat::OneBotLifecycle(Some(Lifecycle::Connect))),
        ),
        ("onebot/chat", PeekFor::OneBot, CHAT, None),
        ("onebot/not-asked-for", PeekFor::EngineIo, HEARTBEAT, None),
        ("any/heartbeat", PeekFor::Any, HEARTBEAT, Some(heartbeat)),
        ("none/ping", PeekFor::None, b"2", None),
    ];
    let mut cases = Vec::new();
    for (name, peek, text, beat) in rows {
        cases.extend(Case::both(&format!("beat/{name}"), |case| {
            let case = case.peeking(peek).frame(FIN | TEXT, text);
            let len = text.len() as u64;
            if let Some(beat) = beat { case.beat(len, beat) } else { case.text(len) }
        }));
    }
    cases.extend(Case::both("beat/binary-is-none", |case| {
        case.peeking(PeekFor::Any).frame(FIN | BIN, b"2").binary(1)
    }));
    cases.extend(Case::both("beat/fragments-are-none", |case| {
        case.peeking(PeekFor::Any)
            .frame(TEXT, b"2")
            .frame(FIN | PING, b"")
            .frame(FIN | CONT, b"")
            .frame(FIN | TEXT, b"3")
            .ping(b"")
            .text(1)
            .beat(1, Beat::EnginePong)
    }));
    // A long event: its beginning says what it is, long before its end.
    cases.extend(Case::both("beat/long-event", |case| {
        let event = [b"42[\"file\",\"".as_slice(), &[b'x'; 1000], b"\"]"].concat();
        case.peeking(PeekFor::Any).frame(FIN | TEXT, &event).beat(event.len() as u64, Beat::EngineMessage)
    }));
    // The interval lies beyond the 256 bytes that are looked at.
    cases.extend(Case::both("beat/interval-beyond-the-peek", |case| {
        let far =
            [br#"{"meta_event_type":"heartbeat","pad":""#.as_slice(), &[b'x'; 300], br#"","interval":5000}"#]
                .concat();
        let beat = Beat::OneBotHeartbeat { interval: None, online: None, good: None };
        case.peeking(PeekFor::OneBot).frame(FIN | TEXT, &far).beat(far.len() as u64, beat)
    }));
    cases
}
