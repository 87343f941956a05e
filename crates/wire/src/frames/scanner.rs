//! The machine that follows one direction of a stream, in whatever pieces it arrives.
//!
//! A frame that lies whole in a piece goes through without a state being written; only what a piece cuts in two is kept:
//! part of a header in place, part of a payload that is read (a Close, the beginning of a possible beat) in a box. So there
//! is at most one allocation for a piece, never one for a frame, and an idle session holds none. That keeps the scanner
//! itself, which every session has two of, at 96 bytes.

use super::MAX_CONTROL;
use super::beat::{self, Beat, MAX_PEEK, PeekFor};
use super::head::{self, Head, MAX_HEAD};
use super::seen::{CloseReason, Counts, Opcode, PayloadKey, ScanLimits, Seen, Sender};
use super::violation::{Violation, ViolationKind};

/// Follows one direction of a WebSocket stream, from the first byte after the handshake.
#[derive(Debug, Clone)]
pub struct Scanner {
    state: State,
    /// Payload of the message so far, while one is open.
    message_len: u64,
    limits: ScanLimits,
    counts: Counts,
    /// What a piece has cut of a payload that is read.
    held: Option<Box<Held>>,
    message: Message,
    sender: Sender,
    compressed: bool,
    peek: PeekFor,
    closed: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between two frames, where `have` is 0, or inside a header.
    Head { have: u8, bytes: [u8; MAX_HEAD] },
    /// Inside a payload of which `left` bytes (never 0) are still to come, the next of them under `mask[0]`.
    Payload { left: u64, mask: [u8; 4], then: Then },
    /// Lost.
    Failed(ViolationKind),
}

const BOUNDARY: State = State::Head { have: 0, bytes: [0; MAX_HEAD] };

/// What the frame is read for, and what its end means.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// Nothing.
    Skip,
    /// The message is whole.
    Message(Option<Beat>),
    /// So is this one, and its first bytes are still to be looked at.
    Peek,
    Ping(PayloadKey),
    Pong(PayloadKey),
    Close,
}

/// The message that was begun and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    None,
    Open { opcode: Opcode, compressed: bool },
}

/// Payload without its mask. It may be what people say to each other, so it is not shown.
#[derive(Clone)]
struct Held {
    len: usize,
    bytes: [u8; MAX_PEEK],
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Held {
    const EMPTY: Self = Self { len: 0, bytes: [0; MAX_PEEK] };

    /// Takes what there is room for.
    fn push(&mut self, part: &[u8], mask: [u8; 4]) {
        for (to, byte) in self.bytes[self.len..].iter_mut().zip(head::unmasked(part, mask)) {
            *to = byte;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Scanner {
    /// A scanner at the beginning of what this side sends after the handshake. No compression, no peek.
    #[must_use]
    pub fn new(sender: Sender, limits: ScanLimits) -> Self {
        Self {
            state: BOUNDARY,
            message_len: 0,
            limits,
            counts: Counts::default(),
            held: None,
            message: Message::None,
            sender,
            compressed: false,
            peek: PeekFor::None,
            closed: false,
        }
    }

    /// Whether permessage-deflate was negotiated: RSV1 is then allowed on the first frame of a message.
    #[must_use]
    pub fn compressed(mut self, negotiated: bool) -> Self {
        self.compressed = negotiated;
        self
    }

    /// Which heartbeats to look for in short text messages.
    #[must_use]
    pub fn peek(mut self, peek: PeekFor) -> Self {
        self.peek = peek;
        self
    }

    /// Follows these bytes and hands over what is seen in them, in order.
    ///
    /// The cut does not matter: any division of a stream into pieces gives the same.
    ///
    /// # Errors
    ///
    /// A violation after which nothing can be followed ([`ViolationKind::fatal_to_framing`]). What was seen before it has
    /// been handed over; every later call returns the same and looks at nothing.
    pub fn scan(&mut self, bytes: &[u8], sink: &mut impl FnMut(Seen)) -> Result<(), Violation> {
        let mut rest = bytes;
        loop {
            let used = self.scan_frame(rest, sink)?;
            rest = &rest[used..];
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// The same, but stops at the end of the first frame that ends here. Returns how many bytes were followed: all of them,
    /// unless a frame ended before. For whoever wants to put something between two frames of one piece.
    ///
    /// # Errors
    ///
    /// As [`Self::scan`].
    #[inline]
    pub fn scan_frame(&mut self, bytes: &[u8], sink: &mut impl FnMut(Seen)) -> Result<usize, Violation> {
        match self.state {
            State::Head { have: 0, .. } => match Head::read(bytes) {
                Some((head, size)) => Ok(size + self.begin(&head, &bytes[size..], sink)?),
                None => self.scan_cut_head(0, [0; MAX_HEAD], bytes, sink),
            },
            State::Head { have, bytes: held } => self.scan_cut_head(have.into(), held, bytes, sink),
            State::Payload { left, mask, then } => {
                self.state = BOUNDARY;
                Ok(self.follow(left, mask, then, bytes, sink))
            }
            State::Failed(kind) => Err(Violation { kind, at_frame: self.counts.frames }),
        }
    }

    /// True when the stream stands between two frames: here, and not inside a frame, a control frame of somebody else may
    /// be put (RFC 6455 §5.4), even inside a fragmented message. Never again once the stream is lost. See also
    /// [`Self::closed`], after which nothing may be put anywhere.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        matches!(self.state, State::Head { have: 0, .. })
    }

    /// Whether this side has sent a Close frame.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// What went by so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Goes on with a header of which `have` bytes came in earlier pieces.
    #[cold]
    fn scan_cut_head(
        &mut self,
        have: usize,
        mut held: [u8; MAX_HEAD],
        bytes: &[u8],
        sink: &mut impl FnMut(Seen),
    ) -> Result<usize, Violation> {
        let mut filled = have;
        for (to, from) in held[have..].iter_mut().zip(bytes) {
            *to = *from;
            filled += 1;
        }
        let Some((head, size)) = Head::read(&held[..filled]) else {
            // Fewer than fourteen, or it would have been read.
            self.state = State::Head { have: filled as u8, bytes: held };
            return Ok(filled - have);
        };
        self.state = BOUNDARY;
        let used = size - have;
        Ok(used + self.begin(&head, &bytes[used..], sink)?)
    }

    /// A frame begins, with these bytes after its header. Returns how many of them are its payload.
    fn begin(&mut self, head: &Head, rest: &[u8], sink: &mut impl FnMut(Seen)) -> Result<usize, Violation> {
        let at_frame = self.counts.frames;
        if head.len >> 63 != 0 {
            let kind = ViolationKind::LengthHighBit;
            self.state = State::Failed(kind);
            return Err(Violation { kind, at_frame });
        }
        self.counts.frames += 1;
        let mut broken = |kind| sink(Seen::Violated(Violation { kind, at_frame }));
        if head.masked != (self.sender == Sender::Client) {
            broken(ViolationKind::WrongMask);
        }
        if head.reserved() != 0
            && !(head.reserved() == 0x40 && self.compressed && matches!(head.opcode(), 1 | 2))
        {
            broken(ViolationKind::ReservedBits);
        }
        if !head.minimal {
            broken(ViolationKind::NonMinimalLength);
        }
        let then = match head.opcode() {
            8..=10 => Self::begin_control(head, &mut broken),
            _ => self.begin_data(head, &mut broken),
        };
        Ok(self.follow(head.len, head.mask, then, rest, sink))
    }

    /// A control frame is taken for what it says if it is whole and short. One that is not is skipped.
    fn begin_control(head: &Head, broken: &mut impl FnMut(ViolationKind)) -> Then {
        if !head.fin() {
            broken(ViolationKind::FragmentedControl);
        }
        if head.len > MAX_CONTROL as u64 {
            broken(ViolationKind::ControlTooLong);
        }
        match head.opcode() {
            _ if !head.fin() || head.len > MAX_CONTROL as u64 => Then::Skip,
            8 => Then::Close,
            9 => Then::Ping(PayloadKey::START),
            _ => Then::Pong(PayloadKey::START),
        }
    }

    /// All other frames. One that belongs to no message is skipped; one that begins a message inside another replaces it.
    fn begin_data(&mut self, head: &Head, broken: &mut impl FnMut(ViolationKind)) -> Then {
        if self.closed && head.opcode() < 8 {
            broken(ViolationKind::DataAfterClose);
        }
        if head.len > self.limits.frame {
            broken(ViolationKind::FrameTooLarge);
        }
        match head.opcode() {
            0 if self.message == Message::None => {
                broken(ViolationKind::ContinuationWithoutStart);
                return Then::Skip;
            }
            0 => {}
            1 | 2 => {
                if self.message != Message::None {
                    broken(ViolationKind::InterleavedMessage);
                }
                let opcode = if head.opcode() == 1 { Opcode::Text } else { Opcode::Binary };
                self.message = Message::Open { opcode, compressed: head.reserved() & 0x40 != 0 };
                self.message_len = 0;
            }
            _ => {
                broken(ViolationKind::ReservedOpcode);
                return Then::Skip;
            }
        }
        let before = self.message_len;
        self.message_len = before.saturating_add(head.len);
        if self.message_len > self.limits.message && before <= self.limits.message {
            broken(ViolationKind::MessageTooLarge);
        }
        let plain_text = head.opcode() == 1 && head.reserved() & 0x40 == 0;
        match head.fin() {
            false => Then::Skip,
            true if plain_text && head.len > 0 && self.peek != PeekFor::None => Then::Peek,
            true => Then::Message(None),
        }
    }

    /// Follows a payload as far as it reaches into these bytes. Returns how far. The state is the boundary, and stays there
    /// if the payload ends.
    #[inline]
    fn follow(
        &mut self,
        left: u64,
        mask: [u8; 4],
        then: Then,
        bytes: &[u8],
        sink: &mut impl FnMut(Seen),
    ) -> usize {
        let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let part = &bytes[..take];
        let ends = take as u64 == left;
        self.counts.payload += take as u64;
        let then = match then {
            Then::Ping(key) => Then::Ping(key.with(part, mask)),
            Then::Pong(key) => Then::Pong(key.with(part, mask)),
            Then::Peek => self.look(part, mask, ends),
            Then::Close if ends => {
                self.end_close(part, mask, sink);
                return take;
            }
            Then::Close => {
                self.hold(part, mask);
                then
            }
            Then::Skip | Then::Message(_) => then,
        };
        if !ends {
            self.state = State::Payload { left: left - take as u64, mask: head::after(mask, take), then };
            return take;
        }
        match then {
            Then::Message(beat) => self.end_message(beat, sink),
            Then::Ping(key) => sink(Seen::Ping { key }),
            Then::Pong(key) => sink(Seen::Pong { key }),
            // The first never decides at the end of its frame, the second has returned.
            Then::Peek | Then::Close | Then::Skip => {}
        }
        take
    }

    fn end_message(&mut self, beat: Option<Beat>, sink: &mut impl FnMut(Seen)) {
        if let Message::Open { opcode, compressed } = std::mem::replace(&mut self.message, Message::None) {
            self.counts.messages += 1;
            sink(Seen::Message { opcode, len: self.message_len, compressed, beat });
        }
    }

    /// Looks at the beginning of a text message until it is known what it is; mostly that is at once.
    fn look(&mut self, part: &[u8], mask: [u8; 4], ends: bool) -> Then {
        let first = match (&self.held, part.first()) {
            (Some(held), _) => held.bytes[0],
            (None, Some(byte)) => byte ^ mask[0],
            (None, None) => return Then::Peek,
        };
        let want = self.peek.want(first);
        if want == 0 {
            return Then::Message(None);
        }
        let mut now = Held::EMPTY;
        let start = match &mut self.held {
            Some(held) => {
                held.push(&part[..part.len().min(want - held.len)], mask);
                held.as_slice()
            }
            None => {
                now.push(&part[..part.len().min(want)], mask);
                now.as_slice()
            }
        };
        if start.len() < want && !ends {
            if self.held.is_none() {
                self.held = Some(Box::new(now));
            }
            return Then::Peek;
        }
        let beat = beat::recognise(self.peek, start, self.message_len);
        self.held = None;
        Then::Message(beat)
    }

    /// Keeps part of a Close frame for its end.
    fn hold(&mut self, part: &[u8], mask: [u8; 4]) {
        if !part.is_empty() {
            self.held.get_or_insert_with(|| Box::new(Held::EMPTY)).push(part, mask);
        }
    }

    /// The end of a Close frame, which these are the last bytes of.
    fn end_close(&mut self, part: &[u8], mask: [u8; 4], sink: &mut impl FnMut(Seen)) {
        self.closed = true;
        let mut payload = self.held.take().map_or(Held::EMPTY, |held| *held);
        payload.push(part, mask);
        // The frame was counted when it began.
        let at_frame = self.counts.frames.saturating_sub(1);
        let mut broken = |kind| sink(Seen::Violated(Violation { kind, at_frame }));
        let (code, reason): (_, &[u8]) = match payload.as_slice() {
            [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
            [_] => {
                broken(ViolationKind::CloseTruncated);
                (None, &[])
            }
            [] => (None, &[]),
        };
        if code.is_some_and(|code| !head::close_code_may_be_sent(code)) {
            broken(ViolationKind::CloseCode);
        }
        if str::from_utf8(reason).is_err() {
            broken(ViolationKind::CloseReasonUtf8);
        }
        sink(Seen::Close { code, reason: CloseReason::new(reason) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert!(size_of::<Scanner>() <= 96, "{}", size_of::<Scanner>());
    }

    #[test]
    fn nothing_is_held_between_frames_or_inside_what_is_not_read() {
        let mut scanner = Scanner::new(Sender::Server, ScanLimits::default()).peek(PeekFor::Any);
        let mut beats = Vec::new();
        let mut step = |bytes: &[u8]| {
            scanner.scan(bytes, &mut |seen| beats.push(seen)).expect("valid");
            scanner.held.is_some()
        };
        // Six bytes of a packet decide; of an open packet 256; of other text the first.
        assert!(step(b"\x81\x7e\x01\x0042[\"a"));
        assert!(!step(b"\","));
        assert!(!step(&[b'x'; 249]));
        assert!(step(b"\x81\x0a0{\"sid\""));
        assert!(!step(b":1}"));
        assert!(!step(b"\x81\x05hell"));
        assert!(step(b"o\x88\x03\x03"));
        assert!(!step(b"\xe8x"));
        assert_eq!(beats.len(), 4);
    }

    #[test]
    fn the_debug_form_shows_no_payload() {
        let mut scanner = Scanner::new(Sender::Server, ScanLimits::default()).peek(PeekFor::OneBot);
        scanner.scan(b"\x81\x50{\"message\":\"s3cret", &mut |_| {}).expect("valid");
        assert!(format!("{scanner:?}").contains("Held { len: 18, .. }"), "{scanner:?}");
    }
}
