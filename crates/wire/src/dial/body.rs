//! The body of an answer as it comes in: plain, of a stated length, or chunked. Bounded, and each byte is looked at once,
//! so that a peer that sends it byte by byte costs no more than one that sends it whole.

use crate::answer::Head;

/// Where in a chunked body (RFC 9112 §7.1) the reader is.
enum Chunk {
    Size(Vec<u8>),
    Data(usize),
    /// The line end after a chunk's data.
    End,
}

enum Framing {
    Length(u64),
    Chunked(Chunk),
    ToEnd,
}

/// Longest line with a chunk's size, its extensions included.
const MAX_SIZE_LINE: usize = 256;

/// A body being read: bounded, and each byte looked at once.
pub(super) struct Reading {
    framing: Framing,
    pub(super) out: Vec<u8>,
    most: usize,
    /// Nothing more is to be read.
    pub(super) done: bool,
    /// It ended where it should.
    pub(super) whole: bool,
}

impl Reading {
    pub(super) fn of(head: &Head, bodiless: bool, most: usize) -> Self {
        let empty = matches!(head.answer.status, 100..=199 | 204 | 304) || bodiless;
        let framing = match head.content_length {
            _ if empty => Framing::Length(0),
            _ if head.chunked => Framing::Chunked(Chunk::Size(Vec::new())),
            Some(length) => Framing::Length(length),
            None => Framing::ToEnd,
        };
        let mut reading = Self { framing, out: Vec::new(), most, done: false, whole: false };
        reading.feed(&[]);
        reading
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.done {
            match &mut self.framing {
                Framing::Length(0) => return self.end(true),
                Framing::Length(left) => {
                    let n = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= n as u64;
                    if n == 0 || !keep(&mut self.out, &mut bytes, n, self.most) {
                        self.done |= n != 0;
                        return;
                    }
                }
                Framing::ToEnd => {
                    let n = bytes.len();
                    self.done = !keep(&mut self.out, &mut bytes, n, self.most);
                    return;
                }
                Framing::Chunked(chunk) => {
                    if bytes.is_empty() {
                        return;
                    }
                    match step(chunk, &mut self.out, &mut bytes, self.most) {
                        Some(whole) => return self.end(whole),
                        None => continue,
                    }
                }
            }
        }
    }

    fn end(&mut self, whole: bool) {
        self.done = true;
        self.whole = whole;
    }

    /// The stream ended.
    pub(super) fn ended(&mut self) {
        self.end(matches!(self.framing, Framing::ToEnd | Framing::Length(0)));
    }
}

/// Moves `n` bytes, as far as the bound allows; false when it does not.
fn keep(out: &mut Vec<u8>, bytes: &mut &[u8], n: usize, most: usize) -> bool {
    let (now, rest) = bytes.split_at(n);
    let room = most - out.len();
    out.extend_from_slice(&now[..n.min(room)]);
    *bytes = rest;
    n <= room
}

/// One step through a chunked body; `Some` when it is over, with whether it is whole.
fn step(chunk: &mut Chunk, out: &mut Vec<u8>, bytes: &mut &[u8], most: usize) -> Option<bool> {
    match chunk {
        Chunk::Data(0) => *chunk = Chunk::End,
        Chunk::Data(left) => {
            let n = bytes.len().min(*left);
            *left -= n;
            if !keep(out, bytes, n, most) {
                return Some(false);
            }
        }
        Chunk::End => {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            if *first == b'\n' {
                *chunk = Chunk::Size(Vec::new());
            }
        }
        Chunk::Size(line) => {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            if *first != b'\n' {
                line.push(*first);
                return (line.len() > MAX_SIZE_LINE).then_some(false);
            }
            let text = String::from_utf8_lossy(line);
            match usize::from_str_radix(text.split(';').next().unwrap_or("").trim(), 16) {
                Ok(0) => return Some(true),
                Ok(size) => *chunk = Chunk::Data(size),
                Err(_) => return Some(false),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::parse;
    use crate::target::Limits;

    fn read(head: &str, pieces: &[&[u8]], most: usize) -> (Vec<u8>, bool, bool) {
        let head = parse(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), &Limits::default()).unwrap();
        let mut reading = Reading::of(&head, false, most);
        for piece in pieces {
            reading.feed(piece);
        }
        (reading.out, reading.done, reading.whole)
    }

    #[test]
    fn bodies_end_where_they_say() {
        assert_eq!(read("Content-Length: 3\r\n", &[b"ab", b"cd"], 99), (b"abc".to_vec(), true, true));
        assert_eq!(read("Content-Length: 3\r\n", &[b"ab"], 99), (b"ab".to_vec(), false, false));
        assert_eq!(read("Content-Length: 0\r\n", &[], 99), (Vec::new(), true, true));
        assert_eq!(read("Content-Length: 3\r\n", &[b"abc"], 2), (b"ab".to_vec(), true, false));
        assert_eq!(read("", &[b"abc"], 99), (b"abc".to_vec(), false, false));
        let chunked = "Transfer-Encoding: chunked\r\n";
        let whole: &[u8] = b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(read(chunked, &[whole], 99), (b"abcd".to_vec(), true, true));
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(chunked, &bytes, 99), (b"abcd".to_vec(), true, true));
        assert_eq!(read(chunked, &[whole], 2), (b"ab".to_vec(), true, false));
        assert_eq!(read(chunked, &[b"zz\r\n"], 99), (Vec::new(), true, false));
        assert_eq!(read(chunked, &[b"ffffffffffffffff\r\nab"], 99), (b"ab".to_vec(), false, false));
        assert!(read(chunked, &[&[b'1'; 1000]], 99).1);
    }
}
