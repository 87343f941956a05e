//! What is true of the scanner on any input whatever: one function, called by the fuzzer and by the replay of its corpus.
//!
//! An input is two bytes of setting and then a stream. The setting is in the input so that the fuzzer varies it too.

use super::cases::Case;
use super::{Counts, PayloadKey, PeekFor, ScanLimits, Scanner, Seen, Sender, Violation};

/// Most that one frame may make us see: all a data frame can break at once, and the frame itself.
const MOST_PER_FRAME: usize = 8;
/// Limits small enough that the fuzzer reaches them.
const SMALL: ScanLimits = ScanLimits { frame: 100, message: 150 };

/// All that a scanner tells about a stream.
#[derive(Debug, PartialEq)]
struct Told {
    seen: Vec<Seen>,
    end: Result<(), Violation>,
    at_boundary: bool,
    closed: bool,
    counts: Counts,
}

/// The input that stands for a case: its setting, this way of cutting, its bytes.
#[must_use]
pub fn input(case: &Case, cuts: u8) -> Vec<u8> {
    let mut setting = u8::from(case.sender == Sender::Server) | u8::from(case.compressed) << 1;
    setting |= match case.peek {
        PeekFor::None => 0,
        PeekFor::EngineIo => 1,
        PeekFor::OneBot => 2,
        PeekFor::Any => 3,
    } << 2;
    setting |= u8::from(case.limits != ScanLimits::default()) << 4;
    [&[setting, cuts], case.bytes.as_slice()].concat()
}

/// Checks everything on one input.
///
/// # Panics
///
/// If something does not hold: that is the report.
pub fn scanner(input: &[u8]) {
    let [setting, cuts, stream @ ..] = input else { return };
    let sender = if setting & 1 == 0 { Sender::Client } else { Sender::Server };
    let peek =
        [PeekFor::None, PeekFor::EngineIo, PeekFor::OneBot, PeekFor::Any][usize::from(setting >> 2 & 3)];
    let limits = if setting & 16 == 0 { ScanLimits::default() } else { SMALL };
    let fresh = || Scanner::new(sender, limits).compressed(setting & 2 != 0).peek(peek);

    let walked = Walk::over(stream);
    let whole = told(fresh(), [stream]);
    assert_eq!(whole, told(fresh(), stream.chunks(1)), "one byte at a time");
    assert_eq!(whole, told(fresh(), cut(stream, *cuts)), "cut in pieces");
    assert_eq!(whole, told(fresh(), []).after(fresh(), stream), "frame by frame");
    agrees(&whole, &walked, stream);
    boundaries(fresh(), &walked, stream);
    stays_failed(fresh(), &whole, stream);
}

fn told<'a>(mut scanner: Scanner, pieces: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut seen = Vec::new();
    let end = pieces.into_iter().try_for_each(|piece| scanner.scan(piece, &mut |one| seen.push(one)));
    Told::of(&scanner, seen, end)
}

impl Told {
    fn of(scanner: &Scanner, seen: Vec<Seen>, end: Result<(), Violation>) -> Self {
        let (at_boundary, closed, counts) = (scanner.at_boundary(), scanner.closed(), scanner.counts());
        Self { seen, end, at_boundary, closed, counts }
    }

    /// The same by [`Scanner::scan_frame`], which must stop at boundaries only, and at each of them.
    fn after(mut self, mut scanner: Scanner, stream: &[u8]) -> Self {
        let mut rest = stream;
        while !rest.is_empty() && self.end.is_ok() {
            let frames = scanner.counts().frames;
            match scanner.scan_frame(rest, &mut |one| self.seen.push(one)) {
                Ok(used) => {
                    assert!(used > 0 && scanner.counts().frames <= frames + 1, "more than one frame");
                    assert!(used == rest.len() || scanner.at_boundary(), "stopped within a frame");
                    rest = &rest[used..];
                }
                Err(violation) => self.end = Err(violation),
            }
        }
        Self::of(&scanner, self.seen, self.end)
    }
}

/// Pieces of sizes from 0 to 15, drawn by a small generator from this seed.
fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) + 1;
    let mut rest = stream;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, after) = rest.split_at(rest.len().min((state >> 28) as usize));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The stream once more, by a reader that has all of it before it and knows nothing of pieces.
#[derive(Default)]
struct Walk {
    /// Where frames end, and the beginning.
    boundaries: Vec<usize>,
    /// Frames begun, bytes of payload.
    frames: u64,
    payload: u64,
    /// The pings and pongs that are whole.
    keys: Vec<(bool, PayloadKey)>,
    /// Closes that are whole.
    closes: usize,
    /// Whether a length could not be followed.
    failed: bool,
}

impl Walk {
    fn over(stream: &[u8]) -> Self {
        let mut walk = Self { boundaries: vec![0], ..Self::default() };
        let mut at = 0;
        while let Some((start, len)) = header(stream, at) {
            if len > i64::MAX as u64 {
                walk.failed = true;
                break;
            }
            walk.frames += 1;
            let there = len.min((stream.len() - start) as u64) as usize;
            walk.payload += there as u64;
            if (there as u64) < len {
                break;
            }
            walk.content(stream[at], stream[at + 1], &stream[..start + there], start);
            at = start + there;
            walk.boundaries.push(at);
        }
        walk
    }

    fn content(&mut self, first: u8, second: u8, upto: &[u8], start: usize) {
        let mut payload = upto[start..].to_vec();
        if first & 0x80 == 0 || payload.len() > 125 {
            return;
        }
        if second & 0x80 != 0 {
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= upto[start - 4 + i % 4];
            }
        }
        match first & 15 {
            8 => self.closes += 1,
            9 => self.keys.push((true, PayloadKey::of(&payload))),
            10 => self.keys.push((false, PayloadKey::of(&payload))),
            _ => {}
        }
    }
}

/// Where the payload of the frame at `at` starts and how long it is, if its header is all there.
fn header(stream: &[u8], at: usize) -> Option<(usize, u64)> {
    let second = *stream.get(at + 1)?;
    let wide = match second & 127 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let written = stream.get(at + 2..at + 2 + wide)?;
    let len = match wide {
        0 => u64::from(second & 127),
        _ => written.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
    };
    let start = at + 2 + wide + if second & 128 == 0 { 0 } else { 4 };
    (start <= stream.len()).then_some((start, len))
}

fn agrees(whole: &Told, walked: &Walk, stream: &[u8]) {
    assert_eq!(whole.end.is_err(), walked.failed);
    assert_eq!(whole.counts.frames, walked.frames);
    assert_eq!(whole.counts.payload, walked.payload);
    assert!(whole.counts.payload <= stream.len() as u64);
    assert!(walked.frames as usize * 2 <= stream.len());
    assert!(whole.seen.len() <= MOST_PER_FRAME * walked.frames as usize, "more seen than can be");

    let (mut keys, mut closes, mut messages, mut data, mut last) = (Vec::new(), 0, 0, 0, 0);
    for seen in &whole.seen {
        match seen {
            Seen::Ping { key } => keys.push((true, *key)),
            Seen::Pong { key } => keys.push((false, *key)),
            Seen::Close { .. } => closes += 1,
            Seen::Message { len, .. } => {
                messages += 1;
                data += len;
            }
            Seen::Violated(violation) => {
                assert!(!violation.kind.fatal_to_framing());
                assert!((last..walked.frames).contains(&violation.at_frame));
                last = violation.at_frame;
            }
        }
    }
    assert_eq!(keys, walked.keys);
    assert_eq!(closes, walked.closes);
    assert_eq!(whole.closed, closes > 0);
    assert_eq!(whole.counts.messages, messages);
    assert!(data <= walked.payload, "messages of more bytes than there were");
}

/// Byte by byte: the scanner stands at a boundary exactly where the other reader found one.
fn boundaries(mut scanner: Scanner, walked: &Walk, stream: &[u8]) {
    let mut known = walked.boundaries.iter().copied().peekable();
    for at in 0..=stream.len() {
        let expected = known.next_if_eq(&at).is_some();
        assert_eq!(scanner.at_boundary(), expected, "after {at} bytes");
        let next = stream.get(at..at + 1).unwrap_or_default();
        if scanner.scan(next, &mut |_| {}).is_err() {
            assert!(!scanner.at_boundary());
            break;
        }
    }
}

/// A stream that was lost stays lost, and nothing more is seen in it.
fn stays_failed(mut scanner: Scanner, whole: &Told, stream: &[u8]) {
    if whole.end.is_ok() {
        return;
    }
    assert_eq!(scanner.scan(stream, &mut |_| {}), whole.end);
    for again in [&b"\x89\x00"[..], b"", stream] {
        assert_eq!(scanner.scan(again, &mut |seen| panic!("saw {seen:?}")), whole.end);
        assert_eq!(scanner.counts(), whole.counts);
    }
}
