//! Streams of frames, and what must be seen in each: RFC 6455 as a table.
//!
//! The table is data, so that more than one test can use it: the scanner is held against [`field@Case::sees`], a relay is sent the
//! same bytes that go to the endpoint directly and must not change one of them, the fuzzer starts from them. What is to be
//! seen is written down here and not computed, by an encoder of a few lines that shares nothing with the scanner's reader.
//!
//! Names are paths (`close/code/1005`), unique and stable. [`Case::accepted`] says what an endpoint that keeps the rules
//! makes of it.

mod beats;
mod closes;
mod control;
mod messages;
mod rules;

use std::collections::BTreeSet;

use super::{
    Beat, CloseReason, Opcode, PayloadKey, PeekFor, ScanLimits, Scanner, Seen, Sender, Violation,
    ViolationKind,
};

/// The mask of every masked frame here: the one of RFC 6455's examples.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONT: u8 = 0;
const TEXT: u8 = 1;
const BIN: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What one side sends after the handshake, and what must be seen in it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique and stable.
    pub name: String,
    /// Who sends it.
    pub sender: Sender,
    /// Whether permessage-deflate was negotiated.
    pub compressed: bool,
    /// The limits to scan with.
    pub limits: ScanLimits,
    /// The beats to look for.
    pub peek: PeekFor,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What must be seen, in order.
    pub sees: Vec<Seen>,
    /// The violation that ends the following.
    pub fails: Option<Violation>,
    /// Whether the stream ends between two frames.
    pub at_boundary: bool,
    /// Whether an endpoint that keeps the rules (and has the limits) takes all of it. A stream that ends within a frame is
    /// taken so far.
    pub accepted: bool,
}

impl Case {
    /// A case that sends nothing yet.
    fn new(name: impl Into<String>, sender: Sender) -> Self {
        Self {
            name: name.into(),
            sender,
            compressed: false,
            limits: ScanLimits::default(),
            peek: PeekFor::None,
            bytes: Vec::new(),
            sees: Vec::new(),
            fails: None,
            at_boundary: true,
            accepted: true,
        }
    }

    /// The same case sent by a client and by a server.
    fn both(name: &str, build: impl Fn(Self) -> Self) -> Vec<Self> {
        [(Sender::Client, "client"), (Sender::Server, "server")]
            .map(|(sender, who)| build(Self::new(format!("{name}/{who}"), sender)))
            .into()
    }

    /// A frame as this sender must write it.
    fn frame(self, first: u8, payload: &[u8]) -> Self {
        let masked = self.sender == Sender::Client;
        self.raw(first, masked, short(payload.len() as u64), payload)
    }

    /// A frame with the length written like this. The first byte of `length` has no mask bit.
    fn raw(mut self, first: u8, masked: bool, length: Vec<u8>, payload: &[u8]) -> Self {
        let start = self.bytes.len();
        self.bytes.push(first);
        self.bytes.extend(length);
        if masked {
            self.bytes[start + 1] |= 0x80;
            self.bytes.extend(MASK);
            self.bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            self.bytes.extend(payload);
        }
        self
    }

    fn sees(mut self, seen: Seen) -> Self {
        self.sees.push(seen);
        self
    }

    fn text(self, len: u64) -> Self {
        self.sees(Seen::Message { opcode: Opcode::Text, len, compressed: false, beat: None })
    }

    fn binary(self, len: u64) -> Self {
        self.sees(Seen::Message { opcode: Opcode::Binary, len, compressed: false, beat: None })
    }

    fn deflated(self, opcode: Opcode, len: u64) -> Self {
        self.sees(Seen::Message { opcode, len, compressed: true, beat: None })
    }

    fn beat(self, len: u64, beat: Beat) -> Self {
        self.sees(Seen::Message { opcode: Opcode::Text, len, compressed: false, beat: Some(beat) })
    }

    fn ping(self, payload: &[u8]) -> Self {
        self.sees(Seen::Ping { key: PayloadKey::of(payload) })
    }

    fn pong(self, payload: &[u8]) -> Self {
        self.sees(Seen::Pong { key: PayloadKey::of(payload) })
    }

    fn close(self, code: Option<u16>, reason: &[u8]) -> Self {
        self.sees(Seen::Close { code, reason: CloseReason::new(reason) })
    }

    fn broken(mut self, at_frame: u64, kind: ViolationKind) -> Self {
        self.accepted = false;
        self.sees(Seen::Violated(Violation { kind, at_frame }))
    }

    fn fails(mut self, at_frame: u64, kind: ViolationKind) -> Self {
        self.fails = Some(Violation { kind, at_frame });
        self.accepted = false;
        self.at_boundary = false;
        self
    }

    fn cut(mut self) -> Self {
        self.at_boundary = false;
        self
    }

    fn refused(mut self) -> Self {
        self.accepted = false;
        self
    }

    fn with_deflate(mut self) -> Self {
        self.compressed = true;
        self
    }

    fn peeking(mut self, peek: PeekFor) -> Self {
        self.peek = peek;
        self
    }

    fn limited(mut self, frame: u64, message: u64) -> Self {
        self.limits = ScanLimits { frame, message };
        self
    }

    /// A scanner as the case wants it.
    #[must_use]
    pub fn scanner(&self) -> Scanner {
        Scanner::new(self.sender, self.limits).compressed(self.compressed).peek(self.peek)
    }
}

/// The shortest form of a length, without the mask bit.
fn short(len: u64) -> Vec<u8> {
    match len {
        0..=125 => vec![len as u8],
        126..=0xffff => wide(len),
        _ => wider(len),
    }
}

/// A length in 16 bits.
fn wide(len: u64) -> Vec<u8> {
    [&[126][..], &(len as u16).to_be_bytes()].concat()
}

/// A length in 64 bits.
fn wider(len: u64) -> Vec<u8> {
    [&[127][..], &len.to_be_bytes()].concat()
}

/// The table.
///
/// # Panics
///
/// If two cases have one name.
#[must_use]
pub fn all() -> Vec<Case> {
    let cases =
        [messages::cases(), control::cases(), closes::cases(), rules::cases(), beats::cases()].concat();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}
