//! The rules of RFC 6455 a stream of frames can break, by name.

use thiserror::Error;

/// A rule that was broken, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("frame {at_frame} of the stream: {kind}")]
pub struct Violation {
    /// Which rule.
    pub kind: ViolationKind,
    /// The frame that broke it: its number in this direction of the stream, from 0.
    pub at_frame: u64,
}

/// Which rule was broken. The section is that of RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ViolationKind {
    /// §5.2: a 64-bit length whose highest bit is set. Nothing after it can be followed.
    #[error("a 64-bit length with the highest bit set")]
    LengthHighBit,
    /// §5.1: a client's frame without a mask, or a server's with one.
    #[error("a client's frame without a mask, or a server's with one")]
    WrongMask,
    /// §5.2: a reserved bit that no extension gives a meaning; RSV1 is allowed on the first frame of a message where
    /// permessage-deflate was negotiated (RFC 7692 §6).
    #[error("a reserved bit is set that no negotiated extension uses")]
    ReservedBits,
    /// §5.2: opcodes 3–7 and 11–15.
    #[error("a reserved opcode")]
    ReservedOpcode,
    /// §5.5: a control frame without FIN.
    #[error("a fragmented control frame")]
    FragmentedControl,
    /// §5.5: a control frame of more than 125 bytes.
    #[error("a control frame of more than 125 bytes")]
    ControlTooLong,
    /// §5.4: a continuation where no message was begun.
    #[error("a continuation of no message")]
    ContinuationWithoutStart,
    /// §5.4: a new message before the fragmented one was finished.
    #[error("a new message inside a fragmented one")]
    InterleavedMessage,
    /// §5.2: a length written with more bytes than it needs.
    #[error("a length written with more bytes than it needs")]
    NonMinimalLength,
    /// §5.5.1: a Close frame with one byte of payload.
    #[error("a Close frame with half a code")]
    CloseTruncated,
    /// §7.4: a close code that must not be on the wire.
    #[error("a close code that must not be sent")]
    CloseCode,
    /// §5.5.1: a close reason that is not UTF-8.
    #[error("a close reason that is not UTF-8")]
    CloseReasonUtf8,
    /// §5.5.1: a data frame after this side's Close.
    #[error("a data frame after the Close")]
    DataAfterClose,
    /// A frame larger than [`ScanLimits::frame`](super::ScanLimits::frame). No rule of the RFC (§10.4 asks for limits).
    #[error("a frame over the limit")]
    FrameTooLarge,
    /// A message that grew beyond [`ScanLimits::message`](super::ScanLimits::message); reported once per message.
    #[error("a message over the limit")]
    MessageTooLarge,
}

impl ViolationKind {
    /// Every kind, for tables and metrics.
    pub const ALL: [Self; 15] = [
        Self::LengthHighBit,
        Self::WrongMask,
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::FragmentedControl,
        Self::ControlTooLong,
        Self::ContinuationWithoutStart,
        Self::InterleavedMessage,
        Self::NonMinimalLength,
        Self::CloseTruncated,
        Self::CloseCode,
        Self::CloseReasonUtf8,
        Self::DataAfterClose,
        Self::FrameTooLarge,
        Self::MessageTooLarge,
    ];

    /// Whether the stream cannot be followed any further. All others are reported and followed.
    #[must_use]
    pub fn fatal_to_framing(self) -> bool {
        matches!(self, Self::LengthHighBit)
    }

    /// The close code a strict endpoint answers with: 1002, 1007 or 1009 (RFC 6455 §7.4.1).
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::CloseReasonUtf8 => 1007,
            Self::FrameTooLarge | Self::MessageTooLarge => 1009,
            _ => 1002,
        }
    }

    /// A stable name for metrics and causes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LengthHighBit => "length_high_bit",
            Self::WrongMask => "wrong_mask",
            Self::ReservedBits => "reserved_bits",
            Self::ReservedOpcode => "reserved_opcode",
            Self::FragmentedControl => "fragmented_control",
            Self::ControlTooLong => "control_too_long",
            Self::ContinuationWithoutStart => "continuation_without_start",
            Self::InterleavedMessage => "interleaved_message",
            Self::NonMinimalLength => "non_minimal_length",
            Self::CloseTruncated => "close_truncated",
            Self::CloseCode => "close_code",
            Self::CloseReasonUtf8 => "close_reason_utf8",
            Self::DataAfterClose => "data_after_close",
            Self::FrameTooLarge => "frame_too_large",
            Self::MessageTooLarge => "message_too_large",
        }
    }
}
