//! The chunked coding (RFC 9112 §7.1), decoded in whatever pieces it arrives.
//!
//! Extensions and trailers are read over and not passed on, which a recipient may do; what is passed on is encoded anew
//! by [`encode_head`] and [`END`]. So no two readers see different chunks.

use std::ops::Range;

use super::Malformed;

/// Longest chunk-size line and longest trailer section, bytes.
const MAX_LINE: u16 = 4096;
/// The last chunk, without trailers.
pub(crate) const END: &[u8] = b"0\r\n\r\n";

/// Where the decoder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, cr: bool, seen: u16 },
    Data(u64),
    DataEnd { cr: bool },
    Trailer { line: u16, cr: bool, seen: u16 },
    Done,
}

/// Decodes a chunked body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunked(State);

impl Chunked {
    pub(crate) fn new() -> Self {
        Self(State::Size { size: 0, digits: 0 })
    }

    /// Whether the last chunk and its trailers have been read.
    pub(crate) fn done(&self) -> bool {
        self.0 == State::Done
    }

    /// Reads on until there is a run of data, the body ends, or the bytes do. Returns how many bytes were read and which
    /// of them are data.
    ///
    /// # Errors
    /// When the coding is broken.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Range<usize>), Malformed> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.0 = match self.0 {
                State::Done => break,
                State::Data(left) => {
                    let n = usize::try_from(left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                    let left = left - n as u64;
                    self.0 = if left == 0 { State::DataEnd { cr: false } } else { State::Data(left) };
                    return Ok((at + n, at..at + n));
                }
                State::Size { size, digits } => size_digit(byte, size, digits)?,
                State::Extension { size, cr: false, seen } => match byte {
                    b'\r' => State::Extension { size, cr: true, seen },
                    b'\n' => return Err(Malformed::Chunk),
                    _ if seen >= MAX_LINE => return Err(Malformed::TooLarge),
                    _ => State::Extension { size, cr: false, seen: seen + 1 },
                },
                State::Extension { size, cr: true, .. } => match (byte, size) {
                    (b'\n', 0) => State::Trailer { line: 0, cr: false, seen: 0 },
                    (b'\n', size) => State::Data(size),
                    _ => return Err(Malformed::Chunk),
                },
                State::DataEnd { cr: false } if byte == b'\r' => State::DataEnd { cr: true },
                State::DataEnd { cr: true } if byte == b'\n' => State::Size { size: 0, digits: 0 },
                State::DataEnd { .. } => return Err(Malformed::Chunk),
                State::Trailer { line, cr: false, seen } => match byte {
                    b'\r' => State::Trailer { line, cr: true, seen },
                    b'\n' => return Err(Malformed::Chunk),
                    _ if seen >= MAX_LINE => return Err(Malformed::TooLarge),
                    _ => State::Trailer { line: line + 1, cr: false, seen: seen + 1 },
                },
                State::Trailer { line, cr: true, seen } => match (byte, line) {
                    (b'\n', 0) => State::Done,
                    (b'\n', _) => State::Trailer { line: 0, cr: false, seen },
                    _ => return Err(Malformed::Chunk),
                },
            };
            at += 1;
        }
        Ok((at, at..at))
    }
}

fn size_digit(byte: u8, size: u64, digits: u8) -> Result<State, Malformed> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(State::Extension { size, cr: true, seen: 0 }),
        b';' | b' ' | b'\t' if digits > 0 => return Ok(State::Extension { size, cr: false, seen: 0 }),
        _ => return Err(Malformed::Chunk),
    };
    // Fifteen digits are an exbibyte.
    if digits >= 15 {
        return Err(Malformed::Chunk);
    }
    Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
}

/// The line before so many bytes of data; the data is followed by CR LF.
pub(crate) fn encode_head(len: usize) -> String {
    format!("{len:x}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut out, mut at, mut decoder) = (Vec::new(), 0, Chunked::new());
        while at < bytes.len() && !decoder.done() {
            let piece = &bytes[at..bytes.len().min(at + step)];
            let (used, data) = decoder.read(piece)?;
            out.extend_from_slice(&piece[data]);
            at += used;
        }
        Ok((out, at, decoder.done()))
    }

    #[test]
    fn any_division_gives_the_same() {
        let body = b"5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\nX: y\r\n\r\nGET /";
        for step in 1..=body.len() {
            assert_eq!(decode(body, step), Ok((b"hello world".to_vec(), body.len() - 5, true)), "{step}");
        }
        assert_eq!(decode(b"0\r\n\r\n", 1), Ok((vec![], 5, true)));
        assert_eq!(decode(b"A\r\n01234", 3), Ok((b"01234".to_vec(), 8, false)));
    }

    #[test]
    fn broken_chunks() {
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"5\r\nhello\rX",
            b"5;a\nhello",
            b"-1\r\n",
            b"1234567890abcdef\r\n",
            b"0\r\nX: y\n\r\n",
            b"5\rX",
        ] {
            assert!(decode(bad, 1).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let long = [b"5;".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(decode(&long, 99), Err(Malformed::TooLarge));
    }
}
