//! The gateway behind the relays: an echo server that does what a server must (handshake, unmask, frame) and no more, on
//! one thread over epoll, so that it costs the same whoever relays and its share of the machine is small.
//!
//! A process of its own. It keeps nothing of a session at rest, and reads no more from one that does not take its
//! answers: a slow reader is then the relay's to hold back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::Result;
use mooring_tests::process::Process;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::process::Command;

use super::frames::{self, CLOSE, PING, PONG};

/// The argument that makes this program the echo server.
pub const ARGUMENT: &str = "--relay-echo";

/// Bytes read at once: many small frames, several large ones.
const SCRATCH: usize = 256 << 10;
/// The listener's number among epoll's; connections have theirs.
const LISTENER: u64 = u64::MAX;

/// An echo server in a process of its own.
pub struct Echo {
    /// The process.
    pub process: Process,
    /// Its address.
    pub address: String,
}

impl Echo {
    /// Starts one on a free port.
    pub async fn start() -> Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts one at an address.
    pub async fn start_at(address: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let process = Process::start("echo server", command.args([ARGUMENT, address]));
        let address = process.line("the address", mooring_tests::gateway::announced).await;
        Ok(Self { process, address })
    }
}

/// Serves until it is killed; prints its address first.
pub fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    // The standard library asks for a short queue; asked again, the kernel takes the longer.
    rustix::net::listen(&listener, 4_096)?;
    listener.set_nonblocking(true)?;
    println!("{{\"listening\":\"{}\"}}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    Server { epoll, listener, sessions: Vec::new(), free: Vec::new() }.run()
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
}

struct Session {
    stream: TcpStream,
    /// Past the handshake.
    open: bool,
    /// A frame or head that is not all there.
    held: Vec<u8>,
    /// An answer that the socket did not take whole.
    unsent: Vec<u8>,
    /// The last bytes are sent: a close frame, or the answer to what was no upgrade.
    last: bool,
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut events = Vec::with_capacity(512);
        let mut scratch = vec![0; SCRATCH];
        let mut out = Vec::with_capacity(SCRATCH);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    number => {
                        let at = number as usize;
                        let Some(session) = self.sessions.get_mut(at).and_then(Option::as_mut) else {
                            continue;
                        };
                        if !session.turn(&self.epoll, number, &mut scratch, &mut out) {
                            self.sessions[at] = None;
                            self.free.push(at);
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Reset before it was accepted.
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let at = self.free.pop().unwrap_or_else(|| {
                self.sessions.push(None);
                self.sessions.len() - 1
            });
            epoll::add(&self.epoll, &stream, EventData::new_u64(at as u64), EventFlags::IN)?;
            let session = Session { stream, open: false, held: Vec::new(), unsent: Vec::new(), last: false };
            self.sessions[at] = Some(session);
        }
    }
}

impl Session {
    /// What an event asks for. False at the end of the session.
    fn turn(&mut self, epoll: &OwnedFd, number: u64, scratch: &mut [u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let waiting = !self.unsent.is_empty();
        if waiting {
            out.append(&mut self.unsent);
        } else {
            let n = match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(n) => n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return true,
                Err(_) => return false,
            };
            if self.held.is_empty() {
                self.take(&mut scratch[..n], out);
            } else {
                let mut held = std::mem::take(&mut self.held);
                held.extend_from_slice(&scratch[..n]);
                self.take(&mut held, out);
            }
        }
        let mut sent = 0;
        while sent < out.len() {
            match self.stream.write(&out[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        if sent < out.len() {
            self.unsent = out[sent..].to_vec();
        }
        if self.last && self.unsent.is_empty() {
            // The other end closes the connection (RFC 6455 §7.1.1 lets either; a relay should see both).
            drop(self.stream.shutdown(std::net::Shutdown::Write));
        }
        if waiting == self.unsent.is_empty() {
            let interest = if self.unsent.is_empty() { EventFlags::IN } else { EventFlags::OUT };
            return epoll::modify(epoll, &self.stream, EventData::new_u64(number), interest).is_ok();
        }
        true
    }

    /// Answers what is whole in `bytes`, and holds the rest.
    fn take(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) {
        let mut at = 0;
        if !self.open
            && !self.last
            && let Some(end) = frames::head_end(bytes)
        {
            let answer = frames::answer(&bytes[..end]);
            self.open = answer.starts_with(b"HTTP/1.1 101");
            out.extend_from_slice(&answer);
            at = end;
        }
        while self.open && !self.last {
            let Some(frame) = frames::masked_frame(&bytes[at..]) else { break };
            let Some(payload) = bytes.get_mut(at + frame.payload..at + frame.end) else { break };
            frames::unmask(payload, frame.mask);
            match frame.first & 0x0f {
                PONG => {}
                PING => frames::push_unmasked(out, PONG, payload),
                opcode => {
                    self.last = opcode == CLOSE;
                    frames::push_unmasked(out, opcode, payload);
                }
            }
            at += frame.end;
        }
        if !self.last {
            self.held = bytes[at..].to_vec();
        }
    }
}
