//! The two packet formats, one inside the other: Engine.IO's ([`engine`]) carry Socket.IO's ([`socket`]).
//!
//! Pure functions on text. Nothing that a peer sends makes them panic or hold more than a small multiple of what it sent;
//! they accept what the reference parsers (`engine.io-parser` 5, `socket.io-parser` 4) accept, within bounds.

pub mod engine;
pub mod socket;

/// Longest namespace, bytes.
pub const MAX_NAMESPACE: usize = 512;
/// Most binary attachments of one packet. The reference parser takes 10.
pub const MAX_ATTACHMENTS: u32 = 64;
/// Most packets in one polling answer.
pub const MAX_PACKETS: usize = 16 * 1024;

/// Why text is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// No text at all.
    #[error("an empty packet")]
    Empty,
    /// A first character that names no type.
    #[error("no known packet type")]
    Type,
    /// Base64 that is none.
    #[error("binary data that is not base64")]
    Base64,
    /// More packets in one answer than [`MAX_PACKETS`].
    #[error("more than {MAX_PACKETS} packets in one answer")]
    TooMany,
    /// A binary packet without a number of attachments, or with too many.
    #[error("not 1 to {MAX_ATTACHMENTS} attachments")]
    Attachments,
    /// A namespace longer than [`MAX_NAMESPACE`].
    #[error("a namespace of more than {MAX_NAMESPACE} bytes")]
    Namespace,
    /// An acknowledgement without a number, or one too large.
    #[error("no acknowledgement number, or one too large")]
    Id,
    /// JSON that is none, or is not what this type of packet carries.
    #[error("a payload that this type of packet cannot have")]
    Payload,
}
