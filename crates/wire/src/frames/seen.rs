//! What the scanner is told and what it tells: plain values.

use std::borrow::Cow;
use std::fmt;

use super::beat::Beat;
use super::violation::Violation;
use super::{MAX_CONTROL, head};

/// Which side sends the bytes: decides the masking rule (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The client: every frame is masked.
    Client,
    /// The server: no frame is masked.
    Server,
}

/// How much a peer may send at once before it is reported. The scanner holds none of it, so these are not about memory
/// here but about what the receiving end will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Largest payload of one data frame in bytes.
    pub frame: u64,
    /// Largest message in bytes, over all its frames, as sent (compressed, where it is).
    pub message: u64,
}

impl Default for ScanLimits {
    /// 1 GiB each: ten times the largest default among the gateways known (100 MiB).
    fn default() -> Self {
        Self { frame: 1 << 30, message: 1 << 30 }
    }
}

/// What went by so far in this direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames whose header was read, control frames included.
    pub frames: u64,
    /// Data messages that were finished.
    pub messages: u64,
    /// Bytes of payload, control frames included, headers not.
    pub payload: u64,
}

/// What a data message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Text (opcode 1).
    Text,
    /// Binary (opcode 2).
    Binary,
}

/// Something seen in the stream.
///
/// A frame gives its violations first, in the order of [`ViolationKind`](super::ViolationKind)'s checks, when its header is
/// complete, and its content at its end. There are never more than eight of them for one frame, and a frame is at least two
/// bytes: what a peer can make us handle is bounded by what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A data message ended.
    Message {
        /// Text or binary.
        opcode: Opcode,
        /// Its payload over all frames, in bytes, as sent.
        len: u64,
        /// Whether RSV1 said that it is compressed.
        compressed: bool,
        /// What the peek recognised in it. Always `None` for messages in several frames, compressed or binary ones.
        beat: Option<Beat>,
    },
    /// A ping.
    Ping {
        /// What it carried.
        key: PayloadKey,
    },
    /// A pong.
    Pong {
        /// What it carried.
        key: PayloadKey,
    },
    /// A Close frame. One with a bad code or reason comes after its violation.
    Close {
        /// The code as sent; `None` when there was none.
        code: Option<u16>,
        /// The reason as sent.
        reason: CloseReason,
    },
    /// A rule was broken, and the stream is followed further.
    Violated(Violation),
}

/// The identity of a control frame's payload (unmasked): equal payloads have equal keys, so a pong names its ping, and our
/// own pings are known by [`PayloadKey::of`].
///
/// It is 64-bit FNV-1a. A peer can construct two payloads with one key; all it gains is a wrong round trip of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadKey(pub(super) u64);

impl PayloadKey {
    /// The key of the empty payload, and of what is still to come.
    pub(super) const START: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The key of a payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self::START.with(payload, [0; 4])
    }

    /// The key after some more bytes under this mask.
    pub(super) fn with(self, masked: &[u8], mask: [u8; 4]) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(head::unmasked(masked, mask).fold(self.0, fold))
    }
}

/// A close reason as it was sent: at most 123 bytes, which should be UTF-8 but may be anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CloseReason {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl CloseReason {
    /// Longest reason in bytes: a control frame's payload less the code.
    pub const MAX: usize = MAX_CONTROL - 2;

    /// No reason.
    pub const NONE: Self = Self { len: 0, bytes: [0; Self::MAX] };

    /// A reason of these bytes, cut at 123.
    #[must_use]
    pub fn new(reason: &[u8]) -> Self {
        let mut out = Self::NONE;
        for (to, from) in out.bytes.iter_mut().zip(reason) {
            *to = *from;
            out.len += 1;
        }
        out
    }

    /// The bytes as sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// As text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lossy())
    }
}

impl fmt::Debug for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.lossy(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fnv_1a_and_masks_do_not_matter() {
        // The published vectors of FNV-1a, 64 bits.
        assert_eq!(PayloadKey::of(b"").0, 0xcbf2_9ce4_8422_2325);
        assert_eq!(PayloadKey::of(b"a").0, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(PayloadKey::of(b"foobar").0, 0x8594_4171_f739_67e8);
        let mask = [1, 2, 3, 4];
        let masked: Vec<u8> = b"foobar".iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        assert_eq!(PayloadKey::START.with(&masked, mask), PayloadKey::of(b"foobar"));
    }

    #[test]
    fn a_reason_is_bounded_and_shows_as_text() {
        assert_eq!(CloseReason::new(&[b'x'; 200]).as_bytes(), [b'x'; 123]);
        let broken = CloseReason::new(b"caf\xc3");
        assert_eq!(broken.to_string(), "caf\u{fffd}");
        assert_eq!(format!("{broken:?}"), "\"caf\u{fffd}\"");
        assert!(CloseReason::NONE.is_empty());
    }

    #[test]
    fn what_is_handed_over_is_small() {
        assert!(size_of::<Seen>() <= 136, "{}", size_of::<Seen>());
        assert_eq!(size_of::<PayloadKey>(), 8);
    }
}
