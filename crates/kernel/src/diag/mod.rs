//! The language of `sock_diag(7)`: messages out, messages in, as byte slices.
//!
//! Only plain integers at fixed offsets, each named with the header it is from (`include/uapi/linux/…`). Everything read
//! is bounds-checked: a shorter structure than expected (older kernel) yields `None`, a longer one (newer) is cut.

pub(crate) mod filter;
mod info;
pub(crate) mod message;
pub(crate) mod netlink;
pub(crate) mod request;

/// `AF_INET`, `AF_INET6` (`linux/socket.h`): the same on every architecture Linux runs on.
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;

/// A native-endian `u16` at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// A native-endian `u32` at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A native-endian `u64` at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}
