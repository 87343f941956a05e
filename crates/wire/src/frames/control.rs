//! The control frames a relay sends of its own: a ping to a silent side, a pong, a Close.
//!
//! A frame fits into 131 bytes and is made on the stack. Towards a gateway it must be masked (RFC 6455 §5.1) with a mask
//! nobody can foretell (§5.3, §10.3): it is an argument, as all randomness here is.

use std::fmt;
use std::ops::Deref;

use super::MAX_CONTROL;
use super::head::{close_code_may_be_sent, unmasked};
use super::seen::CloseReason;

/// Longest control frame in bytes: header, mask, payload.
const MAX_FRAME: usize = 2 + 4 + MAX_CONTROL;

/// A control frame, ready to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Control {
    len: u8,
    bytes: [u8; MAX_FRAME],
}

impl Control {
    /// The payload must not be longer than 125.
    fn new(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Self {
        let header = [0x80 | opcode, payload.len() as u8 | if mask.is_some() { 0x80 } else { 0 }];
        let under = mask.unwrap_or_default();
        let whole = header.into_iter().chain(mask.into_iter().flatten()).chain(unmasked(payload, under));
        let mut out = Self { len: 0, bytes: [0; MAX_FRAME] };
        for (to, byte) in out.bytes.iter_mut().zip(whole) {
            *to = byte;
            out.len += 1;
        }
        out
    }
}

impl Deref for Control {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for Control {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({:02x?})", &**self)
    }
}

/// A ping with this payload, cut at 125 bytes; with a mask towards a server, without one towards a client.
#[must_use]
pub fn ping(payload: &[u8], mask: Option<[u8; 4]>) -> Control {
    Control::new(9, &payload[..payload.len().min(MAX_CONTROL)], mask)
}

/// A pong, as [`ping()`].
#[must_use]
pub fn pong(payload: &[u8], mask: Option<[u8; 4]>) -> Control {
    Control::new(10, &payload[..payload.len().min(MAX_CONTROL)], mask)
}

/// A Close frame. A code that must not be sent becomes 1000; the reason is cut at 123 bytes, between characters.
#[must_use]
pub fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Control {
    let code = if close_code_may_be_sent(code) { code } else { 1000 };
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(CloseReason::MAX)];
    let mut payload = [0; MAX_CONTROL];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason);
    Control::new(8, &payload[..2 + reason.len()], mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6455 §5.7: a single-frame unmasked ping, and the masked pong.
        assert_eq!(*ping(b"Hello", None), *b"\x89\x05Hello");
        assert_eq!(
            *pong(b"Hello", Some([0x37, 0xfa, 0x21, 0x3d])),
            *b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }

    #[test]
    fn closes_are_always_valid() {
        assert_eq!(*close(1012, "restart", None), *b"\x88\x09\x03\xf4restart");
        assert_eq!(*close(1006, "", None), *b"\x88\x02\x03\xe8");
        let long = close(1001, &"é".repeat(100), Some([0; 4]));
        assert_eq!(long.len(), 6 + 2 + 122);
        assert!(str::from_utf8(&long[8..]).is_ok());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(ping(&[7; 200], None).len(), 127);
        assert_eq!(pong(&[7; 200], Some([1; 4])).len(), 131);
        assert_eq!(close(1000, &"x".repeat(200), Some([1; 4])).len(), 131);
    }
}
