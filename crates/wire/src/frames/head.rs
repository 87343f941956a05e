//! A frame's header (RFC 6455 §5.2), and the mask.

/// Longest header in bytes: two, the 64-bit length, the mask.
pub(super) const MAX_HEAD: usize = 14;

/// The close codes that may be on the wire (RFC 6455 §7.4 and the IANA registry of 2026: 1012 to 1014 were added to it).
pub(super) fn close_code_may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// A header as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// FIN, the reserved bits, the opcode.
    pub(super) first: u8,
    /// Whether the mask bit is set.
    pub(super) masked: bool,
    /// The mask; zeros without one, which is the mask that changes nothing.
    pub(super) mask: [u8; 4],
    /// Payload bytes to follow.
    pub(super) len: u64,
    /// Whether the length was written as short as it can be.
    pub(super) minimal: bool,
}

impl Head {
    /// Reads a header from the beginning of these bytes: it and its size, or `None` if more bytes are needed. Fourteen
    /// bytes are always enough.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (len, minimal, rest, size) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u64::from(u16::from_be_bytes(*len));
                (len, len > 125, rest, 4)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u64::from_be_bytes(*len);
                (len, len > 0xffff, rest, 10)
            }
            len => (u64::from(len), true, rest, 2),
        };
        let masked = second & 0x80 != 0;
        let (mask, size) = if masked { (*rest.first_chunk()?, size + 4) } else { ([0; 4], size) };
        Some((Self { first: *first, masked, mask, len, minimal }, size))
    }

    /// The last frame of its message.
    pub(super) fn fin(&self) -> bool {
        self.first & 0x80 != 0
    }

    /// The reserved bits, RSV1 highest (0x40).
    pub(super) fn reserved(&self) -> u8 {
        self.first & 0x70
    }

    /// The opcode, 0 to 15.
    pub(super) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }
}

/// The bytes without their mask, whose first byte is for the first of them.
pub(super) fn unmasked(bytes: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> {
    bytes.iter().enumerate().map(move |(i, byte)| byte ^ mask[i % 4])
}

/// The mask as it stands after so many bytes.
pub(super) fn after(mut mask: [u8; 4], bytes: usize) -> [u8; 4] {
    mask.rotate_left(bytes % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_size_and_every_prefix_of_them() {
        let mask = [1, 2, 3, 4];
        let rows: [(&[u8], u64, bool, bool); 6] = [
            (&[0x81, 0x05], 5, true, false),
            (&[0x81, 0x85, 1, 2, 3, 4], 5, true, true),
            (&[0x81, 0x7e, 0, 125], 125, false, false),
            (&[0x81, 0xfe, 0, 126, 1, 2, 3, 4], 126, true, true),
            (&[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 65_535, false, false),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], (1 << 63) + 65_536, true, true),
        ];
        for (bytes, len, minimal, masked) in rows {
            let mask = if masked { mask } else { [0; 4] };
            assert_eq!(
                Head::read(bytes),
                Some((Head { first: 0x81, masked, mask, len, minimal }, bytes.len()))
            );
            for end in 0..bytes.len() {
                assert_eq!(Head::read(&bytes[..end]), None);
            }
        }
    }

    #[test]
    fn a_mask_goes_on_where_it_stopped() {
        let mask = [1, 2, 3, 4];
        let whole: Vec<u8> = unmasked(&[0; 11], mask).collect();
        for cut in 0..11 {
            let (a, b) = [0; 11].split_at(cut);
            let parts: Vec<u8> = unmasked(a, mask).chain(unmasked(b, after(mask, cut))).collect();
            assert_eq!(parts, whole);
        }
    }
}
