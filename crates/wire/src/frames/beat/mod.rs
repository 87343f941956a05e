//! Heartbeats inside small text messages, recognised by a bounded look at their first bytes.
//!
//! Engine.IO and OneBot beat in messages of their own and not in pings, so whoever wants to know whether a session lives
//! must look into text. The look is bounded twice: the first byte says whether the message can be a beat at all and how much
//! of it is worth reading ([`PeekFor::want`]), and that is never more than [`MAX_PEEK`] bytes. A marker that lies beyond is
//! simply not seen. 256 bytes hold an Engine.IO open packet (about 120) and the heartbeats of the OneBot implementations
//! known (130 to 240, with the marker near byte 95).
//!
//! Messages in several frames are not looked into: no sender fragments a hundred bytes, and the buffer would have to
//! outlive its frame.

mod json;

use std::num::NonZeroU32;
use std::time::Duration;

use json::Members;

/// Most bytes of a message that are ever looked at.
pub(super) const MAX_PEEK: usize = 256;
/// Bytes that tell an Engine.IO packet other than open: `3probe` is the longest, `40/` the farthest that decides.
const SHORT_PEEK: usize = 6;

/// Which protocol's beats to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeekFor {
    /// None: payloads are not touched.
    #[default]
    None,
    /// Engine.IO version 4 packets, and those of Socket.IO that open and close a namespace.
    EngineIo,
    /// OneBot version 11 meta events.
    OneBot,
    /// Both. On a stream of neither, any text that begins with a digit 4 is taken for an Engine.IO message.
    Any,
}

impl PeekFor {
    /// How many bytes decide about a message that begins with this one; 0: it is no beat.
    pub(super) fn want(self, first: u8) -> usize {
        let engine = matches!(self, Self::EngineIo | Self::Any);
        let onebot = matches!(self, Self::OneBot | Self::Any);
        match first {
            b'0' if engine => MAX_PEEK,
            b'1'..=b'6' if engine => SHORT_PEEK,
            b'{' if onebot => MAX_PEEK,
            _ => 0,
        }
    }
}

/// A duration as protocols write it: whole milliseconds, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(NonZeroU32);

impl Millis {
    /// So many milliseconds; `None` for zero.
    #[must_use]
    pub fn new(millis: u32) -> Option<Self> {
        NonZeroU32::new(millis).map(Self)
    }

    /// As a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_millis(self.0.get().into())
    }

    /// From a JSON number. A fraction is dropped; what is negative, zero, in powers of ten or above 49 days is no promise.
    fn parse(number: &[u8]) -> Option<Self> {
        let digits = number.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = number.split_at(digits);
        if !matches!(rest, [] | [b'.', ..]) || rest.iter().any(|b| matches!(b, b'e' | b'E')) {
            return None;
        }
        Self::new(str::from_utf8(digits).ok()?.parse().ok()?)
    }
}

/// A beat of a protocol inside the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Beat {
    /// Engine.IO `0{…}`: the server opens the session and promises its heartbeat.
    EngineOpen {
        /// `pingInterval`: the server sends a ping so often.
        interval: Option<Millis>,
        /// `pingTimeout`: and waits so long for its pong.
        timeout: Option<Millis>,
    },
    /// Engine.IO `1`: the session ends.
    EngineClose,
    /// Engine.IO `2`: the server's ping.
    EnginePing,
    /// Engine.IO `3`: the client's pong.
    EnginePong,
    /// Engine.IO `2probe`: the client tries this WebSocket before it leaves polling.
    EngineProbe,
    /// Engine.IO `3probe`: the server's answer.
    EngineProbeAnswer,
    /// Engine.IO `4…`: a message that is none of the following.
    EngineMessage,
    /// Engine.IO `5`: the client has left polling.
    EngineUpgrade,
    /// Engine.IO `6`: nothing.
    EngineNoop,
    /// Socket.IO `40…`: a namespace is asked for, or granted.
    SocketConnect,
    /// Socket.IO `41…`: a namespace is left.
    SocketDisconnect,
    /// Socket.IO `44…`: a namespace is refused.
    SocketConnectError,
    /// OneBot 11 heartbeat. What lies beyond the peek is `None`.
    OneBotHeartbeat {
        /// `interval`: the next one comes after so long.
        interval: Option<Millis>,
        /// `status.online`: the account is logged in, says the implementation.
        online: Option<bool>,
        /// `status.good`: it works as it should, says the implementation.
        good: Option<bool>,
    },
    /// OneBot 11 lifecycle event.
    OneBotLifecycle(Option<Lifecycle>),
}

/// What a OneBot lifecycle event (`sub_type`) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// `connect`: this WebSocket was opened.
    Connect,
    /// `enable`: the implementation was enabled.
    Enable,
    /// `disable`: it was disabled.
    Disable,
}

/// What a text message is, by its first bytes: `start` holds all of what [`PeekFor::want`] asked for, or the whole message.
pub(super) fn recognise(peek: PeekFor, start: &[u8], len: u64) -> Option<Beat> {
    let first = *start.first()?;
    if peek.want(first) == 0 {
        return None;
    }
    // An Engine.IO packet without data is exactly its digit: "1 moment please" is no close.
    let whole = start.len() as u64 == len;
    match start {
        [b'{', ..] => one_bot(start),
        [b'0', json @ ..] if json.starts_with(b"{") => Some(engine_open(json)),
        [b'1'] if whole => Some(Beat::EngineClose),
        [b'2'] if whole => Some(Beat::EnginePing),
        [b'3'] if whole => Some(Beat::EnginePong),
        [b'5'] if whole => Some(Beat::EngineUpgrade),
        [b'6'] if whole => Some(Beat::EngineNoop),
        b"2probe" if whole => Some(Beat::EngineProbe),
        b"3probe" if whole => Some(Beat::EngineProbeAnswer),
        [b'4', packet @ ..] => Some(socket_io(packet)),
        _ => None,
    }
}

/// What an Engine.IO message carries. Its packet type is followed by its end, a namespace (`/…`) or its data (`{…`);
/// anything else is an application that speaks Engine.IO without Socket.IO.
fn socket_io(packet: &[u8]) -> Beat {
    match packet {
        [b'0'] | [b'0', b'{' | b'/', ..] => Beat::SocketConnect,
        [b'1'] | [b'1', b'/', ..] => Beat::SocketDisconnect,
        [b'4', b'{' | b'/', ..] => Beat::SocketConnectError,
        _ => Beat::EngineMessage,
    }
}

fn engine_open(json: &[u8]) -> Beat {
    let (mut interval, mut timeout) = (None, None);
    for member in Members::of(json).filter(|m| m.parent.is_empty()) {
        match member.key {
            b"\"pingInterval\"" => interval = Millis::parse(member.value),
            b"\"pingTimeout\"" => timeout = Millis::parse(member.value),
            _ => {}
        }
    }
    Beat::EngineOpen { interval, timeout }
}

fn one_bot(json: &[u8]) -> Option<Beat> {
    let mut kind: &[u8] = b"";
    let (mut interval, mut online, mut good, mut life) = (None, None, None, None);
    for member in Members::of(json) {
        match (member.parent, member.key) {
            // Most events are chat, and say so early.
            (b"", b"\"post_type\"") if member.value != b"\"meta_event\"" => return None,
            (b"", b"\"meta_event_type\"") => kind = member.value,
            (b"", b"\"interval\"") => interval = Millis::parse(member.value),
            (b"", b"\"sub_type\"") => life = lifecycle(member.value),
            (b"\"status\"", b"\"online\"") => online = boolean(member.value),
            (b"\"status\"", b"\"good\"") => good = boolean(member.value),
            _ => {}
        }
    }
    match kind {
        b"\"heartbeat\"" => Some(Beat::OneBotHeartbeat { interval, online, good }),
        b"\"lifecycle\"" => Some(Beat::OneBotLifecycle(life)),
        _ => None,
    }
}

fn lifecycle(value: &[u8]) -> Option<Lifecycle> {
    match value {
        b"\"connect\"" => Some(Lifecycle::Connect),
        b"\"enable\"" => Some(Lifecycle::Enable),
        b"\"disable\"" => Some(Lifecycle::Disable),
        _ => None,
    }
}

fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the scanner asks: with no more than is wanted.
    fn seen(peek: PeekFor, text: &str) -> Option<Beat> {
        let want = text.bytes().next().map_or(0, |first| peek.want(first));
        recognise(peek, &text.as_bytes()[..want.min(text.len())], text.len() as u64)
    }

    #[test]
    fn engine_io_packets() {
        let rows = [
            ("1", Some(Beat::EngineClose)),
            ("2", Some(Beat::EnginePing)),
            ("3", Some(Beat::EnginePong)),
            ("2probe", Some(Beat::EngineProbe)),
            ("3probe", Some(Beat::EngineProbeAnswer)),
            ("4", Some(Beat::EngineMessage)),
            ("4hello", Some(Beat::EngineMessage)),
            ("42[\"a\",1]", Some(Beat::EngineMessage)),
            ("40", Some(Beat::SocketConnect)),
            ("40/admin,", Some(Beat::SocketConnect)),
            ("40{\"sid\":\"x\"}", Some(Beat::SocketConnect)),
            ("4000 requests", Some(Beat::EngineMessage)),
            ("41", Some(Beat::SocketDisconnect)),
            ("41/admin,", Some(Beat::SocketDisconnect)),
            ("44/ns,{\"message\":\"Invalid namespace\"}", Some(Beat::SocketConnectError)),
            ("44{\"message\":\"no\"}", Some(Beat::SocketConnectError)),
            ("44", Some(Beat::EngineMessage)),
            ("5", Some(Beat::EngineUpgrade)),
            ("6", Some(Beat::EngineNoop)),
            ("2 hello", None),
            ("1 moment please", None),
            ("2probed", None),
            ("3prob", None),
            ("0", None),
            ("0123", None),
            ("7", None),
            ("{\"meta_event_type\":\"heartbeat\"}", None),
        ];
        for (text, beat) in rows {
            assert_eq!(seen(PeekFor::EngineIo, text), beat, "{text}");
            assert_eq!(seen(PeekFor::None, text), None, "{text}");
            assert_eq!(seen(PeekFor::OneBot, text).is_some(), text.starts_with('{'), "{text}");
        }
    }

    #[test]
    fn the_open_packet_and_what_it_promises() {
        let open = |interval, timeout| Beat::EngineOpen {
            interval: Millis::new(interval),
            timeout: Millis::new(timeout),
        };
        let sent = r#"0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(seen(PeekFor::EngineIo, sent), Some(open(25_000, 20_000)));
        assert_eq!(seen(PeekFor::Any, r#"0{ "pingTimeout" : 5.5 , "pingInterval":2e3}"#), Some(open(0, 5)));
        assert_eq!(seen(PeekFor::Any, r#"0{"pingInterval":-1,"pingTimeout":99999999999}"#), Some(open(0, 0)));
        // A number the peek cuts off is not half a number.
        let rest = r#"","pingInterval":25000,"pingTimeout":20000}"#;
        let pad = 253 - r#"0{"sid":""#.len() - (rest.len() - "20000}".len());
        let far = format!(r#"0{{"sid":"{}{rest}"#, "x".repeat(pad));
        assert_eq!(&far[253..256], "200");
        assert_eq!(seen(PeekFor::EngineIo, &far), Some(open(25_000, 0)));
    }

    #[test]
    fn one_bot_heartbeats_of_several_implementations() {
        let beat = |online, good| Beat::OneBotHeartbeat { interval: Millis::new(30_000), online, good };
        let rows = [
            // NapCat; go-cqhttp; Python's json.dumps with its spaces; a fraction; truth unknown.
            (
                r#"{"time":1718623309,"self_id":1234567890,"post_type":"meta_event","meta_event_type":"heartbeat","status":{"online":true,"good":true},"interval":30000}"#,
                beat(Some(true), Some(true)),
            ),
            (
                r#"{"post_type":"meta_event","meta_event_type":"heartbeat","time":1718623309,"self_id":1234567890,"interval":30000,"status":{"app_enabled":true,"app_good":true,"online":false,"good":true,"stat":{"online":true,"PacketReceived":100}}}"#,
                beat(Some(false), Some(true)),
            ),
            (
                r#"{"time": 1718623309, "self_id": 10001, "post_type": "meta_event", "meta_event_type": "heartbeat", "status": {"online": true, "good": false}, "interval": 30000}"#,
                beat(Some(true), Some(false)),
            ),
            (
                r#"{"meta_event_type":"heartbeat","interval":30000.0,"status":{"online":null}}"#,
                beat(None, None),
            ),
        ];
        for (text, beat) in rows {
            assert_eq!(seen(PeekFor::OneBot, text), Some(beat), "{text}");
            assert_eq!(seen(PeekFor::Any, text), Some(beat), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_heartbeat() {
        let rows = [
            // Quoted in a chat message; in an answer; one level too deep; cut off.
            r#"{"post_type":"message","message":"{\"meta_event_type\":\"heartbeat\"}"}"#,
            r#"{"message":"\"meta_event_type\":\"heartbeat\""}"#,
            r#"{"post_type":"message","meta_event_type":"heartbeat"}"#,
            r#"{"data":{"meta_event_type":"heartbeat"}}"#,
            r#"{"list":["meta_event_type","heartbeat"]}"#,
            r#"{"meta_event_type":"heartbeat"#,
            r#"{"meta_event_type":"#,
            r#"{"}"#,
            r#"{}"meta_event_type":"heartbeat""#,
        ];
        for text in rows {
            assert_eq!(seen(PeekFor::OneBot, text), None, "{text}");
        }
        let far = format!(r#"{{"x":"{}","meta_event_type":"heartbeat"}}"#, "y".repeat(230));
        assert_eq!(seen(PeekFor::OneBot, &far), None);
    }

    #[test]
    fn one_bot_lifecycle() {
        let said = |sub: &str| {
            seen(
                PeekFor::OneBot,
                &format!(r#"{{"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"{sub}"}}"#),
            )
        };
        assert_eq!(said("connect"), Some(Beat::OneBotLifecycle(Some(Lifecycle::Connect))));
        assert_eq!(said("enable"), Some(Beat::OneBotLifecycle(Some(Lifecycle::Enable))));
        assert_eq!(said("disable"), Some(Beat::OneBotLifecycle(Some(Lifecycle::Disable))));
        assert_eq!(said("other"), Some(Beat::OneBotLifecycle(None)));
    }
}
