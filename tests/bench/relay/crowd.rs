//! The load: any number of WebSocket sessions on one thread, over epoll, with frames made beforehand.
//!
//! Nothing of a WebSocket library is in the loop: what a session has to say is a slice, and what it hears is compared with
//! the slice it expects, so that "delivered" means every byte of it. Two shapes of load:
//!
//! - **closed**: each session sends `depth` messages in one write, waits for all answers, and sends again. One message
//!   deep it gives round trips; 64 deep it shows what small frames cost when many come in one read.
//! - **paced**: messages at fixed times, whoever is late; the time of a round trip counts from when it was *due*, so a relay
//!   that stalls is not excused from the messages it kept from being sent.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::frames;

/// Handshakes under way at once: fewer than any listener's queue.
const AT_ONCE: usize = 64;
/// How long answers may take after the last message was sent.
const PATIENCE: Duration = Duration::from_secs(20);

/// How messages follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// This many at once on each session, again when all are answered.
    Closed(usize),
    /// This many a second over all sessions.
    Paced(f64),
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Payload of a message, bytes.
    pub size: usize,
    /// How they follow.
    pub shape: Shape,
    /// Not counted.
    pub warm: Duration,
    /// Counted.
    pub span: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Round trips that ended within the span.
    pub trips: f64,
    /// The span as it was, seconds.
    pub seconds: f64,
    /// What the probe rose by within it.
    pub cost: f64,
    /// How long each took, sorted. Empty when several share a write.
    pub took: Vec<Duration>,
}

/// The sessions.
pub struct Crowd {
    epoll: OwnedFd,
    sessions: Vec<Session>,
    scratch: Vec<u8>,
    /// From the first connect to the last handshake.
    pub opened_in: Duration,
}

struct Session {
    stream: TcpStream,
    /// Rest of what is to be sent, as a place in the message that repeats.
    unsent: usize,
    /// Bytes of the expected answer that have come.
    heard: usize,
    /// Waits for room in the socket.
    stuck: bool,
    /// When messages under way were sent, or due.
    since: VecDeque<Instant>,
}

impl Crowd {
    /// Opens sessions and awaits the handshake of each.
    pub fn open(address: &str, n: usize) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut crowd = Self {
            epoll,
            sessions: Vec::with_capacity(n),
            scratch: vec![0; 256 << 10],
            opened_in: Duration::ZERO,
        };
        let mut events = Vec::with_capacity(256);
        let request = frames::upgrade(address);
        let mut heads: Vec<Vec<u8>> = Vec::with_capacity(n);
        let (start, mut open) = (Instant::now(), 0);
        while open < n {
            while crowd.sessions.len() < n && crowd.sessions.len() - open < AT_ONCE {
                crowd.connect(address, &request)?;
                heads.push(Vec::new());
            }
            ensure!(start.elapsed() < Duration::from_secs(120), "{open} of {n} handshakes in two minutes");
            crowd.wait(&mut events, Duration::from_secs(1))?;
            for event in &events {
                let at = event.data.u64() as usize;
                let n = crowd.sessions[at].stream.read(&mut crowd.scratch)?;
                let head = &mut heads[at];
                head.extend_from_slice(&crowd.scratch[..n]);
                ensure!(n > 0, "closed in the handshake: {:?}", String::from_utf8_lossy(head));
                if let Some(end) = frames::head_end(head) {
                    let text = String::from_utf8_lossy(head);
                    ensure!(text.starts_with("HTTP/1.1 101"), "no upgrade: {text:?}");
                    ensure!(end == head.len(), "bytes after the handshake: {text:?}");
                    *head = Vec::new();
                    open += 1;
                }
            }
        }
        crowd.opened_in = start.elapsed();
        Ok(crowd)
    }

    fn connect(&mut self, address: &str, request: &[u8]) -> Result<()> {
        // On loopback this returns with the connection made.
        let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.write_all(request)?;
        stream.set_nonblocking(true)?;
        let number = EventData::new_u64(self.sessions.len() as u64);
        epoll::add(&self.epoll, &stream, number, EventFlags::IN)?;
        self.sessions.push(Session { stream, unsent: 0, heard: 0, stuck: false, since: VecDeque::new() });
        Ok(())
    }

    /// Waits for events.
    fn wait(&self, events: &mut Vec<epoll::Event>, limit: Duration) -> Result<()> {
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// One message on each session, and its answer.
    pub fn once(&mut self, size: usize) -> Result<()> {
        let load = Load { size, shape: Shape::Closed(1), warm: Duration::ZERO, span: Duration::ZERO };
        let sample = self.run(&load, || 0.0)?;
        ensure!(sample.took.is_empty(), "the span is empty");
        Ok(())
    }

    /// Measures. `probe` is read at both ends of the span.
    ///
    /// # Errors
    /// When an answer is not byte for byte what it should be, or does not come.
    pub fn run(&mut self, load: &Load, probe: impl Fn() -> f64) -> Result<Sample> {
        let depth = if let Shape::Closed(depth) = load.shape { depth } else { 1 };
        let payload: Vec<u8> = (0..load.size).map(|i| b'a' + (i % 26) as u8).collect();
        let (mut message, mut answer) = (Vec::new(), Vec::new());
        frames::push_masked(&mut message, frames::TEXT, &payload);
        frames::push_unmasked(&mut answer, frames::TEXT, &payload);
        let one = answer.len();
        let (message, answer) = (message.repeat(depth), answer.repeat(depth));
        let mut run = Run { message, answer, one, depth, under_way: 0 };

        let mut events = Vec::with_capacity(256);
        let mut sample = Sample::default();
        let start = Instant::now();
        let (mut begun, mut ended) = (None::<(Instant, f64)>, false);
        let mut due = start;
        let mut next = 0;
        if let Shape::Closed(_) = load.shape {
            for at in 0..self.sessions.len() {
                self.send(at, Instant::now(), &mut run)?;
            }
        }
        loop {
            let now = Instant::now();
            if begun.is_none() && now >= start + load.warm {
                begun = Some((now, probe()));
            }
            if let (Some((at, before)), false) = (begun, ended)
                && now >= at + load.span
            {
                ended = true;
                sample.seconds = at.elapsed().as_secs_f64();
                sample.cost = probe() - before;
            }
            if ended && run.under_way == 0 {
                break;
            }
            if let Some((at, _)) = begun.filter(|(at, _)| now > *at + load.span + PATIENCE) {
                bail!("{} answers did not come within {:?}", run.under_way, at.elapsed());
            }
            let mut wait = if ended { PATIENCE } else { Duration::from_millis(20) };
            if let (Shape::Paced(rate), false) = (load.shape, ended) {
                while due <= now {
                    self.send(next, due, &mut run)?;
                    next = (next + 1) % self.sessions.len();
                    due += Duration::from_secs_f64(1.0 / rate);
                }
                wait = due.saturating_duration_since(Instant::now()).min(wait);
            }
            self.wait(&mut events, wait)?;
            for event in &events {
                let (at, flags) = (event.data.u64() as usize, event.flags);
                if flags.contains(EventFlags::OUT) {
                    self.push(at, &mut run)?;
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    let closed = matches!(load.shape, Shape::Closed(_));
                    let counts = (begun.is_some() && !ended).then_some(&mut sample);
                    if self.hear(at, &mut run, counts)? && closed && !ended {
                        self.send(at, Instant::now(), &mut run)?;
                    }
                }
            }
        }
        sample.took.sort_unstable();
        Ok(sample)
    }

    /// Reads on until every session has ended, or the limit: when and how each did, in the order of their ends.
    pub fn ends(mut self, since: Instant, limit: Duration) -> Result<Vec<End>> {
        let mut events = Vec::with_capacity(256);
        let mut heard: Vec<Vec<u8>> = vec![Vec::new(); self.sessions.len()];
        let mut ends = Vec::new();
        while ends.len() < heard.len() && since.elapsed() < limit {
            self.wait(&mut events, Duration::from_millis(20))?;
            for event in &events {
                let at = event.data.u64() as usize;
                let session = &mut self.sessions[at];
                let after = since.elapsed();
                let how = match session.stream.read(&mut self.scratch) {
                    Ok(n @ 1..) => {
                        heard[at].extend_from_slice(&self.scratch[..n]);
                        continue;
                    }
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                    Ok(0) => match heard[at][..] {
                        [0x88, _, high, low, ..] => How::Close(u16::from_be_bytes([high, low])),
                        _ => How::Eof,
                    },
                    Err(_) => How::Reset,
                };
                epoll::delete(&self.epoll, &session.stream)?;
                ends.push(End { after, how });
            }
        }
        ends.resize(heard.len(), End { after: limit, how: How::StillOpen });
        Ok(ends)
    }

    fn send(&mut self, at: usize, since: Instant, run: &mut Run) -> Result<()> {
        let session = &mut self.sessions[at];
        session.unsent += run.message.len();
        session.since.push_back(since);
        run.under_way += run.depth;
        if session.unsent == run.message.len() { self.push(at, run) } else { Ok(()) }
    }

    /// Writes what the socket takes.
    fn push(&mut self, at: usize, run: &mut Run) -> Result<()> {
        let session = &mut self.sessions[at];
        let whole = run.message.len();
        while session.unsent > 0 {
            // The end of the message that is being sent; more of them may wait behind it.
            let left = (session.unsent - 1) % whole + 1;
            match session.stream.write(&run.message[whole - left..]) {
                Ok(n) => session.unsent -= n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e).context("sending"),
            }
        }
        if session.stuck != (session.unsent > 0) {
            session.stuck = !session.stuck;
            let interest = if session.stuck { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &session.stream, EventData::new_u64(at as u64), interest)?;
        }
        Ok(())
    }

    /// Reads what is there and compares it. True when all that was sent together is answered.
    fn hear(&mut self, at: usize, run: &mut Run, mut sample: Option<&mut Sample>) -> Result<bool> {
        let session = &mut self.sessions[at];
        let n = match session.stream.read(&mut self.scratch) {
            Ok(0) => bail!("a session was closed"),
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(false),
            Err(e) => return Err(e).context("receiving"),
        };
        let mut heard = &self.scratch[..n];
        let mut whole = false;
        while !heard.is_empty() {
            let expected = &run.answer[session.heard..];
            let take = expected.len().min(heard.len());
            ensure!(heard[..take] == expected[..take], "an answer is not what was sent");
            heard = &heard[take..];
            let before = session.heard / run.one;
            session.heard += take;
            let trips = session.heard / run.one - before;
            run.under_way = run.under_way.checked_sub(trips).context("more answers than messages")?;
            if let Some(sample) = sample.as_deref_mut() {
                sample.trips += trips as f64;
            }
            if session.heard == run.answer.len() {
                session.heard = 0;
                whole = true;
                let since = session.since.pop_front().context("an answer to nothing")?;
                if let (Some(sample), 1) = (sample.as_deref_mut(), run.depth) {
                    sample.took.push(since.elapsed());
                }
            }
        }
        Ok(whole)
    }
}

/// The end of a session.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// Since what ended it.
    pub after: Duration,
    /// What the client saw.
    pub how: How,
}

/// How a session ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// With a Close frame of this code, then the end of the stream.
    Close(u16),
    /// With the end of the stream alone.
    Eof,
    /// With a reset.
    Reset,
    /// Not at all.
    StillOpen,
}

/// What a measurement repeats.
struct Run {
    /// What is sent together.
    message: Vec<u8>,
    /// What answers it.
    answer: Vec<u8>,
    /// Length of the answer to one.
    one: usize,
    depth: usize,
    under_way: usize,
}
