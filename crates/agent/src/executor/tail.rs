//! The last part of a stream of bytes, in bounded memory, as text.

use std::collections::VecDeque;

use mooring_proto::link::printable;

/// A ring of the last `limit` bytes.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    cut: bool,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit, cut: false }
    }

    /// Appends, forgetting the oldest.
    pub(crate) fn push(&mut self, more: &[u8]) {
        let more = if more.len() > self.limit {
            self.cut = true;
            self.bytes.clear();
            &more[more.len() - self.limit..]
        } else {
            more
        };
        let over = (self.bytes.len() + more.len()).saturating_sub(self.limit);
        self.cut |= over > 0;
        self.bytes.drain(..over);
        self.bytes.extend(more);
    }

    /// What is kept is the end of something longer, of which the rest was never pushed.
    pub(crate) fn mark_cut(&mut self) {
        self.cut = true;
    }

    /// What is kept, as text that may be shown in a terminal. It begins with `…` where something was forgotten.
    pub(crate) fn text(&self) -> String {
        let (a, b) = self.bytes.as_slices();
        let mut bytes = Vec::with_capacity(self.bytes.len());
        bytes.extend_from_slice(a);
        bytes.extend_from_slice(b);
        to_text(&bytes, self.cut)
    }
}

/// Bytes as text; where they are the end of something longer, from a character's first byte on and marked.
pub(crate) fn to_text(bytes: &[u8], cut: bool) -> String {
    if !cut {
        return printable(&String::from_utf8_lossy(bytes));
    }
    // At most three continuation bytes belong to a character whose beginning is gone.
    let start = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    format!("…{}", printable(&String::from_utf8_lossy(&bytes[start..])))
}

/// Where the last `max` bytes of a text begin, at a character boundary.
pub(crate) fn last_chars(text: &str, max: usize) -> usize {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept() {
        let mut tail = Tail::new(5);
        tail.push(b"ab");
        assert_eq!(tail.text(), "ab");
        tail.push(b"cdefg");
        assert_eq!(tail.text(), "…cdefg");
        tail.push(b"0123456789");
        assert_eq!(tail.text(), "…56789");
    }

    #[test]
    fn half_characters_and_escapes_do_no_harm() {
        let mut tail = Tail::new(4);
        tail.push("aéé".as_bytes());
        assert_eq!(tail.text(), "…éé");
        tail.push(b"x");
        assert_eq!(tail.text(), "…éx");
        let mut tail = Tail::new(16);
        tail.push(b"\xff\x1b[31m");
        assert_eq!(tail.text(), "\u{fffd}\u{fffd}[31m");
        assert_eq!(last_chars("aé", 1), 3);
    }
}
