//! tungstenite as the second opinion: its encoder makes the streams, its parser reads them.

use std::io::{Cursor, Read, Write};

use mooring_wire::frames::cases;
use mooring_wire::frames::{CloseReason, Opcode, PayloadKey, ScanLimits, Scanner, Seen, Sender, check};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader, FrameSocket};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

/// What one frame of a valid stream is.
#[derive(Debug, Clone)]
enum Part {
    Message { text: bool, fragments: Vec<Vec<u8>> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn part() -> impl Strategy<Value = Part> {
    let size = prop_oneof![0..8_usize, 120..132_usize, 60..300_usize, 65_530..65_540_usize];
    let fragment = (size, any::<u8>()).prop_map(|(size, byte)| vec![b'a' + byte % 26; size]);
    let control = || vec(any::<u8>(), 0..=125);
    prop_oneof![
        3 => (any::<bool>(), vec(fragment, 1..4)).prop_map(|(text, fragments)| Part::Message { text, fragments }),
        1 => control().prop_map(Part::Ping),
        1 => control().prop_map(Part::Pong),
    ]
}

/// Frames as tungstenite writes them.
struct Encoder {
    mask: Option<[u8; 4]>,
    bytes: Vec<u8>,
    frames: u64,
}

impl Encoder {
    fn frame(&mut self, opcode: OpCode, is_final: bool, payload: &[u8]) {
        // A mask of its own for each frame.
        let mask = self.mask.map(|mask| mask.map(|byte| byte.wrapping_add(self.frames as u8)));
        let header = FrameHeader { is_final, opcode, mask, ..FrameHeader::default() };
        Frame::from_payload(header, payload.to_vec().into()).format(&mut self.bytes).unwrap();
        self.frames += 1;
    }

    /// Writes the part with a ping between any two of its fragments, and says what must be seen.
    fn part(&mut self, part: &Part, sees: &mut Vec<Seen>) {
        let key = |payload: &[u8]| PayloadKey::of(payload);
        match part {
            Part::Ping(payload) => {
                self.frame(OpCode::Control(Control::Ping), true, payload);
                sees.push(Seen::Ping { key: key(payload) });
            }
            Part::Pong(payload) => {
                self.frame(OpCode::Control(Control::Pong), true, payload);
                sees.push(Seen::Pong { key: key(payload) });
            }
            Part::Message { text, fragments } => {
                let kind = if *text { Data::Text } else { Data::Binary };
                for (i, fragment) in fragments.iter().enumerate() {
                    let opcode = OpCode::Data(if i == 0 { kind } else { Data::Continue });
                    let last = i + 1 == fragments.len();
                    self.frame(opcode, last, fragment);
                    if !last {
                        self.frame(OpCode::Control(Control::Ping), true, b"between");
                        sees.push(Seen::Ping { key: key(b"between") });
                    }
                }
                sees.push(Seen::Message {
                    opcode: if *text { Opcode::Text } else { Opcode::Binary },
                    len: fragments.iter().map(|fragment| fragment.len() as u64).sum(),
                    compressed: false,
                    beat: None,
                });
            }
        }
    }
}

/// A stream to read, and a hole for the pongs of the reader.
struct OneWay<'a>(Cursor<&'a [u8]>);

impl Read for OneWay<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for OneWay<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What tungstenite reads at the other end, and the error that is no plain end of the stream.
fn tungstenite(sender: Sender, limits: ScanLimits, bytes: &[u8]) -> (Vec<Seen>, Option<Error>) {
    let role = if sender == Sender::Client { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default()
        .max_frame_size(Some(limits.frame as usize))
        .max_message_size(Some(limits.message as usize));
    let mut socket = WebSocket::from_raw_socket(OneWay(Cursor::new(bytes)), role, Some(config));
    let mut seen = Vec::new();
    loop {
        let whole =
            |opcode, len: usize| Seen::Message { opcode, len: len as u64, compressed: false, beat: None };
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => whole(Opcode::Text, text.len()),
            Ok(Message::Binary(data)) => whole(Opcode::Binary, data.len()),
            Ok(Message::Ping(payload)) => Seen::Ping { key: PayloadKey::of(&payload) },
            Ok(Message::Pong(payload)) => Seen::Pong { key: PayloadKey::of(&payload) },
            Ok(Message::Close(None)) => Seen::Close { code: None, reason: CloseReason::NONE },
            Ok(Message::Close(Some(frame))) => Seen::Close {
                code: Some(frame.code.into()),
                reason: CloseReason::new(frame.reason.as_bytes()),
            },
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (seen, None);
            }
            Err(error) => return (seen, Some(error)),
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn valid_streams_are_seen_right_and_as_tungstenite_reads_them(
        parts in vec(part(), 0..8),
        mask in any::<[u8; 4]>(),
        sizes in vec(1..5000_usize, 1..20),
    ) {
        for sender in [Sender::Client, Sender::Server] {
            let mut encoder =
                Encoder { mask: (sender == Sender::Client).then_some(mask), bytes: Vec::new(), frames: 0 };
            let mut sees = Vec::new();
            for part in &parts {
                encoder.part(part, &mut sees);
            }
            let mut scanner = Scanner::new(sender, ScanLimits::default());
            let (mut seen, mut rest) = (Vec::new(), encoder.bytes.as_slice());
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*size));
                scanner.scan(piece, &mut |one| seen.push(one)).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&seen, &sees);
            prop_assert!(scanner.at_boundary());
            prop_assert_eq!(scanner.counts().frames, encoder.frames);
            let (theirs, error) = tungstenite(sender, ScanLimits::default(), &encoder.bytes);
            prop_assert!(error.is_none(), "{:?}", error);
            prop_assert_eq!(&theirs, &sees);
            if encoder.bytes.len() < 10_000 {
                check::scanner(&[&[u8::from(sender == Sender::Server), mask[0]], encoder.bytes.as_slice()].concat());
            }
        }
    }

    /// Header by header, whatever bits are set, as long as the opcode is one that tungstenite follows.
    #[test]
    fn headers_are_read_as_tungstenite_reads_them(
        frames in vec((any::<u8>(), any::<bool>(), 0..300_usize), 1..10),
    ) {
        let mut stream = Vec::new();
        for (first, masked, len) in &frames {
            let opcode = OpCode::from([0, 1, 2, 8, 9, 10][usize::from(first & 15) % 6]);
            let header = FrameHeader {
                is_final: first & 0x80 != 0,
                rsv1: first & 0x40 != 0,
                rsv2: first & 0x20 != 0,
                rsv3: first & 0x10 != 0,
                opcode,
                mask: masked.then_some([5, 6, 7, 8]),
            };
            Frame::from_payload(header, vec![0; *len].into()).format(&mut stream).unwrap();
        }
        let mut theirs = FrameSocket::new(Cursor::new(stream.clone()));
        let mut scanner = Scanner::new(Sender::Client, ScanLimits::default());
        let (mut rest, mut payload) = (stream.as_slice(), 0);
        while let Some(frame) = theirs.read(None).unwrap() {
            let used = scanner.scan_frame(rest, &mut |_| {}).unwrap();
            prop_assert_eq!(used, frame.len());
            payload += frame.payload().len() as u64;
            prop_assert_eq!(scanner.counts().payload, payload);
            rest = &rest[used..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(scanner.counts().frames, frames.len() as u64);
    }
}

/// Where tungstenite differs, knowingly: it takes lengths in a longer form than needed, stops reading at a Close, and its
/// registry of close codes ends at 1013.
fn differs(name: &str) -> bool {
    name.contains("-in-16-bits/")
        || name.contains("-in-64-bits/")
        || name.starts_with("control/long-form/")
        || name.starts_with("close/then/")
        || name == "rule/all-at-once"
        || name.starts_with("close/code/1014/")
}

#[test]
fn the_table_agrees_with_tungstenite() {
    let mut asked = 0;
    for case in cases::all().iter().filter(|case| !case.compressed && !differs(&case.name)) {
        asked += 1;
        let (theirs, error) = tungstenite(case.sender, case.limits, &case.bytes);
        if case.accepted {
            assert!(error.is_none(), "{}: {error:?}", case.name);
            assert_eq!(theirs, without_beats(&case.sees), "{}", case.name);
        } else {
            // A bad close code is turned into one that says so.
            let said = Seen::Close { code: Some(1002), reason: CloseReason::new(b"Protocol violation") };
            assert!(error.is_some() || theirs.last() == Some(&said), "{}: taken as {theirs:?}", case.name);
        }
    }
    assert!(asked > 250, "{asked}");
}

fn without_beats(sees: &[Seen]) -> Vec<Seen> {
    let plain = |seen: &Seen| match *seen {
        Seen::Message { opcode, len, compressed, beat: _ } => {
            Seen::Message { opcode, len, compressed, beat: None }
        }
        other => other,
    };
    sees.iter().map(plain).collect()
}
