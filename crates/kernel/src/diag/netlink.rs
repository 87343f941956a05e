//! Netlink framing: message headers and attributes (`linux/netlink.h`).

use super::{u16_at, u32_at};

/// `NLMSG_ERROR`: a negative errno follows, or 0 for an acknowledgement.
pub(crate) const NLMSG_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(crate) const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub(crate) const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_INTR`: what is dumped changed under the dump.
pub(crate) const DUMP_INTR: u16 = 0x10;
/// `sizeof(struct nlmsghdr)`: len u32, type u16, flags u16, seq u32, pid u32.
pub(crate) const HEADER: usize = 16;
/// `sizeof(struct nlattr)`: len u16, type u16.
pub(crate) const ATTRIBUTE: usize = 4;

/// A message received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_flags`.
    pub(crate) flags: u16,
    /// `nlmsg_seq`: that of the request it answers.
    pub(crate) sequence: u32,
    /// What follows the header.
    pub(crate) body: &'a [u8],
}

/// The messages in a datagram. Ends at the first that is not whole.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let bytes = self.0;
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let message = Message {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            body: bytes.get(HEADER..length)?,
        };
        self.0 = bytes.get(align(length)..).unwrap_or_default();
        Some(message)
    }
}

/// The attributes after a message's fixed part: type and payload.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let bytes = self.0;
        let length = usize::from(u16_at(bytes, 0)?);
        // The upper two bits are flags (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let payload = bytes.get(ATTRIBUTE..length)?;
        self.0 = bytes.get(align(length)..).unwrap_or_default();
        Some((kind, payload))
    }
}

/// The errno in the body of `NLMSG_ERROR` or `NLMSG_DONE`, as a positive number; 0 for none.
pub(crate) fn errno(body: &[u8]) -> i32 {
    u32_at(body, 0).map_or(0, |number| number.cast_signed().saturating_neg().max(0))
}

/// `NLMSG_ALIGN`, which is also `NLA_ALIGN`: to four bytes.
pub(crate) fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_and_attributes_in_a_row() {
        let mut bytes = Vec::new();
        for (kind, body) in [(20u16, &b"abcde"[..]), (NLMSG_DONE, &[0xff, 0xff, 0xff, 0xff])] {
            bytes.extend(u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(2u16.to_ne_bytes());
            bytes.extend(7u32.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend(body);
            bytes.resize(align(bytes.len()), 0);
        }
        let messages: Vec<_> = Messages(&bytes).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].sequence, messages[0].body), (20, 7, &b"abcde"[..]));
        assert_eq!(errno(messages[1].body), 1);
        assert_eq!(Messages(&bytes[..bytes.len() - 1]).count(), 1, "the second is not whole");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Messages(&bytes).count() <= bytes.len() / HEADER + 1);
            prop_assert!(Attributes(&bytes).count() <= bytes.len() / ATTRIBUTE + 1);
        }
    }
}
