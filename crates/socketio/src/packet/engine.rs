//! Engine.IO 4 packets: one character for the type, then data.
//!
//! A WebSocket message is one packet, binary messages are data as they are. A polling body is any number of packets with
//! a separator between them, and binary data is written in base64 there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{MAX_PACKETS, PacketError};

/// Between the packets of a polling body.
const SEPARATOR: char = '\u{1e}';

/// A packet. `Debug` shows no data: it is other people's.
#[derive(Clone, PartialEq, Eq)]
pub enum Packet {
    /// The session is open; JSON, see [`crate::Open`].
    Open(String),
    /// The session is over.
    Close,
    /// A sign of life, to be answered with the same data. Sent by the server.
    Ping(String),
    /// Its answer.
    Pong(String),
    /// Text for the layer above.
    Text(String),
    /// Bytes for the layer above.
    Binary(Bytes),
    /// The transport changes.
    Upgrade,
    /// Nothing: ends a poll.
    Noop,
}

impl Packet {
    /// Reads one packet from text: a WebSocket text message, or a part of a polling body.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(text: &str) -> Result<Self, PacketError> {
        let kind = text.chars().next().ok_or(PacketError::Empty)?;
        let data = &text[kind.len_utf8()..];
        let owned = || data.to_owned();
        Ok(match kind {
            '0' => Self::Open(owned()),
            '1' => Self::Close,
            '2' => Self::Ping(owned()),
            '3' => Self::Pong(owned()),
            '4' => Self::Text(owned()),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            'b' => Self::Binary(STANDARD.decode(data).map_err(|_| PacketError::Base64)?.into()),
            _ => return Err(PacketError::Type),
        })
    }

    /// Writes it as text.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Open(data) => format!("0{data}"),
            Self::Close => "1".to_owned(),
            Self::Ping(data) => format!("2{data}"),
            Self::Pong(data) => format!("3{data}"),
            Self::Text(data) => format!("4{data}"),
            Self::Binary(data) => format!("b{}", STANDARD.encode(data)),
            Self::Upgrade => "5".to_owned(),
            Self::Noop => "6".to_owned(),
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Close => "close",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Text(_) => "message",
            Self::Binary(_) => "binary message",
            Self::Upgrade => "upgrade",
            Self::Noop => "noop",
        }
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a polling body.
///
/// # Errors
/// At the first part that is no packet, and when there are more than [`MAX_PACKETS`].
pub fn decode_payload(body: &str) -> Result<Vec<Packet>, PacketError> {
    let mut packets = Vec::new();
    for part in body.split(SEPARATOR) {
        if packets.len() == MAX_PACKETS {
            return Err(PacketError::TooMany);
        }
        packets.push(Packet::decode(part)?);
    }
    Ok(packets)
}

/// Writes a polling body.
#[must_use]
pub fn encode_payload(packets: &[Packet]) -> String {
    let parts: Vec<String> = packets.iter().map(Packet::encode).collect();
    parts.join(SEPARATOR.encode_utf8(&mut [0; 4]))
}

/// The opening packet's data in a polling body of Engine.IO 3: all of that version that is understood here, to recognise
/// its servers, which answer so whatever version they are asked for. Their packets have the length in front, in UTF-16
/// units; an opening packet is ASCII.
#[must_use]
pub fn opening_of_version_3(body: &str) -> Option<&str> {
    let (length, rest) = body.split_once(':')?;
    rest.get(..length.parse().ok()?)?.strip_prefix('0')
}

/// The close packet, as versions 4 and 3 write it in a polling body.
#[must_use]
pub fn close_payload(version: u8) -> &'static str {
    if version == 3 { "1:1" } else { "1" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = Packet> {
        // The separator cannot stand in a polling body's data: JSON, which it is, escapes it.
        let data = "[^\u{1e}]{0,20}";
        prop_oneof![
            data.prop_map(Packet::Open),
            Just(Packet::Close),
            data.prop_map(Packet::Ping),
            data.prop_map(Packet::Pong),
            data.prop_map(Packet::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Packet::Binary(b.into())),
            Just(Packet::Upgrade),
            Just(Packet::Noop),
        ]
    }

    proptest! {
        #[test]
        fn packets_come_back(packets in prop::collection::vec(packet(), 1..8)) {
            for packet in &packets {
                prop_assert_eq!(&Packet::decode(&packet.encode()).unwrap(), packet);
            }
            prop_assert_eq!(decode_payload(&encode_payload(&packets)).unwrap(), packets);
        }

        #[test]
        fn anything_is_read_or_refused(text in ".{0,64}") {
            if let Ok(packet) = Packet::decode(&text) {
                prop_assert!(Packet::decode(&packet.encode()).is_ok());
            }
            let _ = decode_payload(&text);
        }
    }

    #[test]
    fn as_the_reference_writes_them() {
        let body = "4hello\u{1e}2\u{1e}bAQIDBA==\u{1e}3probe";
        let expected = [
            Packet::Text("hello".to_owned()),
            Packet::Ping(String::new()),
            Packet::Binary(Bytes::from_static(&[1, 2, 3, 4])),
            Packet::Pong("probe".to_owned()),
        ];
        assert_eq!(decode_payload(body).unwrap(), expected);
        assert_eq!(encode_payload(&expected), body);
    }

    #[test]
    fn what_is_refused() {
        for (text, error) in [
            ("", PacketError::Empty),
            ("7", PacketError::Type),
            ("网", PacketError::Type),
            ("b***", PacketError::Base64),
            // Engine.IO 3 puts the length in front.
            ("96:0{}", PacketError::Type),
        ] {
            assert_eq!(Packet::decode(text).unwrap_err(), error, "{text}");
        }
        let many = "6\u{1e}".repeat(MAX_PACKETS) + "6";
        assert_eq!(decode_payload(&many).unwrap_err(), PacketError::TooMany);
        assert_eq!(format!("{:?}", Packet::Text("s3cret".to_owned())), "message");
    }

    #[test]
    fn the_older_version_is_recognised() {
        assert_eq!(opening_of_version_3("3:0{}2:40"), Some("{}"));
        for other in ["0{}", "99:0{}", "x:0{}", "2:40", "", "http://x"] {
            assert_eq!(opening_of_version_3(other), None, "{other}");
        }
        assert_eq!(close_payload(4), encode_payload(&[Packet::Close]));
    }
}
